"""Python objects as text, cell by cell: for columns whose cells are of several types, which no Arrow array holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


def texts(cells: Sequence[object]) -> pa.Array:
    """The text of each cell as bytes, None for a missing one; what is bytes already stays as it is.

    Cells of the commonest types are looked up: equal ones of a type have equal texts.
    """
    import pyarrow as pa

    from dpsynth.encoding.arrays import text_of

    known: dict[object, bytes | None] = {}
    words: list[bytes | None] = []
    for cell in cells:
        if cell is None or type(cell) is bytes:
            words.append(cell)
            continue
        key = (type(cell), cell) if type(cell) in (int, float, bool) else None
        if key is None or key not in known:
            text = text_of(cell)
            word = None if text is None else text.encode()
            if key is not None:
                known[key] = word
        words.append(word if key is None else known[key])
    return pa.array(words, type=pa.large_binary())
