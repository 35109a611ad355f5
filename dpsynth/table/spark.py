"""Spark data frames, and the engine that encodes, truncates and counts their rows on a cluster.

The rows stay where they are. What comes to this process are sums of whole numbers, a vector a partition, and of a
column whose values are to be found the distinct texts with their holders: what other engines know too. The tasks do
what those do (:mod:`dpsynth.table.tasks`), so the integers are the same, whatever fails and is run again. Noise is not
drawn here, and no task knows of any.

The store's key travels to the tasks: whoever can read their memory or traffic learns which rows of a person were kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import numpy as np
from numpy.typing import NDArray

from dpsynth.encoding import Codec
from dpsynth.errors import ConfigurationError, DpsynthError, SourceError
from dpsynth.measurement import Query
from dpsynth.table import tasks
from dpsynth.table.encoded import Encoder
from dpsynth.table.reader import ColumnInfo, Part, Reader, guarded

if TYPE_CHECKING:
    from dpsynth.table.tasks import Task

T = TypeVar("T")

_FLAT = frozenset(
    f"{name}Type"
    for name in (
        *("Boolean", "Byte", "Short", "Integer", "Long", "Float", "Double", "Decimal", "String", "Char", "Varchar"),
        *("Binary", "Date", "Timestamp", "TimestampNTZ", "Time", "DayTimeInterval"),
    )
)
"""Types that Arrow has too. The others, which have no text, are asked only whether they are null."""

_GONE = "Spark data frame: it cannot be read; check that its session runs and its tables are there"

_UNFINISHED = (
    "Spark data frame: the data could not be read to their end; check that its session runs, that its query runs on "
    "every row and that each executor has dpsynth"
)

_CHANGING = (
    "the query of the Spark data frame gives other rows each time it is run: rand(), uuid(), "
    "monotonically_increasing_id() or a function that is declared so. Write its rows to a table first and give that"
)

_PICKING = (
    "the query of the Spark data frame picks rows by what other rows there are, or by the clock ({}), so that one "
    "person could move any number of them: leave that out, or write the rows to a table first"
)

_PICKS = {
    "Sample": "sample",
    "GlobalLimit": "limit",
    "LocalLimit": "limit",
    "Offset": "offset",
    "Tail": "tail",
    "First": "first",
    "Last": "last",
    "AnyValue": "any_value",
    "CurrentTimestamp": "current_timestamp",
    "CurrentDate": "current_date",
    "LocalTimestamp": "localtimestamp",
    "Now": "now",
}
"""Steps of a query, by their class in Spark, that are deterministic to it and not the same for the same rows, or not
for each row by itself. Others, such as a rank among ties, cannot be told from what is meant well."""

_CONNECT = (
    "a data frame of Spark Connect is not read: give one of a classic session, in a driver that runs beside the "
    "cluster, or write its rows to Parquet files"
)

BUCKETS = 4
"""Buckets of entities for each partition of a shuffle: all rows of a bucket are truncated at once, in one task."""

PARTITIONS = 200
"""Parts into which people are divided where the session does not say how many: Spark's own number."""

AT_ONCE = 1 << 23
"""Cells of all queries of a job, about: eight bytes each in every task."""

TRAFFIC = 1 << 28
"""Bytes that come to this process from all partitions of a job, about; Spark's own limit is 1 GiB."""

SHUFFLED = 1 << 33
"""Bytes of larger tables that are added up on the cluster first, about."""


@dataclass(frozen=True, eq=False)
class SparkFrame(Reader):
    """A query on a cluster, which is run anew each time. Its types may come from a look at values, so not declared."""

    frame: Any = field(repr=False)
    name = "Spark data frame"

    def parts(self) -> Iterator[Part]:
        """The names; nothing is run."""
        names = guarded(lambda: self.frame.columns, _GONE)
        yield Part(self.name, tuple(ColumnInfo(name, None) for name in names))

    def probe(self, names: Sequence[str]) -> None:
        """That the query can still be planned."""
        guarded(lambda: self.narrowed(names).schema, _GONE)

    def batches(self, names: Sequence[str]) -> NoReturn:
        """None: the rows do not come to this process."""
        raise TypeError("the rows of a Spark data frame are counted where they are")

    def narrowed(self, names: Sequence[str]) -> Any:
        """A data frame of the named columns alone, called 0, 1, ...; to Spark names that differ in case are one."""
        from pyspark.sql import functions

        from dpsynth.encoding.arrays import NO_TEXT

        fields = self.frame.schema.fields
        placed = self.frame.toDF(*map(str, range(len(fields))))

        def cell(place: int) -> Any:
            column = functions.col(str(place))
            flat = type(fields[place].dataType).__name__ in _FLAT
            return column if flat else functions.when(column.isNotNull(), functions.lit(NO_TEXT))

        found = {named.name: place for place, named in enumerate(fields)}
        return placed.select(*(cell(found[name]).alias(str(at)) for at, name in enumerate(names)))


def of_frame(frame: Any) -> SparkFrame:
    """The reader of a data frame. ConfigurationError for a stream, and for a query that gives other rows each time."""
    if guarded(lambda: frame.isStreaming, _GONE):
        raise ConfigurationError("a Spark data frame that is a stream has no end: give a table of its rows")
    if not guarded(lambda: frame._jdf.queryExecution().analyzed().deterministic(), _GONE):
        raise ConfigurationError(_CHANGING)
    picking = guarded(lambda: _picking(frame._jdf.queryExecution().analyzed()), _GONE)
    if picking:
        raise ConfigurationError(_PICKING.format(", ".join(picking)))
    return SparkFrame(frame)


def _picking(query: Any) -> list[str]:
    """What of _PICKS a query does, its subqueries included; to leave out rows equal in all columns is fine."""
    found, plans = set[str](), [query]
    while plans:
        plan = plans.pop()
        plans += [*_each(plan.children()), *_each(plan.innerChildren())]
        steps = [plan, *_each(plan.expressions())]
        if plan.getClass().getSimpleName() == "Deduplicate" and plan.keys().size() < plan.output().size():
            found.add("dropDuplicates of some columns")
        while steps:
            step = steps.pop()
            found |= {_PICKS[name] for name in [step.getClass().getSimpleName()] if name in _PICKS}
            steps += [] if step is plan else _each(step.children())
    return sorted(found)


def _each(several: Any) -> list[Any]:
    """The members of a Scala sequence."""
    return [several.apply(at) for at in range(several.size())]


def of_connect(_: Any) -> NoReturn:
    """ConfigurationError."""
    raise ConfigurationError(_CONNECT)


class Cluster:
    """The engine. Its rows lie encoded in the executors' memory, or on their disks where that does not suffice."""

    def __init__(self, source: SparkFrame, encoder: Encoder, key: bytes) -> None:
        self._rows: int | None = None
        self._found: dict[str, Codec] = {}
        self._unlisted = set(encoder.unlisted)
        self._blocks = _run(lambda: _encoded(source, encoder, key))
        self.rows()  # encodes them: what fails, fails now, before an answer is paid for

    def rows(self) -> int:
        """The exact number of rows: every pass finds it."""
        if self._rows is None:
            self._sums([])
        return self._rows or 0

    def count(self, queries: Sequence[Query]) -> tuple[NDArray[np.int64], ...]:
        """The exact table of each query, several at a pass."""
        found: list[NDArray[np.int64]] = []
        for some in _portions(queries):
            sums = self._sums(some)
            segments = [sums[place] for place in sorted(place for place in sums if place >= 0)]
            ends = np.cumsum([query.cells for query in some])
            cells = np.concatenate(segments) if segments else np.zeros(int(ends[-1]), dtype=np.int64)
            parts = np.split(cells, ends[:-1])
            found += [part.reshape(query.shape) for part, query in zip(parts, some, strict=True)]
        return tuple(found)

    def holders(self, column: str, otherwise: str) -> Iterator[tuple[list[str], NDArray[np.int64]]]:
        """The texts that occur but ``otherwise``, and the entities that hold each, sorted in one part."""
        if column not in self._unlisted:
            raise KeyError(column)
        held = _run(lambda: _held(_mapped(self._blocks, tasks.Hold(column, otherwise), tasks.HOLDERS)))
        _require_once([bucket for text, _, buckets in held if text is None for bucket in buckets])
        texts = sorted((bytes(text), number) for text, number, _ in held if text is not None)
        counts = np.array([number for _, number in texts], dtype=np.int64)
        return iter([([text.decode() for text, _ in texts], counts)])

    def find(self, codec: Codec) -> None:
        """Give a column the codes of its found values."""
        if codec.name in self._unlisted:
            self._found[codec.name] = codec
            self._unlisted.remove(codec.name)

    def close(self) -> None:
        """Forget the rows, on the executors too; a session that has stopped has forgotten them."""
        with suppress(SourceError):
            _run(lambda: self._blocks.unpersist())

    def _sums(self, queries: Sequence[Query]) -> dict[int, NDArray[np.int64]]:
        """SUMS of all rows."""
        size = 8 * sum(query.cells for query in queries)
        task = tasks.Count(tuple(queries), dict(self._found))

        def act() -> dict[int, NDArray[np.int64]]:
            here = size <= 8 * AT_ONCE
            most = (TRAFFIC if here else SHUFFLED) // max(1, size)
            parts = _mapped(self._blocks.coalesce(max(1, most)), task, tasks.SUMS)
            if here:
                return tasks.added((row.place, row.cells) for row in parts.collect())
            shared = _mapped(parts.repartition("place"), tasks.Add(), tasks.SUMS)  # each place to one partition
            return tasks.added((row.place, row.cells) for row in shared.toLocalIterator())

        sums = _run(act)
        _require_once(sums.get(tasks.SEEN, np.zeros(0, dtype=np.int64)).tolist())
        self._rows = int(sums[tasks.SIZE].sum()) if tasks.SIZE in sums else 0  # without partitions there are no sums
        return sums


def _encoded(source: SparkFrame, encoder: Encoder, key: bytes) -> Any:
    """The blocks of the rows that count. They are made when they are first asked for."""
    from pyspark import StorageLevel

    said = source.frame.sparkSession.conf.get("spark.sql.shuffle.partitions")
    partitions = int(said) if said.isdigit() else PARTITIONS
    encode = tasks.Encode(encoder, key, BUCKETS * partitions)
    blocks = _mapped(source.narrowed(encoder.columns), encode, tasks.BLOCKS)
    if encoder.unit.column is not None:
        blocks = blocks.repartition(partitions, "bucket").sortWithinPartitions("bucket")
        blocks = _mapped(blocks, tasks.Enforce(encoder, key), tasks.BLOCKS)
    return blocks.persist(StorageLevel.MEMORY_AND_DISK)


def _held(parts: Any) -> list[Any]:
    """Of HOLDERS each text, its holders and, where it is None, the buckets, in one job."""
    from pyspark.sql import functions

    bucket = functions.when(functions.col("text").isNull(), functions.col("entities"))
    found: list[Any] = parts.groupBy("text").agg(functions.sum("entities"), functions.collect_list(bucket)).collect()
    return found


def _require_once(buckets: Sequence[int]) -> None:
    """DpsynthError where a bucket was looked at twice: then an entity may have been, as two."""
    if len(set(buckets)) != len(buckets):
        raise DpsynthError("Spark gave rows of one entity to two tasks, so that they were not truncated together")


def _mapped(frame: Any, task: Task, schema: str) -> Any:
    return frame.mapInArrow(tasks.Guarded(task), schema)


def _portions(queries: Sequence[Query]) -> Iterator[list[Query]]:
    """The queries in order, as many together as have AT_ONCE cells, one at least."""
    some: list[Query] = []
    cells = 0
    for query in queries:
        if some and cells + query.cells > AT_ONCE:
            yield some
            some, cells = [], 0
        some.append(query)
        cells += query.cells
    if some:
        yield some


def _run(act: Callable[[], T]) -> T:
    """What Spark gives. Its own errors may quote a row, so that none of their words leave this module."""
    return guarded(act, _UNFINISHED)
