"""The Measurer: all that a mechanism ever sees of the private table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Protocol

from dpsynth.measurement.domain import Domain
from dpsynth.measurement.grid import Tree
from dpsynth.measurement.level import Level
from dpsynth.measurement.query import Candidate, NoisyMarginal, NoisyScores, Partitions, Query, Rule, Score, Selection


class Measurer(Protocol):
    """Noisy answers for a price. The curator is one; a replayer of the archive is another.

    Every ``price`` is exact, in the units of the account's measure (Gaussian DP: mu^2; zCDP: rho; pure: epsilon), and
    is an upper bound: the charge is recomputed from the noise scale really used. Sensitivity is the measurer's
    business, never the mechanism's.
    """

    @property
    def domain(self) -> Domain:
        """The finest public grid."""
        ...

    @property
    def levels(self) -> Mapping[str, Level]:
        """The level that the schema declares for each column (public bins; the identity for listed values)."""
        ...

    @property
    def hierarchies(self) -> Mapping[str, tuple[Level, ...]]:
        """Declared coarsenings of each column, from fine to coarse; each is one of the level before it."""
        ...

    @property
    def trees(self) -> Mapping[str, Tree]:
        """The columns whose bins are to be found by noisy counts on nested levels."""
        ...

    def total(self, price: Fraction) -> NoisyMarginal:
        """The noisy number of rows (free and exact where it is public)."""
        ...

    def marginals(
        self, queries: Sequence[Query], price: Fraction, weights: Sequence[int] | None = None
    ) -> tuple[NoisyMarginal, ...]:
        """Noisy marginals or residuals for one price, split in proportion to the integer weights (equally by default).

        A pure measure answers no residuals.
        """
        ...

    def scores(self, candidates: Sequence[Candidate], score: Score, price: Fraction) -> NoisyScores:
        """The scores of all candidates with noise, for one price: worth it where few candidates are to be compared.

        The noise of each grows with the square root of their number (in a pure measure with the number itself).
        """
        ...

    def select(
        self, candidates: Sequence[Candidate], score: Score, picks: int, price: Fraction, rule: Rule = "distinct"
    ) -> Selection:
        """Draw picks by the exponential mechanism, the price split equally among them.

        A higher score is likelier. The noise is that of the largest weight among the candidates.
        ``rule`` says which candidates remain after a pick: ``"distinct"`` all that were not picked;
        ``"spanning-forest"`` (pairs only) those that join two columns not yet connected. Drawing stops early when
        none remains.
        """
        ...


class Finder(Measurer, Protocol):
    """A Measurer of a table some of whose columns have values that are not known yet.

    Until they are found nothing else can be asked of these columns; what is declared of their cells is then that of
    the found values.
    """

    @property
    def unfound(self) -> tuple[str, ...]:
        """The columns whose values are to be found, in order."""
        ...

    def partitions(self, column: str, price: Fraction, delta: Fraction) -> Partitions:
        """The values of an unfound column that are common enough to be named, for a price and a delta_0.

        With a probability of ``delta`` at most one that a single entity holds is among them. A pure measure has none.
        """
        ...
