"""Synthetic rows drawn by a Spark cluster, a chunk a task: the same rows as one machine draws, as a data frame.

The model is public and so is the seed, so nothing here needs the trust that the private rows need. What a task needs of
the model travels with it once, pickled by Spark, between processes of one cluster.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from dpsynth.errors import ConfigurationError
from dpsynth.sampling import SyntheticRows

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

    from dpsynth.release.release import Release


def to_spark(release: Release, session: SparkSession, rows: int | None = None, seed: int | None = None) -> DataFrame:
    """The synthetic rows as a data frame of ``session``, drawn anew on its executors whenever it is evaluated.

    They are those of ``release.batches()``, chunk by chunk; ``rows`` and ``seed`` give other rows of the same model, by
    default as many and by the seed that the release has. Datetimes are TIMESTAMP_NTZ. ConfigurationError for a number
    of rows or a seed that cannot be, and where PySpark is missing.
    """
    try:
        from pyspark.sql.pandas.types import from_arrow_schema
    except ImportError:
        raise ConfigurationError("Spark needs PySpark: pip install 'dpsynth-engine[spark]'") from None
    drawn = SyntheticRows(
        release.tables,
        release.layout,
        release.rows if rows is None else rows,
        release.plan.seed if seed is None else seed,
    )
    none = next(replace(drawn, rows=0).chunk(0))
    places = session.range(0, drawn.chunks, 1, drawn.chunks)
    return places.mapInArrow(_Draw(drawn), from_arrow_schema(_plain(none).schema, prefer_timestamp_ntz=True))


class _Draw:
    """What a task does: draws the chunks whose numbers it is given."""

    def __init__(self, rows: SyntheticRows) -> None:
        self._rows = rows

    def __call__(self, places: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in places:
            for chunk in batch.column(0).to_pylist():
                yield from map(_plain, self._rows.chunk(chunk))


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same rows in types that Spark has: its timestamps count microseconds."""
    import pyarrow as pa

    moments = {
        place: batch.column(place).cast(pa.timestamp("us"))
        for place, kind in enumerate(batch.schema.types)
        if pa.types.is_timestamp(kind)
    }
    columns = [moments.get(place, column) for place, column in enumerate(batch.columns)]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
