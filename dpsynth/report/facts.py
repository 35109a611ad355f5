"""What the page is told: frozen values, every one of them public.

Nothing here may be computed from private rows other than through answers that were charged: no true count, no error
against the truth, no duration, no path.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Literal

from dpsynth.privacy import Cost, highest_tpr

RATES = (Fraction(1, 1000), Fraction(1, 100), Fraction(1, 10))
"""False-positive rates of the worst-case table."""

VACUOUS = 0.9
"""A highest true-positive rate above this at one false alarm in a hundred bounds nothing that matters."""

NOT_PROVED = (
    "that the noise named in the ledger is the noise that was drawn: a rebuild shows that the rows follow from the "
    "published answers, not how those answers came about",
    "that a private choice or comparison was among as many candidates, of at most such a weight, as the ledger states: "
    "of the candidates it holds a digest alone",
    "that the random numbers were good and were kept secret",
    "that what is declared public here really is public",
    "that no copy of the private table was used elsewhere",
    "that the person or machine behind the key is who you think: compare the key's fingerprint by another way",
    "that anybody has read this page",
)
"""What a valid signature does not prove."""

COMMANDS = (
    ("dpsynth verify .", "signature, digest of every file, every cost, the sum, the quote and the cap"),
    ("dpsynth verify . --rebuild", "the same, and draws every row again from the published model and seed"),
    ("python verifier.py .", "the same check by three small files that share no code with the engine"),
)
"""How to check a release, run inside its folder."""


@dataclass(frozen=True)
class Claim:
    """The promise. ``epsilon``, ``delta`` and the cost ``reserved`` are those from before the release began, exact.

    ``unit_column`` is None where each row stands for one ``entity``.
    """

    entity: str
    unit_column: str | None
    max_rows: int
    neighbours: str
    epsilon: Fraction
    delta: Fraction
    reserved: Cost


@dataclass(frozen=True)
class Account:
    """The account that paid: cap and reserved sums around this release, and the policy's delta."""

    name: str
    cap: Cost
    before: Cost
    after: Cost
    policy_delta: Fraction


@dataclass(frozen=True)
class QueryFact:
    """One charged entry of the ledger.

    ``columns`` is None for a private choice and for scores. ``scale`` is that of the mechanism's law, in people: sigma
    of a Gaussian, b of Laplace noise, the Gumbel scale of a choice's score; 0 where the count is public. Of a residual
    it is in the residual's own units. ``cells`` counts the cells of a table or the candidates of a choice or of scores.
    Of values found it is 0, and ``threshold`` is the noisy count that names one; ``delta`` is their cost in delta.
    ``cost`` is an amount in the unit of the account. ``chosen_by`` are the entries whose answers were known when it was
    asked.
    """

    seq: int
    kind: Literal["total", "marginal", "residual", "selection", "scores", "values"]
    columns: tuple[str, ...] | None
    cells: int
    mechanism: str
    scale: Fraction
    cost: Fraction
    chosen_by: tuple[int, ...]
    running_epsilon: str
    picks: int = 1
    threshold: int = 0
    delta: Fraction = Fraction(0)


@dataclass(frozen=True)
class ColumnFit:
    """One measured column: the noisy answer and the synthetic counts in the same cells, in the schema's order.

    ``scale`` is that of the noise's ``law``. ``ordered`` says that neighbouring cells are neighbours in meaning
    (numbers, ordinal values).
    """

    column: str
    labels: tuple[str, ...]
    noisy: tuple[int, ...]
    synthetic: tuple[int, ...]
    scale: float
    law: str = "rounded_gaussian"
    ordered: bool = False

    def __post_init__(self) -> None:
        if not len(self.labels) == len(self.noisy) == len(self.synthetic) > 0:
            raise ValueError(f"labels, noisy and synthetic counts of {self.column!r} differ in length or are empty")


@dataclass(frozen=True)
class Tie:
    """Two columns whose joint distribution the model holds.

    ``strength`` is their total variation distance from independence in the fitted model: the share of people, 0 to 1,
    who would have to change cells if the columns did not depend on each other. ``asked`` says whether some answer
    covers both; if not, the model holds them together because both depend on the same others.
    """

    columns: tuple[str, str]
    strength: float
    asked: bool


@dataclass(frozen=True)
class ModelPicture:
    """The columns and which of them the model ties together directly, each pair once."""

    columns: tuple[str, ...]
    ties: tuple[Tie, ...]


@dataclass(frozen=True)
class Hazard:
    """A known way to be wrong about a guarantee: ``handled`` by the engine, or to ``judge`` by the reader."""

    name: str
    status: Literal["handled", "judge"]
    how: str


@dataclass(frozen=True)
class WorstCase:
    """The highest true-positive rate of any test of one entity's presence.

    ``table`` has a pair (false-positive rate, highest true-positive rate) for each of ``RATES``; ``curve`` the same
    along the whole curve, ascending.
    """

    table: tuple[tuple[float, float], ...]
    curve: tuple[tuple[float, float], ...]

    @classmethod
    @lru_cache(maxsize=32)  # a release is shown on several pages, and many releases have one price
    def of(cls, cost: Cost, points: int = 33) -> WorstCase:
        """From the whole curve of a cost's measure (privacy.highest_tpr), at rates 10^-4 to 1, evenly spaced in log."""
        rates = [10 ** (4 * i / (points - 1) - 4) for i in range(points - 1)]
        return cls(
            tuple((float(rate), highest_tpr(cost, rate)) for rate in RATES),
            (*((rate, highest_tpr(cost, rate)) for rate in rates), (1.0, 1.0)),
        )

    @property
    def vacuous(self) -> bool:
        """Whether the bound says next to nothing: above 90 % at one false alarm in a hundred."""
        return any(tpr > VACUOUS for fpr, tpr in self.table if fpr == float(RATES[1]))


@dataclass(frozen=True)
class ReportFacts:
    """Everything on the page. ``total`` is the noisy or public number of rows of the private table; None if unasked.

    ``rows_rule`` says how the number of synthetic rows came about; ``fingerprints`` are (what, digest) pairs.
    ``artificial`` declares that nobody in the private table exists. ``workload`` says which
    marginals the mechanism was to get right, empty if it heeds none. ``hazards`` None: the short list for this claim.
    """

    title: str
    release: str
    day: str
    software: str
    mechanism: str
    rows: int
    rows_rule: str
    total: int | None
    claim: Claim
    account: Account
    queries: tuple[QueryFact, ...]
    worst: WorstCase
    fits: tuple[ColumnFit, ...]
    picture: ModelPicture
    public: tuple[str, ...]
    outside: tuple[str, ...]
    fingerprints: tuple[tuple[str, str], ...] = ()
    artificial: bool = False
    workload: str = ""
    not_proved: tuple[str, ...] = NOT_PROVED
    commands: tuple[tuple[str, str], ...] = COMMANDS
    hazards: tuple[Hazard, ...] | None = None
