"""Fits a problem with mbi at its defaults and reports as JSON: run in mbi's environment by benchmarks/inference.py.

    .peers/mbi/bin/python benchmarks/workers/mbi_fit.py PROBLEM.npz FITTED.npz --started CLOCK [--runs 2] [--rows N]

Defaults: MirrorDescent, 1,000 iterations, float32. ``--rows`` draws rows from the fit as well, twice.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
warnings.simplefilter("ignore")

import jax  # noqa: E402
import mbi  # noqa: E402
import numpy as np  # noqa: E402
from memory import peak_mib  # noqa: E402
from problems import Problem  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problem", type=Path)
    parser.add_argument("fitted", type=Path)
    parser.add_argument("--started", type=float, required=True)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--rows", type=int, default=0)
    asked = parser.parse_args()
    problem = Problem.load(asked.problem)
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
    np.savez(asked.fitted, *[np.asarray(model.project(c).values, np.float64) for c in problem.cliques])
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
