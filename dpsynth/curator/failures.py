"""What a failure among the private rows may say, and what it means for the release."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from dpsynth.errors import INTERRUPTIONS, DpsynthError

T = TypeVar("T")

UNREAD = (
    "Nothing was drawn and no answer is lost; the release stays reserved. Mend that and run it again: it goes on from "
    "the answers that are stored"
)
"""What a failure before paying means."""
LOST = (
    "The answer that was being drawn is lost and stays charged; the release cannot be finished unless its reserve "
    "covers asking again; otherwise start another release id from what the account has left"
)
"""What a failure between paying and storing means."""
UNSURE = (
    "Whether the answer that was being drawn was stored is not certain: run it again. If it was, the run goes on from "
    f"it; if not: {LOST[0].lower()}{LOST[1:]}"
)
"""What it means that the store failed while it took the answer: it may have failed after it had it."""


def among_rows(act: Callable[[], T], meaning: str) -> T:
    """What ``act`` makes of private rows. Only errors of fixed wording come out, without context or inner frames.

    They are followed by ``meaning``.
    """
    problem: DpsynthError
    try:
        return act()
    except DpsynthError as error:
        problem = explained(error, meaning)
    except INTERRUPTIONS:
        raise
    except BaseException:  # whatever it says or holds may be of the rows
        problem = explained(DpsynthError("the private table could not be counted"), meaning)
    problem.__context__ = problem.__cause__ = None
    raise problem.with_traceback(None)


def explained(error: DpsynthError, meaning: str) -> DpsynthError:
    """The same error, which also tells what it means."""
    error.args = (f"{error}. {meaning}",)
    return error
