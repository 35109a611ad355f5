"""Drawing rows down the tree, in integers.

Within a chunk, the n_s rows in parent state s are spread over the cells of its table row t (summing to 2^32) by
systematic rounding: with one offset u in 0..2^32-1 the points u + i 2^32, i < n_s, are laid on the cells, cell j
taking those in [C_(j-1) n_s, C_j n_s), C the cumulated row. Every cell gets the floor or the ceiling of its
expectation n_s t_j / 2^32, and exactly that in expectation: no multinomial noise. *Which* rows of the state get them
is a fresh random order for each table, so that two children of the same parent are independent given it (in rank
order they would move together). The first table orders all rows of the chunk at random, which makes the rows
exchangeable: no order of the output tells anything, and a last permutation would change nothing in law.

The random order is the order of the distinct 64-bit keys (state, random bits, row), so that the result does not depend
on the sorting algorithm, which numpy picks by processor. A row's cell depends on its rank among them alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import ConfigurationError
from dpsynth.measurement import Domain
from dpsynth.sampling.fixed import ONE
from dpsynth.sampling.tables import CHUNK, IntegerTables, Node
from dpsynth.sampling.words import MAX_SEED, NODE, SPREAD, words
from dpsynth.threads import in_order

Codes = Mapping[str, NDArray[np.uint16]]
"""Column name -> uint16 codes on the fine grid, one a row."""

_ROWS = np.uint64(CHUNK - 1)
_ROW_BITS = np.uint64((CHUNK - 1).bit_length())
_RANDOM_BITS = np.uint64(64) - _ROW_BITS
_MIXED = np.uint32(2**32 - 1)
"""No cell of a table: a mark."""
_BELOW_ONE = np.uint64(ONE - 1)
_HALF = np.uint64(32)


def sample_chunk(tables: IntegerTables, rows: int, seed: int, chunk: int) -> Codes:
    """Chunk ``chunk`` of the ``rows`` rows that ``seed`` gives, alone: at most 2^20 rows, columns in order."""
    require(rows, seed)
    return Sampler.of(tables).chunk(rows, seed, chunk)


def sample_chunks(tables: IntegerTables, rows: int, seed: int, workers: int | None = None) -> Iterator[Codes]:
    """All rows, a chunk at a time and in order; the same for any number of worker threads.

    ``rows`` >= 0 (none give no chunk), 0 <= ``seed`` < 2^63; ConfigurationError otherwise. ``workers`` threads (by
    default one a processor, at most 8) draw at most that many chunks in advance, about 100 MB each.
    """
    require(rows, seed)
    sampler = Sampler.of(tables)
    return in_order(lambda chunk: sampler.chunk(rows, seed, chunk), chunks(rows), workers)


def chunks(rows: int) -> int:
    """Number of chunks."""
    return -(-rows // CHUNK)


def chunk_rows(rows: int, chunk: int) -> int:
    """Number of rows of one chunk."""
    return min(CHUNK, rows - chunk * CHUNK)


def require(rows: int, seed: int) -> None:
    """ConfigurationError unless so many rows can be drawn with this seed."""
    if rows < 0:
        raise ConfigurationError(f"rows = {rows}: give 0 or more")
    if not 0 <= seed <= MAX_SEED:
        raise ConfigurationError(f"seed = {seed}: give an integer from 0 to 2^63 - 1")


@dataclass(frozen=True, eq=False)
class _Rounding:
    """Cumulated rows of a table, flat: state s holds ``widths[s]`` cells, in order.

    ``upper`` is the cumulated mass of each cell within its state; ``first`` marks the first cell of each state;
    ``cells`` is what a row placed there gets.
    """

    widths: NDArray[np.int64]
    upper: NDArray[np.uint64]
    first: NDArray[np.int64]
    cells: NDArray[np.uint32]

    @classmethod
    def of_table(cls, table: NDArray[np.uint64]) -> _Rounding:
        states, width = table.shape
        return cls(
            np.full(states, width, dtype=np.int64),
            table.cumsum(axis=1).ravel(),
            np.arange(0, states * width, width, dtype=np.int64),
            np.tile(np.arange(width, dtype=np.uint32), states),
        )

    @classmethod
    def of_groups(cls, groups: NDArray[np.uint16], weights: NDArray[np.uint64]) -> _Rounding:
        """Each group's cells in ascending order, with the weights that sum to 2^32 within it."""
        cells = np.argsort(groups, kind="stable")
        widths = np.bincount(groups)
        first = np.concatenate([[0], widths.cumsum()[:-1]])
        running = weights[cells].cumsum()  # at most 65,535 groups of 2^32 each: below 2^48
        before = np.arange(widths.size, dtype=np.uint64) * np.uint64(ONE)
        return cls(widths, running - np.repeat(before, widths), first, cells.astype(np.uint32))

    def place(self, states: NDArray[np.uint64], random: NDArray[np.uint64]) -> NDArray[np.uint32]:
        """A cell for each row: ``states`` (n,) uint64, ``random`` one word a state, then one a row."""
        offsets, order = random[: self.widths.size] >> _HALF, random[self.widths.size :]
        counts = np.bincount(states.view(np.int64), minlength=self.widths.size).astype(np.uint64)
        # A state has at most 2^20 rows and the mass is at most 2^32: the products stay below 2^53.
        below = np.repeat(counts, self.widths)
        below *= self.upper
        below += np.repeat(_BELOW_ONE - offsets, self.widths)
        below >>= _HALF
        times = below.view(np.int64).copy()
        times[1:] -= below.view(np.int64)[:-1]
        times[self.first] = below.view(np.int64)[self.first]
        return _by_rank(np.repeat(self.cells, times), states, counts, order)


def _by_rank(
    cells: NDArray[np.uint32], states: NDArray[np.uint64], counts: NDArray[np.uint64], order: NDArray[np.uint64]
) -> NDArray[np.uint32]:
    """To the row that is i-th by state, and in random order within each, ``cells[i]``.

    The order is that of the keys (state, random bits, row). The random bits of a row say nearly where in its state it
    stands; rows with one such guess stand together, so that only those are sorted whose cells differ.
    """
    bits = np.uint64((counts.size - 1).bit_length())
    state = states.view(np.int64)
    guess = order >> (_ROW_BITS + bits)
    guess *= counts.take(state)  # at most 2^20, and 64 - 20 - bits random bits
    guess >>= _RANDOM_BITS - bits
    guess += (counts.cumsum() - counts).take(state)
    place = guess.view(np.int64)
    alike = np.bincount(place, minlength=order.size)
    ends = alike.cumsum()
    cell = cells.take(np.minimum(ends - alike, order.size - 1))
    mixed = (cell != cells.take(np.maximum(ends - 1, 0))) & (alike > 0)
    cell[mixed] = _MIXED
    placed: NDArray[np.uint32] = cell.take(place)
    rows = np.flatnonzero(placed == _MIXED)
    keys = order[rows] >> bits
    keys &= ~_ROWS
    keys |= rows.view(np.uint64)
    if bits:
        keys |= states[rows] << (np.uint64(64) - bits)
    keys.sort()
    keys &= _ROWS
    placed[keys.view(np.int64)] = cells[np.repeat(mixed, alike)]
    return placed


@dataclass(frozen=True, eq=False)
class Sampler:
    """Tables made ready for drawing; holds no state, so threads may share it.

    ``spreads`` says how model cells become fine cells: by rounding, or by a plain map where each has one fine cell.
    """

    columns: tuple[str, ...]
    domain: Domain
    nodes: tuple[tuple[Node, _Rounding], ...]
    spreads: tuple[_Rounding | NDArray[np.uint16], ...]

    @classmethod
    def of(cls, tables: IntegerTables) -> Sampler:
        """Cumulate the tables once, for all chunks."""
        return cls(
            tables.columns,
            tables.model_domain,
            tuple((node, _Rounding.of_table(node.table)) for node in tables.nodes),
            tuple(
                np.argsort(level.cells).astype(np.uint16)
                if level.size == level.fine
                else _Rounding.of_groups(level.cells, weight)
                for level, weight in zip(tables.levels, tables.weights, strict=True)
            ),
        )

    def chunk(self, rows: int, seed: int, chunk: int) -> Codes:
        """One chunk of the ``rows`` rows that ``seed`` gives; ConfigurationError if there is no such chunk."""
        if not 0 <= chunk < chunks(rows):
            raise ConfigurationError(f"chunk {chunk} of {rows} rows: there are {chunks(rows)} chunks")
        return self._draw(chunk_rows(rows, chunk), seed, chunk)

    def again(self, rows: int, seed: int, chunk: int, attempt: int) -> Codes:
        """Up to 2^20 other rows in place of some of a chunk; ``attempt`` counts from 1, each with rows of its own."""
        return self._draw(rows, seed, chunk + attempt * CHUNK)

    def _draw(self, count: int, seed: int, chunk: int) -> Codes:
        coarse: dict[str, NDArray[np.uint16]] = {}
        for index, (node, rounding) in enumerate(self.nodes):
            random = words(seed, chunk, NODE, index, rounding.widths.size + count)
            placed = rounding.place(self._states(node, coarse, count), random)
            coarse.update(self._split(node, placed))
        fine: dict[str, NDArray[np.uint16]] = {}
        for index, (name, spread) in enumerate(zip(self.columns, self.spreads, strict=True)):
            if isinstance(spread, _Rounding):
                random = words(seed, chunk, SPREAD, index, spread.widths.size + count)
                fine[name] = spread.place(coarse.pop(name).astype(np.uint64), random).astype(np.uint16)
            else:
                fine[name] = spread[coarse.pop(name)]
        return fine

    def _states(self, node: Node, coarse: Codes, count: int) -> NDArray[np.uint64]:
        """Row-major index of each row's parent state."""
        states = np.zeros(count, dtype=np.uint64)
        for name in node.given:
            states *= np.uint64(self.domain.size(name))
            states += coarse[name]
        return states

    def _split(self, node: Node, placed: NDArray[np.uint32]) -> dict[str, NDArray[np.uint16]]:
        """Joint cells back to a code a column."""
        if len(node.new) == 1:
            return {node.new[0]: placed.astype(np.uint16)}
        shape = self.domain.shape(node.new)
        digits = np.unravel_index(np.arange(prod(shape)), shape)
        return {name: digit.astype(np.uint16)[placed] for name, digit in zip(node.new, digits, strict=True)}
