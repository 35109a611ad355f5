"""Which candidates remain after a pick: public rules on the columns of the candidates and the picks so far."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import ConfigurationError
from dpsynth.measurement import Rule


def require_rule(rule: Rule, candidates: Sequence[tuple[str, ...]]) -> None:
    """ConfigurationError for an unknown rule, or one that does not apply to these candidates."""
    if rule not in ("distinct", "spanning-forest"):
        raise ConfigurationError(f"rule {rule!r}: the rules are 'distinct' and 'spanning-forest'")
    if rule == "spanning-forest" and any(len(columns) != 2 for columns in candidates):
        raise ConfigurationError("rule 'spanning-forest' takes candidates of two columns each")


class Remaining:
    """The candidates that may be picked next, while picks are made.

    ``"distinct"``: all that were not picked. ``"spanning-forest"``: of those, the pairs that join two columns which
    the picked pairs do not connect yet.
    """

    def __init__(self, candidates: Sequence[tuple[str, ...]], rule: Rule) -> None:
        self._left = np.ones(len(candidates), dtype=np.bool_)
        self._joined: NDArray[np.intp] | None = None
        if rule == "spanning-forest":
            place = {
                column: at for at, column in enumerate(dict.fromkeys(name for pair in candidates for name in pair))
            }
            self._ends = np.array([[place[name] for name in pair] for pair in candidates], dtype=np.intp).reshape(-1, 2)
            self._joined = np.arange(len(place))

    def indices(self) -> NDArray[np.intp]:
        """Of the candidates that remain, ascending."""
        return np.flatnonzero(self._left)

    def pick(self, index: int) -> None:
        """One of them was picked."""
        self._left[index] = False
        if self._joined is not None:
            first, second = self._joined[self._ends[index]]
            self._joined[self._joined == second] = first
            ends = self._joined[self._ends]
            self._left &= ends[:, 0] != ends[:, 1]
