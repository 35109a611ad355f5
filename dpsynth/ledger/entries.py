"""Entries of the log, written and read by the closed table of :mod:`kinds`.

A line is a JSON object in canonical form (:func:`dpsynth.ledger.strict_json.canonical`) without newline. Every number
that is not a count is exact text (``"1/800"``). A line never holds a true count, the number of rows, a hash of the
private file, a noise seed, a duration, a path or an error text.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, Protocol

from dpsynth.errors import SignatureInvalid, UnknownEntry
from dpsynth.ledger.kinds import COMMON, FIELDS, KINDS, OLDER, PARALLEL, VERSION, Kind, Shape, misfit
from dpsynth.ledger.strict_json import canonical, fraction_text, read_object
from dpsynth.privacy import UNITS, Cells, Cost


class Claim(Protocol):
    """Anything with exact ``epsilon`` and ``delta``, such as a Budget."""

    @property
    def epsilon(self) -> Fraction: ...  # noqa: D102 - told by the class
    @property
    def delta(self) -> Fraction: ...  # noqa: D102 - told by the class


def amount(cost: Cost) -> dict[str, str]:
    """``{"mu2" | "rho" | "epsilon", "delta"}`` of a cost, exact: keyed by the unit of its measure."""
    return {cost.unit: fraction_text(cost.amount), "delta": fraction_text(cost.delta)}


def cost_of(fields: Mapping[str, str]) -> Cost:
    """The cost that ``amount`` wrote."""
    (measure,) = (measure for measure, unit in UNITS.items() if unit in fields)
    return Cost(measure, Fraction(fields[UNITS[measure]]), Fraction(fields["delta"]))


def claim(budget: Claim) -> dict[str, str]:
    """``{"epsilon", "delta"}`` of a budget, exact."""
    return {"epsilon": fraction_text(budget.epsilon), "delta": fraction_text(budget.delta)}


def cells_json(cells: Cells) -> dict[str, Any]:
    """``{"column", "labels"}`` of what divides an account."""
    return {"column": cells.column, "labels": list(cells.labels)}


def nonce() -> str:
    """128 fresh random bits as 32 hex digits. They keep the hash of a guessable line from being inverted."""
    return secrets.token_hex(16)


def new_secret() -> bytes:
    """32 fresh random bytes: the key by which a store ranks the rows of one entity."""
    return secrets.token_bytes(32)


@dataclass(frozen=True)
class Stamp:
    """What a line carries besides its content: the day (UTC, ``YYYY-MM-DD``) and a nonce."""

    day: str
    nonce: str

    @classmethod
    def now(cls) -> Stamp:
        """Today, with a fresh nonce."""
        return cls(datetime.now(UTC).date().isoformat(), nonce())


@dataclass(frozen=True)
class Entry:
    """One line, read. ``fields`` holds what is particular to the kind; ``line`` is the exact bytes."""

    kind: Kind
    seq: int
    account: str
    stamp: Stamp
    fields: Mapping[str, Any]
    line: bytes


def render(kind: Kind, fields: Mapping[str, Any], *, seq: int, account: str, stamp: Stamp | None = None) -> bytes:
    """The bytes of one line. ``fields`` are those of :data:`FIELDS` for its kind; a Fraction is written as text.

    ``stamp`` is today's with a fresh nonce unless given. ValueError names the first field that is missing, unknown or
    of the wrong form, never its value.
    """
    if kind not in FIELDS:
        raise ValueError(f"the ledger has no entries of kind {kind!r}, only {', '.join(KINDS)}")
    made = stamp or Stamp.now()
    content: dict[str, Any] = _exact(fields)
    wrong = misfit(content, _form(content, FIELDS[kind], *PARALLEL.get(kind, ())))
    if wrong:
        raise ValueError(f"an entry of kind {kind!r} with a wrong, missing or unknown field {wrong!r}")
    common = {"v": VERSION, "seq": seq, "nonce": made.nonce, "kind": kind, "day": made.day, "account": account}
    wrong = misfit(common, COMMON)
    if wrong:
        raise ValueError(f"an entry of kind {kind!r} with a wrong {wrong!r}")
    return canonical({**content, **common})


def parse(line: bytes) -> Entry:
    """The entry of a line. SignatureInvalid: not in canonical form. UnknownEntry: not of a known kind or shape."""
    value = read_object(line, "a line of the ledger")
    if canonical(value) != line:
        raise SignatureInvalid("a line of the ledger is not in canonical form")
    common = {key: value.pop(key, None) for key in COMMON}
    wrong = misfit(common, COMMON) or misfit(value, _known(common["kind"], value))  # kind was checked by the first
    if wrong:
        raise UnknownEntry(f"a line of the ledger with a wrong, missing or unknown field {wrong!r}")
    stamp = Stamp(common["day"], common["nonce"])
    return Entry(common["kind"], common["seq"], common["account"], stamp, value, line)


def _known(kind: Kind, value: Mapping[str, Any]) -> dict[str, Shape]:
    """The form of a kind, as it is or was written, that has the keys of ``value``."""
    return _form(value, FIELDS[kind], *PARALLEL.get(kind, ()), *OLDER.get(kind, ()))


def _form(value: Mapping[str, Any], usual: dict[str, Shape], *others: dict[str, Shape]) -> dict[str, Shape]:
    """The form that has the keys of ``value``, or the usual one."""
    return next((shape for shape in others if shape.keys() == value.keys()), usual)


def _exact(value: Any) -> Any:
    if isinstance(value, Fraction):
        return fraction_text(value)
    if isinstance(value, Mapping):
        return {key: _exact(item) for key, item in value.items()}
    return [_exact(item) for item in value] if isinstance(value, list | tuple) else value
