"""Releases for a workload of each kind: told to people, signed and rebuilt."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dpsynth.mechanisms import Workload
from dpsynth.privacy import Budget
from dpsynth.release import Plan, run_file, verify, workload_told
from dpsynth.release.words import outside, rows_told
from dpsynth.schema import Schema
from tests.desk import SCHEMA, Desk, call


@pytest.mark.parametrize(
    ("mechanism", "lines", "told"),
    [
        ("mrm", "ways = 3", "all marginals of 3 columns"),
        ("aim", "ways = 3", "all marginals of 3 columns"),
        (
            "mrm",
            'target = "smokes"',
            "all marginals of 2 columns; smokes is to be predicted and counts 4 times",
        ),
        ("mrm", "columns = {income = 3}", "all marginals of 2 columns; income counts 3 times"),
        (
            "aim",
            'marginals = [{columns = ["sex", "smokes"], weight = 2}, {columns = ["age"]}]',
            "2 marginals: sex × smokes (2 times), age",
        ),
    ],
)
def test_a_workload_is_told_signed_and_rebuilt(desk: Desk, mechanism: str, lines: str, told: str) -> None:
    path = desk.release(mechanism=mechanism, more=f"[mechanism.workload]\n{lines}")
    planned = call("plan", path)
    assert f"workload: {told}\n" in planned.stdout
    published = run_file(path, desk.folder / "out")
    assert workload_told(published.release.plan) == told
    assert (published.folder / "report.html").read_text().count(told) >= 2
    verdict = verify(published.folder, rebuild=True)
    assert verdict.ok, verdict.failures


def test_what_heeds_no_workload_tells_none() -> None:
    plan = Plan("first", Schema.parse(SCHEMA), "mst", Budget("1", "1e-9"))
    assert workload_told(plan) == ""


def test_a_long_workload_is_told_in_part() -> None:
    listed = tuple((("sex", "age"), weight) for weight in range(1, 12))
    plan = Plan("first", Schema.parse(SCHEMA), "mrm", Budget("1", "1e-9"), workload=Workload(marginals=listed))
    assert workload_told(plan).startswith("11 marginals: sex × age, sex × age (2 times), ")
    assert workload_told(plan).endswith("sex × age (8 times) and 3 more")


def test_noise_of_opendp_says_whose_generator_it_reads(desk: Desk) -> None:
    release = run_file(desk.release(mechanism="independent"), desk.folder / "out").release
    assert not any("OpenSSL" in thing for thing in outside(release))
    for plan in (
        replace(release.plan, budget=Budget("1", 0), measure="pure"),
        replace(release.plan, measure="zcdp", noise="opendp"),
    ):
        assert any("OpenSSL" in thing for thing in outside(replace(release, plan=plan)))


@pytest.mark.parametrize(
    ("unit", "rows", "told"),
    [
        ("", None, "noisy total"),
        ('neighbours = "replace-one"\n', None, "public total"),
        ('neighbours = "replace-one"\ncolumn = "note"\n', None, "noisy total"),
        ('neighbours = "replace-one"\n', 20, "given"),
    ],
)
def test_a_number_of_rows_that_is_public_is_not_called_noisy(unit: str, rows: int | None, told: str) -> None:
    schema = Schema.parse(SCHEMA.replace("[unit]\n", f"[unit]\n{unit}"))
    assert rows_told(Plan("first", schema, "mst", Budget("1", "1e-9"), rows)) == told
