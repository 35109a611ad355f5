"""Reading a signed JSON object key by key: each has its form, none is missing, none is too many."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import Any, NoReturn, TypeVar

from dpsynth.errors import UnknownEntry
from dpsynth.ledger.strict_json import fraction_text

MAX_TEXT = 4000
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_HASH = re.compile(r"[0-9a-f]{64}")
_ORIGIN = re.compile(r"dpsynth\.log/[0-9a-f]{32}")
_NONCE = re.compile(r"[0-9a-f]{32}")
_FRACTION = re.compile(r"(?:0|[1-9][0-9]*)(?:/[1-9][0-9]*)?")
_LARGEST = 2**63 - 1

Word = TypeVar("Word", bound=str)


def is_day(value: object) -> bool:
    """Whether a value is the text of a day that the calendar has, ``YYYY-MM-DD``."""
    try:
        return isinstance(value, str) and bool(_DAY.fullmatch(value)) and date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


class Fields:
    """One JSON object with exactly these keys. Whatever has another form is an UnknownEntry that names the key."""

    def __init__(self, value: object, what: str, *keys: str) -> None:
        self._what = what
        if not isinstance(value, Mapping):
            raise UnknownEntry(f"{what} is not an object")
        self._value: Mapping[str, Any] = value
        for key in sorted(value.keys() ^ set(keys)):
            self.wrong(key)

    def __getitem__(self, key: str) -> Any:
        return self._value[key]

    def wrong(self, key: str) -> NoReturn:
        """Say that this key is missing, unknown or of the wrong form."""
        raise UnknownEntry(f"{self._what} has a wrong, missing or unknown {key!r}")

    def text(self, key: str, pattern: re.Pattern[str] | None = None, limit: int = MAX_TEXT) -> str:
        """Text, at most ``limit`` characters, of a pattern if one is given."""
        value = self[key]
        if not isinstance(value, str) or len(value) > limit or (pattern and not pattern.fullmatch(value)):
            self.wrong(key)
        return value

    def name(self, key: str) -> str:
        """Text that is not empty."""
        return self.text(key) or self.wrong(key)

    def optional_name(self, key: str) -> str | None:
        """Text that is not empty, or None."""
        return None if self[key] is None else self.name(key)

    def digest(self, key: str) -> str:
        """``sha256:`` and 64 hex digits."""
        return self.text(key, _DIGEST)

    def optional_digest(self, key: str) -> str | None:
        """A digest or None."""
        return None if self[key] is None else self.digest(key)

    def nonce(self, key: str) -> str:
        """16 random bytes, written as 32 hex digits."""
        return self.text(key, _NONCE)

    def origin(self, key: str) -> str:
        """The public name of a store's log."""
        return self.text(key, _ORIGIN)

    def lines(self, key: str) -> tuple[bytes, ...]:
        """A list of lines of the log; each is ASCII text."""
        found = self.items(key)
        if not all(isinstance(line, str) and line.isascii() for line in found):
            self.wrong(key)
        return tuple(line.encode("ascii") for line in found)

    def hash(self, key: str) -> bytes:
        """32 bytes, written as 64 hex digits."""
        return bytes.fromhex(self.text(key, _HASH))

    def hashes(self, key: str) -> tuple[bytes, ...]:
        """A list of 32 bytes each."""
        return self.hash_list(key, self[key])

    def hash_list(self, key: str, value: object) -> tuple[bytes, ...]:
        """A list of 32 bytes each that lies somewhere under ``key``."""
        if not isinstance(value, list) or not all(isinstance(item, str) and _HASH.fullmatch(item) for item in value):
            self.wrong(key)
        return tuple(bytes.fromhex(item) for item in value)

    def day(self, key: str) -> str:
        """A day of the calendar, ``YYYY-MM-DD``."""
        if not is_day(self[key]):
            self.wrong(key)
        return str(self[key])

    def until(self, key: str, begin: str, days: int) -> str:
        """A day that is not before ``begin``, a day too, and at most ``days`` after it."""
        found = self.day(key)
        if not 0 <= (date.fromisoformat(found) - date.fromisoformat(begin)).days <= days:
            self.wrong(key)
        return found

    def count(self, key: str, least: int = 0) -> int:
        """A whole number, at least ``least``."""
        value = self[key]
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _LARGEST:
            self.wrong(key)
        return value

    def fraction(self, key: str) -> Fraction:
        """An exact number as ``fraction_text`` writes it."""
        value = self[key]
        try:
            if isinstance(value, str) and _FRACTION.fullmatch(value) and fraction_text(Fraction(value)) == value:
                return Fraction(value)
        except ValueError:
            pass  # too long
        self.wrong(key)

    def word(self, key: str, words: Sequence[Word]) -> Word:
        """One of the words."""
        for word in words:
            if self[key] == word:
                return word
        self.wrong(key)

    def items(self, key: str) -> list[Any]:
        """A list."""
        value = self[key]
        if not isinstance(value, list):
            self.wrong(key)
        return value

    def members(self, key: str) -> Mapping[str, Any]:
        """An object whose keys are free."""
        value = self[key]
        if not isinstance(value, Mapping):
            self.wrong(key)
        return value
