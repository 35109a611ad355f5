"""How fast Gaussian noise is drawn: the rounded Gaussian, and OpenDP's discrete one for the same counts and sigma.

    python benchmarks/noise.py [--values 1000000] [--repeats 5] [--quick]

Both run in this process, OpenDP once and ours --repeats times, of which the median and the worst are shown. Undecided
are the values, of ten times as many fresh words, that 64 bits and the table leave to exact arithmetic.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from statistics import median

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from page import publish, table

from dpsynth.noise import Noise, OpenDPNoise, RoundedGaussianNoise
from dpsynth.noise.segments import cells, propose

SIGMAS = (Fraction(1), Fraction(100), Fraction(10_000), Fraction(2**40))
COLD = """
import time
import numpy as np
from fractions import Fraction
from dpsynth.noise import {name}
began = time.perf_counter()
{name}().noisy(np.zeros(1000, dtype=np.int64), Fraction(100))
print(time.perf_counter() - began)
"""


def seconds(noise: Noise, counts: np.ndarray, sigma: Fraction) -> float:
    began = time.perf_counter()
    noise.noisy(counts, sigma)
    return time.perf_counter() - began


def first_draw(name: str) -> float:
    """A thousand values in a new process, after the imports: tables and libraries are set up in it."""
    program = COLD.format(name=name)
    return float(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout)


def undecided(values: int, sigma: Fraction) -> int:
    found = 0
    for _ in range(10):
        words = np.frombuffer(os.urandom(8 * values), dtype=np.uint64)
        found += int((~propose(words, cells(sigma))[1]).sum())
    return found


def row(sigma: Fraction, values: int, repeats: int) -> list[object]:
    counts = np.arange(values, dtype=np.int64)
    ours = [seconds(RoundedGaussianNoise(), counts, sigma) for _ in range(repeats + 1)][1:]
    theirs = seconds(OpenDPNoise(), counts, sigma)
    usual = median(ours)
    doubt = f"{undecided(values, sigma):,} of {10 * values:,}"
    name = f"2^{sigma.numerator.bit_length() - 1}" if sigma > 10**6 else int(sigma)
    return [name, usual, max(ours), 1e9 * usual / values, doubt, theirs, theirs / usual]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--values", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a smoke test: few values, nothing is written")
    asked = parser.parse_args()
    values, repeats = (2000, 1) if asked.quick else (asked.values, asked.repeats)
    rows = [row(sigma, values, repeats) for sigma in SIGMAS]
    cold = {name: 1000 * first_draw(name) for name in ("RoundedGaussianNoise", "OpenDPNoise")}
    publish(
        "noise",
        f"### Noise\n\nGaussian noise on {values:,} counts: ours is the continuous Gaussian, rounded, exact by "
        "inversion of the operating system's bits; OpenDP's is the discrete Gaussian. Median and worst of "
        f"{repeats} runs, OpenDP's single one. The first draw of a process (1,000 values, sigma 100) takes ours "
        f"{cold['RoundedGaussianNoise']:.0f} ms, OpenDP {cold['OpenDPNoise']:.0f} ms. Target: well under 1 s at sigma "
        "100.\n\n" + table(("sigma", "s", "worst s", "ns a value", "undecided", "OpenDP s", "times faster"), rows),
        asked.quick,
    )


if __name__ == "__main__":
    main()
