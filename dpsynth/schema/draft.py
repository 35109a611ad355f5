"""A draft schema for ``dpsynth init``: from column names and declared types, never from a value."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dpsynth.schema import toml

HEAD = """\
# A draft, made from column names and declared types alone: no value was read.
# All that stands here is public and is published with the release. Fill in every line marked BLANK with what is
# known without looking at the data (a code book, the questionnaire); a value that is found in the data gives it away.
# Delete the section of a column to leave the column out.
#
# One example of each type:
#   type = "categorical"   values = ["north", "south", "other"]   otherwise = "other"
#   type = "categorical"   values = "private"   # those that enough entities hold are found, for a part of the budget
#   type = "ordinal"       values = ["low", "middle", "high"]
#   type = "integer"       min = 0     max = 120
#   type = "real"          min = 0.0   max = 99.9   bins = 50   # or bins = "private", or bounds = "private"
#   type = "boolean"
#   type = "date"          min = 2020-01-01   max = 2024-12-31   weekday = true
#   type = "datetime"      min = 2020-01-01   max = 2024-12-31   # time = false leaves out the time of day
#   type = "identifier"    prefix = "P"       # never read: each row gets a fresh one
# Any but an identifier may have  nullable = true  where a value can be missing.
#
# What holds of several columns of every row may be declared at the end; rows that break it are brought to keep it:
#   [[constraints]]
#   kind = "required"      # or "impossible" with where, "depends", "ordered", "sum"
#   if = { age = { max = 15 } }
#   then = { married = false }

[unit]
entity = "row"             # whom the guarantee protects, in a word: "person", "household"
# column = "person_id"     # the column that names the entity of a row; without it every row is an entity of its own
max_rows = 1               # rows that an entity may have (above 1 needs column); further ones are left out
# weight = "weight"        # a column of survey weights, fixed by the sampling design; with max_weight = 50.0, which a
                           # row counts for at most, and weight_origin = "design"
neighbours = "add-remove"  # or "replace-one", which takes the number of entities as public
"""

CHOOSE = """\
# type = ...    # BLANK, for example: type = "categorical"
# values = ...  # BLANK for categorical or ordinal, for example: values = ["yes", "no"]
# min = ...     # BLANK for integer, real, date or datetime, for example: min = 0
# max = ...     # BLANK for integer, real, date or datetime, for example: max = 120
"""

LIST = """\
# type = ...    # BLANK: "categorical", or "ordinal" if the values have an order, for example: type = "categorical"
# values = ...  # BLANK, for example: values = ["yes", "no"]
"""

BOUNDS = """\
type = "{kind}"
# min = ...  # BLANK: the lowest value that can be, for example: min = {low}
# max = ...  # BLANK: the highest value that can be, for example: max = {high}
"""

DAYS = """\
type = "{kind}"
# min = ...  # BLANK: the first day that can be, for example: min = 2020-01-01
# max = ...  # BLANK: the last day that can be, for example: max = 2024-12-31
"""

FORMS = (
    (r"bool(ean)?", 'type = "boolean"\n'),
    (
        r"u?int\d*|u?(tiny|small|big|huge)int|u?integer|(small|big)?serial|(decimal\d*|numeric)\(\d+,\s*0\)",
        BOUNDS.format(kind="integer", low="0", high="120"),
    ),
    (
        r"half(_?float)?|float\d*|double( precision)?|real|(decimal\d*|numeric)(\(\d+(,\s*\d+)?\))?",
        BOUNDS.format(kind="real", low="0.0", high="99.9"),
    ),
    (r"date(32|64)?(\[\w+\])?", DAYS.format(kind="date")),
    (r"(timestamp(tz)?|datetime\d*)([\[(].*[\])])?( (with|without) time zone)?", DAYS.format(kind="datetime")),
    (r"uuid|extension<arrow.uuid>", 'type = "identifier"  # never read: each row gets a fresh one\n'),
    (r"(large_)?(string|utf8)(_view)?|(var|bp)?char(acter)?( varying)?(\(\d+\))?|text|(enum|dictionary).*", LIST),
)
"""Declared types of Arrow, Parquet and SQL, and what they settle: never bounds or values."""


def draft(columns: Sequence[tuple[str, str | None]]) -> str:
    """TOML text of a schema to fill in, for column names with their declared types (None where a file has none).

    Loading it as it stands gives a SchemaError that lists the columns with blanks. A column of a declared type that
    no column type can hold, such as a list, stands there as a comment.
    """
    return "\n".join([HEAD, *(_section(name, declared) for name, declared in columns)])


def _section(name: str, declared: str | None) -> str:
    header = f"[{toml.key('columns', name)}]\n"
    if declared is None:
        return header + CHOOSE
    for pattern, form in FORMS:
        if re.fullmatch(pattern, declared.strip().lower()):
            return header + form
    return f"# {header.rstrip()} is left out: no column type holds its declared type, {toml.quote(declared)}.\n"
