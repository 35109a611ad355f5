"""What every store must do for accounts that officers govern, and for what they decide: inherited by StoreContract."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from dpsynth.accountant import Account, Accountant, Reservation
from dpsynth.accountant.store import AccountRow, EntryRow, GrantRow, Store, Writing
from dpsynth.errors import (
    ConfigurationError,
    DpsynthError,
    KeyRefused,
    SignatureInvalid,
    StoreDamaged,
    ThresholdNotMet,
    UnknownEntry,
)
from dpsynth.ledger import amount, leaf_hash, parse
from dpsynth.ledger.attestations import Grant
from dpsynth.ledger.drafts import new_root, next_root
from dpsynth.ledger.dsse import seal
from dpsynth.ledger.keys import SigningKey
from dpsynth.ledger.log import extends, includes, root_of
from dpsynth.ledger.people import Revocation
from dpsynth.ledger.trust import Trust
from dpsynth.privacy import GRID, Budget, Cost
from tests.ledger.office import ANA, BEN, CLEO, DORA, END, PEOPLE, key, person, signed

PLAN = "sha256:" + "a" * 64
ROOT = signed(new_root("office", END, 2, PEOPLE), ANA, BEN)
SMALL = Cost("gdp", Fraction(1, 1024))


def today(later: int = 0) -> str:
    return (datetime.now(UTC).date() + timedelta(days=later)).isoformat()


def digest(data: bytes) -> str:
    return "sha256:" + sha256(data).hexdigest()


def request(accountant: Accountant, account: str = "births", epsilon: str = "1", **changes: Any) -> Grant:
    """A grant for a store as it is asked for: by default what opens the population of births."""
    policy = Budget(epsilon, "1e-9")
    made = Grant(
        account, "population", None, policy.cost(), policy, "person", "id", "add-remove", "all births", "opening",
        "a first release", Trust.parse(ROOT).digest, accountant.origin,
        sha256(epsilon.encode()).hexdigest()[:32], today(),
    )  # fmt: skip
    return replace(made, **changes)


def more(accountant: Accountant, epsilon: str, account: str = "births", **changes: Any) -> Grant:
    """A grant that raises an account to what an epsilon gives."""
    opened = accountant.account(account)
    added = Budget(epsilon, "1e-9").cost(opened.measure) - opened.cap
    terms = {"account": account, "level": opened.level, "parent": opened.parent, "reason": "new-people"}
    return request(accountant, epsilon=epsilon, **{**terms, "added": added, **changes})


def by(grant: Grant, *keys: SigningKey) -> bytes:
    """The grant, signed; by two officers if nobody is named."""
    return seal(grant.statement(), keys or (ANA, BEN))


def open_births(accountant: Accountant, **changes: Any) -> Account:
    return accountant.open_account("births", grant=by(request(accountant, **changes)), trust=ROOT)


def open_map(accountant: Accountant, **changes: Any) -> Account:
    terms = {"level": "project", "parent": "births", **changes}
    return accountant.open_account("map", grant=by(request(accountant, "map", "1/2", **terms)))


def settle(accountant: Accountant, release: str = "r1", account: str = "map", cost: Cost = SMALL) -> Reservation:
    with accountant.reserve(account, release=release, plan=PLAN, cost=cost, quote=Budget("1", "1e-9")) as handle:
        handle.settle()
    return handle


def letter(text: str) -> bytes:
    """Some signed file."""
    return seal(text.encode(), [ANA])


def approve(accountant: Accountant, who: str, kind: Any = "approve", release: str = "r1", text: str = "") -> None:
    file = letter(f"{kind} {release} by {who} {text}")
    accountant.keep(digest(file), file)
    fields = {"attestation": digest(file), "by": who, "keyid": key(who).public.keyid}
    accountant.decide(release, kind, fields)


def state(accountant: Accountant, release: str = "r1") -> str:
    return accountant.story(release).state


def published(accountant: Accountant, release: str) -> None:
    """Two officers approve a settled release, and it is released."""
    for who in ("ana", "ben"):
        approve(accountant, who, release=release)
    accountant.decide(release, "release", {"ledger": PLAN, "approvals": []})


class GovernedContract:
    """Mixed into StoreContract."""

    @staticmethod
    def opener(place: Path) -> Store:
        raise NotImplementedError

    @pytest.fixture
    def office(self, tmp_path: Path) -> Any:
        with Accountant(self.opener(tmp_path)) as accountant:
            open_births(accountant)
            yield accountant

    # --- caps come from grants ----------------------------------------------------------------------------------------

    def test_a_governed_account_is_what_its_grant_says(self, office: Accountant) -> None:
        found, asked = office.account("births"), request(office)
        assert (found.entity, found.column, found.neighbours) == ("person", "id", "add-remove")
        assert (found.level, found.parent, found.measure) == ("population", None, "gdp")
        assert (found.policy, found.cap) == (Budget("1", "1e-9"), asked.added)
        assert found.governed
        assert found.root == Trust.parse(ROOT).digest
        line = parse(office.history("births")[0]).fields
        assert (line["grant"], line["root"]) == (asked.digest, found.root)
        assert office.attestation(asked.digest) == by(asked)
        assert office.trust("births") == Trust.parse(ROOT)
        assert open_births(office) == found, "opening again on the same terms changes nothing"
        below = open_map(office)
        assert (below.root, below.parent) == (found.root, "births")
        assert office.trust("map") == Trust.parse(ROOT)
        assert parse(office.history("map")[0]).fields["root"] is None
        assert len(office.history("births")) == 1

    def test_grants_raise_a_cap_and_nothing_else_does(self, office: Accountant) -> None:
        for epsilon in ("5/4", "3/2", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"):
            asked = more(office, epsilon)
            raised = office.grant("births", by(asked, BEN, CLEO))
            assert (raised.cap, raised.policy) == (Budget(epsilon, "1e-9").cost(), Budget(epsilon, "1e-9"))
            line = parse(office.history("births")[-1])
            assert line.kind == "grant"
            assert line.fields["added"] == amount(asked.added)
            assert line.fields["cap"] == amount(raised.cap)
            assert line.fields["reason"] == "new-people"
        assert open_births(office) == raised, "it is still the account that was opened"

    def test_a_policy_change_alone_moves_the_promise_too(self, office: Accountant) -> None:
        least = Cost("gdp", Fraction(1, GRID))
        asked = request(office, epsilon="2", added=least, reason="policy-change")
        raised = office.grant("births", by(asked))
        assert (raised.policy, raised.cap) == (Budget("2", "1e-9"), request(office).added + least)

    REFUSED: tuple[tuple[str, dict[str, Any], str], ...] = (
        ("another account", {"account": "deaths"}, "is for account 'deaths'"),
        ("another level", {"level": "source"}, "another level"),
        ("another parent", {"parent": "office"}, "another parent"),
        ("another entity", {"entity": "household"}, "another entity"),
        ("another column", {"column": None}, "another unit column"),
        ("another relation", {"neighbours": "replace-one"}, "another neighbours"),
        ("another measure", {"added": Cost("zcdp", Fraction(1, 64))}, "counts in gdp for ever"),
        ("for opening", {"reason": "opening"}, "open already"),
        ("another root", {"root": "sha256:" + "e" * 64}, "another version of the root"),
        ("another store", {"origin": "dpsynth.log/" + "5" * 32}, "a grant counts in one store"),
        ("of tomorrow", {"day": today(1)}, "a day to come"),
        ("too much", {"added": Budget("3", "1e-9").cost()}, "add up to more than the policy"),
        ("off the grid", {"added": Cost("gdp", Fraction(1, 3000))}, "multiples of 2\\^-60"),
        (
            "more delta",
            {"added": Cost("gdp", Fraction(1, 64), Fraction(GRID // 10**9 + 1, GRID))},
            "add up to more than the policy",
        ),
    )

    @pytest.mark.parametrize(("change", "word"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
    def test_a_grant_of_something_else_is_refused(self, office: Accountant, change: dict[str, Any], word: str) -> None:
        before = office.accounts(), office.history("births")
        with pytest.raises(ConfigurationError, match=word):
            office.grant("births", by(replace(more(office, "2"), **change)))
        assert (office.accounts(), office.history("births")) == before

    def test_a_grant_is_used_once(self, office: Accountant) -> None:
        with pytest.raises(ConfigurationError, match=r"used before"):
            office.grant("births", by(request(office)))
        asked = more(office, "2")
        office.grant("births", by(asked))
        before = office.account("births")
        for again in (by(asked), by(asked, BEN, CLEO), by(asked, ANA, BEN, CLEO)):
            with pytest.raises(ConfigurationError, match="used before"):
                office.grant("births", again)
        assert office.account("births") == before

    def test_a_grant_counts_in_one_store(self, office: Accountant, tmp_path: Path) -> None:
        """What officers gave once is not there again in a second store that the same people keep."""
        (tmp_path / "second").mkdir()
        with Accountant(self.opener(tmp_path / "second")) as second:
            with pytest.raises(ConfigurationError, match="a grant counts in one store") as caught:
                second.open_account("births", grant=by(request(office)), trust=ROOT)
            assert office.origin in str(caught.value)
            assert second.accounts() == ()
            assert open_births(second).cap == office.account("births").cap

    def test_a_grant_needs_enough_people(self, office: Accountant) -> None:
        asked = more(office, "2")
        stranger, engine = key("stranger"), key("engine")
        for keys in ((ANA,), (ANA, stranger), (ANA, engine), (stranger, engine)):
            with pytest.raises(ThresholdNotMet) as caught:
                office.grant("births", by(asked, *keys))
            assert caught.value.exit_code == 26
        with pytest.raises(ThresholdNotMet):
            office.grant("births", seal(asked.statement(), []))
        forged = by(asked).replace(b'"keyid":"' + ANA.public.keyid.encode(), b'"keyid":"' + CLEO.public.keyid.encode())
        with pytest.raises((SignatureInvalid, UnknownEntry)):
            office.grant("births", forged)
        with pytest.raises((SignatureInvalid, UnknownEntry)):
            office.grant("births", b"{}\n")
        assert office.account("births").cap == request(office).added
        office.grant("births", by(asked, ANA, stranger, CLEO))

    def test_two_keys_of_one_person_are_one_person(self, tmp_path: Path) -> None:
        people = (person("ana", ANA, key("ana-2")), *PEOPLE[1:])
        root = signed(new_root("office", END, 2, people), ANA, BEN)
        with Accountant(self.opener(tmp_path)) as accountant:
            asked = request(accountant, root=Trust.parse(root).digest)
            with pytest.raises(ThresholdNotMet):
                accountant.open_account("births", grant=by(asked, ANA, key("ana-2")), trust=root)
            assert accountant.accounts() == ()
            accountant.open_account("births", grant=by(asked, key("ana-2"), BEN), trust=root)

    def test_expired_keys_and_roots_count_for_nothing(self, tmp_path: Path) -> None:
        people = (person("ana", expires=today(-1)), *PEOPLE[1:])
        root = signed(new_root("office", END, 2, people), ANA, BEN)
        old = signed(new_root("office", today(-1), 2, PEOPLE), ANA, BEN)
        with Accountant(self.opener(tmp_path)) as accountant:
            with pytest.raises(ThresholdNotMet):
                accountant.open_account(
                    "births", grant=by(request(accountant, root=Trust.parse(root).digest)), trust=root
                )
            with pytest.raises(KeyRefused, match="expired"):
                accountant.open_account(
                    "births", grant=by(request(accountant, root=Trust.parse(old).digest)), trust=old
                )
            assert accountant.accounts() == ()

    def test_how_an_account_is_governed_is_settled_at_the_top(self, office: Accountant) -> None:
        unit: dict[str, Any] = {"entity": "person", "column": "id", "neighbours": "add-remove"}
        budget = Budget("1", "1e-9")
        office.open_account("free", **unit, budget=budget, level="population")
        below = by(request(office, "map", "1/2", level="project", parent="births"))
        calls: list[tuple[Callable[[], object], str]] = [
            (lambda: office.open_account("x", **unit, budget=budget, trust=ROOT), "its cap comes from a grant"),
            (lambda: office.open_account("x", **unit, budget=budget, parent="births"), "needs a grant"),
            (lambda: office.open_account("map", grant=below, trust=ROOT), "whose root holds for it"),
            (lambda: office.open_account("deaths", grant=by(request(office, "deaths"))), "has a grant and no officers"),
            (
                lambda: office.open_account(
                    "map", grant=by(request(office, "map", "1/2", level="project", parent="free"))
                ),
                "has a grant and no officers",
            ),
            (lambda: office.open_account("other", grant=below), "another name"),
            (lambda: office.open_account("map", grant=below, entity="household"), "another entity"),
            (lambda: office.open_account("map", grant=below, budget=budget), "another policy"),
            (lambda: office.open_account("y", **unit), "needs a budget"),
            (lambda: office.open_account("births", **unit, budget=budget, level="population"), "another grant"),
            (lambda: office.grant("free", by(more(office, "2", "free"))), "opened without officers"),
            (lambda: office.set_root("free", ROOT), "no root of its own"),
            (
                lambda: office.open_account(
                    "map",
                    grant=by(request(office, "map", "1/2", level="project", parent="births", reason="new-people")),
                ),
                "opens no account",
            ),
        ]
        for call, word in calls:
            with pytest.raises(ConfigurationError, match=word):
                call()
        assert [account.name for account in office.accounts()] == ["births", "free"]
        assert office.trust("free") is None
        assert not office.account("free").governed

    def test_the_database_lets_a_cap_move_by_grants_alone(self, tmp_path: Path) -> None:
        store = self.opener(tmp_path)
        with Accountant(store) as accountant:
            open_births(accountant)
            terms: dict[str, Any] = {"entity": "person", "neighbours": "add-remove", "budget": Budget("1", "1e-9")}
            accountant.open_account("free", **terms)
            free, least = digest(b"another"), Cost("gdp", Fraction(1, GRID))
            for row in (
                GrantRow(0, "births", free, least),  # a line that has its grant
                GrantRow(1, "births", free, least),  # another account's line
                GrantRow(1, "free", free, least),  # a cap that was fixed
                GrantRow(7, "births", free, least),  # no line
            ):
                with pytest.raises(DpsynthError):
                    store.write(lambda tx, row=row: tx.grant(row))  # type: ignore[misc]

            def twice(tx: Writing) -> None:
                seq, before = tx.head()
                tx.append(EntryRow(seq, "births", None, tx.log_of_account("births")[0].line, bytes(32), before))
                tx.grant(GrantRow(seq, "births", request(accountant).digest, least))

            with pytest.raises(DpsynthError):
                store.write(twice)
            row = AccountRow("sold", None, SMALL, Cost.nothing("gdp"))

            def sold(tx: Writing) -> None:
                tx.add_account(row)
                seq, before = tx.head()
                tx.append(EntryRow(seq, "sold", None, b"{}", bytes(32), before))
                tx.grant(GrantRow(seq, "sold", free, least))

            with pytest.raises(DpsynthError):
                store.write(sold)
            assert accountant.account("births").cap == request(accountant).added

    # --- roots --------------------------------------------------------------------------------------------------------

    def test_the_next_root_takes_over_for_the_whole_tree(self, office: Accountant) -> None:
        open_map(office)
        first = Trust.parse(ROOT)
        people = (*PEOPLE[:2], person("dora"), PEOPLE[3])
        gone = [Revocation(CLEO.public.keyid, {})]
        second = signed(next_root(first, expires=END, people=people, revoked=gone), ANA, BEN, DORA)
        third = signed(next_root(Trust.parse(second), expires=END), ANA, DORA)
        asked = more(office, "2")
        for data, word in (
            (third, "version that follows"),
            (signed(new_root("other", END, 1, PEOPLE), BEN), "follows"),
        ):
            with pytest.raises(ConfigurationError, match=word):
                office.set_root("births", data)
        with pytest.raises(ConfigurationError, match="no root of its own"):
            office.set_root("map", second)
        changed = office.set_root("births", second)
        assert changed.root == Trust.parse(second).digest == office.account("map").root
        assert office.set_root("births", second) == changed
        assert [parse(line).kind for line in office.history("births")] == ["open", "root"]
        assert parse(office.history("births")[1]).fields == {"root": changed.root, "version": 2}
        with pytest.raises(ConfigurationError, match="another version of the root"):
            office.grant("births", by(asked))
        with pytest.raises(ThresholdNotMet):
            office.grant("births", by(replace(asked, root=changed.root), ANA, CLEO))
        assert (
            office.grant("births", by(replace(asked, root=changed.root), ANA, DORA)).cap == Budget("2", "1e-9").cost()
        )
        office.set_root("births", third)
        trust = office.trust("map")
        assert trust is not None
        assert trust.newest.version == 3

    # --- decisions ----------------------------------------------------------------------------------------------------

    def test_enough_people_approve_then_it_is_released_and_withdrawn(self, office: Accountant) -> None:
        open_map(office)
        settle(office)
        with pytest.raises(ConfigurationError, match="'r1' is SETTLED"):
            office.decide("r1", "release", {"ledger": PLAN, "approvals": []})
        approve(office, "ana")
        approve(office, "ana")
        approve(office, "ana", text="again")
        assert state(office) == "SETTLED"
        approve(office, "ben")
        assert state(office) == "APPROVED"
        approve(office, "cleo")
        files = [parse(line).fields["attestation"] for line in office.story("r1").after]
        assert len(files) == 4, "the same decision is not written twice"
        for turn in range(2):
            office.decide("r1", "release", {"ledger": PLAN, "approvals": files})
            assert (state(office), turn) == ("RELEASED", turn)
        settle(office, "r2")
        with pytest.raises(ConfigurationError, match="needs it to be RELEASED"):
            office.decide("r2", "supersede", {"by": "r1"})
        for wrong in ("r1", "r9"):
            with pytest.raises(ConfigurationError, match="another release that is published"):
                office.decide("r1", "supersede", {"by": wrong})
        with pytest.raises(ConfigurationError, match="another release that is published, not 'r2'"):
            office.decide("r1", "supersede", {"by": "r2"})
        published(office, "r2")
        terms: dict[str, Any] = {"entity": "person", "neighbours": "add-remove", "budget": Budget("1", "1e-9")}
        office.open_account("free", **terms)
        settle(office, "r3", "free")
        office.decide("r3", "release", {"ledger": PLAN, "approvals": []})
        for old, new in (("r1", "r3"), ("r3", "r1")):
            with pytest.raises(ConfigurationError, match="only a release of the same tree"):
                office.decide(old, "supersede", {"by": new})
        office.decide("r1", "supersede", {"by": "r2"})
        assert state(office) == "SUPERSEDED"
        office.decide("r1", "withdraw", {"reason": "data-fault", "attestations": files[:2]})
        assert state(office) == "WITHDRAWN"
        assert office.account("births").held == SMALL + SMALL, "what was spent stays spent"
        with pytest.raises(ConfigurationError, match="'r1' is WITHDRAWN"):
            approve(office, "dora")
        kinds = [parse(line).kind for line in office.story("r1").after]
        assert kinds == ["approve"] * 4 + ["release", "supersede", "withdraw"]

    def test_enough_people_reject_and_it_stays_charged(self, office: Accountant) -> None:
        open_map(office)
        settle(office)
        approve(office, "ana")
        approve(office, "ben", "reject")
        assert state(office) == "SETTLED"
        approve(office, "ana", "reject")
        assert state(office) == "REJECTED"
        assert office.account("map").held == SMALL
        for name in ("map", "births"):
            assert office.account(name).attempts.rejected == 1
        with pytest.raises(ConfigurationError, match="'r1' is REJECTED"):
            approve(office, "cleo")
        assert office.settled("r1")

    def test_the_last_word_of_each_person_counts(self, office: Accountant) -> None:
        open_map(office)
        settle(office)
        approve(office, "ana")
        approve(office, "ana", "reject")
        approve(office, "ben")
        assert state(office) == "SETTLED"
        approve(office, "cleo")
        assert state(office) == "APPROVED"
        approve(office, "cleo", "reject", text="second thoughts")
        assert state(office) == "REJECTED"

    def test_a_decision_is_made_by_an_officer_s_own_key(self, office: Accountant) -> None:
        open_map(office)
        settle(office)
        office.keep(digest(letter("x")), letter("x"))
        for who, owner in (("ana", "ben"), ("engine", "engine"), ("stranger", "stranger"), ("ana", "engine")):
            fields = {"attestation": digest(letter("x")), "by": who, "keyid": key(owner).public.keyid}
            with pytest.raises(KeyRefused) as caught:
                office.decide("r1", "approve", fields)
            assert caught.value.exit_code == 25
        fields = {"attestation": digest(b"y"), "by": "ana", "keyid": ANA.public.keyid}
        with pytest.raises(ConfigurationError, match="keep it first"):
            office.decide("r1", "approve", fields)
        with pytest.raises(ConfigurationError, match="decision 'amend'"):
            office.decide("r1", "amend", {})  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match="no release 'r9'"):
            approve(office, "ana", release="r9")
        with pytest.raises(ValueError, match="surplus"):
            office.decide("r1", "approve", {**fields, "attestation": digest(letter("x")), "surplus": 1})
        assert office.story("r1").after == ()

    def test_an_open_release_is_not_decided_upon(self, office: Accountant) -> None:
        open_map(office)
        office.reserve("map", release="r1", plan=PLAN, cost=SMALL, quote=Budget("1", "1e-9")).close()
        with pytest.raises(ConfigurationError, match="'r1' is RESERVED"):
            approve(office, "ana")

    def test_without_officers_a_release_is_out_when_it_is_settled(self, tmp_path: Path) -> None:
        terms: dict[str, Any] = {"entity": "person", "neighbours": "add-remove", "budget": Budget("1", "1e-9")}
        with Accountant(self.opener(tmp_path)) as accountant:
            accountant.open_account("free", **terms)
            for release in ("r1", "r2", "r3"):
                settle(accountant, release, "free")
            with pytest.raises(ConfigurationError, match="opened without officers"):
                approve(accountant, "ana")
            accountant.decide("r1", "supersede", {"by": "r2"})
            accountant.decide("r2", "withdraw", {"reason": "legal", "attestations": []})
            accountant.decide("r3", "release", {"ledger": PLAN, "approvals": []})
            assert [state(accountant, name) for name in ("r1", "r2", "r3")] == ["SUPERSEDED", "WITHDRAWN", "RELEASED"]

    def test_what_is_kept_is_never_replaced(self, tmp_path: Path) -> None:
        store, first = self.opener(tmp_path), letter("first")
        name = digest(first)
        with Accountant(store) as accountant:
            assert accountant.attestation(name) is None
            for _ in range(2):
                accountant.keep(name, first)
            with pytest.raises(ConfigurationError, match="digest of its bytes"):
                accountant.keep(name, letter("second"))
            with pytest.raises(StoreDamaged, match="another file"):
                store.write(lambda tx: tx.add_attestation(name, b"second"))
            assert accountant.attestation(name) == first

    def test_nothing_is_kept_where_a_root_or_a_grant_belongs(self, office: Accountant) -> None:
        people = (*PEOPLE[:2], person("dora"), PEOPLE[3])
        second = Trust.parse(signed(next_root(Trust.parse(ROOT), expires=END, people=people), ANA, BEN, DORA))
        asked = request(office, "deaths")
        for payload in (second.newest.payload(), asked.statement()):
            with pytest.raises(SignatureInvalid):
                office.keep(digest(payload), payload)
        assert office.set_root("births", second.data).root == second.digest
        assert office.trust("births") == second

    def test_one_root_of_two_trees_may_carry_more_signatures(self, office: Accountant) -> None:
        root = signed(ROOT, CLEO)
        assert root != ROOT
        opened = office.open_account("deaths", grant=by(request(office, "deaths")), trust=root)
        assert opened.root == office.account("births").root
        assert office.attestation(str(opened.root)) == ROOT

    def test_other_releases_of_the_same_people_are_noted(self, office: Accountant) -> None:
        office.external("births", "tables of 2024, rounded", None)
        office.external("births", "yearbook", Budget("2", "1e-9"))
        notes = [parse(line).fields for line in office.history("births")[1:]]
        assert notes[0] == {"what": "tables of 2024, rounded", "claim": None}
        assert notes[1]["claim"] == {"epsilon": "2", "delta": "1/1000000000"}
        assert office.account("births").held == Cost.nothing("gdp")
        with pytest.raises(ConfigurationError, match="printable"):
            office.external("births", "two\nlines", None)

    # --- the story ----------------------------------------------------------------------------------------------------

    def test_a_story_is_proved_and_stays_the_same(self, office: Accountant) -> None:
        office.open_account("deaths", grant=by(request(office, "deaths")), trust=ROOT)
        settle(office, "other", "deaths")
        open_map(office)
        office.grant("births", by(more(office, "2")))
        settle(office, "r0")
        office.external("deaths", "a book", None)
        settle(office, "r1", cost=SMALL + SMALL)
        before = office.story("r1")
        office.grant("births", by(more(office, "3")))
        approve(office, "ana")
        approve(office, "ben")
        settle(office, "r2")
        story = office.story("r1")
        same = ("release", "account", "accounts", "lines", "head", "grants", "root")
        assert [getattr(story, name) for name in same] == [getattr(before, name) for name in same]
        entries = [parse(line) for line in story.lines]
        assert [entry.kind for entry in entries] == ["open", "open", "grant", "reserve", "settle"]
        assert [entry.account for entry in entries] == ["births", "map", "births", "map", "map"]
        assert [parse(line).kind for line in story.after] == ["approve", "approve"]
        assert (story.account, before.state, story.state) == ("map", "SETTLED", "APPROVED")
        assert story.root == Trust.parse(ROOT).digest
        assert [Trust.parse(ROOT) == office.trust("map"), len(story.grants)] == [True, 3]
        own, above = story.accounts
        assert (own.name, own.level, own.parent) == ("map", "project", "births")
        assert (above.name, above.level, above.parent) == ("births", "population", None)
        assert (own.cap, above.cap) == (Budget("1/2", "1e-9").cost(), Budget("2", "1e-9").cost())
        assert (own.held_before, own.held_after) == (SMALL, SMALL + SMALL + SMALL)
        assert (above.held_before, above.held_after) == (own.held_before, own.held_after)
        for head, lines in ((story.head, entries), (story.now, [parse(line) for line in story.after])):
            assert head.origin == office.origin
            for entry, proof in zip(lines, head.proofs, strict=True):
                assert includes(leaf_hash(entry.line), entry.seq, head.size, proof, head.root)
            for past in head.history:
                assert extends(past.size, past.root, head.size, head.root, past.proof)
        assert story.head.size == entries[-1].seq + 1
        settles = sorted(
            entry.seq + 1
            for name in ("deaths", "map")
            for entry in map(parse, office.history(name))
            if entry.kind == "settle"
        )
        assert [past.size for past in story.head.history] == settles[:2]
        assert [(past.size, past.root) for past in story.now.history] == [(story.head.size, story.head.root)]
        whole = sorted(
            (parse(line) for name in ("births", "deaths", "map") for line in office.history(name)),
            key=lambda entry: entry.seq,
        )
        assert [entry.seq for entry in whole] == list(range(story.now.size))
        leaves = [leaf_hash(entry.line) for entry in whole]
        assert root_of(leaves) == story.now.root
        assert root_of(leaves[: story.head.size]) == story.head.root

    def test_a_story_needs_a_settled_release(self, office: Accountant) -> None:
        with pytest.raises(ConfigurationError, match="no release 'r1'"):
            office.story("r1")
        office.reserve("births", release="r1", plan=PLAN, cost=SMALL, quote=Budget("1", "1e-9")).close()
        with pytest.raises(ConfigurationError, match="'r1' is not settled"):
            office.story("r1")

    def test_a_log_has_a_name_of_its_own(self, tmp_path: Path) -> None:
        origins = []
        for name in ("one", "two", "two"):
            (tmp_path / name).mkdir(exist_ok=True)
            with Accountant(self.opener(tmp_path / name)) as accountant:
                origins.append(accountant.origin)
        assert origins[0] != origins[1] == origins[2]
        for origin in origins:
            start, _, digits = origin.partition("/")
            assert start == "dpsynth.log"
            assert len(bytes.fromhex(digits)) == 16

    def test_heads_links_and_leaves_are_of_the_log(self, tmp_path: Path) -> None:
        store = self.opener(tmp_path)
        with Accountant(store) as accountant:
            open_births(accountant)
            settle(accountant, "r1", "births")
            settle(accountant, "r2", "births")
            lines = accountant.history("births")
            size, link = store.read(lambda tx: tx.head())
            assert size == len(lines) == 5
            assert store.read(lambda tx: tx.link(size - 1)) == link
            assert store.read(lambda tx: tx.link(size)) is None
            assert store.read(lambda tx: tx.leaves(size)) == tuple(map(leaf_hash, lines))
            assert store.read(lambda tx: tx.leaves(2)) == tuple(map(leaf_hash, lines[:2]))
            assert store.read(lambda tx: tx.leaves(0)) == ()
            assert store.read(lambda tx: tx.heads()) == (3, 5)
            kinds = store.read(lambda tx: tx.lines_of("births", ("settle", "open")))
            assert [row.seq for row in kinds] == [0, 2, 4]
            assert store.read(lambda tx: tx.lines_of("births", ("void",))) == ()
            for wrong in (5, 4, 6):
                with pytest.raises(DpsynthError):
                    store.write(lambda tx, wrong=wrong: tx.add_head(wrong))  # type: ignore[misc]
