"""The words of a registry entry: what measures, mechanisms and noises are called, numbers, and a little Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from decimal import ROUND_CEILING, Context, Decimal
from fractions import Fraction
from types import MappingProxyType

from dpsynth.privacy import exact_text

DIGITS = 12
"""Numbers are given with at most so many digits, rounded up: never a smaller loss than the true one."""

VARIANTS: Mapping[str, str] = MappingProxyType(
    {"gdp": "Approximate DP", "zcdp": "Zero-concentrated DP", "pure": "Pure DP"}
)
"""What the registry calls each measure; for Gaussian DP, which it has no name for, what the claim is in."""

SYMBOLS: Mapping[str, str] = MappingProxyType({"mu2": "μ²", "rho": "ρ", "epsilon": "ε"})
"""What amounts are called, by the unit under which the ledger has them."""

SUMS: Mapping[str, str] = MappingProxyType(
    {
        "gdp": "Gaussian differential privacy: the μ² of all questions add up",
        "zcdp": "zero-concentrated differential privacy: the ρ of all questions add up",
        "pure": "pure differential privacy: the ε of all questions add up",
    }
)

CONVERSIONS: Mapping[str, str] = MappingProxyType(
    {
        "gdp": "The registry has no field for μ². ε at δ follows by Dong, Roth and Su 2022 (Corollary 2.13), and a "
        "pair (ε, δ) for every other δ.",
        "zcdp": "ε at δ follows by Canonne, Kamath and Steinke 2020 (Proposition 12), and a pair (ε, δ) for every "
        "other δ.",
        "pure": "There is no δ.",
    }
)

MECHANISMS: Mapping[str, str] = MappingProxyType(
    {
        "mrm": "marginals at many resolutions: noisy distances of all pairs of columns from independence, or of those "
        "that a private choice kept, then those tables that are worth most, chosen from noisy answers alone",
        "aim": "after McKenna, Mullins, Sheldon and Miklau 2022: in each round the exponential mechanism picks the "
        "marginals on which the model so far is most wrong",
        "mst": "after McKenna, Miklau and Sheldon 2021: pairs of columns that span all of them, picked by the "
        "exponential mechanism",
        "privbayes": "after Zhang, Cormode, Procopiuc, Srivastava and Xiao 2017: a network that grows by one column at "
        "a time, with parents picked by the exponential mechanism",
        "independent": "every column by itself",
    }
)

NOISES: Mapping[str, str] = MappingProxyType(
    {
        "rounded_gaussian": "Gaussian mechanism on integer counts, rounded to an integer; sampled exactly in integers",
        "discrete_gaussian": "discrete Gaussian mechanism on integer counts, by OpenDP's sampler",
        "discrete_laplace": "discrete Laplace mechanism on integer counts, by OpenDP's sampler on rationals",
        "exponential": "exponential mechanism on integer scores, sampled exactly in integers",
        "public_count": "no noise on the number of rows, which the neighbour relation makes public",
    }
)


OPENDP = frozenset({"discrete_gaussian", "discrete_laplace"})
"""The noises that OpenDP draws."""


def number(value: Fraction) -> str:
    """A decimal that YAML and JSON read as a number, rounded up."""
    context = Context(prec=DIGITS, rounding=ROUND_CEILING)
    found = context.divide(Decimal(value.numerator), Decimal(value.denominator)).normalize(context)
    if -5 < found.adjusted() < DIGITS:
        text = f"{found:f}"
        return text if "." in text else f"{text}.0"
    digits = "".join(map(str, found.as_tuple().digits))
    return f"{digits[0]}.{digits[1:] or '0'}e{found.adjusted():+d}"


def amounts(cost: Mapping[str, str]) -> dict[str, Fraction]:
    """The one amount of a cost, by its unit."""
    return {unit: Fraction(value) for unit, value in cost.items() if unit != "delta"}


def cost_told(cost: Mapping[str, str]) -> str:
    """A cost as a formula."""
    thresholds = Fraction(cost["delta"])
    text = "".join(f"{SYMBOLS[unit]} = {number(amount)}" for unit, amount in amounts(cost).items())
    return f"{text} and δ₀ = {number(thresholds)}" if thresholds else text


def promise(claim: Mapping[str, str]) -> str:
    """An epsilon and its delta as formulas."""
    delta = Fraction(claim["delta"])
    return f"ε = {exact_text(Fraction(claim['epsilon']))}" + (f" at δ = {exact_text(delta)}" if delta else "")


def one_line(text: str) -> str:
    """One line without backslashes in a row, which the registry refuses."""
    return re.sub(r"\\+", r"\\", " ".join(text.split()))


def code(text: str) -> str:
    """A text of the ledger as Markdown code, so that no sign in a name of a column means anything."""
    return "`" + one_line(text).replace("`", "'") + "`"


def bullets(lines: Iterable[str]) -> str:
    """A list in Markdown."""
    return "\n".join(f"- {line}" for line in lines)


def paragraphs(*parts: str) -> str:
    """Those parts that hold something, in paragraphs."""
    return "\n\n".join(filter(None, parts))
