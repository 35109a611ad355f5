"""A problem of benchmarks/problems.py as dpsynth is given it."""

from __future__ import annotations

from problems import Problem

from dpsynth.measurement import Domain
from dpsynth.model import Measurement


def posed(problem: Problem) -> tuple[Domain, list[Measurement]]:
    """Its columns, and its tables as noisy measurements of them."""
    domain = Domain(problem.names, problem.sizes)
    return domain, [
        Measurement.of(domain, clique, table, problem.scale, problem.groups(k))
        for k, (clique, table) in enumerate(zip(problem.cliques, problem.tables, strict=True))
    ]
