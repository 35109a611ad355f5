"""Noise never repeats: not in a forked child, not in another thread or process, not after seeding anything."""

import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import numpy as np
import pytest

from dpsynth.noise import LaplaceNoise, Noise, OpenDPNoise, RoundedGaussianNoise

WIDE = Fraction(2**45)
"""Two draws collide with probability below 2^-45; a thousand draws, below 2^-26."""


@pytest.fixture(params=[OpenDPNoise, RoundedGaussianNoise, LaplaceNoise])
def made(request: pytest.FixtureRequest) -> type[Noise]:
    found: type[Noise] = request.param
    return found


EQUAL = 2**12
"""So many equal scores: sixteen choices among them are 192 bits."""


def choices(made: type[Noise]) -> tuple[int, ...]:
    scores, noise = np.zeros(EQUAL, dtype=np.int64), made()
    return tuple(noise.exponential(scores, Fraction(1)) for _ in range(16))


def draw(made: type[Noise], number: int = 16) -> list[int]:
    values: list[int] = made().noisy(np.zeros(number, dtype=np.int64), WIDE).tolist()
    return values


def test_forked_children_share_no_draw_with_each_other_or_their_parent(made: type[Noise]) -> None:
    program = """
import os, sys
import numpy as np
from fractions import Fraction
import dpsynth.noise
noise, zeros = getattr(dpsynth.noise, sys.argv[1])(), np.zeros(16, dtype=np.int64)
equal = np.zeros(2**12, dtype=np.int64)
def draw():
    picks = "-".join(str(noise.exponential(equal, Fraction(1))) for _ in range(16))
    return " ".join([picks, *map(str, noise.noisy(zeros, Fraction(2**45)).tolist())])
lines = [draw()]                                # the parent's generator is running before the first fork
for _ in range(6):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        grandchild = os.fork()
        os.write(writing, (draw() + "\\n").encode())
        if grandchild:
            os.waitpid(grandchild, 0)
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as pipe:
        lines += pipe.read().splitlines()
    lines.append(draw())
print("\\n".join(lines))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, made.__name__], check=True, timeout=60, capture_output=True, text=True
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 1 + 6 * 3
    values = [value for line in lines for value in line.split()]
    assert len(values) == 19 * 17
    assert len(set(values)) == len(values)


def test_threads_share_no_draw(made: type[Noise]) -> None:
    with ThreadPoolExecutor(8) as threads:
        values = [value for drawn in threads.map(draw, [made] * 40) for value in drawn]
    assert len(set(values)) == 640
    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(choices, [made] * 12))) == 12


def test_threads_do_not_mix_their_counts(made: type[Noise]) -> None:
    def keep(centre: int) -> bool:
        counts = np.full(200, centre, dtype=np.int64)
        return bool(np.array_equal(made().noisy(counts, Fraction(1, 2**30)), counts))

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(keep, range(40)))


def test_seeding_what_can_be_seeded_changes_nothing(made: type[Noise]) -> None:
    drawn: list[object] = []
    for _ in range(3):
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        drawn += [*draw(made), choices(made)]
    assert len(set(drawn)) == len(drawn)
