"""What a mechanism says it compares at most, against what it really compares."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from dpsynth.measurement import Candidate, Domain, NoisyScores, Selection
from dpsynth.mechanisms import REGISTRY, Workload, by_name
from tests.mechanisms.fake import FakeMeasurer


class Watched(FakeMeasurer):
    """Keeps the number of candidates of each comparison, and the cells of their tables."""

    def __init__(self, *words: Any) -> None:
        super().__init__(*words)
        self.compared: list[tuple[int, int]] = []

    def scores(self, candidates: Sequence[Candidate], *words: Any) -> NoisyScores:
        self._watch(candidates)
        return super().scores(candidates, *words)

    def select(self, candidates: Sequence[Candidate], *words: Any) -> Selection:
        self._watch(candidates)
        return super().select(candidates, *words)

    def _watch(self, candidates: Sequence[Candidate]) -> None:
        self.compared.append((len(candidates), sum(candidate.query.cells for candidate in candidates)))


FEW = [(9,), (6, 40), (30, 20, 7, 2, 12)]
MANY = (4,) * 31
"""So many columns that mrm chooses pairs before it scores them."""


@pytest.mark.parametrize(
    ("name", "ways", "sizes"),
    [
        *((name, 2, sizes) for name in REGISTRY for sizes in FEW),
        *((name, 3, FEW[-1]) for name in ("mrm", "aim")),
        *((name, 2, MANY) for name in ("mrm", "mst")),
    ],
)
def test_no_more_is_compared_than_was_said(name: str, ways: int, sizes: tuple[int, ...]) -> None:
    domain = Domain(tuple(f"x{j}" for j in range(len(sizes))), sizes)
    rng = np.random.default_rng(0)
    shared = rng.random((20_000, 1))
    codes = ((shared + rng.random((20_000, len(sizes)))) / 2 * sizes).astype(np.int64)
    measurer = Watched(domain, codes, 0)
    mechanism = by_name(name, Workload(ways))
    mechanism.fit(measurer, Fraction(50))
    number, cells = mechanism.compared(domain, measurer.levels)
    assert all(found <= number for found, _ in measurer.compared)
    assert all(found <= cells for _, found in measurer.compared)
    assert measurer.compared or len(sizes) < 3 or name == "independent"
