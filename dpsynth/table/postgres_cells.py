"""What is asked of PostgreSQL for a column of each type, so that its cells have the same text as in any other source.

A type of PostgreSQL holds nothing but its values, so a column of a plain one comes as the Arrow array of that type.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pyarrow as pa

Form = Literal["bool", "int64", "float32", "float64", "binary", "numeric", "money", "moment", "opaque", "text"]
"""How the cells of a column come: ``opaque`` ones have no text, ``text`` is what PostgreSQL prints."""

_FORMS: dict[str, Form] = {
    "boolean": "bool",
    "smallint": "int64",
    "integer": "int64",
    "bigint": "int64",
    "real": "float32",
    "double precision": "float64",
    "bytea": "binary",
    "numeric": "numeric",
    "money": "money",
    "date": "moment",
    "timestamp without time zone": "moment",
    "timestamp with time zone": "moment",
}

_ASKED = {
    "numeric": "NULLIF(trim_scale({0}), 'NaN')::text",
    "money": "trim_scale({0}::numeric)::text",
    "moment": "{0}::text",
    "opaque": "CASE WHEN {0} IS DISTINCT FROM NULL THEN 'x' END",
    "text": "{0}::text",
}

_WITHOUT_TEXT = "ACRT"
"""Arrays, composite types, ranges and time spans, by ``pg_type.typcategory``: as lists and intervals in Arrow."""

SETTINGS = (
    "SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO'; SET LOCAL extra_float_digits = 3;"
    " SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;"
    " SET LOCAL client_min_messages = 'error'"
)
"""What the texts depend on, for the transaction."""

_MOMENT = re.compile(rb"([0-9]{4,})(-[0-9-]+)(?: ([0-9:.]+)(\+00)?)?( BC)?")
_ENDS = {b"infinity": b"294276-12-31", b"-infinity": b"-4712-01-01"}
"""The last and the first day that PostgreSQL knows stand for what is beyond them."""


def form_of(base: str, category: str) -> Form:
    """The form for a type that is no domain, by its name without modifiers and its ``typcategory``."""
    return "opaque" if category in _WITHOUT_TEXT else _FORMS.get(base, "text")


def asked(form: Form) -> str:
    """The SQL expression for a column, ``{0}`` being its name."""
    return _ASKED.get(form, "{0}")


def array(cells: Sequence[Any], form: Form, encoding: str) -> pa.Array:
    """The Arrow array of a column as psycopg gives it, its texts as bytes in ``encoding``."""
    import pyarrow as pa

    match form:
        case "bool":
            return pa.array(cells, type=pa.bool_())
        case "int64":
            return pa.array(cells, type=pa.int64())
        case "float32":
            return pa.array(cells, type=pa.float32())
        case "float64":
            return pa.array(cells, type=pa.float64())
        case "opaque":
            return pa.array([None if cell is None else b"\xef\xbf\xbd" for cell in cells], type=pa.large_binary())
        case "moment":
            return pa.array([None if cell is None else _moment(cell) for cell in cells], type=pa.large_binary())
    if form == "text" and encoding != "utf-8":
        words = [None if cell is None else bytes(cell).decode(encoding, "replace") for cell in cells]
        return pa.array(words, type=pa.large_string())
    return pa.array(cells, type=pa.large_binary())


def _moment(text: bytes) -> bytes:
    """ISO 8601 as ``encoding.arrays`` writes it: astronomical years, no midnight without a zone, the zone in full."""
    found = _MOMENT.fullmatch(text)
    if found is None:
        return _ENDS.get(text, text)
    year, day, clock, zone, before_christ = found.groups()
    if before_christ:
        back = int(year) - 1
        year = b"-%04d" % back if back else b"0000"
    if clock is None or (clock == b"00:00:00" and zone is None):
        return bytes(year + day)
    return bytes(year + day + b" " + clock + (b"+00:00" if zone else b""))
