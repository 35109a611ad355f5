"""Telling a person what is being done, never a number that depends on a private row."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str], None]
"""Takes one line of text. Numbers in it are public: queries asked, synthetic rows written."""


def tell(progress: Progress | None, what: str) -> None:
    """Say it, if anybody listens."""
    if progress is not None:
        progress(what)
