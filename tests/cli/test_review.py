"""``dpsynth review``: the page beside the folder in every state of a release, and the same page on 127.0.0.1."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from dpsynth import verifier
from dpsynth.accountant import Accountant
from dpsynth.ledger import fingerprint
from tests.desk import Called, Desk, Office, call, make_office
from tests.report.test_page import HOSTILE, Reader, require_self_contained

GOLDEN = Path(__file__).parents[1] / "verifier" / "golden"
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an office whose first release waits for approval, with its anchors; never changed."""
    folder = tmp_path_factory.mktemp("office")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DPSYNTH_ANCHORS", str(folder / "anchors"))
        office = make_office(folder)
        assert office.run(more=f'title = "Births {SCRIPT}"').exit_code == 11
    return folder


@pytest.fixture
def office(pristine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    """A copy of it."""
    shutil.copytree(pristine, tmp_path / "copy")
    monkeypatch.setenv("DPSYNTH_ANCHORS", str(tmp_path / "copy" / "anchors"))
    return Office(Desk(tmp_path / "copy"))


def again(office: Office) -> Called:
    return call("run", office.folder / "first.toml", "--out", office.out)


def page_of(*words: object, code: int = 0) -> str:
    """The page that a call writes, which must be self-contained."""
    called = call("review", *words, "--json")
    assert called.exit_code == code, called.output
    page = Path(json.loads(called.stdout)["page"]).read_text(encoding="utf-8")
    require_self_contained(page)
    return page


def text_of(*words: object, code: int = 0) -> str:
    return Reader(page_of(*words, code=code)).text


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class TestTheFile:
    def test_it_lies_beside_the_folder_which_stays_as_it_is(self, office: Office) -> None:
        before = contents(office.pending)
        called = call("review", office.pending)
        assert called.exit_code == 0, called.output
        assert called.stdout == f"{office.pending}.review.html\n"
        assert fingerprint((office.pending / "ledger.dsse.json").read_bytes()) in called.stderr
        assert contents(office.pending) == before
        assert verifier.verify(office.pending).ok
        assert again(office).exit_code == 11
        office.approve("ana", "bo")
        assert again(office).exit_code == 0

    def test_no_private_row_is_needed(self, office: Office) -> None:
        office.desk.table.unlink()
        text = text_of(office.pending, "--store", office.store)
        assert "people.csv" not in text
        assert "people.csv" not in (office.pending / "report.html").read_text()

    def test_json(self, office: Office) -> None:
        called = call("review", office.pending, "--root", office.root, "--json")
        told = json.loads(called.stdout)
        words = fingerprint((office.pending / "ledger.dsse.json").read_bytes())
        assert (told["ok"], told["exit"], told["state"], told["needed"]) == (True, 0, "waiting", 2)
        assert (told["fingerprint"], told["release"], told["approved"]) == (words, "first", [])

    def test_never_in_the_release_and_never_over_another_file(self, office: Office, tmp_path: Path) -> None:
        before = contents(office.pending)
        other = tmp_path / "mine.csv"
        other.write_text("a,b\n")
        link = tmp_path / "link"
        link.symlink_to(office.pending)
        for place in (office.pending / "review.html", link / "x.html", office.pending, other, tmp_path):
            assert call("review", office.pending, "-o", place).exit_code == 2
        assert contents(office.pending) == before
        assert other.read_text() == "a,b\n"
        place = tmp_path / "page.html"
        for _ in range(2):
            assert call("review", office.pending, "-o", place).exit_code == 0

    def test_from_within_the_folder(self, office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(office.pending)
        before = contents(office.pending)
        assert call("review", ".").exit_code == 0
        assert contents(office.pending) == before
        assert office.pending.with_name("first.review.html").is_file()

    @pytest.mark.parametrize(
        "words",
        [
            ["nothing"],
            ["{pending}", "--root", "nothing"],
            ["{pending}", "--store", "nothing.db"],
            ["{pending}", "--since", "nothing"],
        ],
    )
    def test_what_is_not_there(self, office: Office, words: list[str]) -> None:
        found = call("review", *(word.format(pending=office.pending) for word in words))
        assert found.exit_code == 2
        assert "nothing" in found.stderr

    def test_a_root_that_is_none_is_refused(self, office: Office) -> None:
        office.root.write_bytes(office.root.read_bytes()[:-9] + b"\n")
        assert call("review", office.pending, "--root", office.root).exit_code == 20

    def test_a_store_that_did_not_make_it(self, office: Office, tmp_path: Path) -> None:
        (tmp_path / "other").mkdir()
        other = make_office(tmp_path / "other")
        called = call("review", office.pending, "--store", other.store)
        assert called.exit_code == 2
        assert "there is no release" in called.stderr

    def test_a_sample_is_not_reviewed(self) -> None:
        called = call("review", GOLDEN / "sample-v1")
        assert called.exit_code == 2
        assert "review the release itself" in called.stderr

    def test_a_changed_file_is_an_alarm_and_nothing_else_is_shown(self, office: Office) -> None:
        with (office.pending / "data.parquet").open("ab") as file:
            file.write(b"x")
        text = text_of(office.pending, "--root", office.root, "--store", office.store, code=21)
        assert "Do not approve" in text
        assert "data.parquet was changed" in text
        assert "dpsynth approve" not in text
        assert "Every query" not in text


class TestTheDecision:
    def test_nobody_has_approved(self, office: Office) -> None:
        words = fingerprint((office.pending / "ledger.dsse.json").read_bytes())
        text = text_of(office.pending, "--root", office.root)
        for said in (
            "Waiting for approval: 0 of 2 officers have approved",
            "still to ask: ana, bo, cy",
            words,
            f'dpsynth approve {office.pending} --key KEY.pem --fingerprint "{words}" --root {office.root}',
            f'dpsynth reject {office.pending} --key KEY.pem --fingerprint "{words}" --reason',
            "--add approval.dsse.json",
        ):
            assert said in text

    def test_the_printed_command_signs(self, office: Office) -> None:
        text = text_of(office.pending)
        line = re.search(r'dpsynth (approve \S+) --key KEY.pem --fingerprint "([a-z ]+)"', text)
        assert line is not None
        words = [*line[1].split(), "--key", office.key("ana"), "--fingerprint", line[2]]
        assert call(*words).exit_code == 0
        wrong = " ".join(reversed(line[2].split()))
        assert call(*words[:-1], wrong).exit_code == 21

    def test_without_a_root_it_says_what_is_not_known(self, office: Office) -> None:
        office.approve("ana")
        text = text_of(office.pending)
        assert "only a root can tell whose signature that is" in text
        assert "is not known here: give --root" in text

    def test_what_is_signed_and_what_is_missing(self, office: Office) -> None:
        conditions = ("--conditions", f"only if {SCRIPT}")
        assert call("approve", office.pending, "--key", office.key("ana"), *conditions).exit_code == 0
        for whose in (("--root", office.root), ("--store", office.store)):
            page = page_of(office.pending, *whose)
            text = Reader(page).text
            for said in (
                "1 of 2 officers have approved",
                "approve by ana on",
                f"on condition: “only if {SCRIPT}”",
                "1 of 2 approvals count; still to ask: bo, cy",
                f"Births {SCRIPT}",
            ):
                assert said in text
            assert "<script" not in page

    def test_two_keys_of_one_person_are_one_person(self, office: Office) -> None:
        office.approve("ana", "ana2")
        text = text_of(office.pending, "--root", office.root)
        assert "1 of 2 approvals count; still to ask: bo, cy" in text

    def test_enough_then_published_then_withdrawn(self, office: Office) -> None:
        office.approve("ana", "bo")
        assert "Approved by 2 of 2 officers" in text_of(office.pending, "--root", office.root)
        assert again(office).exit_code == 0
        for whose in (("--root", office.root), ("--store", office.store), ()):
            text = text_of(office.out, *whose)
            assert "Published, and current" in text
            assert f"dpsynth withdraw {office.out}" in text
            assert str(office.store) not in text
        reason = ("--reason", "data-fault", "--store", office.store, "--sign-with", office.key("key"))
        keys = ("--key", office.key("bo"), "--key", office.key("cy"))
        assert call("withdraw", office.out, *keys, *reason).exit_code == 0
        text = text_of(office.out, "--root", office.root, code=13)
        assert "Withdrawn; what it spent stays spent" in text
        assert "dpsynth approve" not in text

    def test_rejected(self, office: Office) -> None:
        for name in ("bo", "cy"):
            words = ("--key", office.key(name), "--reason", "unit")
            assert call("reject", office.pending, *words).exit_code == 0
        text = text_of(office.pending, "--root", office.root, code=12)
        assert "Rejected by the officers" in text
        assert "reject by bo on" in text
        assert again(office).exit_code == 12
        assert "1 release rejected" in text_of(office.pending, "--store", office.store, code=12)

    def test_no_officers(self, desk: Desk) -> None:
        assert call("run", desk.release(mechanism="independent"), "--out", desk.folder / "out").exit_code == 0
        text = text_of(desk.folder / "out")
        for said in (
            "Nothing has to be approved",
            "whoever holds the one key makes and publishes releases alone",
            "This is the account's first release",
            "dpsynth withdraw",
        ):
            assert said in text
        assert "dpsynth approve" not in text


class TestTheStore:
    def test_budget_other_releases_and_what_changed(self, office: Office, tmp_path: Path) -> None:
        office.approve("ana", "bo")
        assert again(office).exit_code == 0
        assert office.run(name="second", epsilon="2", mechanism="mst").exit_code == 11
        assert office.run(name="third", epsilon="9").exit_code == 10
        what = f"a table of 2019 {HOSTILE}"
        assert call("budget", "external", "people", "--what", what, "--store", office.store).exit_code == 0
        more = ("--what", "a DP table", "--epsilon", "1", "--delta", "1e-6", "--store", office.store)
        assert call("budget", "external", "people", *more).exit_code == 0
        second = office.pending.with_name("second")
        text = text_of(second, "--store", office.store)
        for said in (
            "population people",
            "organisation office",
            "Refused for lack of budget: 1",
            "first people",
            "published",
            "a table of 2019",
            "noted from elsewhere",
            "1 of them claims no guarantee at all",
            "Compared with release first",
            "the lines of the store's log",
            "found, at most, with all that the account holds",
        ):
            assert said in text
        changed = text[text.index("Compared with release") :]
        assert re.search(r"ε 1 2 ", changed)
        text = text_of(second, "--since", office.out)
        changed = text[text.index("Compared with release") :]
        assert "mechanism independent mst" in changed
        assert "its folder" in changed

    def test_the_page_of_an_earlier_release_shows_what_came_since(self, office: Office) -> None:
        office.approve("ana", "bo")
        assert again(office).exit_code == 0
        assert office.run(name="second").exit_code == 11
        page = page_of(office.out, "--store", office.store)
        widths = [float(width) for width in re.findall(r'<rect class="since" x="[^"]*" width="([^"]*)"', page)]
        assert len(widths) == 2
        assert all(width > 0 for width in widths)

    def test_a_crash_is_told(self, office: Office) -> None:
        with Accountant.open(office.store) as accountant:
            from dpsynth.privacy import Budget

            budget = Budget(epsilon="1/2", delta="1e-6")
            plan = "sha256:" + "0" * 64
            held = accountant.reserve("people", release="begun", plan=plan, cost=budget.cost("gdp"), quote=budget)
            held.close()
        text = text_of(office.pending, "--store", office.store)
        assert "1 begun and not finished" in text
        assert "begun, not finished" in text


@pytest.mark.parametrize("name", ["release-v1", "release-v1-pure", "release-v1-zcdp"])
def test_releases_of_older_versions_can_be_looked_at(name: str, tmp_path: Path) -> None:
    text = text_of(GOLDEN / name, "-o", tmp_path / "page.html")
    assert "Every query and its share" in text
    assert not (GOLDEN / f"{name}.review.html").exists()


# --- on 127.0.0.1 -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Served:
    """A page that is being shown, and what its process says."""

    process: subprocess.Popen[str]
    address: str

    @property
    def port(self) -> int:
        port = urlsplit(self.address).port
        assert port is not None
        return port

    @property
    def entrance(self) -> str:
        parts = urlsplit(self.address)
        return f"{parts.path}?{parts.query}"

    def ask(self, path: str = "/", method: str = "GET", **headers: str) -> tuple[http.client.HTTPResponse, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, headers={name.replace("_", "-"): text for name, text in headers.items()})
            response = connection.getresponse()
            return response, response.read().decode()
        finally:
            connection.close()

    def enter(self) -> str:
        """The cookie that the token is exchanged for."""
        response, _ = self.ask(self.entrance)
        assert response.status == 303
        assert response.getheader("location") == "/"
        return (response.getheader("set-cookie") or "").partition(";")[0]


@contextmanager
def serving(*words: object) -> Iterator[Served]:
    command = [sys.executable, "-m", "dpsynth", "review", *map(str, words), "--serve"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("http://127.0.0.1:"), line + process.communicate(timeout=10)[1]
        yield Served(process, line.strip())
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def served(pristine: Path) -> Iterator[Served]:
    """A page that nobody has opened with its token."""
    with serving(pristine / "out" / "pending" / "first", "--root", pristine / "root.json") as found:
        yield found


class TestServed:
    def test_the_token_works_once(self, office: Office) -> None:
        with serving(office.pending) as page:
            assert page.ask()[0].status == 403
            assert page.ask("/?token=" + "0" * 64)[0].status == 403
            response, _ = page.ask(page.entrance)
            assert response.status == 303
            told = response.getheader("set-cookie") or ""
            assert "httponly" in told.lower()
            assert "samesite=strict" in told.lower()
            cookie = told.partition(";")[0]
            assert urlsplit(page.address).query.removeprefix("token=") not in cookie
            assert page.ask(page.entrance)[0].status == 403
            assert page.ask(page.entrance, cookie=cookie)[0].status == 403
            response, body = page.ask(cookie=cookie)
            assert response.status == 200
            call("review", office.pending)
            assert body == office.pending.with_name("first.review.html").read_text(encoding="utf-8")
            assert page.ask(cookie=cookie[:-1] + "x")[0].status == 403

    def test_headers(self, office: Office) -> None:
        with serving(office.pending) as page:
            cookie = page.enter()
            for path, status in (("/", 200), ("/favicon.ico", 404), ("/../accounts.db", 404)):
                response, body = page.ask(path, cookie=cookie)
                assert response.status == status
                rules = response.getheader("content-security-policy") or ""
                assert rules.startswith("default-src 'none'; style-src 'sha256-")
                assert "script" not in rules
                assert "unsafe" not in rules
                assert rules.endswith("frame-ancestors 'none'")
                assert response.getheader("cache-control") == "no-store"
                assert response.getheader("referrer-policy") == "no-referrer"
                assert response.getheader("x-content-type-options") == "nosniff"
                assert response.getheader("server") is None
                assert response.getheader("access-control-allow-origin") is None
                assert (len(body) > 10_000) == (status == 200)

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"])
    def test_it_is_read_only(self, served: Served, method: str) -> None:
        response, _ = served.ask(served.entrance, method)
        assert response.status == 405
        assert response.getheader("allow") == "GET"

    @pytest.mark.parametrize(
        "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "localhost:{port}", "127.0.0.1:1", ""]
    )
    def test_another_host_is_turned_away(self, served: Served, host: str) -> None:
        response, body = served.ask(served.entrance, host=host.format(port=served.port))
        assert 400 <= response.status < 500
        assert "set-cookie" not in {name.lower() for name, _ in response.getheaders()}
        assert "Every query" not in body

    def test_two_hosts_are_turned_away(self, served: Served) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
        connection.putrequest("GET", served.entrance, skip_host=True)
        connection.putheader("Host", f"127.0.0.1:{served.port}")
        connection.putheader("Host", "evil.example")
        connection.endheaders()
        assert 400 <= connection.getresponse().status < 500
        connection.close()

    def test_refused_requests_do_not_use_up_the_token(self, office: Office) -> None:
        with serving(office.pending) as page:
            page.ask(page.entrance, "POST")
            page.ask(page.entrance, host="evil.example")
            assert page.ask(cookie=page.enter())[0].status == 200

    def test_it_listens_on_this_machine_alone(self, served: Served) -> None:
        import psutil

        found = [
            connection.laddr.ip
            for connection in psutil.Process(served.process.pid).net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        assert found == ["127.0.0.1"]

    def test_ctrl_c_ends_it(self, office: Office) -> None:
        with serving(office.pending) as page:
            cookie = page.enter()
            connection = http.client.HTTPConnection("127.0.0.1", page.port, timeout=20)
            connection.request("GET", "/", headers={"cookie": cookie})
            connection.getresponse().read()  # and stays open
            page.process.send_signal(signal.SIGINT)
            _, said = page.process.communicate(timeout=20)
            assert page.process.returncode == 0
            assert "Traceback" not in said
            assert urlsplit(page.address).query not in said
            connection.close()

    def test_a_changed_folder_is_shown_as_such_and_the_code_says_so(self, office: Office) -> None:
        (office.pending / "CITATION.cff").write_text("x")
        with serving(office.pending) as page:
            assert "Do not approve" in page.ask(cookie=page.enter())[1]
            page.process.send_signal(signal.SIGINT)
            page.process.communicate(timeout=20)
            assert page.process.returncode == 21

    def test_a_port_that_is_taken(self, served: Served, office: Office) -> None:
        called = call("review", office.pending, "--serve", "--port", served.port)
        assert called.exit_code == 2
        assert str(served.port) in called.stderr

    def test_without_the_extra_it_says_how_to_get_it(self, office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "uvicorn", None)
        called = call("review", office.pending, "--serve")
        assert called.exit_code == 2
        assert "pip install dpsynth-engine[review]" in called.stderr
        assert call("review", office.pending).exit_code == 0

    def test_it_is_shown_or_written(self, office: Office, tmp_path: Path) -> None:
        assert call("review", office.pending, "--serve", "-o", tmp_path / "x.html").exit_code == 2


def test_looking_loads_no_server(tmp_path: Path) -> None:
    """The libraries of the extra are loaded by --serve alone."""
    place = tmp_path / "page.html"
    code = (
        "import sys\nfrom dpsynth.cli import main\n"
        f"try:\n    main(['review', {str(GOLDEN / 'release-v1')!r}, '-o', {str(place)!r}])\n"
        "except SystemExit as end:\n    assert end.code == 0\n"
        "print([name for name in ('starlette', 'uvicorn', 'matplotlib', 'opendp') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


# --- in a browser -----------------------------------------------------------------------------------------------------


def browse(address: str, profile: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    command += ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--enable-logging=stderr"]
    command += [f"--user-data-dir={profile}", "--window-size=1100,1000", *more, address]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=True, env=_environment(profile))


def _environment(home: Path) -> dict[str, str]:
    return {**os.environ, "HOME": str(home)}


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
class TestBrowser:
    def test_it_shows_the_served_page_and_the_address_only_once(self, office: Office, tmp_path: Path) -> None:
        words = fingerprint((office.pending / "ledger.dsse.json").read_bytes())
        hostile = (
            "--conditions",
            "<img src=http://127.0.0.1:9/x onerror=alert(1)><script>document.title='owned'</script>",
        )
        assert call("approve", office.pending, "--key", office.key("ana"), *hostile).exit_code == 0
        with serving(office.pending, "--root", office.root, "--store", office.store) as page:
            done = browse(page.address, tmp_path / "one", "--dump-dom")
            assert words in done.stdout
            assert "Waiting for approval: 1 of 2" in done.stdout
            assert "<title>Review of first</title>" in done.stdout
            assert "<script" not in done.stdout
            assert "<img" not in done.stdout
            assert "document.title='owned'" in done.stdout
            assert "CONSOLE" not in done.stderr  # nothing was refused by the page's own policy: it asks for nothing
            refused = browse(page.address, tmp_path / "two", "--dump-dom")
            assert words not in refused.stdout
            assert "It works once" in refused.stdout

    def test_the_decision_is_on_the_first_screen(self, office: Office, tmp_path: Path) -> None:
        from PIL import Image

        with serving(office.pending, "--root", office.root) as page:
            done = browse(page.address, tmp_path / "profile", f"--screenshot={tmp_path / 'page.png'}")
            assert "CONSOLE" not in done.stderr
        with Image.open(tmp_path / "page.png") as picture:
            colours: dict[Any, int] = {
                colour: number for number, colour in picture.convert("RGB").getcolors(1 << 24) or []
            }
        assert colours[(255, 255, 255)] > 400_000  # the sheet: its style was applied
        assert colours[(233, 245, 239)] > 20_000  # what verifies is green
        assert colours[(29, 43, 54)] > 1_000  # the frame of the decision, and the words

    def test_it_prints_on_paper(self, office: Office, tmp_path: Path) -> None:
        place = tmp_path / "page.html"
        assert call("review", office.pending, "--root", office.root, "-o", place).exit_code == 0
        paper = tmp_path / "page.pdf"
        browse(place.as_uri(), tmp_path / "profile", "--no-pdf-header-footer", f"--print-to-pdf={paper}")
        pages = len(re.findall(rb"/Type\s*/Page\b", paper.read_bytes()))
        assert 2 <= pages <= 6
