"""Survey weights as whole units: a total, record-wise map, as the codecs are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dpsynth.schema.columns import WEIGHT_UNITS

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray


def weight_units(values: pa.Array | pa.ChunkedArray, most: float) -> NDArray[np.uint8]:
    """For each weight the nearest whole number of units of ``most / WEIGHT_UNITS``: uint8, shape (len(values),).

    A weight above 0 is at least one unit and at most WEIGHT_UNITS. One that is missing, no number, 0 or negative is no
    unit: the row counts for nothing. The units of a weight depend on that weight alone (proofs/encoding).
    """
    from dpsynth.encoding import arrays

    parts = [np.empty(0, dtype=np.uint8)]
    for chunk in arrays.chunks(values):
        found, where = arrays.unfold(chunk)
        parts.append(np.append(_units(arrays.numbers(found), most), np.uint8(0))[where])  # a null is at place -1
    return np.concatenate(parts)


def _units(weights: NDArray[np.float64], most: float) -> NDArray[np.uint8]:
    held = np.fmin(np.fmax(weights, 0.0), most) / most  # within 0..1 also when it is rounded; nothing overflows
    units = np.clip(np.rint(held * WEIGHT_UNITS), 1, WEIGHT_UNITS)
    return np.where(weights > 0, units, 0).astype(np.uint8)
