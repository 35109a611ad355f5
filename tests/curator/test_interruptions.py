"""Interruptions wait until what was paid for is kept, and then take effect as they would have."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from dpsynth.curator import Curator, failures
from dpsynth.curator import curator as room
from dpsynth.curator.interruptions import SIGNALS, held_back
from dpsynth.errors import SourceError, StoreError
from tests.curator.bench import RHO, Desk, Frozen
from tests.curator.test_verbs import FRAME, schema_of


class Stopped(BaseException):
    """What the program's own handler raises."""


def stop(number: int, _: object) -> None:
    raise Stopped(number)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """A handler for every signal, so that a mistake here does not end the tests."""
    before = {number: signal.signal(number, stop) for number in SIGNALS}
    yield
    assert all(signal.getsignal(number) is stop for number in SIGNALS), "handlers are put back"
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_it_takes_effect_at_the_end(number: int) -> None:
    told: list[str] = []
    with pytest.raises(Stopped) as caught, held_back(lambda: told.append("interrupted")):
        signal.raise_signal(number)
        signal.raise_signal(number)
        told.append("went on")
    assert caught.value.args == (number,)
    assert told == ["interrupted", "went on"]


@pytest.mark.skipif(os.name != "posix", reason="needs kill")
def test_a_signal_that_another_thread_receives() -> None:
    """The kernel gives it to any thread that does not mask it."""
    done = []
    stay = threading.Event()
    other = threading.Thread(target=stay.wait)
    other.start()
    try:
        with pytest.raises(Stopped), held_back():
            signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
            try:
                os.kill(os.getpid(), signal.SIGTERM)
                done.append(stay.wait(0.05))
            finally:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            done.append(True)
    finally:
        stay.set()
        other.join()
    assert done == [False, True]


def test_the_firmer_signal_wins() -> None:
    with pytest.raises(Stopped) as caught, held_back():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
    assert caught.value.args == (signal.SIGTERM,)


def test_also_when_the_block_fails() -> None:
    with pytest.raises(Stopped), held_back():
        signal.raise_signal(signal.SIGINT)
        raise ValueError("failed")
    with pytest.raises(ValueError, match="failed"), held_back():
        raise ValueError("failed")


def test_who_is_told_cannot_disturb() -> None:
    def told() -> None:
        raise ValueError("closed output")

    done = []
    with pytest.raises(Stopped), held_back(told):
        signal.raise_signal(signal.SIGINT)
        done.append(True)
    assert done == [True]


def test_an_ignored_signal_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with held_back(lambda: pytest.fail("nobody is told")):
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
        signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, stop)


def test_another_thread_sets_no_handlers() -> None:
    found: list[object] = []

    def act() -> None:
        with held_back():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=act)
    thread.start()
    thread.join()
    assert found == [stop]


@pytest.mark.parametrize("place", ["draw", "store"])
def test_a_verb_that_is_interrupted_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    desk, told = Desk(tmp_path), list[str]()
    with desk.open() as accountant, desk.reserve(accountant) as reservation:
        real = getattr(reservation, place)

        def interrupted(*arguments: object) -> object:
            signal.raise_signal(signal.SIGINT)
            return real(*arguments)

        curator = Curator.open(FRAME, schema_of(), reservation, told.append, _noise=Frozen())
        with monkeypatch.context() as patch:
            patch.setattr(reservation, place, interrupted)
            with pytest.raises(Stopped):
                curator.total(RHO / 2)
        assert curator.answers == ()
    with desk.open() as accountant, desk.reserve(accountant) as reservation:
        curator = Curator.open(FRAME, schema_of(), reservation, told.append, _noise=Frozen())
        curator.total(RHO / 2)
    assert [line["kind"] for line in desk.lines()] == ["open", "reserve", "measure", "stored"]
    assert told == [
        "interrupted: stopping as soon as the answer that is being drawn is stored",
        "asked the total; queries so far: 1",
    ]


@pytest.mark.parametrize("place", ["source", "store"])
def test_a_failure_says_what_it_loses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    desk, path = Desk(tmp_path), tmp_path / "people.csv"
    pd.DataFrame(FRAME).to_csv(path)

    def full(*_: object) -> None:
        raise StoreError("the disk did not take the write")

    with desk.open() as accountant, desk.reserve(accountant) as reservation:
        curator = Curator.open(path, schema_of(), reservation, _noise=Frozen())
        if place == "source":
            path.unlink()
        else:
            monkeypatch.setattr(reservation, "store", full)
        with pytest.raises(SourceError if place == "source" else StoreError) as caught:
            curator.total(RHO / 2)
    assert str(caught.value).endswith(f". {failures.UNREAD if place == 'source' else failures.UNSURE}")
    assert [line["kind"] for line in desk.charged()] == ([] if place == "source" else ["measure"])
    assert "nothing was drawn" in failures.UNREAD.lower()
    assert "cannot be finished unless its reserve covers asking again" in failures.LOST


def test_reading_that_is_interrupted_stops_at_once_and_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, told = Desk(tmp_path), list[str]()

    def interrupted(*_: object) -> object:
        signal.raise_signal(signal.SIGINT)
        pytest.fail("it went on")

    with desk.open() as accountant, desk.reserve(accountant) as reservation:
        curator = Curator.open(FRAME, schema_of(), reservation, told.append, _noise=Frozen())
        with monkeypatch.context() as patch:
            patch.setattr(room, "open_table", interrupted)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            with pytest.raises(KeyboardInterrupt):
                curator.total(RHO)
            signal.signal(signal.SIGINT, stop)
        assert desk.charged() == []
        curator.total(RHO)
    assert [line["kind"] for line in desk.lines()] == ["open", "reserve", "measure", "stored"]
    assert told == ["asked the total; queries so far: 1"]
