"""From a batch of cells to codes: the same for every engine, and a function of each row alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dpsynth.encoding import Codec, Constraints, UnlistedCodec
from dpsynth.encoding.weights import weight_units
from dpsynth.privacy import Cell
from dpsynth.schema import Unit
from dpsynth.table.counting import Codes
from dpsynth.table.identities import canonical, numbered

if TYPE_CHECKING:
    import pyarrow as pa

    from dpsynth.table.reader import Batch


@dataclass(frozen=True, eq=False, repr=False)
class Rows:
    """Some encoded rows: private.

    ``codes`` and ``texts`` are by column: a column has codes, or, while its values are not found, canonical texts.
    ``weights`` are whole units; ``entities`` the canonical texts of the unit column; ``labels`` the place of each row's
    label among those of the cells, -1 for none. Texts are ``large_binary``, null where there is none. What the schema
    does not ask is None.
    """

    size: int
    codes: Mapping[str, Codes]
    texts: Mapping[str, pa.Array] = field(default_factory=dict)
    weights: Codes | None = None
    entities: pa.Array | None = None
    labels: NDArray[np.int16] | None = None

    def taken(self, rows: NDArray[np.intp]) -> Rows:
        """Some of the rows, in this order."""
        from dpsynth.encoding import arrays

        at = arrays.of_numpy(rows)
        return Rows(
            rows.size,
            {name: codes[rows] for name, codes in self.codes.items()},
            {name: texts.take(at) for name, texts in self.texts.items()},
            None if self.weights is None else self.weights[rows],
            None if self.entities is None else self.entities.take(at),
            None if self.labels is None else self.labels[rows],
        )

    @staticmethod
    def joined(parts: Sequence[Rows]) -> Rows:
        """The rows of one or more parts that were encoded alike, one after the other."""
        import pyarrow as pa

        first = parts[0]
        weights = [part.weights for part in parts if part.weights is not None]
        labels = [part.labels for part in parts if part.labels is not None]
        return Rows(
            sum(part.size for part in parts),
            {name: np.concatenate([part.codes[name] for part in parts]) for name in first.codes},
            {name: pa.concat_arrays([part.texts[name] for part in parts]) for name in first.texts},
            np.concatenate(weights) if weights else None,
            None if first.entities is None else pa.concat_arrays([part.entities for part in parts]),
            np.concatenate(labels) if labels else None,
        )


@dataclass(frozen=True, eq=False)
class Encoder:
    """How the rows of a schema are encoded, and which of them count: public."""

    codecs: Sequence[Codec]
    unit: Unit
    constraints: Constraints = field(default_factory=Constraints)
    cell: Cell | None = None

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns of the source that are read, each once."""
        read = [
            *(codec.source for codec in self.codecs),
            *self.unit.columns,
            *([self.cell.column] if self.cell else []),
        ]
        return tuple(dict.fromkeys(read))

    @cached_property
    def unlisted(self) -> tuple[str, ...]:
        """The columns that have no codes before their values are found."""
        return tuple(codec.name for codec in self.codecs if isinstance(codec, UnlistedCodec))

    def none(self) -> Rows:
        """No rows, as ``rows`` gives them of an empty batch."""
        import pyarrow as pa

        return self.rows({name: pa.chunked_array([pa.nulls(0)]) for name in self.columns})

    def rows(self, batch: Batch) -> Rows:
        """The rows of a batch, in order, each brought to keep the constraints by itself. Total: no cell raises."""
        unit, size = self.unit, len(batch[self.columns[0]])
        codes = {
            codec.name: codec.encode(batch[codec.source]) for codec in self.codecs if codec.name not in self.unlisted
        }
        if codes:
            codes = self.constraints.repaired(codes)[0]
        return Rows(
            size,
            codes,
            {name: canonical(batch[name]) for name in self.unlisted},
            None
            if unit.weight is None or unit.max_weight is None
            else weight_units(batch[unit.weight], unit.max_weight),
            None if unit.column is None else canonical(batch[unit.column]),
            None if self.cell is None else self._labels(batch[self.cell.column], self.cell),
        )

    @staticmethod
    def _labels(values: pa.ChunkedArray, cell: Cell) -> NDArray[np.int16]:
        places, words = numbered(canonical(values))
        numbers = {label.encode(): number for number, label in enumerate(cell.cells.labels)}
        known = np.array([*(numbers.get(word, -1) for word in words.to_pylist()), -1], dtype=np.int16)
        return known[places]  # a null is at place -1
