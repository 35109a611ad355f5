"""2. A stranger with Python, the package ``cryptography`` and the verifier's files checks a release in seconds."""

from __future__ import annotations

import json
import math
import resource
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

from dpsynth import evidence, roots, trust, verifier
from dpsynth.ledger import open_envelope
from dpsynth.privacy import Budget
from tests.acceptance.kit import document
from tests.desk import Office

ALONE = """
import runpy, sys

def hook(event, arguments):
    if event.startswith(("socket.", "urllib")):
        raise RuntimeError("no network")
    if event == "import" and arguments[0].partition(".")[0] in ("dpsynth", "numpy", "pandas", "pyarrow"):
        raise RuntimeError("no engine")

sys.addaudithook(hook)
sys.argv[:] = sys.argv[1:]
sys.path.insert(0, {place!r})
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def reckoned() -> float:
    """Seconds of a processor that went into processes which this one started and saw end."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_the_verifier_alone(published: Office, tmp_path: Path) -> None:
    place = tmp_path / "clean machine"
    place.mkdir()
    for module in (verifier, evidence, trust, roots):
        shutil.copy(str(module.__file__), place)
    release = place / "release"
    shutil.copytree(published.out, release)
    root = shutil.copy(published.root, place)
    words = [sys.executable, "-I", "-c", ALONE.format(place=str(place)), place / "trust.py", release, "--root", root]
    began = reckoned()
    run = subprocess.run([*map(str, words), "--fresh", "--json"], cwd=place, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    assert reckoned() - began < 5
    found = document(run.stdout)
    ledger = json.loads(open_envelope((release / "ledger.dsse.json").read_bytes()))["predicate"]
    guarantee = ledger["guarantee"]
    assert {key: found[key] for key in ("epsilon", "delta", "measure")} == {
        key: guarantee[key] for key in ("epsilon", "delta", "measure")
    }
    assert guarantee["reserved"] == {"mu2": found["amount"], "delta": "0"}
    assert found["approved_by"] == ["ana", "bo"]
    told = "\n".join(found["notes"])
    for account, epsilon in zip(ledger["accounts"], ("4", "9"), strict=True):
        cap = Budget(epsilon=epsilon, delta="1e-6").cost("gdp").amount
        exact = (Fraction(guarantee["reserved"]["mu2"]), cap)
        amounts = [f"{math.ceil(amount * 10**6) / 10**6:.6f}".rstrip("0") for amount in exact]
        assert f"account {account['name']}: mu2 {' of '.join(amounts)} held after this release" in told
    assert [account["held_after"] for account in ledger["accounts"]] == [guarantee["reserved"]] * 2


def test_each_file_of_it_is_short() -> None:
    for module in (verifier, evidence, trust, roots):
        assert len(Path(str(module.__file__)).read_text().splitlines()) < 600
