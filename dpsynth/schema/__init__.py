"""What the owner declares public, before any row is read: the columns, their values and bounds, the unit of privacy.

A schema is read from TOML (``Schema.load``) or built in Python; ``draft`` writes one to fill in. ``text`` holds the
one rule by which values are compared as text. This room may import ``errors`` alone, and sees no data.
"""

from dpsynth.schema.calendar import Date, Datetime, Identifier
from dpsynth.schema.columns import Boolean, Categorical, Column, Integer, Ordinal, Real, Unit, Unlisted
from dpsynth.schema.declared import MAX_CELLS
from dpsynth.schema.draft import draft
from dpsynth.schema.schema import Schema

__all__ = [
    "MAX_CELLS",
    "Boolean",
    "Categorical",
    "Column",
    "Date",
    "Datetime",
    "Identifier",
    "Integer",
    "Ordinal",
    "Real",
    "Schema",
    "Unit",
    "Unlisted",
    "draft",
]
