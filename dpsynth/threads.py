"""Work on the pieces of something large by several threads, the results in order. Any room may use it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")

MOST = 8
"""Threads at most where nobody says how many: each holds a piece."""


def in_order(work: Callable[[int], Result], count: int, workers: int | None = None) -> Iterator[Result]:
    """``work(0)``, ``work(1)``, ... ``work(count - 1)``, whatever the number of ``workers``.

    By default one a processor, at most MOST. They work ahead of who takes the results by at most one piece each, so
    that no more than ``workers`` + 1 pieces are held; with one worker or one piece it is all done by who takes them.
    """
    workers = workers or min(os.cpu_count() or 1, MOST)
    if workers < 2 or count < 2:
        yield from map(work, range(count))
        return
    with ThreadPoolExecutor(workers) as pool:
        waiting: list[Future[Result]] = []
        try:
            for piece in range(count):
                waiting.append(pool.submit(work, piece))
                if len(waiting) > workers:
                    yield waiting.pop(0).result()
            while waiting:
                yield waiting.pop(0).result()
        finally:
            for future in waiting:
                future.cancel()
