"""The published JSON Schemas: real and golden files satisfy them, altered ones do not."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from dpsynth.errors import ConfigurationError
from dpsynth.ledger import FIELDS, KINDS, Trust, read_chain, read_envelope
from dpsynth.ledger.kinds import OLDER
from dpsynth.ledger.schemas import NAMES, schema
from tests.ledger.office import GOLDEN, log
from tests.ledger.test_entries import EXAMPLES, STAMP, render

VERIFIER = Path(__file__).parents[1] / "verifier" / "golden"
VALIDATORS = {name: Draft202012Validator(schema(name)) for name in NAMES}


def payload(path: Path) -> Any:
    return json.loads(read_envelope(path.read_bytes()).payload)


def roots() -> list[Any]:
    return [json.loads(one.payload) for one in read_chain((GOLDEN / "root.json").read_bytes())]


FILES = {
    "approval": payload(GOLDEN / "approval.dsse.json"),
    "rejection": payload(GOLDEN / "rejection.dsse.json"),
    "grant": payload(GOLDEN / "grant.dsse.json"),
    "ledger": payload(GOLDEN / "ledger.dsse.json"),
    "ledger, version 1": payload(VERIFIER / "release-v1" / "ledger.dsse.json"),
    "root, version 1": roots()[0],
    "root, version 2": roots()[1],
    "status": payload(GOLDEN / "status.dsse.json"),
    "envelope": json.loads((GOLDEN / "grant.dsse.json").read_bytes()),
}


def named(name: str) -> Draft202012Validator:
    return VALIDATORS[name.split(",")[0].replace("rejection", "approval")]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where every value in a document stands."""
    if path:
        yield path
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(item, (*path, key))


def altered(value: Any, path: tuple[Any, ...], new: object) -> Any:
    """A copy with one value replaced, or left out if the new one is ``...``."""
    made = copy.deepcopy(value)
    inner = made
    for key in path[:-1]:
        inner = inner[key]
    if new is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = new
    return made


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_schema(name: str) -> None:
    found = schema(name)
    Draft202012Validator.check_schema(found)
    assert found["$id"] == f"urn:dpsynth:schema:{name}"
    assert found["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_another_name() -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'ledger'"):
        schema("leger")


@pytest.mark.parametrize("name", FILES)
def test_golden_files_satisfy_it(name: str) -> None:
    assert list(named(name).iter_errors(FILES[name])) == []


@pytest.mark.parametrize("folder", sorted(path.parent.name for path in VERIFIER.glob("*/ledger.dsse.json")))
def test_golden_releases_satisfy_it(folder: str) -> None:
    value = payload(VERIFIER / folder / "ledger.dsse.json")
    assert list(VALIDATORS["ledger"].iter_errors(value)) == []
    for line in value["predicate"]["entries"]:
        assert list(VALIDATORS["entry"].iter_errors(json.loads(line))) == []


@pytest.mark.parametrize("name", FILES)
def test_altered_files_do_not(name: str) -> None:
    """Each value replaced by one of another type, each key left out, and each object with a key too many."""
    free = {"origins"}  # the names of logs are free, and so is their number
    for path in places(FILES[name]):
        for new in (1.5, object):
            wrong = altered(FILES[name], path, {"odd": 1} if new is object else new)
            assert not named(name).is_valid(wrong), path
        if isinstance(path[-1], str) and not free & set(path[:-1]):
            assert not named(name).is_valid(altered(FILES[name], path, ...)), path
            assert not named(name).is_valid(altered(FILES[name], (*path[:-1], "surplus"), 1)), path


@pytest.mark.parametrize(
    ("name", "path", "value"),
    [
        ("approval", ("predicate", "reason"), "other"),
        ("rejection", ("predicate", "reason"), "legal"),
        ("rejection", ("predicate", "reason"), None),
        ("approval", ("predicate", "decision"), "maybe"),
        ("approval", ("predicateType",), "urn:dpsynth:dp-status:v1"),
        ("approval", ("subject", 0, "name"), "ledger.dsse.json"),
        ("approval", ("predicate", "expires"), "2026-13-01"),
        ("grant", ("predicate", "measure"), "zcdp"),
        ("grant", ("predicate", "added", "mu2"), "0.5"),
        ("grant", ("predicate", "added", "mu2"), "-1"),
        ("grant", ("predicate", "reason"), "january"),
        ("status", ("predicate", "state"), "withdrawn"),
        ("status", ("predicate", "by"), "golden-2"),
        ("status", ("predicate", "log", "size"), 0),
        ("status", ("predicate", "log", "origin"), "log"),
        ("status", ("predicate", "log", "checkpoint"), "dpsynth.log\n1\n"),
        ("ledger", ("predicate", "version"), 1),
        ("ledger", ("predicate", "version"), 3),
        ("ledger", ("predicate", "accounts"), []),
        ("ledger, version 1", ("predicate", "version"), 2),
        ("root, version 1", ("previous",), "sha256:" + "0" * 64),
        ("root, version 2", ("previous",), None),
        ("root, version 2", ("threshold",), 0),
        ("root, version 2", ("people", 0, "role"), "auditor"),
        ("root, version 2", ("people", 0, "id"), ""),
        ("envelope", ("signatures", 0, "keyid"), "A" * 64),
        ("envelope", ("payloadType",), "application/json"),
    ],
)
def test_what_does_not_fit_together(name: str, path: tuple[Any, ...], value: object) -> None:
    assert not named(name).is_valid(altered(FILES[name], path, value))


class TestLines:
    VALID = VALIDATORS["entry"]

    @pytest.mark.parametrize("kind", KINDS)
    def test_each_kind(self, kind: Any) -> None:
        value = json.loads(render(kind, EXAMPLES[kind], seq=4, account="people", stamp=STAMP))
        assert list(self.VALID.iter_errors(value)) == []
        for key in value:
            short = {name: item for name, item in value.items() if name != key}
            assert self.VALID.is_valid(short) == any(
                FIELDS[kind].keys() - form.keys() == {key} for form in OLDER.get(kind, ())
            )
            assert not self.VALID.is_valid({**value, key: {"odd": 1}})
        assert not self.VALID.is_valid({**value, "surplus": 1})

    def test_older_forms_whole_or_not_at_all(self) -> None:
        for kind, forms in OLDER.items():
            whole = json.loads(render(kind, EXAMPLES[kind], seq=4, account="people", stamp=STAMP))
            for form in forms:
                surplus = FIELDS[kind].keys() - form.keys()
                old = {key: item for key, item in whole.items() if key not in surplus}
                assert self.VALID.is_valid(old)
                for key in surplus if len(surplus) > 1 else ():
                    assert not self.VALID.is_valid({**old, key: whole[key]})

    def test_an_unknown_kind_or_mechanism(self) -> None:
        value = json.loads(log()[2])
        assert self.VALID.is_valid(value)
        assert not self.VALID.is_valid({**value, "kind": "refund"})
        for mechanism in ({"type": "super_gaussian", "sigma": "4"}, {"type": "rounded_gaussian", "sigma": "0"}):
            assert not self.VALID.is_valid({**value, "mechanism": mechanism})

    def test_the_whole_log_of_the_office(self) -> None:
        for line in log():
            assert list(self.VALID.iter_errors(json.loads(line))) == []


def test_the_readers_accept_what_the_schemas_were_shown() -> None:
    assert Trust.parse((GOLDEN / "root.json").read_bytes()).newest.to_json() == FILES["root, version 2"]
