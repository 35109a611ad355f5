"""What tells entities, labels and unlisted values apart: the canonical text of a cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

PLAIN = r"^(?:[0-9]+|(?:[!-~][ -~]*)?[!-*,/:-DF-df-~](?:[ -~]*[!-~])?)$"
"""Texts that are canonical as they stand: digits alone; printable ASCII with no space at an end that is no number, as
one of its characters is in none."""

_WHOLE = 2.0**53
"""Below it, whole numbers of binary64 are those of int64."""


def canonical(values: pa.ChunkedArray | pa.Array) -> pa.Array:
    """The canonical text of each cell, ``large_binary``, null for a missing or empty one.

    Two cells are one entity when their texts are the same in the sense of the encoding: white space around them does
    not count, nor does ``1.0`` differ from ``1``; bytes that are not UTF-8 stay distinct. A function of each cell
    alone. Whole numbers and plain texts, which are most, are not looked at one by one.
    """
    import pyarrow as pa

    from dpsynth.encoding import arrays

    parts = [_canonical(chunk) for chunk in arrays.chunks(values)]
    return parts[0] if len(parts) == 1 else pa.concat_arrays([pa.nulls(0, pa.large_binary()), *parts])


def numbered(texts: pa.Array) -> tuple[NDArray[np.int64], pa.Array]:
    """The place of each text among the distinct ones, -1 for a null, and the distinct ones, ``large_binary``."""
    from dpsynth.encoding import arrays

    words, places = arrays.unfold(texts)
    return places, words


def _canonical(array: pa.Array) -> pa.Array:
    import pyarrow as pa
    import pyarrow.types as kind

    from dpsynth.encoding import arrays

    if kind.is_integer(array.type):
        return array.cast(pa.large_string()).cast(pa.large_binary())
    if kind.is_floating(array.type):
        found = arrays.to_numpy(array).astype(np.float64)
        easy = (found == np.rint(found)) & (np.abs(found) < _WHOLE)
        texts = (
            arrays.of_numpy(np.where(easy, found, 0).astype(np.int64)).cast(pa.large_string()).cast(pa.large_binary())
        )
    elif arrays.is_text(array.type):
        import pyarrow.compute as pc

        array = texts = array.cast(pa.large_binary())
        easy = arrays.to_numpy(pc.match_substring_regex(texts, pattern=PLAIN).fill_null(False)).astype(np.bool_)
    else:
        return _one_by_one(array)
    if array.null_count:
        easy &= arrays.to_numpy(array.is_valid()).astype(np.bool_)
    if easy.all():
        return texts
    odd = np.flatnonzero(~easy)
    source = np.arange(len(array))
    source[odd] = len(array) + np.arange(odd.size)
    return pa.concat_arrays([texts, _one_by_one(array.take(arrays.of_numpy(odd)))]).take(arrays.of_numpy(source))


def _one_by_one(array: pa.Array) -> pa.Array:
    """The texts of the distinct cells, by the rule itself, given to each cell."""
    import pyarrow as pa

    from dpsynth.encoding import arrays

    found, where = arrays.unfold(array)
    words = [text.encode() if text else None for text in arrays.texts(found)]
    return pa.array([*words, None], type=pa.large_binary()).take(
        arrays.of_numpy(np.where(where < 0, len(words), where))
    )
