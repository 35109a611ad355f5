"""What a plan says of memory: an upper bound of what is measured, by public things alone, and a refusal in time."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from dpsynth.errors import ConfigurationError
from dpsynth.measurement import NoisyMarginal, read_archive
from dpsynth.mechanisms import REGISTRY, Workload
from dpsynth.privacy import Budget
from dpsynth.release import Footprint, Plan, most_measured_cells, synthesize
from dpsynth.schema import Schema
from tests.mechanisms.fake import FakeMeasurer

GIB = 1 << 30


def plan_of(columns: int, bins: int, mechanism: str = "mrm", **more: object) -> Plan:
    text = "\n".join(
        f'[columns.x{j}]\ntype = "integer"\nmin = 0\nmax = {bins - 1}\nbins = {bins}' for j in range(columns)
    )
    return Plan("r", Schema.parse(text), mechanism, Budget(epsilon="1000", delta="1e-9"), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("mechanism", REGISTRY)
def test_more_columns_and_bins_take_more(mechanism: str) -> None:
    few, wide, fine = (
        Footprint.of(plan_of(columns, bins, mechanism), GIB) for columns, bins in [(5, 10), (40, 10), (40, 100)]
    )
    assert few.needed < wide.needed < fine.needed
    assert few.needed == sum(size for _, size in few.parts) == few.counting + few.public
    assert few.left + few.public == GIB


def test_a_workload_of_named_columns_takes_less() -> None:
    pairs = tuple(((f"x{j}", f"x{j + 1}"), 1) for j in range(0, 100, 2))
    every, some = (Footprint.of(plan_of(200, 50, workload=w), GIB) for w in (Workload(), Workload(marginals=pairs)))
    assert some.candidates < every.candidates / 10


@pytest.mark.parametrize("columns", range(3, 9))
@pytest.mark.parametrize("mechanism", ["aim", "mrm"])
def test_no_more_cells_are_measured_than_told(mechanism: str, columns: int) -> None:
    names = [f"x{j}" for j in range(columns)]
    listed = (*list(combinations(names, 3))[:columns], *combinations(names, 2))
    plan = plan_of(columns, 2, mechanism, workload=Workload(marginals=tuple((sets, 1) for sets in listed)))
    codes = np.random.default_rng(columns).integers(0, 2, (5000, columns))
    codes[:, -1] = codes[:, :-1].sum(axis=1) % 2
    fake = FakeMeasurer(plan.domain, codes, 1, measure="gdp")
    plan.algorithm().fit(fake, plan.cost.amount)
    measured = sum(answer.query.cells for answer in fake.answers if isinstance(answer, NoisyMarginal))
    assert measured <= most_measured_cells(plan)


def test_what_does_not_fit_is_refused_with_what_would() -> None:
    plan = plan_of(60, 100, "mst")
    with pytest.raises(ConfigurationError) as raised:
        Footprint.of(plan, GIB // 2).require()
    told = str(raised.value)
    needed = Footprint.of(plan, 1).needed
    for word in ("512 MiB", "tables that private choices compare", "Give it memory =", "fewer bins", "workload"):
        assert word in told
    Footprint.of(plan, needed).require()
    with pytest.raises(ConfigurationError):
        Footprint.of(plan, needed - 1).require()


def test_it_follows_from_schema_plan_and_limit_alone(tmp_path: Path) -> None:
    """No row is read and nothing is reserved: there is no table at all."""
    with pytest.raises(ConfigurationError, match=r"^memory: the limit is 700 MiB"):
        synthesize(tmp_path / "nothing.csv", schema=plan_of(3, 3).schema, epsilon="1", delta="1e-9", memory="700 MiB")
    assert list(tmp_path.iterdir()) == []
    plan = plan_of(30, 10)
    assert Footprint.of(plan, GIB) == Footprint.of(replace(plan, release="other", seed=7), GIB)


RUN = """
import sys
from pathlib import Path
import numpy as np
from dpsynth.release import synthesize
folder, columns, bins, mechanism = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
rng = np.random.default_rng(0)
shared = rng.random(2000)
codes = [((shared + rng.random(2000)) / 2 * bins).astype(int) for _ in range(columns)]
names = ",".join(f"x{j}" for j in range(columns))
(folder / "t.csv").write_text(names + "\\n" + "\\n".join(",".join(map(str, row)) for row in zip(*codes)) + "\\n")
schema = folder / "s.toml"
schema.write_text("\\n".join(
    f'[columns.x{j}]\\ntype = "integer"\\nmin = 0\\nmax = {bins - 1}\\nbins = {bins}' for j in range(columns)))
asked = dict(epsilon="1000", delta="1e-9", mechanism=mechanism, memory=sys.argv[5])
made = synthesize(folder / "t.csv", schema=schema, **asked)
made.save(folder / "out")
status = Path("/proc/self/status").read_text()
print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
"""


def peak_of(columns: int, bins: int, mechanism: str, memory: int, folder: Path) -> int:
    """The peak in bytes of a whole run in a process of its own."""
    words = [sys.executable, "-c", RUN, str(folder), str(columns), str(bins), mechanism, f"{memory} B"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return int(done.stdout) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from Linux's own account of it")
@pytest.mark.parametrize(
    ("columns", "bins", "mechanism"),
    [(8, 20, "mrm"), (60, 20, "mrm"), (60, 60, "mst"), (12, 30, "aim"), (10, 6, "privbayes"), (60, 60, "independent")],
)
def test_the_peak_is_within_the_estimate_and_near_it(columns: int, bins: int, mechanism: str, tmp_path: Path) -> None:
    """The limit is what the plan says that it needs."""
    needed = Footprint.of(plan_of(columns, bins, mechanism), 1).needed
    peak = peak_of(columns, bins, mechanism, needed, tmp_path)
    assert peak <= needed <= 8 * peak


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from Linux's own account of it")
def test_what_the_tables_of_a_wide_plan_take_is_in_the_estimate(tmp_path: Path) -> None:
    """Beside what every run takes, which the estimate holds much more of than these two do.

    How much there is beyond the answers themselves depends on the noise: by it a fit finds a larger or a smaller model.
    """
    small, wide = (Footprint.of(plan_of(columns, bins), 1).needed for columns, bins in [(3, 3), (100, 60)])
    folders = tmp_path / "wide", tmp_path / "small"
    for folder in folders:
        folder.mkdir()
    grown = peak_of(100, 60, "mrm", wide, folders[0]) - peak_of(3, 3, "mrm", wide, folders[1])
    answers = read_archive(folders[0] / "out" / "measurements.npz")
    held = sum(answer.values.nbytes for answer in answers if isinstance(answer, NoisyMarginal))
    assert held < grown < wide - small
