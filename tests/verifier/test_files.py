"""The files of a release: changed, missing, added, disguised; and one flipped bit anywhere."""

from __future__ import annotations

import base64
import json
import os
import random
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from dpsynth.ledger import SigningKey, canonical, envelope
from dpsynth.verifier import verify
from tests.verifier.build import FILES, KEY, Forged, build_release, build_sample, forge

FLIPS = 1000

pytestmark = pytest.mark.usefixtures("reckoned_once")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return build_release(tmp_path / "release")


@pytest.fixture
def sample(tmp_path: Path, folder: Path) -> Path:
    return build_sample(tmp_path / "sample", folder)


def code(folder: Path) -> int:
    verdict = verify(folder)
    assert verdict.ok == (verdict.exit_code == 0) == (not verdict.failures) == (verdict.epsilon != "infinity")
    return verdict.exit_code


def flip(path: Path, rng: random.Random) -> bytes:
    """Flip one random bit of a file; returns what it held."""
    before = path.read_bytes()
    after = bytearray(before)
    after[rng.randrange(len(after))] ^= 1 << rng.randrange(8)
    path.write_bytes(after)
    return before


def test_no_flipped_bit_verifies(folder: Path, sample: Path) -> None:
    rng = random.Random(20261122)
    files = [path for where in (folder, sample) for path in sorted(where.iterdir())]
    for number in range(FLIPS):
        path = files[number % len(files)]
        before = flip(path, rng)
        found = code(path.parent)
        envelope = path.name.endswith(".dsse.json")
        assert found in ((20, 21, 23) if envelope else (21,)), path.name
        path.write_bytes(before)
    assert code(folder) == code(sample) == 0


def test_a_file_changed_missing_or_added_is_21(folder: Path) -> None:
    for name in (*FILES, "ledger.dsse.json"):
        before = (folder / name).read_bytes()
        (folder / name).unlink()
        assert code(folder) == 21
        if name != "ledger.dsse.json":
            (folder / name).write_bytes(before + b"x")
            assert code(folder) == 21
        (folder / name).write_bytes(before)
    for name in ("extra.csv", ".hidden", "ledger.dsse.json.bak", "evil\x1b[2J\n.csv"):
        (folder / name).write_bytes(b"x")
        assert code(folder) == 21
        (folder / name).unlink()
    assert code(folder) == 0


def test_files_that_are_none(folder: Path, tmp_path: Path) -> None:
    data = folder / "data.csv"
    elsewhere = tmp_path / "elsewhere.csv"
    shutil.move(data, elsewhere)
    data.symlink_to(elsewhere)
    assert code(folder) == 21
    data.unlink()
    data.mkdir()
    assert code(folder) == 21
    data.rmdir()
    os.mkfifo(data)
    assert code(folder) == 21


def test_an_envelope_behind_a_link_is_refused(folder: Path, tmp_path: Path) -> None:
    shutil.move(folder / "ledger.dsse.json", tmp_path / "ledger.dsse.json")
    (folder / "ledger.dsse.json").symlink_to(tmp_path / "ledger.dsse.json")
    assert code(folder) == 21


UNSIGNED = ("approvals", "more", "extra.csv", ".hidden", "status.dsse.json", "data.parquet.dsse.json", "\udcff")


@pytest.mark.parametrize("name", UNSIGNED, ids=ascii)
def test_nothing_unsigned_lies_beside_what_is_signed(folder: Path, sample: Path, tmp_path: Path, name: str) -> None:
    """Not as a file, a folder (empty or not), or a link to anything: no kind of approval is known yet."""
    (tmp_path / "elsewhere").mkdir()
    for where in (folder, sample):
        path = where / name
        for data in (b"", b"{}", (folder / "ledger.dsse.json").read_bytes()):
            path.write_bytes(data)
            assert code(where) == 21
            path.unlink()
        for target in (tmp_path / "elsewhere", where / "datapackage.json", tmp_path / "nowhere", where):
            path.symlink_to(target)
            assert code(where) == 21
            path.unlink()
        path.mkdir()
        assert code(where) == 21
        for inner in ("officer.dsse.json", "officer.txt"):
            (path / inner).write_bytes((folder / "ledger.dsse.json").read_bytes())
            assert code(where) == 21
        shutil.rmtree(path)
        assert code(where) == 0


def test_no_release_at_all(tmp_path: Path) -> None:
    assert code(tmp_path) == 21
    assert code(tmp_path / "nowhere") == 21


def unsign(name: str) -> Callable[[Forged], None]:
    def change(forged: Forged) -> None:
        subjects = forged.statement["subject"]
        subjects[:] = [subject for subject in subjects if subject["name"] != name]

    return change


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_release_signs_all_that_makes_one(folder: Path, name: str) -> None:
    (folder / name).unlink()
    forge(folder, unsign(name))
    assert code(folder) == (0 if name == "data.csv" else 21)


@pytest.mark.parametrize("name", ["data.parquet", "datapackage.json"])
def test_a_sample_signs_its_rows_and_what_they_are(sample: Path, name: str) -> None:
    (sample / name).unlink()
    forge(sample, unsign(name), "derivation.dsse.json")
    assert code(sample) == 21


@pytest.mark.parametrize(
    "name", ["people.csv", "data.csv ", "DATA.CSV", "approvals", "parent.dsse.json", "ledger.dsse.json", "../data.csv"]
)
def test_a_signed_file_of_another_name_is_unknown(folder: Path, sample: Path, name: str) -> None:
    """Its signer means something by it that this verifier does not know: 23, as for anything else unknown."""
    new = {"name": name, "digest": {"sha256": sha256(b"x").hexdigest()}}
    for where, envelope_name in ((folder, "ledger.dsse.json"), (sample, "derivation.dsse.json")):
        if "." not in name or name.endswith((".csv", ".CSV")):
            (where / name).write_bytes(b"x")
        forge(where, lambda forged: forged.statement["subject"].append(new), envelope_name)
        assert code(where) == 23


@pytest.mark.parametrize("name", ["data.csv", "model.npz", "report.html"])
def test_a_sample_signs_nothing_more(sample: Path, name: str) -> None:
    (sample / name).write_bytes(b"x")
    new = {"name": name, "digest": {"sha256": sha256(b"x").hexdigest()}}
    forge(sample, lambda forged: forged.statement["subject"].append(new), "derivation.dsse.json")
    assert code(sample) == 23


class TestSample:
    """A further sample carries its parent's ledger, so that it can be checked alone."""

    def test_verifies_and_says_whose_it_is(self, sample: Path) -> None:
        verdict = verify(sample)
        assert verdict.failures == ()
        assert (verdict.release, verdict.epsilon) == ("golden", "5/4")
        assert (verdict.measure, verdict.amount) == ("gdp", "1/32")
        assert verdict.notes[0].startswith(
            f"post-processing of release golden, whose ledger is signed by key {KEY.public.keyid}"
        )

    def test_says_that_its_rows_were_not_drawn_again(self, sample: Path) -> None:
        assert verify(sample).notes[1].startswith("this check did not draw the rows again")

    def test_says_the_condition_that_it_was_drawn_under(self, sample: Path) -> None:
        assert not any("condition" in note for note in verify(sample).notes)
        forge(sample, lambda forged: forged.predicate["sample"].update(where="age < 9\n"), "derivation.dsse.json")
        assert verify(sample).notes[2].endswith("each row fulfils it: age < 9\\u{a}")

    @pytest.mark.parametrize("replaced", [True, False])
    def test_a_stranger_may_not_sign_one(self, sample: Path, replaced: bool) -> None:
        """Nobody but the parent's signer may say that rows come from the parent's model."""
        other, path = SigningKey.generate(), sample / "derivation.dsse.json"
        payload = json.loads(base64.b64decode(json.loads(path.read_bytes())["payload"]))
        payload["predicate"]["signer"].update(keyid=other.public.keyid, public_key=other.public.base64)
        if replaced:
            (sample / "data.parquet").write_bytes(b"x")
            payload["subject"][0]["digest"]["sha256"] = sha256(b"x").hexdigest()
        path.write_bytes(envelope(canonical(payload), other))
        verdict = verify(sample)
        assert (verdict.exit_code, verdict.epsilon, verdict.keyid) == (20, "infinity", other.public.keyid)
        assert verdict.failures == ("[20] the sample is not signed by the key that signed its parent",)

    @pytest.mark.parametrize(
        ("path", "to", "expected"),
        [
            (("parent", "release"), "another", 21),
            (("parent", "model"), "sha256:" + "0" * 64, 21),
            (("parent", "envelope"), "sha256:" + "0" * 64, 21),
            (("sample", "rows"), -1, 23),
            (("sample", "where"), 7, 23),
            (("sample", "more"), 7, 23),
            (("version",), 2, 23),
        ],
    )
    def test_forged(self, sample: Path, path: tuple[str, ...], to: object, expected: int) -> None:
        def change(forged: Forged) -> None:
            target = forged.predicate
            for step in path[:-1]:
                target = target[step]
            target[path[-1]] = to

        forge(sample, change, "derivation.dsse.json")
        assert code(sample) == expected

    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            (lambda forged: forged.entry("measure")["cost"].update(mu2="0"), 22),
            (unsign("report.html"), 21),
            (lambda forged: forged.statement["subject"][0].update(name="people.csv"), 23),
            (lambda forged: forged.statement.update(predicateType="urn:dpsynth:dp-derivation:v1"), 23),
        ],
    )
    def test_a_lying_parent_is_found(self, sample: Path, change: Callable[[Forged], object], expected: int) -> None:
        forge(sample, change, "parent.dsse.json")
        ledger = "sha256:" + sha256((sample / "parent.dsse.json").read_bytes()).hexdigest()
        forge(sample, lambda forged: forged.predicate["parent"].update(envelope=ledger), "derivation.dsse.json")
        assert code(sample) == expected

    def test_the_parent_must_be_there_and_a_ledger(self, sample: Path) -> None:
        parent = sample / "parent.dsse.json"
        shutil.copy(sample / "derivation.dsse.json", parent)
        assert code(sample) == 23
        parent.unlink()
        assert code(sample) == 21

    def test_not_both(self, sample: Path) -> None:
        shutil.copy(sample / "parent.dsse.json", sample / "ledger.dsse.json")
        assert code(sample) == 21

    def test_a_release_has_no_parent(self, folder: Path) -> None:
        shutil.copy(folder / "ledger.dsse.json", folder / "parent.dsse.json")
        assert code(folder) == 21

    def test_one_kind_of_envelope_is_not_the_other(self, folder: Path, sample: Path) -> None:
        shutil.copy(sample / "derivation.dsse.json", folder / "ledger.dsse.json")
        assert code(folder) == 23


def test_whatever_fails_is_no_pass(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("dpsynth.verifier.check_ledger", broken)
    verdict = verify(folder)
    assert (verdict.exit_code, verdict.ok, verdict.epsilon) == (70, False, "infinity")
