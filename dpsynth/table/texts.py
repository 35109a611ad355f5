"""The texts of a column whose values are not known yet, and how many entities hold each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from dpsynth.encoding import Codec
    from dpsynth.table.counting import Codes


@dataclass(frozen=True, eq=False, repr=False)
class Texts:
    """For each row the place of its text among ``words`` (distinct, UTF-8, in the order met), -1 for a null: private.

    Places depend on other rows. So nothing but counts of texts, in the texts' own order, comes from here.
    """

    places: NDArray[np.int64]
    words: tuple[bytes, ...]

    def holders(self, entities: NDArray[np.int64] | None, otherwise: str) -> tuple[list[str], NDArray[np.int64]]:
        """The texts that occur but ``otherwise``, sorted, and how many distinct entities hold each.

        ``entities`` says whose each row is; None: each row is an entity of its own. An entity counts once for a text,
        in however many rows it has it.
        """
        rows = np.flatnonzero(self.places >= 0)
        places = self.places[rows]
        if entities is not None:
            pairs = np.unique(entities[rows] * len(self.words) + places)
            places = pairs % max(1, len(self.words))
        counts = np.bincount(places, minlength=len(self.words)).astype(np.int64)
        occurring = [at for at in np.flatnonzero(counts).tolist() if self.words[at] != otherwise.encode()]
        order = sorted(occurring, key=self.words.__getitem__)
        return [self.words[at].decode() for at in order], counts[np.array(order, dtype=np.intp)]

    def codes(self, codec: Codec) -> Codes:
        """The code of each row in the found column: that of its text, or of a null."""
        import pyarrow as pa

        words = pa.array([*(word.decode() for word in self.words), None], type=pa.large_string())
        return codec.encode(words)[self.places]  # a null is at place -1
