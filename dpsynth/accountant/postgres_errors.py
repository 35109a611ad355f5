"""PostgreSQL's errors as ours. A message is made of what the server calls its primary message alone, and of our words.

The details that a server adds may quote a row, and what libpq says of a connection is searched for the password, so
that neither ever shows.
"""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

from dpsynth.accountant.postgres_place import Place
from dpsynth.errors import ConfigurationError, DpsynthError, StoreBusy, StoreDamaged, StoreError

AGAIN = frozenset({"40001", "40P01"})
"""Two transactions were in each other's way: the server asks for one of them again."""

UNIQUE = "23505"
"""A key is there already: that of another transaction, which the next try sees, or it is refused."""

LOST = frozenset({"57P01", "57P02", "57P03", "25P03", "08000", "08001", "08003", "08004", "08006", "08007"})
"""The server ends the session, or takes no more."""

_SOON = (
    "refused",
    "starting up",
    "shutting down",
    "recovery",
    "not yet accepting",
    "too many",
    "connection slots",
    "timeout",
    "timed out",
    "closed the connection",
    "reset by peer",
)


def sqlstate(error: DBAPIError) -> str | None:
    """The server's five letters; None where it never answered."""
    found: str | None = getattr(error.orig, "sqlstate", None)
    return found


def no_connection(place: Place, error: DBAPIError) -> DpsynthError:
    """No session could be had: StoreBusy if trying again may help, else ConfigurationError."""
    said = place.without_secrets(str(error.orig))
    if any(words in said for words in _SOON):
        return StoreBusy(f"{place.name}: the server takes no connection ({said}); nothing was written, try again")
    return ConfigurationError(
        f"{place.name}: the server lets nobody in by this address ({said}); mend the address, the password in "
        "~/.pgpass, or the rights of the role"
    )


def unknown_end(place: Place) -> StoreError:
    """A commit was under way when the server went away, and it did not come back to tell."""
    return StoreError(
        f"{place.name}: the server went away while it committed, and did not say whether it did. What was charged "
        "stays charged and nothing is charged twice: when the server is back, run again"
    )


def translation(place: Place, error: DBAPIError) -> DpsynthError:
    """The error for what the server says about a statement."""
    state = sqlstate(error) or ""
    diagnosis = getattr(error.orig, "diag", None)
    said = place.without_secrets(getattr(diagnosis, "message_primary", None) or type(error.orig).__name__)
    match state:
        case "55P03" | "57014" | "53300" | "40001" | "40P01":
            return StoreBusy(f"{place.name}: another process holds the store; nothing was written, try again")
        case "25006":
            return ConfigurationError(f"{place.name}: this server is read-only; name the one that is written to")
        case "42501" | "0LP01":
            return ConfigurationError(
                f"{place.name}: the role has not the right ({said}). The owner of the tables makes a store, with "
                "app=ROLE in its address, and then ROLE uses it (docs/postgres.md)"
            )
        case "55000":
            return ConfigurationError(
                f"{place.name}: {said}, so that a power failure forgets spent budget; set it on (docs/postgres.md). "
                "Nothing was written"
            )
        case "42P01" | "42703" | "42883" | "3F000" | "XX001" | "XX002":
            return damaged(place, f"its tables are not whole ({said})")
    if state[:2] in ("53", "58", "54"):
        return StoreError(
            f"{place.name}: the server did not take the write ({said}); make room or mend it and run again: what was "
            "written stays charged, nothing else is"
        )
    return DpsynthError(f"{place.name}: the store refused a statement: {said}")


def damaged(place: Place, what: str) -> StoreDamaged:
    """The database is not a store, or no longer one."""
    return StoreDamaged(
        f"{place.name}: {what}. It is left as it is and never made anew, since spent budget would be forgotten: bring "
        "back a copy that is not older than the last release"
    )
