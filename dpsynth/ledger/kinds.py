"""The kinds of lines that a log has, and the closed table of what each holds."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, Literal, get_args

from dpsynth.ledger.strict_json import fraction_text
from dpsynth.privacy import MEASURES, UNITS

VERSION = 1
ChargeKind = Literal["measure", "select", "score", "partitions"]
CHARGES: tuple[ChargeKind, ...] = get_args(ChargeKind)
"""The kinds of entries that cost."""
DecisionKind = Literal["approve", "reject", "release", "supersede", "withdraw"]
DECISIONS: tuple[DecisionKind, ...] = get_args(DecisionKind)
"""The kinds of lines that say what became of a settled release."""
Kind = Literal[
    "open", "grant", "root", "external", "refused", "reserve", "void", ChargeKind, "stored", "lost", "settle",
    DecisionKind,
]  # fmt: skip
KINDS: tuple[Kind, ...] = get_args(Kind)
Level = Literal["organisation", "population", "source", "project"]
LEVELS: tuple[Level, ...] = get_args(Level)
"""The levels of accounts, from the top down."""
GrantReason = Literal["opening", "new-people", "new-period-data", "policy-change"]
GRANT_REASONS: tuple[GrantReason, ...] = get_args(GrantReason)
"""Why officers grant a budget. The first opens an account; no clock is among them."""
WithdrawReason = Literal["privacy-fault", "data-fault", "legal", "superseded", "other"]
WITHDRAW_REASONS: tuple[WithdrawReason, ...] = get_args(WithdrawReason)
"""Why a release is withdrawn."""

Shape = Callable[[Any], bool] | dict[str, "Shape"]
_FRACTION = re.compile(r"(?:0|[1-9][0-9]*)(?:/[1-9][0-9]*)?")
_DECIMAL = re.compile(r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")


def _fraction(value: Any) -> bool:
    return isinstance(value, str) and bool(_FRACTION.fullmatch(value)) and _reduced(value)


def _reduced(text: str) -> bool:
    try:
        return fraction_text(Fraction(text)) == text
    except ValueError:  # too long
        return False


def _scale(value: Any) -> bool:
    return _fraction(value) and bool(value != "0")


def _decimal(value: Any) -> bool:
    return isinstance(value, str) and bool(_DECIMAL.fullmatch(value))


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _name(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _column(value: Any) -> bool:
    """The column that says whose row it is; None where each row is an entity by itself."""
    return value is None or _text(value)


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _positive(value: Any) -> bool:
    return _count(value) and value > 0


def _digest(value: Any) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"sha256:[0-9a-f]{64}", value))


def _hex32(value: Any) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"[0-9a-f]{32}", value))


def _hex64(value: Any) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"[0-9a-f]{64}", value))


def _day(value: Any) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value))


def _each(one: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list | tuple) and all(one(item) for item in value)


def _among(*words: object) -> Callable[[Any], bool]:
    return lambda value: type(value) in {type(word) for word in words} and value in words


def _amount(value: Any) -> bool:
    """Exact numbers under ``delta`` and the unit of one measure."""
    return (
        isinstance(value, Mapping)
        and any(value.keys() == {unit, "delta"} for unit in UNITS.values())
        and all(map(_fraction, value.values()))
    )


def _pair(value: Any) -> bool:
    """The two largest of some amounts."""
    return _each(_amount)(value) and len(value) == 2


def _or_none(shape: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or shape(value)


def _object(shape: dict[str, Shape]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, Mapping) and not misfit(value, shape)


def _unit(value: Any) -> bool:
    """Whose the guarantee is; ``weight_units``, the most that a row counts for, where rows have weights."""
    shape: dict[str, Shape] = {"entity": _name, "column": _column, "max_rows": _positive}
    return _object(shape)(value) or _object({**shape, "weight_units": _positive})(value)


_CLAIM: dict[str, Shape] = {"epsilon": _fraction, "delta": _fraction}
_NEIGHBOURS = _among("add-remove", "replace-one")
_CHARGE: dict[str, Shape] = {
    "release": _name,
    "unit": _unit,
    "neighbours": _NEIGHBOURS,
    "sensitivity_squared": _fraction,
    "cost": _amount,
    "chosen_by": _each(_count),
    "running": {"spent": _amount, "epsilon": _decimal},
    "state": _among("DRAWING"),
}
MECHANISMS: dict[str, dict[str, Shape]] = {
    "rounded_gaussian": {"type": _text, "sigma": _scale},
    "discrete_gaussian": {"type": _text, "sigma": _scale},
    "discrete_laplace": {"type": _text, "scale": _scale},
    "public_count": {"type": _text},
    "exponential": {
        "type": _text,
        "scale": _scale,
        "picks": _positive,
        "rule": _among("distinct", "spanning-forest"),
    },
}
"""The parameters of each mechanism by its ``type``."""


def _mechanism(*types: str) -> Callable[[Any], bool]:
    def known(value: Any) -> bool:
        return (
            isinstance(value, Mapping) and value.get("type") in types and not misfit(value, MECHANISMS[value["type"]])
        )

    return known


_NOISE = ("rounded_gaussian", "discrete_gaussian", "discrete_laplace")
_SCORE: dict[str, Shape] = {
    "score": _among("l1-to-model"),
    "lattice": _among(1024),
    "candidates": _positive,
    "digest": _digest,
}
_OFFICER: dict[str, Shape] = {"release": _name, "attestation": _digest, "by": _name, "keyid": _hex64}


def _without(shape: dict[str, Shape], *keys: str) -> dict[str, Shape]:
    return {key: inner for key, inner in shape.items() if key not in keys}


FIELDS: dict[Kind, dict[str, Shape]] = {
    "open": {
        "entity": _name,
        "column": _column,
        "neighbours": _NEIGHBOURS,
        "measure": _among(*MEASURES),
        "cap": _amount,
        "policy": _CLAIM,
        "parent": _or_none(_name),
        "level": _among(*LEVELS),
        "grant": _or_none(_digest),
        "root": _or_none(_digest),
    },
    "grant": {
        "grant": _digest,
        "added": _amount,
        "cap": _amount,
        "policy": _CLAIM,
        "reason": _among(*GRANT_REASONS),
    },
    "root": {"root": _digest, "version": _positive},
    "external": {"what": _name, "claim": _or_none(_object(_CLAIM))},
    "refused": {"release": _name, "plan": _digest, "asked": _amount, "by": _name},
    "reserve": {
        "release": _name,
        "plan": _digest,
        "reserved": _amount,
        "quote": _CLAIM,
        "held": _amount,
        "running_epsilon": _decimal,
        "above": _each(_object({"account": _name, "held": _amount})),
    },
    "void": {"release": _name},
    "measure": {
        "mechanism": _mechanism(*_NOISE, "public_count"),
        "query": {
            "columns": _each(_text),
            "levels": _each(_digest),
            "shape": _each(_positive),
            "basis": _among("marginal", "residual"),
        },
        **_CHARGE,
    },
    "select": {"mechanism": _mechanism("exponential"), "query": {**_SCORE, "weight": _positive}, **_CHARGE},
    "score": {"mechanism": _mechanism(*_NOISE), "query": _SCORE, **_CHARGE},
    "partitions": {
        "mechanism": {
            "type": _among("rounded_gaussian", "discrete_gaussian"),
            "sigma": _scale,
            "threshold": _positive,
            "delta": _scale,
        },
        "query": {"column": _text},
        **_CHARGE,
    },
    "stored": {"release": _name, "of": _each(_count), "answer": _digest},
    "lost": {"release": _name, "of": _each(_count)},
    "settle": {"release": _name, "spent": _amount, "reserved": _amount},
    "approve": _OFFICER,
    "reject": _OFFICER,
    "release": {"release": _name, "ledger": _digest, "approvals": _each(_digest)},
    "supersede": {"release": _name, "by": _name},
    "withdraw": {"release": _name, "reason": _among(*WITHDRAW_REASONS), "attestations": _each(_digest)},
}
"""The fields of each kind of line as it is written, besides v, seq, nonce, kind, day and account."""

PARALLEL: dict[Kind, tuple[dict[str, Shape], ...]] = {
    "open": (
        {**FIELDS["open"], "cells": _object({"column": _name, "labels": _each(_name)})},
        {**FIELDS["open"], "cell": _name},
    ),
    "reserve": ({**FIELDS["reserve"], "parallel": _object({"account": _name, "cell": _name, "others": _pair})},),
}
"""The forms in which lines are written where an account is divided into cells, is a cell, or a cell is charged.

``others`` are the largest and the second largest of what the other cells hold, their amounts and deltas each by itself.
"""

OLDER: dict[Kind, tuple[dict[str, Shape], ...]] = {
    "open": (_without(FIELDS["open"], "parent", "level", "grant", "root"),),
    "reserve": (_without(FIELDS["reserve"], "above"),),
}
"""The forms in which a kind of line was written before, which are still read: a whole form or none of it."""

COMMON: dict[str, Shape] = {
    "v": _among(VERSION),
    "seq": _count,
    "nonce": _hex32,
    "kind": _among(*KINDS),
    "day": _day,
    "account": _name,
}
"""What every line has."""


def misfit(value: Any, shape: Shape, path: str = "") -> str:
    """The first key of ``value`` that does not have its shape, or ``""``."""
    if callable(shape):
        return "" if shape(value) else path
    if not isinstance(value, Mapping):
        return path
    odd = sorted(map(str, value.keys() ^ shape.keys()))
    if odd:
        return f"{path}.{odd[0]}".lstrip(".")
    found = (misfit(value[key], inner, f"{path}.{key}".lstrip(".")) for key, inner in shape.items())
    return next(filter(None, found), "")
