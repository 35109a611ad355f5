"""Fits a problem in rounds, as mechanisms do, and reports as JSON: run by benchmarks/inference.py.

    python benchmarks/workers/rounds.py PROBLEM.npz FITTED.npz --started CLOCK --per 1 [--slack 0.01]

All single columns come first, then ``--per`` more tables a round. Each round is fitted from the fit before and afresh,
in turns, and the last one exactly besides.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from posed import posed
from problems import Problem
from worker import parser

from dpsynth.model import MarkovNetwork, estimate


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--per", type=int, required=True, help="tables a round")
    arguments.add_argument("--slack", type=float, default=0.01, help="estimate's, but for the last fit")
    asked = arguments.parse_args()
    problem = Problem.load(asked.given)
    domain, measurements = posed(problem)

    def fit(count: int, start: MarkovNetwork | None, slack: float) -> tuple[MarkovNetwork, float]:
        began = time.perf_counter()
        network = estimate(domain, measurements[:count], problem.rows, start=start, slack=slack)
        return network, time.perf_counter() - began

    before, _ = fit(len(domain.names), None, asked.slack)
    ends = [*range(len(domain.names) + asked.per, len(measurements), asked.per), len(measurements)]
    warm, afresh = [], []
    for count in ends:
        afresh.append(fit(count, None, asked.slack))
        network, seconds = fit(count, before, asked.slack)
        warm.append((network, seconds))
        before = network
    last, last_seconds = fit(len(measurements), before, 0.0)
    again, again_seconds = fit(len(measurements), None, 0.0)
    figures = {
        "rounds": len(ends),
        "cells": last.tree.cells,
        "warm": sum(seconds for _, seconds in warm),
        "warm_last": warm[-1][1],
        "warm_evaluations": sum(network.convergence.evaluations for network, _ in warm),
        "afresh": sum(seconds for _, seconds in afresh),
        "afresh_last": afresh[-1][1],
        "afresh_evaluations": sum(network.convergence.evaluations for network, _ in afresh),
        "exact": last_seconds,
        "exact_evaluations": last.convergence.evaluations,
        "exact_afresh": again_seconds,
        "exact_afresh_evaluations": again.convergence.evaluations,
    }
    np.savez(asked.answer)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
