"""A Measurer over a table in memory with rounded normal noise from a seed: for tests and benchmarks, never private."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import pi, prod, sqrt
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.residuals import residual
from dpsynth.curator.rules import Remaining
from dpsynth.measurement import (
    LATTICE,
    TOTAL,
    Answer,
    Candidate,
    Domain,
    Grid,
    Law,
    Level,
    NoisyMarginal,
    NoisyScores,
    Query,
    Rule,
    Score,
    Selection,
    Tree,
)
from dpsynth.mechanisms.oneway import First, OneWay
from dpsynth.mechanisms.rate import Rate
from dpsynth.privacy import Measure

A = TypeVar("A", NoisyMarginal, NoisyScores, Selection)


def first_of(total: NoisyMarginal, one_ways: Sequence[NoisyMarginal]) -> First:
    """The total and one table of each column, at its declared level."""
    known = {answer.query.columns[0]: OneWay.of([answer]) for answer in one_ways}
    levels = {name: one.level for name, one in known.items()}
    return First(total, tuple(one_ways), levels, known, Rate(1.0, 1.0, False))


class FakeMeasurer:
    """Add-remove of single rows. ``spent`` sums what was charged, ``answers`` lists every answer.

    Prices are rho of zCDP, mu^2 of Gaussian DP, or epsilon of pure DP, whose noise is Laplace's.
    """

    def __init__(
        self,
        domain: Domain,
        codes: NDArray[np.integer],
        seed: int,
        levels: Mapping[str, Level] | None = None,
        measure: Measure = "zcdp",
        hierarchies: Mapping[str, tuple[Level, ...]] | None = None,
        trees: Mapping[str, Tree] | None = None,
    ) -> None:
        known = levels or {n: Level.identity(n, s) for n, s in zip(domain.names, domain.sizes, strict=True)}
        self.grid = Grid(domain, known, hierarchies or {}, trees or {})
        self.domain, self.levels = domain, known
        self.hierarchies, self.trees = self.grid.hierarchies, self.grid.trees
        self.spent = Fraction(0)
        self.answers: list[Answer] = []
        self._codes = np.asarray(codes).reshape(-1, len(domain.names))
        self._rng = np.random.default_rng(seed)
        self._measure = measure

    def count(self, query: Query) -> NDArray[np.int64]:
        """The exact table of a query."""
        if not query.levels:
            return np.array(len(self._codes))
        cells = [level.cells[self._codes[:, self.domain.names.index(level.column)]] for level in query.levels]
        flat = np.ravel_multi_index([c.astype(np.intp) for c in cells], query.shape)
        return np.bincount(flat, minlength=query.cells).reshape(query.shape)

    def total(self, price: Fraction) -> NoisyMarginal:
        return self._noisy(TOTAL, price)

    def marginals(
        self, queries: Sequence[Query], price: Fraction, weights: Sequence[int] | None = None
    ) -> tuple[NoisyMarginal, ...]:
        split = list(weights or [1] * len(queries))
        assert queries and len(split) == len(queries) and all(type(w) is int and w > 0 for w in split)
        return tuple(self._noisy(q, price * Fraction(w, sum(split))) for q, w in zip(queries, split, strict=True))

    def scores(self, candidates: Sequence[Candidate], score: Score, price: Fraction) -> NoisyScores:
        exact, largest = self._scored(candidates, score)
        moved = len(candidates) if self._measure == "pure" else sqrt(len(candidates))
        scale = Fraction(largest * LATTICE * moved * self._scale(price))
        self.spent += price
        values = (exact + self._noise(scale, exact.shape)).astype(np.int64)
        columns = tuple(c.query.columns for c in candidates)
        return self._kept(NoisyScores(score, columns, values, scale, self._law, len(self.answers)))

    def select(
        self, candidates: Sequence[Candidate], score: Score, picks: int, price: Fraction, rule: Rule = "distinct"
    ) -> Selection:
        assert picks > 0
        exact, largest = self._scored(candidates, score)
        if self._measure == "pure":
            scale = largest * LATTICE * picks * 2 / float(price)
        else:
            scale = largest * LATTICE * sqrt(picks * (pi if self._measure == "gdp" else 1) / (2 * price))
        self.spent += price
        names = tuple(c.query.columns for c in candidates)
        chosen: list[int] = []
        left = Remaining(names, rule)
        while len(chosen) < picks and (rest := left.indices().tolist()):
            chosen.append(max(rest, key=lambda i: exact[i] + scale * self._rng.gumbel()))
            left.pick(chosen[-1])
        return self._kept(Selection(score, rule, names, tuple(chosen), Fraction(scale), len(self.answers)))

    def _scored(self, candidates: Sequence[Candidate], score: Score) -> tuple[NDArray[np.float64], int]:
        """Exact scores, and the largest weight."""
        assert candidates and score == "l1-to-model"
        exact = [c.weight * np.abs(LATTICE * self.count(c.query) - c.expected).sum() - c.offset for c in candidates]
        return np.array(exact, dtype=np.float64), max(c.weight for c in candidates)

    @property
    def _law(self) -> Law:
        return "discrete_laplace" if self._measure == "pure" else "rounded_gaussian"

    def _scale(self, price: Fraction) -> float:
        """The scale of noise on what one row moves by 1."""
        assert price > 0
        return {"gdp": sqrt(1 / price), "zcdp": sqrt(1 / (2 * price)), "pure": float(1 / price)}[self._measure]

    def _noise(self, scale: Fraction, shape: tuple[int, ...]) -> NDArray[np.float64]:
        draw = self._rng.laplace if self._measure == "pure" else self._rng.normal
        return np.rint(draw(0.0, float(scale), shape))

    def _noisy(self, query: Query, price: Fraction) -> NoisyMarginal:
        scale = self._scale(price)
        self.spent += price
        exact = self.count(query)
        if query.basis == "residual":
            assert self._measure != "pure"
            scale *= sqrt(prod(size * (size - 1) for size in query.shape))
            exact = residual(exact)
        values = exact + self._noise(Fraction(scale), query.shape).astype(np.int64)
        return self._kept(NoisyMarginal(query, values, Fraction(scale), self._law, len(self.answers)))

    def _kept(self, answer: A) -> A:
        self.answers.append(answer)
        return answer
