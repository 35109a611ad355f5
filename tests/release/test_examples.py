"""Real tables with the schemas of docs/examples, as their owners hold them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dpsynth.ledger import SigningKey
from dpsynth.release import load_plan, preview, run_file, verify
from dpsynth.schema import Boolean, Categorical, Integer, Ordinal, Real, Schema

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
EXAMPLES = ROOT / "docs" / "examples"
TABLES = {"adult": ("adult_train.csv", 32_561, 15), "hmeq": ("hmeq.csv", 5_960, 13)}


@pytest.mark.shared
@pytest.mark.parametrize("name", TABLES)
def test_it_runs_rebuilds_and_keeps_to_its_schema(name: str, tmp_path: Path) -> None:
    table, rows, _ = TABLES[name]
    if not (DATA / table).exists():
        pytest.skip(f"../shared/data/{table} is not here")
    for file in (f"{name}.toml", f"{name}.schema.toml"):
        shutil.copy(EXAMPLES / file, tmp_path)
    SigningKey.generate().save(tmp_path / "key.pem")
    release = tmp_path / f"{name}.toml"
    text = release.read_text().replace(f"../../../shared/data/{table}", str(DATA / table))
    release.write_text(text.replace(f'id = "{name}-1"', f'id = "{name}-1"\nsign_with = "key.pem"'))
    published = run_file(release, tmp_path / "out")
    verdict = verify(published.folder, rebuild=True)
    assert verdict.ok, verdict.failures
    found = pq.read_table(published.folder / "data.parquet")
    schema = Schema.load(tmp_path / f"{name}.schema.toml")
    assert found.column_names == list(schema.names)
    for column_name, column in schema.columns.items():
        kept = found[column_name]
        assert column.nullable or kept.null_count == 0, column_name
        known = kept.drop_null().to_pandas()
        match column:
            case Integer() | Real():
                assert kept.type == (pa.int64() if isinstance(column, Integer) else pa.float64()), column_name
                assert known.between(column.min, column.max).all(), column_name
            case Categorical() | Ordinal():
                assert set(known) <= set(column.values), column_name
            case _:
                assert isinstance(column, Boolean)
    assert abs(found.num_rows - rows) < 1_000


@pytest.mark.parametrize("name", TABLES)
def test_it_is_planned_without_the_table(name: str) -> None:
    plan, _ = load_plan(EXAMPLES / f"{name}.toml")
    assert len(plan.schema.names) == TABLES[name][2]
    assert plan.grid.trees
    lines = preview(plan)
    finest = [line.cells for line in lines if line.columns == (next(iter(plan.grid.trees)),)]
    assert finest == [level.size for level in next(iter(plan.grid.trees.values())).levels]
    assert sum(line.share for line in lines) <= 1
