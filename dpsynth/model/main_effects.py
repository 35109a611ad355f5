"""What all measurements together say about single columns.

Several answers tell about one column, each perhaps at its own level: its own table and the sums of every joint table
that holds it. With t the column's counts and L the map of an answer's level, sum |L t - y|^2 / (2 r) over the answers
is (t - z)' J (t - z) / 2 and a constant, with J = sum L' L / r. Its dual is one table f for the column with the ridge
f' J^-1 f / 2, however many answers there are. As all counts sum to a known number of rows, a constant added to f
changes nothing: the ridge used here is the least over such constants.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dpsynth.measurement import Domain
from dpsynth.model.factor import Floats

SINGULAR = 1e-13
"""A singular value of the levels' maps below this share of the largest is none."""


@dataclass(frozen=True, eq=False)
class Seen:
    """A noisy table of one column: ``values`` a group, ``ridge`` its r; ``groups`` maps a cell to its group."""

    groups: NDArray[np.intp]
    values: Floats
    ridge: Floats

    @classmethod
    def together(cls, groups: NDArray[np.intp], values: Floats, ridges: Floats, rows: float) -> Seen:
        """What several tables at one level say, one a row of ``values`` and of ``ridges``.

        Each is first shifted along its ridge to sum to the rows, which changes a fit's objective by a constant only.
        """
        lacking = rows - np.add.reduce(values, axis=1, keepdims=True)
        shifted = values + lacking * (ridges / np.add.reduce(ridges, axis=1, keepdims=True))
        ridge = 1 / np.add.reduce(1 / ridges)
        return cls(groups, np.add.reduce(shifted / ridges) * ridge, ridge)


@dataclass(frozen=True, eq=False)
class _Levels:
    """J of a column that is seen at several levels, of shape (cells, cells), its inverse, and the counts z.

    Levels may tell cells apart together that none does alone: then J is singular, ``inverse`` its pseudo-inverse and
    ``span`` the projection onto what the levels can tell. Otherwise ``span`` is None. All come from the singular values
    of the levels' maps, scaled by their noise: J itself holds their squares, and with them half the digits.
    """

    where: slice
    precision: Floats
    inverse: Floats
    span: Floats | None
    best: Floats

    @classmethod
    def of(cls, where: slice, levels: Sequence[Seen]) -> _Levels:
        """The levels together; memory and time grow with the square and the cube of the cells."""
        scales = [np.sqrt(level.ridge) for level in levels]
        maps = np.concatenate([
            np.equal.outer(np.arange(scale.size), level.groups) / scale[:, None]
            for level, scale in zip(levels, scales, strict=True)
        ])  # fmt: skip
        goal = np.concatenate([level.values / scale for level, scale in zip(levels, scales, strict=True)])
        left, roots, right = np.linalg.svd(maps, full_matrices=False)
        kept = roots > SINGULAR * roots[0]
        left, roots, right = left[:, kept], roots[kept], right[kept]
        span = None if roots.size == maps.shape[1] else right.T @ right
        best = right.T @ ((left.T @ goal) / roots)
        return cls(where, maps.T @ maps, (right.T / roots**2) @ right, span, best)


@dataclass(frozen=True, eq=False)
class MainEffects:
    """The columns of ``names`` one after another in one vector; ``cells[j]`` maps the model cells of column j there.

    ``precision`` holds the diagonal of J, ``weighted`` the sum of L' y / r over all answers, of which z is the quotient
    where a column is seen at one level.
    """

    names: tuple[str, ...]
    cells: tuple[NDArray[np.intp], ...]
    starts: NDArray[np.intp]
    precision: Floats
    several: tuple[_Levels, ...]
    weighted: Floats
    rows: float

    @classmethod
    def of(cls, domain: Domain, seen: Mapping[str, Sequence[Seen]], rows: float) -> MainEffects:
        """``seen`` holds what the answers say of each column; a column of which they say nothing is left out."""
        starts, cells, diagonal, weighted = [0], [], [np.zeros(0)], [np.zeros(0)]
        several: list[_Levels] = []
        names = tuple(name for name in domain.names if seen.get(name))
        for name in names:
            at = starts[-1]
            index, levels = _refined(_merged(seen[name]))
            size = int(index.max()) + 1
            precision, total = np.zeros(size), np.zeros(size)
            for level in levels:
                precision += (1 / level.ridge)[level.groups]
                total += (level.values / level.ridge)[level.groups]
            if len(levels) > 1:
                several.append(_Levels.of(slice(at, at + size), levels))
            diagonal.append(precision)
            weighted.append(total)
            cells.append(index + at)
            starts.append(at + size)
        return cls(
            names,
            tuple(cells),
            np.array(starts[:-1], dtype=np.intp),
            np.concatenate(diagonal),
            tuple(several),
            np.concatenate(weighted),
            rows,
        )

    @property
    def size(self) -> int:
        """Length of the vector."""
        return self.precision.size

    @cached_property
    def index(self) -> NDArray[np.intp]:
        """The maps of all columns, one after another."""
        return np.concatenate([np.zeros(0, dtype=np.intp), *self.cells])

    @cached_property
    def values(self) -> Floats:
        """The counts z that all answers point to; each column sums to the rows."""
        best = self.weighted / self.precision
        for part in self.several:
            best[part.where] = part.best
        return best + self._even * self._repeated((self.rows - self._sums(best)) / self._sums(self._even))

    @cached_property
    def diagonal(self) -> Floats:
        """Of the ridge."""
        result = 1 / self.precision
        for part in self.several:
            result[part.where] = part.inverse.diagonal()
        return np.maximum(result - self._even**2 * self._repeated(1 / self._sums(self._even)), 0.0)

    def held(self, vector: Floats) -> Floats:
        """The part of a vector that the levels of each column can tell."""
        result = vector
        for part in self.several:
            if part.span is not None:
                result = result.copy() if result is vector else result
                result[part.where] = np.einsum("ij,j->i", part.span, vector[part.where])
        return result

    def ridge(self, point: Floats) -> Floats:
        """J^-1 f, less what the best constant takes away: the gradient of the ridge."""
        found = self._solve(point)
        return found - self._even * self._repeated(self._sums(found) / self._sums(self._even))

    def informed(self, gradient: Floats) -> Floats:
        """J g: the inverse of the ridge, for vectors whose columns sum to zero."""
        result = self.precision * gradient
        for part in self.several:
            result[part.where] = np.einsum("ij,j->i", part.precision, gradient[part.where])
        return result

    def less_mean(self, shares: Floats, vector: Floats) -> Floats:
        """A vector less each column's mean under some probabilities."""
        return vector - self._repeated(self._sums(shares * vector))

    def less_share(self, shares: Floats, vector: Floats) -> Floats:
        """The adjoint: a vector less each column's sum, spread by its probabilities."""
        return vector - shares * self._repeated(self._sums(vector))

    @cached_property
    def _even(self) -> Floats:
        return self._solve(np.ones(self.size))

    def _solve(self, vector: Floats) -> Floats:
        result = vector / self.precision
        for part in self.several:
            result[part.where] = np.einsum("ij,j->i", part.inverse, vector[part.where])
        return result

    def _sums(self, vector: Floats) -> Floats:
        sums: Floats = np.add.reduceat(vector, self.starts) if self.size else np.zeros(0)
        return sums

    def _repeated(self, numbers: Floats) -> Floats:
        return np.repeat(numbers, np.diff(np.append(self.starts, self.size)))


def _merged(seen: Sequence[Seen]) -> list[Seen]:
    """Answers that group the cells alike as one, groups numbered as they first appear."""
    levels: dict[bytes, list[Seen]] = {}
    for answer in seen:
        if not np.array_equal(answer.groups, np.arange(answer.groups.size)):
            _, first, labels = np.unique(answer.groups, return_index=True, return_inverse=True)
            order = np.argsort(first)
            answer = Seen(np.argsort(order)[labels], answer.values[order], answer.ridge[order])
        levels.setdefault(answer.groups.tobytes(), []).append(answer)
    result = []
    for alike in levels.values():
        precision = np.sum([1 / answer.ridge for answer in alike], axis=0)
        weighted = np.sum([answer.values / answer.ridge for answer in alike], axis=0)
        result.append(Seen(alike[0].groups, weighted / precision, 1 / precision))
    return result


def _refined(levels: Sequence[Seen]) -> tuple[NDArray[np.intp], list[Seen]]:
    """The map from cells to the coarsest cells that all levels tell apart, and the levels over those."""
    size = levels[0].groups.size
    if any(level.values.size == size for level in levels):
        return np.arange(size), list(levels)
    maps = np.stack([level.groups for level in levels])
    _, first, index = np.unique(maps, axis=1, return_index=True, return_inverse=True)
    return index.reshape(-1).astype(np.intp), [Seen(level.groups[first], level.values, level.ridge) for level in levels]
