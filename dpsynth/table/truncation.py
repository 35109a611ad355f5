"""Which rows of a person are kept: a function of that person's rows and a secret key, and of nothing else."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dpsynth.table.counting import Codes
from dpsynth.table.encoded import Encoder, Rows
from dpsynth.table.identities import numbered
from dpsynth.table.members import members
from dpsynth.table.texts import DIGEST, digested, numbers

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, eq=False, repr=False)
class Uncoded:
    """In place of the codes of a column that has none: of each text SHA-256, zeros for a null."""

    texts: pa.Array

    def __getitem__(self, rows: NDArray[np.intp]) -> NDArray[np.uint16]:
        """Those of some rows: shape (n, 16)."""
        from dpsynth.encoding import arrays

        places, words = numbered(self.texts.take(arrays.of_numpy(rows)))
        return numbers(np.append(digested(words), np.zeros(1, dtype=DIGEST)))[places]  # a null is at place -1


def enforced(rows: Rows, encoder: Encoder, key: bytes) -> Rows:
    """The rows that count: those of the cell, if there is one, and at most ``max_rows`` of each entity.

    ``rows`` holds all rows of each of its entities.
    """
    return rows.taken(standing(rows, encoder, key))


def standing(rows: Rows, encoder: Encoder, key: bytes) -> NDArray[np.intp]:
    """The positions of the rows that ``enforced`` gives."""
    entities, words = (None, None) if rows.entities is None else numbered(rows.entities)
    found = np.arange(rows.size)
    if encoder.cell is not None and rows.labels is not None:
        found = members(encoder.cell, rows.labels, entities, words, key)
    if entities is None or words is None:
        return found
    mine = np.full(rows.size, -1)
    mine[found] = entities[found]
    return keep(mine, words, _content(rows, encoder), encoder.unit.max_rows, key)


def compacted(rows: Rows, encoder: Encoder, key: bytes) -> NDArray[np.intp]:
    """The positions of rows that suffice: with any others, ``enforced`` keeps of them what it keeps of all of these.

    They are at most ``max_rows`` rows of each entity and, of each of its labels but the cell's, one more.
    """
    if rows.entities is None:
        return np.arange(rows.size)
    entities, words = numbered(rows.entities)
    if encoder.cell is None or rows.labels is None:
        return keep(entities, words, _content(rows, encoder), encoder.unit.max_rows, key)
    own, number = encoder.cell.cells.labels.index(encoder.cell.label), len(encoder.cell.cells.labels)
    mine = keep(np.where(rows.labels == own, entities, -1), words, _content(rows, encoder), encoder.unit.max_rows, key)
    others = np.flatnonzero((rows.labels >= 0) & (rows.labels != own) & (entities >= 0))
    first = np.unique(entities[others] * number + rows.labels[others], return_index=True)[1]
    return np.sort(np.concatenate((mine, others[first])))


def _content(rows: Rows, encoder: Encoder) -> list[Codes | Uncoded]:
    """What tells two rows of an entity apart."""
    names = [codec.name for codec in encoder.codecs]
    columns = [rows.codes[name] if name in rows.codes else Uncoded(rows.texts[name]) for name in names]
    return columns if rows.weights is None else [*columns, rows.weights]


def keep(
    entities: NDArray[np.int64], words: pa.Array, columns: Sequence[Codes | Uncoded], max_rows: int, key: bytes
) -> NDArray[np.intp]:
    """The positions of the rows that stay: at most ``max_rows`` of each entity, none of those without one.

    ``entities`` holds for each row the index of its entity in ``words``, or -1 where the entity is null. An entity's
    rows are ranked by HMAC-SHA256(key, entity || 0x00 || codes as little-endian uint16); the first ``max_rows`` stay.
    A column without codes gives 16 numbers, the SHA-256 of its text. Rows that are equal in every code tie, and any of
    them may stay: the kept codes are the same.
    """
    from dpsynth.encoding import arrays

    known = np.flatnonzero(entities >= 0)
    number = np.bincount(entities[known], minlength=len(words))
    crowded = number[entities[known]] > max_rows
    rows = known[crowded]
    found = np.column_stack([column[rows] for column in columns]).astype("<u2")
    content, width = found.tobytes(), 2 * found.shape[1]
    those, whose = np.unique(entities[rows], return_inverse=True)
    names = words.take(arrays.of_numpy(those)).to_pylist()
    digests = b"".join(
        hmac.digest(key, names[entity] + b"\x00" + content[at : at + width], "sha256")
        for entity, at in zip(whose.tolist(), range(0, len(content), width), strict=True)
    )
    ranks = np.frombuffer(digests, dtype=">u8").reshape(rows.size, 4)
    order = np.lexsort((ranks[:, 3], ranks[:, 2], ranks[:, 1], ranks[:, 0], entities[rows]))
    sizes = number[those]
    place = np.arange(rows.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.sort(np.concatenate((known[~crowded], rows[order[place < max_rows]])))
