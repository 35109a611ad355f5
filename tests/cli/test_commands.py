"""The commands: exit codes, one JSON document, nothing but the result on stdout, help that teaches."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dpsynth.cli.app import COMMANDS
from tests.desk import Called, Desk, call


def document(result: Called) -> dict[str, Any]:
    (line,) = result.stdout.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


def test_help_teaches() -> None:
    result = call("--help")
    assert result.exit_code == 0
    for word in [*COMMANDS, "Exit codes", "A first release"]:
        assert word in result.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_and_json(name: str) -> None:
    result = call(name, "--help")
    assert result.exit_code == 0
    found = getattr(import_module(COMMANDS[name][0]), name)
    for verb in getattr(found, "commands", {"": found}):
        assert "--json" in call(name, *[verb][: bool(verb)], "--help").stdout


@pytest.mark.parametrize("words", [["nothing"], ["run"], ["run", "x.toml", "--wrong"], ["sample", "x", "--rows", "0"]])
def test_usage_errors(words: list[str]) -> None:
    result = call(*words)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    told = call(*words, "--json")
    assert told.exit_code == 2
    assert document(told)["exit"] == 2


class TestRun:
    def test_one_file(self, desk: Desk) -> None:
        result = call("run", desk.release(), "--out", desk.folder / "out")
        assert result.exit_code == 0
        assert len(result.stdout.splitlines()) == 1
        assert "smokes" not in result.stdout
        assert "note" in result.stderr  # the column that the schema lacks is listed, never read
        again = call("run", desk.release(), "--out", desk.folder / "out", "--json")
        assert again.exit_code == 0
        assert document(again)["epsilon"] == "1"

    def test_columns_that_the_schema_lacks_are_listed(self, desk: Desk) -> None:
        result = call("run", desk.release(), "--out", desk.folder / "out", "--json")
        assert document(result)["ignored"] == ["note"]

    def test_several_files_go_on_after_a_failure(self, desk: Desk) -> None:
        good = desk.release("good", budget='store = "good.db"')
        bad = desk.release("bad", budget='store = "bad.db"', epsilon="0")
        fine = desk.release("fine", budget='store = "fine.db"')
        result = call("run", good, bad, fine, "--out", desk.folder / "all", "--json")
        assert result.exit_code == 2
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        assert [line["ok"] for line in lines] == [True, False, True]
        assert str(bad) in lines[1]["error"]
        assert sorted(path.name for path in (desk.folder / "all").iterdir()) == ["fine", "good"]

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"source": "nothing.csv"}, 3),
            ({"schema": "nothing.toml"}, 2),
            ({"epsilon": "-1"}, 2),
            ({"mechanism": "magic"}, 2),
            ({"budget": 'account = "a"\nstore = "nothing.db"'}, 10),
            ({"budget": 'account = "a"'}, 2),
            ({"source": 'people.csv"\nmemory = "3 G'}, 2),
        ],
    )
    def test_exit_codes(self, desk: Desk, changes: dict[str, str], code: int) -> None:
        result = call("run", desk.release(**changes), "--out", desk.folder / "out", "--json")
        assert result.exit_code == code, result.output
        assert document(result)["exit"] == code
        assert not (desk.folder / "out").exists()

    def test_the_codes_of_a_store(self, desk: Desk) -> None:
        out = desk.folder / "out"
        assert call("run", desk.release(), "--out", out).exit_code == 0
        assert call("run", desk.release(more="seed = 3"), "--out", desk.folder / "b").exit_code == 32
        assert call("run", desk.release("other"), "--out", desk.folder / "b").exit_code == 10
        Path(f"{desk.table}.dpsynth.db").write_bytes(b"garbage" * 100)
        assert call("run", desk.release(), "--out", desk.folder / "b").exit_code == 31


@pytest.mark.parametrize("verb", ["run", "plan"])
def test_a_wrong_limit_on_memory(desk: Desk, verb: str) -> None:
    result = call(verb, desk.release(), "--memory", "much", "--json")
    assert result.exit_code == 2
    assert document(result)["error"].startswith("--memory: expected ")
    assert not Path(f"{desk.table}.dpsynth.db").exists()


@pytest.mark.parametrize("verb", ["run", "plan"])
def test_a_limit_that_cannot_be_kept(desk: Desk, verb: str) -> None:
    result = call(verb, desk.release(), "--memory", "100 MiB", "--json")
    assert result.exit_code == 2
    assert document(result)["error"].startswith("memory: the limit is 100 MiB, and this plan may need ")
    assert not Path(f"{desk.table}.dpsynth.db").exists()


def test_a_plan_tells_of_memory(desk: Desk) -> None:
    told = call("plan", desk.release(), "--memory", "3 GB")
    assert told.exit_code == 0
    assert "memory, at most, of a limit of 2.8 GiB" in told.stdout
    found = document(call("plan", desk.release(), "--memory", "3 GB", "--json"))["memory"]
    assert found["limit"] == 3_000_000_000
    assert found["needed"] == sum(found[part] for part in ("counting", "candidates", "answers", "model"))


class TestVerify:
    def test_codes(self, desk: Desk) -> None:
        out = desk.folder / "out"
        call("run", desk.release(), "--out", out)
        good = call("verify", out, "--rebuild", "--json")
        assert good.exit_code == 0, good.output
        assert document(good)["ok"] is True
        with (out / "data.parquet").open("ab") as file:
            file.write(b"x")
        bad = call("verify", out)
        assert bad.exit_code == 21
        assert "data.parquet" in bad.stderr
        assert bad.stdout.startswith("NOT VERIFIED")
        assert len(bad.stdout.splitlines()) == 1
        told = call("verify", out, "--json")
        assert (document(told)["ok"], document(told)["exit"]) == (False, 21)
        assert "data.parquet" in document(told)["error"]
        (out / "ledger.dsse.json").write_bytes(b"{}")
        assert call("verify", out).exit_code == 20
        assert call("verify", desk.folder / "nothing").exit_code == 2

    def test_a_signer_without_root_is_said(self, desk: Desk) -> None:
        call("run", desk.release(), "--out", desk.folder / "out")
        assert "not tied to any root" in call("verify", desk.folder / "out").stdout


class TestInitAndPlan:
    @pytest.mark.parametrize("name", ["rows.csv", "rows.txt"])
    def test_init_takes_no_binary_file_for_names(self, desk: Desk, name: str) -> None:
        pq.write_table(pa.table({"age": ["CANARY"] * 9}), desk.folder / "rows.parquet")
        (desk.folder / "rows.parquet").rename(desk.folder / name)
        result = call("init", desk.folder / name, "--json")
        assert result.exit_code == 3
        assert "CANARY" not in result.output

    def test_init_of_parquet_knows_the_declared_types(self, desk: Desk) -> None:
        pq.write_table(pa.table({"age": [31], "city": ["CANARY"]}), desk.folder / "rows.parquet")
        result = call("init", desk.folder / "rows.parquet")
        assert result.exit_code == 0
        assert "CANARY" not in result.output
        assert 'type = "integer"' in result.stdout

    def test_a_schema_is_no_release(self, desk: Desk) -> None:
        result = call("plan", desk.folder / "schema.toml")
        assert result.exit_code == 2
        assert "this is a schema" in result.stderr

    def test_init_never_reads_a_value(self, desk: Desk) -> None:
        desk.table.write_text("age,city\n77,CANARY\n")
        result = call("init", desk.table, "-o", desk.folder / "new.toml")
        assert result.exit_code == 0
        text = (desk.folder / "new.toml").read_text()
        assert "age" in text
        assert "CANARY" not in text
        assert "77" not in text
        assert call("init", desk.table, "-o", desk.folder / "new.toml").exit_code == 2

    def test_plan_reads_no_row(self, desk: Desk) -> None:
        desk.table.unlink()
        result = call("plan", desk.release(), "--json")
        assert result.exit_code == 0, result.output
        found = document(result)
        prices = [Fraction(query["cost"]["mu2"]) for query in found["queries"]]
        assert sum(prices) == pytest.approx(Fraction(found["reserved"]["mu2"]))
        assert (found["measure"], found["noise"]) == ("gdp", "exact")
        assert "sex" in call("plan", desk.release()).stdout
        assert not list(desk.folder.glob("*.db"))

    def told_by_the_account(self, file: Path, *words: object) -> dict[str, Any]:
        """What a plan says of the account; whatever that is, the plan is shown, and the same in words."""
        found = document(call("plan", file, *words, "--json"))["account"]
        shown = call("plan", file, *words)
        assert shown.exit_code == 0, shown.output
        last = shown.stdout.splitlines()[-1]
        assert last.startswith(f"account {found['name']!r}: ")
        assert last.endswith(found["why"])
        assert ("the release would be refused, because" in last) == (not found["fits"])
        return dict(found)

    def test_a_plan_tells_what_the_account_would_say(self, desk: Desk) -> None:
        """The exit code that a run then has, and nothing is written, as for a refusal, or made."""
        store = desk.folder / "office.db"
        budget = f'account = "census"\nstore = "{store.name}"'
        file = desk.release(budget=budget)
        nothing = self.told_by_the_account(file)
        assert (nothing["exit"], nothing["fits"]) == (10, False)
        assert "there is no store" in nothing["why"]
        assert not store.exists()
        opening = ("budget", "open", "--store", store, "--delta", "1e-6", "--entity")
        assert call(*opening, "person", "--epsilon", "1.3", "census").exit_code == 0
        assert call(*opening, "household", "--epsilon", "2", "homes").exit_code == 0
        before = store.read_bytes()
        other = desk.release("other", budget=budget.replace("census", "censsus"))
        large = desk.release("large", budget=budget, epsilon="1.6")
        homes = desk.release("homes", budget=budget.replace("census", "homes"))
        refused = [self.told_by_the_account(one) for one in (other, large, homes)]
        assert [found["exit"] for found in refused] == [10, 10, 2]
        for found, word in zip(refused, ("did you mean", "cannot pay", "protects"), strict=True):
            assert word in found["why"]
        fits = self.told_by_the_account(file)
        assert (fits["fits"], fits["exit"]) == (True, 0)
        assert fits["left"].keys() == {"mu2", "delta"}
        assert fits["why"].startswith("it fits, and leaves mu2 ")
        assert store.read_bytes() == before, "no refusal is noted either"
        assert [call("run", one, "--out", desk.folder / "no").exit_code for one in (other, large, homes)] == [10, 10, 2]
        assert call("run", file, "--out", desk.folder / "out").exit_code == 0
        assert "has reserved and is SETTLED" in self.told_by_the_account(file)["why"]
        again = self.told_by_the_account(desk.release("again", budget=budget))
        assert again["exit"] == 10
        assert self.told_by_the_account(desk.release(budget=budget, more="seed = 3"))["exit"] == 32

    def test_a_plan_tells_of_the_store_beside_the_data(self, desk: Desk) -> None:
        store = Path(f"{desk.table}.dpsynth.db")
        assert "opens it in people.csv.dpsynth.db" in self.told_by_the_account(desk.release())["why"]
        assert not store.exists()
        assert call("run", desk.release(), "--out", desk.folder / "out").exit_code == 0
        assert self.told_by_the_account(desk.release("other"))["exit"] == 10
        store.write_bytes(b"garbage" * 100)
        assert self.told_by_the_account(desk.release())["exit"] == 31

    def test_a_plan_tells_of_an_answer_that_is_lost(self, desk: Desk) -> None:
        """As a run would find it once it took the release over."""
        call("run", desk.release(), "--out", desk.folder / "out")
        found = {"first": ("default", "LOST")}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("dpsynth.accountant.Accountant.states", lambda accountant: found)
            told = self.told_by_the_account(desk.release())
        assert (told["exit"], told["fits"]) == (10, False)
        assert "'first' is LOST" in told["why"]

    def test_a_plan_writes_numbers_in_one_way(self, desk: Desk) -> None:
        schema = desk.folder / "schema.toml"
        schema.write_text(schema.read_text().replace("bins = 20", "bins = 100").replace("bins = 8", "bins = 5000"))
        shown = call("plan", desk.release(mechanism="mrm")).stdout
        assert re.search(r"(?<![\d.,])\d{4}", shown) is None
        (scores,) = (line for line in shown.splitlines() if "distances" in line)
        assert scores.endswith(" a distance")
        assert "noise, in people" in shown


class TestBudget:
    def test_open_and_show(self, tmp_path: Path) -> None:
        store = tmp_path / "accounts.db"
        opened = call("budget", "open", "census", "--store", store, "--epsilon", "2", "--delta", "1e-9", "--json")
        assert opened.exit_code == 0, opened.output
        assert document(opened)["reserved"] == {"mu2": "0", "delta": "0"}
        assert document(opened)["measure"] == "gdp"
        shown = call("budget", "show", "--store", store)
        assert "census" in shown.stdout
        assert call("budget", "show", "nobody", "--store", store).exit_code == 10
        again = call("budget", "open", "census", "--store", store, "--epsilon", "9", "--delta", "1e-9")
        assert again.exit_code == 2
        assert call("budget", "show", "--store", tmp_path / "nothing.db").exit_code == 2

    @pytest.mark.parametrize(("measure", "unit"), [("gdp", "mu2"), ("zcdp", "rho"), ("pure", "epsilon")])
    def test_an_account_of_each_measure(self, tmp_path: Path, measure: str, unit: str) -> None:
        store, delta = tmp_path / "accounts.db", "0" if measure == "pure" else "1e-9"
        words = ("budget", "open", "census", "--store", store, "--epsilon", "2", "--delta", delta, "--measure", measure)
        opened = document(call(*words, "--json"))
        assert opened["measure"] == measure
        assert opened["cap"].keys() == opened["left"].keys() == {unit, "delta"}
        assert opened["left"] == opened["cap"]
        assert unit in call("budget", "show", "--store", store).stdout
        assert call(*words).exit_code == 0, "opening on the same terms changes nothing"
        other = "zcdp" if measure == "gdp" else "gdp"
        refused = call(*words[:-1], other)
        assert refused.exit_code == 2
        wrong = call(*words[:2], "b", *words[3:7], "--delta", "0" if delta == "1e-9" else "1", "--measure", measure)
        assert wrong.exit_code == 2
        assert "delta" in wrong.stderr

    @pytest.mark.parametrize(
        ("rho", "delta", "epsilon"),
        [("293764/114921", "1e-10", 17.1435507436), ("11417641/152349649", "1e-10", 2.47467107)],
    )
    def test_convert(self, rho: str, delta: str, epsilon: float) -> None:
        result = call("budget", "convert", "--rho", rho, "--delta", delta, "--json")
        assert result.exit_code == 0
        assert float(document(result)["epsilon"]) == pytest.approx(epsilon, abs=1e-8)
        people = call("budget", "convert", "--rho", rho, "--delta", delta)
        assert "true positives" in people.stdout

    def test_convert_back(self) -> None:
        result = document(call("budget", "convert", "--epsilon", "1", "--delta", "1e-9", "--json"))
        assert 1 - 1e-12 < float(result["epsilon"]) <= 1
        assert call("budget", "convert", "--delta", "1e-9").exit_code == 2
        assert call("budget", "convert", "--epsilon", "0", "--delta", "1e-9").exit_code == 2

    @pytest.mark.parametrize(("measure", "unit"), [("gdp", "mu2"), ("zcdp", "rho"), ("pure", "epsilon")])
    def test_convert_a_budget(self, measure: str, unit: str) -> None:
        delta = "0" if measure == "pure" else "1e-9"
        words = ("budget", "convert", "--epsilon", "1", "--delta", delta, "--measure", measure)
        bought = document(call(*words, "--json"))
        assert bought["measure"] == measure
        assert 1 - 1e-12 < float(bought["epsilon"]) <= 1
        assert unit in bought
        assert "true positives" in call(*words).stdout

    def test_true_positives_are_never_shown_fewer_than_they_may_be(self) -> None:
        words = ("budget", "convert", "--mu2", "1/30", "--delta", "1e-9")
        most = [Fraction(rate) for rate in document(call(*words, "--json"))["tpr"].values()]
        lines = [line for line in call(*words).stdout.splitlines() if line.startswith("at most")]
        shown = [Fraction(line.split()[2]) / 100 for line in lines]
        assert all(0 <= some - rate <= Fraction(1, 1000) for some, rate in zip(shown, most, strict=True))
        assert len(shown) == 3

    def test_a_pure_account_has_no_delta(self, tmp_path: Path) -> None:
        terms = ("--epsilon", "1", "--delta", "1e-9", "--measure", "pure")
        store = tmp_path / "accounts.db"
        for refused in (call("budget", "convert", *terms), call("budget", "open", "a", "--store", store, *terms)):
            assert refused.exit_code == 2
            assert 'an account of measure "pure" promises delta 0; write delta = "0"' in refused.stderr

    def test_convert_takes_gaussian_dp_by_default(self) -> None:
        words = ("budget", "convert", "--epsilon", "1", "--delta", "1e-9", "--json")
        assert document(call(*words)) == document(call(*words, "--measure", "gdp"))

    def test_convert_gaussian(self) -> None:
        bought = document(call("budget", "convert", "--epsilon", "1", "--delta", "1e-9", "--measure", "gdp", "--json"))
        assert bought["measure"] == "gdp"
        assert float(Fraction(bought["mu2"])) == pytest.approx(0.033115, rel=1e-4)
        assert 1 - 1e-12 < float(bought["epsilon"]) <= 1
        back = document(call("budget", "convert", "--mu2", bought["mu2"], "--delta", "1e-9", "--json"))
        assert back == bought
        people = call("budget", "convert", "--mu2", "1/30", "--delta", "1e-9")
        assert people.stdout.startswith("mu2      1/30")
        assert "true positives" in people.stdout

    @pytest.mark.parametrize(
        ("arguments", "names"),
        [
            (("--mu2", "1", "--rho", "1"), "exactly one"),
            (("--mu2", "1", "--epsilon", "1"), "exactly one"),
            (("--mu2", "1", "--measure", "zcdp"), "--mu2"),
            (("--rho", "1", "--measure", "gdp"), "--rho"),
            (("--mu2", "0"), "--mu2"),
            (("--mu2", "nan"), "--mu2"),
            (("--epsilon", "1e-10", "--delta", "1e-12", "--measure", "gdp"), "buys nothing"),
            (("--mu2", "1", "--measure", "pld"), "--measure"),
        ],
    )
    def test_convert_refuses(self, arguments: tuple[str, ...], names: str) -> None:
        refused = call("budget", "convert", "--delta", "1e-9", *arguments)
        assert refused.exit_code == 2
        assert names in refused.stderr


def test_keys(tmp_path: Path) -> None:
    made = call("keys", "new", "-o", tmp_path / "key.pem")
    assert made.exit_code == 0
    assert len(made.stdout.strip()) == 64
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600
    assert call("keys", "new", "-o", tmp_path / "key.pem").exit_code == 2


def test_demo_and_its_repetition(tmp_path: Path) -> None:
    out = tmp_path / "demo" / "release"
    first = call("demo", "--out", out)
    assert first.exit_code == 0, first.output
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    again = call("demo", "--out", out, "--json")
    assert again.exit_code == 0, again.output
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert call("verify", out, "--rebuild").exit_code == 0
    assert "artificial" in (out / "report.html").read_text().lower()


@pytest.mark.parametrize("out", ["/proc/none/x", "/dev/null/x", "x" * 300])
def test_a_place_that_cannot_be_written_spends_nothing(desk: Desk, out: str) -> None:
    result = call("run", desk.release(), "--out", out, "--json")
    assert result.exit_code == 2, result.output
    assert not list(desk.folder.glob("*.db"))
    assert call("demo", "--out", out).exit_code == 2


def test_sample(desk: Desk) -> None:
    out = desk.folder / "out"
    call("run", desk.release(), "--out", out)
    result = call("sample", out, "--rows", 50, "--seed", 3, "--sign-with", desk.folder / "key.pem", "--json")
    assert result.exit_code == 0, result.output
    assert document(result)["folder"] == f"{out}-sample"
    assert call("verify", f"{out}-sample", "--parent", out).exit_code == 0


def test_sample_where(desk: Desk) -> None:
    out, key = desk.folder / "out", desk.folder / "key.pem"
    call("run", desk.release(), "--out", out)
    words = [
        "sample",
        out,
        "--rows",
        50,
        "--sign-with",
        key,
        "--where",
        "sex = 'f'",
        "--where",
        "age between 20 and 29",
    ]
    result = call(*words, "--json")
    assert result.exit_code == 0, result.output
    assert document(result)["where"] == "sex = 'f' and age between 20 and 29"
    verified = call("verify", f"{out}-sample", "--parent", out, "--rebuild", "--json")
    assert verified.exit_code == 0, verified.output
    assert any("where sex = 'f' and age between 20 and 29" in note for note in document(verified)["notes"])
    plain = call(*words, "--where", "smokes = true", "--out", desk.folder / "more")
    assert plain.stdout.strip().endswith("50 rows where sex = 'f' and age between 20 and 29 and smokes = true")
    for where, nearest in (
        ("sexx = 'f'", "did you mean 'sex'"),
        ("sex = 'g'", "'f', 'm'"),
        ("sex = f", "single quotes"),
    ):
        wrong = call("sample", out, "--rows", 5, "--where", where, "--json", "--sign-with", key)
        assert (wrong.exit_code, document(wrong)["exit"]) == (2, 2)
        assert nearest in document(wrong)["error"]
    assert '--where "income' in call("sample", "--help").stdout


def test_an_unforeseen_error_shows_no_text(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def burst(*_: object, **__: object) -> None:
        raise ValueError("CANARY")

    monkeypatch.setattr("dpsynth.release.run_file", burst)
    result = call("run", desk.release(), "--json")
    assert result.exit_code == 70
    assert "CANARY" not in result.output
    assert "ValueError" in result.output


@pytest.mark.parametrize("files", [1, 2])
def test_an_interruption(desk: Desk, monkeypatch: pytest.MonkeyPatch, files: int) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dpsynth.release.run_file", stop)
    result = call("run", *[desk.release(str(file)) for file in range(files)])
    assert result.exit_code == 130
    assert "go on" in result.stderr


def test_quiet_and_silent_when_no_terminal(desk: Desk) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "dpsynth", "run", str(desk.release()), "--out", str(desk.folder / "out")],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert len(run.stdout.splitlines()) == 1
    assert "\x1b" not in run.stderr
