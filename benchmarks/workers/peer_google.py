"""Rows from google/dpsynth's DiscreteConfig: run in its environment by benchmarks/utility.py.

    .peers/google/bin/python benchmarks/workers/peer_google.py JOB.json ROWS.csv

Its defaults, and the two-way marginals as the workload of the mechanisms that have one. ``compress`` is its domain
compression. The checkout under .peers/google/checkout is imported as it stands.
"""

from __future__ import annotations

import sys
from functools import partial
from itertools import combinations
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / ".peers" / "google" / "checkout"))

import dp_accounting
import mbi
import numpy as np
import pandas as pd
from peer_job import answer, given

from dpsynth import discrete_mechanisms as google


def main() -> None:
    job, frame = given()
    pairs = list(combinations(job["sizes"], 2))
    mechanism = {
        "independent": google.IndependentConfig,
        "mst": google.MSTConfig,
        "swift": partial(google.SWIFTConfig, workload=pairs),
        "aim": partial(google.AIMConfig, workload=pairs),
        "aim-gdp": partial(google.AIMGDPConfig, workload=pairs),
    }[job["mechanism"]]()
    if job["mechanism"] in ("swift", "aim-gdp"):
        # dp-accounting 0.6.0 divides by zero in the search for a bracket unless it is told one.
        dp_accounting.calibrate_dp_mechanism = partial(
            dp_accounting.calibrate_dp_mechanism, bracket_interval=dp_accounting.ExplicitBracketInterval(1e-6, 20)
        )
    config = google.DiscreteConfig(mechanism, compress_columns=job["compress"])
    calibrated = config.calibrate(epsilon=job["epsilon"], delta=job["delta"])
    columns = {name: frame[name].to_numpy() for name in job["sizes"]}
    data = mbi.Dataset(columns, mbi.Domain(tuple(job["sizes"]), tuple(job["sizes"].values())))
    answer(pd.DataFrame(calibrated(np.random.default_rng(), data).synthetic_data.to_dict()))


if __name__ == "__main__":
    main()
