"""What may be asked of the private table, and what comes back: domain, level, query, answer, archive."""

from dpsynth.measurement.archive import Answer, Replayer, pack, read_archive, unpack
from dpsynth.measurement.domain import Domain
from dpsynth.measurement.grid import NO_TREES, Grid, Tree, grid
from dpsynth.measurement.level import Level
from dpsynth.measurement.protocol import Measurer
from dpsynth.measurement.query import (
    LATTICE,
    TOTAL,
    Basis,
    Candidate,
    Law,
    NoisyMarginal,
    NoisyScores,
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
    "Grid",
    "Law",
    "Level",
    "Measurer",
    "NoisyMarginal",
    "NoisyScores",
    "Query",
    "Replayer",
    "Rule",
    "Score",
    "Selection",
    "Tree",
    "candidates_digest",
    "grid",
    "pack",
    "read_archive",
    "unpack",
]
