"""What a plan prices, and what it refuses, before a row is read."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import pi
from typing import Any

import pytest

from dpsynth.errors import BudgetFormatError, ConfigurationError
from dpsynth.ledger import cost_of, parse
from dpsynth.measurement import LATTICE, TOTAL, NoisyMarginal
from dpsynth.mechanisms import REGISTRY, Workload
from dpsynth.privacy import Budget
from dpsynth.release import Plan, errors_by_size, largest_model, preview, run_file
from dpsynth.release.planned import SIZES
from dpsynth.schema import Schema
from tests.desk import SCHEMA, Desk, call

ROWS = Schema.parse(SCHEMA)
PUBLIC = Schema.parse(SCHEMA.replace("[unit]\n", '[unit]\nneighbours = "replace-one"\n'))
NAMED = Schema.parse(SCHEMA.replace("[unit]\n", '[unit]\nneighbours = "replace-one"\ncolumn = "id"\nmax_rows = 3\n'))


def planned(schema: Schema = ROWS, epsilon: str = "1", mechanism: str = "mst", **more: Any) -> Plan:
    delta = "0" if more.get("measure") == "pure" else "1e-6"
    return Plan("first", schema, mechanism, Budget(epsilon=epsilon, delta=delta), **more)


@pytest.mark.parametrize("schema", [ROWS, NAMED])
def test_a_total_that_is_mere_noise_is_no_number_of_rows(schema: Schema) -> None:
    with pytest.raises(ConfigurationError, match=r"above 1,000,000: give \[release\] rows"):
        preview(planned(schema, "1e-8", measure="pure", mechanism="independent"))
    assert preview(planned(schema, "1e-8", measure="pure", mechanism="independent", rows=50))


def test_a_total_that_is_public_has_no_noise() -> None:
    plan = planned(PUBLIC, "1e-8", measure="pure", mechanism="independent")
    total = preview(plan)[0]
    assert (total.what, total.share, total.scale, total.misplaced) == ("total", 0, 0, 0)


def test_it_is_refused_before_anything_is_spent(desk: Desk) -> None:
    path = desk.release(epsilon="1e-8", delta="0", budget='measure = "pure"', mechanism="independent")
    for words in (("plan", path), ("run", path, "--out", desk.folder / "out")):
        refused = call(*words)
        assert refused.exit_code == 2
        assert "[release] rows" in refused.stderr
    assert not list(desk.folder.glob("*.db"))
    assert not (desk.folder / "out").exists()


@pytest.mark.parametrize("mechanism", sorted(REGISTRY))
@pytest.mark.parametrize("schema", [ROWS, PUBLIC, NAMED])
def test_the_shares_are_all_of_the_budget(schema: Schema, mechanism: str) -> None:
    assert sum(line.share for line in preview(planned(schema, mechanism=mechanism))) == 1


@pytest.mark.parametrize("unit", ["", 'neighbours = "replace-one"', 'neighbours = "replace-one"\ncolumn = "note"'])
def test_the_planned_noise_of_the_first_queries_is_that_of_the_run(desk: Desk, unit: str) -> None:
    schema = desk.folder / "schema.toml"
    schema.write_text(SCHEMA.replace("[unit]\n", f"[unit]\n{unit}\n"))
    release = run_file(desk.release(more="rows = 20"), desk.folder / "out").release
    drawn = [float(answer.sigma) for answer in release.answers if isinstance(answer, NoisyMarginal)]
    assert isinstance(release.answers[0], NoisyMarginal)
    assert release.answers[0].query == TOTAL
    assert [line.scale for line in preview(release.plan)][:5] == pytest.approx(drawn[:5])


@pytest.mark.parametrize("mechanism", sorted(set(REGISTRY) - {"independent"}))
def test_the_errors_told_by_size_are_those_of_a_table_at_its_likely_price(desk: Desk, mechanism: str) -> None:
    release = run_file(desk.release(mechanism=mechanism, epsilon="9"), desk.folder / "out").release
    plan = release.plan
    last = plan.algorithm().plan(plan.domain, plan.levels)[-1]
    sigma = (float(plan.cost.amount * last.share) / (last.likely or last.count)) ** -0.5
    told = dict(errors_by_size(plan))
    assert told == {cells: pytest.approx(cells * sigma / (2 * pi) ** 0.5) for cells in SIZES if cells <= last.cells}
    assert told
    joint = [a.sigma for a in release.answers if isinstance(a, NoisyMarginal) and len(a.query.columns) > 1]
    if last.likely is None:
        assert joint == [pytest.approx(sigma, rel=1e-6)] * len(joint)


@pytest.mark.parametrize(("mechanism", "cells"), [("independent", 3 + 5 + 2), ("mrm", 3 * 5 * 2)])
def test_the_largest_model_told_holds_all_columns_or_each(mechanism: str, cells: int) -> None:
    columns = (f'[columns.x{size}]\ntype = "integer"\nmin = 1\nmax = {size}\nbins = {size}\n' for size in (3, 5, 2))
    assert largest_model(planned(Schema.parse("".join(columns)), mechanism=mechanism)) == cells


def test_choices_and_scores_that_cannot_be_bought_are_refused() -> None:
    """Choices are drawn in units of 1/1024 row: the price that still buys a table may not buy them."""
    bought = preview(planned(epsilon="1e-12", measure="pure", mechanism="independent", rows=5))
    assert max(line.scale for line in bought) < 2**60
    for mechanism, measure, epsilon in (("mst", "pure", "1e-14"), ("mrm", "pure", "1e-13")):
        with pytest.raises(BudgetFormatError, match="64-bit"):
            preview(planned(epsilon=epsilon, measure=measure, mechanism=mechanism, rows=5))


@pytest.mark.parametrize(("measure", "epsilon"), [("gdp", "30"), ("zcdp", "30"), ("pure", "200")])
@pytest.mark.parametrize("workload", ["columns = {income = 3}", 'ways = 3\ntarget = "smokes"', "ways = 2"])
def test_the_planned_noise_of_a_weighted_choice_is_that_of_the_run(
    desk: Desk, measure: str, epsilon: str, workload: str
) -> None:
    """The ledger's scale is of the score in lattice units, of the heaviest candidate; all choices cost one share."""
    path = desk.release(
        mechanism="aim",
        epsilon=epsilon,
        delta="0" if measure == "pure" else "1e-6",
        budget=f'measure = "{measure}"',
        more=f"[mechanism.workload]\n{workload}",
    )
    release = run_file(path, desk.folder / "out").release
    plan = release.plan
    (step,) = (step for step in plan.algorithm().plan(plan.domain, plan.levels) if step.verb == "select")
    (line,) = (line for line in preview(plan) if line.what.startswith("choose"))
    chosen = [entry.fields for text in release.lines if (entry := parse(text)).kind == "select"]
    assert step.weight > 1
    assert {fields["query"]["weight"] for fields in chosen} == {step.weight}
    scale = Fraction(chosen[0]["mechanism"]["scale"]) / (LATTICE * step.weight)
    assert line.scale == pytest.approx(pi / 6**0.5 * float(scale))
    paid, planned = sum(cost_of(fields["cost"]).amount for fields in chosen), plan.cost.amount * line.share
    assert planned * (1 - Fraction(1, 10**9)) < paid <= planned


def test_heavy_candidates_are_priced_by_their_weight() -> None:
    light = planned(epsilon="5e-12", measure="pure", mechanism="aim", rows=5)
    assert preview(light)
    with pytest.raises(BudgetFormatError, match="64-bit"):
        preview(replace(light, workload=Workload(columns=(("income", 5),))))


def test_scores_are_told_in_people() -> None:
    plan = planned(mechanism="mrm", measure="pure")
    (line,) = (line for line in preview(plan) if line.what.endswith("distances"))
    scores = int(line.what.split()[2].replace(",", ""))
    assert line.scale == pytest.approx(2**0.5 * scores / float(plan.cost.amount * line.share))
