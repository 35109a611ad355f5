"""The verifier's own numbers: conversion, sensitivities, costs."""

from __future__ import annotations

import json
import math
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import mpmath
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dpsynth import evidence, verifier
from dpsynth.privacy import residual_squared
from dpsynth.privacy.conversion import epsilon_of_rho
from dpsynth.privacy.gdp import epsilon_of_gdp
from dpsynth.verifier import (
    SLACK,
    TOLERANCE,
    WIDE,
    converted,
    cost_of,
    decimal,
    epsilon_of,
    gdp_gives,
    gives,
    log_bounds,
    main,
    mills,
    quantity,
    sensitivity_squared,
)

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


def exact_mills(x: Decimal) -> mpmath.mpf:
    """exp(x^2/2) erfc(x/sqrt 2) sqrt(pi/2) with 300 digits."""
    with mpmath.workdps(300):
        point = mpmath.mpf(str(x))
        return mpmath.erfc(point / mpmath.sqrt(2)) * mpmath.sqrt(mpmath.pi / 2) * mpmath.exp(point * point / 2)


def exact_delta(mu2: Fraction, epsilon: Fraction) -> mpmath.mpf:
    """Phi(-a) - exp(epsilon) Phi(-b) with 300 digits."""
    with mpmath.workdps(300):
        mu = mpmath.sqrt(mpmath.mpf(mu2.numerator) / mu2.denominator)
        size = mpmath.mpf(epsilon.numerator) / epsilon.denominator
        a, b = size / mu - mu / 2, size / mu + mu / 2
        return mpmath.ncdf(-a) - mpmath.exp(size) * mpmath.ncdf(-b)


class TestGaussian:
    @pytest.mark.parametrize(
        "x", ["-12", "-3.7", "-1e-9", "0", "1e-30", "0.5", "1", "2.99999", "3", "3.1", "5", "12", "40"]
    )
    def test_mills_ratio_is_within_its_slack(self, x: str) -> None:
        with localcontext(WIDE):
            found = mills(Decimal(x))
        with mpmath.workdps(300):
            assert abs(mpmath.mpf(str(found)) / exact_mills(Decimal(x)) - 1) < mpmath.mpf(str(SLACK)) / 2

    @settings(max_examples=60, deadline=None)
    @given(st.floats(-8, 2), st.floats(-20, -0.4))
    @example(-8.0, -20.0)
    @example(2.0, -0.4)
    def test_gives_what_it_says_and_little_less(self, log_mu2: float, log_delta: float) -> None:
        mu2, delta = Fraction(10**log_mu2), Fraction(10**log_delta)
        epsilon = epsilon_of_gdp(mu2, delta) + Fraction(1, 10**6)
        truth = exact_delta(mu2, epsilon)
        with mpmath.workdps(60):
            above, below = (
                Fraction(str(mpmath.nstr(truth * (1 + sign * mpmath.mpf("1e-30")), 50))) for sign in (1, -1)
            )
        assert gdp_gives(mu2, epsilon, above)
        assert not gdp_gives(mu2, epsilon, below)

    @settings(max_examples=60, deadline=None)
    @given(st.fractions(Fraction(1, 10**12), 10**4), st.integers(1, 30))
    @example(Fraction(1, 10**12), 1)
    @example(Fraction(10**6), 30)
    def test_the_engine_rounds_up_the_same_number(self, mu2: Fraction, digits: int) -> None:
        """Two implementations that share no line: the engine's is a multiple of 10^-18, never below."""
        delta = Fraction(1, 10**digits)
        ours, theirs = verifier.epsilon_of_gdp(mu2, delta), epsilon_of_gdp(mu2, delta)
        assert -Fraction(1, 2**70) <= theirs - ours <= Fraction(2, 10**18)

    def test_absurd_amounts_are_still_bounded(self) -> None:
        tiny = Fraction(1, 10**9)
        for mu2 in (Fraction(10**400), Fraction(3, 7) * 10**50):
            assert not gdp_gives(mu2, mu2 / 2, tiny)
            assert gdp_gives(mu2, mu2, tiny)
        assert gdp_gives(Fraction(1, 10**400), Fraction(0), tiny)
        assert gdp_gives(Fraction(1), Fraction(10**400), tiny)
        assert not gdp_gives(Fraction(10**6), Fraction(0), 1 - Fraction(1, 10**40))
        assert verifier.epsilon_of_gdp(Fraction(0), tiny) == 0


class TestAmounts:
    def test_the_unit_is_that_of_the_measure(self) -> None:
        assert quantity({"mu2": "1/2", "delta": "0"}, "gdp") == Fraction(1, 2)
        for amount in ({"rho": "1/2", "delta": "0"}, {"mu2": "1/2", "rho": "1/4", "delta": "0"}, {"mu2": "1/2"}):
            with pytest.raises(verifier.Refused, match="an amount in mu2"):
                quantity(amount, "gdp")

    @pytest.mark.parametrize(("measure", "unit"), verifier.UNITS.items())
    def test_what_costs_nothing_gives_epsilon_0(self, measure: str, unit: str) -> None:
        assert gives({unit: "0", "delta": "0"}, measure, Fraction(0), Fraction(0))
        assert converted("0", {unit: "0", "delta": "0"}, measure, Fraction(1, 10**9))

    @pytest.mark.parametrize("measure", ["gdp", "zcdp"])
    def test_only_pure_gives_delta_0(self, measure: str) -> None:
        unit = verifier.UNITS[measure]
        assert not gives({unit: "1/1000", "delta": "0"}, measure, Fraction(1000), Fraction(0))
        assert not gives({unit: "1/1000", "delta": "1/10"}, measure, Fraction(1000), Fraction(1, 10))
        assert gives({"epsilon": "1/1000", "delta": "0"}, "pure", Fraction(1, 1000), Fraction(0))
        assert not gives({"epsilon": "1/1000", "delta": "1/10"}, "pure", Fraction(1, 1000), Fraction(1, 2))

    @pytest.mark.parametrize("measure", ["gdp", "zcdp", "pure"])
    def test_tolerance_is_one_sided(self, measure: str) -> None:
        amount, delta = {verifier.UNITS[measure]: "1/3", "delta": "0"}, Fraction(1, 10**9)
        exact = {"gdp": verifier.epsilon_of_gdp, "zcdp": epsilon_of, "pure": lambda size, _: size}[measure](
            Fraction(1, 3), delta
        )
        assert converted(str(exact), amount, measure, delta)
        assert converted(str(exact + TOLERANCE * Fraction(9, 10)), amount, measure, delta)
        assert not converted(str(exact + 2 * TOLERANCE), amount, measure, delta)
        assert not converted(str(exact - Fraction(1, 2**65)), amount, measure, delta)


class TestCommand:
    @pytest.mark.parametrize(
        ("rho", "printed"),
        [("293764/114921", "17.143550743595"), ("11417641/152349649", "2.474671065034")],
    )
    def test_convert(self, rho: str, printed: str, capfd: pytest.CaptureFixture[str]) -> None:
        assert main(["convert", "--rho", rho, "--delta", "1e-10"]) == 0
        assert capfd.readouterr().out.startswith(f"epsilon {printed}")

    def test_convert_mu2(self, capfd: pytest.CaptureFixture[str]) -> None:
        assert main(["convert", "--mu2", "1/30", "--delta", "1e-9"]) == 0
        assert capfd.readouterr().out == "epsilon 1.003449935625413\n"
        assert main(["convert", "--mu2", "0", "--delta", "1e-9", "--json"]) == 0
        assert json.loads(capfd.readouterr().out) == {"mu2": "0", "delta": "1/1000000000", "epsilon": "0"}

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
            ["convert", "--mu2", "1", "--rho", "1", "--delta", "1e-9"],
            ["convert", "--mu2", "", "--delta", "1e-9"],
            ["convert", "--mu2", "-1/2", "--delta", "1e-9"],
            ["convert", "--mu2", "1"],
            [".", "--mu2", "1"],
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


def asked(
    kind: str,
    rows: int,
    neighbours: str,
    column: str | None,
    shape: tuple[int, ...],
    law: str = "rounded_gaussian",
    basis: str = "marginal",
    weight: int = 1,
) -> dict[str, Any]:
    return {
        "kind": kind,
        "unit": {"entity": "person", "column": column, "max_rows": rows},
        "neighbours": neighbours,
        "mechanism": {"type": law},
        "query": {
            "select": {"weight": weight, "candidates": 5},
            "score": {"candidates": 5},
            "measure": {"shape": list(shape), "basis": basis},
        }[kind],
    }


class TestTable:
    """The table of sensitivities, written out once more."""

    @pytest.mark.parametrize(
        ("neighbours", "column", "shape", "squared"),
        [
            ("add-remove", "id", (), 9),
            ("add-remove", "id", (3,), 9),
            ("add-remove", "id", (3, 4), 9),
            ("replace-one", "id", (), 9),
            ("replace-one", "id", (3,), 18),
        ],
    )
    def test_three_rows(self, neighbours: str, column: str, shape: tuple[int, ...], squared: int) -> None:
        assert sensitivity_squared(asked("measure", 3, neighbours, column, shape)) == squared

    def test_single_rows(self) -> None:
        assert sensitivity_squared(asked("measure", 1, "replace-one", None, ())) == 0
        assert sensitivity_squared(asked("measure", 1, "replace-one", "id", ())) == 1  # a person may have no row
        assert sensitivity_squared(asked("measure", 1, "add-remove", None, ())) == 1
        assert sensitivity_squared(asked("measure", 1, "replace-one", None, (3,))) == 2

    def test_scores(self) -> None:
        assert sensitivity_squared(asked("select", 1, "add-remove", None, ())) == 1024**2
        assert sensitivity_squared(asked("select", 3, "replace-one", "id", ())) == (1024 * 6) ** 2
        assert sensitivity_squared(asked("select", 3, "replace-one", "id", (), weight=5)) == (1024 * 30) ** 2

    def test_all_scores_at_once(self) -> None:
        assert sensitivity_squared(asked("score", 1, "add-remove", None, ())) == 5 * 1024**2
        assert sensitivity_squared(asked("score", 3, "replace-one", "id", ())) == 5 * (1024 * 6) ** 2
        assert sensitivity_squared(asked("score", 3, "add-remove", "id", (), "discrete_laplace")) == (5 * 1024 * 3) ** 2

    def test_laplace_noise_takes_l1(self) -> None:
        for neighbours, moved in (("add-remove", 3), ("replace-one", 6)):
            entry = asked("measure", 3, neighbours, "id", (3,), "discrete_laplace")
            assert sensitivity_squared(entry) == moved**2
        assert sensitivity_squared(asked("measure", 3, "replace-one", "id", (), "discrete_laplace")) == 9

    @pytest.mark.parametrize("shape", [(2,), (7,), (2, 2), (4, 3, 2), (50, 2, 9)])
    @pytest.mark.parametrize("neighbours", ["add-remove", "replace-one"])
    def test_residuals_are_the_engines(self, shape: tuple[int, ...], neighbours: str) -> None:
        entry = asked("measure", 3, neighbours, "id", shape, basis="residual")
        assert sensitivity_squared(entry) == residual_squared(shape, 3, neighbours)

    @pytest.mark.parametrize(
        ("law", "gdp", "zcdp", "pure"),
        [
            ({"type": "rounded_gaussian", "sigma": "20"}, Fraction(9, 400), Fraction(9, 800), None),
            ({"type": "discrete_gaussian", "sigma": "20"}, None, Fraction(9, 800), None),
            ({"type": "discrete_laplace", "scale": "20"}, None, None, Fraction(3, 20)),
            (
                {"type": "exponential", "scale": "20", "picks": 4},
                Fraction(355, 113) * Fraction(9, 200),
                Fraction(9, 200),
                Fraction(24, 20),
            ),
            ({"type": "public_count"}, None, None, None),
        ],
    )
    def test_costs(self, law: dict[str, Any], gdp: Any, zcdp: Any, pure: Any) -> None:
        entry = {"mechanism": law, "query": {"basis": "marginal"}}
        for measure, price in (("gdp", gdp), ("zcdp", zcdp), ("pure", pure)):
            assert cost_of(entry, Fraction(9), measure) == price

    def test_what_no_neighbour_moves_is_free(self) -> None:
        free = {"mechanism": {"type": "public_count"}}
        assert [cost_of(free, Fraction(0), measure) for measure in verifier.UNITS] == [0, 0, 0]

    def test_laplace_noise_has_no_price_for_a_residual(self) -> None:
        entry = {"mechanism": {"type": "discrete_laplace", "scale": "20"}, "query": {"basis": "residual"}}
        assert cost_of(entry, Fraction(9), "pure") is None

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
        marginal = sensitivity_squared(asked("measure", rows, neighbours, column, (3,)))
        assert max(sum(d * d for d in change) for change in moved) == marginal
        score = sensitivity_squared(asked("select", rows, neighbours, column, ())) / 1024**2
        assert max(sum(abs(d) for d in change) for change in moved) ** 2 == score
        laplace = sensitivity_squared(asked("measure", rows, neighbours, column, (3,), "discrete_laplace"))
        assert laplace == score
        if column:
            total = sensitivity_squared(asked("measure", rows, neighbours, column, ()))
            assert max(sum(change) ** 2 for change in moved) == total


def test_long_sums_are_kept_short_from_above() -> None:
    assert 2467 <= evidence.MAX_NUMBER < 4300  # the ledger writes 8192 bits above and below the line; Python reads 4300
