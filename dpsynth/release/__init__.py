"""A release from plan to signed folder, and back: run, write, verify, rebuild, sample.

The one room that ties a curator to a mechanism. It never holds a private row: it names the source, and gets noisy
answers.
"""

from dpsynth.release.check import verify
from dpsynth.release.config import ReleaseConfig
from dpsynth.release.derive import derive
from dpsynth.release.footprint import Footprint
from dpsynth.release.payer import Outlook, outlook
from dpsynth.release.plan import Plan
from dpsynth.release.planned import PlannedQuery, errors_by_size, largest_model, most_measured_cells, preview
from dpsynth.release.progress import Progress
from dpsynth.release.release import Release
from dpsynth.release.run import Published, load_plan, run_file, synthesize
from dpsynth.release.words import constraints_told, workload_told
from dpsynth.verifier import Verdict

__all__ = [
    "Footprint",
    "Outlook",
    "Plan",
    "PlannedQuery",
    "Progress",
    "Published",
    "Release",
    "ReleaseConfig",
    "Verdict",
    "constraints_told",
    "derive",
    "errors_by_size",
    "largest_model",
    "load_plan",
    "most_measured_cells",
    "outlook",
    "preview",
    "run_file",
    "synthesize",
    "verify",
    "workload_told",
]
