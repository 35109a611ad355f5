"""Parquet in folders and by patterns: which files, in which order, with which columns."""

import functools
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dpsynth.errors import SourceError
from dpsynth.table import ColumnInfo, Source, columns, require
from dpsynth.table.batches import batches

CANARY = "canary-33f0"


def write(path: Path, **values: list[object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(values), path)


def read(data: str | Path, *names: str) -> list[tuple[object, ...]]:
    source = Source.of(data)
    require(source, names)
    return [
        row
        for batch in batches(source, names)
        for row in zip(*(batch[name].to_pylist() for name in names), strict=True)
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "people"
    write(place / "part-1.parquet", a=[3, 4])
    write(place / "part-0.PARQUET", a=[1, 2], b=["x", "y"])
    write(place / "2020" / "part-0.pq", a=[0])
    for hidden in ("_metadata.parquet", ".part-2.parquet", "_temporary/part-0.parquet", ".old/part-0.parquet"):
        write(place / hidden, a=[99], secret=[CANARY])
    (place / "_SUCCESS").touch()
    (place / "read.me").write_text(CANARY)
    return place


def test_a_folder_is_all_its_files_in_the_order_of_their_paths(folder: Path) -> None:
    assert read(folder, "a") == [(0,), (1,), (2,), (3,), (4,)]
    assert read(str(folder) + "/", "a") == read(folder, "a")
    assert columns(Source.of(folder)) == (ColumnInfo("a", "int64"), ColumnInfo("b", "string"))


@pytest.mark.parametrize(
    ("pattern", "rows"),
    [
        ("people/part-?.parquet", [3, 4]),
        ("people/*.parquet", [3, 4]),
        ("people/**/*.pq", [0]),
        ("**/*.parquet", [3, 4]),
        ("*/2020/*.pq", [0]),
        ("people/.old/*.parquet", [99]),
        ("people/part-[01].parquet", [3, 4]),
    ],
)
def test_a_pattern_is_the_files_that_match(folder: Path, pattern: str, rows: list[int]) -> None:
    assert read(folder.parent / pattern, "a") == [(row,) for row in rows]
    assert read(str(folder.parent / pattern), "a") == [(row,) for row in rows]


def test_a_pattern_may_match_folders_and_no_file_is_read_twice(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet" / "part.parquet", a=[1])
    write(tmp_path / "b.parquet", a=[2])
    (tmp_path / "c.parquet").symlink_to(tmp_path / "b.parquet")
    assert read(tmp_path / "**" / "*.parquet", "a") == [(1,), (2,)]
    assert read(tmp_path, "a") == [(1,), (2,)]
    assert read(tmp_path / "a.parquet", "a") == [(1,)]


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(tmp_path: Path) -> None:
    write(tmp_path / "t[1].parquet", a=[1])
    write(tmp_path / "t1.parquet", a=[2])
    assert read(tmp_path / "t[1].parquet", "a") == [(1,)]
    assert Source.of(tmp_path / "t[1].parquet").path is not None


def test_each_file_must_have_the_wanted_columns(folder: Path) -> None:
    with pytest.raises(SourceError, match=r"^people/2020/part-0\.pq: no column 'b', which the schema names$"):
        require(Source.of(folder), ["a", "b"])
    with pytest.raises(SourceError, match=r"^people/part-1\.parquet: no column 'b'"):
        require(Source.of(folder / "*.parquet"), ["a", "b"])


def test_a_file_with_a_wanted_column_twice_is_named(folder: Path) -> None:
    pq.write_table(pa.table([[1], [2]], names=["a", "a"]), folder / "part-9.parquet")
    with pytest.raises(SourceError, match=r"^people/part-9\.parquet: more than one column 'a'"):
        require(Source.of(folder), ["a"])


def test_a_type_that_differs_between_files_is_not_declared_and_the_values_are_read_all_the_same(tmp_path: Path) -> None:
    write(tmp_path / "p" / "0.parquet", a=[1, 2])
    write(tmp_path / "p" / "1.parquet", a=["3", None])
    assert columns(Source.of(tmp_path / "p")) == (ColumnInfo("a", None),)
    assert read(tmp_path / "p", "a") == [(1,), (2,), ("3",), (None,)]


def test_empty_files_and_small_ones_are_read(tmp_path: Path) -> None:
    write(tmp_path / "p" / "0.parquet", a=[])
    write(tmp_path / "p" / "1.parquet", a=[1])
    write(tmp_path / "p" / "2.parquet", a=[])
    assert read(tmp_path / "p", "a") == [(1,)]
    write(tmp_path / "q" / "0.parquet", a=[])
    assert read(tmp_path / "q", "a") == []


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("people", "there"),
        ("people/*.parquet", "in the folder people"),
        ("people/**/*.pq", "in the folder people"),
    ],
)
def test_no_file_at_all(tmp_path: Path, name: str, where: str) -> None:
    (tmp_path / "people" / "_old").mkdir(parents=True)
    (tmp_path / "people" / "rows.csv").write_text(f"a\n{CANARY}\n")
    write(tmp_path / "people" / "_old" / "x.parquet", a=[CANARY])
    for look in (lambda source: require(source, ["a"]), columns):
        with pytest.raises(SourceError, match=rf"no file that ends in \.parquet or \.pq is {where};") as caught:
            look(Source.of(tmp_path / name))
        assert CANARY not in str(caught.value)


def test_links_are_followed_and_one_that_leads_back_adds_nothing(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere" / "a.parquet", a=[1])
    (tmp_path / "people").mkdir()
    (tmp_path / "people" / "2020").symlink_to(tmp_path / "elsewhere")
    assert read(tmp_path / "people", "a") == [(1,)]
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "people")
    assert read(tmp_path / "people", "a") == [(1,)]


@pytest.mark.parametrize("name", ["people", "people/**/*.parquet", "people/*/*.parquet"])
def test_a_folder_that_cannot_be_listed_is_no_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    write(tmp_path / "people" / "open" / "a.parquet", a=[1])
    (tmp_path / "people" / "closed").mkdir()
    for listing in ("scandir", "listdir"):
        monkeypatch.setattr(os, listing, functools.partial(listed, getattr(os, listing)))
    with pytest.raises(SourceError, match="a folder cannot be listed; check that each may be read") as caught:
        columns(Source.of(tmp_path / name))
    assert caught.value.__context__ is None


def listed(listing: Callable[[object], object], path: object) -> object:
    if str(path).endswith("closed"):
        raise PermissionError(13, "Permission denied")
    return listing(path)


def test_a_damaged_file_of_a_folder_is_named_and_nothing_of_it_is_quoted(folder: Path) -> None:
    (folder / "part-5.parquet").write_bytes(b"PAR1" + CANARY.encode() + b"PAR1")
    with pytest.raises(SourceError, match=r"^people/part-5\.parquet: the file cannot be read as Parquet") as caught:
        require(Source.of(folder), ["a"])
    assert caught.value.__context__ is None
    assert CANARY not in str(caught.value)


def damage(path: Path, column: str) -> None:
    """Spoil the pages of one column."""
    chunk = next(
        found
        for found in map(pq.ParquetFile(path).metadata.row_group(0).column, range(2))
        if found.path_in_schema == column
    )
    content = bytearray(path.read_bytes())
    start = chunk.data_page_offset
    content[start : start + chunk.total_compressed_size] = bytes(chunk.total_compressed_size)
    path.write_bytes(content)


def test_the_pages_of_a_column_that_is_not_wanted_are_never_read(tmp_path: Path) -> None:
    path = tmp_path / "p" / "t.parquet"
    path.parent.mkdir()
    table = pa.table({"a": np.arange(1000), "b": [f"{CANARY}{n}" for n in range(1000)]})
    pq.write_table(table, path, use_dictionary=False, compression="none")
    damage(path, "b")
    assert len(read(path.parent, "a")) == 1000
    with pytest.raises(SourceError) as caught:
        read(path.parent, "a", "b")
    assert str(caught.value) == ("p/t.parquet: the data could not be read to their end; check that the file is whole")
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("trouble", "told"),
    [("missing", "is not there"), ("empty", "has no bytes"), ("cut", "as Parquet, though it is there")],
)
def test_what_is_wrong_with_a_file_is_told_apart(trouble: str, told: str, tmp_path: Path) -> None:
    place = tmp_path / "people.parquet"
    write(place, a=[CANARY])
    whole = place.read_bytes()
    if trouble == "missing":
        place.unlink()
    else:
        place.write_bytes(whole[: len(whole) // 2] if trouble == "cut" else b"")
    for act in (lambda: columns(Source.of(place)), lambda: require(Source.of(place), ["a"])):
        with pytest.raises(SourceError, match=rf"^people\.parquet: .*{told}") as caught:
            act()
        assert CANARY not in str(caught.value)
        assert str(tmp_path) not in str(caught.value)


def test_a_file_without_rows_is_a_table(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": pa.array([], pa.int64())}), tmp_path / "people.parquet")
    assert read(tmp_path / "people.parquet", "a") == []
