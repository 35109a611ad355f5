"""Functions called in processes of their own, whatever threads the tests have: ``at_once`` and ``alone``.

A process with threads (of Arrow, DuckDB, a Spark session, the workers of pytest) must not fork: a lock that another
thread holds at that moment is held in the child for ever. So one new process is started, which imports what it needs,
has no thread but its own, and forks from there; ``python -m tests.processes`` is that process.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dpsynth.errors import StoreBusy

ROOT = Path(__file__).parents[1]
TIMEOUT = 1500
"""Seconds after which processes that do not end are killed, and the test fails: long, as machines may be busy."""


class Failed(AssertionError):
    """A process ended badly; the text is its traceback."""


def at_once(function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
    """What ``function`` returns for each tuple of arguments: each in a process of its own, all let go at one moment.

    The function is one of a module, as what it takes and returns is pickled. Raises :class:`Failed` with the traceback
    of the first process, in order, that raised something or was killed.
    """
    return _in_new_process("at_once", function, arguments)  # type: ignore[no-any-return]


def alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """What ``function`` returns in a new process without threads, which may therefore fork."""
    return _in_new_process("alone", function, arguments)


def when_free(function: Callable[..., Any], *arguments: Any) -> Any:
    """What ``function`` returns, called again for as long as its store is busy with others."""
    while True:
        try:
            return function(*arguments)
        except StoreBusy:
            continue


def _in_new_process(how: str, function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    # BLAS starts its threads when it is imported
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.processes", how],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        said, _ = process.communicate(pickle.dumps((function, arguments)), timeout=TIMEOUT)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    if process.returncode != 0:
        raise Failed(f"the process ended with {process.returncode}")
    return _value(said)


def _value(said: bytes) -> Any:
    """What a process returned."""
    if not said:
        raise Failed("a process ended without a word")
    good, value = pickle.loads(said)
    if not good:
        raise Failed(value)
    return value


def _call(function: Callable[..., Any], arguments: Sequence[Any]) -> bytes:
    """What a process says at its end: what ``function`` returned, or the traceback of what it raised."""
    try:
        return pickle.dumps((True, function(*arguments)))
    except BaseException:
        return pickle.dumps((False, traceback.format_exc()))


def _all_at_once(answer: int, function: Callable[..., Any], *arguments: tuple[Any, ...]) -> list[Any]:
    gate, opened = os.pipe()
    said: list[int] = []
    children: list[int] = []
    for extra in arguments:
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.close(answer)
                os.close(opened)
                os.read(gate, 1)  # returns when nobody can write to it any more
                with os.fdopen(writing, "wb") as pipe:
                    pipe.write(_call(function, extra))
            finally:
                os._exit(0)
        os.close(writing)
        said.append(reading)
        children.append(child)
    os.close(opened)
    try:
        found = []
        for reading in said:
            with os.fdopen(reading, "rb") as pipe:
                found.append(_value(pipe.read()))
        return found
    except Failed:
        for child in children:
            os.kill(child, signal.SIGKILL)
        raise
    finally:
        for child in children:
            os.waitpid(child, 0)


def _main(how: str) -> None:
    answer = os.dup(1)  # not inherited by what is started here; what is printed goes where errors go
    os.dup2(2, 1)
    function, arguments = pickle.load(sys.stdin.buffer)
    threads = Path("/proc/self/task")
    if threads.is_dir():
        assert len(list(threads.iterdir())) == 1, "this process forks and may have no other thread"
    said = _call(_all_at_once, (answer, function, *arguments)) if how == "at_once" else _call(function, arguments)
    with os.fdopen(answer, "wb") as pipe:
        pipe.write(said)


if __name__ == "__main__":
    _main(sys.argv[1])
