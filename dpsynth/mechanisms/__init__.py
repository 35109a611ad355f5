"""Mechanisms choose what to ask next: select, measure, estimate.

A mechanism sees the private table through the ``Measurer`` protocol alone: noisy answers for a price. It holds no
randomness and no row, so a replayer of the archive gives the same model again. It may import model and measurement.
"""

from dpsynth.mechanisms.independent import Independent
from dpsynth.mechanisms.mst import MST
from dpsynth.mechanisms.protocol import Mechanism, Step
from dpsynth.mechanisms.registry import REGISTRY, by_name

__all__ = ["MST", "REGISTRY", "Independent", "Mechanism", "Step", "by_name"]
