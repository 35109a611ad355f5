"""A survey with weights, from the table to the signed ledger: the synthetic rows stand for the whole population."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dpsynth.errors import SchemaError, SourceError
from dpsynth.ledger import SigningKey, parse
from dpsynth.privacy import Budget
from dpsynth.release import Plan, preview, synthesize, verify
from dpsynth.schema import Schema

UNIT = 'weight = "w"\nmax_weight = 40.0\nweight_origin = "design"\n'
COLUMNS = """
[columns.region]
type = "categorical"
values = ["north", "south"]
[columns.age]
type = "integer"
min = 0
max = 99
"""
ROWS = 4000


def schema_of(unit: str = UNIT) -> Schema:
    return Schema.parse(f"[unit]\n{unit}{COLUMNS}")


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    """Few southerners were asked, each standing for 40; many northerners, each for 10."""
    draw = np.random.default_rng(5)
    south = draw.random(ROWS) < 0.2
    ages = np.where(south, 70, 30) + draw.integers(-9, 10, ROWS)
    frame = pd.DataFrame({"region": np.where(south, "south", "north"), "age": ages, "w": np.where(south, 40.0, 10.0)})
    frame.to_csv(tmp_path / "survey.csv", index=False)
    return tmp_path / "survey.csv"


def test_the_rows_stand_for_the_population_and_the_ledger_says_what_a_row_counts(survey: Path, tmp_path: Path) -> None:
    release = synthesize(survey, schema=schema_of(), epsilon="10", delta="1e-9")
    private = pd.read_csv(survey)
    population = private["w"].sum()
    assert release.rows == pytest.approx(population, rel=0.02)
    made = release.to_arrow().to_pandas()
    share = private.loc[private["region"] == "south", "w"].sum() / population
    assert (made["region"] == "south").mean() == pytest.approx(share, abs=0.02)
    assert made.loc[made["region"] == "south", "age"].mean() == pytest.approx(70, abs=3)

    release.save(tmp_path / "out", SigningKey.generate())
    verdict = verify(tmp_path / "out", rebuild=True)
    assert verdict.exit_code == 0, verdict.failures
    assert any("counted with weights of up to 64 units" in note for note in verdict.notes)
    measured = [parse(line).fields for line in release.lines if parse(line).kind == "measure"]
    assert {fields["unit"]["weight_units"] for fields in measured} == {64}
    assert all(Fraction(fields["sensitivity_squared"]) % 64**2 == 0 for fields in measured)
    assert "column &#39;w&#39;" in (tmp_path / "out" / "report.html").read_text()


def test_the_plan_tells_the_noise_in_people() -> None:
    def noise(schema: Schema) -> float:
        plan = Plan("r", schema, "independent", Budget("1", "1e-9"))
        return preview(plan)[0].scale

    assert noise(schema_of()) == pytest.approx(40 * noise(schema_of("")), rel=1e-9)


@pytest.mark.parametrize("origin", ["raked", "calibrated", "post-stratified"])
def test_weights_that_depend_on_other_records_are_refused_with_the_reason(origin: str) -> None:
    with pytest.raises(SchemaError, match="depend on the other records"):
        schema_of(UNIT.replace("design", origin))


@pytest.mark.parametrize(
    ("unit", "words"),
    [
        ('weight = "w"\nmax_weight = 3.0\n', "weight_origin"),
        ('weight = "w"\nweight_origin = "design"\n', "max_weight"),
        ("max_weight = 3.0\n", "need weight"),
        (UNIT.replace("40.0", "0.0"), "max_weight"),
        (UNIT.replace('"w"', '"age"'), "is the weight of the unit"),
        (UNIT + 'column = "w"\n', "same column"),
    ],
)
def test_wrong_declarations(unit: str, words: str) -> None:
    with pytest.raises(SchemaError, match=words):
        schema_of(unit)


def test_round_trip_and_digest() -> None:
    schema = schema_of()
    assert Schema.parse(schema.to_toml()) == schema
    assert schema != schema_of("")


def test_the_column_of_the_weights_must_be_there(survey: Path) -> None:
    with pytest.raises(SourceError, match="'weights'"):
        synthesize(survey, schema=schema_of(UNIT.replace('"w"', '"weights"')), epsilon="1", delta="1e-9")
    assert not (survey.parent / "survey.csv.dpsynth.db").exists()
