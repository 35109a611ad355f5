"""Ledgers of version 2: a path of accounts, grants, a log with its proofs; what officers and engines say of them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from dpsynth.evidence import Verdict
from dpsynth.trust import verify, verify_all
from tests.verifier.office import (
    DELTA,
    Account,
    Office,
    Pen,
    Person,
    amount,
    approved,
    as_file,
    canonical,
    hex_of,
    opened,
    people,
    seal,
    tree,
)

Change = Callable[[Any], object]


def again(folder: Path, change: Change, pen: Pen | None = None) -> Path:
    """The same ledger with a lie in its predicate, signed by its own engine."""
    path = folder / "ledger.dsse.json"
    value = opened(path.read_bytes())
    change(value["predicate"])
    if pen is not None:
        value["predicate"]["signer"] = pen.told()
    path.write_bytes(as_file(seal(canonical(value), [pen or Pen("engine")])))
    return folder


def settled(tmp_path: Path, office: Office, name: str = "first", **changes: Any) -> Path:
    """A release that two officers approved, published with their files not in the log."""
    folder = office.release(tmp_path / name, name, "survey", **changes)
    office.decide(folder, "ana", log=False)
    office.decide(folder, "bo", log=False)
    office.publish(folder)
    return folder


def code(folder: Path, office: Office | None = None, **more: Any) -> int:
    verdict = verify(folder, office.root if office else None, **more)
    assert verdict.ok == (verdict.exit_code == 0) == (not verdict.failures)
    return verdict.exit_code


def said(verdict: Verdict, code: int, text: str) -> bool:
    return verdict.exit_code == code and any(text in failure for failure in verdict.failures)


class TestUngoverned:
    def test_verifies_without_a_root_and_says_so(self, tmp_path: Path) -> None:
        folder = tree(governed=False).release(tmp_path / "first", "first", "survey")
        verdict = verify(folder)
        assert verdict.failures == ()
        assert "the signer is not tied to any root: compare the key id with one got from the publisher" in verdict.notes
        assert "account office: rho 0.015625 of 0.125 held after this release" in verdict.notes

    def test_with_a_root_nobody_granted_its_budget(self, tmp_path: Path) -> None:
        """Or whoever has an engine's key could go round the officers with a store of their own."""
        folder = tree(governed=False).release(tmp_path / "first", "first", "survey")
        assert said(verify(folder, tree().root), 26, "no officer granted its budget")

    def test_its_cap_is_fixed_for_life(self, tmp_path: Path) -> None:
        office = tree(governed=False)
        account = office.accounts["survey"]
        account.cap, account.epsilon = Fraction(1, 4), "4"
        terms = {"cap": amount("gdp", account.cap), "policy": account.policy, "reason": "new-people"}
        office.grants["sha256:" + "0" * 64] = seal(b"{}", [Pen("ana")])
        office.add("grant", "survey", grant="sha256:" + "0" * 64, added=amount("gdp", Fraction(1, 8)), **terms)
        folder = office.release(tmp_path / "first", "first", "survey")
        again(folder, lambda ledger: ledger.update(grants=[]))
        assert code(folder) in (21, 22)


class TestLog:
    """Whatever the signed log says that its proofs do not show is 24."""

    @pytest.fixture
    def office(self, tmp_path: Path) -> Office:
        office = tree(governed=False)
        office.release(tmp_path / "zero", "zero", "survey")
        office.release(tmp_path / "first", "first", "survey")
        return office

    @pytest.fixture
    def folder(self, tmp_path: Path, office: Office) -> Path:
        return tmp_path / "first"

    def test_it_holds(self, folder: Path) -> None:
        assert code(folder) == 0

    @pytest.mark.parametrize(
        "change",
        [
            lambda log: log["proofs"].pop(),
            lambda log: log["proofs"].append([]),
            lambda log: log["proofs"][3].pop(),
            lambda log: log["proofs"][3].append("0" * 64),
            lambda log: log["proofs"][3].reverse(),
            lambda log: log["proofs"].__setitem__(3, log["proofs"][4]),
            lambda log: log["proofs"][0].clear(),
            lambda log: log["history"][0].update(size=log["history"][0]["size"] - 1),
            lambda log: log["history"][0].update(size=log["size"] + 1),
            lambda log: log["history"][0].update(root="0" * 64),
            lambda log: log["history"][0]["proof"].pop(),
            lambda log: log["history"][0]["proof"].append("0" * 64),
            lambda log: log["history"].append(log["history"][0]),
            lambda log: log.update(size=log["size"] + 1),
            lambda log: log.update(size=2**62),
            lambda log: log.update(root="0" * 64),
            lambda log: log.update(origin="dpsynth.log/" + "0" * 32),
            lambda log: log.update(checkpoint=log["checkpoint"][:-1]),
            lambda log: log.update(checkpoint=log["checkpoint"] + "\n"),
            lambda log: log.update(checkpoint=log["checkpoint"].replace("\n\n", "\n", 1)),
            lambda log: log.update(checkpoint=log["checkpoint"].replace(str(log["size"]), str(log["size"] + 1), 1)),
        ],
    )
    def test_forged(self, folder: Path, change: Change) -> None:
        again(folder, lambda ledger: change(ledger["log"]))
        assert code(folder) == 24

    @pytest.mark.parametrize(
        "change",
        [
            lambda log: log.update(more=1),
            lambda log: log.pop("history"),
            lambda log: log.update(size=0),
            lambda log: log.update(origin="elsewhere/" + "0" * 32),
            lambda log: log.update(proofs="all"),
            lambda log: log["history"][0].update(more=1),
        ],
    )
    def test_of_an_unknown_form_is_23(self, folder: Path, change: Change) -> None:
        again(folder, lambda ledger: change(ledger["log"]))
        assert code(folder) == 23

    def test_another_keys_checkpoint(self, folder: Path, office: Office) -> None:
        size = office.heads[-1]
        other = office.head([], size, [], Pen("ana"))["checkpoint"]
        again(folder, lambda ledger: ledger["log"].update(checkpoint=other))
        assert code(folder) == 24
        again(folder, lambda ledger: ledger["log"].update(checkpoint="?" + other[1:]))
        assert code(folder) == 24

    def test_a_lines_proof_from_another_tree(self, folder: Path, tmp_path: Path) -> None:
        other = tree(governed=False, name="elsewhere")
        other.release(tmp_path / "other zero", "zero", "survey")
        foreign = opened((other.release(tmp_path / "other", "first", "survey") / "ledger.dsse.json").read_bytes())
        again(folder, lambda ledger: ledger["log"]["proofs"].__setitem__(2, foreign["predicate"]["log"]["proofs"][2]))
        assert code(folder) == 24

    def test_a_line_that_is_not_in_the_log(self, folder: Path) -> None:
        def change(ledger: Any) -> None:
            entry = json.loads(ledger["entries"][-2])
            ledger["entries"][-2] = canonical({**entry, "answer": "sha256:" + "0" * 64}).decode()

        again(folder, change)
        assert said(verify(folder), 24, "is not shown to lie in the log")

    @pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31])
    def test_every_size_of_log_before_it(self, size: int, tmp_path: Path) -> None:
        """A log may have had any number of lines when the release began, and any number of releases."""
        office = Office(governed=False)
        for number in range(size - 1):
            office.add("external", "another", what=f"table {number}", claim=None)
        office.heads = list(range(1, size))
        office.open(Account("survey", "project", None, "gdp", Fraction(1, 8), "3"))
        assert code(office.release(tmp_path / "first", "first", "survey", questions=size % 3 + 1)) == 0


def account(number: int, **changes: Any) -> Change:
    return lambda ledger: ledger["accounts"][number].update(changes)


def line(which: str, **changes: Any) -> Change:
    """Change the first line of a kind; its proof then fails too."""

    def change(ledger: Any) -> None:
        entries = [json.loads(text) for text in ledger["entries"]]
        next(entry for entry in entries if entry["kind"] == which).update(changes)
        ledger["entries"] = [canonical(entry).decode() for entry in entries]

    return change


AMOUNT = {"mu2": "1/64", "delta": "0"}


class TestAccounts:
    """One wrong number on the path is found, whatever the log proves."""

    @pytest.mark.parametrize(
        ("change", "text"),
        [
            (account(0, cap={"mu2": "1/4", "delta": "0"}), "the cap stated"),
            (account(1, cap={"mu2": "1/8", "delta": "0"}), "the cap stated"),
            (account(2, cap={"rho": "1/4", "delta": "0"}), "the cap stated"),
            (account(1, held_before=AMOUNT), "mu2 held before + reserved"),
            (account(2, held_after={"rho": "1/32", "delta": "0"}), "rho held before + reserved"),
            (account(2, held_after={"rho": "1/32", "delta": "0"}), "what the accounts hold"),
            (account(2, held_after={"mu2": "1/64", "delta": "0"}), "an amount in rho"),
            (account(0, parent="office"), "do not lead to the top"),
            (account(0, parent=None), "do not lead to the top"),
            (account(1, level="source"), "was opened at another place"),
            (account(1, level="project"), "not of a higher level"),
            (account(2, name="another"), "does not begin by opening account another"),
            (lambda ledger: ledger["accounts"].pop(), "do not lead to the top"),
            (lambda ledger: ledger["accounts"].append(ledger["accounts"][2]), "stands above itself"),
            (lambda ledger: ledger["accounts"].reverse(), "what the accounts hold"),
            (lambda ledger: ledger["entries"].pop(0), "does not begin by opening account office"),
            (lambda ledger: ledger.update(root=None), "was not opened under the root"),
            (lambda ledger: ledger.update(root="sha256:" + "0" * 64), "is not the one that was in force"),
            (line("open", grant=None), "was not opened under the root"),
            (line("open", root=None), "was not opened under the root"),
            (line("open", entity="household"), "the entity of the guarantee"),
            (line("open", column="other"), "the unit_column of the guarantee"),
            (line("open", neighbours="replace-one"), "the neighbours of the guarantee"),
            (line("open", policy={"epsilon": "1", "delta": "1/1000000000"}), "above the account's policy"),
            (line("grant", added=AMOUNT), "not the sum of what was granted"),
            (line("grant", policy={"epsilon": "1", "delta": "1/1000000000"}), "above the account's policy"),
            (line("grant", account="office"), "an amount in rho"),
            (line("grant", account="elsewhere"), "an entry belongs to another account"),
            (line("reserve", above=[]), "what the accounts hold"),
            (line("reserve", held=AMOUNT), "what the accounts hold"),
            (lambda ledger: ledger["entries"].pop(), "was not settled"),
        ],
    )
    def test_forged(self, tmp_path: Path, change: Change, text: str) -> None:
        folder = again(tree().release(tmp_path / "first", "first", "survey"), change)
        verdict = verify(folder)
        assert not verdict.ok
        assert any(text in failure for failure in verdict.failures), verdict.failures

    @pytest.mark.parametrize(
        "kind", ["void", "refused", "external", "approve", "reject", "release", "supersede", "withdraw", "audit"]
    )
    def test_a_kind_that_a_ledger_never_holds_is_23(self, tmp_path: Path, kind: str) -> None:
        folder = again(tree().release(tmp_path / "first", "first", "survey"), line("stored", kind=kind))
        assert code(folder) == 23

    @pytest.mark.parametrize(
        "change",
        [
            lambda ledger: ledger.update(version=3),
            lambda ledger: ledger.update(version=True),
            lambda ledger: ledger.update(more=1),
            lambda ledger: ledger["release"].pop("supersedes"),
            account(0, more=1),
            account(0, level="team"),
            line("open", level="team"),
            line("grant", reason="clock"),
            line("grant", reason="opening"),
            line("reserve", above=[{"account": "people"}]),
            lambda ledger: ledger.update(grants=[1]),
        ],
    )
    def test_of_an_unknown_form_is_23(self, tmp_path: Path, change: Change) -> None:
        folder = again(tree().release(tmp_path / "first", "first", "survey"), change)
        assert code(folder) == 23

    def test_a_line_of_the_older_form_is_whole_or_unknown(self, tmp_path: Path) -> None:
        def old(*keys: str) -> Change:
            def change(ledger: Any) -> None:
                entry = json.loads(ledger["entries"][0])
                ledger["entries"][0] = canonical({k: v for k, v in entry.items() if k not in keys}).decode()

            return change

        office = Office(governed=False)
        office.open(Account("survey", "project", None, "gdp", Fraction(1, 8), "3"))
        office.lines[0] = canonical(
            {k: v for k, v in json.loads(office.lines[0]).items() if k not in ("parent", "level", "grant", "root")}
        )
        assert code(office.release(tmp_path / "older", "older", "survey")) == 0
        folder = again(tree().release(tmp_path / "first", "first", "survey"), old("level"))
        assert code(folder) == 23

    def test_above_its_cap(self, tmp_path: Path) -> None:
        office = tree()
        office.accounts["people"].held = Fraction(7, 32)
        assert code(office.release(tmp_path / "last", "last", "survey")) == 0
        verdict = verify(office.release(tmp_path / "more", "more", "survey"))
        assert said(verdict, 22, "holds more mu2 or delta than its cap")

    def test_zcdp_above_is_rounded_up_and_never_down(self) -> None:
        from dpsynth.verifier import charged

        third = {"mu2": "1/3", "delta": "0"}
        rho = Fraction(charged(third, "gdp", "zcdp")["rho"])
        assert 0 < rho - Fraction(1, 6) < Fraction(1, 2**60)
        assert (rho * 2**60).denominator == 1
        assert charged(third, "gdp", "gdp") == third


class TestGrants:
    @pytest.mark.parametrize(
        ("changes", "text"),
        [
            ({"added": {"rho": "1/16", "delta": "0"}}, "is not what was granted"),
            ({"policy": {"epsilon": "5", "delta": str(DELTA)}}, "is not what was granted"),
            ({"account": "another"}, "is not what was granted"),
            ({"parent": "another"}, "is not what was granted"),
            ({"level": "source"}, "is not what was granted"),
            ({"measure": "zcdp"}, "is not what was granted"),
            ({"entity": "household"}, "is not what was granted"),
            ({"column": None}, "is not what was granted"),
            ({"neighbours": "replace-one"}, "is not what was granted"),
            ({"reason": "new-people"}, "is not what was granted"),
        ],
    )
    def test_a_grant_for_something_else(self, tmp_path: Path, changes: Any, text: str) -> None:
        office = Office()
        office.add_root(people(), ["ana", "bo"])
        office.open(Account("survey", "organisation", None, "gdp", Fraction(1, 8), "3"), lies=changes)
        assert said(verify(office.release(tmp_path / "first", "first", "survey"), None), 22, text)

    @pytest.mark.parametrize(
        "change",
        [
            lambda ledger: ledger["grants"].pop(),
            lambda ledger: ledger["grants"].append(ledger["grants"][0]),
            lambda ledger: ledger["grants"].__setitem__(0, ledger["grants"][1]),
        ],
    )
    def test_other_grants_than_the_log_names(self, tmp_path: Path, change: Change) -> None:
        assert code(again(tree().release(tmp_path / "first", "first", "survey"), change)) == 21

    def test_one_grant_for_two_accounts(self, tmp_path: Path) -> None:
        office = tree()
        entry = json.loads(office.lines[-1])
        assert entry["kind"] == "open"
        office.lines[-1] = canonical({**entry, "grant": json.loads(office.lines[0])["grant"]})
        assert said(verify(office.release(tmp_path / "first", "first", "survey")), 21, "the grants are not those")

    @pytest.mark.parametrize(
        ("signers", "expected"),
        [
            (("ana", "bo"), 0),
            (("ana", "bo", "chi"), 0),
            (("bo", "chi"), 0),
            (("ana",), 26),
            (("ana", "engine"), 26),
            (("ana", "stranger"), 26),
            (("ana", "bo", "stranger"), 0),
        ],
    )
    def test_who_signed(self, tmp_path: Path, signers: tuple[str, ...], expected: int) -> None:
        office = Office()
        office.add_root(people(), ["ana", "bo"])
        office.open(Account("survey", "project", None, "gdp", Fraction(1, 8), "3"), signers)
        folder = settled(tmp_path, office)
        assert code(folder) == 0
        assert code(folder, office) == expected

    def test_a_grant_for_another_log(self, tmp_path: Path) -> None:
        office = Office()
        office.add_root(people(), ["ana", "bo"])
        lies = {"origin": Office(name="a second store").origin}
        office.open(Account("survey", "project", None, "gdp", Fraction(1, 8), "3"), lies=lies)
        folder = settled(tmp_path, office)
        for root in (None, office.root):
            assert said(verify(folder, root), 24, "the grant is for another log")

    def test_a_grant_of_the_future(self, tmp_path: Path) -> None:
        office = Office()
        office.add_root(people(), ["ana", "bo"])
        office.open(Account("survey", "project", None, "gdp", Fraction(1, 8), "3"), lies={"day": "2027-01-01"})
        folder = settled(tmp_path, office)
        assert code(folder, office, today="2026-12-31") == 26
        assert code(folder, office, today="2027-01-01") == 0

    def test_a_signature_that_is_none(self, tmp_path: Path) -> None:
        def change(ledger: Any) -> None:
            grant = json.loads(ledger["grants"][0])
            grant["signatures"][0]["sig"] = grant["signatures"][1]["sig"]
            ledger["grants"][0] = as_file(grant).decode()

        office = tree()
        folder = again(settled(tmp_path, office), change)
        shutil.rmtree(folder / "approvals")
        assert code(folder, office) == 20

    def test_a_grant_under_another_root(self, tmp_path: Path) -> None:
        office = Office()
        office.add_root(people(), ["ana", "bo"])
        root = "sha256:" + hex_of(b"another root")
        office.open(Account("survey", "project", None, "gdp", Fraction(1, 8), "3"), lies={"root": root})
        folder = settled(tmp_path, office)
        assert code(folder) == 0
        assert code(folder, office) == 26


def rooted(tmp_path: Path, *changes: Callable[[Office], object]) -> tuple[Office, Path]:
    """A released release, and an office whose root then went on."""
    office = approved(tmp_path)
    for change in changes:
        change(office)
    return office, tmp_path / "first"


class TestPeople:
    def test_two_people_are_enough_and_are_named(self, tmp_path: Path) -> None:
        office = approved(tmp_path)
        verdict = verify(tmp_path / "first", office.root)
        assert (verdict.failures, verdict.approved_by, verdict.state) == ((), ("ana", "bo"), "current")
        assert "approved by 2 of 2 officers: ana, bo" in verdict.notes
        assert "signed by engine-1, by version 1 of the root" in verdict.notes
        assert not any("not tied to any root" in note for note in verdict.notes)

    def test_a_pending_release_says_who_signed(self, tmp_path: Path) -> None:
        office = tree()
        folder = office.release(tmp_path / "first", "first", "survey")
        assert said(verify(folder, office.root), 26, "approved by 0 of 2 officers: nobody")
        office.decide(folder, "bo", log=False)
        verdict = verify(folder, office.root)
        assert said(verdict, 26, "approved by 1 of 2 officers: bo")
        assert verdict.approved_by == ("bo",)
        office.decide(folder, "chi", log=False)
        text = "approved by 2 of 2 officers: bo, chi, but not shown to be published: no status.dsse.json"
        assert said(verify(folder, office.root), 26, text)

    @pytest.mark.parametrize("published", [False, True])
    def test_a_rejection_is_not_undone_by_leaving_files_out(self, tmp_path: Path, published: bool) -> None:
        office = tree()
        folder = office.release(tmp_path / "first", "first", "survey")
        for word in ("approve", "reject"):
            for pen in ("ana", "bo"):
                office.decide(folder, pen, word)
        if published:
            office.publish(folder)
        assert verify(folder, office.root).exit_code == 26
        for path in (folder / "approvals").glob("reject-*"):
            path.unlink()
        verdict = verify(folder, office.root)
        assert verdict.exit_code == 26
        assert verdict.approved_by == (() if published else ("ana", "bo"))
        told = [(one.file, one.person, one.decision, one.counts) for one in verdict.decisions]
        assert (told[2:] == [("", "ana", "reject", True), ("", "bo", "reject", True)]) == published
        office.decide(folder, "ana", expires="2026-12-30", log=False)  # nor by one that the log does not have
        assert ("ana" in verify(folder, office.root).approved_by) != published

    def test_decisions_are_told_one_by_one(self, tmp_path: Path) -> None:
        office = tree()
        folder = office.release(tmp_path / "first", "first", "survey")
        paths = [office.decide(folder, "ana", log=False), office.decide(folder, "engine", log=False, person="engine-1")]
        found = {one.person: one for one in verify(folder, office.root).decisions}
        assert {one.file for one in found.values()} == {path.name for path in paths}
        assert (found["ana"].counts, found["ana"].why, found["ana"].keyid) == (True, "", Pen("ana").keyid)
        assert not found["engine-1"].counts
        assert "not a key of an officer" in found["engine-1"].why
        assert {one.counts for one in verify(folder).decisions} == {False}

    @pytest.mark.parametrize("person", ["ana, head of the office", "an\u0430", "a" * 65, "", "ana does not count: x"])
    def test_a_person_is_named_as_in_a_root(self, tmp_path: Path, person: str) -> None:
        office = tree()
        folder = office.release(tmp_path / "first", "first", "survey")
        office.decide(folder, "ana", log=False, person=person)
        assert code(folder) == code(folder, office) == 23

    @pytest.mark.parametrize(("shown", "expected"), [(None, 26), ("before", 26), ("after", 0)])
    @pytest.mark.parametrize("thresholds", [(2, 3), (3, 2)])
    def test_the_root_of_the_day_says_how_many(
        self, tmp_path: Path, shown: str | None, expected: int, thresholds: tuple[int, int]
    ) -> None:
        """Which one that was the log may show: before the release, or only after it. Otherwise the stricter counts."""
        office = Office()
        office.add_root(people(), ["ana", "bo", "chi"], threshold=thresholds[0])
        office.open(Account("survey", "project", None, "gdp", Fraction(1, 8), "3"), ("ana", "bo", "chi"))
        folder = office.release(tmp_path / "first", "first", "survey")
        first, line = office.root_digest, 0
        office.add_root(people(), ["ana", "bo", "chi"], threshold=thresholds[1])
        for pen in ("ana", "bo"):
            office.decide(folder, pen, root=first)
        if shown == "before":
            office.set_root("survey")
            line = len(office.lines) - 1
        office.publish(folder)
        if shown == "after":
            office.set_root("survey")
            line = len(office.lines) - 1
        office.after["first"] = sorted([*office.after["first"], *([line] if shown else [])])
        office.renew(folder)
        if thresholds == (3, 2):
            expected = {None: 26, "before": 0, "after": 26}[shown]
        assert code(folder, office) == expected

    def test_one_person_with_two_keys_counts_once(self, tmp_path: Path) -> None:
        office = Office()
        ana = Person("ana", "officer", {"ana": "2030-01-01", "ana-2": "2030-01-01"})
        office.add_root([ana, *people()[1:]], ["ana", "bo"])
        office.open(Account("survey", "project", None, "gdp", Fraction(1, 8), "3"))
        folder = office.release(tmp_path / "first", "first", "survey")
        office.decide(folder, "ana", log=False)
        office.decide(folder, "ana-2", log=False, person="ana")
        assert said(verify(folder, office.root), 26, "approved by 1 of 2 officers: ana")

    def test_one_key_under_two_ids(self, tmp_path: Path) -> None:
        """In an envelope, and in a root: a key has one id, the hash of its bytes."""
        office = tree()
        folder = office.release(tmp_path / "first", "first", "survey")
        path = office.decide(folder, "ana", log=False)
        value = json.loads(path.read_bytes())
        copy = {**value["signatures"][0], "keyid": "f" * 64}
        path.write_bytes(as_file({**value, "signatures": [*value["signatures"], copy]}))
        assert code(folder, office) == 20
        path.unlink()
        path = path.with_name(f"approve-{'f' * 16}.dsse.json")
        path.write_bytes(as_file({**value, "signatures": [copy]}))
        assert code(folder, office) == 25
        two = Office()
        twin = people()[0].told()
        two.add_root(people(), ["ana", "bo"], people=[person.told() for person in people()] + [{**twin, "id": "zoe"}])
        assert said(verify(folder, two.root), 25, "a key is named twice")
        twin["keys"][0]["keyid"] = "f" * 64
        three = Office()
        three.add_root(people(), ["ana", "bo"], people=[person.told() for person in people()] + [{**twin, "id": "zoe"}])
        assert said(verify(folder, three.root), 25, "a key id is not the SHA-256 of its key")

    def test_the_analysts_own_approval_never_counts(self, tmp_path: Path) -> None:
        """By the engine's key, which is no officer's; acceptance test 9 has another key of the same person."""
        office = tree()
        folder = office.release(tmp_path / "first", "first", "survey")
        office.decide(folder, "ana", log=False)
        office.decide(folder, "engine", log=False, person="engine-1")
        verdict = verify(folder, office.root)
        assert said(verdict, 26, "approved by 1 of 2 officers: ana")
        assert any("engine-1 does not count" in note for note in verdict.notes)

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"person": "chi"}, 26),
            ({"root": "sha256:" + "0" * 64}, 26),
            ({"expires": "2026-11-22"}, 26),
            ({"release": "another"}, 21),
            ({"ledger": "sha256:" + "0" * 64}, 21),
            ({"data": "sha256:" + "0" * 64}, 21),
            ({"version": 2}, 23),
            ({"more": 1}, 23),
            ({"reason": "legal"}, 23),
            ({"decision": "veto"}, 23),
            ({"conditions": None}, 23),
        ],
    )
    def test_an_approval_of_something_else(self, tmp_path: Path, changes: Any, expected: int) -> None:
        office = tree()
        folder = office.release(tmp_path / "first", "first", "survey")
        office.decide(folder, "ana", log=False)
        path = office.decide(folder, "bo", log=False)
        value = opened(path.read_bytes())
        value["predicate"].update(changes)
        path.write_bytes(as_file(seal(canonical(value), [Pen("bo")])))
        assert code(folder, office, today="2026-11-30") == expected

    def test_an_approval_replayed_on_another_release(self, tmp_path: Path) -> None:
        office = approved(tmp_path)
        other = office.release(tmp_path / "other", "other", "survey")
        shutil.copytree(tmp_path / "first" / "approvals", other / "approvals")
        assert said(verify(other, office.root), 21, "was signed for other files")

    def test_data_swapped_after_approval(self, tmp_path: Path) -> None:
        """Also when the engine signs the new data: the approvals are of the old."""
        office = approved(tmp_path)
        folder = tmp_path / "first"
        (folder / "data.parquet").write_bytes(b"other rows\n")
        assert code(folder, office) == 21
        path = folder / "ledger.dsse.json"
        value = opened(path.read_bytes())
        for subject in value["subject"]:
            if subject["name"] == "data.parquet":
                subject["digest"]["sha256"] = hex_of(b"other rows\n")
        path.write_bytes(as_file(seal(canonical(value), [Pen("engine")])))
        assert said(verify(folder, office.root), 21, "was signed for other files")
        (folder / "status.dsse.json").unlink()
        assert said(verify(folder, office.root), 21, "was signed for other files")

    def test_an_approval_in_force_when_released_stays_one(self, tmp_path: Path) -> None:
        office = approved(tmp_path)
        assert code(tmp_path / "first", office, today="2029-01-01") == 0
        (tmp_path / "first" / "status.dsse.json").unlink()
        assert code(tmp_path / "first", office, today="2029-01-01") == 26
        verdict = verify(tmp_path / "first", office.root, today="2026-11-23")
        assert said(verdict, 26, "approved by 2 of 2 officers: ana, bo, but not shown to be published")

    @pytest.mark.parametrize("last", ["approve", "reject"])
    def test_the_last_word_counts(self, tmp_path: Path, last: str) -> None:
        office = tree()
        folder = office.release(tmp_path / "first", "first", "survey")
        words = ["approve", "reject"] if last == "reject" else ["reject", "approve"]
        for word in words:
            office.decide(folder, "ana", word)
            office.decide(folder, "bo", word)
        office.publish(folder)
        assert code(folder, office) == (0 if last == "approve" else 26)

    def test_rejected(self, tmp_path: Path) -> None:
        office = tree()
        folder = office.release(tmp_path / "first", "first", "survey")
        for pen in ("ana", "bo", "chi"):
            office.decide(folder, pen, "reject" if pen != "chi" else "approve", log=False)
        verdict = verify(folder, office.root)
        assert {text[:4] for text in verdict.failures} == {"[26]", "[12]"}
        assert "rejected by ana, bo" in "".join(verdict.failures)
        office.decide(folder, "bo", log=False)
        assert not verify(folder, office.root).ok

    @pytest.mark.parametrize(
        ("name", "data"),
        [
            ("notes.txt", b"x"),
            ("approve-1.dsse.json", b"{}"),
            ("veto-0123456789abcdef.dsse.json", b"{}"),
            ("APPROVE-0123456789abcdef.dsse.json", b"{}"),
            ("approve-0123456789abcdef.dsse.json~", b"{}"),
        ],
    )
    def test_approvals_holds_approvals_alone(self, tmp_path: Path, name: str, data: bytes) -> None:
        office = approved(tmp_path)
        folder = tmp_path / "first"
        (folder / "approvals" / name).write_bytes(data)
        assert code(folder) == code(folder, office) == 21
        (folder / "approvals" / name).unlink()
        (folder / "approvals" / name).mkdir()
        assert code(folder) == code(folder, office) == 21

    def test_an_approval_or_its_folder_behind_a_link(self, tmp_path: Path) -> None:
        office = approved(tmp_path)
        folder = tmp_path / "first"
        path = next((folder / "approvals").iterdir())
        shutil.move(path, tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
        assert code(folder, office) == 21
        path.unlink()
        shutil.move(tmp_path / "elsewhere", path)
        assert code(folder, office) == 0
        shutil.move(folder / "approvals", tmp_path / "approvals")
        (folder / "approvals").symlink_to(tmp_path / "approvals")
        assert code(folder) == code(folder, office) == 21

    def test_an_approval_under_anothers_name(self, tmp_path: Path) -> None:
        office = approved(tmp_path)
        path = next((tmp_path / "first" / "approvals").iterdir())
        path.rename(path.with_name("approve-0123456789abcdef.dsse.json"))
        assert code(tmp_path / "first", office) == 20

    def test_status_and_approvals_lie_beside_no_ledger_of_version_1(self, tmp_path: Path) -> None:
        from tests.verifier.build import build_release

        folder = build_release(tmp_path / "release")
        (folder / "approvals").mkdir()
        assert code(folder) == 21
        (folder / "approvals").rmdir()
        (folder / "status.dsse.json").write_bytes(b"{}\n")
        assert code(folder) == 21
        (folder / "status.dsse.json").unlink()
        assert code(folder, fresh=True) == 14
        assert code(folder, tree()) == 26


class TestHowLongADecisionWaits:
    @pytest.mark.parametrize("decision", ["approve", "reject", "withdraw"])
    @pytest.mark.parametrize(
        ("expires", "code"),
        [("2026-11-22", 0), ("2027-11-23", 0), ("2027-11-24", 23), ("2026-11-21", 23), ("9999-12-31", 23)],
    )
    def test_at_most_a_year_and_a_day(self, tmp_path: Path, decision: str, expires: str, code: int) -> None:
        """As the engine, which reads no other: 366 days from the day that it was signed."""
        office = approved(tmp_path)
        folder = tmp_path / "first"
        office.decide(folder, "chi", decision, expires=expires, log=False)
        verdict = verify(folder, office.root, today=office.day)
        assert (verdict.exit_code, verdict.epsilon == "infinity") == (code, code != 0)
        assert any("counts for more than 366 days, or for none" in text for text in verdict.failures) == (code != 0)


class TestKeys:
    """A key counts until its day, and once revoked up to a size of each log."""

    def test_the_engines_key_expired(self, tmp_path: Path) -> None:
        office = Office()
        office.add_root([*people()[:3], Person("engine-1", "engine", {"engine": "2026-11-21"})], ["ana", "bo"])
        office.open(Account("survey", "project", None, "gdp", Fraction(1, 8), "3"))
        assert said(verify(settled(tmp_path, office), office.root), 25, "had expired by 2026-11-22")

    def test_the_root_expired(self, tmp_path: Path) -> None:
        office = Office()
        office.add_root(people(), ["ana", "bo"], expires="2026-11-21")
        office.open(Account("survey", "project", None, "gdp", Fraction(1, 8), "3"))
        assert code(settled(tmp_path, office), office) == 25

    def test_an_officers_key_expired(self, tmp_path: Path) -> None:
        office = Office()
        ana = Person("ana", "officer", {"ana": "2026-11-22"})
        office.add_root([ana, *people()[1:]], ["ana", "bo"])
        office.open(Account("survey", "project", None, "gdp", Fraction(1, 8), "3"))
        folder = settled(tmp_path, office)
        assert verify(folder, office.root, today="2026-11-22").approved_by == ("ana", "bo")
        assert verify(folder, office.root, today="2026-11-23").approved_by == ("bo",)  # in no log: judged today
        for pen in ("ana", "bo"):
            office.decide(folder, pen)
        office.publish(folder)
        assert code(folder, office, today="2026-11-23") == 0

    @pytest.mark.parametrize(("origins", "expected"), [("before", 25), ("upto", 0), ("none", 25), ("other", 25)])
    def test_the_engines_key_revoked(self, tmp_path: Path, origins: str, expected: int) -> None:
        """What a log recorded up to the size named stays, once the new key says how it stands: acceptance test 14."""
        office = approved(tmp_path)
        limits = {
            "before": {office.origin: office.heads[-1] - 1},
            "upto": {office.origin: len(office.lines)},
            "none": {},
            "other": {"dpsynth.log/" + "0" * 32: 10**6},
        }[origins]
        new = [*people()[:3], Person("engine-1", "engine", {"engine-new": "2030-01-01"})]
        office.add_root(new, ["ana", "bo"], gone=[("engine", limits)])
        assert said(verify(tmp_path / "first", office.root), 25, "it was revoked")
        office.renew(tmp_path / "first", Pen("engine-new"))
        assert code(tmp_path / "first", office) == expected

    @pytest.mark.parametrize("size", ["then", "now"])
    def test_a_stolen_key_signs_no_status(self, tmp_path: Path, size: str) -> None:
        """Revoked up to a size of the log, it would say itself of which size the log of its status is."""
        office = approved(tmp_path)
        folder, lines = tmp_path / "first", office.lines[:]
        new = [*people()[:3], Person("engine-1", "engine", {"engine-new": "2030-01-01"})]
        office.add_root(new, ["ana", "bo"], gone=[("engine", {office.origin: len(lines)})])
        office.set_root("office")
        if size == "then":
            office.lines = lines
        office.renew(folder, Pen("engine"), issued="2027-06-01", expires="2027-07-01")
        for fresh in (True, False):
            verdict = verify(folder, office.root, fresh=fresh, today="2027-06-15")
            assert said(verdict, 25, "the key that signed the status does not count: it was revoked")

    def test_a_key_past_its_day_signs_no_fresh_status(self, tmp_path: Path) -> None:
        """Whoever has it may write any day: the status of then is enough, unless it must be fresh."""
        office = Office()
        office.add_root([*people()[:3], Person("engine-1", "engine", {"engine": "2026-12-01"})], ["ana", "bo"])
        office.open(Account("survey", "project", None, "gdp", Fraction(1, 8), "3"))
        approved(tmp_path, office=office)
        assert code(tmp_path / "first", office, today="2026-12-01", fresh=True) == 0
        assert code(tmp_path / "first", office, today="2026-12-02") == 0
        assert code(tmp_path / "first", office, today="2026-12-02", fresh=True) == 25

    def test_what_a_revoked_engine_signs_later(self, tmp_path: Path) -> None:
        office = approved(tmp_path)
        limits = {office.origin: len(office.lines)}
        new = [*people()[:3], Person("engine-1", "engine", {"engine-new": "2030-01-01"})]
        office.add_root(new, ["ana", "bo"], gone=[("engine", limits)])
        office.set_root("office")
        later = office.release(tmp_path / "later", "later", "survey")
        for pen in ("ana", "bo"):
            office.decide(later, pen)
        office.publish(later)
        assert said(verify(later, office.root), 25, "it was revoked")
        office.engine = Pen("engine-new")
        fine = office.release(tmp_path / "fine", "fine", "survey")
        for pen in ("ana", "bo"):
            office.decide(fine, pen)
        office.publish(fine)
        assert verify(fine, office.root).failures == ()
        office.renew(tmp_path / "first")
        assert verify(tmp_path / "first", office.root, fresh=True, today="2026-12-01").failures == ()
        assert said(verify(tmp_path / "first"), 25, "another key signed the status")

    @pytest.mark.parametrize(("upto", "expected"), [(True, 0), (False, 26)])
    def test_an_officers_key_revoked(self, tmp_path: Path, upto: bool, expected: int) -> None:
        office = approved(tmp_path)
        limits = {office.origin: len(office.lines)} if upto else {}
        new = [Person("ana", "officer", {"ana-new": "2030-01-01"}), *people()[1:]]
        office.add_root(new, ["bo", "chi"], gone=[("ana", limits)])
        assert code(tmp_path / "first", office) == expected

    def test_a_key_that_is_merely_left_out_counts_nowhere(self, tmp_path: Path) -> None:
        office = approved(tmp_path)
        office.add_root(people()[1:], ["bo", "chi"], threshold=1)
        assert code(tmp_path / "first", office) == 26

    def test_a_signer_that_the_root_does_not_know(self, tmp_path: Path) -> None:
        office = approved(tmp_path)
        folder = again(tmp_path / "first", lambda ledger: None, Pen("stranger"))
        assert verify(folder, office.root).exit_code in (24, 25)
        office.engine = Pen("stranger")
        other = settled(tmp_path, office, "other")
        assert said(verify(other, office.root), 25, "not the root's")

    def test_an_officer_is_no_engine(self, tmp_path: Path) -> None:
        office = tree()
        office.engine = Pen("chi")
        assert said(verify(settled(tmp_path, office), office.root), 25, "not a key of an engine")


class TestRoot:
    """The chain of versions, as in The Update Framework."""

    @pytest.mark.parametrize(
        ("signers", "expected"),
        [(("ana", "bo"), 0), (("ana", "bo", "chi"), 0), (("ana",), 26), (("ana", "engine"), 25), (("ana", "zoe"), 25)],
    )
    def test_the_first_version(self, tmp_path: Path, signers: tuple[str, ...], expected: int) -> None:
        office = tree()
        folder = settled(tmp_path, office)
        office.root_file[0] = seal(
            canonical(opened(canonical(office.root_file[0]))),
            map(Pen, signers),
            "application/vnd.dpsynth.root+json",
        )
        assert code(folder, office) == expected

    @pytest.mark.parametrize(
        ("signers", "expected"),
        [
            (("ana", "bo", "dora"), 0),
            (("ana", "bo"), 26),  # not enough of the new
            (("ana", "dora", "emil"), 26),  # nor of the old
            (("dora", "emil"), 26),
            (("ana", "bo", "dora", "stranger"), 25),
        ],
    )
    def test_the_next_is_signed_by_old_and_new(self, tmp_path: Path, signers: tuple[str, ...], expected: int) -> None:
        office = approved(tmp_path)
        new = [Person(name, "officer", {name: "2030-01-01"}) for name in ("ana", "dora", "emil")]
        gone = [("bo", {office.origin: len(office.lines)})]
        office.add_root([*new, people()[3]], signers, gone=gone)
        assert code(tmp_path / "first", office) == expected

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"version": 3}, 20),
            ({"version": 1}, 20),
            ({"previous": "sha256:" + "0" * 64}, 20),
            ({"previous": None}, 20),
            ({"threshold": 4}, 26),
            ({"threshold": 0}, 23),
            ({"more": 1}, 23),
            ({"revoked": [{"keyid": "0" * 64, "origins": {"x": 1}}]}, 23),
            ({"revoked": [{"keyid": "0" * 64, "origins": {"dpsynth.log/" + "0" * 32: -1}}]}, 23),
            ({"revoked": [{"keyid": "0" * 64, "origins": {}}] * 2}, 25),
            ({"revoked": [{"keyid": Pen("chi").keyid, "origins": {}}]}, 25),
            ({"people": [person.told() for person in [*people(), people()[0]]]}, 25),
            ({"people": [person.told() for person in [*people(), Person("ANA", "officer", {"x": "2030-01-01"})]]}, 25),
            ({"people": [person.told() for person in [*people(), Person("a\u0301", "officer", {})]]}, 23),
            ({"people": [Person("zoe", "officer", {"ana": "2030-01-01"}).told()], "threshold": 1}, 25),
        ],
    )
    def test_a_wrong_version(self, tmp_path: Path, changes: Any, expected: int) -> None:
        office = approved(tmp_path)
        office.add_root(people(), ["ana", "bo"], **changes)
        assert code(tmp_path / "first", office) == expected

    def test_a_revoked_key_does_not_come_back(self, tmp_path: Path) -> None:
        office = approved(tmp_path)
        limits = [("chi", {office.origin: 9})]
        office.add_root([*people()[:2], people()[3]], ["ana", "bo"], gone=limits)
        assert code(tmp_path / "first", office) == 0
        office.add_root(people(), ["ana", "bo"])
        assert code(tmp_path / "first", office) == 25

    def test_a_version_left_out_or_doubled(self, tmp_path: Path) -> None:
        office = approved(tmp_path)
        for _ in range(2):
            office.add_root(people(), ["ana", "bo"])
        assert code(tmp_path / "first", office) == 0
        for numbers in ((1, 2), (0, 2), (0, 0, 1), (0, 2, 1), ()):
            root = canonical({"roots": [office.root_file[number] for number in numbers]}) + b"\n"
            assert verify(tmp_path / "first", root).exit_code == 20

    @pytest.mark.parametrize(
        "data", [b"", b"\n", b"{}\n", b"[]\n", b'{"roots":[]}\n', b'{"roots":[1]}\n', b" " * 9, b"x" * (64 * 2**20 + 1)]
    )
    def test_no_root_at_all(self, tmp_path: Path, data: bytes) -> None:
        approved(tmp_path)
        assert verify(tmp_path / "first", data).exit_code == 20

    def test_another_organisations_root(self, tmp_path: Path) -> None:
        approved(tmp_path)
        other = Office()
        other.add_root(people(), ["ana", "bo"], name="Another office")
        assert said(verify(tmp_path / "first", other.root), 26, "its root is not in root.json")

    def test_a_root_that_is_older_than_the_release(self, tmp_path: Path) -> None:
        office = tree()
        old = office.root
        office.add_root(people(), ["ana", "bo"])
        office.set_root("office")
        folder = settled(tmp_path, office)
        assert code(folder, office) == 0
        assert verify(folder, old).exit_code == 26

    def test_the_log_went_back_to_an_older_root(self, tmp_path: Path) -> None:
        office = tree()
        first = office.root_file[:]
        office.add_root(people(), ["ana", "bo"])
        office.set_root("office")
        both, office.root_file = office.root_file, first
        office.set_root("office")
        folder = settled(tmp_path, office)
        office.root_file = both
        assert said(verify(folder, office.root), 24, "went back to an older root")


class TestStatus:
    def test_it_is_told(self, tmp_path: Path) -> None:
        office = approved(tmp_path)
        folder = tmp_path / "first"
        verdict = verify(folder, fresh=True, today="2026-12-31")
        assert (verdict.failures, verdict.state) == ((), "current")
        assert "status of 2026-11-22: current until 2026-12-31" in verdict.notes
        office.told(folder, "supersede", by="second")
        office.renew(folder)
        verdict = verify(folder, office.root)
        assert (verdict.failures, verdict.state) == ((), "superseded")
        office.withdraw(folder, "ana", "bo")
        verdict = verify(folder, office.root)
        assert said(verdict, 13, "the release was withdrawn (legal); what it spent stays spent")
        assert verdict.state == "withdrawn"
        assert said(verify(folder), 13, "the release was withdrawn")

    def test_old_or_missing_matters_where_it_is_asked_for(self, tmp_path: Path) -> None:
        office = approved(tmp_path)
        folder = tmp_path / "first"
        assert code(folder, office, today="2027-01-01") == 0
        assert code(folder, office, today="2027-01-01", fresh=True) == 14
        assert code(folder, office, today="2026-12-31", fresh=True) == 0
        (folder / "status.dsse.json").unlink()
        assert code(folder, today="2026-12-31", fresh=True) == 14
        assert code(folder, office, today="2026-12-31", fresh=True) == 26

    @pytest.mark.parametrize(
        ("issued", "expires", "expected"),
        [
            ("2026-11-22", "2026-11-23", 0),
            ("2026-11-22", "2027-11-23", 0),
            ("2026-11-22", "2027-11-24", 14),
            ("2026-11-22", "9999-12-31", 14),
            ("2026-11-24", "2026-12-01", 14),
            ("2026-11-24", "2026-11-23", 14),
            ("2026-11-22", "9999-99-99", 23),
            ("2026-02-30", "2026-12-01", 23),
            ("2026-11-22", "2026-W48-1", 23),
        ],
    )
    def test_its_days(self, tmp_path: Path, issued: str, expires: str, expected: int) -> None:
        office = approved(tmp_path)
        folder = tmp_path / "first"
        office.renew(folder, issued=issued, expires=expires)
        for root in (None, office):
            assert code(folder, root, fresh=True, today="2026-11-23") == expected
            assert code(folder, root, today="2026-11-23") == (expected if expected == 23 else 0)

    def test_a_decision_of_the_future(self, tmp_path: Path) -> None:
        office = tree()
        folder = office.release(tmp_path / "first", "first", "survey")
        office.decide(folder, "ana", day="2026-11-24")
        office.decide(folder, "bo")
        office.publish(folder)
        assert code(folder, office, today="2026-11-23") == 26
        assert code(folder, office, today="2026-11-24") == 0

    def test_withdrawn_by_officers_whatever_the_status(self, tmp_path: Path) -> None:
        """An old status put back does not hide two withdrawals that lie beside it; one alone is not enough."""
        office = approved(tmp_path)
        folder = tmp_path / "first"
        office.decide(folder, "ana", "withdraw")
        assert code(folder, office) == 0
        office.decide(folder, "chi", "withdraw")
        assert said(verify(folder, office.root), 13, "withdrawn by ana, chi")

    def test_an_old_status_put_back_expires(self, tmp_path: Path) -> None:
        office = approved(tmp_path)
        folder = tmp_path / "first"
        old = (folder / "status.dsse.json").read_bytes()
        office.withdraw(folder, "ana", "bo")
        assert code(folder, office) == 13
        shutil.rmtree(folder / "approvals")
        (folder / "status.dsse.json").write_bytes(old)
        assert code(folder, today="2027-01-01", fresh=True) == 14

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"state": "withdrawn", "reason": "legal"}, 22),
            ({"state": "superseded", "by": "x"}, 22),
            ({"by": "x"}, 22),
            ({"reason": "other"}, 22),
            ({"release": "another"}, 21),
            ({"ledger": "sha256:" + "0" * 64}, 21),
            ({"entries": []}, 24),
            ({"version": 2}, 23),
            ({"state": "fine"}, 23),
            ({"more": 1}, 23),
            ({"reason": "mood"}, 23),
        ],
    )
    def test_forged(self, tmp_path: Path, changes: Any, expected: int) -> None:
        office = approved(tmp_path)
        office.renew(tmp_path / "first", **changes)
        assert code(tmp_path / "first") == code(tmp_path / "first", office) == expected

    def test_hidden_withdrawal(self, tmp_path: Path) -> None:
        """The engine says current, and its own log says otherwise."""
        office = approved(tmp_path)
        office.told(tmp_path / "first", "withdraw", reason="legal", attestations=[])
        office.renew(tmp_path / "first", state="current", reason=None)
        assert said(verify(tmp_path / "first"), 22, "the status is not what its log says")

    def test_of_another_log_or_an_older_one(self, tmp_path: Path) -> None:
        office, other = approved(tmp_path), tree(name="another")
        folder = tmp_path / "first"
        other.release(tmp_path / "elsewhere" / "first", "first", "survey")
        other.after["first"] = []
        seqs = office.after["first"]
        log = office.head(seqs, len(office.lines), [office.heads[0]], office.engine)
        for lie in (
            {**log, "history": []},
            {**log, "history": log["history"] * 2},
            office.head(seqs, len(office.lines), [office.heads[0] - 1], office.engine),
            other.head([], len(other.lines), [other.heads[0]], other.engine),
            {**office.head([], office.heads[0] - 1, [], office.engine), "history": log["history"]},
        ):
            office.renew(folder, log=lie)
            assert code(folder, office) == 24

    def test_lines_of_another_release(self, tmp_path: Path) -> None:
        office = approved(tmp_path)
        folder = tmp_path / "first"
        approved(tmp_path, "second", office)
        office.after["first"] = office.after["second"]
        office.renew(folder)
        assert said(verify(folder), 21, "another ledger was released")
        office.after["first"] = [0]
        office.renew(folder)
        assert code(folder) == 23

    def test_never_released(self, tmp_path: Path) -> None:
        office = tree()
        folder = office.release(tmp_path / "first", "first", "survey")
        for pen in ("ana", "bo"):
            office.decide(folder, pen)
        office.renew(folder)
        assert said(verify(folder, office.root), 26, "was never approved by the store")

    def test_by_whom(self, tmp_path: Path) -> None:
        office = approved(tmp_path)
        folder = tmp_path / "first"
        office.renew(folder, Pen("stranger"))
        assert code(folder) == code(folder, office) == 25
        office.renew(folder, Pen("ana"))
        assert code(folder, office) == 25
        path = folder / "status.dsse.json"
        value = opened(path.read_bytes())
        path.write_bytes(as_file(seal(canonical(value), [Pen("engine")])))
        assert code(folder) == 20

    def test_of_an_ungoverned_release(self, tmp_path: Path) -> None:
        office = tree(governed=False)
        folder = office.release(tmp_path / "first", "first", "survey")
        office.renew(folder)
        assert code(folder, fresh=True, today="2026-12-01") == 0
        office.told(folder, "withdraw", reason="data-fault", attestations=[])
        office.renew(folder)
        assert code(folder) == 13


class TestTwoHistories:
    def test_of_one_log(self, tmp_path: Path) -> None:
        office = approved(tmp_path)
        approved(tmp_path, "second", office)
        approved(tmp_path, "third", office)
        for root in (None, office.root):
            verdicts = verify_all([tmp_path / name for name in ("third", "first", "second")], root)
            assert [verdict.exit_code for verdict in verdicts] == [0, 0, 0, 0]
        assert verify_all([tmp_path / "first", tmp_path / "first"])[-1].ok

    @pytest.mark.parametrize(("ours", "theirs"), [(3, 3), (3, 5), (5, 3)])
    def test_a_store_that_was_copied(self, tmp_path: Path, ours: int, theirs: int) -> None:
        """Acceptance test 8: both copies have released; neither log goes on from the other, of whatever sizes."""
        folders = [tmp_path / "a", tmp_path / "b"]
        for folder, name, questions in zip(folders, ("first", "other"), (ours, theirs), strict=True):
            tree().release(folder, name, "survey", questions)
        verdicts = verify_all(folders)
        assert [verdict.exit_code for verdict in verdicts] == [0, 0, 24]
        assert "two histories for people" in verdicts[-1].failures[0]

    def test_two_stores_that_spend_one_grant(self, tmp_path: Path) -> None:
        here, there = tree(), tree(name="a second store")
        here.release(tmp_path / "a", "first", "survey")
        there.release(tmp_path / "b", "second", "survey")
        verdicts = verify_all([tmp_path / "a", tmp_path / "b"])
        assert [verdict.exit_code for verdict in verdicts] == [0, 0, 24]

    def test_two_populations_of_one_root(self, tmp_path: Path) -> None:
        offices = [Office(name=name) for name in ("here", "there", "again")]
        for office, population in zip(offices, ("people", "firms", "people"), strict=True):
            office.add_root(people(), ["ana", "bo"])
            office.day = {"here": "2026-11-20", "there": "2026-11-21", "again": "2026-11-22"}[office.name]
            office.open(Account(population, "population", None, "gdp", Fraction(1, 8), "3"))
            office.release(tmp_path / office.name, office.name, population)
        assert verify_all([tmp_path / "here", tmp_path / "there"])[-1].ok
        assert said(verify_all([tmp_path / "here", tmp_path / "again"])[-1], 24, "two histories for people")

    def test_an_engine_that_forgets_what_was_spent(self, tmp_path: Path) -> None:
        """Its log only grows, and each release is within the cap: not all of them together."""
        office = tree()
        for number in range(6):
            approved(tmp_path, str(number), office)
            if number != 3:
                for one in office.accounts.values():
                    one.held = Fraction(0)
        verdicts = verify_all([tmp_path / name for name in "413025"], office.root)
        assert [verdict.exit_code for verdict in verdicts] == [0] * 6 + [22]
        texts = "".join(verdicts[-1].failures)
        assert "account survey holds less mu2 before release 1 than the releases given had paid: 0.03125" in texts
        assert "account office holds less rho before release 1" in texts
        assert "account survey paid more mu2 than its cap for the releases given" in texts

    def test_copies_under_two_names(self, tmp_path: Path) -> None:
        """Of a store that was brought along twice: the lines are the same, the origins are not."""
        one, two = (tree(governed=False, name=name) for name in ("one", "two"))
        two.lines = one.lines[:]
        for office in (one, two):
            office.release(tmp_path / office.name, office.name, "survey")
        verdict = verify_all([tmp_path / "one", tmp_path / "two"])[-1]
        assert said(verdict, 24, "two histories for people")

    def test_nothing_in_common(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            tree(governed=False, name=name).release(tmp_path / name, name, "survey")
        verdict = verify_all([tmp_path / "a", tmp_path / "b"])[-1]
        assert verdict.ok
        assert verdict.notes == ("releases a and b have logs of their own, and no budget in common",)

    def test_a_ledger_without_a_history(self, tmp_path: Path) -> None:
        from tests.verifier.build import build_release

        approved(tmp_path)
        verdicts = verify_all([tmp_path / "first", build_release(tmp_path / "old")])
        assert [verdict.exit_code for verdict in verdicts] == [0, 0, 24]

    def test_one_that_does_not_verify(self, tmp_path: Path) -> None:
        approved(tmp_path)
        verdicts = verify_all([tmp_path / "first", tmp_path / "nowhere"])
        assert [verdict.exit_code for verdict in verdicts] == [0, 21, 0]
        assert verdicts[-1].notes == ("a release that cannot be read was not compared",)


class TestSample:
    """A sample carries its parent's ledger; approvals and status are read beside it, or with the parent."""

    @pytest.fixture
    def sample(self, tmp_path: Path) -> Path:
        folder, parent = tmp_path / "sample", tmp_path / "first"
        self.office = approved(tmp_path)
        folder.mkdir()
        (folder / "data.parquet").write_bytes(b"more rows\n")
        (folder / "datapackage.json").write_bytes(b"{}\n")
        shutil.copy(parent / "ledger.dsse.json", folder / "parent.dsse.json")
        subjects = [{"name": p.name, "digest": {"sha256": hex_of(p.read_bytes())}} for p in sorted(folder.iterdir())]
        ledger = opened((parent / "ledger.dsse.json").read_bytes())
        model = next(one["digest"]["sha256"] for one in ledger["subject"] if one["name"] == "model.npz")
        digest = "sha256:" + hex_of((parent / "ledger.dsse.json").read_bytes())
        predicate = {
            "version": 1,
            "parent": {"release": "first", "envelope": digest, "model": f"sha256:{model}"},
            "sample": {"rows": 1, "seed": 1, "where": None, "rows_digest": digest, "day": "2026-11-23"},
            "signer": Pen("engine").told(),
            "software": {"name": "x", "version": "1"},
        }
        value = {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [one for one in subjects if one["name"] != "parent.dsse.json"],
            "predicateType": "urn:dpsynth:dp-derivation:v1",
            "predicate": predicate,
        }
        (folder / "derivation.dsse.json").write_bytes(as_file(seal(canonical(value), [Pen("engine")])))
        return folder

    def test_without_a_root(self, sample: Path) -> None:
        assert verify(sample).failures == ()

    def test_with_a_root(self, sample: Path, tmp_path: Path) -> None:
        root, parent = self.office.root, tmp_path / "first"
        assert said(verify(sample, root), 26, "approved by 0 of 2 officers")
        assert verify(sample, root, parent=parent).failures == ()
        shutil.copytree(parent / "approvals", sample / "approvals")
        shutil.copy(parent / "status.dsse.json", sample)
        assert verify(sample, root, fresh=True, today="2026-12-01").failures == ()
        self.office.withdraw(parent, "ana", "bo")
        assert verify(sample, root, parent=parent).exit_code == 13

    def test_of_a_key_that_expired(self, sample: Path, tmp_path: Path) -> None:
        office = self.office
        new = [*people()[:3], Person("engine-1", "engine", {"engine": "2026-11-22"})]
        office.add_root(new, ["ana", "bo"])
        assert said(verify(sample, office.root, parent=tmp_path / "first"), 25, "the key that signed the sample")
