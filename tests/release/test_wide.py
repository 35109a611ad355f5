"""A table of more columns than those whose junction tree is made anew for every purchase."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from dpsynth.ledger import SigningKey
from dpsynth.mechanisms.purchase import WIDE
from dpsynth.release import run_file, verify

COLUMNS = WIDE + 4
ROWS = 2_000


def test_it_runs_rebuilds_and_keeps_what_neighbouring_columns_have_in_common(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    heads = rng.random((ROWS, COLUMNS // 2)) < 0.5
    tails = heads ^ (rng.random(heads.shape) < 0.02)
    values = np.stack([heads, tails], axis=2).reshape(ROWS, COLUMNS)  # columns 2k and 2k + 1 nearly agree
    names = [f"c{at}" for at in range(COLUMNS)]
    pd.DataFrame(values, columns=names).to_parquet(tmp_path / "wide.parquet")
    schema = "".join(f'[columns.{name}]\ntype = "boolean"\n' for name in names)
    (tmp_path / "schema.toml").write_text(schema)
    SigningKey.generate().save(tmp_path / "key.pem")
    (tmp_path / "release.toml").write_text(
        '[data]\nsource = "wide.parquet"\nschema = "schema.toml"\n[budget]\nepsilon = "20"\ndelta = "1e-6"\n'
        '[mechanism]\nname = "mrm"\n[release]\nid = "wide"\nsign_with = "key.pem"\n'
    )
    published = run_file(tmp_path / "release.toml", out=tmp_path / "out")
    verdict = verify(published.folder, rebuild=True)
    assert verdict.ok, verdict.failures
    drawn = pd.read_parquet(published.folder / "data.parquet")
    agree = [float((drawn[names[at]] == drawn[names[at + 1]]).mean()) for at in range(0, COLUMNS, 2)]
    apart = [float((drawn[names[at]] == drawn[names[at + 1]]).mean()) for at in range(1, COLUMNS - 1, 2)]
    assert min(agree) > 0.9
    assert max(apart) < 0.7
