"""Mechanisms choose what to ask next: select, measure, estimate.

A mechanism sees the private table through the ``Measurer`` protocol alone: noisy answers for a price. It holds no
randomness and no row, so a replayer of the archive gives the same model again. It may import model and measurement.

Shared by all: workload (what the user asks for), oneway and smoothing (each column by itself), merging (levels), rate
and purchase (what a price buys, and what is worth it), assemble (from answers to the fitted model), rounds (asking,
fitting and asking again).
"""

from dpsynth.mechanisms.aim import AIM
from dpsynth.mechanisms.independent import Independent
from dpsynth.mechanisms.mrm import MRM
from dpsynth.mechanisms.mst import MST
from dpsynth.mechanisms.partitions import fit_found, with_finding
from dpsynth.mechanisms.privbayes import PrivBayes
from dpsynth.mechanisms.protocol import Mechanism, Step
from dpsynth.mechanisms.registry import DEFAULT, REGISTRY, by_name
from dpsynth.mechanisms.workload import Workload

__all__ = [
    "AIM",
    "DEFAULT",
    "MRM",
    "MST",
    "REGISTRY",
    "Independent",
    "Mechanism",
    "PrivBayes",
    "Step",
    "Workload",
    "by_name",
    "fit_found",
    "with_finding",
]
