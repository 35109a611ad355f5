"""Opening a source: read once, encode at once, keep only codes, enforce the unit of privacy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dpsynth.encoding import Codec
from dpsynth.schema import Unit
from dpsynth.table.batches import batches
from dpsynth.table.counting import Codes
from dpsynth.table.private import PrivateTable
from dpsynth.table.source import Source, require
from dpsynth.table.truncation import identities, keep

if TYPE_CHECKING:
    import pyarrow as pa


def open_table(source: Source, codecs: Sequence[Codec], unit: Unit, key: bytes) -> PrivateTable:
    """Read the codecs' columns (and the unit's) of a source and keep at most ``unit.max_rows`` rows of each entity.

    ``key`` is the store's secret, by which an entity's rows are ranked. Raises SourceError only: a column is missing,
    or the file cannot be read to its end.
    """
    names = [codec.name for codec in codecs]
    wanted = names if unit.column is None else [*names, unit.column]
    require(source, wanted)
    parts: list[list[Codes]] = [[np.zeros(0, dtype=codec.dtype)] for codec in codecs]
    people: list[pa.Array] = []
    for batch in batches(source, wanted):
        for codec, part in zip(codecs, parts, strict=True):
            part.append(codec.encode(batch[codec.name]))
        if unit.column is not None:
            people += batch[unit.column].chunks
    columns: list[Codes] = [np.concatenate(part) for part in parts]
    if unit.column is not None:
        kept = _kept(people, columns, unit.max_rows, key)
        columns = [column[kept] for column in columns]
    return PrivateTable(dict(zip(names, columns, strict=True)), columns[0].size)


def _kept(people: list[pa.Array], columns: Sequence[Codes], max_rows: int, key: bytes) -> NDArray[np.intp]:
    import pyarrow as pa

    entities, words = identities(pa.chunked_array(people) if people else pa.chunked_array([pa.nulls(0)]))
    return keep(entities, words, columns, max_rows, key)
