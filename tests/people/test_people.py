from __future__ import annotations

import csv
import io
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from numpy.typing import NDArray
from pyarrow import parquet
from pyarrow.csv import WriteOptions, write_csv

from dpsynth import people
from dpsynth.schema import Categorical, Integer, Ordinal, Real, Schema

SCHEMA = people.schema()
ROWS = 60_000
WORKING = pa.array(["employed", "self-employed"])


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return people.generate(ROWS, seed=7)


@pytest.fixture(scope="module")
def codes(table: pa.Table) -> dict[str, NDArray[np.int64]]:
    """Each column on its public bins, null as a code of its own."""
    found = {}
    for name, column in SCHEMA.columns.items():
        values = table[name]
        if isinstance(column, Integer | Real):
            number = np.asarray(values.cast(pa.float64()).fill_null(np.nan).to_numpy(), dtype=np.float64)
            width = (column.max - column.min + isinstance(column, Integer)) / column.bins
            bins = np.minimum((number - column.min) // width, column.bins - 1)
            found[name] = np.where(np.isnan(number), column.bins, bins).astype(np.int64)
        else:
            encoded = values.cast(pa.string()).combine_chunks().dictionary_encode()
            found[name] = np.asarray(encoded.indices.fill_null(len(encoded.dictionary)).to_numpy())
    return found


def information(one: NDArray[np.int64], other: NDArray[np.int64]) -> float:
    """Mutual information in nats, less its bias of first order (Miller and Madow)."""
    counts = np.zeros((one.max() + 1, other.max() + 1))
    np.add.at(counts, (one, other), 1)
    counts = counts[counts.any(axis=1)][:, counts.any(axis=0)]
    share = counts / counts.sum()
    expected = share.sum(axis=1, keepdims=True) * share.sum(axis=0, keepdims=True)
    seen = share > 0
    bias = (counts.shape[0] - 1) * (counts.shape[1] - 1) / (2 * counts.sum())
    return float((share[seen] * np.log(share[seen] / expected[seen])).sum() - bias)


STRONG = [
    ("age", "employment"), ("age", "relationship"), ("age", "marital"), ("age", "income"), ("age", "education"),
    ("employment", "hours"), ("employment", "income"), ("employment", "occupation"),
    ("employment", "education"), ("education", "income"),
]  # fmt: skip
MIDDLE = [
    ("education", "occupation"), ("hours", "income"), ("tenure", "rooms"), ("tenure", "age"), ("sex", "occupation"),
    ("region", "rooms"), ("age", "disability"),
]  # fmt: skip
WEAK = [
    ("region", "birthplace"), ("region", "tenure"), ("region", "education"), ("sex", "hours"), ("sex", "income"),
]  # fmt: skip
NONE = [("region", "sex"), ("region", "disability"), ("birthplace", "sex"), ("birthplace", "disability")]


@pytest.mark.parametrize(
    ("pairs", "low", "high"),
    [(STRONG, 0.3, 1.0), (MIDDLE, 0.03, 0.3), (WEAK, 0.002, 0.03), (NONE, -0.001, 0.001)],
    ids=["strong", "middle", "weak", "none"],
)
def test_each_declared_dependence_is_there(
    codes: dict[str, NDArray[np.int64]], pairs: list[tuple[str, str]], low: float, high: float
) -> None:
    for one, other in pairs:
        assert low <= information(codes[one], codes[other]) < high, (one, other)


def test_some_dependence_is_in_no_pair_alone(table: pa.Table) -> None:
    """The gap in hours between women and men is wider in families."""
    frame = table.select(["sex", "relationship", "hours", "household_id", "age"]).to_pandas()
    parents = set(frame.loc[frame.relationship == "child", "household_id"])
    adults = frame[frame.relationship.isin(["head", "partner"]) & frame.age.between(25, 55)].dropna()
    adults = adults.assign(family=adults.household_id.isin(parents))
    means = adults.groupby(["family", "sex"]).hours.mean()
    assert means[True, "male"] - means[True, "female"] > means[False, "male"] - means[False, "female"] + 2


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 17, 1001])
def test_exactly_as_many_rows_as_asked(rows: int) -> None:
    table = people.generate(rows)
    assert table.num_rows == rows
    assert table.schema == people.generate(50).schema
    assert table["person_id"].to_pylist() == list(range(1, rows + 1))


@pytest.mark.parametrize(("rows", "seed"), [(-1, 0), (1, -1), (10**9 + 1, 0)])
def test_other_sizes_and_seeds_are_refused(rows: int, seed: int) -> None:
    with pytest.raises(ValueError, match="rows must be"):
        people.generate(rows, seed)


def test_the_default_is_twenty_thousand() -> None:
    assert people.generate().num_rows == 20_000


def test_the_same_seed_gives_the_same_people_and_another_one_others() -> None:
    assert people.generate(500, 3).equals(people.generate(500, 3))
    assert not people.generate(500, 3).equals(people.generate(500, 4))


def test_the_people_of_this_version_stay_who_they_are() -> None:
    """Figures in the documentation are about these: a change of the rules should be meant."""
    table = people.generate(2000).drop_columns(["income"])  # the one column that is calculated in floating point
    text = "\n".join(",".join(map(str, row.values())) for row in table.to_pylist())
    assert sha256(text.encode()).hexdigest()[:16] == "6b69ca683d90e3dd"


def test_columns_and_types(table: pa.Table) -> None:
    assert tuple(table.column_names) == ("person_id", "household_id", *SCHEMA.names)
    assert 12 <= len(table.column_names) <= 16
    kinds = {column.type for column in SCHEMA.columns.values()}
    assert kinds == {"categorical", "ordinal", "integer", "real", "boolean"}
    types = {"integer": pa.int64(), "real": pa.float64(), "boolean": pa.bool_()}
    for name, column in SCHEMA.columns.items():
        assert table.schema.field(name).type == types.get(column.type, pa.string())


def test_every_value_fits_the_schema(table: pa.Table) -> None:
    for name, column in SCHEMA.columns.items():
        values = table[name]
        assert (values.null_count > 0) == column.nullable, name
        if isinstance(column, Categorical | Ordinal):
            assert set(values.drop_null().unique().to_pylist()) == set(column.values), name
        elif isinstance(column, Integer | Real):
            span: dict[str, Any] = pc.min_max(values).as_py()
            assert column.min <= span["min"] < span["max"] <= column.max, name


def test_the_unit_of_the_schema_is_a_person(table: pa.Table) -> None:
    assert (SCHEMA.unit.entity, SCHEMA.unit.column, SCHEMA.unit.max_rows) == ("person", "person_id", 1)
    assert pc.count_distinct(table["person_id"]).as_py() == ROWS
    assert Schema.parse(people.SCHEMA_TOML) == SCHEMA


def test_some_categories_are_rare(table: pa.Table) -> None:
    for name, value in {
        "region": "islands", "relationship": "foster child", "marital": "civil union", "birthplace": "at sea",
        "education": "doctorate", "occupation": "fishing",
    }.items():  # fmt: skip
        assert 0 < pc.sum(pc.equal(table[name], value)).as_py() < 0.01 * ROWS, name


def test_what_is_missing_has_a_pattern(table: pa.Table) -> None:
    child = pc.less(table["age"], 15)
    works = pc.is_in(table["employment"], WORKING)
    for name in ("education", "income"):
        assert table.filter(child)[name].null_count == child.to_pylist().count(True)
    for name in ("occupation", "hours"):
        assert table.filter(pc.invert(works))[name].drop_null().length() == 0
        assert 0.01 < table.filter(works)[name].null_count / pc.sum(works).as_py() < 0.05
    silent = table.filter(pc.is_null(table["tenure"]))
    assert silent["income"].drop_null().length() == silent["education"].drop_null().length() == 0
    asked = table.filter(pc.and_(pc.invert(child), pc.is_valid(table["tenure"])))
    graduate = pc.is_in(asked["education"], pa.array(["master", "doctorate"]))
    shares = [part["income"].null_count / part.num_rows for part in (asked.filter(graduate), asked)]
    assert shares[0] > 1.2 * shares[1] > 0.03


def test_households_are_households(table: pa.Table) -> None:
    frame = table.to_pandas()
    assert frame.household_id.is_monotonic_increasing
    homes = frame.groupby("household_id")
    assert set(homes.household_id.count()) == set(range(1, 7))
    assert (homes.relationship.first() == "head").all()
    assert (frame.groupby("household_id").relationship.agg(lambda roles: (roles == "head").sum()) == 1).all()
    for shared in ("region", "rooms"):
        assert (homes[shared].nunique() == 1).all()
    assert (homes.tenure.nunique(dropna=False) == 1).all()
    heads = frame[frame.relationship == "head"].set_index("household_id").age
    children = frame[frame.relationship == "child"].set_index("household_id").age
    assert (children + 15 < heads.reindex(children.index)).mean() > 0.99
    assert (frame[frame.age < 16].marital == "never married").all()
    assert (frame[frame.age < 15].employment == "below working age").all()


def test_csv_reads_back_as_the_table(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    people.write_csv(path, 501, seed=3)
    text = path.read_text(encoding="utf-8")
    assert '"' not in text
    assert "\r" not in text
    rows = list(csv.DictReader(io.StringIO(text)))
    expected = people.generate(501, 3).to_pylist()
    assert len(rows) == 501
    for row, person in zip(rows, expected, strict=True):
        for name, value in person.items():
            if isinstance(value, bool):
                assert row[name] == str(value).lower()
            elif value is None:
                assert row[name] == ""
            else:
                assert type(value)(row[name]) == value


@pytest.mark.parametrize("rows", [0, 1])
def test_small_files(tmp_path: Path, rows: int) -> None:
    people.write_csv(tmp_path / "people.csv", rows)
    assert len((tmp_path / "people.csv").read_text().splitlines()) == rows + 1


def test_parquet_reads_back_and_says_that_nobody_is_real(tmp_path: Path) -> None:
    path = tmp_path / "people.parquet"
    people.write_parquet(path, 300, seed=3)
    table = parquet.read_table(path)
    assert table.equals(people.generate(300, 3))
    assert b"nobody in this table exists" in table.schema.metadata[b"description"]


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> int:
    """Chunks of so many people, that a table of several is quickly made."""
    monkeypatch.setattr("dpsynth.people.table.CHUNK", 500)
    return 500


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("rows", [0, 1, 499, 500, 501, 2600])
def test_a_chunk_alone_is_that_piece_of_the_table(small_chunks: int, rows: int, workers: int) -> None:
    found = list(people.batches(rows, 7, workers))
    assert [batch.num_rows for batch in found] == [min(500, rows - place * 500) for place in range(people.chunks(rows))]
    for place, batch in enumerate(found):
        assert batch.equals(people.chunk(place, rows, 7), check_metadata=True)
    assert pa.Table.from_batches(found).equals(people.generate(rows, 7), check_metadata=True)
    with pytest.raises(ValueError, match="chunks 0 to"):
        people.chunk(len(found), rows, 7)


def test_chunks_are_of_other_people_and_all_but_the_last_know_nothing_of_the_number_of_rows(small_chunks: int) -> None:
    first, second = people.chunk(0, 1200), people.chunk(1, 1200)
    assert not first.select(SCHEMA.names).equals(second.select(SCHEMA.names))
    assert second.equals(people.chunk(1, 5000))


def test_ids_and_households_go_on_over_the_chunks(small_chunks: int) -> None:
    table = people.generate(2600, seed=3)
    assert table["person_id"].to_pylist() == list(range(1, 2601))
    frame = table.to_pandas()
    assert frame.household_id.is_monotonic_increasing
    assert frame.household_id.groupby(frame.index // small_chunks).agg(["min", "max"]).stack().is_unique
    homes = frame.groupby("household_id")
    assert homes.size().max() <= 6
    assert (homes.relationship.agg(lambda roles: (roles == "head").sum()) == 1).all()
    assert (homes.relationship.first() == "head").all()


@pytest.mark.parametrize("rows", [1200, 500])
def test_files_of_several_chunks_are_the_table(small_chunks: int, tmp_path: Path, rows: int) -> None:
    people.write_parquet(tmp_path / "people.parquet", rows, 3)
    people.write_csv(tmp_path / "people.csv", rows, 3)
    table = people.generate(rows, 3)
    assert parquet.read_table(tmp_path / "people.parquet").equals(table, check_metadata=True)
    file = parquet.ParquetFile(tmp_path / "people.parquet")
    assert file.num_row_groups == people.chunks(rows)
    whole = io.BytesIO()
    write_csv(table, whole, WriteOptions(include_header=False, quoting_style="none"))
    header = ",".join(table.column_names).encode() + b"\n"
    assert (tmp_path / "people.csv").read_bytes() == header + whole.getvalue()


def test_a_million_is_the_first_chunk_of_a_hundred_million() -> None:
    """The tables up to a chunk stay who they were before there were chunks; larger ones begin otherwise only there."""
    assert people.CHUNK == 1 << 20
    assert people.chunks(10**6) == 1
    assert people.chunks(10**8) == 96


def test_it_is_said_everywhere_that_these_people_are_artificial() -> None:
    assert "Everybody in this data set is artificial" in people.documentation()
    assert "nobody in this table exists" in people.NOTICE
    assert "nobody in this table exists" in people.SCHEMA_TOML.splitlines()[0]
    assert "Nobody in these tables exists" in (people.__doc__ or "")
    for name in ("person_id", "household_id", *SCHEMA.names):
        assert f"| `{name}` |" in people.documentation()


def test_the_household_unit_of_the_schema_s_comment_is_true() -> None:
    lines = people.SCHEMA_TOML.splitlines()
    assert '#     entity = "household"   column = "household_id"   max_rows = 6' in lines
