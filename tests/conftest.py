"""Fixtures that several rooms share."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from dpsynth import verifier
from tests.desk import Desk, Office, make_desk, make_office

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MEMORY = Path("/dev/shm")
if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > 2**32:
    # Where writing through to the disk takes no time; a killed process leaves the same there as on a disk.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

for ending, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    # In a shell's background, or under nohup, these are ignored, also by every process that a test starts to end it.
    if signal.getsignal(ending) == signal.SIG_IGN:
        signal.signal(ending, usual)

GDP_GIVES = cache(verifier.gdp_gives)

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
"""A test says what holds, never how long it takes: a machine that is busy with something else fails none."""


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A small artificial table with its schema and a signing key."""
    return make_desk(tmp_path)


@pytest.fixture(autouse=True)
def anchors(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the anchors of this test's stores, also of the processes that it starts."""
    folder = tmp_path_factory.mktemp("anchors")
    monkeypatch.setenv("DPSYNTH_ANCHORS", str(folder))
    return folder


@pytest.fixture
def reckoned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """For flipped bits, thousands of which leave the same amounts: what is a function of these alone is kept."""
    monkeypatch.setattr(verifier, "gdp_gives", GDP_GIVES)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An office whose release ``first`` waits for approval, and its anchors, in two folders; to be copied."""
    place = tmp_path_factory.mktemp("prepared")
    (place / "office").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DPSYNTH_ANCHORS", str(place / "anchors"))
        called = make_office(place / "office").run()
        assert called.exit_code == 11, called.output
    return place


@pytest.fixture
def waiting(prepared: Path, tmp_path: Path, anchors: Path) -> Office:
    """An office of this test alone, whose release ``first`` waits for approval."""
    for kept, place in (("office", tmp_path), ("anchors", anchors)):
        shutil.copytree(prepared / kept, place, dirs_exist_ok=True)
    return Office(Desk(tmp_path))


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """Spark on this machine: two tasks at a time, three attempts for each, in a time zone that is not UTC."""
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.master("local[2,3]")
    for name, value in {
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",  # its sessions are short
        "spark.driver.host": "127.0.0.1",
        "spark.executorEnv.PYTHONPATH": str(Path(__file__).parents[1]),
        "spark.local.dir": str(tmp_path_factory.mktemp("spark")),
        "spark.sql.session.timeZone": "America/New_York",
        "spark.sql.shuffle.partitions": "3",
        "spark.ui.enabled": "false",
    }.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    yield session
    session.stop()
