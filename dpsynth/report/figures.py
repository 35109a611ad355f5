"""Figures that the page derives from its facts, each with its formula. Pure; all of it post-processing."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import pi, sqrt

from dpsynth.privacy import epsilon_of_rho
from dpsynth.report.facts import Account, ColumnFit, Hazard, QueryFact, ReportFacts

MEAN_ABSOLUTE = sqrt(2 / pi)
"""Mean absolute value of a standard normal."""

NINETEEN_IN_TWENTY = 1.959963984540054
"""Half-width of the central 95 % of a standard normal."""


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
    """Expected total variation distance that the noise puts into a marginal: cells sigma sqrt(2/pi) / (2 n).

    None for a choice, for the total itself, or where no number of rows is known. At most 1.
    """
    if query.kind != "marginal" or total is None or total <= 0:
        return None
    return min(1.0, query.cells * float(query.scale) * MEAN_ABSOLUTE / (2 * total))


def fit(column: ColumnFit, total: int | None) -> Fit:
    """Distance between noisy answer and synthetic column, and the part of it that noise explains.

    raw = ||y - n s||_1 / (2 n), floor = cells sigma sqrt(2/pi) / (2 n), with y the noisy counts, s the synthetic
    shares and n the noisy number of rows (the noisy counts' own sum where none was asked for).
    """
    people = float(total if total is not None and total > 0 else max(1, sum(column.noisy)))
    drawn = max(1, sum(column.synthetic))
    distance = sum(
        abs(noisy - people * synthetic / drawn) for noisy, synthetic in zip(column.noisy, column.synthetic, strict=True)
    )
    floor = len(column.noisy) * column.sigma * MEAN_ABSOLUTE
    return Fit(min(1.0, distance / (2 * people)), min(1.0, floor / (2 * people)))


def shares(facts: ReportFacts) -> tuple[Share, ...]:
    """Where the reserved budget went, by kind of entry, and what was left unspent."""
    groups: dict[str, list[Fraction]] = {}
    for query in facts.queries:
        groups.setdefault(kind_name(query), []).append(query.cost)
    reserved = facts.claim.rho
    parts = [Share(name, len(costs), sum(costs, Fraction(0)) / reserved) for name, costs in groups.items()]
    left = 1 - sum((share.part for share in parts), Fraction(0))
    if left > 0:
        parts.append(Share("reserved, not used", 0, left))
    return tuple(parts)


def kind_name(query: QueryFact) -> str:
    """The kind of an entry in words."""
    if query.kind == "total":
        return "number of rows"
    if query.kind == "selection" or query.columns is None:
        return "private choice"
    size = len(query.columns)
    return {1: "single columns", 2: "pairs of columns", 3: "triples of columns"}.get(size, f"groups of {size} columns")


def posterior(prior: float, fpr: float, tpr: float) -> float:
    """The most that a test's alarm can make of a prior belief: Bayes' rule at the highest true-positive rate."""
    return prior * tpr / (prior * tpr + (1 - prior) * fpr)


def epsilon(account: Account, rho: Fraction) -> Fraction:
    """An amount of the account as epsilon at the policy's delta, rounded up."""
    return epsilon_of_rho(rho, account.policy_delta) if rho > 0 else Fraction(0)


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
        Hazard(
            "Catastrophic failure through delta (2.3)",
            "handled",
            "The noise has no failure event: the account adds rho, and delta appears only when rho is quoted as "
            "epsilon.",
        ),
        Hazard(
            "Arithmetic, timing, error messages (4.3)",
            "handled",
            "Counts are exact integers, noise is drawn on them by OpenDP's exact samplers, messages name columns and "
            "never values.",
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
