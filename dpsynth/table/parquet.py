"""Parquet: one file, the files of a folder, or those that a pattern names."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dpsynth.errors import SourceError
from dpsynth.table.reader import ColumnInfo, Part, Reader, batch_rows, gathered, guarded, unquoted

if TYPE_CHECKING:
    from dpsynth.table.reader import Batch

SUFFIXES = (".parquet", ".pq")


BUFFER = 1 << 20
"""Bytes of a column that are read at a time: without it the whole of a row group's would be, and what is read ahead
(``pre_buffer``) stays in memory until the file is closed."""


@dataclass(frozen=True)
class ParquetFiles(Reader):
    """The files of a table, in one order: that of their paths.

    In folders, at any depth, those that end in ``.parquet`` or ``.pq`` count. A file or folder whose name begins with
    a dot or an underscore does not, as Spark and Hive have it. A file is read once, by however many names it is found.
    """

    name: str
    place: Path

    def parts(self) -> Iterator[Part]:
        """The columns that the footer of each file declares."""
        import pyarrow.parquet as pq

        for label, file in self._files():
            schema = guarded(partial(pq.read_schema, file), f"{label}: {_trouble(file)}")
            kinds = zip(schema.names, schema.types, strict=True)
            yield Part(label, tuple(ColumnInfo(name, str(kind)) for name, kind in kinds))

    def batches(self, names: Sequence[str]) -> Iterator[Batch]:
        """Row groups of one file after the other, of which only the pages of the named columns are read."""
        for label, file in self._files():
            yield from unquoted(_rows(file, names), label, self.advice)

    def _files(self) -> list[tuple[str, Path]]:
        """What errors call each file, and where it is."""
        if self.place.is_dir():
            root = self.place
        elif is_pattern(self.place):
            root = _root(self.place)
        else:
            return [(self.name, self.place)]
        message = f"{self.name}: a folder cannot be listed; check that each may be read"
        matches = _matches(root, self.place.relative_to(root).parts)
        found = guarded(lambda: [path for match in matches for path in _within(match)], message)
        shown = {path: path.relative_to(root) for path in found}
        named = sorted((way.parts, path) for path, way in shown.items() if not _hidden(way))
        files = {path.resolve(): f"{root.name}/{shown[path].as_posix()}" for _, path in reversed(named)}
        if not files:
            where = "there" if root == self.place else f"in the folder {root.resolve().name}"
            raise SourceError(
                f"{self.name}: no file that ends in {' or '.join(SUFFIXES)} is {where}; check the folder or the pattern"
            )
        return [(label, path) for path, label in reversed(files.items())]


def is_pattern(place: Path) -> bool:
    """Whether a path stands for all that match it: it has one of ``*?[`` in it and is itself nothing that is there."""
    return glob.has_magic(str(place)) and not place.exists()


def _trouble(file: Path) -> str:
    """Why a file may have no footer that can be read, and what to do: of its place and size alone, never of a row."""
    try:
        size = file.stat().st_size
    except FileNotFoundError:
        return "the file cannot be read, for it is not there; check its name and folder"
    except OSError:
        return "the file cannot be read, nor its folder; check who may read them"
    if not size:
        return "the file cannot be read as Parquet, for it has no bytes; check that it was written"
    if not os.access(file, os.R_OK):
        return "the file cannot be read, though it is there; check who may read it"
    return "the file cannot be read as Parquet, though it is there; check that it is one, and whole"


def _rows(path: Path, names: Sequence[str]) -> Iterator[Batch]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, buffer_size=BUFFER, pre_buffer=False) as file:
        yield from gathered(file.iter_batches(batch_size=batch_rows(len(names)), columns=list(names)), names)


def _matches(folder: Path, pattern: Sequence[str]) -> Iterator[Path]:
    """What matches the parts of a pattern from a folder on, some of it perhaps twice.

    OSError for a folder that cannot be listed, which ``Path.glob`` would pass over.
    """
    if not pattern:
        yield folder
        return
    part, rest = pattern[0], pattern[1:]
    if part == "**":
        yield from _matches(folder, rest)
    for path in folder.iterdir():
        if part == "**":
            if path.is_dir():
                yield from _matches(path, pattern)
        elif fnmatchcase(path.name, part) and (not rest or path.is_dir()):
            yield from _matches(path, rest)


def _within(match: Path) -> Iterator[Path]:
    """The file itself, or the files of a folder; OSError for one that cannot be listed, lest its rows go missing."""
    if not match.is_dir():
        yield match
        return
    for where, _, names in os.walk(match, onerror=_stop, followlinks=True):
        yield from (Path(where, name) for name in names if name.lower().endswith(SUFFIXES))


def _stop(error: OSError) -> None:
    raise error


def _root(pattern: Path) -> Path:
    """The folder above the first part of a pattern that is one."""
    return next(path for path in (pattern, *pattern.parents) if not glob.has_magic(str(path)))


def _hidden(way: Path) -> bool:
    return any(part.startswith((".", "_")) for part in way.parts)
