"""The verifier's own numbers: conversion, sensitivities, costs."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dpsynth import verifier
from dpsynth.privacy import epsilon_of_rho
from dpsynth.verifier import cost_rho, decimal, epsilon_of, log_bounds, main, sensitivity_squared, within

PUBLIC_DELTA = Fraction(1, 10**10)


def at_order(rho: Fraction, delta: Fraction, alpha: float) -> float:
    """Proposition 12 of Canonne, Kamath, Steinke in floating point."""
    inverse = math.log(delta.denominator) - math.log(delta.numerator)
    return alpha * float(rho) + math.log1p(-1 / alpha) + (inverse - math.log(alpha)) / (alpha - 1)


class TestConversion:
    def test_census_persons(self) -> None:
        epsilon = epsilon_of(Fraction(293764, 114921), PUBLIC_DELTA)
        assert Fraction("17.1435507387") < epsilon
        assert f"{float(epsilon):.10f}" == "17.1435507436"

    def test_census_housing(self) -> None:
        epsilon = epsilon_of(Fraction(11417641, 152349649), PUBLIC_DELTA)
        assert Fraction("2.4746710062") < epsilon
        assert f"{float(epsilon):.8f}" == "2.47467107"

    def test_nothing_costs_nothing(self) -> None:
        assert epsilon_of(Fraction(0), Fraction(1, 2)) == 0
        assert epsilon_of(Fraction(1, 10**20), Fraction(1, 10**9)) == 0

    @settings(max_examples=60, deadline=None)
    @given(st.fractions(Fraction(1, 10**9), 1000), st.integers(1, 30), st.floats(-9, 9))
    @example(Fraction(1, 10**12), 9, 0.0)
    @example(Fraction(10**6), 9, 0.0)
    def test_no_order_does_better_and_none_is_needed_to_be_safe(
        self, rho: Fraction, digits: int, exponent: float
    ) -> None:
        delta = Fraction(1, 10**digits)
        epsilon = float(epsilon_of(rho, delta))
        other = at_order(rho, delta, 1 + 10**exponent)
        assert epsilon <= max(0.0, other) * (1 + 1e-9) + 1e-6 * max(1.0, float(rho))
        best = min(at_order(rho, delta, 1 + 10 ** (step / 20)) for step in range(-140, 300))
        assert epsilon == pytest.approx(max(0.0, best), rel=2e-2, abs=2e-2)

    @settings(max_examples=60, deadline=None)
    @given(st.fractions(Fraction(1, 10**12), 10**6), st.integers(1, 30))
    @example(Fraction(1, 10**12), 1)
    @example(Fraction(10**6), 30)
    def test_the_engine_rounds_up_the_same_number(self, rho: Fraction, digits: int) -> None:
        """Two implementations that share no line: the engine's is a multiple of 10^-18, never below."""
        ours, theirs = epsilon_of(rho, Fraction(1, 10**digits)), epsilon_of_rho(rho, Fraction(1, 10**digits))
        assert -Fraction(1, 10**20) <= theirs - ours <= Fraction(1, 10**18)

    @settings(max_examples=60, deadline=None)
    @given(st.fractions(Fraction(1, 10**30), 10**30).filter(bool))
    def test_logarithms_are_bounded_from_both_sides(self, x: Fraction) -> None:
        below, above = log_bounds(x)
        assert below < above
        assert above - below < Fraction(1, 10**55)
        assert float(below) == pytest.approx(math.log(x.numerator) - math.log(x.denominator), rel=1e-9, abs=1e-9)

    def test_absurd_amounts_are_still_bounded(self) -> None:
        for rho in (Fraction(10**400), Fraction(1, 10**400), Fraction(3, 7) * 10**50):
            assert epsilon_of(rho, Fraction(1, 10**300)) >= 0
        assert epsilon_of(Fraction(10**400), Fraction(1, 10**9)) >= 10**400

    def test_tolerance_is_one_sided(self) -> None:
        third = Fraction(1, 3)
        assert within("1/3", third)
        assert within(str(third + Fraction(1, 2**50)), third)
        assert not within(str(third + Fraction(1, 2**49)), third)
        assert not within(str(third - Fraction(1, 2**80)), third)
        assert not within("1", math.inf)


class TestCommand:
    @pytest.mark.parametrize(
        ("rho", "printed"),
        [("293764/114921", "17.143550743595"), ("11417641/152349649", "2.474671065034")],
    )
    def test_convert(self, rho: str, printed: str, capfd: pytest.CaptureFixture[str]) -> None:
        assert main(["convert", "--rho", rho, "--delta", "1e-10"]) == 0
        assert capfd.readouterr().out.startswith(f"epsilon {printed}")

    def test_convert_to_json(self, capfd: pytest.CaptureFixture[str]) -> None:
        assert main(["convert", "--rho", "0.5", "--delta", "1/1000000000", "--json"]) == 0
        found = json.loads(capfd.readouterr().out)
        assert found["rho"] == "1/2"
        assert found["epsilon"].startswith("6.47")

    @pytest.mark.parametrize(
        "arguments",
        [
            ["convert"],
            ["convert", "--rho", "1/0", "--delta", "1e-9"],
            ["convert", "--rho", "nan", "--delta", "1e-9"],
            ["convert", "--rho", "-1", "--delta", "1e-9"],
            ["convert", "--rho", "1", "--delta", "0"],
            ["convert", "--rho", "1", "--delta", "1"],
            ["nowhere"],
            [".", "--rho", "1"],
            [],
        ],
    )
    def test_wrong_use_is_2(self, arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 2

    def test_decimals_round_up(self) -> None:
        assert decimal(Fraction(1, 3)) == "0.333334"
        assert decimal(Fraction(2)) == "2"
        assert decimal(Fraction(0)) == "0"
        assert decimal(Fraction(1, 10**9)) == "0.000001"


def asked(kind: str, rows: int, neighbours: str, column: str | None, columns: list[str]) -> dict[str, Any]:
    return {
        "kind": kind,
        "unit": {"entity": "person", "column": column, "max_rows": rows},
        "neighbours": neighbours,
        "query": {"columns": columns},
    }


class TestTable:
    """The table of sensitivities, written out once more."""

    @pytest.mark.parametrize(
        ("neighbours", "column", "columns", "squared"),
        [
            ("add-remove", "id", [], 9),
            ("add-remove", "id", ["a"], 9),
            ("add-remove", "id", ["a", "b"], 9),
            ("replace-one", "id", [], 9),
            ("replace-one", "id", ["a"], 18),
        ],
    )
    def test_three_rows(self, neighbours: str, column: str, columns: list[str], squared: int) -> None:
        assert sensitivity_squared(asked("measure", 3, neighbours, column, columns)) == squared

    def test_single_rows(self) -> None:
        assert sensitivity_squared(asked("measure", 1, "replace-one", None, [])) == 0
        assert sensitivity_squared(asked("measure", 1, "replace-one", "id", [])) == 1  # a person may have no row
        assert sensitivity_squared(asked("measure", 1, "add-remove", None, [])) == 1
        assert sensitivity_squared(asked("measure", 1, "replace-one", None, ["a"])) == 2

    def test_scores(self) -> None:
        assert sensitivity_squared(asked("select", 1, "add-remove", None, [])) == 1024**2
        assert sensitivity_squared(asked("select", 3, "replace-one", "id", [])) == (1024 * 6) ** 2

    def test_costs(self) -> None:
        noise = {"mechanism": {"type": "discrete_gaussian", "sigma": "20"}}
        assert cost_rho(noise, Fraction(1)) == Fraction(1, 800)
        choice = {"mechanism": {"type": "exponential", "scale": "20480", "picks": 3, "rule": "distinct"}}
        assert cost_rho(choice, Fraction(1024**2)) == Fraction(3, 800)
        free = {"mechanism": {"type": "public_count"}}
        assert cost_rho(free, Fraction(0)) == 0
        assert cost_rho(free, Fraction(1)) is None

    @pytest.mark.parametrize("rows", [1, 2])
    @pytest.mark.parametrize("neighbours", ["add-remove", "replace-one"])
    def test_no_pair_of_neighbours_moves_a_count_further(self, rows: int, neighbours: str) -> None:
        """Brute force: every way to give one entity its rows, before and after, on a table of three cells."""
        cells = range(3)
        tables = [[0, 0, 0]]
        for _ in range(rows):
            tables += [[n + (i == cell) for i, n in enumerate(t)] for t in tables for cell in cells]
        others = [[0, 0, 0]] if neighbours == "add-remove" else tables
        moved = [[a - b for a, b in zip(one, other, strict=True)] for one in tables for other in others]
        column = "id" if rows > 1 else None
        marginal = sensitivity_squared(asked("measure", rows, neighbours, column, ["a"]))
        assert max(sum(d * d for d in change) for change in moved) == marginal
        score = sensitivity_squared(asked("select", rows, neighbours, column, [])) / 1024**2
        assert max(sum(abs(d) for d in change) for change in moved) ** 2 == score
        if column:
            total = sensitivity_squared(asked("measure", rows, neighbours, column, []))
            assert max(sum(change) ** 2 for change in moved) == total


def test_long_sums_are_kept_short_from_above() -> None:
    assert 2467 <= verifier.MAX_NUMBER < 4300  # the ledger writes 8192 bits above and below the line; Python reads 4300
