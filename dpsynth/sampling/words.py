"""The public generator: raw 64-bit words of Philox, the one place of the package that draws public randomness.

Words are allocated by purpose, so that any chunk, table or column can be drawn alone and in any order. Each stream is
Philox4x64-10 from counter 0 with the key ``SeedSequence(seed, spawn_key=(chunk, purpose, index)).generate_state(2)``:

============ ======= ====================== =====================================================================
purpose      number  index                  words, in order
============ ======= ====================== =====================================================================
``NODE``     0       node of the model      one a parent state (the offset), then one a row (the order)
``SPREAD``   1       column                 one a model cell (the offset), then one a row; only where a model cell
                                            has several fine cells
``VALUE``    2       column                 one a row, for drawing a value inside a fine cell
``BETWEEN``  3       column of the table    one a row, for what of its value no column of the model holds
``KEY``      4       column of the table    of chunk 0 alone: the key of its fresh identifiers
============ ======= ====================== =====================================================================

Only ``random_raw`` is used: integers, which every processor and every numpy gives alike.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Philox, SeedSequence
from numpy.typing import NDArray

NODE, SPREAD, VALUE, BETWEEN, KEY = range(5)

MAX_SEED = 2**63 - 1


BLOCK = 4
"""Words that one step of the counter gives."""


def words(seed: int, chunk: int, purpose: int, index: int, count: int, first: int = 0) -> NDArray[np.uint64]:
    """``count`` words of one stream, after the first ``first``, a multiple of BLOCK."""
    key = SeedSequence(seed, spawn_key=(chunk, purpose, index)).generate_state(2, np.uint64)
    result: NDArray[np.uint64] = Philox(key=key, counter=first // BLOCK).random_raw(count)
    return result
