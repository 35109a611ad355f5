"""Fits a problem with mbi at its defaults and reports as JSON: run in mbi's environment by benchmarks/inference.py.

    .peers/mbi/bin/python benchmarks/workers/mbi_fit.py PROBLEM.npz FITTED.npz --started CLOCK [--runs 2] [--rows N]

Defaults: MirrorDescent, 1,000 iterations, float32. ``--rows`` draws rows from the fit as well, twice.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import jax
import mbi
import numpy as np
from memory import peak_mib
from problems import Problem
from worker import parser


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--runs", type=int, default=1)
    arguments.add_argument("--rows", type=int, default=0)
    asked = arguments.parse_args()
    problem = Problem.load(asked.given)
    domain = mbi.Domain(problem.names, problem.sizes)
    measurements = [
        mbi.LinearMeasurement(table.ravel(), clique, problem.scale)
        for clique, table in zip(problem.cliques, problem.tables, strict=True)
    ]
    seconds, began = [], asked.started
    for _ in range(asked.runs):
        model = mbi.estimation.MirrorDescent().estimate(domain, measurements, known_total=float(problem.rows))
        jax.block_until_ready(model)
        seconds.append(time.time() - began)
        began = time.time()
    figures = {"cold": seconds[0], "warm": min(seconds[1:], default=None), "peak": peak_mib()}
    np.savez(asked.answer, *[np.asarray(model.project(c).values, np.float64) for c in problem.cliques])
    if asked.rows:
        drawn = []
        for _ in range(2):
            began = time.time()
            model.synthetic_data(rows=asked.rows)
            drawn.append(time.time() - began)
        figures |= {"draw_cold": drawn[0], "draw_warm": drawn[1], "draw_peak": peak_mib()}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
