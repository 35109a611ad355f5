"""Which rows lie in a cell: a function of each entity's own rows, a secret key and the fixed labels."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dpsynth.privacy import Cell

if TYPE_CHECKING:
    import pyarrow as pa


def members(
    cell: Cell, codes: NDArray[np.int16], entities: NDArray[np.int64] | None, ids: pa.Array | None, key: bytes
) -> NDArray[np.intp]:
    """The positions of the rows in a cell: those with its label, of the entities that lie in it.

    ``codes`` holds for each row the place of its text among the labels, -1 for none; ``entities`` the index in ``ids``
    of its entity, -1 for none. Without ``entities`` each row is an entity by itself, which lies in the cell of its
    label. With them, an entity with rows of several labels lies in the cell of the one whose HMAC-SHA256 of
    ``cell || 0x00 || entity || 0x00 || label`` under the key is the smallest (of two that are equal the earlier label):
    whatever else is asked of its rows, and whichever of the cells asks.
    """
    from dpsynth.encoding import arrays

    labels = [label.encode() for label in cell.cells.labels]
    own = cell.cells.labels.index(cell.label)
    mine = codes == own
    if entities is None or ids is None:
        return np.flatnonzero(mine)
    mine &= entities >= 0
    rows = np.flatnonzero((codes >= 0) & (entities >= 0))
    here = np.zeros(len(ids), dtype=np.bool_)
    here[entities[mine]] = True
    rows = rows[here[entities[rows]] & (codes[rows] != own)]
    pairs = np.unique(entities[rows] * len(labels) + codes[rows])
    names = ids.take(arrays.of_numpy(pairs // len(labels))).to_pylist()
    for pair, name in zip(pairs.tolist(), names, strict=True):
        entity, other = divmod(pair, len(labels))
        if (_rank(key, name, labels[other]), other) < (_rank(key, name, labels[own]), own):
            here[entity] = False
    found = np.flatnonzero(mine)
    return found[here[entities[found]]]


def _rank(key: bytes, entity: bytes, label: bytes) -> bytes:
    return hmac.digest(key, b"cell\x00" + entity + b"\x00" + label, "sha256")
