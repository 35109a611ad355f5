"""Every kind of source as batches of Arrow columns. What a reader says about a row never leaves this module."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

from dpsynth.errors import SourceError
from dpsynth.table.lines import read_header, read_records
from dpsynth.table.source import Source

if TYPE_CHECKING:
    import pyarrow as pa

Batch = Mapping[str, "pa.ChunkedArray"]

_BLOCKS = 32
"""CSV blocks in a batch: enough rows that the distinct values of a column are looked up a few times only."""

_ROWS = 1 << 19
"""Rows of Parquet in a batch."""


def batches(source: Source, names: Sequence[str]) -> Iterator[Batch]:
    """The named columns, batch by batch.

    Names must be in the source once (``require``). Raises SourceError with a fixed message, and only for what is no
    row's doing: a file that cannot be read or is damaged, memory that does not suffice.
    """
    readers = {"csv": _csv, "parquet": _parquet, "arrow": _arrow, "pandas": _pandas}
    steps = readers[source.kind](source, names)
    while True:
        batch: Batch | None = None
        failed = False
        try:
            batch = next(steps, None)
        except Exception:  # whatever it says, it may quote a row
            failed = True
        if failed:  # raised here and not in the handler, so that the reader's own error is not its context
            raise SourceError(f"{source.name}: the data could not be read to their end; check that the file is whole")
        if batch is None:
            return
        yield batch


def _csv(source: Source, names: Sequence[str]) -> Iterator[Batch]:
    import pyarrow as pa

    header = read_header(source.file)
    blocks = read_records(source.file, header, [header.names.index(name) for name in names])
    while group := list(islice(blocks, _BLOCKS)):
        yield {name: pa.chunked_array([block[at] for block in group]) for at, name in enumerate(names)}


def _parquet(source: Source, names: Sequence[str]) -> Iterator[Batch]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(source.file) as file:
        for batch in file.iter_batches(batch_size=_ROWS, columns=list(names)):
            yield {name: pa.chunked_array([batch.column(name)]) for name in names}


def _arrow(source: Source, names: Sequence[str]) -> Iterator[Batch]:
    yield {name: source.frame.column(name) for name in names}


def _pandas(source: Source, names: Sequence[str]) -> Iterator[Batch]:
    frame = source.frame
    position = {str(name): at for at, name in enumerate(frame.columns)}
    yield {name: _series(frame.iloc[:, position[name]]) for name in names}


def _series(values: Any) -> pa.ChunkedArray:
    """A pandas column as Arrow. Cells of object columns become text one by one, whatever stands beside them.

    Arrow would infer one type from the whole column: one odd cell would raise, or change how the others are read.
    """
    import pandas as pd
    import pyarrow as pa

    found: Any = None
    if isinstance(values.dtype, pd.CategoricalDtype):
        codes = values.cat.codes.to_numpy()
        found = pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), _texts(values.cat.categories.tolist()))
    else:
        kind = pa.large_string() if pd.api.types.is_object_dtype(values.dtype) else None
        with suppress(Exception):  # an object column that is not all text, or a type that Arrow does not know
            found = pa.array(values, type=kind, from_pandas=True)
    if found is None:
        found = _texts(values.tolist())
    return found if isinstance(found, pa.ChunkedArray) else pa.chunked_array([found])


def _texts(cells: Sequence[object]) -> pa.Array:
    """The text of each cell. Cells of the commonest types are looked up: equal ones of a type have equal texts."""
    import pyarrow as pa

    from dpsynth.encoding.arrays import text_of

    known: dict[object, str | None] = {}
    words = []
    for cell in cells:
        if type(cell) not in (int, float, bool):
            words.append(text_of(cell))
            continue
        key = (type(cell), cell)
        if key not in known:
            known[key] = text_of(cell)
        words.append(known[key])
    return pa.array(words, type=pa.large_string())
