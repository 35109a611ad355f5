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
    *(
        f"dpsynth.accountant.{name}"
        for name in ("accountant.Accountant.reserve", "asked.add", "asked.take_over", "grants.raise_cap")
    ),
    *(f"dpsynth.accountant.filter.{name}" for name in ("charged", "covers", "unable")),
    *(
        f"dpsynth.accountant.reservation.{name}"
        for name in ("Reservation.draw", "Reservation.open", "Reservation.store")
    ),
    "dpsynth.accountant.reservation.give_back",
    "dpsynth.curator.failures.among_rows",
    *(f"dpsynth.curator.curator.Curator.{name}" for name in ("_compared", "scores", "select")),
    *(f"dpsynth.curator.curator.Curator.{name}" for name in ("_verb", "marginals", "partitions", "total")),
    *(f"dpsynth.curator.{name}" for name in ("batched", "charges", "partitions.Naming", "residuals", "rules")),
    "dpsynth.curator.scores",
    *(f"dpsynth.encoding.{name}" for name in ("codec.Codec", "listed._Lookup._cells", "numeric._Grid", "weights")),
    *(f"dpsynth.encoding.{name}" for name in ("calendar", "constraints", "edges", "moments", "rules")),
    *(f"dpsynth.noise.{name}" for name in ("arguments", "choice", "entropy", "kinds", "laplace")),
    *(f"dpsynth.noise.{name}" for name in ("normal", "opendp", "rounded", "segments")),
    *(f"dpsynth.privacy.{name}" for name in ("conversion", "interval", "normal", "tradeoff", "cost._smallest")),
    *(f"dpsynth.privacy.{name}" for name in ("gdp", "gdp.epsilon_of_gdp", "gdp.mu_squared_of", "promise")),
    "dpsynth.privacy.partitions.threshold",
    "dpsynth.table.texts",
    *(f"dpsynth.privacy.tradeoff.{name}" for name in ("_gaussian_power", "_pure_power")),
    "dpsynth.privacy.parallel.together",
    *(f"dpsynth.privacy.cost.{name}" for name in ("Cost", "exponential_cost", "gaussian_cost", "laplace_cost")),
    *(
        f"dpsynth.privacy.sensitivity.{name}"
        for name in (
            "l1_to_model",
            "marginal_l1",
            "marginal_squared",
            "partitions_squared",
            "residual_squared",
            "total",
        )
    ),
    *(f"dpsynth.table.{name}" for name in ("blocks", "counting", "lines", "load.open_table", "runs", "spread.Spread")),
    *(f"dpsynth.table.{name}" for name in ("local", "private.PrivateTable", "spark.Cluster", "tasks")),
    *(f"dpsynth.table.{name}" for name in ("batches.batches", "cells.texts", "postgres_cells")),
    *(f"dpsynth.table.{name}" for name in ("encoded.Encoder", "identities", "members.members")),
    *(f"dpsynth.table.truncation.{name}" for name in ("compacted", "keep", "standing")),
    *(f"dpsynth.verifier.{name}" for name in ("charged", "check_accounts", "check_charges", "cost_of", "epsilon_of")),
    *(f"dpsynth.verifier.{name}" for name in ("gdp_gives", "gives", "hides", "mills", "sensitivity_squared")),
}
"""Everything that decides a sensitivity, a cost, a noise or the order of the gate."""


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
