"""Rows from dpmm's pipelines: run in its environment by benchmarks/utility.py.

    .peers/dpmm/bin/python benchmarks/workers/peer_dpmm.py JOB.json ROWS.csv

The sizes are given as the public domain, so no budget goes into binning; compression on and degree 2 are its
defaults. It is told how many rows to draw: the true number.
"""

from __future__ import annotations

from dpmm.pipelines import PIPELINE_DICT
from peer_job import answer, given


def main() -> None:
    job, frame = given()
    pipeline = PIPELINE_DICT[job["mechanism"]](
        epsilon=job["epsilon"],
        delta=job["delta"],
        compress=True,
        max_model_size=job["max_model_size"],
        gen_kwargs=job["options"],
        disable_processing=True,
    )
    pipeline.fit(frame, domain=job["sizes"])
    answer(pipeline.generate(n_records=len(frame)))


if __name__ == "__main__":
    main()
