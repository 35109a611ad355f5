"""A cluster counts what one machine counts, whatever fails on it, and tells nobody what it counted."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from decimal import Decimal
from itertools import combinations
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import functions as sql

from dpsynth.encoding import Constraints, codecs
from dpsynth.errors import ConfigurationError, SourceError
from dpsynth.measurement import Query, grid, listed
from dpsynth.privacy import Cells
from dpsynth.schema import Schema
from dpsynth.table import PrivateTable, Source, columns, open_table, require, tasks
from dpsynth.table import spark as engine
from dpsynth.table.encoded import Encoder

ROOT = Path(__file__).parents[2]
KEY = bytes(range(32))
REGIONS = Cells("region", ("n", "s\u00fcd"))
NAMES = ("who", "region", "word", "whole", "more", "free", "weight")
ARROW = (pa.string(), pa.string(), pa.string(), pa.int64(), pa.float64(), pa.string(), pa.float64())
SPARK = "who string, region string, word string, whole long, more double, free string, weight double"

COLUMNS = """
[columns.word]
type = "categorical"
values = ["f", "caf\u00e9", "1"]
nullable = true
[columns.whole]
type = "integer"
min = 0
max = 6
nullable = true
[columns.more]
type = "integer"
min = 0
max = 6
[columns.region]
type = "categorical"
values = ["n", "s\u00fcd"]
otherwise = "n"
[columns.free]
type = "categorical"
values = "private"
max_values = 8
otherwise = "other"
nullable = true
[[constraints]]
kind = "ordered"
columns = ["whole", "more"]
"""

Row = tuple[Any, ...]
rows = st.lists(
    st.tuples(
        st.sampled_from(["ann", " ann", "bob", "1", "1.0", "\u00e9va", "e\u0301va", "", None]),
        st.sampled_from(["n", "s\u00fcd", " n ", "x", None]),
        st.sampled_from(["f", "caf\u00e9", "cafe\u0301", "1.0", "\0", None]),
        st.none() | st.integers(-1, 8),
        st.sampled_from([0.0, 1.5, 3.0, float("nan"), float("inf"), None]),
        st.sampled_from(["a", "A", "a ", "\u00df", "2", "2.0", "other", "", None]) | st.text(max_size=3),
        st.sampled_from([0.25, 1.0, 7.0, -1.0, float("nan"), None]),
    ),
    max_size=24,
)


def schema(unit: bool, max_rows: int, weighted: bool) -> Schema:
    head = '[unit]\nentity = "person"\n'
    head += f'column = "who"\nmax_rows = {max_rows}\n' if unit else ""
    head += 'weight = "weight"\nmax_weight = 4.0\nweight_origin = "design"\n' if weighted else ""
    return Schema.parse(head + COLUMNS)


def answers(data: Any, asked: Schema, cell: str | None = None, most: int = 99) -> list[Any]:
    """All that an engine ever tells of a table; ``most`` tables of pairs."""
    declared = codecs(asked)
    table = open_table(
        Source.of(data),
        declared,
        asked.unit,
        KEY,
        Constraints.of(asked, declared),
        None if cell is None else REGIONS.cell("study", cell),
    )
    with pytest.raises(KeyError):
        table.holders("word", "other")
    ((texts, holders),) = table.holders("free", "other")
    found = codecs(listed(asked, {"free": tuple(texts[:3]) or ("a",)}))
    for codec in found:
        table.find(codec)
    levels = grid(found).levels
    pairs = [Query(tuple(levels[name] for name in pair)) for pair in combinations(levels, 2)][:most]
    counts = table.count([*pairs, Query(tuple(levels[name] for name in ("free", "word", "whole")))])
    told = [table.rows(), texts, holders.tolist(), *(count.tolist() for count in counts)]
    table.close()
    return told


class TestTheSameIntegers:
    @settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        rows,
        st.sampled_from([1, 2, 5]),
        st.booleans(),
        st.integers(1, 2),
        st.booleans(),
        st.sampled_from([None, "s\u00fcd"]),
    )
    def test_as_memory_and_duckdb(
        self,
        spark: SparkSession,
        table: list[Row],
        partitions: int,
        unit: bool,
        max_rows: int,
        weighted: bool,
        cell: str | None,
    ) -> None:
        """Nulls, spellings of one name, persons in several partitions, partitions without rows, no rows at all."""
        asked = schema(unit, max_rows, weighted)
        frame = spark.createDataFrame(spark.sparkContext.parallelize(table, partitions), SPARK)
        arrow = pa.table(
            [pa.array(list(column), kind) for column, kind in zip(zip(*table), ARROW, strict=True)]  # noqa: B905
            if table
            else [pa.array([], kind) for kind in ARROW],
            names=list(NAMES),
        )
        here = answers(arrow, asked, cell)
        assert answers(frame, asked, cell) == here
        assert answers(duckdb.from_arrow(arrow), asked, cell) == here

    def test_no_partitions(self, spark: SparkSession) -> None:
        nothing = spark.createDataFrame(spark.sparkContext.emptyRDD(), SPARK)
        told = answers(nothing, schema(True, 1, False))
        assert told[:3] == [0, [], []]
        assert not any(np.any(count) for count in told[3:])

    def test_many_cells_come_in_pieces(self, spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
        """What is too much for this process at once is added up on the cluster, and fetched place by place."""
        table = [(f"p{at % 40}", "n", "f", at % 7, float(at % 5), f"w{at % 3}", 1.0) for at in range(200)]
        frame = spark.createDataFrame(spark.sparkContext.parallelize(table, 4), SPARK)
        whole = answers(frame, schema(True, 2, False), most=1)
        monkeypatch.setattr(engine, "AT_ONCE", 5)
        monkeypatch.setattr(engine, "SHUFFLED", 8 * 60)
        assert answers(frame, schema(True, 2, False), most=1) == whole

    @pytest.mark.parametrize("unit", [False, True])
    def test_a_batch_without_rows_has_no_rows(self, unit: bool) -> None:
        asked = schema(unit, 1, False)
        encoder = Encoder([codec for codec in codecs(asked) if codec.name != "free"], asked.unit)
        names = [str(place) for place in range(len(encoder.columns))]
        empty = pa.record_batch([pa.array([], pa.string()) for _ in names], names=names)
        blocks = list(tasks.Encode(encoder, KEY, 3)([empty]))
        assert [tasks.unpack(block["block"][0].as_py()).size for block in blocks] == [0] * (not unit)

    def test_segments_follow_each_other(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tasks, "SEGMENT", 2)
        asked = schema(False, 1, False)
        levels = grid(codecs(listed(asked, {"free": ("a",)}))).levels
        encoder = Encoder([codec for codec in codecs(asked) if codec.name != "free"], asked.unit)
        batch = pa.record_batch([pa.array(["n"]), pa.array(["f"]), pa.array([3]), pa.array([4])], names=list("3012"))
        batch = batch.select(["0", "1", "2", "3"])
        blocks = list(tasks.Encode(encoder, KEY, 1)([batch]))
        queries = [Query((levels["word"], levels["more"])), Query((levels["whole"],))]
        once = list(tasks.Count(queries, {})(blocks))
        summed = list(tasks.Add()([*once, *once]))
        sums = tasks.added(
            (place, cells) for found in summed for place, cells in zip(*found.to_pydict().values(), strict=True)
        )
        cells = np.concatenate([sums[place] for place in sorted(sums) if place >= 0])
        assert cells.size == sum(query.cells for query in queries)
        assert sorted(cells[cells > 0].tolist()) == [2, 2]
        assert sums[tasks.SIZE].tolist() == [2]


def test_values_of_every_type_have_the_texts_of_other_sources(spark: SparkSession) -> None:
    """The session's time zone is New York's."""
    noon = dt.datetime(2020, 7, 1, 12, 30, 0, 250)
    cells: dict[str, tuple[pa.DataType, list[Any], str]] = {
        "int": (pa.int32(), [1, -(2**31), None], "int"),
        "long": (pa.int64(), [2**53 + 1, -(2**63), None], "long"),
        "small": (pa.int8(), [1, -128, None], "byte"),
        "real": (pa.float64(), [1.0, 0.1, float("nan")], "double"),
        "single": (pa.float32(), [1.0, 0.1, None], "float"),
        "exact": (pa.decimal128(20, 3), [Decimal("1.500"), Decimal("3.000"), None], "decimal(20,3)"),
        "text": (pa.string(), ["caf\u00e9", " 1.0", None], "string"),
        "raw": (pa.binary(), [b"caf\xc3\xa9", b"\xff\x00", None], "binary"),
        "flag": (pa.bool_(), [True, False, None], "boolean"),
        "day": (pa.date32(), [dt.date(1582, 10, 4), dt.date(9999, 12, 31), None], "date"),
        "moment": (pa.timestamp("us"), [noon, dt.datetime(1, 1, 1), None], "timestamp_ntz"),
        "instant": (
            pa.timestamp("us", "UTC"),
            [noon.replace(tzinfo=dt.UTC), dt.datetime(2020, 3, 8, 6, 59, tzinfo=dt.UTC), None],
            "timestamp",
        ),
        "span": (
            pa.duration("us"),
            [dt.timedelta(seconds=90, microseconds=5), dt.timedelta(days=-1), None],
            "interval day to second",
        ),
        "many": (pa.list_(pa.int32()), [[1, 2], [], None], "array<int>"),
        "pair": (pa.struct([("x", pa.int32())]), [{"x": 1}, {"x": None}, None], "struct<x:int>"),
        "odd `na.me": (pa.string(), ["b", "B", ""], "string"),
    }
    arrow = pa.table([pa.array(values, kind) for kind, values, _ in cells.values()], names=list(cells))
    asked = Schema.parse(
        "".join(f'[columns."{name}"]\ntype = "categorical"\nvalues = "private"\nnullable = true\n' for name in cells)
    )
    named = ", ".join(f"`{name.replace('`', '``')}` {kind}" for name, (_, _, kind) in cells.items())
    rows = [tuple(Row) for Row in zip(*(values for _, values, _ in cells.values()), strict=True)]
    frame = spark.createDataFrame(
        [tuple(c if not isinstance(c, dict) else (c["x"],) for c in row) for row in rows], named
    )

    def texts(data: Any) -> dict[str, list[str]]:
        table = open_table(Source.of(data), codecs(asked), asked.unit, KEY)
        return {name: next(table.holders(name, ""))[0] for name in cells}

    there, here = texts(frame), texts(arrow)
    assert there == here
    assert there["instant"] == ["2020-03-08 06:59:00+00:00", "2020-07-01 12:30:00.00025+00:00"]
    assert len(there["odd `na.me"]) == 2


class TestStructure:
    def test_names_and_no_types(self, spark: SparkSession) -> None:
        frame = spark.createDataFrame([], SPARK)
        found = columns(Source.of(frame))
        assert [column.name for column in found] == list(NAMES)
        assert {column.declared for column in found} == {None}

    def test_names_that_differ_in_case_are_two(self, spark: SparkSession) -> None:
        frame = spark.createDataFrame([(1, 2)], "a int, b int").toDF("a", "A")
        require(Source.of(frame), ["a", "A"])
        asked = Schema.parse("".join(f"[columns.{name}]\ntype = 'integer'\nmin = 0\nmax = 3\n" for name in "aA"))
        levels = grid(codecs(asked)).levels
        (count,) = open_table(Source.of(frame), codecs(asked), asked.unit, KEY).count(
            [Query((levels["a"], levels["A"]))]
        )
        assert count[1, 2] == 1

    def test_a_missing_column_and_one_that_is_there_twice(self, spark: SparkSession) -> None:
        frame = spark.createDataFrame([(1, 2)], "a int, b int")
        with pytest.raises(SourceError, match="no column 'c'"):
            require(Source.of(frame), ["c"])
        with pytest.raises(SourceError, match=r"two columns|more than one"):
            require(Source.of(frame.toDF("a", "a")), ["a"])

    @pytest.mark.parametrize("changing", ["rand()", "uuid()", "monotonically_increasing_id()"])
    def test_a_query_that_changes_is_refused(self, spark: SparkSession, changing: str) -> None:
        frame = spark.range(3).select(sql.expr(changing).alias("a")).filter("a is not null")
        with pytest.raises(ConfigurationError, match="other rows each time"):
            Source.of(frame)

    @pytest.mark.parametrize(
        ("query", "named"),
        [
            ("SELECT * FROM held TABLESAMPLE (50 PERCENT)", "sample"),
            ("SELECT * FROM held LIMIT 2", "limit"),
            ("SELECT * FROM held WHERE a IN (SELECT a FROM held LIMIT 2)", "limit"),
            ("WITH some AS (SELECT * FROM held OFFSET 1) SELECT a FROM some", "offset"),
            ("SELECT a, (SELECT first(b) FROM held) AS c FROM held", "first"),
            ("SELECT a FROM held WHERE now() > b", "now"),
        ],
    )
    def test_a_query_that_picks_rows_is_refused(self, spark: SparkSession, query: str, named: str) -> None:
        spark.range(5).select(sql.col("id").alias("a"), sql.lit(None).cast("date").alias("b")).createOrReplaceTempView(
            "held"
        )
        with pytest.raises(ConfigurationError, match=rf"by the clock \(.*{named}"):
            Source.of(spark.sql(query))

    def test_rows_without_duplicates_are_refused_unless_all_of_a_row_is_looked_at(self, spark: SparkSession) -> None:
        frame = spark.createDataFrame([(1, 2), (1, 3), (1, 3)], "a int, b int")
        with pytest.raises(ConfigurationError, match="dropDuplicates of some columns"):
            Source.of(frame.dropDuplicates(["a"]))
        asked = Schema.parse("[columns.b]\ntype = 'integer'\nmin = 0\nmax = 3\n")
        assert open_table(Source.of(frame.distinct()), codecs(asked), asked.unit, KEY).rows() == 2

    def test_a_stream_is_refused(self, spark: SparkSession) -> None:
        with pytest.raises(ConfigurationError, match="stream"):
            Source.of(spark.readStream.format("rate").load())

    def test_connect_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        module = ModuleType("pyspark.sql.connect.dataframe")
        module.DataFrame = type("DataFrame", (), {})  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        with pytest.raises(ConfigurationError, match="Spark Connect"):
            Source.of(module.DataFrame())


def failing(how: str) -> Any:
    """What fails in the first attempt of each task that meets it, and nowhere else."""

    def fail() -> None:
        from pyspark import TaskContext

        context = TaskContext.get()
        if context is not None and context.attemptNumber() == 0:
            if how == "killed":
                os.kill(os.getpid(), 9)
            raise ValueError("SECRET-7461")

    return fail


class TestFailures:
    @pytest.mark.parametrize("how", ["raises", "killed"])
    def test_tasks_that_fail_once_change_nothing(self, spark: SparkSession, how: str) -> None:
        """In the query itself, in encoding, in truncation and in counting, which all run anew."""
        fail = failing(how)
        table = [(f"p{at % 9}", "n", "f", at % 7, float(at % 5), f"w{at % 3}", 1.0) for at in range(60)]
        frame = spark.createDataFrame(spark.sparkContext.parallelize(table, 3), SPARK)
        asked = schema(True, 2, False)

        class Failing(tuple):  # type: ignore[type-arg]
            """Codecs, which encoding and truncation go through."""

            def __iter__(self) -> Any:
                fail()
                return super().__iter__()

        class Late:
            """A codec of found values, which counting meets."""

            def __init__(self, real: Any) -> None:
                self.name, self.real = real.name, real

            def encode(self, array: Any) -> Any:
                fail()
                return self.real.encode(array)

        def flaky(batches: Any) -> Any:
            fail()
            yield from batches

        found = codecs(listed(asked, {"free": ("w0", "w1")}))
        levels = grid(found).levels
        queries = [Query(tuple(levels[name] for name in pair)) for pair in combinations(levels, 2)]

        def counted(data: Any, declared: Any, late: Any) -> list[Any]:
            encoder = Encoder(declared, asked.unit, Constraints.of(asked, codecs(asked)))
            table = engine.Cluster(engine.of_frame(data), encoder, KEY)
            held = next(table.holders("free", "other"))
            for codec in found:
                table.find(late(codec))
            return [held[0], held[1].tolist(), table.rows(), *(one.tolist() for one in table.count(queries))]

        steady = counted(frame, codecs(asked), lambda codec: codec)
        assert counted(frame.mapInArrow(flaky, frame.schema), Failing(codecs(asked)), Late) == steady

    def test_what_spark_says_does_not_come_out(self, spark: SparkSession) -> None:
        frame = spark.createDataFrame([("SECRET-7461",)], "word string").select(sql.expr("cast(word as int) as whole"))
        asked = Schema.parse("[columns.whole]\ntype = 'integer'\nmin = 0\nmax = 3\n")
        with pytest.raises(SourceError, match="Spark data frame: the data could not be read to their end") as caught:
            open_table(Source.of(frame), codecs(asked), asked.unit, KEY)  # before an answer is paid for
        assert caught.value.__context__ is None
        assert "SECRET" not in repr(caught.value)

    def test_an_entity_in_two_tasks_is_noticed(self, spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
        """Truncation rests on Spark's bringing equal keys together; were it not so, nothing would be counted."""
        frame = spark.createDataFrame(spark.sparkContext.parallelize([("ann", "a")] * 2, 2), "who string, word string")
        asked = Schema.parse(
            '[unit]\nentity = "person"\ncolumn = "who"\n[columns.word]\ntype = "categorical"\nvalues = ["a"]\n'
        )
        mapped = engine._mapped

        def apart(frame: Any, task: Any, form: str) -> Any:
            if isinstance(task, tasks.Enforce):  # past the shuffle
                frame = spark.createDataFrame(spark.sparkContext.parallelize(frame.collect(), 2), frame.schema)
            return mapped(frame, task, form)

        monkeypatch.setattr(engine, "_mapped", apart)
        with pytest.raises(Exception, match="to two tasks"):
            open_table(Source.of(frame), codecs(asked), asked.unit, KEY)
        monkeypatch.setattr(engine.Cluster, "rows", lambda _: 0)  # each pass looks for itself
        unlisted = Schema.parse(
            '[unit]\nentity = "person"\ncolumn = "who"\n[columns.word]\ntype = "categorical"\nvalues = "private"\n'
        )
        with pytest.raises(Exception, match="to two tasks"):
            open_table(Source.of(frame), codecs(unlisted), unlisted.unit, KEY).holders("word", "other")


def test_a_table_shows_nothing(spark: SparkSession) -> None:
    asked = schema(True, 1, False)
    table = open_table(Source.of(spark.createDataFrame([], SPARK)), codecs(asked), asked.unit, KEY)
    assert isinstance(table, PrivateTable)
    assert repr(table) == "<private table>"


def script(name: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """One of the scripts beside this file, in a process with a Spark of its own, which writes to ``folder`` alone."""
    environment = {
        **os.environ,
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": str(ROOT),
        "SPARK_LOCAL_DIRS": str(folder / "local"),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_WORKER_DIR": str(folder / "work"),
    }
    command = [sys.executable, str(Path(__file__).with_name(name)), str(folder)]
    run = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, timeout=600)
    assert run.returncode == 0, run.stderr
    return run


def test_nothing_of_a_row_is_logged(tmp_path: Path) -> None:
    """All that Spark writes to standard error when the kernel itself fails, in every attempt."""
    run = script("spark_logging.py", tmp_path)
    told = run.stdout + run.stderr
    assert "a part of the rows could not be read, encoded or counted" in told
    assert "SECRET" not in told
    assert KEY.hex() not in told


def test_an_executor_that_dies_changes_no_integer_and_no_charge(tmp_path: Path) -> None:
    """Two executors with a process each, one killed in the first count and again in a release; speculation is on."""
    run = script("spark_cluster.py", tmp_path)
    found = json.loads(run.stdout.splitlines()[-1])
    assert found["deaths"] == ["first", "second"]
    assert found["there"] == found["here"]
    assert found["charged there"] == found["charged here"]
    assert sum("'measure'" in line for line in found["charged here"]) == 3  # the total and two columns
