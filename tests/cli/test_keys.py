"""dpsynth keys: people on different machines make a root together; what they sign is told in words first."""

from __future__ import annotations

import json
import os
import pty
import select
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dpsynth.ledger import SigningKey, Trust, parse_grant, read_envelope, seal
from tests.desk import Called, call
from tests.ledger import office


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DPSYNTH_PASSPHRASE", raising=False)
    monkeypatch.delenv("DPSYNTH_PASSPHRASE_FILE", raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Key files of everybody, and a people.toml."""
    for name in ("ana", "ben", "cleo", "dora", "engine"):
        office.key(name).save(tmp_path / f"{name}.pem")
    (tmp_path / "people.toml").write_text(people("ana", "ben", "cleo"))
    return tmp_path


def people(*officers: str, threshold: int = 2, expires: str = "2099-01-01") -> str:
    sections = [f'name = "Office"\nexpires = {expires}\nthreshold = {threshold}\n']
    for name in (*officers, "engine"):
        role = "engine" if name == "engine" else "officer"
        public = office.key(name).public.base64
        sections.append(f'[[people]]\nid = "{name}"\nrole = "{role}"\nkeys = ["{public}"]\n')
    return "\n".join(sections)


def document(result: Called) -> dict[str, Any]:
    (line,) = result.stdout.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


def complete(folder: Path, *signers: str, name: str = "root.json") -> Path:
    """A root signed by some."""
    assert call("keys", "root", folder / "people.toml", "-o", folder / name).exit_code == 0
    for one in signers:
        assert call("keys", "sign", folder / name, "--key", folder / f"{one}.pem").exit_code == 0
    return folder / name


class TestNewAndShow:
    def test_a_key_and_its_public_part(self, tmp_path: Path) -> None:
        made = call("keys", "new", "-o", tmp_path / "key.pem", "--json")
        shown = call("keys", "show", tmp_path / "key.pem", "--json")
        key = SigningKey.load(tmp_path / "key.pem").public
        assert document(shown) == {"ok": True, "keyid": key.keyid, "public_key": key.base64}
        assert document(made) == {
            "ok": True,
            "keyid": key.keyid,
            "public_key": key.base64,
            "file": str(tmp_path / "key.pem"),
            "encrypted": False,
        }
        told = call("keys", "show", tmp_path / "key.pem")
        assert key.keyid in told.stdout
        assert key.base64 in told.stdout

    def test_an_encrypted_one(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "secret").write_text("three random words\n")
        made = call("keys", "new", "-o", tmp_path / "key.pem", "--passphrase-file", tmp_path / "secret", "--json")
        assert document(made)["encrypted"]
        assert b"ENCRYPTED" in (tmp_path / "key.pem").read_bytes()
        shown = call("keys", "show", tmp_path / "key.pem", "--passphrase-file", tmp_path / "secret", "--json")
        assert document(shown)["keyid"] == document(made)["keyid"]
        refused = call("keys", "show", tmp_path / "key.pem")
        assert refused.exit_code == 2
        assert "--passphrase-file" in refused.stderr
        monkeypatch.setenv("DPSYNTH_PASSPHRASE_FILE", str(tmp_path / "secret"))
        assert call("keys", "show", tmp_path / "key.pem").exit_code == 0
        monkeypatch.setenv("DPSYNTH_PASSPHRASE_FILE", "")
        monkeypatch.setenv("DPSYNTH_PASSPHRASE", "other words")
        wrong = call("keys", "show", tmp_path / "key.pem")
        assert wrong.exit_code == 2
        assert "other words" not in wrong.output

    def test_nobody_to_type(self, tmp_path: Path) -> None:
        refused = call("keys", "new", "-o", tmp_path / "key.pem", "--encrypt")
        assert refused.exit_code == 2
        assert not (tmp_path / "key.pem").exists()

    def test_typed_on_a_terminal(self, tmp_path: Path) -> None:
        words = b"three random words"
        made, code = on_a_terminal(["keys", "new", "-o", str(tmp_path / "key.pem"), "--encrypt"], [words, words])
        assert code == 0
        assert words not in made
        SigningKey.load(tmp_path / "key.pem", lambda: words)
        shown, code = on_a_terminal(["keys", "show", str(tmp_path / "key.pem")], [words])
        assert code == 0
        assert b"key id" in shown
        assert on_a_terminal(["keys", "show", str(tmp_path / "key.pem")], [b"something else"])[1] == 2


def on_a_terminal(words: list[str], typed: list[bytes]) -> tuple[bytes, int]:
    """Run a command on a terminal of its own, typing a line for each prompt (a text that ends with ': ')."""
    child, terminal = pty.fork()
    if child == 0:
        os.execv(sys.executable, [sys.executable, "-m", "dpsynth", *words])
    shown, answers, since = b"", list(typed), 0
    while True:
        ready, _, _ = select.select([terminal], [], [], 60)
        try:
            more = os.read(terminal, 4096) if ready else b""
        except OSError:  # the child has ended
            break
        if not more:
            break
        shown += more
        if answers and shown[since:].rstrip(b" ").endswith(b":"):
            since = len(shown)
            os.write(terminal, answers.pop(0) + b"\n")
    _, status = os.waitpid(child, 0)
    os.close(terminal)
    return shown, os.waitstatus_to_exitcode(status)


class TestRoot:
    def test_from_people_to_a_root_in_force(self, folder: Path) -> None:
        root = folder / "root.json"
        made = call("keys", "root", folder / "people.toml", "-o", root)
        assert (made.exit_code, made.stdout) == (0, f"{root}\n")
        assert "0 of 2 have signed; still to ask: ana, ben, cleo" in made.stderr
        assert call("keys", "check", root).exit_code == 26
        signed = call("keys", "sign", root, "--key", folder / "ana.pem")
        assert "2 of 3 officers decide: ana, ben, cleo" in signed.stderr
        assert call("keys", "check", root).exit_code == 26
        assert call("keys", "sign", root, "--key", folder / "ben.pem").exit_code == 0
        checked = call("keys", "check", root)
        assert checked.exit_code == 0
        assert "complete and in force" in checked.stdout
        assert Trust.parse(root.read_bytes()).newest.threshold == 2

    def test_each_signs_a_copy(self, folder: Path) -> None:
        root = complete(folder)
        for name in ("ana", "cleo"):
            done = call("keys", "sign", root, "--key", folder / f"{name}.pem", "-o", folder / f"{name}.json")
            assert done.exit_code == 0
        merged = call("keys", "merge", folder / "ana.json", folder / "cleo.json", "-o", folder / "both.json", "--json")
        assert document(merged)["complete"]
        assert document(merged)["signatures"][0]["signed"] == ["ana", "cleo"]
        Trust.parse((folder / "both.json").read_bytes())
        assert call("keys", "merge", folder / "ana.json", "-o", folder / "both.json").exit_code == 2

    def test_a_rotation(self, folder: Path) -> None:
        root = complete(folder, "ana", "ben")
        (folder / "people.toml").write_text(people("ana", "ben", "dora"))
        made = call("keys", "root", folder / "people.toml", "--after", root, "-o", folder / "root-2.json")
        assert made.exit_code == 0
        assert f"key {office.CLEO.public.keyid} is left out and not revoked" in made.stderr
        for name in ("ana", "dora"):
            told = call("keys", "sign", folder / "root-2.json", "--key", folder / f"{name}.pem")
            assert f"new: dora (officer) key {office.DORA.public.keyid}" in told.stderr
            assert "no longer: cleo (officer)" in told.stderr
        missing = call("keys", "check", folder / "root-2.json")
        assert missing.exit_code == 26
        assert "officers of version 1: 1 of 2" in missing.stderr
        assert call("keys", "sign", folder / "root-2.json", "--key", folder / "cleo.pem").exit_code == 0
        assert call("keys", "check", folder / "root-2.json").exit_code == 0

    def test_a_revocation(self, folder: Path) -> None:
        root, cleo = complete(folder, "ana", "ben"), office.CLEO.public.keyid
        made = call(
            "keys", "revoke", cleo[:8], "--root", root, "--until", f"{office.ORIGIN}=3", "-o", folder / "root-2.json",
            "--json",
        )  # fmt: skip
        assert document(made)["revoked"] == [{"keyid": cleo, "origins": {office.ORIGIN: 3}}]
        assert document(made)["version"] == 2
        told = call("keys", "check", folder / "root-2.json")
        assert f"revoked: key {cleo}; what it signed counts in {office.ORIGIN} up to 3" in told.stdout
        for name in ("ana", "ben"):
            call("keys", "sign", folder / "root-2.json", "--key", folder / f"{name}.pem")
        assert Trust.parse((folder / "root-2.json").read_bytes()).newest.version == 2
        again = call("keys", "sign", folder / "root-2.json", "--key", folder / "cleo.pem", "-o", folder / "x.json")
        assert again.exit_code == 0  # as an officer of version 1

    def test_up_to_what_a_file_says(self, folder: Path) -> None:
        root, cleo = complete(folder, "ana", "ben"), office.CLEO.public.keyid
        (folder / "anchor.json").write_text(json.dumps({"origin": office.ORIGIN, "size": 41, "link": "00"}))
        for file, size in (
            (folder / "anchor.json", 41),
            (office.GOLDEN / "ledger.dsse.json", 5),
            (office.GOLDEN / "status.dsse.json", 8),
        ):
            made = call(
                "keys", "revoke", cleo, "--root", root, "--until", file, "-o", folder / f"{size}.json", "--json"
            )
            assert document(made)["revoked"] == [{"keyid": cleo, "origins": {office.ORIGIN: size}}]
        for file in (root, office.GOLDEN / "approval.dsse.json", office.GOLDEN / "grant.dsse.json"):
            assert call("keys", "revoke", cleo, "--root", root, "--until", file, "-o", folder / "x.json").exit_code

    def test_what_revoke_refuses(self, folder: Path) -> None:
        root, cleo = complete(folder, "ana", "ben"), office.CLEO.public.keyid
        out = ("-o", folder / "root-2.json")
        for words in (
            [cleo[:7]],
            ["0" * 64],
            [cleo, "--until", office.ORIGIN],
            [cleo, "--until", "elsewhere=3"],
            [cleo, "--until", f"{office.ORIGIN}=-3"],
            [cleo, "--expires", "tomorrow"],
        ):
            refused = call("keys", "revoke", *words, "--root", root, *out)
            assert refused.exit_code == 2, words
        both = [office.BEN.public.keyid, cleo]
        few = call("keys", "revoke", *both, "--root", root, *out)
        assert few.exit_code == 26
        assert "--threshold" in few.stderr
        assert not (folder / "root-2.json").exists()
        assert call("keys", "revoke", *both, "--root", root, "--threshold", 1, *out).exit_code == 0

    def test_an_unsigned_root_is_not_followed(self, folder: Path) -> None:
        root = complete(folder, "ana")
        for words in (["root", folder / "people.toml", "--after", root], ["revoke", "0" * 64, "--root", root]):
            assert call("keys", *words, "-o", folder / "next.json").exit_code == 26

    def test_past_its_day(self, folder: Path) -> None:
        (folder / "people.toml").write_text(people("ana", expires="2020-01-01", threshold=1))
        refused = call("keys", "check", complete(folder, "ana"), "--json")
        assert refused.exit_code == document(refused)["exit"] == 25
        assert "expired on 2020-01-01" in document(refused)["error"]

    def test_too_many_expired_keys(self, folder: Path) -> None:
        old = office.ANA.public.base64
        text = people("ana", "ben").replace(f'"{old}"', f'{{ public_key = "{old}", expires = 2020-01-01 }}')
        (folder / "people.toml").write_text(text)
        refused = call("keys", "check", complete(folder, "ana", "ben"))
        assert refused.exit_code == 25
        assert f"expired: key {office.ANA.public.keyid} of ana" in refused.stderr

    def test_files_are_not_overwritten(self, folder: Path) -> None:
        root = complete(folder, "ana", "ben")
        before = root.read_bytes()
        assert call("keys", "root", folder / "people.toml", "-o", root).exit_code == 2
        assert root.read_bytes() == before

    def test_files_that_are_not_there(self, folder: Path) -> None:
        for words in (
            ["root", folder / "nobody.toml", "-o", folder / "r.json"],
            ["check", folder / "nothing.json"],
            ["sign", folder / "nothing.json", "--key", folder / "ana.pem"],
        ):
            refused = call("keys", *words)
            assert refused.exit_code == 2
            assert "cannot be read" in refused.stderr


class TestSign:
    def test_who_may_not(self, folder: Path) -> None:
        root = complete(folder)
        before = root.read_bytes()
        for name in ("engine", "dora"):
            refused = call("keys", "sign", root, "--key", folder / f"{name}.pem")
            assert refused.exit_code == 25
        assert root.read_bytes() == before

    def test_a_grant(self, folder: Path) -> None:
        grant, root = folder / "grant.json", folder / "root.json"
        grant.write_bytes(seal(office.grant().statement(), []))
        root.write_bytes(office.first_root())
        for name in ("ana", "ben"):
            told = call("keys", "sign", grant, "--key", folder / f"{name}.pem", "--root", root)
            assert told.exit_code == 0
            for words in ("account 'people'", "epsilon 1 at delta 1e-9", "all artificial residents", "a first release"):
                assert words in told.stderr
        assert grant.read_bytes() == office.granted()
        assert "2 of 2 officers have signed (ana, ben)" in told.stderr or "ben, ana" in told.stderr
        merged = call("keys", "merge", grant, grant, "-o", folder / "both.json", "--json")
        assert document(merged)["grant"] == office.grant().digest
        assert parse_grant(read_envelope((folder / "both.json").read_bytes()).payload) == office.grant()

    def test_all_of_a_grant_is_shown(self, folder: Path) -> None:
        """What is signed is what was read, to its last word."""
        grant, long = folder / "grant.json", "and so on, " * 360
        asked = replace(office.grant(), justification=f"{long}FOR EVER", population=f"{long}EVERYBODY")
        grant.write_bytes(seal(asked.statement(), []))
        told = call("keys", "sign", grant, "--key", folder / "ana.pem")
        assert told.exit_code == 0
        assert "FOR EVER" in told.stderr
        assert "EVERYBODY" in told.stderr

    def test_a_grant_that_would_not_count(self, folder: Path) -> None:
        grant, root = folder / "grant.json", folder / "root.json"
        grant.write_bytes(seal(office.grant().statement(), []))
        root.write_bytes(office.first_root())
        for name in ("engine", "dora"):
            refused = call("keys", "sign", grant, "--key", folder / f"{name}.pem", "--root", root)
            assert refused.exit_code == 25
            assert "would not count" in refused.stderr
        root.write_bytes(office.second_root())
        refused = call("keys", "sign", grant, "--key", folder / "ana.pem", "--root", root)
        assert refused.exit_code == 25
        assert "another root" in refused.stderr

    @pytest.mark.parametrize("name", ["ledger", "approval", "status"])
    def test_what_it_does_not_know(self, folder: Path, name: str) -> None:
        file = folder / "file.json"
        file.write_bytes((office.GOLDEN / f"{name}.dsse.json").read_bytes())
        before = file.read_bytes()
        assert call("keys", "sign", file, "--key", folder / "ana.pem").exit_code == 23
        assert file.read_bytes() == before

    def test_what_is_no_envelope(self, folder: Path) -> None:
        assert call("keys", "sign", folder / "people.toml", "--key", folder / "ana.pem").exit_code == 20

    def test_a_terminal_is_asked(self, folder: Path) -> None:
        root = complete(folder)
        before = root.read_bytes()
        shown, code = on_a_terminal(["keys", "sign", str(root), "--key", str(folder / "ana.pem")], [b"n"])
        assert (code, root.read_bytes()) == (130, before)
        assert b"officers decide" in shown
        assert on_a_terminal(["keys", "sign", str(root), "--key", str(folder / "ana.pem")], [b"y"])[1] == 0
        assert root.read_bytes() != before

    def test_hidden_marks_are_shown(self, folder: Path) -> None:
        from dataclasses import replace

        grant = replace(office.grant(), justification="fine\x1b[2K\u202egnihton")
        (folder / "grant.json").write_bytes(seal(grant.statement(), []))
        told = call("keys", "sign", folder / "grant.json", "--key", folder / "ana.pem")
        assert told.exit_code == 0
        assert "\x1b" not in told.output
        assert "\u202e" not in told.output
        assert "\\u{202e}" in told.stderr


@pytest.mark.parametrize("verb", ["new", "show", "root", "sign", "revoke", "merge", "check"])
def test_each_verb_has_an_example(verb: str) -> None:
    told = call("keys", verb, "--help").stdout
    assert "Example:" in told
    assert f"dpsynth keys {verb}" in told
