"""What may be asked of the private table, and what comes back: domain, level, query, answer, archive."""

from dpsynth.measurement.archive import Answer, Replayer, pack, read_archive, unpack
from dpsynth.measurement.domain import Domain
from dpsynth.measurement.found import found, labels, listed, unfound
from dpsynth.measurement.grid import NO_TREES, Grid, Tree, grid
from dpsynth.measurement.level import Level
from dpsynth.measurement.protocol import Finder, Measurer
from dpsynth.measurement.query import (
    LATTICE,
    TOTAL,
    Basis,
    Candidate,
    Law,
    NoisyMarginal,
    NoisyScores,
    Partitions,
    Query,
    Rule,
    Score,
    Selection,
    candidates_digest,
)

__all__ = [
    "LATTICE",
    "NO_TREES",
    "TOTAL",
    "Answer",
    "Basis",
    "Candidate",
    "Domain",
    "Finder",
    "Grid",
    "Law",
    "Level",
    "Measurer",
    "NoisyMarginal",
    "NoisyScores",
    "Partitions",
    "Query",
    "Replayer",
    "Rule",
    "Score",
    "Selection",
    "Tree",
    "candidates_digest",
    "found",
    "grid",
    "labels",
    "listed",
    "pack",
    "read_archive",
    "unfound",
    "unpack",
]
