from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path

import pytest

from dpsynth.privacy import Cost, highest_tpr
from dpsynth.report import ColumnFit, ModelPicture, ReportFacts, render
from dpsynth.report.facts import RATES
from dpsynth.report.figures import posterior
from dpsynth.report.text import above, percent, percent_above
from tests.report.sample_facts import COLUMNS, sample_facts

ROOT = Path(__file__).parents[2]
VOID = {"meta", "br", "img", "link", "input", "hr"}
HOSTILE = "</text></title><script>alert(1)</script><img src=x onerror=alert(2)>\"'&$x_1$"


@pytest.fixture(scope="module")
def facts() -> ReportFacts:
    return sample_facts()


@pytest.fixture(scope="module")
def page(facts: ReportFacts) -> str:
    return render(facts)


class Reader(HTMLParser):
    """Tags, attributes and text of a page; complains about tags that do not nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        closed = self.open.pop()
        while closed in {"tr", "td", "th", "li", "dt", "dd"} and closed != tag:  # pragma: no cover
            closed = self.open.pop()
        assert closed == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"[ \n]+", " ", " ".join(self.words))


def require_self_contained(page: str) -> Reader:
    found = Reader(page)
    assert not found.tags & {"script", "link", "img", "iframe", "object", "embed", "base", "form", "image", "video"}
    for name, value in found.attributes:
        assert not name.startswith("on")
        assert name not in {"src", "srcset", "action", "xmlns"}
        if name in {"href", "xlink:href"}:
            assert value is not None
            assert value.startswith("#")
    assert "://" not in page
    assert "@import" not in page
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", page))
    return found


def test_nothing_is_loaded_from_anywhere(page):
    found = require_self_contained(page)
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in found.attributes


def test_identifiers_are_unique_and_references_resolve(page):
    names = re.findall(r'\bid="([^"]*)"', page)
    assert len(names) == len(set(names))
    assert set(re.findall(r"url\(#([^)]*)\)", page)) | set(re.findall(r'href="#([^"]*)"', page)) <= set(names)


def test_names_and_labels_cannot_speak_html(facts):
    columns = {HOSTILE: 3, "<script>": 2, "a\x00b\x1b\n": 2}
    built = sample_facts(columns=columns, cliques=((HOSTILE, "<script>"), ("<script>", "a\x00b\x1b\n")))
    hostile = replace(
        built,
        title=HOSTILE,
        release=HOSTILE,
        day=HOSTILE,
        software=HOSTILE,
        mechanism=HOSTILE,
        rows_rule=HOSTILE,
        claim=replace(built.claim, entity=HOSTILE, unit_column=HOSTILE, neighbours=HOSTILE),
        account=replace(built.account, name=HOSTILE),
        fits=(ColumnFit("<script>", (HOSTILE, "<b>"), (5, 6), (5, 6), 2.0),),
        public=(HOSTILE,),
        outside=(HOSTILE,),
        fingerprints=((HOSTILE, HOSTILE),),
        queries=tuple(replace(query, mechanism=HOSTILE, running_epsilon=HOSTILE) for query in built.queries),
    )
    page = render(hostile)
    found = require_self_contained(page)
    assert "<script>alert(1)</script>" in found.text  # shown as text
    assert "\x00" not in page


def test_equal_facts_give_equal_bytes_whatever_the_process(page, tmp_path):
    (tmp_path / "matplotlibrc").write_text("font.size: 30\naxes.facecolor: black\nsvg.hashsalt: other\n")
    code = (
        "import sys; from tests.report.sample_facts import sample_facts; from dpsynth.report import render;"
        "sys.stdout.buffer.write(render(sample_facts()).encode())"
    )
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "1",
        "PYTHONPATH": str(ROOT),
        "MATPLOTLIBRC": str(tmp_path / "matplotlibrc"),
        "SOURCE_DATE_EPOCH": "1",
        "LC_ALL": "C",
    }
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    assert done.stdout.decode() == page
    assert done.stderr == b""


def test_it_is_small(page):
    assert len(page.encode()) < 300_000


def test_many_columns_are_capped_and_it_says_so():
    columns = {f"column {i:03}": 40 for i in range(100)}
    page = render(sample_facts(columns=columns, cliques=()))
    assert len(page.encode()) < 1_000_000
    assert page.count('<figure class="panel">') == 40
    assert "60 more measured columns are not drawn" in page
    assert "100 columns, and nothing that joins any" in page
    assert "79 more, all of them in section D" in page


def test_every_number_is_there(facts, page):
    text = Reader(page).text
    assert "ε = 1" in text
    assert "δ = 1e-9" in text
    assert str(facts.claim.reserved.amount) in text
    for rate in RATES:
        highest = highest_tpr(facts.claim.reserved, rate)
        assert (float(rate), highest) in facts.worst.table
        assert percent_above(highest) in text
        assert percent_above(posterior(0.5, float(rate), highest)) in text
        assert percent_above(posterior(0.01, float(rate), highest)) in text
    for cost in (facts.account.cap, facts.account.before, facts.account.after):
        assert above(cost.amount, 6) in text
    for query in facts.queries:
        assert f"{query.seq} " in text
        assert f"{percent(query.cost / facts.claim.reserved.amount)} {len(query.chosen_by)} " in text
        assert percent(query.cost / facts.claim.reserved.amount) in text
        assert above(Fraction(query.running_epsilon), 5) in text
    for thing in (*facts.public, *facts.outside, *facts.not_proved, *COLUMNS):
        assert thing in text
    assert "dpsynth verify . --rebuild" in text
    assert "105 candidates, chosen privately" in text


def test_the_sheet_comes_first_and_in_order(page):
    order = [page.index(f"<b>{number}</b>") for number in range(1, 9)]
    assert order == sorted(order)
    assert order[-1] < page.index("</header>") < page.index("A. Every answer")


def test_artificial_people_are_declared(facts, page):
    assert "Nobody in the table behind this release exists" in page
    assert "Nobody in the table" not in render(replace(facts, artificial=False))


def test_a_vacuous_promise_is_called_one(page):
    assert "No meaningful bound" not in page
    assert "No meaningful bound" in render(sample_facts(epsilon=Fraction(30)))


@pytest.mark.parametrize(
    ("unit_column", "neighbours", "said"),
    [
        (None, "add-remove", ["taken as one person", "whether a person is in the table", "is in it"]),
        ("id", "replace-one", ["3 rows together", "number of persons is not", "which of two possible records"]),
    ],
)
def test_the_unit_is_said_in_words(unit_column, neighbours, said):
    text = Reader(render(sample_facts(unit_column=unit_column, neighbours=neighbours))).text
    assert all(words in text for words in said)


@pytest.mark.parametrize(
    ("measure", "said", "unsaid"),
    [
        ("gdp", ("Gaussian differential privacy, μ² =", "μ² adds up; ε does not", "μ² (mu squared)"), ("ρ",)),
        ("zcdp", ("zero-concentrated differential privacy, ρ =", "ρ adds up; ε does not", "ρ (rho)"), ("μ",)),
        (
            "pure",
            ("pure differential privacy, ε =", "ε adds up", "δ = 0", "There is no delta"),
            ("ρ", "μ", "does not. N"),
        ),
    ],
)
def test_the_page_speaks_the_measure_of_the_account(measure, said, unsaid):
    text = Reader(render(sample_facts(measure=measure))).text
    assert [words for words in said if words not in text] == []
    assert [words for words in unsaid if words in text] == []


def test_edges(facts):
    """No total, no queries, no columns to draw, an empty table, a first release that takes the whole cap."""
    bare = replace(
        facts,
        total=None,
        rows=0,
        queries=(),
        fits=(),
        picture=ModelPicture(("only",), ()),
        account=replace(facts.account, before=Cost.nothing("gdp"), after=facts.account.cap),
    )
    text = Reader(render(bare)).text
    assert "None from this account" in text
    assert "No single column was measured" in text
    assert "No expected error can be stated" in text
    empty = replace(facts, total=-7, fits=(ColumnFit("x", ("a", "b"), (-3, -9), (0, 0), 40.0),))
    assert "within the noise" in Reader(render(empty)).text


def test_importing_the_room_is_cheap():
    code = (
        "import sys, dpsynth.report; print([m for m in ('matplotlib','jinja2','networkx','numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_a_browser_shows_it(page, tmp_path):
    from PIL import Image

    (tmp_path / "report.html").write_text(page, encoding="utf-8")
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr", "--window-size=1100,1500"]
    command += [f"--screenshot={tmp_path / 'page.png'}", (tmp_path / "report.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in done.stderr  # nothing refused by the page's own policy, no error
    with Image.open(tmp_path / "page.png") as picture:
        colours = {colour: count for count, colour in picture.convert("RGB").getcolors(1 << 24) or []}
    assert colours[(255, 255, 255)] > 500_000  # the sheet
    assert colours[(0, 114, 178)] > 2_000  # the budget bar and the promise


def test_the_cell_that_was_read_stands_on_the_first_sheet():
    facts = sample_facts()
    assert "Cell: " not in render(facts)
    page = render(replace(facts, public=("the cell: the rows of sex=<f> alone count", *facts.public)))
    assert "<p>Cell: the rows of sex=&lt;f&gt; alone count.</p>" in page


def test_weights_and_the_part_of_delta_set_aside_stand_on_the_first_sheet():
    facts = sample_facts()
    assert "Weights: " not in render(facts) and "δ₀" not in render(facts)
    account = replace(facts.account, cap=replace(facts.account.cap, delta=facts.account.policy_delta / 8))
    page = render(replace(facts, account=account, public=("the weights: each row counts", *facts.public)))
    assert "<p>Weights: each row counts.</p>" in page
    assert "δ₀, the part of δ set aside" in page
