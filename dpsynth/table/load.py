"""Opening a source: read once, encode at once, keep only codes, enforce the unit of privacy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dpsynth.encoding import Codec, Constraints, UnlistedCodec
from dpsynth.encoding.weights import weight_units
from dpsynth.privacy import Cell
from dpsynth.schema import Unit
from dpsynth.table.batches import batches
from dpsynth.table.counting import Codes
from dpsynth.table.members import members
from dpsynth.table.private import PrivateTable
from dpsynth.table.source import Source, require
from dpsynth.table.texts import Texts
from dpsynth.table.truncation import identities, keep

if TYPE_CHECKING:
    import pyarrow as pa


def open_table(
    source: Source,
    codecs: Sequence[Codec],
    unit: Unit,
    key: bytes,
    constraints: Constraints | None = None,
    cell: Cell | None = None,
) -> PrivateTable:
    """Read the codecs' columns (and the unit's) of a source and keep at most ``unit.max_rows`` rows of each entity.

    A row that breaks a constraint is first brought to keep them all, by itself and by a public rule. Where the unit has
    weights, each row counts as many units as its weight is. Of a ``cell`` the rows of its entities alone are kept.

    ``key`` is the store's secret, by which an entity's rows are ranked. Raises SourceError only: a column is missing,
    or the file cannot be read to its end.
    """
    names = [codec.name for codec in codecs]
    wanted = list(dict.fromkeys([*(codec.source for codec in codecs), *unit.columns, *([cell.column] if cell else [])]))
    require(source, wanted)
    parts: list[list[Codes]] = [[np.zeros(0, dtype=codec.dtype)] for codec in codecs]
    words: dict[str, list[pa.Array]] = {codec.name: [] for codec in codecs if isinstance(codec, UnlistedCodec)}
    people: list[pa.Array] = []
    labels: list[pa.Array] = []
    weighed: list[Codes] = [np.zeros(0, dtype=np.uint8)]
    for batch in batches(source, wanted):
        codes = {codec.name: codec.encode(batch[codec.source]) for codec in codecs if codec.name not in words}
        if codes:
            codes = (constraints or Constraints()).repaired(codes)[0]
        for name, part in zip(names, parts, strict=True):
            if name in words:
                words[name] += batch[name].chunks
            else:
                part.append(codes[name])
        if unit.column is not None:
            people += batch[unit.column].chunks
        if cell is not None:
            labels += batch[cell.column].chunks
        if unit.weight is not None and unit.max_weight is not None:
            weighed.append(weight_units(batch[unit.weight], unit.max_weight))
    columns: list[Codes | Texts] = [
        _texts(words[name]) if name in words else np.concatenate(part) for name, part in zip(names, parts, strict=True)
    ]
    weights = None if unit.weight is None else np.concatenate(weighed)
    entities, ids = (None, []) if unit.column is None else identities(*people)
    if cell is not None:
        rows = members(cell, *identities(*labels), entities, ids, key)
        columns, weights = _taken(columns, rows), None if weights is None else weights[rows]
        entities = None if entities is None else entities[rows]
    owners: NDArray[np.int64] | None = None
    if entities is not None:
        content = columns if weights is None else [*columns, weights]  # what tells two rows of an entity apart
        kept = keep(entities, ids, content, unit.max_rows, key)
        columns, weights = _taken(columns, kept), None if weights is None else weights[kept]
        owners = entities[kept] if words else None
    return PrivateTable(dict(zip(names, columns, strict=True)), columns[0].size, weights, owners)


def _taken(columns: Sequence[Codes | Texts], rows: NDArray[np.intp]) -> list[Codes | Texts]:
    return [column.kept(rows) if isinstance(column, Texts) else column[rows] for column in columns]


def _texts(chunks: list[pa.Array]) -> Texts:
    places, words = identities(*chunks)
    return Texts(places, tuple(words))
