"""Which rows of a person are kept: a function of that person's rows and a secret key, and of nothing else."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dpsynth.table.counting import Codes
from dpsynth.table.texts import Texts

if TYPE_CHECKING:
    import pyarrow as pa


def keep(
    entities: NDArray[np.int64], words: Sequence[bytes], columns: Sequence[Codes | Texts], max_rows: int, key: bytes
) -> NDArray[np.intp]:
    """The positions of the rows that stay: at most ``max_rows`` of each entity, none of those without one.

    ``entities`` holds for each row the index of its entity in ``words``, or -1 where the entity is null. An entity's
    rows are ranked by HMAC-SHA256(key, entity || 0x00 || codes as little-endian uint16); the first ``max_rows`` stay.
    A column without codes gives 16 numbers, the SHA-256 of its text. Rows that are equal in every code tie, and any of
    them may stay: the kept codes are the same.
    """
    known = np.flatnonzero(entities >= 0)
    number = np.bincount(entities[known], minlength=len(words))
    crowded = number[entities[known]] > max_rows
    rows = known[crowded]
    found = np.column_stack([column[rows] for column in columns]).astype("<u2")
    content, width = found.tobytes(), 2 * found.shape[1]
    digests = b"".join(
        hmac.digest(key, words[entity] + b"\x00" + content[at : at + width], "sha256")
        for entity, at in zip(entities[rows].tolist(), range(0, len(content), width), strict=True)
    )
    ranks = np.frombuffer(digests, dtype=">u8").reshape(rows.size, 4)
    order = np.lexsort((ranks[:, 3], ranks[:, 2], ranks[:, 1], ranks[:, 0], entities[rows]))
    sizes = number[np.unique(entities[rows])]
    place = np.arange(rows.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.sort(np.concatenate((known[~crowded], rows[order[place < max_rows]])))


def identities(*columns: pa.ChunkedArray | pa.Array) -> tuple[NDArray[np.int64], list[bytes]]:
    """For each cell the index of its entity, -1 for a null, and the entities' texts in UTF-8.

    The cells of several columns follow each other; their types may differ.

    Two cells are one entity when their texts are the same in the sense of the encoding: white space around them does
    not count, nor does ``1.0`` differ from ``1``; bytes that are not UTF-8 stay distinct.
    """
    from dpsynth.encoding import arrays

    known: dict[bytes, int] = {}
    parts = [np.zeros(0, dtype=np.int64)]
    for chunk in (chunk for values in columns for chunk in arrays.chunks(values)):
        found, where = arrays.unfold(chunk)
        texts = [text.encode() if text else None for text in arrays.texts(found)]
        table = np.array([known.setdefault(text, len(known)) if text else -1 for text in texts], dtype=np.int64)
        parts.append(np.append(table, -1)[where])  # a null is at place -1, the last
    return np.concatenate(parts), list(known)
