"""1. A third party recomputes the certificates of the 2020 Census from rho and delta alone."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from dpsynth import verifier
from tests.acceptance.kit import document
from tests.desk import call

CERTIFIED = {"293764/114921": Fraction("17.143550739"), "11417641/152349649": Fraction("2.4746710062")}
"""The epsilon that each certificate states at delta 1e-10: ours may not be below it."""


@pytest.mark.parametrize("rho", CERTIFIED)
def test_convert(rho: str) -> None:
    called = call("budget", "convert", "--rho", rho, "--delta", "1e-10", "--json")
    assert called.exit_code == 0
    epsilon = Fraction(document(called.stdout)["epsilon"])
    assert 0 <= epsilon - CERTIFIED[rho] <= Fraction(1, 10**6)
    expected = {"293764/114921": Fraction("17.143550744"), "11417641/152349649": Fraction("2.474671066")}[rho]
    assert abs(epsilon - expected) <= Fraction(1, 10**7)


@pytest.mark.parametrize("rho", CERTIFIED)
def test_the_verifier_alone_says_the_same(rho: str) -> None:
    words = [sys.executable, "-I", Path(verifier.__file__), "convert", "--rho", rho, "--delta", "1e-10", "--json"]
    run = subprocess.run(words, capture_output=True, text=True, check=True)
    theirs = Fraction(document(run.stdout)["epsilon"])
    ours = Fraction(document(call("budget", "convert", "--rho", rho, "--delta", "1e-10", "--json").stdout)["epsilon"])
    assert abs(theirs - ours) < Fraction(1, 10**12)
    assert theirs >= CERTIFIED[rho]
