"""Lines of the log: one closed table, one spelling, nothing that the verifier would not know."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth import evidence, trust, verifier
from dpsynth.errors import SignatureInvalid, UnknownEntry
from dpsynth.ledger import (
    FIELDS,
    KINDS,
    Kind,
    Stamp,
    amount,
    canonical,
    cost_of,
    fraction_text,
    new_secret,
    nonce,
    parse,
    render,
)
from dpsynth.ledger.kinds import MECHANISMS

STAMP = Stamp("2026-11-22", "0" * 32)
DIGEST = "sha256:" + "a" * 64
AMOUNT = {"mu2": Fraction(1, 800), "delta": Fraction(0)}
CLAIM = {"epsilon": Fraction(1), "delta": Fraction(1, 10**9)}
CHARGE: dict[str, Any] = {
    "release": "r",
    "unit": {"entity": "person", "column": None, "max_rows": 1},
    "neighbours": "add-remove",
    "sensitivity_squared": Fraction(1),
    "cost": AMOUNT,
    "chosen_by": [],
    "running": {"spent": AMOUNT, "epsilon": "0.25"},
    "state": "DRAWING",
}
EXAMPLES: dict[Kind, dict[str, Any]] = {
    "open": {
        "entity": "person",
        "column": "id",
        "neighbours": "replace-one",
        "measure": "gdp",
        "cap": AMOUNT,
        "policy": CLAIM,
        "parent": "office",
        "level": "population",
        "grant": DIGEST,
        "root": None,
    },
    "grant": {"grant": DIGEST, "added": AMOUNT, "cap": AMOUNT, "policy": CLAIM, "reason": "new-people"},
    "root": {"root": DIGEST, "version": 2},
    "external": {"what": "a table on paper", "claim": CLAIM},
    "refused": {"release": "r", "plan": DIGEST, "asked": AMOUNT, "by": "office"},
    "reserve": {
        "release": "r",
        "plan": DIGEST,
        "reserved": AMOUNT,
        "quote": CLAIM,
        "held": AMOUNT,
        "running_epsilon": "0.5",
        "above": [{"account": "office", "held": AMOUNT}],
    },
    "void": {"release": "r"},
    "measure": {
        **CHARGE,
        "mechanism": {"type": "rounded_gaussian", "sigma": Fraction(20)},
        "query": {"columns": ["a"], "levels": [DIGEST], "shape": [3], "basis": "marginal"},
    },
    "select": {
        **CHARGE,
        "mechanism": {"type": "exponential", "scale": Fraction(7, 2), "picks": 2, "rule": "distinct"},
        "query": {"score": "l1-to-model", "lattice": 1024, "weight": 1, "candidates": 3, "digest": DIGEST},
    },
    "score": {
        **CHARGE,
        "mechanism": {"type": "discrete_laplace", "scale": Fraction(7, 2)},
        "query": {"score": "l1-to-model", "lattice": 1024, "candidates": 3, "digest": DIGEST},
    },
    "partitions": {
        **CHARGE,
        "mechanism": {
            "type": "rounded_gaussian",
            "sigma": Fraction(20),
            "threshold": 129,
            "delta": Fraction(1, 10**10),
        },
        "query": {"column": "a"},
    },
    "stored": {"release": "r", "of": [3, 4], "answer": DIGEST},
    "lost": {"release": "r", "of": [5]},
    "settle": {"release": "r", "spent": AMOUNT, "reserved": AMOUNT},
    "approve": {"release": "r", "attestation": DIGEST, "by": "ana", "keyid": "a" * 64},
    "reject": {"release": "r", "attestation": DIGEST, "by": "ana", "keyid": "a" * 64},
    "release": {"release": "r", "ledger": DIGEST, "approvals": [DIGEST]},
    "supersede": {"release": "r", "by": "r2"},
    "withdraw": {"release": "r", "reason": "data-fault", "attestations": [DIGEST]},
}


INSIDE = ("external", "refused", "void")
"""Kinds that stay in the store: no ledger and no status shows them."""


def put(fields: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of the fields with one value changed, by its dotted path."""
    head, _, rest = path.partition(".")
    return {**fields, head: put(fields[head], rest, value) if rest else value}


def paths(value: Any, start: str = "") -> list[str]:
    """The dotted path of every value in an object."""
    if not isinstance(value, dict):
        return [start]
    return [path for key, item in value.items() for path in paths(item, f"{start}.{key}".lstrip("."))]


@pytest.mark.parametrize("kind", KINDS)
class TestEachKind:
    def test_reads_back(self, kind: Kind) -> None:
        line = render(kind, EXAMPLES[kind], seq=4, account="people", stamp=STAMP)
        entry = parse(line)
        assert (entry.kind, entry.seq, entry.account, entry.stamp, entry.line) == (kind, 4, "people", STAMP, line)
        assert entry.fields.keys() == FIELDS[kind].keys()
        assert render(kind, entry.fields, seq=4, account="people", stamp=STAMP) == line

    def test_is_one_canonical_line(self, kind: Kind) -> None:
        line = render(kind, EXAMPLES[kind], seq=4, account="people")
        assert line == json.dumps(json.loads(line), sort_keys=True, separators=(",", ":")).encode()
        assert b"\n" not in line

    def test_is_known_to_the_verifier(self, kind: Kind) -> None:
        known = verifier.KINDS | trust.AFTERWARDS
        if kind in INSIDE:
            assert kind not in known
            return
        report = evidence.Report()
        assert verifier.read_entry(render(kind, EXAMPLES[kind], seq=4, account="people"), report, known) is not None
        assert report.failures == []
        assert known[kind].keys() == FIELDS[kind].keys()

    def test_lacks_no_key_and_has_none_too_many(self, kind: Kind) -> None:
        for key in FIELDS[kind]:
            fields = {name: value for name, value in EXAMPLES[kind].items() if name != key}
            with pytest.raises(ValueError, match=key):
                render(kind, fields, seq=0, account="a")
        with pytest.raises(ValueError, match="surplus"):
            render(kind, {**EXAMPLES[kind], "surplus": 1}, seq=0, account="a")
        with pytest.raises(ValueError, match="seq"):
            render(kind, {**EXAMPLES[kind], "seq": 1}, seq=0, account="a")

    @pytest.mark.parametrize("wrong", [1.5, -1, True, b"x", "1e-3", "01", "2/4", {}, {"x": 1}, object()])
    def test_no_value_of_the_wrong_form_is_written(self, kind: Kind, wrong: object) -> None:
        free = {"release", "entity", "column", "unit.entity", "unit.column", "parent", "what", "by"}
        free |= {"query.columns", "query.column"}
        for path in paths(EXAMPLES[kind]):
            if isinstance(wrong, str) and path in free:
                continue
            with pytest.raises(ValueError, match=r"wrong|written"):
                render(kind, put(EXAMPLES[kind], path, wrong), seq=0, account="a")


def test_what_is_common_is_checked_too() -> None:
    fields = EXAMPLES["lost"]
    for seq in (-1, 1.0, True, "1"):
        with pytest.raises(ValueError, match="seq"):
            render("lost", fields, seq=seq, account="a")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="account"):
        render("lost", fields, seq=0, account="")
    with pytest.raises(ValueError, match="nonce"):
        render("lost", fields, seq=0, account="a", stamp=Stamp("2026-11-22", "x"))
    with pytest.raises(ValueError, match="kind"):
        render("refund", fields, seq=0, account="a")  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        render("lost", {**fields, "release": "\ud800"}, seq=0, account="a")


def test_messages_never_hold_a_value() -> None:
    with pytest.raises(ValueError) as error:
        render("lost", {"release": "canary", "of": "canary"}, seq=0, account="canary")
    assert "canary" not in str(error.value)


@pytest.mark.parametrize("amount_of", [{"rho": Fraction(1)}, {"epsilon": Fraction(1)}, {"mu2": Fraction(1)}])
def test_an_amount_is_keyed_by_one_unit(amount_of: dict[str, Fraction]) -> None:
    written = {**amount_of, "delta": Fraction(0)}
    line = render("settle", {**EXAMPLES["settle"], "spent": written}, seq=0, account="a")
    cost = cost_of(parse(line).fields["spent"])
    assert amount(cost) == parse(line).fields["spent"]
    assert (cost.unit, cost.amount) == next(iter(amount_of.items()))
    for wrong in (
        {**written, "eps": "1"},
        amount_of,
        {"mu2": "1", "rho": "1", "delta": "0"},
        {"mu": "1", "delta": "0"},
    ):
        with pytest.raises(ValueError, match="spent"):
            render("settle", {**EXAMPLES["settle"], "spent": wrong}, seq=0, account="a")


def test_mechanisms_are_those_of_the_verifier() -> None:
    known = {
        name: shape.keys()
        for shape in (*verifier.NOISE, verifier.CHOICE)
        for name in (shape["type"] if isinstance(shape["type"], tuple) else [shape["type"]])
    }
    assert known == {name: shape.keys() for name, shape in MECHANISMS.items()}
    with pytest.raises(ValueError, match="mechanism"):
        render("measure", put(EXAMPLES["measure"], "mechanism", {"type": "laplace", "scale": "1"}), seq=0, account="a")
    with pytest.raises(ValueError, match="mechanism"):
        render("measure", put(EXAMPLES["measure"], "mechanism", EXAMPLES["select"]["mechanism"]), seq=0, account="a")
    with pytest.raises(ValueError, match="mechanism"):
        render("measure", put(EXAMPLES["measure"], "mechanism.sigma", Fraction(0)), seq=0, account="a")


class TestParse:
    LINE = render("lost", EXAMPLES["lost"], seq=4, account="people", stamp=STAMP)

    @pytest.mark.parametrize(
        "line",
        [
            b"",
            b"{}x",
            b"[]",
            LINE + b"\n",
            LINE.replace(b":", b": ", 1),
            LINE.replace(b'"v":1', b'"v":1.0'),
            LINE.replace(b'"v":1', b'"v":NaN'),
            LINE.replace(b'"v":1', b'"v":1,"v":1'),
            LINE.replace(b"people", b"\xff"),
            LINE.replace(b"people", "é".encode()),
            LINE.replace(b"people", b"\\ud800"),
            b"[" * 100_000,
        ],
    )
    def test_another_spelling_is_refused(self, line: bytes) -> None:
        with pytest.raises(SignatureInvalid):
            parse(line)

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            (b'"v":1', b'"v":2'),
            (b'"kind":"lost"', b'"kind":"refund"'),
            (b'"kind":"lost"', b'"kind":["lost"]'),
            (b'"of":[5]', b'"of":"all"'),
            (b'"of":[5]', b'"oz":[5]'),
            (b'"seq":4', b'"seq":"4"'),
        ],
    )
    def test_what_is_not_known_is_refused(self, old: bytes, new: bytes) -> None:
        with pytest.raises(UnknownEntry):
            parse(self.LINE.replace(old, new))


class TestExactText:
    @given(st.fractions(min_value=0, max_denominator=10**30))
    @settings(max_examples=50, deadline=None)
    def test_round_trip(self, value: Fraction) -> None:
        assert Fraction(fraction_text(value)) == value
        assert verifier.NUMBER(fraction_text(value))

    def test_known(self) -> None:
        assert fraction_text(Fraction(2, 1600)) == "1/800"
        assert fraction_text(3) == "3"
        assert fraction_text(Fraction(0)) == "0"

    @pytest.mark.parametrize("value", [-1, Fraction(-1, 2), 0.5, True, "1", Fraction(1, 2**8192), 2**8192])
    def test_refused(self, value: Any) -> None:
        with pytest.raises(ValueError):
            fraction_text(value)

    def test_the_longest_is_known_to_the_verifier(self) -> None:
        longest = fraction_text(Fraction(2**8192 - 1, 2**8191))
        assert verifier.NUMBER(longest)
        line = render("settle", put(EXAMPLES["settle"], "spent.mu2", longest), seq=0, account="a")
        assert parse(line).fields["spent"]["mu2"] == longest


class TestCanonical:
    json_values = st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3),
        max_leaves=8,
    )

    @given(st.dictionaries(st.text("abc", max_size=3), json_values))
    @settings(max_examples=50, deadline=None)
    def test_is_what_the_verifier_reads(self, value: dict[str, Any]) -> None:
        assert verifier.read_json(canonical(value), "it") == value

    @pytest.mark.parametrize(
        "value", [{"x": 0.5}, {"x": float("nan")}, {"x": [{1: 2}]}, {"x": b""}, {"x": Fraction(1)}]
    )
    def test_refuses_what_has_more_than_one_spelling(self, value: dict[str, Any]) -> None:
        with pytest.raises(ValueError):
            canonical(value)


def test_nonces_and_secrets_are_fresh() -> None:
    assert len({nonce() for _ in range(50)}) == 50
    assert all(len(bytes.fromhex(nonce())) == 16 for _ in range(5))
    assert len({new_secret() for _ in range(50)}) == 50
    assert len(new_secret()) == 32
    first, second = Stamp.now(), Stamp.now()
    assert first.nonce != second.nonce
