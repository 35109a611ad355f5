"""Values found privately, as the verifier reckons them: its own threshold, sensitivity and sum of delta."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.evidence import Report
from dpsynth.ledger import canonical
from dpsynth.privacy import Measure, threshold
from dpsynth.release import synthesize
from dpsynth.release.check import read_statement
from dpsynth.release.config import NoiseKind
from dpsynth.schema import Schema
from dpsynth.verifier import check_ledger, hides, verify

Json = dict[str, Any]
Change = Callable[[Json, list[Json]], object]

SCHEMA = """
[unit]
entity = "person"
column = "id"
max_rows = 2
neighbours = "{}"
[columns.town]
type = "categorical"
values = "private"
[columns.shop]
type = "categorical"
values = "private"
nullable = true
"""
LAWS: list[tuple[Measure, NoiseKind, str]] = [
    ("gdp", "exact", "add-remove"),
    ("gdp", "exact", "replace-one"),
    ("zcdp", "exact", "add-remove"),
    ("zcdp", "opendp", "add-remove"),
]


def make(folder: Path, measure: Measure = "gdp", noise: NoiseKind = "exact", neighbours: str = "add-remove") -> Path:
    rows = "".join(f"{i // 2},{'ulm' if i % 3 else 'bonn'},{'abc'[i % 3]}{i % 40}\n" for i in range(4000))
    (folder / "people.csv").write_text("id,town,shop\n" + rows)
    made = synthesize(
        folder / "people.csv",
        schema=Schema.parse(SCHEMA.format(neighbours)),
        epsilon="2",
        delta="1e-6",
        measure=measure,
        noise=noise,
        mechanism="independent",
    )
    return made.save(folder / "release")


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Json:
    return dict(read_statement(make(tmp_path_factory.mktemp("found"))).predicate)


def checked(ledger: Json, change: Change) -> list[str]:
    """What the verifier says against a ledger of which some values were changed."""
    forged = copy.deepcopy(ledger)
    entries = [json.loads(line) for line in forged["entries"]]
    change(forged, entries)
    forged["entries"] = [canonical(entry).decode() for entry in entries]
    report = Report()
    check_ledger(forged, report)
    return [message for _, message in report.failures]


def found(entries: list[Json], number: int = 0) -> Json:
    return [entry for entry in entries if entry["kind"] == "partitions"][number]


@pytest.mark.parametrize(("measure", "noise", "neighbours"), LAWS)
def test_an_honest_release_passes(tmp_path: Path, measure: Measure, noise: NoiseKind, neighbours: str) -> None:
    folder = make(tmp_path, measure, noise, neighbours)
    verdict = verify(folder)
    assert verdict.ok, verdict.failures
    (told,) = [note for note in verdict.notes if "columns with values found privately: 2" in note]
    assert "/" not in told and "delta 0." in told
    predicate = read_statement(folder).predicate
    entry = found([json.loads(line) for line in predicate["entries"]])
    assert entry["sensitivity_squared"] == ("2" if neighbours == "add-remove" else "4")
    each = Fraction(entry["mechanism"]["delta"])
    aside = Fraction(predicate["guarantee"]["reserved"]["delta"])
    assert 0 <= aside - Fraction(1, 10**7) < Fraction(1, 2**60)
    assert 0 <= aside - 2 * each < Fraction(2, 2**60)


def lower(ledger: Json, entries: list[Json]) -> None:
    found(entries)["mechanism"]["threshold"] -= 1


def lower_delta(ledger: Json, entries: list[Json]) -> None:
    """A smaller delta than the threshold hides, consistently everywhere."""
    small = Fraction(1, 10**9)
    for number in (0, 1):
        entry = found(entries, number)
        entry["mechanism"]["delta"] = entry["cost"]["delta"] = str(small)
    for entry in entries:
        if "running" in entry:
            before = [one for one in entries if one["kind"] == "partitions" and one["seq"] <= entry["seq"]]
            entry["running"]["spent"]["delta"] = str(small * len(before))
        if entry["kind"] == "settle":
            entry["spent"]["delta"] = str(2 * small)


def unpaid(ledger: Json, entries: list[Json]) -> None:
    found(entries)["cost"]["delta"] = "0"


def not_summed(ledger: Json, entries: list[Json]) -> None:
    second = found(entries, 1)
    second["running"]["spent"]["delta"] = second["cost"]["delta"]


def forgotten(ledger: Json, entries: list[Json]) -> None:
    entries[-1]["spent"]["delta"] = "0"


def not_reserved(ledger: Json, entries: list[Json]) -> None:
    ledger["guarantee"]["reserved"]["delta"] = "0"
    for entry in entries:
        if entry["kind"] in ("reserve", "settle"):
            entry["reserved"]["delta"] = "0"


def half_reserved(ledger: Json, entries: list[Json]) -> None:
    half = found(entries)["cost"]["delta"]
    ledger["guarantee"]["reserved"]["delta"] = half
    for entry in entries:
        if entry["kind"] in ("reserve", "settle"):
            entry["reserved"]["delta"] = half


def fewer_rows(ledger: Json, entries: list[Json]) -> None:
    """The values of one row are hidden, and the entity has two."""
    found(entries)["unit"]["max_rows"] = 1


def more_rows(ledger: Json, entries: list[Json]) -> None:
    """All say that an entity has fifty rows: neither the threshold nor the price is one for that."""
    ledger["guarantee"]["max_rows"] = 50
    for entry in entries:
        if "unit" in entry:
            entry["unit"]["max_rows"] = 50


def less_noise(ledger: Json, entries: list[Json]) -> None:
    mechanism = found(entries)["mechanism"]
    mechanism["sigma"] = str(Fraction(mechanism["sigma"]) / 2)


def other_law(ledger: Json, entries: list[Json]) -> None:
    found(entries)["mechanism"]["type"] = "discrete_gaussian"


def without_threshold(ledger: Json, entries: list[Json]) -> None:
    del found(entries)["mechanism"]["threshold"]


def labelled(ledger: Json, entries: list[Json]) -> None:
    found(entries)["query"]["values"] = ["ulm"]


def as_a_marginal(ledger: Json, entries: list[Json]) -> None:
    found(entries)["kind"] = "measure"


def thresholded_marginal(ledger: Json, entries: list[Json]) -> None:
    entry = next(entry for entry in entries if entry["kind"] == "measure")
    entry["mechanism"] |= {"threshold": 5, "delta": "1/1000000000"}


FORGERIES: dict[Change, str] = {
    lower: "its threshold is too low",
    lower_delta: "its threshold is too low",
    unpaid: "its cost in delta is not that of its mechanism",
    not_summed: "its running sum of delta is wrong",
    forgotten: "it does not state what was spent",
    not_reserved: "the entries cost more than was reserved",
    half_reserved: "the entries cost more than was reserved",
    fewer_rows: "its unit of privacy is not that of the guarantee",
    more_rows: "its threshold is too low",
    less_noise: "its cost is not what its noise calls for",
    other_law: "its cost is not what its noise calls for",
    without_threshold: "threshold is missing",
    labelled: "query.values is missing, not known",
    as_a_marginal: "is missing, not known",
    thresholded_marginal: "is missing, not known",
}


@pytest.mark.parametrize("change", FORGERIES, ids=lambda change: change.__name__)
def test_a_forged_ledger_is_refused(ledger: Json, change: Change) -> None:
    assert checked(ledger, lambda ledger, entries: None) == []
    said = checked(ledger, change)
    assert any(FORGERIES[change] in message for message in said), said


@settings(max_examples=150, deadline=None)
@given(st.fractions(Fraction(1, 30), 10**5), st.integers(1, 500), st.fractions(Fraction(1, 10**17), Fraction(1, 20)))
def test_it_agrees_with_the_engine_by_other_arithmetic(sigma: Fraction, most: int, delta: Fraction) -> None:
    least = threshold(sigma, most, delta)
    mechanism = {"sigma": str(sigma), "delta": str(delta), "threshold": least}
    assert hides(mechanism, most)
    assert hides({**mechanism, "threshold": 2**62}, most)
    if least - 1 - Fraction(3, 2) >= sigma:
        assert not hides({**mechanism, "threshold": least - 1}, most)
    if sigma >= 10:
        assert not hides({**mechanism, "delta": str(delta / 10**6)}, most)


@pytest.mark.parametrize("delta", ["1", "2"])
def test_a_delta_that_promises_nothing_is_refused(delta: str) -> None:
    assert not hides({"sigma": "1", "delta": delta, "threshold": 100}, 1)


def test_nothing_below_one_sigma_is_a_threshold() -> None:
    assert not hides({"sigma": "10", "delta": "1/2", "threshold": 11}, 1)
    assert hides({"sigma": "10", "delta": "1/2", "threshold": 12}, 1)
