"""All two-way marginals with mbi's Dataset.project, as JSON: run in mbi's environment by benchmarks/counting.py.

    .peers/mbi/bin/python benchmarks/workers/mbi_count.py COLUMNS.npz ANSWER.npz --started CLOCK

COLUMNS holds ``sizes`` and ``codes`` (columns x rows). The first pass is cold, the best of three later ones warm.
"""

from __future__ import annotations

import json
import sys
import time
from itertools import combinations
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import jax
import mbi
import numpy as np
from memory import peak_mib
from worker import parser


def main() -> None:
    arguments = parser(__doc__)
    asked = arguments.parse_args()
    with np.load(asked.given) as found:
        sizes, codes = found["sizes"].tolist(), found["codes"]
    names = [f"x{j}" for j in range(len(sizes))]
    data = mbi.Dataset(dict(zip(names, codes, strict=True)), mbi.Domain(names, sizes))
    seconds = []
    for _ in range(4):
        began = time.perf_counter()
        found = [data.project(pair) for pair in combinations(names, 2)]
        jax.block_until_ready([factor.values for factor in found])
        seconds.append(time.perf_counter() - began)
    np.savez(asked.answer, *[np.asarray(factor.values) for factor in found])
    print(json.dumps({"cold": seconds[0], "warm": min(seconds[1:]), "peak": peak_mib()}))


if __name__ == "__main__":
    main()
