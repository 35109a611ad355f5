"""A Measurer over a table in memory with rounded normal noise from a seed: for tests and benchmarks, never private."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from dpsynth.measurement import (
    LATTICE,
    TOTAL,
    Candidate,
    Domain,
    Level,
    NoisyMarginal,
    Query,
    Rule,
    Score,
    Selection,
)


class FakeMeasurer:
    """zCDP prices, add-remove of single rows. ``spent`` sums what was charged, ``asked`` lists every query."""

    def __init__(
        self, domain: Domain, codes: NDArray[np.integer], seed: int, levels: Mapping[str, Level] | None = None
    ) -> None:
        self.domain = domain
        self.levels = levels or {n: Level.identity(n, s) for n, s in zip(domain.names, domain.sizes, strict=True)}
        self.spent = Fraction(0)
        self.answers: list[NoisyMarginal | Selection] = []
        self._codes = np.asarray(codes).reshape(-1, len(domain.names))
        self._rng = np.random.default_rng(seed)

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

    def select(
        self, candidates: Sequence[Candidate], score: Score, picks: int, price: Fraction, rule: Rule = "distinct"
    ) -> Selection:
        assert candidates and picks > 0 and price > 0 and score == "l1-to-model" and rule == "spanning-forest"
        self.spent += price
        scale = LATTICE * sqrt(picks / (2 * price))
        scores = [float(np.abs(LATTICE * self.count(c.query) - c.expected).sum()) for c in candidates]
        part = {name: name for c in candidates for name in c.query.columns}
        chosen: list[int] = []
        while len(chosen) < picks:
            rest = [i for i, c in enumerate(candidates) if len({part[n] for n in c.query.columns}) == 2]
            if not rest:
                break
            best = max(rest, key=lambda i: scores[i] + scale * self._rng.gumbel())
            one, two = (part[n] for n in candidates[best].query.columns)
            part = {name: one if root == two else root for name, root in part.items()}
            chosen.append(best)
        names = tuple(c.query.columns for c in candidates)
        answer = Selection(score, rule, names, tuple(chosen), Fraction(scale), len(self.answers))
        self.answers.append(answer)
        return answer

    def _noisy(self, query: Query, price: Fraction) -> NoisyMarginal:
        assert price > 0
        self.spent += price
        sigma = sqrt(1 / (2 * price))
        noise = np.rint(self._rng.normal(0.0, sigma, query.shape))
        values = self.count(query) + noise.astype(np.int64)
        answer = NoisyMarginal(query, values, Fraction(sigma), "rounded_gaussian", len(self.answers))
        self.answers.append(answer)
        return answer
