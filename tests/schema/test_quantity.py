"""Amounts of memory: how they are written, and what they mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpsynth.errors import ConfigurationError
from dpsynth.schema.quantity import amount_text, bytes_of, limit_of, machine_memory


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1 B", 1),
        ("10000000000", 10**10),
        (" 3 ", 3),
        ("3 GiB", 3 << 30),
        ("3GiB", 3 << 30),
        (" 3 gib ", 3 << 30),
        ("3 GB", 3_000_000_000),
        ("1.5 KiB", 1536),
        ("0.1 KB", 100),
        ("1.9 B", 1),
        ("512 MiB", 512 << 20),
        ("2 MB", 2_000_000),
        ("1 TiB", 1 << 40),
        ("1 TB", 10**12),
    ],
)
def test_an_amount(text: str, amount: int) -> None:
    assert bytes_of(text, "memory") == limit_of(text) == amount


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "3.5",
        "-3",
        "1e9",
        "٣",
        "GiB",
        "3 G",
        "3 Gb/s",
        "-1 GiB",
        "0 GiB",
        "0.5 B",
        "1e3 MB",
        "٣ GiB",
        "3,5 GB",
        "nan GB",
        "3 GiBs",
    ],
)
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        bytes_of(text, "[data] memory")
    assert str(raised.value).startswith("[data] memory: expected ")
    assert '"3 GiB"' in str(raised.value)


@pytest.mark.parametrize("memory", [0, -1, True, 1.5, ["3 GiB"]])
def test_bytes_are_a_whole_positive_number(memory: object) -> None:
    with pytest.raises(ConfigurationError, match="memory"):
        limit_of(memory)


def test_half_of_the_machine_where_nothing_is_said() -> None:
    assert limit_of(None) >= machine_memory() // 2 > 0


@pytest.mark.parametrize(("machine", "limit"), [(512, 512), (1024, 1024), (1500, 1024), (3000, 1500), (9000, 4500)])
def test_small_machines_are_used_whole(machine: int, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dpsynth.schema.quantity.machine_memory", lambda: machine << 20)
    assert limit_of(None) == limit << 20


@given(st.integers(1, 1 << 45))
def test_what_is_told_is_enough_and_near(amount: int) -> None:
    told = bytes_of(amount_text(amount).replace(",", ""), "memory")
    assert amount <= told <= amount * 1.1 + 1
