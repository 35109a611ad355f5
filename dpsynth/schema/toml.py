"""Writing TOML: keys, values and tables. Reading is the standard library's."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping

_BARE = re.compile(r"[A-Za-z0-9_-]+").fullmatch


def quote(text: str) -> str:
    """A TOML basic string. JSON's escapes are TOML's too, but for U+007F."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def key(*parts: str) -> str:
    """A dotted key; parts that are not bare are quoted."""
    return ".".join(part if _BARE(part) else quote(part) for part in parts)


def value(item: object) -> str:
    """A TOML value: text, boolean, integer, finite float, date, or a list or table of them."""
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, str):
        return quote(item)
    if isinstance(item, int | float):
        return repr(item)
    if isinstance(item, datetime.date):
        return item.isoformat()
    if isinstance(item, tuple | list):
        return "[" + ", ".join(value(part) for part in item) + "]"
    if isinstance(item, Mapping):
        return "{ " + ", ".join(f"{key(word)} = {value(part)}" for word, part in item.items()) + " }" if item else "{}"
    raise TypeError(f"no TOML value for {type(item).__name__}")


def table(name: str, items: Mapping[str, object]) -> str:
    """A table under its header, a line a key; a key whose value is None is left out."""
    lines = [f"{key(word)} = {value(item)}\n" for word, item in items.items() if item is not None]
    return f"[{name}]\n" + "".join(lines)
