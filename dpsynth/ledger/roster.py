"""``people.toml``: who is to be in the root, written by hand.

::

    name = "Office of Statistics"
    expires = 2028-01-01
    threshold = 2

    [[people]]
    id = "ana"
    role = "officer"
    keys = ["11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="]

    [[people]]
    id = "engine-1"
    role = "engine"
    keys = [{ public_key = "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=", expires = 2027-01-01 }]

    [[revoked]]                      # of the next version: a key, and up to which size of which log it still counts
    key = "21fe31dfa154a261626bf854046fd2271b7bed4b6abe45aa58877ef47f9721b9"
    logs = { "dpsynth.log/00112233445566778899aabbccddeeff" = 41 }

A key without ``expires`` expires with the root.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NoReturn

from dpsynth.errors import ConfigurationError, SignatureInvalid, VerificationError, nearest
from dpsynth.files import parse_toml
from dpsynth.ledger.drafts import new_root, next_root
from dpsynth.ledger.fields import is_day
from dpsynth.ledger.keys import PublicKey
from dpsynth.ledger.people import ROLES, Person, Revocation, RootKey
from dpsynth.ledger.trust import Trust


@dataclass(frozen=True)
class Roster:
    """The people of a root to be."""

    name: str
    expires: str
    threshold: int
    people: tuple[Person, ...]
    revoked: tuple[Revocation, ...]

    @classmethod
    def parse(cls, text: str, origin: str) -> Roster:
        """Read the TOML; ``origin`` names it in errors. ConfigurationError names the key and what was expected."""
        document = parse_toml(text, origin)
        top = _Table(document, origin, "", "name", "expires", "threshold", "people", "revoked")
        expires = top.day("expires")
        people = tuple(_person(one, expires) for one in top.tables("people", "id", "role", "keys"))
        revoked = tuple(_revocation(one) for one in top.tables("revoked", "key", "logs"))
        return cls(top.text("name"), expires, top.number("threshold"), people, revoked)

    def draft(self, after: bytes | None = None) -> bytes:
        """A root with these people, to be signed: version 1, or the one that follows the complete chain ``after``.

        ConfigurationError if the people make no root; the errors of ``Trust.parse`` for ``after``.
        """
        before = Trust.parse(after) if after is not None else None
        try:
            if before is not None:
                return next_root(
                    before,
                    name=self.name,
                    expires=self.expires,
                    threshold=self.threshold,
                    people=self.people,
                    revoked=self.revoked,
                )
            if self.revoked:
                raise ConfigurationError("the first version of a root revokes nothing: leave [[revoked]] out")
            return new_root(self.name, self.expires, self.threshold, self.people)
        except VerificationError as error:
            raise ConfigurationError(f"these people make no root: {error}") from None


class _Table:
    """One table of the file; ``place`` is where it stands."""

    def __init__(self, value: Any, origin: str, place: str, *keys: str) -> None:
        self._value, self._origin, self._place = value, origin, place
        if not isinstance(value, dict):
            raise ConfigurationError(f"{origin}: {place} must be a table")
        for key in value:
            if key not in keys:
                raise ConfigurationError(f"{origin}: unknown key {self._named(key)}{nearest(key, keys)}")

    def _named(self, key: str) -> str:
        return repr(f"{self._place}.{key}".lstrip("."))

    def _wrong(self, key: str, expected: str) -> NoReturn:
        told = f"must be {expected}" if key in self._value else f"is missing: {expected}"
        raise ConfigurationError(f"{self._origin}: key {self._named(key)} {told}")

    def has(self, key: str) -> bool:
        return key in self._value

    def text(self, key: str) -> str:
        value = self._value.get(key)
        if not isinstance(value, str) or not value:
            self._wrong(key, "text in double quotes")
        return value

    def word(self, key: str, words: tuple[str, ...]) -> str:
        value = self._value.get(key)
        if value not in words:
            self._wrong(key, " or ".join(f'"{word}"' for word in words))
        return str(value)

    def number(self, key: str) -> int:
        value = self._value.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            self._wrong(key, "a whole number, without quotes")
        return value

    def day(self, key: str) -> str:
        value = self._value.get(key)
        if isinstance(value, date) and not isinstance(value, datetime):
            return value.isoformat()
        if not is_day(value):
            self._wrong(key, "a day such as 2028-01-01")
        return str(value)

    def items(self, key: str) -> list[Any]:
        value = self._value.get(key)
        if not isinstance(value, list) or not value:
            self._wrong(key, "a list in brackets")
        return value

    def members(self, key: str) -> Mapping[str, Any]:
        value = self._value.get(key, {})
        if not isinstance(value, dict):
            self._wrong(key, "a table such as { name = 1 }")
        return value

    def tables(self, key: str, *keys: str) -> list[_Table]:
        value = self._value.get(key, [])
        if not isinstance(value, list):
            self._wrong(key, f"sections [[{key}]]")
        return [_Table(one, self._origin, f"{key}[{number}]", *keys) for number, one in enumerate(value, 1)]

    def inner(self, key: str, value: Any, *keys: str) -> _Table:
        return _Table(value, self._origin, f"{self._place}.{key}", *keys)


def _person(at: _Table, expires: str) -> Person:
    keys = [_key(at, item, expires) for item in (at.items("keys") if at.has("keys") else [])]
    role = next(role for role in ROLES if role == at.word("role", ROLES))
    return Person(at.text("id"), role, tuple(keys))


def _key(at: _Table, item: Any, expires: str) -> RootKey:
    table = at.inner("keys", {"public_key": item} if isinstance(item, str) else item, "public_key", "expires")
    try:
        public = PublicKey.parse(table.text("public_key"))
    except SignatureInvalid:
        table._wrong("public_key", "the base64 text that 'dpsynth keys show' prints")
    return RootKey(public, table.day("expires") if table.has("expires") else expires)


def _revocation(at: _Table) -> Revocation:
    logs = at.members("logs")
    sizes = at.inner("logs", dict(logs), *logs)
    return Revocation(at.text("key"), {origin: sizes.number(origin) for origin in logs})
