"""CSV as lines of bytes: a fixed rule that never raises on a row, and under which no row changes another.

The rule, which is public:

* A record is one physical line. Lines end as the header does: in LF (a CR before it is dropped), or, where the header
  ends in a lone CR, in CR. A quote never reaches past its line, so an unclosed one spoils its own record at most.
* Fields are separated by commas. A field that begins with a quote runs to the next lone quote (``""`` is one quote
  inside it) or, unclosed, to the end of the line; what stands between a closing quote and the comma is appended as it
  is. A quote inside a field that does not begin with one is an ordinary character. So reads Python's ``csv`` a line.
* Missing fields and empty ones are null; surplus ones are ignored. A line is cut at ``LINE`` bytes.
* A blank line is no record where there is more than one column; nothing after the last line end is no record.
* A byte order mark before the header is skipped. Bytes are handed on undecoded: the codec replaces what is not UTF-8.

Lines without quotes, or whose quotes enclose whole fields, are cut by array operations; the rest, one by one, by
``split``, which is the rule itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from dpsynth.errors import SourceError

if TYPE_CHECKING:
    import pyarrow as pa

LINE = 1 << 20
"""Bytes of a line that are read; the rest of it is ignored."""

BLOCK = 1 << 21
"""Bytes read at a time: about what fits in a processor's cache. The records do not depend on it."""

_LF, _CR, _COMMA, _QUOTE = b'\n\r,"'
_CONTROL = frozenset(range(32)) - {9}
"""What no header holds: a file with these in its first line is binary, and what looks like names are values."""

_BOM = b"\xef\xbb\xbf"
_FIELD = re.compile(rb'"([^"]*+(?:""[^"]*+)*+)"?+([^,]*+)|([^,]*+)')

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Header:
    """The first line of a file: column names in order, where the records begin, and the byte that ends a line."""

    names: tuple[str, ...]
    start: int
    end: int


def split(line: bytes) -> list[bytes]:
    """The fields of one line without its end."""
    fields = []
    at = 0
    while True:
        found = cast(re.Match[bytes], _FIELD.match(line, at))  # the pattern matches anything, nothing included
        quoted, after, plain = found.groups()
        fields.append(plain if quoted is None else quoted.replace(b'""', b'"') + after)
        at = found.end() + 1
        if at > len(line):
            return fields


def read_header(path: Path) -> Header:
    """The header of a file; SourceError where there is none. Reads no further than the first line needs."""
    try:
        with path.open("rb") as file:
            head = file.read(LINE + 8)
    except OSError:
        raise SourceError(f"{path.name}: the file cannot be read; check that it is there and readable") from None
    skip = len(_BOM) if head.startswith(_BOM) else 0
    ends = [at for at in (head.find(b"\n", skip), head.find(b"\r", skip)) if at >= 0]
    stop = min(ends, default=len(head))
    if not _CONTROL.isdisjoint(head[skip:stop]):
        raise SourceError(f"{path.name}: no CSV; its first line is not text. Is it Parquet under another name?")
    names = tuple(field.decode("utf-8", "replace").strip() for field in split(head[skip:stop]))
    if not any(names) or stop > skip + LINE:
        raise SourceError(f"{path.name}: no header; the first line must hold the names of the columns")
    crlf = head[stop : stop + 2] == b"\r\n"
    mac = head[stop : stop + 1] == b"\r" and not crlf
    return Header(names, min(stop + 1 + crlf, len(head)), _CR if mac else _LF)


def read_records(path: Path, header: Header, wanted: Sequence[int], block: int = BLOCK) -> Iterator[list[pa.Array]]:
    """Blocks of records: for each wanted column position, a binary array with nulls for empty and missing fields.

    Raises OSError only; whoever calls replaces it by a fixed message.
    """
    with path.open("rb") as file:
        file.seek(header.start)
        for lines in _blocks(file, header.end, block):
            yield _records(lines, header.end, wanted, single=len(header.names) == 1)


def _blocks(file: BinaryIO, end: int, size: int) -> Iterator[bytes]:
    """Whole lines, each with its end; of an overlong line at least its first LINE + 1 bytes."""
    mark = bytes([end])
    tail = b""
    while chunk := file.read(size):
        cut = chunk.rfind(mark) + 1
        if cut:
            yield tail + chunk[:cut]
            tail = chunk[cut:]
        else:
            tail += chunk
        tail = tail[: LINE + 1]
    if tail:
        yield tail + mark


def _records(block: bytes, end: int, wanted: Sequence[int], *, single: bool) -> list[pa.Array]:
    data = np.frombuffer(block, dtype=np.uint8)
    ends = np.flatnonzero(data == end)
    starts = np.concatenate((np.zeros(1, dtype=np.int64), ends[:-1] + 1))
    stops = ends - ((data[ends - 1] == _CR) & (ends > starts)) if end == _LF else ends
    commas = np.flatnonzero(data == _COMMA)
    odd = stops - starts > LINE
    quoted = b'"' in block
    if quoted:
        inside, ragged = _quotes(data, starts, stops, ends, commas)
        odd |= ragged
        commas = commas[~inside]
    if not single:
        kept = stops > starts
        if not kept.all():
            starts, stops, ends, odd = starts[kept], stops[kept], ends[kept], odd[kept]
    first = np.searchsorted(commas, starts)
    number = np.searchsorted(commas, ends) - first
    if not commas.size:
        commas = np.zeros(1, dtype=np.int64)  # so that the index of a comma that is missing stays in range

    rows = np.flatnonzero(odd)
    patches = [split(block[starts[row] : min(stops[row], starts[row] + LINE)]) for row in rows.tolist()]
    extra, where = _patches(patches, wanted, len(block))
    if extra:
        data = np.concatenate((data, np.frombuffer(extra, dtype=np.uint8)))

    def stop(column: int) -> Ints:
        return np.where(number > column, commas.take(np.minimum(first + column, commas.size - 1)), stops)

    result = []
    done, after = -1, starts - 1
    for index, column in enumerate(wanted):
        before = after if column == done + 1 else stop(column - 1) if column else starts - 1
        done, after = column, stop(column)
        begin = np.minimum(before + 1, stops)  # a field that is missing begins and stops where its line does
        length = after - begin
        if quoted:
            begin, length = _unquoted(data, begin, length)
        if rows.size:
            begin, length = begin.copy(), length.copy()
            begin[rows], length[rows] = where[:, index, 0], where[:, index, 1]
        result.append(_binary(data, begin, length))
    return result


def _quotes(
    data: NDArray[np.uint8], starts: Ints, stops: Ints, ends: Ints, commas: Ints
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which commas stand inside quotes, and which lines have quotes that do not just enclose whole fields.

    Quotes open and close in turn within a line. A line is plain if each opening one follows the line's start or a
    comma and each closing one precedes a comma or the line's stop: then ``split`` cuts at the commas outside.
    """
    quotes = np.flatnonzero(data == _QUOTE)
    before = np.searchsorted(quotes, starts)
    number = np.searchsorted(quotes, ends) - before
    closing = (np.arange(quotes.size) - np.repeat(before, number)) & 1 == 1
    edge = np.where(closing, quotes + 1, quotes - 1)
    at_comma = data[edge] == _COMMA
    at_border = np.where(closing, np.repeat(stops, number), np.repeat(starts, number) - 1) == edge
    ragged = number & 1 == 1
    ragged[np.searchsorted(ends, quotes[~(at_comma | at_border)])] = True

    parity = np.cumsum(data == _QUOTE, dtype=np.uint8)
    behind = np.concatenate((np.zeros(1, dtype=np.uint8), parity[ends[:-1]]))
    per_line = np.searchsorted(commas, ends) - np.searchsorted(commas, starts)
    inside = (parity[commas] - np.repeat(behind, per_line)) & 1 == 1
    return inside, ragged


def _patches(lines: list[list[bytes]], wanted: Sequence[int], offset: int) -> tuple[bytes, Ints]:
    """The wanted fields of lines cut one by one, end to end, and where each begins and how long it is."""
    pieces = [fields[column] if column < len(fields) else b"" for fields in lines for column in wanted]
    lengths = np.fromiter(map(len, pieces), dtype=np.int64, count=len(pieces))
    begins = offset + np.cumsum(lengths) - lengths
    return b"".join(pieces), np.stack((begins, lengths), axis=1).reshape(len(lines), len(wanted), 2)


def _unquoted(data: NDArray[np.uint8], begin: Ints, length: Ints) -> tuple[Ints, Ints]:
    enclosed = (length >= 2) & (data[begin] == _QUOTE)
    return begin + enclosed, length - 2 * enclosed


def _binary(data: NDArray[np.uint8], begin: Ints, length: Ints) -> pa.Array:
    """A binary array of slices of ``data``; a slice of no length is null."""
    import pyarrow as pa

    offsets = np.zeros(length.size + 1, dtype=np.int64)
    np.cumsum(length, out=offsets[1:])
    take = np.repeat(begin - offsets[:-1], length)
    take += np.arange(take.size)
    valid = np.packbits(length > 0, bitorder="little")
    buffers = [pa.py_buffer(valid), pa.py_buffer(offsets), pa.py_buffer(data[take])]
    return pa.Array.from_buffers(pa.large_binary(), length.size, buffers)
