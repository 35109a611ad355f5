"""UCI Adult, raw, with the schema of docs/examples: a real table as its owner holds it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from dpsynth.ledger import SigningKey
from dpsynth.release import run_file, verify
from dpsynth.schema import Boolean, Integer, Real, Schema

ROOT = Path(__file__).parents[2]
TABLE = ROOT.parent / "shared" / "data" / "adult_train.csv"
EXAMPLES = ROOT / "docs" / "examples"


@pytest.mark.shared
@pytest.mark.skipif(not TABLE.exists(), reason="../shared/data/adult_train.csv is not here")
def test_raw_adult_runs_rebuilds_and_keeps_to_its_schema(tmp_path: Path) -> None:
    for name in ("adult.toml", "adult.schema.toml"):
        shutil.copy(EXAMPLES / name, tmp_path)
    SigningKey.generate().save(tmp_path / "key.pem")
    release = tmp_path / "adult.toml"
    text = release.read_text().replace("../../../shared/data/adult_train.csv", str(TABLE))
    release.write_text(text.replace('id = "adult-1"', 'id = "adult-1"\nsign_with = "key.pem"'))
    published = run_file(release, tmp_path / "out")
    verdict = verify(published.folder, rebuild=True)
    assert verdict.ok, verdict.failures
    frame = pq.read_table(published.folder / "data.parquet").to_pandas()
    schema = Schema.load(tmp_path / "adult.schema.toml")
    assert list(frame.columns) == list(schema.names)
    for name, column in schema.columns.items():
        known = frame[name].dropna()
        assert column.nullable or len(known) == len(frame), name
        if isinstance(column, Integer | Real):
            assert known.between(column.min, column.max).all(), name
        elif not isinstance(column, Boolean):
            assert set(known) <= set(column.values), name
    assert abs(len(frame) - 32_561) < 1_000


def test_the_example_reads_without_the_table() -> None:
    schema = Schema.load(EXAMPLES / "adult.schema.toml")
    assert len(schema.names) == 15
