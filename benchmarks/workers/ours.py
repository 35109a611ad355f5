"""Fits a problem with dpsynth in a new process and reports as JSON: run by benchmarks/inference.py.

    python benchmarks/workers/ours.py PROBLEM.npz FITTED.npz --started CLOCK [--runs 2] [--grow] ...

CLOCK is time.time() when the process was asked for, so that the cold time holds the interpreter and the imports.
"""

from __future__ import annotations

import json
import sys
import time
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from memory import peak_mib
from posed import posed
from problems import Problem
from worker import parser

from dpsynth.model import estimate


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--runs", type=int, default=1)
    arguments.add_argument("--shrinkage", type=float, default=1.0, help="estimate's")
    arguments.add_argument("--slack", type=float, default=0.0, help="estimate's")
    arguments.add_argument("--cap", type=int, default=10_000, help="estimate's")
    arguments.add_argument("--grow", action="store_true", help="fit all but the last measurement, then all from there")
    asked = arguments.parse_args()
    problem = Problem.load(asked.given)
    domain, measurements = posed(problem)
    fit = partial(estimate, domain, total=problem.rows, shrinkage=asked.shrinkage, slack=asked.slack, cap=asked.cap)
    seconds, began = [], asked.started
    for _ in range(asked.runs):
        network = fit(measurements)
        seconds.append(time.time() - began)
        began = time.time()
    ended = network.convergence
    began = time.time()
    asked_pairs = sum(table is not None for _, table in network.pairs())
    figures = {
        "pairs": asked_pairs,
        "pairs_seconds": time.time() - began,
        "cold": seconds[0],
        "warm": min(seconds[1:], default=None),
        "peak": peak_mib(),
        "cells": network.tree.cells,
        "evaluations": ended.evaluations,
        "converged": ended.converged,
    }
    if asked.grow:
        before, again = fit(measurements[:-1]), []
        for _ in range(asked.runs):
            began = time.time()
            network = fit(measurements, start=before)
            again.append(time.time() - began)
        figures |= {"again": min(again), "again_evaluations": network.convergence.evaluations}
    np.savez(asked.answer, *[network.marginal(clique) for clique in problem.cliques])
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
