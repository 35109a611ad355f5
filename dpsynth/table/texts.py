"""The texts of a column whose values are not known yet, and how many entities hold each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dpsynth.table.identities import numbered

if TYPE_CHECKING:
    import pyarrow as pa

    from dpsynth.encoding import Codec
    from dpsynth.table.counting import Codes


class Vocabulary:
    """The distinct canonical texts of a column, in the order met, and how many entities hold each: private.

    The distinct texts stay in memory, however many there are. Places depend on other rows. So nothing but counts of
    texts, in the texts' own order, comes from here.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, int] = {}
        self._counts = np.zeros(0, dtype=np.int64)

    def places(self, texts: pa.Array) -> NDArray[np.int32]:
        """The place of each text, -1 for a null; new texts are added."""
        found, words = numbered(texts)
        known = [self._known.setdefault(word, len(self._known)) for word in words.to_pylist()]
        return np.array([*known, -1], dtype=np.int32)[found]

    def words(self) -> pa.Array:
        """The texts so far: ``large_binary``."""
        import pyarrow as pa

        return pa.array(list(self._known), type=pa.large_binary())

    def hold(self, places: NDArray[np.int32], entities: NDArray[np.int64] | None = None) -> None:
        """Count each text once for each entity that has it in some of these rows, all rows of each of the entities.

        ``entities`` says whose each row is; None: each row is an entity of its own.
        """
        counts = _held(places, entities, len(self._known))
        counts[: self._counts.size] += self._counts
        self._counts = counts

    def holders(self, otherwise: str) -> tuple[list[str], NDArray[np.int64]]:
        """The texts that are held but ``otherwise``, sorted, and how many entities hold each."""
        words = list(self._known)
        occurring = [at for at in np.flatnonzero(self._counts).tolist() if words[at] != otherwise.encode()]
        order = sorted(occurring, key=words.__getitem__)
        return [words[at].decode() for at in order], self._counts[np.array(order, dtype=np.intp)]

    def codes(self, codec: Codec) -> Codes:
        """The code of each place in the found column, and last, which is place -1, that of a null."""
        import pyarrow as pa

        return codec.encode(pa.array([*(word.decode() for word in self._known), None], type=pa.large_string()))


def _held(places: NDArray[np.int32], entities: NDArray[np.int64] | None, number: int) -> NDArray[np.int64]:
    """How many entities hold each text: one counts once for a text, in however many rows it has it."""
    rows = np.flatnonzero(places >= 0)
    held = places[rows].astype(np.int64)
    if entities is not None:
        held = np.unique(entities[rows] * number + held) % max(1, number)
    return np.bincount(held, minlength=number).astype(np.int64)
