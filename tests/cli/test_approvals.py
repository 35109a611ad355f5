"""approve, reject, withdraw and status renew as commands: what they ask for, what they say, where the store may be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dpsynth.accountant import Accountant
from dpsynth.ledger import SigningKey
from tests.accountant.postgres_server import APP, OWNER, Server, postgres, schema_of, url
from tests.desk import Called, Office, call, make_office

__all__ = ["postgres"]  # a fixture


def document(called: Called) -> dict[str, Any]:
    (line,) = called.stdout.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


@pytest.mark.parametrize("verb", ["approve", "reject", "withdraw"])
def test_one_thing_at_a_time(waiting: Office, verb: str) -> None:
    request = waiting.folder / "request.json"
    for words in ((), ("--key", waiting.key("ana"), "--request", request), ("--add", "x", "--request", request)):
        called = call(verb, waiting.pending, *words, "--json")
        assert called.exit_code == 2
        assert document(called)["exit"] == 2
        assert "--key" in called.stderr
    assert call(verb, waiting.folder / "nothing", "--request", request).exit_code == 2
    assert call(verb, waiting.pending, "--add", waiting.folder / "nothing").exit_code == 2
    assert not request.exists()


def test_a_request_is_signed_into_a_file(waiting: Office) -> None:
    request = waiting.folder / "request.json"
    assert call("approve", waiting.pending, "--request", request, "--json").exit_code == 0
    called = call("approve", request, "--key", waiting.key("ana"))
    assert called.exit_code == 2
    assert "-o FILE" in called.stderr


def test_what_is_no_request(waiting: Office) -> None:
    for text in ("", "{}", "not json", '{"version":1}\n'):
        file = waiting.folder / "x.json"
        file.write_text(text)
        called = call("approve", file, "--key", waiting.key("ana"), "-o", waiting.folder / "y")
        assert called.exit_code == 2
        assert "this is no request" in called.stderr


def test_the_fingerprint_is_told_if_it_was_not_compared(waiting: Office) -> None:
    called = call("approve", waiting.pending, "--key", waiting.key("ana"), "--json")
    found = document(called)
    assert found["fingerprint"] in called.stderr
    assert {key: found[key] for key in ("ok", "release", "decision", "person")} == {
        "ok": True,
        "release": "first",
        "decision": "approve",
        "person": "ana",
    }
    compared = call("approve", waiting.pending, "--key", waiting.key("bo"), "--fingerprint", found["fingerprint"])
    assert compared.exit_code == 0
    assert "not compared" not in compared.stderr


def test_an_encrypted_key(waiting: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    signer = waiting.signer("ana")
    locked, words = waiting.folder / "locked.pem", waiting.folder / "words.txt"
    signer.save(locked, b"four odd words here")
    words.write_text("four odd words here\n")
    assert call("approve", waiting.pending, "--key", locked, "--passphrase-file", words).exit_code == 0
    words.write_text("other words\n")
    assert call("approve", waiting.pending, "--key", locked, "--passphrase-file", words).exit_code == 2
    waiting.key("key").rename(waiting.folder / "plain.pem")
    SigningKey.load(waiting.folder / "plain.pem").save(waiting.key("key"), b"the engine's")
    assert waiting.run().exit_code == 2
    monkeypatch.setenv("DPSYNTH_PASSPHRASE", "the engine's")
    assert waiting.run().exit_code == 11


def test_the_store_may_be_named_on_the_command_line(tmp_path: Path) -> None:
    office = make_office(tmp_path)
    office.store.rename(tmp_path / "moved.db")
    path = office.release()
    assert call("run", path, "--out", office.out).exit_code == 10
    assert call("run", path, "--out", office.out, "--store", tmp_path / "moved.db").exit_code == 11


def test_a_release_of_a_team(tmp_path: Path, postgres: Server) -> None:
    """The whole road on PostgreSQL, named in release.toml and on the command line."""
    schema = schema_of(tmp_path)
    Accountant.open(url(OWNER, schema=schema, app=APP), create=True).close()
    store = url(APP, schema=schema)
    office = make_office(tmp_path, store=store)
    assert office.run(store=store).exit_code == 11
    office.approve("ana", "cy")
    assert office.run(store=store).exit_code == 0
    assert office.run("--store", store).exit_code == 0
    assert call("verify", office.out, "--root", office.root, "--fresh").exit_code == 0
    words = ("--store", store, "--key", office.key("key"))
    assert call("status", "renew", office.out, *words).exit_code == 0
    assert office.run("--json", name="second", store=store, epsilon="9").exit_code == 10
    words = ("--store", store, "--sign-with", office.key("key"), "--reason", "other")
    assert call("withdraw", office.out, *words, "--key", office.key("ana"), "--key", office.key("bo")).exit_code == 0
    assert call("verify", office.out).exit_code == 13
