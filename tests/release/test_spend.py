"""What a whole run costs, recomputed from its ledger: never above the budget, and all of it but a millionth."""

from __future__ import annotations

import json
import random
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dpsynth.accountant import Accountant
from dpsynth.errors import BudgetRefused
from dpsynth.mechanisms import REGISTRY, Workload
from dpsynth.mechanisms.registry import HEEDING
from dpsynth.privacy import MEASURES, UNITS, Budget, Measure
from dpsynth.release import synthesize
from dpsynth.release.config import NoiseKind
from dpsynth.schema import Schema
from dpsynth.verifier import cost_of, sensitivity_squared
from tests.curator.bench import quick_folder
from tests.desk import SCHEMA, people

LEFT = Fraction(1, 10**6)
NAMES = ("sex", "age", "income", "smokes")
weights = st.integers(1, 1000)
columns = st.lists(st.tuples(st.sampled_from(NAMES), weights), max_size=2, unique_by=lambda held: held[0]).map(tuple)
listed = st.tuples(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True).map(tuple), weights)
workloads = st.builds(
    Workload,
    ways=st.integers(1, 3),
    marginals=st.just(()) | st.lists(listed, min_size=1, max_size=4).map(tuple),
    columns=columns,
    target=st.none() | st.sampled_from(NAMES),
)
LAWS: list[tuple[Measure, NoiseKind]] = [*((measure, "exact") for measure in MEASURES), ("zcdp", "opendp")]


def schema(neighbours: str, max_rows: int, column: bool) -> Schema:
    unit = f'neighbours = "{neighbours}"' + (f'\ncolumn = "id"\nmax_rows = {max_rows}' if column else "")
    return Schema.parse(SCHEMA.replace('entity = "person"', f'entity = "person"\n{unit}'))


def table() -> str:
    """Three hundred rows of some hundred people."""
    rng = random.Random(1)
    head, *rows = people(300).strip().split("\n")
    return "\n".join([f"id,{head}", *(f"{rng.randrange(120)},{row}" for row in rows)]) + "\n"


def recomputed(line: dict[str, Any], measure: Measure) -> Fraction:
    """The price of an entry by the verifier's table, from its mechanism, query and unit alone."""
    price = cost_of(line, sensitivity_squared(line), measure)
    assert price is not None
    return price


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    mechanism=st.sampled_from(sorted(REGISTRY)),
    workload=workloads,
    law=st.sampled_from(LAWS),
    epsilon=st.fractions(Fraction(1, 20), 20, max_denominator=1000),
    max_rows=st.integers(1, 4),
    neighbours=st.sampled_from(["add-remove", "replace-one"]),
    column=st.booleans(),
)
@example("mrm", Workload(), ("gdp", "exact"), Fraction(1), 1, "replace-one", False)
@example("mrm", Workload(), ("pure", "exact"), Fraction(1), 3, "add-remove", True)
@example("mst", Workload(), ("zcdp", "exact"), Fraction(1, 3), 2, "replace-one", True)
@example(
    "aim", Workload(columns=(("age", 999),), target="sex"), ("zcdp", "opendp"), Fraction(9), 1, "add-remove", False
)
def test_a_run_spends_its_budget_and_no_more(
    mechanism: str,
    workload: Workload,
    law: tuple[Measure, NoiseKind],
    epsilon: Fraction,
    max_rows: int,
    neighbours: str,
    column: bool,
) -> None:
    measure, noise = law
    with quick_folder() as folder:
        source = folder / "people.csv"
        source.write_text(table())
        release = synthesize(
            source,
            schema=schema(neighbours, max_rows, column),
            epsilon=epsilon,
            delta="0" if measure == "pure" else "1e-9",
            measure=measure,
            noise=noise,
            mechanism=mechanism,
            workload=workload if mechanism in HEEDING else None,
        )
    lines = [json.loads(line) for line in release.lines]
    charges = [line for line in lines if "cost" in line]
    laws = {line["mechanism"]["type"] for line in charges if line["kind"] in ("measure", "score")} - {"public_count"}
    drawn = (
        "discrete_laplace" if measure == "pure" else "discrete_gaussian" if noise == "opendp" else "rounded_gaussian"
    )
    assert laws == {drawn}
    stated = [Fraction(line["cost"][UNITS[measure]]) for line in charges]
    assert stated == [recomputed(line, measure) for line in charges]
    reserved = Budget(epsilon, "0" if measure == "pure" else "1e-9").cost(measure)
    assert release.plan.cost == reserved
    assert (1 - LEFT) * reserved.amount < sum(stated) <= reserved.amount


@pytest.mark.parametrize("measure", MEASURES)
def test_half_a_budget_can_be_spent_twice_and_not_three_times(measure: Measure) -> None:
    """Two releases from one account, each for nearly half of the amount of its cap."""
    delta = "0" if measure == "pure" else "1e-9"
    half = {"gdp": "0.65", "zcdp": "0.65", "pure": "0.5"}[measure]
    with quick_folder() as folder:
        source, store = folder / "people.csv", folder / "accounts.db"
        source.write_text(table())
        with Accountant.open(store, create=True) as accountant:
            accountant.open_account(
                "a", entity="person", neighbours="add-remove", budget=Budget("1", delta), measure=measure
            )
        terms: dict[str, Any] = {
            "schema": schema("add-remove", 1, False),
            "epsilon": half,
            "delta": delta,
            "measure": measure,
            "mechanism": "independent",
            "account": "a",
            "store": store,
        }
        for seed in (1, 2):
            synthesize(source, **terms, seed=seed)
        with pytest.raises(BudgetRefused, match=f"asked {UNITS[measure]} "):
            synthesize(source, **terms, seed=3)
        with Accountant.open(store) as accountant:
            account = accountant.account("a")
            assert account.held.fits(account.cap)
            assert account.held.amount > account.cap.amount * Fraction(8, 10)
