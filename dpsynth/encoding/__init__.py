"""Between values and codes: total, record-wise codecs on the finest public grid of each column.

``codecs(schema)`` gives one codec for each column: ``encode`` (Arrow values of any type -> small integers, never an
error), ``decode`` (codes and random words -> Arrow values) and ``level`` (grid -> declared bins). ``arrays`` holds the
text and the number of an Arrow value, whatever stores it; it loads pyarrow, so import it where rows are read. This
room may import ``schema``, ``privacy`` and ``errors``; it holds no rows and draws no randomness.
"""

from __future__ import annotations

from typing import assert_never

from dpsynth.encoding.codec import Codec
from dpsynth.encoding.listed import BooleanCodec, ListedCodec
from dpsynth.encoding.numeric import IntegerCodec, RealCodec
from dpsynth.schema import Boolean, Categorical, Integer, Ordinal, Real, Schema

__all__ = ["BooleanCodec", "Codec", "IntegerCodec", "ListedCodec", "RealCodec", "codecs"]


def codecs(schema: Schema) -> tuple[Codec, ...]:
    """The codec of each column, in order."""
    result: list[Codec] = []
    for name, column in schema.columns.items():
        match column:
            case Categorical() | Ordinal():
                result.append(ListedCodec(name, column))
            case Boolean():
                result.append(BooleanCodec(name, column))
            case Integer():
                result.append(IntegerCodec(name, column))
            case Real():
                result.append(RealCodec(name, column))
            case _:
                assert_never(column)
    return tuple(result)
