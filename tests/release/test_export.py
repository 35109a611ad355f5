"""What other people's tools make of a release: the registry of deployments, data packages, citations."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml
from frictionless import system, validate
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from dpsynth.accountant import Accountant
from dpsynth.errors import ConfigurationError, DigestMismatch, ThresholdNotMet, WaitingForApproval, Withdrawn
from dpsynth.ledger import SigningKey
from dpsynth.privacy import Budget
from dpsynth.release import derive, run_file, status
from dpsynth.release.export import FORMATS, export
from dpsynth.release.registry_words import number
from dpsynth.release.told import KEYS, Told
from dpsynth.release.yamltext import Open, Plain, document, quoted
from dpsynth.schema import Schema
from tests.desk import Desk, Office, make_desk, make_office

FOREIGN = Path(__file__).parent / "foreign"
REGISTRY = yaml.safe_load((FOREIGN / "deployments-schema.yaml").read_text(encoding="utf-8"))
CITATION = json.loads((FOREIGN / "cff-schema-1.2.0.json").read_text(encoding="utf-8"))

SCHEMA = r"""
[unit]
entity = "patient"
column = "id"
max_rows = 3
neighbours = "replace-one"

[columns.sex]
type = "categorical"
values = ["quokka", "wombat", "nan"]
nullable = true

[columns.stage]
type = "ordinal"
values = ["early", "late"]

[columns."a: \\\\b`c` | #<i>*_x_"]
type = "boolean"
nullable = true

[columns.age]
type = "integer"
min = -3
max = 120
bins = 20
nullable = true

[columns.income]
type = "real"
min = -0.5
max = 1000.0
bins = 8
nullable = true

[columns.children]
type = "integer"
min = 0
max = 9
"""
TITLE = r"Pati\\\\ents: “one” & \"two\" 🐟 # 3"
ANSWERS = """
data_curators = ["Office: of *Statistics*", "Zoo"]
registry_authors = ["A. Writer"]
intended_use = '''Teaching.

- Not for "decisions" about people: never'''
data_product_region = "Utopia"
data_product_sector = "Government"
data_source_type = "Dynamic"
actors = "Everybody"
preprocessing_and_hyperparameter_tuning = "Nothing was looked at."
mechanisms = "Two people may read the table."
justification = "Because."
sources = "See the annual report."
notes = "A note."
release_type = "Many releases"
publication_date = 2030-01-31
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk with one release for each measure: ``out/gdp``, ``out/zcdp``, ``out/pure``, and ``out/odd``."""
    folder = tmp_path_factory.mktemp("export")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DPSYNTH_ANCHORS", str(folder / "anchors"))
        desk = make_desk(folder)
        more = 'formats = ["parquet", "csv"]'
        for name, delta, noise in (("gdp", "1e-6", ""), ("zcdp", "1e-6", 'noise = "opendp"'), ("pure", "0", "")):
            budget = f'account = "vault-{name}"\nstore = "accounts.db"\nmeasure = "{name}"\n{noise}'
            with Accountant.open(folder / "accounts.db", create=True) as accountant:
                cap = Budget(epsilon="2", delta=delta)
                accountant.open_account(
                    f"vault-{name}", entity="person", neighbours="add-remove", budget=cap, measure=name
                )
            mechanism = "mst" if name == "gdp" else "independent"
            release = desk.release(name, delta=delta, budget=budget, mechanism=mechanism, more=more)
            run_file(release, folder / "out" / name)
        (folder / "odd.schema.toml").write_text(SCHEMA)
        names = ["id", *Schema.parse(SCHEMA).names]
        rows = ["quokka,early,true,5,1,2", "wombat,late,false,,,3", "nan,late,,60,999,4", ",early,true,-3,500,9"]
        lines = [f"{number},{rows[number % 4]}" for number in range(800)]
        (folder / "odd.csv").write_text("\n".join([",".join(names), *lines]))
        more += f'\nrows = 300\ntitle = "{TITLE}"'
        run_file(
            desk.release("odd", schema="odd.schema.toml", source="odd.csv", epsilon="64", more=more),
            folder / "out" / "odd",
        )
        yield desk


@pytest.fixture(params=["gdp", "zcdp", "pure", "odd"])
def release(made: Desk, request: pytest.FixtureRequest) -> Path:
    return made.folder / "out" / str(request.param)


def registry(folder: Path, answers: str = "", root: bytes | None = None) -> dict[str, Any]:
    """The entry, checked as the registry checks its own."""
    text = export(folder, "registry", Told.parse(answers, "answers") if answers else None, root).data.decode()
    return checked(text)


def checked(text: str) -> dict[str, Any]:
    entry = yaml.safe_load(text)
    validator = Draft7Validator(REGISTRY, format_checker=Draft7Validator.FORMAT_CHECKER)
    assert [error.message for error in validator.iter_errors(entry)] == []
    assert entry["tier"] == 3
    styles = {token.style for token in yaml.scan(text) if isinstance(token, yaml.ScalarToken)}
    assert styles <= {None, "|", '"', "'"}
    assert not [value for value in texts(entry) if re.search(r"\\\\[^()]", value)]
    # The slug: the file's first line, as the registry's update_slug.py reads and makes it.
    basic = entry["deployment"]["basic"]
    parts = (basic["name"], "-".join(basic["data_curators"]), basic["publication_date"].split("-")[0])
    slug = "_".join(re.sub(r"\W+", "_", part.lower()) for part in parts).replace("_", "-")
    assert text.splitlines()[0] == f"url_slug: {slug}"
    return dict(entry)


def texts(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        for value in node.values():
            yield from texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from texts(value)
    elif isinstance(node, str):
        yield node


def fields(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """The path of each field of the registry's schema."""
    for key, inner in schema.get("properties", {}).items():
        yield f"{path}/{key}", inner
        yield from fields(inner, f"{path}/{key}")


def at(entry: Any, path: str) -> Any:
    for key in path.strip("/").split("/"):
        entry = entry.get(key, {})
    return entry


def predicate(folder: Path) -> dict[str, Any]:
    from dpsynth.release.check import read_statement

    return dict(read_statement(folder).predicate)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class TestRegistry:
    @pytest.mark.parametrize("answers", ["", ANSWERS])
    def test_it_passes_the_registrys_schema_at_tier_3(self, release: Path, answers: str) -> None:
        before = contents(release)
        registry(release, answers)
        assert contents(release) == before

    def test_the_schema_would_notice(self, made: Desk) -> None:
        text = export(made.folder / "out" / "gdp", "registry").data.decode()
        for wrong in (
            text.replace("tier: 3", "tier: 4"),
            text.replace("model_name: Central", "model_name: Middle"),
            text.replace("    intended_use:", "    use:"),
            re.sub(r'publication_date: ".*"', 'publication_date: "yesterday"', text),
        ):
            with pytest.raises(AssertionError):
                checked(wrong)

    def test_every_field_is_there_or_asked_for(self, release: Path) -> None:
        made = export(release, "registry")
        entry, missing = yaml.safe_load(made.data), dict(made.missing)
        leaves = {path for path, inner in fields(REGISTRY) if "properties" not in inner and inner.get("tier", 0) <= 3}
        optional = {"epsilon", "delta", "rho", "data_source_type_details"}
        for path in leaves:
            key = path.rpartition("/")[2]
            assert at(entry, path) or key in optional or key in missing, path

    def test_all_that_is_left_open_is_told_and_marked(self, release: Path) -> None:
        made = export(release, "registry")
        text = made.data.decode()
        assert len(made.missing) == text.count("TODO: ") == 11
        for key, question in made.missing:
            assert f"TODO: {question}" in text
            assert key in KEYS
        full = export(release, "registry", Told.parse(ANSWERS, "answers"))
        assert full.missing == ()
        assert "TODO" not in full.data.decode()

    def test_answers_are_added_and_replace_nothing_that_was_signed(self, release: Path) -> None:
        bare, full = registry(release)["deployment"], registry(release, ANSWERS)["deployment"]
        basic = full["basic"]
        assert basic["data_curators"] == ["Office: of *Statistics*", "Zoo"]
        assert basic["intended_use"] == 'Teaching.\n\n- Not for "decisions" about people: never\n'
        assert basic["publication_date"] == "2030-01-31"
        assert full["deployment_model"]["data_source_type"] == "Dynamic"
        assert full["deployment_model"]["release_type"] == "Many releases"
        assert full["privacy_loss"] == bare["privacy_loss"]
        assert full["dp_variant"] == bare["dp_variant"]
        assert full["accounting"] == bare["accounting"]
        bare_mechanisms = bare["implementation"]["mechanisms"].partition("TODO")[0]
        assert full["implementation"]["mechanisms"] == f"{bare_mechanisms}Two people may read the table.\n"
        assert full["administrative"]["notes"].endswith("\n\nA note.\n")

    def test_the_loss_is_never_told_smaller_than_it_is(self, release: Path) -> None:
        claim = predicate(release)["guarantee"]
        told = registry(release)["deployment"]["privacy_loss"]["privacy_parameters"]
        assert told["epsilon"] == float(Fraction(claim["epsilon"])) == (64 if release.name == "odd" else 1)
        assert told.get("delta", 0) == float(Fraction(claim["delta"]))
        reserved = claim["reserved"]
        assert ("rho" in told) == ("rho" in reserved)
        if "rho" in reserved:
            exact = Fraction(reserved["rho"])
            assert exact <= Fraction(told["rho"]) <= exact * (1 + Fraction(1, 10**10))

    def test_what_each_release_says(self, made: Desk) -> None:
        found = {name: registry(made.folder / "out" / name)["deployment"] for name in ("gdp", "zcdp", "pure", "odd")}
        variants = {name: entry["dp_variant"]["variant_name"] for name, entry in found.items()}
        assert variants == {
            "gdp": "Approximate DP",
            "zcdp": "Zero-concentrated DP",
            "pure": "Pure DP",
            "odd": "Approximate DP",
        }
        mechanisms = {name: entry["implementation"]["mechanisms"] for name, entry in found.items()}
        assert "Gaussian mechanism on integer counts, rounded" in mechanisms["gdp"]
        assert "exponential mechanism on integer scores" in mechanisms["gdp"]
        assert "bits are those of the operating system" in mechanisms["gdp"]
        assert "discrete Gaussian mechanism" in mechanisms["zcdp"]
        assert "bits are those of OpenSSL" in mechanisms["zcdp"]
        assert "discrete Laplace mechanism" in mechanisms["pure"]
        lines = [json.loads(line) for line in predicate(made.folder / "out" / "gdp")["entries"]]
        tables = sum(line["kind"] == "measure" for line in lines)
        (picks,) = (line["mechanism"]["picks"] for line in lines if line["kind"] == "select")
        counted = f"Tables measured: {tables}; private choices: {picks}; lists of scores: 0."
        assert counted in found["gdp"]["accounting"]["composition"]
        odd = found["odd"]["privacy_loss"]
        assert odd["privacy_unit"] == "patient, with all rows of one, at most 3"
        assert "hold the same number of units (patient)" in odd["privacy_unit_details"]
        assert "at most 3 rows are kept" in odd["privacy_unit_details"]
        assert "without the rows of one person" in found["gdp"]["privacy_loss"]["privacy_unit_details"]
        assert "ε = 2 at δ = 0.000001" in found["gdp"]["deployment_model"]["release_type_details"]
        assert "number of rows to write, 300" in found["odd"]["dp_variant"]["unprotected_quantities"]

    def test_what_is_declared_public_is_all_there(self, release: Path) -> None:
        variant = registry(release)["deployment"]["dp_variant"]
        said = variant["data_domain"] + variant["unprotected_quantities"]
        for thing in (*predicate(release)["public"], *predicate(release)["outside"]):
            assert re.sub(r"\\+", r"\\", " ".join(thing.split())).replace("`", "'") in said

    def test_nothing_else_of_the_table_is(self, release: Path, made: Desk) -> None:
        text = export(release, "registry").data.decode()
        rows = predicate(release)["release"]["rows"]
        for secret in (str(made.folder), "people.csv", "accounts.db", "vault", "quokka", "wombat", "early"):
            assert secret not in text
        if release.name != "odd":  # whose owner gave the number of rows to write
            assert not re.search(rf"\b({rows}|400)\b", text)

    def test_odd_names_do_no_harm(self, made: Desk) -> None:
        entry = registry(made.folder / "out" / "odd")
        assert entry["deployment"]["basic"]["name"] == 'Pati\\ents: “one” & "two" 🐟 # 3'
        (line,) = (x for x in entry["deployment"]["dp_variant"]["data_domain"].splitlines() if "a: " in x)
        assert line == r"- `column 'a: \b'c' | #<i>*_x_': boolean, nulls possible`"

    def test_a_folder_that_was_changed_is_refused(self, made: Desk, tmp_path: Path) -> None:
        folder = shutil.copytree(made.folder / "out" / "gdp", tmp_path / "gdp")
        for name in ("CITATION.cff", "datapackage.json", "data.csv"):
            old = (folder / name).read_bytes()
            (folder / name).write_bytes(old + b"\n")
            for form in FORMATS:
                with pytest.raises(DigestMismatch, match="nothing was exported"):
                    export(folder, form)
            (folder / name).write_bytes(old)
        export(folder, "registry")

    def test_what_is_no_release(self, made: Desk, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="no such folder"):
            export(tmp_path / "nowhere", "registry")
        sample = derive(made.folder / "out" / "gdp", rows=5, seed=1, out=tmp_path / "s", key=made.folder / "key.pem")
        for form in FORMATS:
            with pytest.raises(ConfigurationError, match="is a sample"):
                export(sample, form)
        with pytest.raises(ConfigurationError, match="must be one of registry"):
            export(made.folder / "out" / "gdp", "croissant")  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("answers", "problem"),
        [
            ("intendeduse = 'x'", "unknown key 'intendeduse'; did you mean 'intended_use'"),
            ("epsilon = '0.1'", "unknown key 'epsilon'"),
            ("privacy_unit = 'everybody'", "unknown key 'privacy_unit'"),
            ("data_curators = 'Zoo'", "'data_curators': must be a list of names"),
            ("data_curators = []", "must be a list of names"),
            ("registry_authors = ['']", "must be a list of names"),
            ("intended_use = 3", "'intended_use': must be text"),
            ("intended_use = ' '", "'intended_use': must be text"),
            ("data_product_sector = 'Zoo'", "must be one of Technology, Healthcare"),
            ("data_source_type = 'static'", "must be one of Static, Dynamic"),
            ("release_type = 'Two'", "must be one of One release, Many releases"),
            ("publication_date = '2030-1-1'", "must be a day"),
            ("publication_date = 2030-01-01T00:00:00Z", "must be text"),
            ("secret = 'hunter2", "answers: not valid TOML at "),
        ],
    )
    def test_wrong_answers(self, answers: str, problem: str) -> None:
        with pytest.raises(ConfigurationError) as caught:
            Told.parse(answers, "answers")
        assert problem in str(caught.value)
        assert "hunter2" not in str(caught.value)

    def test_answers_are_for_the_registry_alone(self, made: Desk) -> None:
        with pytest.raises(ConfigurationError, match="answers are for the registry"):
            export(made.folder / "out" / "gdp", "citation", Told.nothing())


class TestOfficers:
    @pytest.fixture
    def office(self, tmp_path: Path) -> Office:
        office = make_office(tmp_path)
        with pytest.raises(WaitingForApproval):
            run_file(office.release(), office.out)
        return office

    def published(self, office: Office, name: str = "first", **changes: str) -> Path:
        office.approve("ana", "bo", release=office.pending.with_name(name))
        return run_file(office.release(name, **changes), office.out.with_name(name)).folder

    def test_what_waits_for_approval_is_not_exported(self, office: Office) -> None:
        for form in FORMATS:
            with pytest.raises(WaitingForApproval, match="it is not published"):
                export(office.pending, form)
        with pytest.raises(ThresholdNotMet):
            export(office.pending, "registry", root=office.root.read_bytes())

    def test_what_they_approved_says_so(self, office: Office) -> None:
        folder, root = self.published(office), office.root.read_bytes()
        notes = registry(folder)["deployment"]["administrative"]["notes"]
        assert "officers decide what is published: the root of their keys is sha256:" in notes
        entry = registry(folder, root=root)["deployment"]
        assert "published, 2 of whom approved it" in entry["administrative"]["notes"]
        assert not re.search(r"\b(ana|bo|cy|dee)\b", "\n".join(texts(entry)))
        caps = entry["deployment_model"]["release_type_details"]
        assert "account of the population" in caps
        assert "account of the organisation" in caps
        assert "ε = 9 at δ = 0.000001" in caps

    def test_withdrawn_and_superseded(self, office: Office) -> None:
        first = self.published(office)
        more = 'supersedes = "first"'
        with pytest.raises(WaitingForApproval):
            run_file(office.release("second", more=more), office.out.with_name("second"))
        second = self.published(office, "second", more=more)
        entry = registry(second)["deployment"]
        assert "It replaces an earlier release" in entry["deployment_model"]["release_type_details"]
        status.renew(first, office.store, office.signer("key"))
        made = export(first, "registry")
        assert made.by == "second"
        assert "- superseded by release second" in made.data.decode()
        keys = [office.signer("ana"), office.signer("bo")]
        status.withdraw(second, office.store, keys, "privacy-fault", sign_with=office.signer("key"))
        for form in FORMATS:
            with pytest.raises(Withdrawn):
                export(second, form)


class TestDataPackage:
    def test_frictionless_reads_every_row(self, release: Path) -> None:
        package = json.loads(export(release, "datapackage").data)
        assert [resource["name"] for resource in package["resources"]] == ["data-parquet", "data-csv"]
        report = judged(release)
        assert report.valid, report.flatten(["rowNumber", "fieldName", "note"])
        rows = predicate(release)["release"]["rows"]
        assert [task.stats["rows"] for task in report.tasks] == [rows, rows]

    def test_the_odd_release_has_nulls_and_a_value_that_looks_like_one(self, made: Desk) -> None:
        with (made.folder / "out" / "odd" / "data.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        for column in ("sex", "age", "income"):
            assert "" in {row[column] for row in rows}
        assert "nan" in {row["sex"] for row in rows}

    @pytest.mark.parametrize(("old", "new"), [("wombat", "emu"), ("early", ""), (",true,", ",perhaps,")])
    def test_frictionless_would_notice(self, made: Desk, tmp_path: Path, old: str, new: str) -> None:
        folder = shutil.copytree(made.folder / "out" / "odd", tmp_path / "odd")
        text = (folder / "data.csv").read_text()
        assert old in text
        (folder / "data.csv").write_text(text.replace(old, new))
        report = judged(folder)
        assert [task.valid for task in report.tasks] == [True, False]

    def test_a_sample_is_a_package_too(self, made: Desk, tmp_path: Path) -> None:
        sample = derive(made.folder / "out" / "odd", rows=50, seed=1, out=tmp_path / "s", key=made.folder / "key.pem")
        assert judged(sample).valid


def judged(folder: Path) -> Any:
    with system.use_context(trusted=True):
        return validate(str(folder / "datapackage.json"))


class TestCitation:
    def test_it_has_the_citation_file_format(self, release: Path) -> None:
        found = citation(export(release, "citation").data)
        assert found["type"] == "dataset"
        assert found["version"] == release.name
        assert date.fromisoformat(found["date-released"])

    def test_titles_survive(self, made: Desk) -> None:
        found = citation(export(made.folder / "out" / "odd", "citation").data)
        assert found["title"] == 'Pati\\\\ents: “one” & "two" 🐟 # 3'

    @pytest.mark.parametrize(
        ("old", "new"), [(b"dataset", b"dataset!"), (b"authors:", b"writers:"), (b"-11-", b"-13-")]
    )
    def test_the_schema_would_notice(self, made: Desk, old: bytes, new: bytes) -> None:
        data = re.sub(rb'date-released: ".*"', b'date-released: "2026-11-22"', export_citation(made))
        assert old in data
        with pytest.raises(AssertionError):
            citation(data.replace(old, new))


def export_citation(made: Desk) -> bytes:
    return export(made.folder / "out" / "gdp", "citation").data


def citation(data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(data)
    validator = Draft7Validator(CITATION, format_checker=Draft7Validator.FORMAT_CHECKER)
    assert [error.message for error in validator.iter_errors(found)] == []
    return found


class TestText:
    @given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
    def test_any_text_comes_back(self, text: str) -> None:
        assert yaml.safe_load(quoted(text)) == text
        found = yaml.safe_load(document({"first": Plain("1"), "text": text, "list": [text]}, "a\ncomment"))
        assert found["list"] == [text]
        whole, lines = found["text"], text.split("\n")
        assert [line.rstrip() for line in whole.rstrip("\n").split("\n")] == [
            line.rstrip() for line in "\n".join(lines).rstrip("\n").split("\n")
        ]

    def test_what_has_no_value_is_a_comment(self) -> None:
        text = document({"a": Plain("1"), "b": {"c": Open("which?"), "d": "e"}}, "made")
        assert text == 'a: 1\n# made\nb:\n  # c: which?\n  d: "e"\n'

    @given(st.fractions(min_value=Fraction(1, 10**30), max_value=10**15))
    def test_numbers_are_rounded_up_and_read_as_numbers(self, value: Fraction) -> None:
        text = number(value)
        assert value <= Fraction(text) <= value * (1 + Fraction(1, 10**11))
        assert isinstance(yaml.safe_load(f"a: {text}")["a"], float)
        assert isinstance(json.loads(text), float)

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ("0", "0.0"),
            ("1", "1.0"),
            ("1/1000000000", "1.0e-9"),
            ("3/10", "0.3"),
            ("1/3", "0.333333333334"),
            ("12", "12.0"),
            ("1/800", "0.00125"),
        ],
    )
    def test_numbers(self, value: str, text: str) -> None:
        assert number(Fraction(value)) == text


def test_the_key_is_not_told(made: Desk) -> None:
    secret = (made.folder / "key.pem").read_text()
    text = export(made.folder / "out" / "gdp", "registry").data.decode()
    assert SigningKey.load(made.folder / "key.pem").public.keyid in text
    assert not [line for line in secret.splitlines() if "KEY" not in line and line in text]
