"""One self-contained page for people: what was promised and asked, what it means for one person, what it does not.

The room is given public facts alone and turns them into HTML: no script, no link to anywhere, equal facts give equal
bytes. It knows nothing of rows, stores or keys.
"""

from dpsynth.report.facts import (
    Account,
    Claim,
    ColumnFit,
    Hazard,
    ModelPicture,
    QueryFact,
    ReportFacts,
    Tie,
    WorstCase,
)
from dpsynth.report.page import render

__all__ = [
    "Account",
    "Claim",
    "ColumnFit",
    "Hazard",
    "ModelPicture",
    "QueryFact",
    "ReportFacts",
    "Tie",
    "WorstCase",
    "render",
]
