"""Figures that the page derives from its facts, each with its formula. Pure; all of it post-processing."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import log, pi, sqrt

from dpsynth.privacy import Cost, exact_text
from dpsynth.report.facts import ColumnFit, Hazard, QueryFact, ReportFacts

LAPLACE = "discrete_laplace"


def mean_absolute(law: str, scale: Fraction | float) -> float:
    """Mean absolute value of noise: scale sqrt(2/pi) of a Gaussian, scale of Laplace noise."""
    return float(scale) * (1 if law == LAPLACE else sqrt(2 / pi))


def within(law: str, scale: Fraction | float) -> float:
    """Half-width of the central 95 % of noise: 1.96 scale of a Gaussian, ln(20) scale of Laplace noise."""
    return float(scale) * (log(20) if law == LAPLACE else 1.959963984540054)


@dataclass(frozen=True)
class Share:
    """A part of the reserved budget: what it bought, how many entries, what part."""

    name: str
    entries: int
    part: Fraction


@dataclass(frozen=True)
class Fit:
    """How far the synthetic column lies from its noisy answer. Both distances are shares of people."""

    raw: float
    floor: float

    @property
    def net(self) -> float:
        """What the noise alone does not explain: max(0, raw - floor)."""
        return max(0.0, self.raw - self.floor)


def expected_tvd(query: QueryFact, total: int | None) -> float | None:
    """Expected total variation distance that the noise puts into a marginal: cells E|noise| / (2 n).

    None for a choice, for scores, for a residual, for the total itself, or where no number of rows is known. At most 1.
    """
    if query.kind != "marginal" or total is None or total <= 0:
        return None
    return min(1.0, query.cells * mean_absolute(query.mechanism, query.scale) / (2 * total))


def fit(column: ColumnFit, total: int | None) -> Fit:
    """Distance between noisy answer and synthetic column, and the part of it that noise explains.

    raw = ||y - n s||_1 / (2 n), floor = cells E|noise| / (2 n), with y the noisy counts, s the synthetic
    shares and n the published number of rows (the noisy counts' own sum where none was asked for).
    """
    people = float(total if total is not None and total > 0 else max(1, sum(column.noisy)))
    drawn = max(1, sum(column.synthetic))
    distance = sum(
        abs(noisy - people * synthetic / drawn) for noisy, synthetic in zip(column.noisy, column.synthetic, strict=True)
    )
    floor = len(column.noisy) * mean_absolute(column.law, column.scale)
    return Fit(min(1.0, distance / (2 * people)), min(1.0, floor / (2 * people)))


def shares(facts: ReportFacts) -> tuple[Share, ...]:
    """Where the reserved budget went, by kind of entry, and what was left unspent."""
    groups: dict[str, list[Fraction]] = {}
    for query in facts.queries:
        groups.setdefault(kind_name(query), []).append(query.cost)
    reserved = facts.claim.reserved.amount
    parts = [Share(name, len(costs), sum(costs, Fraction(0)) / reserved) for name, costs in groups.items()]
    left = 1 - sum((share.part for share in parts), Fraction(0))
    if left > 0:
        parts.append(Share("reserved, not used", 0, left))
    return tuple(parts)


def kind_name(query: QueryFact) -> str:
    """The kind of an entry in words."""
    if query.kind == "total":
        return "number of rows"
    if query.kind == "values":
        return "values found privately"
    if query.columns is None:
        return "noisy comparisons" if query.kind == "scores" else "private choice"
    size = len(query.columns)
    name = {1: "single columns", 2: "pairs of columns", 3: "triples of columns"}.get(size, f"groups of {size} columns")
    return f"{name}, residuals" if query.kind == "residual" else name


def posterior(prior: float, fpr: float, tpr: float) -> float:
    """The most that a test's alarm can make of a prior belief: Bayes' rule at the highest true-positive rate."""
    return prior * tpr / (prior * tpr + (1 - prior) * fpr)


SYMBOLS = {"gdp": "μ²", "zcdp": "ρ", "pure": "ε"}
"""What adds up in each measure, as the page writes it."""

ADDED = {
    "gdp": "μ² (mu squared): the quantity that is really added up. The two tables that are compared are at least as "
    "hard to tell apart as two normal laws of width 1 whose middles lie μ apart, by one draw.",
    "zcdp": "ρ (rho): the quantity that is really added up.",
    "pure": "Here ε itself is added up.",
}
"""What it is, for the page's last words."""


def hazards(facts: ReportFacts) -> tuple[Hazard, ...]:
    """The short list for this claim, after NIST SP 800-226; the section stands in each name."""
    claim = facts.claim
    entity = claim.entity
    if claim.unit_column is None:
        unit = Hazard(
            "Rows are not always people (2.4)",
            "judge",
            f"Each row counts as one {entity}. Whoever may have several rows in the table is protected for one only.",
        )
    else:
        unit = Hazard(
            "Rows are not always people (2.4)",
            "handled",
            f"Column {claim.unit_column} names the {entity}; at most {claim.max_rows} of its rows are kept, before "
            "anything is counted.",
        )
    return (
        Hazard(
            "A large epsilon may mean nothing (2.2)",
            "judge" if facts.worst.vacuous else "handled",
            "The worst case is stated as rates that can be judged, from the whole curve.",
        ),
        unit,
        Hazard(
            "The schema may have been read off the data (3.4.1)",
            "judge",
            "Values, bounds and bins count as public. Whoever declared them must not have looked at the rows.",
        ),
        Hazard(
            "Other releases on the same people (2.6)",
            "judge",
            "Losses add up. This account knows its own releases only; anything published without it, private or "
            "not, comes on top.",
        ),
        Hazard(
            "Limits that renew themselves (2.4)",
            "handled",
            "No clock adds budget to an account and nothing is refunded.",
        ),
        _failure(claim.reserved),
        Hazard(
            "Arithmetic, timing, error messages (4.3)",
            "handled",
            "Counts are exact integers, noise is drawn on them by samplers whose law is exact, messages name columns "
            "and never values.",
        ),
        Hazard(
            "Small groups and bias (3.3)",
            "judge",
            "Noise is as large for a group of ten as for a group of ten thousand. See the expected error of each "
            "answer below.",
        ),
        Hazard(
            "Trust in the curator (4.2, 4.4)",
            "judge",
            "One party held the rows in clear. How they are stored and who may run the engine is outside this page.",
        ),
    )


def _failure(cost: Cost) -> Hazard:
    """Whether a step may fail outright: finding values privately may, with a probability that is charged as delta."""
    name = "Catastrophic failure through delta (2.3)"
    if cost.measure == "pure":
        return Hazard(name, "handled", "There is no delta: the promise is pure.")
    if cost.delta:
        return Hazard(
            name,
            "judge",
            f"Finding values privately may show one that a single entity has: that takes delta "
            f"{exact_text(cost.delta)} of the promise. The other noise has no failure event.",
        )
    return Hazard(
        name,
        "handled",
        f"The noise has no failure event: the account adds {SYMBOLS[cost.measure]}, and delta appears only when that "
        "is quoted as epsilon.",
    )
