"""A Measurer over a table in memory with rounded normal noise from a seed: for tests and benchmarks, never private."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import pi, prod, sqrt
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from dpsynth.curator.residuals import residual
from dpsynth.curator.rules import remaining
from dpsynth.measurement import (
    LATTICE,
    TOTAL,
    Answer,
    Candidate,
    Domain,
    Level,
    NoisyMarginal,
    NoisyScores,
    Query,
    Rule,
    Score,
    Selection,
)

A = TypeVar("A", NoisyMarginal, NoisyScores, Selection)


class FakeMeasurer:
    """Add-remove of single rows. ``spent`` sums what was charged, ``answers`` lists every answer.

    Prices are rho of zCDP, or mu^2 of Gaussian DP.
    """

    def __init__(
        self,
        domain: Domain,
        codes: NDArray[np.integer],
        seed: int,
        levels: Mapping[str, Level] | None = None,
        measure: Literal["zcdp", "gdp"] = "zcdp",
    ) -> None:
        self.domain = domain
        self.levels = levels or {n: Level.identity(n, s) for n, s in zip(domain.names, domain.sizes, strict=True)}
        self.spent = Fraction(0)
        self.answers: list[Answer] = []
        self._codes = np.asarray(codes).reshape(-1, len(domain.names))
        self._rng = np.random.default_rng(seed)
        self._gdp = measure == "gdp"

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
        scale = Fraction(largest * LATTICE * sqrt(len(candidates)) * self._sigma(price))
        self.spent += price
        values = (exact + np.rint(self._rng.normal(0.0, float(scale), exact.size))).astype(np.int64)
        columns = tuple(c.query.columns for c in candidates)
        return self._kept(NoisyScores(score, columns, values, scale, "rounded_gaussian", len(self.answers)))

    def select(
        self, candidates: Sequence[Candidate], score: Score, picks: int, price: Fraction, rule: Rule = "distinct"
    ) -> Selection:
        assert picks > 0
        exact, largest = self._scored(candidates, score)
        scale = largest * LATTICE * sqrt(picks * (pi if self._gdp else 1) / (2 * price))
        self.spent += price
        names = tuple(c.query.columns for c in candidates)
        chosen: list[int] = []
        while len(chosen) < picks and (rest := remaining(names, chosen, rule)):
            chosen.append(max(rest, key=lambda i: exact[i] + scale * self._rng.gumbel()))
        return self._kept(Selection(score, rule, names, tuple(chosen), Fraction(scale), len(self.answers)))

    def _scored(self, candidates: Sequence[Candidate], score: Score) -> tuple[NDArray[np.float64], int]:
        """Exact scores, and the largest weight."""
        assert candidates and score == "l1-to-model"
        exact = [c.weight * np.abs(LATTICE * self.count(c.query) - c.expected).sum() - c.offset for c in candidates]
        return np.array(exact, dtype=np.float64), max(c.weight for c in candidates)

    def _sigma(self, price: Fraction) -> float:
        assert price > 0
        return sqrt(1 / price) if self._gdp else sqrt(1 / (2 * price))

    def _noisy(self, query: Query, price: Fraction) -> NoisyMarginal:
        sigma = self._sigma(price)
        self.spent += price
        exact = self.count(query)
        if query.basis == "residual":
            sigma *= sqrt(prod(size * (size - 1) for size in query.shape))
            exact = residual(exact)
        noise = np.rint(self._rng.normal(0.0, sigma, query.shape))
        values = exact + noise.astype(np.int64)
        return self._kept(NoisyMarginal(query, values, Fraction(sigma), "rounded_gaussian", len(self.answers)))

    def _kept(self, answer: A) -> A:
        self.answers.append(answer)
        return answer
