"""Rows from smartnoise-synth's MST: run in its environment by benchmarks/utility.py.

    .peers/smartnoise/bin/python benchmarks/workers/peer_smartnoise.py JOB.json ROWS.csv

Every column is categorical, so no budget goes into preparing them; it reads the categories off the private rows.
"""

from __future__ import annotations

import pandas as pd
from peer_job import answer, given
from snsynth import Synthesizer


def main() -> None:
    job, frame = given()
    synthesizer = Synthesizer.create("mst", epsilon=job["epsilon"], delta=job["delta"])
    rows = synthesizer.fit_sample(frame, categorical_columns=list(job["sizes"]), preprocessor_eps=0.0)
    answer(pd.DataFrame(rows, columns=list(job["sizes"])))


if __name__ == "__main__":
    main()
