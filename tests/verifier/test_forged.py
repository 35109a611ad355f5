"""Ledgers that lie under a valid signature, one for each thing that is checked, with the exact exit code of each."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from dpsynth.ledger import SigningKey, canonical, envelope
from dpsynth.privacy import Measure
from dpsynth.verifier import verify
from tests.verifier.build import KEY, Forged, Unit, build_release, digest, forge, up

pytestmark = pytest.mark.usefixtures("reckoned_once")

Change = Callable[[Forged], object]


def put(*path: str | int, to: Any) -> Change:
    """Set one value of the predicate."""

    def change(forged: Forged) -> None:
        target: Any = forged.predicate
        for step in path[:-1]:
            target = target[step]
        target[path[-1]] = to

    return change


def line(kind: str, *path: str, to: Any, number: int = 0) -> Change:
    """Set one value of an entry."""

    def change(forged: Forged) -> None:
        target: Any = forged.entry(kind, number)
        for step in path[:-1]:
            target = target[step]
        target[path[-1]] = to

    return change


def without(kind: str, key: str) -> Change:
    return lambda forged: forged.entry(kind).pop(key)


def also(*changes: Change) -> Change:
    def change(forged: Forged) -> None:
        for one in changes:
            one(forged)

    return change


def move(source: int, target: int) -> Change:
    return lambda forged: forged.entries.insert(target, forged.entries.pop(source))


def twice(kind: str) -> Change:
    def change(forged: Forged) -> None:
        copy = {**forged.entry(kind), "seq": forged.entries[-1]["seq"], "nonce": "0" * 32}
        last = forged.entries.pop()
        forged.entries += [copy, {**last, "seq": last["seq"] + 1}]

    return change


def statement(key: str, to: Any) -> Change:
    return lambda forged: forged.statement.__setitem__(key, to)


def subject(key: str, to: Any) -> Change:
    return lambda forged: forged.statement["subject"][0].__setitem__(key, to)


def raw(number: int, rewrite: Callable[[str], str]) -> Change:
    def change(forged: Forged) -> None:
        forged.raw = [canonical(entry).decode() for entry in forged.entries]
        forged.raw[number] = rewrite(forged.raw[number])

    return change


def rootless(change: Change) -> Change:
    def both(forged: Forged) -> None:
        forged.root = False
        change(forged)

    return both


def cheaper(forged: Forged) -> None:
    """An entry that claims half its cost, with every sum after it made to fit."""
    charges = [entry for entry in forged.entries if "cost" in entry]
    charges[0]["cost"]["mu2"] = str(Fraction(charges[0]["cost"]["mu2"]) / 2)
    total = Fraction(0)
    for entry in charges:
        total += Fraction(entry["cost"]["mu2"])
        entry["running"] = {"spent": {"mu2": str(total), "delta": "0"}, "epsilon": up(total)}
    forged.entry("settle")["spent"]["mu2"] = str(total)


def louder(forged: Forged) -> None:
    """An entry that claims more noise than its cost was computed for."""
    forged.entry("measure")["mechanism"]["sigma"] = "160"


def exact_count(forged: Forged) -> None:
    entry = forged.entry("measure")
    entry["mechanism"] = {"type": "public_count"}
    entry["sensitivity_squared"] = entry["cost"]["mu2"] = "0"


def tight(forged: Forged) -> None:
    """A reserve just below what the entries cost, stated alike everywhere."""
    reserved = {"mu2": str(Fraction(forged.entry("settle")["spent"]["mu2"]) - Fraction(1, 2**60)), "delta": "0"}
    after = Fraction(forged.predicate["account"]["held_before"]["mu2"]) + Fraction(reserved["mu2"])
    held = {"mu2": str(after), "delta": "0"}
    forged.entry("reserve").update(reserved=reserved, held=held, running_epsilon=up(after))
    forged.entry("settle")["reserved"] = reserved
    forged.predicate["guarantee"]["reserved"] = reserved
    forged.predicate["account"]["held_after"] = held


def over_cap(forged: Forged) -> None:
    cap = {"mu2": "1/17", "delta": "0"}
    forged.entry("open")["cap"] = forged.predicate["account"]["cap"] = cap


def small_claim(forged: Forged) -> None:
    for claim in (forged.predicate["guarantee"], forged.entry("reserve")["quote"]):
        claim["epsilon"] = "9/10"


def with_delta(forged: Forged) -> None:
    """All of delta is spent by the mechanisms themselves: nothing is left to convert with."""
    for amount in (
        forged.predicate["guarantee"]["reserved"],
        forged.predicate["account"]["held_after"],
        forged.predicate["account"]["cap"],
        forged.entry("open")["cap"],
        forged.entry("reserve")["reserved"],
        forged.entry("reserve")["held"],
        forged.entry("settle")["reserved"],
    ):
        amount["delta"] = "1/1000000000"


def halved(forged: Forged) -> None:
    """Every cost and sum is that of zCDP, rho = mu^2/2, called mu^2."""
    total = Fraction(0)
    for entry in forged.entries:
        if "cost" in entry:
            entry["cost"]["mu2"] = str(Fraction(entry["cost"]["mu2"]) / 2)
            total += Fraction(entry["cost"]["mu2"])
            entry["running"] = {"spent": {"mu2": str(total), "delta": "0"}, "epsilon": up(total)}
    forged.entry("settle")["spent"]["mu2"] = str(total)


def scores_for_one(forged: Forged) -> None:
    """As if one entity moved one of the scores alone, in sensitivity, cost and every sum."""
    entry = forged.entry("score")
    entry["sensitivity_squared"] = str(2048**2)
    cost, dear = Fraction(2048**2, 5_000_000**2), Fraction(entry["cost"]["mu2"])
    entry["cost"]["mu2"] = str(cost)
    total = Fraction(entry["running"]["spent"]["mu2"]) - dear + cost
    entry["running"] = {"spent": {"mu2": str(total), "delta": "0"}, "epsilon": up(total)}
    forged.entry("settle")["spent"]["mu2"] = str(total)


def cap_of_rho(forged: Forged) -> None:
    """A cap of which half keeps the policy's epsilon: as if mu^2/2 were what Gaussian DP converts."""
    for cap in (forged.entry("open")["cap"], forged.predicate["account"]["cap"]):
        cap["mu2"] = "1/4"
    forged.entry("open")["policy"]["epsilon"] = "5/2"


def no_delta(forged: Forged) -> None:
    """Gaussian DP never gives delta 0."""
    for claim in (forged.predicate["guarantee"], forged.entry("reserve")["quote"]):
        claim["delta"] = "0"


def nothing_stored(forged: Forged) -> None:
    """What was drawn was never stored; all the rest fits."""
    forged.entries = [entry for entry in forged.entries if entry["kind"] != "stored"]
    for entry in forged.entries:
        if "chosen_by" in entry:
            entry["chosen_by"] = []


def everything_lost(forged: Forged) -> None:
    for entry in forged.entries:
        if entry["kind"] == "stored":
            entry["kind"] = "lost"
            del entry["answer"]
        if "chosen_by" in entry:
            entry["chosen_by"] = []


def nothing_asked(forged: Forged) -> None:
    """An account, a reserve and an end: a signed guarantee over rows that came from anywhere."""
    forged.entries = [entry for entry in forged.entries if entry["kind"] in ("open", "reserve", "settle")]
    forged.entry("settle")["spent"]["mu2"] = "0"


def only_opened(forged: Forged) -> None:
    del forged.entries[2:]


def later(forged: Forged) -> None:
    last = forged.entries[-1]
    forged.entries.append({**forged.entry("stored"), "seq": last["seq"] + 1, "nonce": "0" * 32, "of": [999]})


def early_choice(forged: Forged) -> None:
    charge = forged.entry("measure")
    charge["chosen_by"] = [charge["seq"]]


def by_a_lost_one(forged: Forged) -> None:
    forged.entry("measure", 4)["chosen_by"].append(forged.entry("lost")["of"][0])


def row_unit(forged: Forged) -> None:
    """The account protects persons by their column; the guarantee and every entry say that each row is one."""
    forged.predicate["guarantee"]["unit_column"] = None
    for entry in forged.entries:
        if "unit" in entry:
            entry["unit"]["column"] = None


TOO_MUCH = str(Fraction(1, 1600) + Fraction(1, 2**49))

UNKNOWN = {
    "ledger version": put("version", to=2),
    "ledger version true": put("version", to=True),
    "more in the ledger": put("more", to="x"),
    "less in the ledger": lambda forged: forged.predicate.pop("outside"),
    "more in the guarantee": put("guarantee", "more", to="x"),
    "measure": put("guarantee", "measure", to="tcdp"),
    "neighbours": put("guarantee", "neighbours", to="event"),
    "max_rows 0": put("guarantee", "max_rows", to=0),
    "max_rows text": put("guarantee", "max_rows", to="2"),
    "epsilon 0": put("guarantee", "epsilon", to="0"),
    "epsilon decimal": put("guarantee", "epsilon", to="1.25"),
    "epsilon not reduced": put("guarantee", "epsilon", to="10/8"),
    "epsilon negative": put("guarantee", "epsilon", to="-5/4"),
    "epsilon infinite": put("guarantee", "epsilon", to="inf"),
    **{f"epsilon of {n} digits": put("guarantee", "epsilon", to="1" * n) for n in (2501, 4300, 4301, 5000, 5001)},
    **{f"cost of {n} digits": line("measure", "cost", "mu2", to=f"1/{'3' * n}") for n in (2501, 4300, 4301, 5000)},
    "epsilon newline": put("guarantee", "epsilon", to="5/4\n"),
    "delta 1": put("guarantee", "delta", to="1"),
    "rule of rows": put("release", "rows_rule", to="exact total"),
    "seed too long": put("release", "seed", to=2**63),
    "day": put("release", "day", to="yesterday"),
    "digest": put("release", "rows_digest", to="md5:00"),
    "signature algorithm": put("signer", "algorithm", to="rsa"),
    "no signer": lambda forged: forged.predicate.pop("signer"),
    "statement type": statement("_type", "https://in-toto.io/Statement/v0.1"),
    "predicate type": statement("predicateType", "urn:dpsynth:dp-ledger:v2"),
    "derivation type": statement("predicateType", "urn:dpsynth:dp-derivation:v1"),
    "more in the statement": statement("more", "x"),
    "predicate no object": statement("predicate", ["x"]),
    "another digest": subject("digest", {"sha512": "0" * 128}),
    "another file": subject("name", "other.csv"),
    "path in a name": subject("name", "../data.csv"),
    "absolute name": subject("name", "/etc/passwd"),
    "hidden name": subject("name", ".data.csv"),
    "envelope as a subject": subject("name", "approval.dsse.json"),
    "entry version": line("measure", "v", to=2),
    "kind": line("lost", "kind", to="refund"),
    "kind no text": line("lost", "kind", to=["lost"]),
    "no kind": without("lost", "kind"),
    "no seq": without("lost", "seq"),
    "more in an entry": line("stored", "more", to="x"),
    "less in an entry": without("measure", "state"),
    "state": line("measure", "state", to="VOID"),
    "mechanism": line("measure", "mechanism", "type", to="super_gaussian"),
    "mechanism of another kind": line("measure", "mechanism", to={"type": "exponential", "scale": "1"}),
    "mechanism parameter": line("measure", "mechanism", "sigma2", to="400"),
    "sigma 0": line("measure", "mechanism", "sigma", to="0"),
    "sigma a number": line("measure", "mechanism", "sigma", to=80),
    "picks 0": line("select", "mechanism", "picks", to=0),
    "rule of picks": line("select", "mechanism", "rule", to="all"),
    "score": line("select", "query", "score", to="l2-to-model"),
    "lattice": line("select", "query", "lattice", to=1),
    "basis": line("measure", "query", "basis", to="wavelet"),
    "empty axis": line("measure", "query", "shape", to=[0], number=1),
    "neighbours of an entry": line("measure", "neighbours", to="add-remove-one"),
    "unit of an entry": line("measure", "unit", "window", to="day"),
    "column of the account": line("open", "column", to=7),
    "no column of the account": without("open", "column"),
    "measure of the account": line("open", "measure", to="tcdp"),
    "unit of an amount": line("open", "cap", to={"eps": "1/8", "delta": "0"}),
    "two units of an amount": line("open", "cap", to={"mu2": "1/8", "rho": "1/16", "delta": "0"}),
    "weight 0": line("select", "query", "weight", to=0),
    "weight 1/2": line("select", "query", "weight", to="1/2"),
    "no weight": lambda forged: forged.entry("select")["query"].pop("weight"),
    "weight of scores": line("score", "query", "weight", to=1),
    "no candidates": line("score", "query", "candidates", to=0),
    "candidates as text": line("score", "query", "candidates", to="226"),
    "no number of candidates": lambda forged: forged.entry("score")["query"].pop("candidates"),
    "another score": line("score", "query", "score", to="l2-to-model"),
    "lattice of scores": line("score", "query", "lattice", to=1),
    "picks of scores": line("score", "mechanism", "picks", to=1),
    "more in the scores": line("score", "more", to="x"),
    "exact scores": line("score", "mechanism", to={"type": "public_count"}),
    "scores as a choice": line("score", "mechanism", to={"type": "exponential", "scale": "5000000"}),
    "scores called a choice": line("score", "kind", to="select"),
    "scores called a measurement": line("score", "kind", to="measure"),
    "a choice called scores": line("select", "kind", to="score"),
    "a residual of one cell": line("measure", "query", "shape", to=[4, 1], number=4),
    "scale of a Gaussian": line("measure", "mechanism", to={"type": "rounded_gaussian", "scale": "80"}),
    "sigma of Laplace noise": line("measure", "mechanism", to={"type": "discrete_laplace", "sigma": "80"}),
    "nonce": line("open", "nonce", to="00"),
    "running epsilon exponent": line("measure", "running", "epsilon", to="1e-3"),
    "an entry that is a list": raw(2, lambda text: "[]"),
    "an entry that is a number": raw(2, lambda text: "7"),
}

TOTALS = {
    "sensitivity": line("measure", "sensitivity_squared", to="1"),
    "cost too low": cheaper,
    "noise too loud": louder,
    "cost too low by a hair": line("measure", "cost", "mu2", to=str(Fraction(1, 1600) - Fraction(1, 2**80))),
    "cost far too high": line("measure", "cost", "mu2", to=TOO_MUCH),
    "cost in delta": line("measure", "cost", "delta", to="1/1000000000000"),
    "more picks": line("select", "mechanism", "picks", to=3),
    "smaller scale": line("select", "mechanism", "scale", to="359999"),
    "an exact count": exact_count,
    "running sum": line("measure", "running", "spent", "mu2", to="1/1601"),
    "running sum with its epsilon": line(
        "measure", "running", to={"spent": {"mu2": "1/1601", "delta": "0"}, "epsilon": up(Fraction(1, 1601))}
    ),
    "running epsilon too low": line("measure", "running", "epsilon", to="0.1"),
    "running epsilon too high": line("measure", "running", "epsilon", to="9.0"),
    "more than reserved": tight,
    "claim too small": small_claim,
    "claim not quoted": put("guarantee", "epsilon", to="2"),
    "delta not quoted": put("guarantee", "delta", to="1/100000000"),
    "delta used up": with_delta,
    "reserved differs": put("guarantee", "reserved", "mu2", to="1/33"),
    "reserved otherwise": line("reserve", "reserved", "mu2", to="1/33"),
    "held otherwise": line("reserve", "held", "mu2", to="1/15"),
    "opened with another cap": line("open", "cap", "mu2", to="1/9"),
    "held before": put("account", "held_before", "mu2", to="1/64"),
    "held after": put("account", "held_after", "mu2", to="1/20"),
    "above the cap": over_cap,
    "cap not opened so": put("account", "cap", "mu2", to="1/4"),
    "cap above its policy": line("open", "policy", "epsilon", to="2"),
    "measure of the guarantee alone": put("guarantee", "measure", to="zcdp"),
    "measure of the account alone": line("open", "measure", to="zcdp"),
    "another measure everywhere but in the amounts": also(
        put("guarantee", "measure", to="zcdp"), line("open", "measure", to="zcdp")
    ),
    "a cost in another unit": line("measure", "cost", to={"rho": "1/3200", "delta": "0"}),
    "a sum in another unit": line("measure", "running", "spent", to={"rho": "1/3200", "delta": "0"}),
    "a cap in another unit": also(
        line("open", "cap", to={"rho": "1/16", "delta": "0"}), put("account", "cap", to={"rho": "1/16", "delta": "0"})
    ),
    "discrete Gaussian in Gaussian DP": line("measure", "mechanism", "type", to="discrete_gaussian"),
    "Laplace noise in Gaussian DP": line("measure", "mechanism", to={"type": "discrete_laplace", "scale": "80"}),
    "a cheaper formula": halved,
    "weight too small": line("select", "query", "weight", to=2),
    "fewer candidates": line("score", "query", "candidates", to=225),
    "more candidates": line("score", "query", "candidates", to=227),
    "sensitivity of one score": line("score", "sensitivity_squared", to=str(2048**2)),
    "sensitivity of scores in L1": line("score", "sensitivity_squared", to=str((226 * 2048) ** 2)),
    "scores at the price of one": line("score", "cost", "mu2", to=str(Fraction(2048**2, 5_000_000**2))),
    "scores at the price of one, said so": scores_for_one,
    "scores in the discrete Gaussian": line("score", "mechanism", "type", to="discrete_gaussian"),
    "scores in Laplace noise": line("score", "mechanism", to={"type": "discrete_laplace", "scale": "5000000"}),
    "scores of other neighbours": line("score", "neighbours", to="replace-one"),
    "scores of another unit": line("score", "unit", "max_rows", to=1),
    "a residual as a marginal": line("measure", "query", "basis", to="marginal", number=4),
    "a marginal as a residual": line("measure", "query", "basis", to="residual", number=1),
    "a residual of other cells": line("measure", "query", "shape", to=[4, 2], number=4),
    "cap converted as rho": cap_of_rho,
    "delta 0": no_delta,
    "account's running epsilon low": line("reserve", "running_epsilon", to="1.0"),
    "account's running epsilon high": line("reserve", "running_epsilon", to="2.0"),
    "plan": line("reserve", "plan", to=digest("another plan")),
    "entity": line("open", "entity", to="household"),
    "column of the account": line("open", "column", to="household_id"),
    "no column of the account": line("open", "column", to=None),
    "column of the guarantee": put("guarantee", "unit_column", to="household_id"),
    "a row unit on another account": row_unit,
    "neighbours of the account": line("open", "neighbours", to="replace-one"),
    "another account": line("measure", "account", to="others"),
    "another release": line("measure", "release", to="others"),
    "another unit": line("measure", "unit", "max_rows", to=1),
    "another unit column": line("measure", "unit", "column", to=None),
    "other neighbours": line("select", "neighbours", to="replace-one"),
    "other neighbours at the same price": line("measure", "neighbours", to="replace-one"),
    "columns doubled": line("measure", "query", "columns", to=["sex", "sex"], number=3),
    "columns without levels": line("measure", "query", "columns", to=["sex"]),
    "nonce repeated": lambda forged: forged.entry("lost").update(nonce=forged.entry("open")["nonce"]),
    "seq repeated": line("reserve", "seq", to=0),
    "order": move(4, 5),
    "two opened": twice("open"),
    "two reserved": twice("reserve"),
    "settled twice": twice("settle"),
    "stored twice": twice("stored"),
    "lost after stored": line("lost", "of", to=[7 + 1]),
    "stored what was never drawn": line("stored", "of", to=[999]),
    "stored nothing": line("stored", "of", to=[]),
    "stored one twice": line("stored", "of", to=[8, 8]),
    "after the end": later,
    "settled otherwise": line("settle", "spent", "mu2", to="1/999"),
    "settled with delta": line("settle", "spent", "delta", to="1/999"),
    "settled another reserve": line("settle", "reserved", "mu2", to="1/999"),
    "chosen by itself": early_choice,
    "chosen by a lost answer": by_a_lost_one,
    "nothing asked": nothing_asked,
    "only opened and reserved": only_opened,
    "nothing stored": nothing_stored,
    "everything lost": everything_lost,
    "no reserve": lambda forged: forged.entries.pop(1),
    "no entries": lambda forged: forged.entries.clear(),
}

FILES = {
    "root": rootless(put("log", "root", to="0" * 64)),
    "size": rootless(put("log", "size", to=3)),
    "lines cut off": rootless(lambda forged: forged.entries.pop()),
    "no file signed": statement("subject", []),
    "file signed twice": lambda forged: forged.statement["subject"].append(forged.statement["subject"][0]),
    "digest of another file": subject("digest", {"sha256": "0" * 64}),
}

FORM = {
    "key id": put("signer", "keyid", to="0" * 64),
    "public key": put("signer", "public_key", to=base64.b64encode(bytes(32)).decode()),
    "public key too short": put("signer", "public_key", to="AAAA"),
    "public key not base64": put("signer", "public_key", to="?"),
    "line with a space": raw(3, lambda text: text.replace(":", ": ", 1)),
    "line with a doubled key": raw(3, lambda text: text[:-1] + ',"v":1}'),
    "line with a fraction": raw(3, lambda text: text.replace('"v":1', '"v":1.0')),
    "line with NaN": raw(3, lambda text: text.replace('"v":1', '"v":NaN')),
    "line not ASCII": raw(3, lambda text: text.replace("people", "peöple")),
    "line cut": raw(3, lambda text: text[:-1]),
    "line too deep": raw(3, lambda text: "[" * 100_000 + "]" * 100_000),
}

CASES = [
    pytest.param(code, change, id=f"{code} {name}")
    for code, group in ((23, UNKNOWN), (22, TOTALS), (21, FILES), (20, FORM))
    for name, change in group.items()
]


@pytest.mark.parametrize(("code", "change"), CASES)
def test_forged(code: int, change: Change, tmp_path: Path) -> None:
    folder = build_release(tmp_path / "release")
    forge(folder, change)
    verdict = verify(folder)
    assert (verdict.exit_code, verdict.ok, verdict.epsilon) == (code, False, "infinity"), verdict.failures
    assert verdict.failures


def test_the_forger_alone_changes_nothing(tmp_path: Path) -> None:
    folder = build_release(tmp_path / "release")
    before = (folder / "ledger.dsse.json").read_bytes()
    forge(folder, lambda forged: None)
    assert (folder / "ledger.dsse.json").read_bytes() == before


def test_an_upper_bound_a_little_above_is_accepted(tmp_path: Path) -> None:
    """exact <= stated <= exact + 2^-50."""

    def dearer(forged: Forged) -> None:
        charges, total = [entry for entry in forged.entries if "cost" in entry], Fraction(0)
        charges[0]["cost"]["mu2"] = str(Fraction(charges[0]["cost"]["mu2"]) + Fraction(1, 2**60))
        for entry in charges:
            total += Fraction(entry["cost"]["mu2"])
            entry["running"] = {"spent": {"mu2": str(total), "delta": "0"}, "epsilon": up(total)}
        forged.entry("settle")["spent"]["mu2"] = str(total)

    folder = build_release(tmp_path / "release")
    forge(folder, dearer)
    assert verify(folder).failures == ()


def test_a_release_cut_off_before_its_end_is_charged_and_said(tmp_path: Path) -> None:
    def unfinished(forged: Forged) -> None:
        del forged.entries[-2:]

    folder = build_release(tmp_path / "release")
    forge(folder, unfinished)
    verdict = verify(folder)
    assert verdict.ok
    assert "answers paid for and never seen: 1 unfinished, 1 lost" in verdict.notes


@pytest.mark.parametrize("measure", ["gdp", "zcdp", "pure"])
@pytest.mark.parametrize(
    "unit", [Unit(), Unit(neighbours="replace-one"), Unit("row", None, 1, "replace-one"), Unit("row", None, 1)]
)
def test_every_unit_verifies_in_every_measure(unit: Unit, measure: Measure, tmp_path: Path) -> None:
    assert verify(build_release(tmp_path / "release", unit, measure=measure)).failures == ()


@pytest.mark.parametrize(
    ("unit", "said"),
    [
        (Unit("person", "id", 1), "each person, at most 1 row each (column id)"),
        (Unit("person", "id", 12), "each person, at most 12 rows each (column id)"),
        (Unit("row", None, 1), "each row, at most 1 row each (no column)"),
    ],
)
def test_the_unit_is_said(unit: Unit, said: str, tmp_path: Path) -> None:
    notes = verify(build_release(tmp_path / "release", unit)).notes
    assert f"protected: {said}, neighbours add-remove" in notes


@pytest.mark.parametrize("digits", [2466, 2500])
def test_a_number_as_long_as_the_ledger_writes_is_read(digits: int, tmp_path: Path) -> None:
    """It is judged by what it says, not refused for its length."""
    folder = build_release(tmp_path / "release")
    forge(folder, line("measure", "cost", "mu2", to=f"{'1' * digits}/{'1' * (digits - 1)}2"))
    assert verify(folder).exit_code == 22


def test_all_failures_are_listed_and_the_gravest_decides(tmp_path: Path) -> None:
    folder = build_release(tmp_path / "release")
    (folder / "data.csv").write_bytes(b"x")
    forge(folder, line("measure", "sensitivity_squared", to="1"))
    verdict = verify(folder)
    assert verdict.exit_code == 21
    assert [failure[:4] for failure in verdict.failures] == ["[21]", "[22]"]
    forge(folder, also(line("lost", "kind", to="refund"), put("signer", "keyid", to="0" * 64)))
    assert [failure[:4] for failure in verify(folder).failures] == ["[20]", "[21]", "[23]"]
    assert verify(folder).exit_code == 20


class TestEnvelope:
    """What is wrong before any content is judged is 20."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return build_release(tmp_path / "release")

    def check(self, folder: Path, data: bytes) -> None:
        (folder / "ledger.dsse.json").write_bytes(data)
        verdict = verify(folder)
        assert (verdict.exit_code, verdict.epsilon) == (20, "infinity"), verdict.failures

    def parts(self, folder: Path) -> dict[str, Any]:
        return json.loads((folder / "ledger.dsse.json").read_bytes())  # type: ignore[no-any-return]

    def payload(self, folder: Path) -> bytes:
        return base64.b64decode(self.parts(folder)["payload"])

    @pytest.mark.parametrize(
        "data", [b"", b"\n", b"{}\n", b"[]\n", b"7\n", b"{\n", b"\xff\xfe\n", b"[" * 10**5 + b"\n"]
    )
    def test_not_an_envelope(self, folder: Path, data: bytes) -> None:
        self.check(folder, data)

    def test_other_spellings(self, folder: Path) -> None:
        whole, parts = (folder / "ledger.dsse.json").read_bytes(), self.parts(folder)
        self.check(folder, whole[:-1])
        self.check(folder, whole[:-1] + b" ")
        self.check(folder, whole + b"\n")
        self.check(folder, json.dumps(parts).encode() + b"\n")
        self.check(folder, b"\xef\xbb\xbf" + whole)
        self.check(folder, whole.decode().encode("utf-16"))

    def test_other_base64(self, folder: Path) -> None:
        parts = self.parts(folder)
        signature = parts["signatures"][0]["sig"]
        assert signature.endswith("==")
        following = chr(ord(signature[-3]) + 1)
        parts["signatures"][0]["sig"] = signature[:-3] + following + "=="  # the same bytes to a careless reader
        assert base64.b64decode(parts["signatures"][0]["sig"]) == base64.b64decode(signature)
        self.check(folder, canonical(parts) + b"\n")

    def test_another_payload_type(self, folder: Path) -> None:
        self.check(folder, canonical({**self.parts(folder), "payloadType": "application/json"}) + b"\n")

    def test_more_keys(self, folder: Path) -> None:
        self.check(folder, canonical({**self.parts(folder), "more": 1}) + b"\n")

    def test_two_signatures_and_none(self, folder: Path) -> None:
        parts = self.parts(folder)
        self.check(folder, canonical({**parts, "signatures": parts["signatures"] * 2}) + b"\n")
        self.check(folder, canonical({**parts, "signatures": []}) + b"\n")

    def test_signed_by_another_key(self, folder: Path) -> None:
        other = SigningKey.generate()
        self.check(folder, envelope(self.payload(folder), other))
        parts = json.loads(envelope(self.payload(folder), other))
        parts["signatures"][0]["keyid"] = KEY.public.keyid
        self.check(folder, canonical(parts) + b"\n")

    def test_signature_over_the_payload_without_its_type(self, folder: Path) -> None:
        parts = self.parts(folder)
        parts["signatures"][0]["sig"] = base64.b64encode(KEY.sign(self.payload(folder))).decode()
        self.check(folder, canonical(parts) + b"\n")

    def test_payload_with_a_doubled_key(self, folder: Path) -> None:
        payload = self.payload(folder)
        self.check(folder, envelope(payload[:-1] + b',"predicateType":"urn:dpsynth:dp-ledger:v1"}', KEY))

    def test_payload_with_a_fraction(self, folder: Path) -> None:
        self.check(folder, envelope(self.payload(folder).replace(b'"version":1', b'"version":1.0'), KEY))

    def test_longer_than_64_mib(self, folder: Path) -> None:
        self.check(folder, b" " * (64 * 2**20) + b"\n")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("measure of the guarantee alone", "an amount in rho"),
        ("measure of the account alone", "the measure of the guarantee is not that of the account"),
        ("a cost in another unit", "an amount in mu2"),
        ("a sum in another unit", "an amount in mu2"),
        ("a cap in another unit", "an amount in mu2"),
        ("discrete Gaussian in Gaussian DP", "its cost is not what its noise calls for"),
        ("Laplace noise in Gaussian DP", "its cost is not what its noise calls for"),
        ("a cheaper formula", "its cost is not what its noise calls for"),
        ("weight too small", "its squared sensitivity is 16777216"),
        ("fewer candidates", f"its squared sensitivity is {225 * 2048**2}"),
        ("sensitivity of scores in L1", f"its squared sensitivity is {226 * 2048**2}"),
        ("scores at the price of one", "its cost is not what its noise calls for"),
        ("scores at the price of one, said so", f"its squared sensitivity is {226 * 2048**2}"),
        ("a residual as a marginal", "its squared sensitivity is 4"),
        ("a marginal as a residual", "its squared sensitivity is 48"),
        ("a residual of other cells", "its squared sensitivity is 96"),
        ("cap converted as rho", "the cap is above the account's policy"),
        ("delta 0", "what was reserved does not give the epsilon claimed"),
    ],
)
def test_the_reason_is_said(name: str, said: str, tmp_path: Path) -> None:
    folder = build_release(tmp_path / "release")
    forge(folder, TOTALS[name])
    assert any(said in failure for failure in verify(folder).failures), verify(folder).failures


@pytest.mark.parametrize(
    ("measure", "law"),
    [
        ("gdp", {"type": "discrete_laplace", "scale": "80"}),
        ("zcdp", {"type": "discrete_laplace", "scale": "80"}),
        ("pure", {"type": "rounded_gaussian", "sigma": "80"}),
        ("pure", {"type": "discrete_gaussian", "sigma": "80"}),
    ],
)
@pytest.mark.parametrize("kind", ["measure", "score"])
def test_no_price_buys_a_law_that_the_measure_does_not_cover(
    kind: str, measure: Measure, law: Any, tmp_path: Path
) -> None:
    folder = build_release(tmp_path / "release", measure=measure)
    forge(folder, line(kind, "mechanism", to=law))
    verdict = verify(folder)
    assert verdict.exit_code == 22
    assert any("its cost is not what its noise calls for" in failure for failure in verdict.failures)


def test_the_rounded_gaussian_is_priced_in_zcdp_too(tmp_path: Path) -> None:
    folder = build_release(tmp_path / "release", measure="zcdp")
    forge(folder, line("measure", "mechanism", "type", to="rounded_gaussian"))
    assert verify(folder).failures == ()
    forge(folder, line("score", "mechanism", "type", to="rounded_gaussian"))
    assert verify(folder).failures == ()


def test_a_pure_residual_has_no_price(tmp_path: Path) -> None:
    folder = build_release(tmp_path / "release", measure="pure")
    forge(folder, line("measure", "query", "basis", to="residual", number=4))
    assert verify(folder).exit_code == 22
