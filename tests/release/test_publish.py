"""The road of a governed release: run, look, sign, run again; and all that may come between."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from dpsynth import verifier
from dpsynth.accountant import Accountant, Story
from dpsynth.errors import (
    ConfigurationError,
    DigestMismatch,
    KeyRefused,
    LogInconsistent,
    Rejected,
    SignatureInvalid,
    ThresholdNotMet,
    WaitingForApproval,
    Withdrawn,
)
from dpsynth.ledger import (
    Approval,
    SigningKey,
    Software,
    Trust,
    fingerprint,
    new_root,
    parse,
    parse_status,
    read_envelope,
    seal,
    sign_root,
)
from dpsynth.ledger.heads import LogHead, Past
from dpsynth.ledger.log import Tree
from dpsynth.ledger.people import Person, Revocation, RootKey
from dpsynth.privacy import Budget
from dpsynth.release import approve, count, folder, publish, run_file, status
from dpsynth.release.approve import Request, Vote
from tests.desk import FAR, Office, call, make_office


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return make_office(tmp_path)


def go(office: Office, name: str = "first", **changes: str) -> Path:
    return run_file(office.release(name, **changes), office.out.with_name(name)).folder


def state(office: Office, name: str = "first") -> str:
    with Accountant.open(office.store) as accountant:
        return accountant.story(name).state


def kinds(office: Office) -> list[str]:
    with Accountant.open(office.store) as accountant:
        return [parse(line).kind for line in accountant.history("people")]


def contents(place: Path) -> dict[str, bytes]:
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def later(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    """Let the release room believe that it is a later day."""
    day = approve.today() + timedelta(days=days)
    for room in (approve, count, status):
        monkeypatch.setattr(room, "today", lambda: day)


class TestTheRoad:
    def test_run_waits_and_says_what_to_do(self, office: Office) -> None:
        called = office.run("--json")
        assert called.exit_code == 11
        told = json.loads(called.stdout)
        words = fingerprint((office.pending / "ledger.dsse.json").read_bytes())
        assert (told["ok"], told["exit"], told["approved"], told["needed"]) == (False, 11, [], 2)
        assert (told["pending"], told["fingerprint"]) == (str(office.pending), words)
        for text in ("dpsynth review", "dpsynth approve", words, str(office.pending)):
            assert text in called.stderr
        assert not office.out.exists()
        assert verifier.verify(office.pending).ok
        assert verifier.verify(office.pending, office.root.read_bytes()).exit_code == 26
        assert "release" not in kinds(office)

    def test_two_officers_approve_and_run_publishes(self, waiting: Office) -> None:
        before = contents(waiting.pending)
        waiting.approve("ana")
        assert waiting.run().exit_code == 11
        waiting.approve("bo")
        assert waiting.run().exit_code == 0
        after = contents(waiting.out)
        assert {name: after[name] for name in before} == before
        assert sorted(after.keys() - before.keys()) == [
            *sorted(f"approvals/approve-{waiting.signer(name).public.keyid[:16]}.dsse.json" for name in ("ana", "bo")),
            "status.dsse.json",
        ]
        assert not waiting.pending.parent.exists()
        found = verifier.verify(waiting.out, waiting.root.read_bytes(), fresh=True)
        assert (found.failures, found.approved_by, found.state) == ((), ("ana", "bo"), "current")
        assert state(waiting) == "RELEASED"
        assert kinds(waiting)[-4:] == ["settle", "approve", "approve", "release"]

    def test_again_changes_nothing(self, waiting: Office) -> None:
        waiting.approve("ana", "bo")
        go(waiting)
        before, log = contents(waiting.out), kinds(waiting)
        assert waiting.run().exit_code == 0
        assert (contents(waiting.out), kinds(waiting)) == (before, log)

    def test_what_is_gone_from_the_disk_is_written_again_with_its_approvals(self, waiting: Office) -> None:
        waiting.approve("ana", "bo")
        go(waiting)
        before = contents(waiting.out)
        shutil.rmtree(waiting.out)
        waiting.desk.table.unlink()
        assert waiting.run().exit_code == 0
        assert contents(waiting.out) == before
        elsewhere = run_file(waiting.release(), waiting.folder / "elsewhere").folder
        assert contents(elsewhere) == before

    def test_pending_files_that_are_gone_are_written_again(self, waiting: Office) -> None:
        before = contents(waiting.pending)
        waiting.approve("ana")
        shutil.rmtree(waiting.pending)
        assert waiting.run().exit_code == 11
        assert contents(waiting.pending) == before

    def test_different_people_on_different_machines(self, waiting: Office, tmp_path: Path) -> None:
        there = tmp_path / "there"
        there.mkdir()
        words = fingerprint((waiting.pending / "ledger.dsse.json").read_bytes())
        request, signed = there / "request.json", there / "signed.json"
        assert call("approve", waiting.pending, "--request", request).exit_code == 0
        assert request.read_bytes() == approve.request_place(waiting.pending).read_bytes()
        words_typed = words.upper().replace(" ", "  ")
        called = call(
            "approve", request, "--key", waiting.key("bo"), "-o", signed, "--fingerprint", words_typed, "--json"
        )
        assert called.exit_code == 0, called.output
        told = json.loads(called.stdout)
        assert (told["person"], told["decision"], told["fingerprint"]) == ("bo", "approve", words)
        for _ in range(2):
            assert call("approve", waiting.pending, "--add", signed).exit_code == 0
        waiting.approve("cy")
        assert waiting.run().exit_code == 0
        assert verifier.verify(waiting.out, waiting.root.read_bytes()).approved_by == ("bo", "cy")

    def test_conditions_are_signed(self, waiting: Office) -> None:
        words = ("--conditions", "for teaching only", "--days", "3")
        assert call("approve", waiting.pending, "--key", waiting.key("ana"), *words).exit_code == 0
        (vote,) = approve.votes(waiting.pending)
        assert vote.approval.conditions == "for teaching only"
        days = date.fromisoformat(vote.approval.expires) - date.fromisoformat(vote.approval.day)
        assert days == timedelta(days=3)

    def test_several_files_go_on_while_one_waits(self, office: Office) -> None:
        files = [office.release("one"), office.release("two")]
        called = call("run", *files, "--out", office.folder / "all", "--json")
        assert called.exit_code == 11
        told = [json.loads(line) for line in called.stdout.splitlines()]
        assert [Path(line["pending"]).name for line in told] == ["one", "two"]
        assert sorted(path.name for path in (office.folder / "all" / "pending").iterdir() if path.is_dir()) == [
            "one",
            "two",
        ]


class TestWhoCounts:
    def test_one_person_with_two_keys_is_one_person(self, waiting: Office) -> None:
        waiting.approve("ana", "ana2")
        with pytest.raises(publish.Waiting) as raised:
            go(waiting)
        assert (raised.value.approved, raised.value.needed) == (("ana",), 2)
        assert verifier.verify(waiting.pending, waiting.root.read_bytes()).exit_code == 26

    @pytest.mark.parametrize("name", ["key", "stranger"])
    def test_only_officers_sign(self, waiting: Office, name: str) -> None:
        SigningKey.generate().save(waiting.key("stranger"))
        called = call("approve", waiting.pending, "--key", waiting.key(name))
        assert called.exit_code == 25
        assert not (waiting.pending / "approvals").exists()

    def test_what_a_stranger_forges_is_refused(self, waiting: Office) -> None:
        waiting.approve("ana")
        (vote,) = approve.votes(waiting.pending)
        said = {**vote.approval.to_json(), "person": "bo"}
        said.pop("version")
        forged = approve.add(waiting.pending, seal(Approval(**said).statement(), [SigningKey.generate()]))
        with pytest.raises(KeyRefused, match=forged.name):
            go(waiting)
        forged.unlink()
        assert waiting.run().exit_code == 11

    def test_a_signature_of_somebody_elses_making_is_refused(self, waiting: Office) -> None:
        waiting.approve("ana")
        (vote,) = approve.votes(waiting.pending)
        bo, forged = waiting.signer("bo"), read_envelope(vote.data)
        broken = type(forged)(forged.payload, forged.payload_type, ((bo.public.keyid, forged.signatures[0][1]),))
        approve.add(waiting.pending, broken.data)
        with pytest.raises((SignatureInvalid, DigestMismatch)):
            go(waiting)

    def test_a_decision_that_names_another_person_does_not_count(self, waiting: Office) -> None:
        waiting.approve("ana")
        (vote,) = approve.votes(waiting.pending)
        said = {**vote.approval.to_json(), "person": "cy"}
        said.pop("version")
        approve.add(waiting.pending, seal(Approval(**said).statement(), [waiting.signer("bo")]))
        with pytest.raises(WaitingForApproval, match=r"names 'cy' and is signed by 'bo'"):
            go(waiting)

    def test_an_expired_key_does_not_count(self, waiting: Office) -> None:
        waiting.approve("ana", "bo")
        day = (approve.today() - timedelta(days=1)).isoformat()
        waiting.set_root(waiting.people(ana=day))
        with pytest.raises(WaitingForApproval, match="expired on"):
            go(waiting)
        waiting.approve("cy")
        assert go(waiting) == waiting.out

    def test_a_revoked_key_does_not_count(self, waiting: Office) -> None:
        waiting.approve("ana", "bo")
        waiting.set_root(revoked=(Revocation(waiting.signer("ana").public.keyid, {}),))
        with pytest.raises(WaitingForApproval, match="is revoked"):
            go(waiting)

    def test_a_decision_that_waited_too_long_does_not_count(
        self, waiting: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        waiting.approve("ana", "bo")
        later(monkeypatch, 31)
        with pytest.raises(publish.Waiting, match="was to be counted until") as raised:
            go(waiting)
        assert raised.value.approved == ()

    def test_a_decision_of_a_day_to_come_does_not_count(self, waiting: Office) -> None:
        waiting.approve("bo")
        waiting.approve("ana")
        (file,) = waiting.pending.glob(f"approvals/approve-{waiting.signer('ana').public.keyid[:16]}*")
        said = Vote.read(file.read_bytes()).approval
        tomorrow = (approve.today() + timedelta(days=1)).isoformat()
        approve.add(waiting.pending, seal(replace(said, day=tomorrow).statement(), [waiting.signer("ana")]))
        called = waiting.run()
        assert called.exit_code == 11
        assert f"it is of a day to come, {tomorrow}" in called.stderr

    def test_a_decision_under_a_strange_root_does_not_count(self, waiting: Office, tmp_path: Path) -> None:
        other = make_office(tmp_path / "other" if (tmp_path / "other").mkdir() is None else tmp_path)
        people = (*waiting.people()[:2], *other.people()[2:3])
        strange = new_root("elsewhere", FAR, 1, [Person(p.id, p.role, p.keys) for p in people])
        strange = sign_root(strange, waiting.signer("ana"))
        signed = approve.sign(waiting.pending, waiting.signer("ana"), "approve", root=strange)
        approve.add(waiting.pending, signed)
        with pytest.raises(WaitingForApproval, match="under another root"):
            go(waiting)

    def test_the_engine_has_to_be_one_of_the_root(self, office: Office) -> None:
        office.key("key").unlink()
        SigningKey.generate().save(office.key("key"))
        with pytest.raises(KeyRefused, match="sign_with"):
            go(office)
        assert kinds(office) == ["open"]

    def test_a_root_that_is_past_its_day(self, waiting: Office, monkeypatch: pytest.MonkeyPatch) -> None:
        waiting.approve("ana", "bo")
        later(monkeypatch, 365 * 200)
        with pytest.raises(KeyRefused, match="expired"):
            go(waiting)


class TestOtherFiles:
    def test_a_data_file_that_was_replaced(self, waiting: Office) -> None:
        waiting.approve("ana", "bo")
        (waiting.pending / "data.parquet").write_bytes(b"other rows")
        assert waiting.run().exit_code == 21
        assert call("approve", waiting.pending, "--key", waiting.key("cy")).exit_code == 21
        assert state(waiting) == "SETTLED"
        assert not waiting.out.exists()

    def test_a_folder_of_another_run_of_the_same_plan(self, waiting: Office, tmp_path: Path) -> None:
        """Everything in it is signed by the same engine, and the approvals lie beside; it is not what was approved."""
        waiting.approve("ana", "bo")
        (waiting.folder / "other.db").unlink(missing_ok=True)
        other = Office(waiting.desk)
        trust = waiting.root.read_bytes()
        with Accountant.open(waiting.folder / "other.db", create=True) as accountant:
            accountant.open_account(
                "office", grant=other.grant(accountant.origin, "office", None, "organisation", "9"), trust=trust
            )
            accountant.open_account(
                "people", grant=other.grant(accountant.origin, "people", "office", "population", "4")
            )
        with pytest.raises(WaitingForApproval):
            run_file(waiting.release(store="other.db"), tmp_path / "b" / "first")
        foreign = tmp_path / "b" / "pending" / "first"
        shutil.copytree(waiting.pending / "approvals", foreign / "approvals")
        shutil.rmtree(waiting.pending)
        shutil.copytree(foreign, waiting.pending)
        with pytest.raises(DigestMismatch):
            go(waiting)
        shutil.rmtree(waiting.pending / "approvals")
        with pytest.raises(DigestMismatch, match="is not the release 'first' that this store made"):
            go(waiting)

    def test_an_approval_of_other_files_is_not_brought_in(self, waiting: Office) -> None:
        with pytest.raises(WaitingForApproval):
            go(waiting, "second", epsilon="2")
        second = waiting.pending.with_name("second")
        data = approve.sign(second, waiting.signer("ana"), "approve")
        with pytest.raises(DigestMismatch, match="about other files"):
            approve.add(waiting.pending, data)
        (waiting.pending / "approvals").mkdir()
        (waiting.pending / "approvals" / Vote.read(data).file).write_bytes(data)
        assert waiting.run().exit_code == 21

    def test_other_words_than_those_on_the_disk(self, waiting: Office) -> None:
        words = "acid " * 12
        for target in (waiting.pending, approve.request_place(waiting.pending)):
            called = call("approve", target, "--key", waiting.key("ana"), "-o", "x", "--fingerprint", words)
            assert called.exit_code == 21
            assert "Nothing was signed" in called.stderr

    def test_a_request_whose_words_are_not_of_its_digest(self, waiting: Office) -> None:
        place = approve.request_place(waiting.pending)
        asked = json.loads(place.read_bytes())
        asked["ledger"] = "sha256:" + "0" * 64  # the words stay those that the officer saw
        place.write_text(json.dumps(asked, sort_keys=True, separators=(",", ":")) + "\n")
        with pytest.raises(ConfigurationError, match="no request"):
            Request.parse(place.read_bytes())
        assert call("approve", place, "--key", waiting.key("ana"), "-o", "x").exit_code == 2

    def test_a_place_that_is_taken_is_told_before_anything_is_spent(self, office: Office) -> None:
        with pytest.raises(WaitingForApproval):
            go(office)
        with pytest.raises(ConfigurationError, match="holds another release"):
            run_file(office.release("second"), office.out)
        assert "second" not in str(kinds(office))
        office.pending.rename(office.out)
        with pytest.raises(ConfigurationError, match="is not approved"):
            go(office)


class TestRejected:
    def test_enough_officers_reject(self, waiting: Office) -> None:
        waiting.approve("cy")
        for name in ("ana", "bo"):
            words = ("--key", waiting.key(name), "--reason", "utility")
            assert call("reject", waiting.pending, *words).exit_code == 0
            assert waiting.run().exit_code == (11 if name == "ana" else 12)
        called = waiting.run("--json")
        assert called.exit_code == 12
        assert "ana, bo" in json.loads(called.stdout)["error"]
        assert state(waiting) == "REJECTED"
        assert not waiting.out.exists()
        with Accountant.open(waiting.store) as accountant:
            account = accountant.account("people")
            assert account.held.amount > 0
            assert account.attempts.rejected == 1

    def test_who_rejects_does_not_approve_too(self, waiting: Office) -> None:
        waiting.approve("ana", "bo")
        assert call("reject", waiting.pending, "--key", waiting.key("bo"), "--reason", "other").exit_code == 0
        with pytest.raises(publish.Waiting) as raised:
            go(waiting)
        assert raised.value.approved == ("ana",)
        waiting.approve("cy")
        assert go(waiting) == waiting.out

    def test_all_three_reject(self, waiting: Office) -> None:
        for name in ("ana", "bo", "cy", "ana2"):
            call("reject", waiting.pending, "--key", waiting.key(name), "--reason", "unit")
        for _ in range(2):
            with pytest.raises(Rejected):
                go(waiting)
        assert kinds(waiting).count("reject") == 2

    @pytest.mark.parametrize("words", [(), ("--reason", "legal"), ("--reason", "other", "--request", "x")])
    def test_a_wrong_reason_is_a_usage_error(self, waiting: Office, words: tuple[str, ...]) -> None:
        assert call("reject", waiting.pending, "--key", waiting.key("ana"), *words).exit_code == 2


class TestStatus:
    @pytest.fixture
    def published(self, waiting: Office) -> Office:
        waiting.approve("ana", "bo")
        go(waiting)
        return waiting

    def renew(self, office: Office, *words: object) -> int:
        return call(
            "status", "renew", office.out, "--store", office.store, "--key", office.key("key"), *words
        ).exit_code

    def test_renewed_for_longer(self, published: Office) -> None:
        first = (published.out / "status.dsse.json").read_bytes()
        assert self.renew(published, "--days", 60) == 0
        assert (published.out / "status.dsse.json").read_bytes() != first
        assert verifier.verify(published.out, published.root.read_bytes(), fresh=True).ok

    def test_only_an_engine_renews(self, published: Office) -> None:
        words = ("status", "renew", published.out, "--store", published.store, "--key", published.key("ana"))
        assert call(*words).exit_code == 25

    def test_what_is_not_published_has_no_status(self, waiting: Office) -> None:
        words = ("status", "renew", waiting.pending, "--store", waiting.store, "--key", waiting.key("key"))
        assert call(*words).exit_code == 11
        for name in ("ana", "bo"):
            call("reject", waiting.pending, "--key", waiting.key(name), "--reason", "unit")
        waiting.run()
        assert call(*words).exit_code == 12

    def test_officers_withdraw_one_after_the_other(self, published: Office) -> None:
        words = ("withdraw", published.out, "--reason", "data-fault", "--root", published.root)
        assert call(*words, "--key", published.key("ana")).exit_code == 0
        assert self.renew(published) == 0
        assert verifier.verify(published.out, published.root.read_bytes(), fresh=True).ok
        assert call(*words, "--key", published.key("cy")).exit_code == 0
        assert self.renew(published) == 0
        assert state(published) == "WITHDRAWN"
        for root in (None, published.root.read_bytes()):
            found = verifier.verify(published.out, root)
            assert (found.exit_code, found.state) == (13, "withdrawn")
        assert published.run().exit_code == 13
        assert self.renew(published) == 0  # again, and it stays so

    def test_officers_withdraw_at_once(self, published: Office) -> None:
        words = ["withdraw", published.out, "--reason", "legal", "--store", published.store]
        words += ["--sign-with", published.key("key")]
        assert call(*words, "--key", published.key("ana"), "--key", published.key("ana2")).exit_code == 26
        called = call(*words, "--key", published.key("bo"), "--key", published.key("ana"), "--json")
        assert called.exit_code == 0, called.output
        assert json.loads(called.stdout)["state"] == "withdrawn"
        with Accountant.open(published.store) as accountant:
            assert accountant.account("people").held.amount > 0
        with pytest.raises(Withdrawn):
            go(published)

    def test_too_few_do_not_withdraw(self, published: Office) -> None:
        keys = [published.signer("ana"), published.signer("ana2")]
        with pytest.raises(ThresholdNotMet):
            status.withdraw(published.out, published.store, keys, "legal", sign_with=published.signer("key"))
        assert state(published) == "RELEASED"

    def test_a_new_release_supersedes_the_old_one(self, published: Office) -> None:
        more = 'supersedes = "first"'
        with pytest.raises(WaitingForApproval):
            go(published, "second", more=more)
        assert state(published) == "RELEASED"
        published.approve("ana", "bo", release=published.pending.with_name("second"))
        go(published, "second", more=more)
        assert state(published) == "SUPERSEDED"
        assert self.renew(published) == 0
        found = verifier.verify(published.out, published.root.read_bytes(), fresh=True)
        assert (found.exit_code, found.state) == (0, "superseded")
        assert any("superseded by release second" in note for note in found.notes)
        assert published.run().exit_code == 0

    def test_what_is_superseded_has_to_be_published(self, waiting: Office) -> None:
        log = kinds(waiting)
        for old in ("first", "nothing"):
            with pytest.raises(ConfigurationError, match=old):
                go(waiting, "second", more=f'supersedes = "{old}"')
        assert kinds(waiting) == log

    def test_an_account_without_officers_supersedes_nothing_of_theirs(self, published: Office) -> None:
        with Accountant.open(published.store) as accountant:
            accountant.open_account("free", entity="person", neighbours="add-remove", budget=Budget("1", "1e-6"))
            log = accountant.history("free")
        budget = 'account = "free"\nstore = "accounts.db"'
        more = 'supersedes = "first"'
        path = published.desk.release("evil", budget=budget, mechanism="independent", more=more)
        called = call("run", path, "--out", published.folder / "evil")
        assert called.exit_code == 2
        assert "which other accounts paid for" in called.stderr
        assert state(published) == "RELEASED"
        with Accountant.open(published.store) as accountant:
            assert accountant.history("free") == log

    def test_the_store_of_somebody_else_says_nothing(self, published: Office, tmp_path: Path) -> None:
        (tmp_path / "b").mkdir()
        other = make_office(tmp_path / "b")
        with pytest.raises(WaitingForApproval):
            go(other)
        with pytest.raises((DigestMismatch, KeyRefused, ThresholdNotMet)):
            status.renew(published.out, other.store, other.signer("key"))

    @pytest.mark.parametrize("anchored", [True, False], ids=["anchored", "by the status alone"])
    def test_an_older_copy_of_the_store_signs_no_status(
        self, published: Office, monkeypatch: pytest.MonkeyPatch, anchored: bool
    ) -> None:
        """A copy from before the withdrawal would say that the release is current."""
        copy, folder = published.folder / "copy.db", published.folder / "as-published"
        shutil.copy(published.store, copy)
        shutil.copytree(published.out, folder)
        words = ("withdraw", published.out, "--reason", "legal", "--store", published.store)
        keys = [f"--key={published.key(name)}" for name in ("ana", "bo")]
        assert call(*words, *keys, "--sign-with", published.key("key")).exit_code == 0
        shutil.copy(copy, published.store)
        if not anchored:
            monkeypatch.setenv("DPSYNTH_ANCHORS", str(published.folder / "other-anchors"))
        renew = ("--store", published.store, "--key", published.key("key"))
        for place in (published.out, folder) if anchored else (published.out,):
            before = contents(place)
            called = call("status", "renew", place, *renew)
            assert called.exit_code == 24, called.output
            assert contents(place) == before
        log = kinds(published)
        assert call(*words, *keys, "--sign-with", published.key("key")).exit_code == 24
        assert kinds(published) == log
        elsewhere = published.folder / "elsewhere"
        again = call("run", published.release(), "--out", elsewhere)
        assert again.exit_code == (24 if anchored else 0)
        assert (elsewhere / "status.dsse.json").exists() is not anchored

    def test_a_copy_that_went_its_own_way_signs_no_status(
        self, published: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its log is longer than that of the status that is there, and does not go on from it."""
        copy = published.folder / "copy.db"
        shutil.copy(published.store, copy)
        keys = [published.signer(name) for name in ("ana", "bo")]
        status.withdraw(published.out, published.store, keys, "legal", sign_with=published.signer("key"))
        shutil.copy(copy, published.store)
        monkeypatch.setenv("DPSYNTH_ANCHORS", str(published.folder / "other-anchors"))
        with Accountant.open(published.store) as accountant:
            for number in range(5):
                accountant.external("people", f"a table {number}", None)
        with pytest.raises(LogInconsistent):
            status.renew(published.out, published.store, published.signer("key"))


class TestRoots:
    def test_a_new_version_of_the_root_keeps_what_was_approved_before(self, waiting: Office) -> None:
        waiting.approve("ana", "bo")
        go(waiting)
        with Accountant.open(waiting.store) as accountant:
            story = accountant.story("first")
        gone = Revocation(waiting.signer("ana").public.keyid, {story.now.origin: story.now.size})
        waiting.set_root(revoked=(gone,))
        assert status.renew(waiting.out, waiting.store, waiting.signer("key")).state == "current"
        found = verifier.verify(waiting.out, waiting.root.read_bytes(), fresh=True)
        assert (found.failures, found.approved_by) == ((), ("ana", "bo"))

    def test_another_engine_takes_over(self, waiting: Office) -> None:
        waiting.approve("ana", "bo")
        go(waiting)
        key = SigningKey.generate()
        (*officers, dee) = waiting.people()
        waiting.set_root((*officers, Person("dee", "engine", (*dee.keys, RootKey(key.public, FAR)))))
        for _ in range(2):
            assert status.renew(waiting.out, waiting.store, key).state == "current"
        assert verifier.verify(waiting.out, waiting.root.read_bytes(), fresh=True).ok
        assert Trust.parse(waiting.root.read_bytes()).newest.version == 2

    def test_a_root_that_asks_for_more_leaves_what_was_published_before_it(self, waiting: Office) -> None:
        """Only a status shows that the root came later than the line that released it."""
        waiting.approve("ana", "bo")
        go(waiting)
        old = waiting.root.read_bytes()
        assert waiting.set_root(threshold=3, signers=("ana", "bo", "cy")).version == 2
        new = waiting.root.read_bytes()
        found = verifier.verify(waiting.out, new, fresh=True)
        assert (found.exit_code, found.approved_by) == (26, ("ana", "bo"))
        assert "a renewed status may show" in found.failures[0]
        assert verifier.verify(waiting.out, old, fresh=True).ok
        for _ in range(2):
            assert status.renew(waiting.out, waiting.store, waiting.signer("key")).state == "current"
            assert verifier.verify(waiting.out, new, fresh=True).failures == ()
        stale = verifier.verify(waiting.out, old)
        assert (stale.exit_code, "get the newest" in stale.failures[0]) == (26, True)
        assert waiting.run().exit_code == 0

    def test_a_root_that_asks_for_more_before_the_release(self, waiting: Office) -> None:
        """Its line precedes the release's in the status, so that it rules."""
        waiting.approve("ana", "bo")
        waiting.set_root(threshold=3, signers=("ana", "bo", "cy"))
        assert waiting.run().exit_code == 11
        waiting.approve("cy")
        assert waiting.run().exit_code == 0
        with Accountant.open(waiting.store) as accountant:
            after = [parse(line) for line in accountant.story("first").after]
        assert [entry.kind for entry in after] == ["root", "approve", "approve", "approve", "release"]
        found = verifier.verify(waiting.out, waiting.root.read_bytes(), fresh=True)
        assert (found.failures, found.approved_by) == ((), ("ana", "bo", "cy"))

    def test_a_status_of_before_the_engine_told_of_roots_is_gone_on_from(
        self, waiting: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It lacks the line of the root that came before the release, and is not taken for another history."""
        waiting.approve("ana", "bo", "cy")
        waiting.set_root(threshold=3, signers=("ana", "bo", "cy"))
        told = Accountant.story

        def silent(accountant: Accountant, release: str) -> Story:
            story = told(accountant, release)
            shown = [number for number, line in enumerate(story.after) if parse(line).kind != "root"]
            now = replace(story.now, proofs=tuple(story.now.proofs[number] for number in shown))
            return replace(story, after=tuple(story.after[number] for number in shown), now=now)

        with monkeypatch.context() as then:
            then.setattr(Accountant, "story", silent)
            go(waiting)
        before = (waiting.out / "status.dsse.json").read_bytes()
        assert status.renew(waiting.out, waiting.store, waiting.signer("key")).state == "current"
        assert (waiting.out / "status.dsse.json").read_bytes() != before
        assert verifier.verify(waiting.out, waiting.root.read_bytes(), fresh=True).failures == ()

    @pytest.mark.parametrize("how", ["withdraw", "renew"])
    def test_what_a_revoked_engine_signed_is_withdrawn_by_the_next_one(self, waiting: Office, how: str) -> None:
        """The store knows whose release it is. That it stands nobody says any more: no log recorded it early enough."""
        waiting.approve("ana", "bo")
        go(waiting)
        key, (*officers, _) = SigningKey.generate(), waiting.people()
        gone = Revocation(waiting.signer("key").public.keyid, {})
        waiting.set_root((*officers, Person("dee", "engine", (RootKey(key.public, FAR),))), (gone,))
        before = (waiting.out / "status.dsse.json").read_bytes()
        with pytest.raises(KeyRefused, match="dpsynth withdraw"):
            status.renew(waiting.out, waiting.store, key)
        assert (waiting.out / "status.dsse.json").read_bytes() == before
        keys = [waiting.signer("ana"), waiting.signer("bo")]
        if how == "withdraw":
            found = status.withdraw(waiting.out, waiting.store, keys, "legal", sign_with=key)
        else:
            for one in keys:
                approve.add(
                    waiting.out,
                    approve.sign(waiting.out, one, "withdraw", reason="legal", root=waiting.root.read_bytes()),
                )
            found = status.renew(waiting.out, waiting.store, key)
        assert (found.state, state(waiting)) == ("withdrawn", "WITHDRAWN")
        assert status.renew(waiting.out, waiting.store, key).state == "withdrawn"
        judged = verifier.verify(waiting.out, waiting.root.read_bytes(), fresh=True)
        assert (judged.exit_code, judged.state) == (25, "withdrawn")
        assert any("the release was withdrawn (legal)" in text for text in judged.failures)
        assert not any("signed the status" in text for text in judged.failures)
        assert call("run", waiting.release(), "--out", waiting.out).exit_code == 13

    def test_files_that_were_changed_are_not_withdrawn(self, waiting: Office) -> None:
        waiting.approve("ana", "bo")
        go(waiting)
        (waiting.out / "data.parquet").write_bytes(b"other rows")
        with pytest.raises(DigestMismatch):
            status.withdraw(
                waiting.out, waiting.store, [waiting.signer("ana")], "legal", sign_with=waiting.signer("key")
            )


class TestForgedStatus:
    """A file that somebody put in the place of the status keeps nobody from telling how the release stands."""

    @pytest.fixture
    def published(self, waiting: Office) -> Office:
        waiting.approve("ana", "bo")
        go(waiting)
        return waiting

    def forge(self, office: Office, key: SigningKey, **changes: str) -> bytes:
        """A status at a size of the log that was never reached, signed by ``key``; every proof in it holds."""
        place = office.out / "status.dsse.json"
        said = parse_status(read_envelope(place.read_bytes()).payload)
        with Accountant.open(office.store) as accountant:
            head = accountant.story("first").head
        leaves = [sha256(f"line {number}".encode()).digest() for number in range(said.log.size + 40)]
        leaves[: said.log.size] = _leaves(office)
        tree, size = Tree(leaves), len(leaves)
        seqs = [parse(line).seq for line in said.entries]
        past = Past(head.size, tree.root(head.size), tree.consistency(head.size, size))
        log = LogHead(said.log.origin, size, tree.root(size), tuple(tree.inclusion(seq, size) for seq in seqs), (past,))
        data = seal(replace(said, log=log, **changes).statement(key), [key])
        assert parse_status(read_envelope(data).payload).log.size == size
        place.write_bytes(data)
        return data

    def test_of_a_strangers_key(self, published: Office) -> None:
        forged = self.forge(published, SigningKey.generate())
        assert verifier.verify(published.out, published.root.read_bytes()).exit_code == 25
        assert status.renew(published.out, published.store, published.signer("key")).state == "current"
        assert (published.out / "status.dsse.json").read_bytes() != forged
        assert verifier.verify(published.out, published.root.read_bytes(), fresh=True).ok

    def test_it_does_not_keep_officers_from_withdrawing(self, published: Office) -> None:
        self.forge(published, published.signer("ana"))  # an officer is no engine
        keys = [published.signer(name) for name in ("ana", "bo")]
        found = status.withdraw(published.out, published.store, keys, "legal", sign_with=published.signer("key"))
        assert found.state == "withdrawn"
        assert verifier.verify(published.out, published.root.read_bytes()).exit_code == 13

    def test_of_a_key_that_was_revoked_since(self, published: Office) -> None:
        self.forge(published, published.signer("key"))
        renew = (published.out, published.store)
        with pytest.raises(LogInconsistent):
            status.renew(*renew, published.signer("key"))  # nothing tells it from what this engine signed
        with Accountant.open(published.store) as accountant:
            known = accountant.story("first").now
        key, (*officers, _) = SigningKey.generate(), published.people()
        gone = Revocation(published.signer("key").public.keyid, {known.origin: known.size})
        published.set_root((*officers, Person("dee", "engine", (RootKey(key.public, FAR),))), (gone,))
        assert status.renew(*renew, key).state == "current"
        assert verifier.verify(published.out, published.root.read_bytes(), fresh=True).failures == ()

    def test_of_another_release(self, published: Office) -> None:
        self.forge(published, published.signer("key"), release="second")
        assert status.renew(published.out, published.store, published.signer("key")).state == "current"
        assert verifier.verify(published.out, published.root.read_bytes(), fresh=True).ok

    def test_with_a_signature_that_does_not_fit(self, published: Office) -> None:
        key = SigningKey.generate()
        forged = read_envelope(self.forge(published, key))
        ((_, signature),) = forged.signatures
        keyid = published.signer("key").public.keyid
        broken = type(forged)(forged.payload, forged.payload_type, ((keyid, signature),))
        (published.out / "status.dsse.json").write_bytes(broken.data)
        assert status.renew(published.out, published.store, published.signer("key")).state == "current"


def _leaves(office: Office) -> list[bytes]:
    with Accountant.open(office.store) as accountant:
        size = accountant.story("first").now.size
        return list(accountant._store.read(lambda tx: tx.leaves(size)))


class TestWithoutOfficers:
    """As ever: run publishes at once; who signed the release renews its status and withdraws it."""

    @pytest.fixture
    def out(self, office: Office) -> Path:
        path = office.desk.release("own", mechanism="independent")
        assert call("run", path, "--out", office.folder / "own").exit_code == 0
        return office.folder / "own"

    def test_status_and_withdrawal(self, office: Office, out: Path) -> None:
        store = f"{office.desk.table}.dpsynth.db"
        assert not (out / "status.dsse.json").exists()
        assert verifier.verify(out, fresh=True).exit_code == 14
        key = ("--store", store, "--key", office.key("key"))
        assert call("status", "renew", out, *key, "--json").exit_code == 0
        assert verifier.verify(out, fresh=True).ok
        assert call("status", "renew", out, "--store", store, "--key", office.key("ana")).exit_code == 25
        assert call("withdraw", out, "--reason", "legal", "--key", office.key("key")).exit_code == 2
        assert call("withdraw", out, "--reason", "legal", "--store", store, "--key", office.key("bo")).exit_code == 25
        assert call("withdraw", out, "--reason", "legal", *key).exit_code == 0
        assert verifier.verify(out).exit_code == 13
        path = office.desk.release("own", mechanism="independent")
        assert call("run", path, "--out", office.folder / "own").exit_code == 13

    @pytest.mark.parametrize("bound", [False, True], ids=["no status yet", "with a status"])
    def test_another_version_writes_it_again(
        self, office: Office, out: Path, monkeypatch: pytest.MonkeyPatch, bound: bool
    ) -> None:
        """Unless the log holds the digest of what was published: then there is one ledger of it, for ever."""
        if bound:
            status.renew(out, f"{office.desk.table}.dpsynth.db", office.signer("key"))
        monkeypatch.setattr(folder, "SOFTWARE", Software("dpsynth-engine", "9.9.9"))
        path, elsewhere = office.desk.release("own", mechanism="independent"), office.folder / "elsewhere"
        called = call("run", path, "--out", elsewhere)
        assert called.exit_code == (21 if bound else 0)
        assert elsewhere.exists() != bound
        assert call("run", path, "--out", out).exit_code == 0

    def test_nobody_approves(self, office: Office, out: Path) -> None:
        for verb in ("approve", "reject"):
            more = ("--reason", "other") if verb == "reject" else ()
            called = call(verb, out, "--key", office.key("ana"), *more)
            assert called.exit_code == 2
            assert "without officers" in called.stderr
