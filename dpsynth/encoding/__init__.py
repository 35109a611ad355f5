"""Between values and codes: total, record-wise codecs on the finest public grid of each column.

``codecs(schema)`` gives one codec for each column of the model, of which a date with its weekday has two and an
identifier none: ``encode`` (Arrow values of any type -> small integers, never an error), ``decode`` (codes and random
words -> Arrow values) and ``level`` (grid -> declared bins). ``layout(schema)`` puts the columns of the table together
again; ``Constraints`` brings rows of codes to keep the constraints of the schema. ``arrays`` and ``moments`` hold the
text, the number and the moment of an Arrow value, whatever stores it; they load pyarrow, so import them where rows are
read. This room may import ``schema``, ``privacy`` and ``errors``; it holds
no rows and draws no randomness.
"""

from __future__ import annotations

from typing import assert_never

from dpsynth.encoding.calendar import DayCodec, TimeCodec, WeekCodec, WeekdayCodec
from dpsynth.encoding.codec import Codec
from dpsynth.encoding.constraints import Constraints
from dpsynth.encoding.layout import Decoder, Layout
from dpsynth.encoding.listed import BooleanCodec, ListedCodec
from dpsynth.encoding.numeric import IntegerCodec, RealCodec
from dpsynth.encoding.unlisted import UnlistedCodec
from dpsynth.schema import Boolean, Categorical, Date, Datetime, Identifier, Integer, Ordinal, Real, Schema, Unlisted

__all__ = [
    "BooleanCodec",
    "Codec",
    "Constraints",
    "DayCodec",
    "Decoder",
    "IntegerCodec",
    "Layout",
    "ListedCodec",
    "RealCodec",
    "TimeCodec",
    "UnlistedCodec",
    "WeekCodec",
    "WeekdayCodec",
    "codecs",
    "layout",
]


def codecs(schema: Schema) -> tuple[Codec, ...]:
    """The codec of each column of the model, in the order of ``schema.parts``."""
    result: list[Codec] = []
    for name, column in schema.columns.items():
        match column:
            case Categorical() | Ordinal():
                result.append(ListedCodec(name, column))
            case Unlisted():
                result.append(UnlistedCodec(name, column))
            case Boolean():
                result.append(BooleanCodec(name, column))
            case Integer():
                result.append(IntegerCodec(name, column))
            case Real():
                result.append(RealCodec(name, column))
            case Date() | Datetime():
                result.append(WeekCodec(name, column) if column.weekday else DayCodec(name, column))
                if column.weekday:
                    result.append(WeekdayCodec(f"{name}.weekday", column))
                if isinstance(column, Datetime) and column.time:
                    result.append(TimeCodec(f"{name}.time", column))
            case Identifier():
                pass
            case _:
                assert_never(column)
    return tuple(result)


def layout(schema: Schema) -> Layout:
    """How the rows of the model become those of the table; SchemaError for constraints that contradict each other."""
    found = codecs(schema)
    return Layout(schema.columns, found, Constraints.of(schema, found))
