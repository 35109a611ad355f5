"""The measures in which accounts count, and the unit of each."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from dpsynth.errors import ConfigurationError, nearest

Measure = Literal["gdp", "zcdp", "pure"]
"""Gaussian DP, zero-concentrated DP, or pure DP."""

MEASURES: tuple[Measure, ...] = ("gdp", "zcdp", "pure")

UNITS: Mapping[Measure, str] = MappingProxyType({"gdp": "mu2", "zcdp": "rho", "pure": "epsilon"})
"""What adds up in each: mu squared, rho, or epsilon. Costs written down are keyed by it, so that no two mix."""

NAMES: Mapping[Measure, str] = MappingProxyType(
    {
        "gdp": "Gaussian differential privacy",
        "zcdp": "zero-concentrated differential privacy",
        "pure": "pure differential privacy",
    }
)
"""The measures in words."""


def require_measure(text: str) -> Measure:
    """The measure of this name; ConfigurationError if there is none."""
    if text not in MEASURES:
        known = ", ".join(map(repr, MEASURES))
        raise ConfigurationError(f"measure {text!r}: must be one of {known}{nearest(text, MEASURES)}")
    return text
