"""Opening a source: read, encode at once, keep only codes, enforce the unit of privacy."""

from __future__ import annotations

from collections.abc import Sequence

from dpsynth.encoding import Codec, Constraints
from dpsynth.privacy import Cell
from dpsynth.schema import Unit
from dpsynth.schema.quantity import limit_of
from dpsynth.table import local
from dpsynth.table.encoded import Encoder
from dpsynth.table.limit import Sizes
from dpsynth.table.private import PrivateTable
from dpsynth.table.source import Source, require
from dpsynth.table.spark import Cluster, SparkFrame


def open_table(
    source: Source,
    codecs: Sequence[Codec],
    unit: Unit,
    key: bytes,
    constraints: Constraints | None = None,
    cell: Cell | None = None,
    memory: int | None = None,
) -> PrivateTable:
    """Read the codecs' columns (and the unit's) of a source and keep at most ``unit.max_rows`` rows of each entity.

    A row that breaks a constraint is first brought to keep them all, by itself and by a public rule. Where the unit has
    weights, each row counts as many units as its weight is. Of a ``cell`` the rows of its entities alone are kept.

    ``key`` is the store's secret, by which an entity's rows are ranked. ``memory`` is the most bytes that this process
    should take: half of the machine's by default. Raises SourceError only: a column is missing, or the file cannot be
    read to its end.
    """
    encoder = Encoder(codecs, unit, constraints or Constraints(), cell)
    require(source, encoder.columns)
    if isinstance(source.reader, SparkFrame):
        return PrivateTable(Cluster(source.reader, encoder, key))
    return PrivateTable(local.opened(source, encoder, key, Sizes.of(limit_of(memory))))
