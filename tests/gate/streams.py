"""A run whose rows do not fit into memory, killed while they are written beside it.

A program: ``python -m tests.gate.streams FOLDER``, where the folder has a store.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest.mock import patch

from dpsynth.table.blocks import Store
from dpsynth.table.limit import Sizes
from tests.gate.crash import run


def main() -> None:
    """What the module says."""
    reached: list[str] = []
    put: Callable[..., Any] = Store.put

    def watched(store: Store, data: Any) -> Any:
        piece = put(store, data)
        if "before opening" in reached and piece.data is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return piece

    with patch.object(Sizes, "of", lambda _: Sizes(0, 0, 1)), patch.object(Store, "put", watched):
        run(Path(sys.argv[1]), reached.append, share=Fraction(1), first=True)


if __name__ == "__main__":
    main()
