"""What is refused before it is judged: doubled keys, NaN, depth, length, in each kind of signed file."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dpsynth.evidence import MAX_BYTES, MAX_DEPTH, Refused, read_json
from dpsynth.trust import verify
from tests.verifier.office import Office, Pen, approved, as_file, canonical, seal

TODAY = "2026-11-23"
Rewrite = Callable[[bytes], bytes]


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


WRONG: dict[str, Rewrite] = {
    "a key given twice": lambda data: data[:-1] + b',"_type":"x"}',
    "an inner key given twice": lambda data: data.replace(b'"version":', b'"version":1,"version":', 1),
    "NaN": lambda data: data.replace(b'"version":', b'"a":NaN,"version":', 1),
    "Infinity": lambda data: data.replace(b'"version":', b'"a":Infinity,"version":', 1),
    "a fraction": lambda data: data.replace(b'"version":1', b'"version":1.0', 1).replace(
        b'"version":2', b'"version":2.0'
    ),
    "an exponent": lambda data: data.replace(b'"version":', b'"a":1e3,"version":', 1),
    "deep": lambda data: data.replace(b'"version":', b'"a":' + nested(MAX_DEPTH) + b',"version":', 1),
    "very deep": lambda data: data.replace(b'"version":', b'"a":' + nested(100_000) + b',"version":', 1),
    "a long number": lambda data: data.replace(b'"version":', b'"a":' + b"9" * 5000 + b',"version":', 1),
    "white space": lambda data: data.replace(b":", b": ", 1),
    "unsorted": lambda data: json.dumps(dict(reversed(json.loads(data).items())), separators=(",", ":")).encode(),
    "not ASCII": lambda data: data.replace(b'"version":', '"ä":1,"version":'.encode(), 1),
    "a byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "UTF-16": lambda data: data.decode().encode("utf-16"),
    "cut": lambda data: data[:-1],
    "nothing": lambda data: b"",
}


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return approved(tmp_path)


def rewrite(data: bytes, change: Rewrite, pen: str, kind: str = "application/vnd.in-toto+json") -> bytes:
    """A payload in another spelling, under a signature that is good."""
    payload = base64.b64decode(json.loads(data)["payload"])
    changed = change(payload)
    assert changed != payload
    return as_file(seal(changed, [Pen(pen)], kind))


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("name", ["ledger.dsse.json", "status.dsse.json", "approvals", "root"])
def test_in_a_payload_that_is_well_signed(office: Office, tmp_path: Path, name: str, wrong: str) -> None:
    folder, root = tmp_path / "first", office.root
    if name == "root":
        item = json.loads(
            rewrite(canonical(office.root_file[0]), WRONG[wrong], "ana", "application/vnd.dpsynth.root+json")
        )
        root = canonical({"roots": [item]}) + b"\n"
        assert verify(folder, root, today=TODAY).exit_code == 20
        return
    path = folder / name if name != "approvals" else sorted((folder / name).iterdir())[0]
    owner = {Pen(pen).keyid[:16]: pen for pen in ("ana", "bo", "chi")}.get(path.name[8:24], "engine")
    path.write_bytes(rewrite(path.read_bytes(), WRONG[wrong], owner))
    assert verify(folder, root, today=TODAY).exit_code == 20


@pytest.mark.parametrize("name", ["ledger.dsse.json", "status.dsse.json", "approvals", "root"])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"[]\n",
        b"null\n",
        b"{}\n",
        b"{\n",
        nested(33) + b"\n",
        nested(100_000) + b"\n",
        b'{"payload":NaN}\n',
        b'{"a":1,"a":1}\n',
        b'{"payload":"","payloadType":"application/vnd.in-toto+json","signatures":[]}\n',
        b" " * MAX_BYTES + b"\n",
    ],
    ids=["empty", "newline", "list", "null", "object", "cut", "deep", "very deep", "NaN", "twice", "unsigned", "long"],
)
def test_in_an_envelope(office: Office, tmp_path: Path, name: str, data: bytes) -> None:
    folder, root = tmp_path / "first", office.root
    if name == "root":
        root = data
    else:
        path = folder / name if name != "approvals" else sorted((folder / name).iterdir())[0]
        path.write_bytes(data)
    assert verify(folder, root, today=TODAY).exit_code == 20


@pytest.mark.parametrize("wrong", ["a key given twice", "NaN", "deep", "very deep", "a fraction", "white space", "cut"])
def test_in_a_grant_within_a_ledger(office: Office, tmp_path: Path, wrong: str) -> None:
    path = tmp_path / "first" / "ledger.dsse.json"

    def change(payload: bytes) -> bytes:
        value = json.loads(payload)
        grants = value["predicate"]["grants"]
        grants[0] = rewrite(grants[0].encode(), WRONG[wrong], "ana").decode()
        return canonical(value)

    path.write_bytes(rewrite(path.read_bytes(), change, "engine"))
    assert verify(tmp_path / "first").exit_code in (20, 21)


def test_thirty_two_levels_are_read_and_one_more_is_not() -> None:
    assert read_json(nested(MAX_DEPTH), "it")
    inside = b'{"a":' * (MAX_DEPTH - 1) + b"[]" + b"}" * (MAX_DEPTH - 1)
    assert read_json(inside, "it")
    for data in (nested(MAX_DEPTH + 1), b'{"a":' * MAX_DEPTH + b"[]" + b"}" * MAX_DEPTH, nested(10**6)):
        with pytest.raises(Refused, match="nested deeper than 32"):
            read_json(data, "it")


def test_a_length_is_refused_unread(office: Office, tmp_path: Path) -> None:
    """A sparse file of a terabyte is not read into memory."""
    path = tmp_path / "first" / "status.dsse.json"
    with path.open("r+b") as file:
        file.truncate(2**40)
    assert verify(tmp_path / "first").exit_code == 20


def test_too_many_approvals(office: Office, tmp_path: Path) -> None:
    for number in range(1001):
        (tmp_path / "first" / "approvals" / f"approve-{number:016x}.dsse.json").write_bytes(b"")
    assert verify(tmp_path / "first", office.root, today=TODAY).exit_code == 21


def test_too_many_signatures(office: Office, tmp_path: Path) -> None:
    path = sorted((tmp_path / "first" / "approvals").iterdir())[0]
    value = json.loads(path.read_bytes())
    more = [{"keyid": f"{number:064x}", "sig": value["signatures"][0]["sig"]} for number in range(65)]
    path.write_bytes(as_file({**value, "signatures": more}))
    assert verify(tmp_path / "first", office.root, today=TODAY).exit_code == 20
