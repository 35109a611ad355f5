"""The officer's page: its order, its words for each state, its hazards, and that nothing in it can speak HTML."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from fractions import Fraction
from hashlib import sha256
from typing import Any

import pytest

from dpsynth.privacy import Budget, Cost
from dpsynth.report import WorstCase
from dpsynth.report.figures import posterior
from dpsynth.report.hazards import Row, hazards
from dpsynth.report.officer import BOXES, MARK, bar, policy, render_review
from dpsynth.report.officer_facts import (
    Asked,
    Change,
    Changes,
    Check,
    Command,
    Decided,
    Group,
    Ledgered,
    OfficerFacts,
    Other,
    Payer,
    Raised,
    Standing,
    Vain,
)
from dpsynth.report.text import percent_above
from tests.report.sample_facts import DELTA, sample_facts
from tests.report.test_page import HOSTILE, Reader, require_self_contained

WORDS = "acid acorn alley amber apple april arena army arrow atlas badge bamboo"
DIGEST = "sha256:" + "0123456789abcdef" * 4


def officer_facts(**changes: Any) -> OfficerFacts:
    """A release that waits for one more approval, with all that a store knows."""
    page = sample_facts(**changes)
    reserved, measure = page.claim.reserved, page.claim.reserved.measure
    delta = page.claim.delta
    cap = Budget(4 * page.claim.epsilon, delta).cost(measure)
    held = Cost(measure, reserved.amount * 3 / 2)
    raised = (Raised("2026-01-02", "opening", cap),)
    own = Payer(
        "people",
        "population",
        cap,
        held - reserved,
        held,
        4 * page.claim.epsilon,
        delta,
        raised,
        held,
        cap,
        Vain(3, 1, 2, 1),
    )
    ledger = Ledgered(
        "adult-2026",
        "2026-11-22",
        "mst",
        32_561,
        "noisy total",
        DIGEST,
        "dpsynth-engine 0.1.0",
        page.claim,
        (own, replace(own, name="office", level="organisation")),
        page.queries,
        0,
        page.public,
        page.outside,
        60,
    )
    columns = {name: "categorical" for query in page.queries for name in query.columns or ()}
    return OfficerFacts(
        "out/pending/people",
        "2026-11-22",
        Check(
            False, True, True, 26, "ab" * 32, ("protected: each person",), ("[26] approved by 1 of 2 officers: ana",)
        ),
        DIGEST,
        DIGEST,
        WORDS,
        ledger,
        Asked("Census income, made synthetic", False, "all marginals of 2 columns", False, "exact", columns),
        Standing(
            True,
            "waiting",
            "Waiting for approval: 1 of 2 officers have approved",
            2,
            ("ana",),
            ("bo", "cy"),
            (Decided("approve", "ana", "2026-11-21", "2026-12-21", "for teaching only", None, True),),
            DIGEST,
            "the statistics office",
        ),
        (Command("To approve:", f'dpsynth approve out/pending/people --key KEY.pem --fingerprint "{WORDS}"'),),
        page.total,
        page.worst,
        WorstCase.of(held, 2),
        (Group(100, (("single columns", 0.2),)),),
        (Other("births-2025", "people", "2026-03-01", "published", reserved, "1", "1e-9"),),
        Changes("births-2025", "2026-03-01", "its folder", (Change("ε", "2", "1"),)),
        store=True,
        version="0.1.0",
    )


@pytest.fixture(scope="module")
def facts() -> OfficerFacts:
    return officer_facts()


@pytest.fixture(scope="module")
def page(facts: OfficerFacts) -> str:
    return render_review(facts)


def text_of(facts: OfficerFacts) -> str:
    return Reader(render_review(facts)).text


def heading(number: int) -> str:
    return f"<h{3 if number == 1 else 2}><b>{number}</b>"


def ledger_of(facts: OfficerFacts) -> Ledgered:
    assert facts.ledger is not None
    return facts.ledger


def with_claim(facts: OfficerFacts, **changes: Any) -> OfficerFacts:
    ledger = ledger_of(facts)
    return replace(facts, ledger=replace(ledger, claim=replace(ledger.claim, **changes)))


def rows(facts: OfficerFacts) -> dict[str, Row]:
    return {row.name: row for row in hazards(facts)}


class TestThePage:
    def test_nothing_is_loaded_and_its_style_is_pinned_by_its_hash(self, page: str) -> None:
        found = require_self_contained(page)
        assert "style" not in dict(found.attributes)  # what the policy would refuse
        (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
        digest = base64.b64encode(sha256(style.encode()).digest()).decode()
        assert policy() == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
        assert ("content", policy()) in found.attributes
        assert page.startswith(MARK)

    def test_the_boxes_stand_in_their_order_and_the_decision_first(self, page: str) -> None:
        places = [page.index(heading(number)) for number, _, _ in BOXES]
        assert places == sorted(places)
        assert [number for number, _, _ in BOXES] == list(range(1, 13))
        assert places[0] < page.index("</header>") < places[1]
        for _, name, _ in BOXES:
            assert page.count(f'id="{name}"') == 1

    def test_it_is_read_only_and_holds_no_key(self, page: str) -> None:
        for tag in ("<form", "<input", "<button", "<script", "<textarea"):
            assert tag not in page
        assert "PRIVATE KEY" not in page

    def test_the_decision(self, page: str) -> None:
        text = Reader(page).text
        for words in (
            WORDS,
            DIGEST,
            "Waiting for approval: 1 of 2 officers have approved",
            "approve by ana on 2026-11-21, until 2026-12-21",
            "for teaching only",
            "still to ask: bo, cy",
            "dpsynth approve out/pending/people --key KEY.pem",
        ):
            assert words in text

    def test_the_first_screen_tells_what_matters(self, page: str) -> None:
        top = Reader(page[: page.index("</header>")] + "</header></main></body></html>").text
        for words in (
            "ε = 1 at δ = 1e-9",
            "at 1 % false alarms",
            "of 4 of ε is taken in account people",
            "hazards to accept",
        ):
            assert words in top

    def test_every_number_is_there(self, facts: OfficerFacts, page: str) -> None:
        text, ledger = Reader(page).text, ledger_of(facts)
        assert facts.worst is not None
        for fpr, tpr in facts.worst.table:
            for number in (tpr, posterior(0.01, fpr, tpr), posterior(0.5, fpr, tpr)):
                assert percent_above(number) in text
        for thing in ledger.public:
            assert re.sub(r"(sha256:\w{12})\w+", r"\1…", thing) in text
        for thing in ledger.outside:
            assert thing in text
        assert page.count('<span class="box" aria-hidden="true"></span>') == len(ledger.public) + 3
        for query in ledger.queries:
            assert f" {query.seq} " in text
        assert "fixed" in text
        assert "adaptive (16 known)" in text
        for words in (
            "1 answer lost in a crash, 2 releases rejected, 1 begun and not finished. Refused for lack of budget: 3",
            "opening",
            "births-2025",
            "Not yet measured",
            "± 20",
        ):
            assert words in text

    def test_what_is_not_known_is_said(self, facts: OfficerFacts) -> None:
        payers = tuple(replace(payer, now=None, cap_now=None, vain=None) for payer in ledger_of(facts).payers)
        bare = replace(
            facts,
            ledger=replace(ledger_of(facts), payers=payers),
            others=None,
            changes=None,
            asked=None,
            store=False,
            total=None,
        )
        text = text_of(bare)
        for words in (
            "Not known here: no store was asked",
            "how often in vain, is not known here",
            "Not known here: give --store, or --since",
            "No expected error can be stated",
        ):
            assert words in text
        assert "first release" in text_of(replace(bare, first=True))

    @pytest.mark.parametrize("measure", ["gdp", "zcdp", "pure"])
    def test_it_speaks_the_measure_of_the_account(self, measure: Any) -> None:
        text = text_of(officer_facts(measure=measure))
        assert {"gdp": "μ² adds up", "zcdp": "ρ adds up", "pure": "ε adds up"}[measure] in text

    def test_a_promise_without_meaning_is_called_so_in_red_at_the_top(self) -> None:
        page = render_review(officer_facts(epsilon=Fraction(30)))
        assert page.index("No meaningful bound") < page.index(heading(1))
        assert rows(officer_facts(epsilon=Fraction(30)))["A large epsilon may mean nothing"].alarm

    def test_the_sum_of_an_account_may_be_without_meaning_where_one_release_is_not(self, facts: OfficerFacts) -> None:
        wide = replace(facts, all_worst=WorstCase.of(Budget(Fraction(30), DELTA).cost("gdp"), 2))
        assert "there is no meaningful bound left" in text_of(wide)
        assert "there is no meaningful bound left" not in text_of(facts)

    def test_weights_and_the_part_of_delta_set_aside_stand_in_their_boxes(self, facts: OfficerFacts) -> None:
        ledger = ledger_of(facts)
        (own, *above), aside = ledger.payers, Cost("gdp", Fraction(0), Fraction(1, 10**12))
        paying = replace(own, cap=own.cap + aside, after=own.after + aside)
        public = ("the weights: each row counts with its own", *ledger.public)
        text = text_of(replace(facts, ledger=replace(ledger, payers=(paying, *above), public=public)))
        assert "set aside for finding values privately: 1e-12, of which 1e-12 is" in text
        assert "each row counts with its own" in text[text.index("Who is protected") :]
        assert "δ₀" not in text_of(facts)

    def test_the_cell_that_a_release_reads_stands_with_who_is_protected(self, facts: OfficerFacts) -> None:
        ledger, told = ledger_of(facts), "the rows of region=north alone count"
        text = text_of(replace(facts, ledger=replace(ledger, public=(f"the cell: {told}", *ledger.public))))
        box = text[text.rindex("Who is protected") : text.rindex("Worst case")]
        assert told in box and "what their cells cost together" in box
        assert "what their cells cost together" not in text_of(facts)

    def test_a_folder_that_does_not_verify_shows_nothing_else(self, facts: OfficerFacts) -> None:
        check = Check(False, False, False, 21, "", (), ("[21] the file data.parquet was changed after it was signed",))
        bad = OfficerFacts("x", "2026-11-22", check)
        text = text_of(bad)
        assert "Do not approve" in text
        assert "data.parquet was changed" in text
        assert "dpsynth approve" not in text
        assert heading(2) not in render_review(bad)

    def test_unmet_trust_is_an_alarm_though_the_files_can_be_read(self, facts: OfficerFacts) -> None:
        check = replace(
            facts.check, sound=False, exit_code=25, failures=("[25] a key that is not the root's",), with_root=True
        )
        standing = Standing(True, "waiting", "Officers have to approve this release")
        text = text_of(replace(facts, check=check, standing=standing, commands=()))
        for words in ("Do not approve", "a key that is not the root's", "does not vouch", "Every query"):
            assert words in text
        assert "To sign:" not in text

    def test_decisions_that_do_not_count_are_told_with_the_reason(self, facts: OfficerFacts) -> None:
        assert facts.standing is not None
        decided = (
            Decided("reject", "bo", "2026-11-20", "2026-12-20", "", "budget", True),
            Decided(
                "approve",
                "dee",
                "2026-11-20",
                "2026-12-20",
                "",
                None,
                False,
                "it is of the person who signed the ledger",
            ),
            Decided("approve", "eve", "2026-11-20", "2026-12-20", "", None, None),
        )
        text = text_of(replace(facts, standing=replace(facts.standing, decided=decided)))
        for words in (
            "reject by bo on 2026-11-20, until 2026-12-20 (budget)",
            "does not count, it is of the person who signed the ledger",
            "eve on 2026-11-20, until 2026-12-20: only a root can tell",
        ):
            assert words in text

    def test_names_cannot_speak_html(self, facts: OfficerFacts) -> None:
        ledger, standing = ledger_of(facts), facts.standing
        assert standing is not None
        payer = replace(
            ledger.payers[0], name=HOSTILE, level=HOSTILE, raised=(Raised(HOSTILE, HOSTILE, ledger.payers[0].cap),)
        )
        hostile = replace(
            facts,
            folder=HOSTILE,
            data=HOSTILE,
            words=HOSTILE,
            check=replace(
                facts.check, keyid=HOSTILE, notes=(HOSTILE,), failures=(HOSTILE,), files=((HOSTILE, HOSTILE),)
            ),
            ledger=replace(
                ledger,
                release=HOSTILE,
                day=HOSTILE,
                mechanism=HOSTILE,
                plan=HOSTILE,
                software=HOSTILE,
                claim=replace(ledger.claim, entity=HOSTILE, unit_column=HOSTILE),
                payers=(payer,),
                queries=tuple(replace(query, mechanism=HOSTILE, running_epsilon=HOSTILE) for query in ledger.queries),
                public=(HOSTILE,),
                outside=(HOSTILE,),
            ),
            asked=Asked(HOSTILE, True, HOSTILE, True, HOSTILE, {HOSTILE: HOSTILE}, HOSTILE),
            standing=Standing(
                True,
                "waiting",
                HOSTILE,
                2,
                (HOSTILE,),
                (HOSTILE,),
                (Decided(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, False, HOSTILE),),
                HOSTILE,
                HOSTILE,
            ),
            commands=(Command(HOSTILE, HOSTILE),),
            groups=(Group(100, ((HOSTILE, 0.2),)),),
            others=(Other(HOSTILE, HOSTILE, HOSTILE, HOSTILE, None, HOSTILE, HOSTILE, False),),
            changes=Changes(HOSTILE, HOSTILE, HOSTILE, (Change(HOSTILE, HOSTILE, HOSTILE),), True),
            version=HOSTILE,
        )
        found = require_self_contained(render_review(hostile))
        assert "<script>alert(1)</script>" in found.text  # shown as text
        reordered = replace(facts, data="a\u202eb\x1bc\x00d")
        assert not set("\u202e\x1b\x00") & set(render_review(reordered))

    def test_a_release_that_costs_nothing(self, facts: OfficerFacts) -> None:
        ledger, nothing = ledger_of(facts), Cost.nothing("gdp")
        own = replace(ledger.payers[0], before=nothing, after=nothing, now=nothing)
        free = with_claim(
            replace(facts, ledger=replace(ledger, payers=(own,), queries=()), groups=()), reserved=nothing
        )
        text = text_of(replace(free, worst=WorstCase.of(nothing), all_worst=None))
        assert "0 of 4 of ε is taken" in text

    def test_equal_facts_give_equal_bytes(self, page: str) -> None:
        assert render_review(officer_facts()) == page


class TestTheBar:
    def test_parts_fill_the_bar_and_grants_since_widen_it(self) -> None:
        def cost(amount: str) -> Cost:
            return Cost("gdp", Fraction(amount))

        payer = Payer("a", "project", cost("1"), cost("1/4"), cost("1/2"), Fraction(1), DELTA)
        assert bar(payer).bars == (("before", 0, 100), ("this", 100, 100))
        wide = bar(replace(payer, now=cost("1"), cap_now=cost("2")))
        assert wide.bars == (("before", 0, 50), ("this", 50, 50), ("since", 100, 100))
        assert [(row.name, row.amount) for row in wide.rows] == [
            ("cap", 2),
            ("spent before", Fraction(1, 4)),
            ("this release", Fraction(1, 4)),
            ("with this release", Fraction(1, 2)),
            ("lifetime, today", 1),
            ("left", 1),
        ]


class TestHazards:
    def test_each_row_is_judged_once(self, facts: OfficerFacts) -> None:
        found = hazards(facts)
        assert len(found) == 25  # the 24 that are marked, and one that the text of 2.4 states
        assert len({row.name for row in found}) == 25
        assert {row.status for row in found} == {"handled", "accepted", "not applicable"}
        assert all(row.how for row in found)

    @pytest.mark.parametrize(
        ("name", "changes", "status", "alarm"),
        [
            ("Protecting events is not protecting people", {"unit_column": "pid"}, "handled", False),
            ("Protecting events is not protecting people", {}, "accepted", True),
            ("Bounded contributions need more noise", {"unit_column": "pid"}, "handled", False),
            ("Bounded contributions need more noise", {}, "not applicable", False),
            ("Catastrophic failure through delta", {"measure": "pure"}, "not applicable", False),
            ("Catastrophic failure through delta", {"measure": "zcdp"}, "handled", False),
            ("Floating point, timing, messages", {"measure": "pure"}, "accepted", False),
            ("Floating point, timing, messages", {}, "handled", False),
            ("A large delta makes epsilon misleading", {}, "handled", False),
            ("A large delta makes epsilon misleading", {"total": 10**9}, "accepted", True),
            ("Epsilons at different deltas cannot be compared", {}, "handled", False),
        ],
    )
    def test_by_the_claim(self, name: str, changes: dict[str, Any], status: str, alarm: bool) -> None:
        row = rows(officer_facts(**changes))[name]
        assert (row.status, row.alarm) == (status, alarm)

    def test_by_the_store(self, facts: OfficerFacts) -> None:
        name = "Other releases of the same data without a guarantee"
        assert rows(facts)[name].status == "accepted"
        assert not rows(facts)[name].alarm
        bare = Other("a table of 2019", "people", "2026-01-01", "noted from elsewhere", None, "", "", False)
        assert "a table of 2019" in rows(replace(facts, others=(bare,)))[name].how
        assert rows(replace(facts, others=(bare,)))[name].alarm
        assert rows(replace(facts, others=None))[name].alarm

    def test_by_the_grants(self, facts: OfficerFacts) -> None:
        name, ledger = "Limits that renew themselves are weaker", ledger_of(facts)
        assert rows(facts)[name].status == "handled"
        own = ledger.payers[0]
        more = replace(own, raised=(*own.raised, Raised("2026-05-05", "new-people", own.cap)))
        row = rows(replace(facts, ledger=replace(ledger, payers=(more,))))[name]
        assert row.status == "accepted"
        assert "people on 2026-05-05 for new-people" in row.how

    def test_by_the_officers(self, facts: OfficerFacts) -> None:
        name = "Access control"
        assert facts.standing is not None
        assert rows(facts)[name].status == "handled"
        assert rows(replace(facts, standing=replace(facts.standing, needed=1)))[name].status == "accepted"
        assert rows(replace(facts, standing=replace(facts.standing, needed=None)))[name].alarm
        assert rows(replace(facts, standing=Standing(False, "open", "")))[name].alarm

    def test_by_the_plan(self, facts: OfficerFacts) -> None:
        assert facts.asked is not None
        weighted = rows(replace(facts, asked=replace(facts.asked, weighted=True, workload="sex counts 3 times")))
        assert "sex counts 3 times" in weighted["Human bias, and fixes for it"].how
        idle = rows(replace(facts, asked=replace(facts.asked, columns={**facts.asked.columns, "never": "boolean"})))
        assert idle["Collecting more than is needed"].how.endswith("never.")
        assert rows(facts)["Collecting more than is needed"].status == "handled"
        unknown = rows(replace(facts, asked=None))
        assert {unknown[name].status for name in ("Unstructured data", "Collecting more than is needed")} == {
            "accepted"
        }
        odd = rows(replace(facts, ledger=replace(ledger_of(facts), mechanism="gan")))
        assert odd["Deep generators do worse than marginals"].alarm

    def test_units_that_differ_are_not_compared(self, facts: OfficerFacts) -> None:
        other = Changes("old", "2026-01-01", "its folder", (), True)
        assert rows(replace(facts, changes=other))["Epsilons of different units cannot be compared"].alarm

    def test_deltas_that_differ_are_told(self, facts: OfficerFacts) -> None:
        name = "Epsilons at different deltas cannot be compared"
        assert rows(with_claim(facts, delta=Fraction(1, 10**6)))[name].status == "accepted"
        assert facts.others is not None
        other = replace(facts.others[0], delta="1e-6")
        assert rows(replace(facts, others=(other,)))[name].status == "accepted"

    def test_only_of_a_release_that_verifies(self, facts: OfficerFacts) -> None:
        with pytest.raises(ValueError, match="verifies"):
            hazards(replace(facts, ledger=None))
