"""Arrays in memory up to a share of it, and in a temporary file without a name beyond."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import FileIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import SourceError

FULL = (
    "the rows could not be kept beside memory; check that the temporary folder, which TMPDIR names (else /tmp), is "
    "there and has room, or allow more memory"
)


@dataclass(frozen=True, eq=False, repr=False)
class Piece:
    """A vector that a store holds: ``data`` itself, or where it begins in the file."""

    dtype: np.dtype[Any]
    size: int
    data: NDArray[Any] | None
    begin: int


class Store:
    """Vectors, of which the first ``share`` bytes stay in memory.

    The file has no name from the moment it is made, so however this process ends, nothing stays behind. What the
    system says of it never comes out: SourceError in fixed words.
    """

    def __init__(self, share: int) -> None:
        self._room = share
        self._file: FileIO | None = None
        self._end = 0

    def put(self, data: NDArray[Any]) -> Piece:
        """Keep a vector, which the caller does not change afterwards."""
        if data.nbytes <= self._room:
            self._room -= data.nbytes
            return Piece(data.dtype, data.size, data, 0)
        begin = self._end
        try:
            if self._file is None:
                # where the owner said; Python would take another folder if that one is not there, and ask TEMP and TMP
                where = os.environ.get("TMPDIR") or ("/tmp" if os.name == "posix" else None)  # noqa: S108 no name in it
                self._file = tempfile.TemporaryFile(prefix="dpsynth-", buffering=0, dir=where)  # noqa: SIM115 see close
            self._write(np.ascontiguousarray(data).reshape(-1).view(np.uint8))
        except OSError:
            raise SourceError(FULL) from None
        return Piece(data.dtype, data.size, None, begin)

    def get(self, piece: Piece, begin: int = 0, end: int | None = None) -> NDArray[Any]:
        """A vector, or its elements from ``begin`` to ``end``; not to be changed."""
        stop = piece.size if end is None else end
        if piece.data is not None:
            return piece.data[begin:stop]
        found = np.empty(stop - begin, dtype=piece.dtype)
        try:
            self._read(piece.begin + begin * piece.dtype.itemsize, found.view(np.uint8).data)
        except OSError:
            raise SourceError(FULL) from None
        return found

    def drop(self, piece: Piece) -> None:
        """Forget a vector; what it took of memory is free for others."""
        if piece.data is not None:
            self._room += piece.data.nbytes

    def close(self) -> None:
        """Forget everything."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def _write(self, data: NDArray[np.uint8]) -> None:
        file = self._opened()
        file.seek(self._end)
        left = data.data
        while left:
            left = left[file.write(left) :]
        self._end += data.size

    def _read(self, begin: int, into: memoryview) -> None:
        file = self._opened()
        file.seek(begin)
        while into:
            number = file.readinto(into)
            if not number:
                raise OSError
            into = into[number:]

    def _opened(self) -> FileIO:
        if self._file is None:
            raise OSError
        return self._file


class Blocks:
    """Rows as columns of codes, block by block, so that few columns of many rows are read one after the other."""

    def __init__(self, store: Store, least: int) -> None:
        self.rows = 0
        self._store = store
        self._least = least
        self._blocks: list[tuple[int, dict[str, Piece]]] = []
        self._waiting: list[Mapping[str, NDArray[Any]]] = []
        self._number = 0

    def add(self, columns: Mapping[str, NDArray[Any]], rows: int) -> None:
        """Add rows; blocks of fewer than ``least`` rows wait for more."""
        self.rows += rows
        self._waiting.append(columns)
        self._number += rows
        if self._number >= self._least:
            self.flush()

    def flush(self) -> None:
        """Make a block of the rows that wait, if there are any."""
        if self._number:
            joined = {name: [part[name] for part in self._waiting] for name in self._waiting[0]}
            pieces = {
                # a copy, lest a view keeps more than itself in memory
                name: self._store.put(np.concatenate(parts))
                for name, parts in joined.items()
            }
            self._blocks.append((self._number, pieces))
        self._waiting, self._number = [], 0

    def derive(self, name: str, source: str, made: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
        """A column by what is ``made`` of another, block by block; one that is there is made anew."""
        for _, pieces in self._blocks:
            pieces[name] = self._store.put(made(self._store.get(pieces[source])))

    def drop(self, name: str) -> None:
        """Forget a column."""
        for _, pieces in self._blocks:
            self._store.drop(pieces.pop(name))

    def parts(self, names: Sequence[str]) -> Iterator[tuple[int, dict[str, NDArray[Any]]]]:
        """Of each block the number of rows and the named columns; KeyError for one that is not there."""
        for rows, pieces in self._blocks:
            yield rows, {name: self._store.get(pieces[name]) for name in names}

    def close(self) -> None:
        """Forget the rows."""
        self._blocks, self._waiting, self.rows = [], [], 0
