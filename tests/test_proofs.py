"""Each private function has a proof beside it, and a proof of code that has changed is noticed."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROOFS = sorted((ROOT / "proofs").rglob("*.md"))
SECTIONS = (
    "## Preconditions",
    "## Pseudocode",
    "## Claim",
    "## Errors do not depend on data",
    "## Privacy",
    "## Numerics",
)

spec = importlib.util.spec_from_file_location("restamp", ROOT / "proofs" / "restamp.py")
assert spec is not None and spec.loader is not None
restamp = importlib.util.module_from_spec(spec)
spec.loader.exec_module(restamp)

PRIVATE = {
    "dpsynth.curator.curator.Curator.marginals",
    "dpsynth.curator.curator.Curator.select",
    "dpsynth.curator.curator.Curator.total",
}


@pytest.mark.parametrize("path", PROOFS, ids=lambda path: str(path.relative_to(ROOT)))
class TestProof:
    def test_is_of_the_code_as_it_stands(self, path: Path) -> None:
        dotted = restamp.proved(path)
        assert restamp.stamp_of(path) == restamp.digest(dotted), (
            f"{dotted} has changed since {path.name} was written: read the proof again, mend it, then run "
            f'python proofs/restamp.py "why it still holds" {path}'
        )

    def test_has_its_sections(self, path: Path) -> None:
        text = path.read_text()
        assert [section for section in SECTIONS if section not in text] == []


def test_every_private_function_is_proved() -> None:
    assert {restamp.proved(path) for path in PROOFS} >= PRIVATE
