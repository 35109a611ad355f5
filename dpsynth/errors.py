"""The tree of errors. Each class carries the exit code of the command line.

::

    DpsynthError                     70  something that should not happen
    ├── ConfigurationError            2  a flag, a key or a value is wrong: which, what was expected, what to do
    │   ├── SchemaError               2  ... in schema.toml
    │   └── BudgetFormatError         2  ... a budget that is not an exact positive string
    ├── SourceError                   3  the data do not have the structure that the schema names (never: the values)
    ├── BudgetRefused                10  asked, left, cap
    ├── WaitingForApproval           11  the files lie under pending/ until the officers have decided
    ├── VerificationError
    │   ├── Rejected                 12  the officers decided against it
    │   ├── Withdrawn                13  published once, no longer to be used
    │   ├── StatusStale              14  the newest status is past its day: ask for a fresh one
    │   ├── SignatureInvalid         20
    │   ├── DigestMismatch           21  a file, or a rebuild, differs from what was signed
    │   ├── TotalsMismatch           22  a cost or a sum is not what the entries give
    │   ├── UnknownEntry             23  a schema, kind or mechanism that the verifier does not know
    │   ├── LogInconsistent          24  the log was forked or rolled back, or a proof does not fit
    │   ├── KeyRefused               25  a key is expired, revoked or not known to the root
    │   └── ThresholdNotMet          26  fewer distinct people signed than the root asks for
    ├── StoreError
    │   ├── StoreBusy                30  another process holds the store: try again
    │   ├── StoreDamaged             31  never silently replaced
    │   └── ReleaseConflict          32  the same release id with another plan
    └── Interrupted                 130

    AnchorMissing, a warning             nothing here knows how far the store's log had come

No message may hold a value read from private rows, nor depend on one: whoever raises names columns, keys, files
and public limits only.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

INTERRUPTIONS = (KeyboardInterrupt, SystemExit, GeneratorExit)
"""What asks to stop. Anything else that is raised is a failure, a panic of Rust too, which is no ``Exception``."""


class DpsynthError(Exception):
    """The root of every error that dpsynth raises on purpose."""

    exit_code = 70


class AnchorMissing(UserWarning):
    """A store has entries and no anchor is there: nothing tells whether it was taken back."""


class ConfigurationError(DpsynthError):
    """A flag, a key or a value given by the user is wrong."""

    exit_code = 2


class SchemaError(ConfigurationError):
    """The schema is wrong: the message names the column or key."""


class BudgetFormatError(ConfigurationError):
    """A budget number is not an exact positive string, Fraction or Decimal."""


class SourceError(DpsynthError):
    """The data lack the structure that the schema names: file unreadable, no header, column missing."""

    exit_code = 3


class BudgetRefused(DpsynthError):
    """The account cannot pay: ``asked``, ``left`` and ``account`` say how much, of how much, from where."""

    exit_code = 10

    def __init__(self, message: str, *, account: str, asked: str = "", left: str = "") -> None:
        super().__init__(message)
        self.account = account
        self.asked = asked
        self.left = left


class WaitingForApproval(DpsynthError):
    """The release is made and lies under ``pending/``: the officers have to approve it before it is published."""

    exit_code = 11


class VerificationError(DpsynthError):
    """A release is not what its signature says."""

    exit_code = 22


class Rejected(VerificationError):
    """The officers decided against the release. What it spent stays spent."""

    exit_code = 12


class Withdrawn(VerificationError):
    """The release was published and is withdrawn. What it spent stays spent."""

    exit_code = 13


class StatusStale(VerificationError):
    """Nothing that is still valid says that the release is current."""

    exit_code = 14


class SignatureInvalid(VerificationError):
    """The envelope, its key or its signature is wrong."""

    exit_code = 20


class DigestMismatch(VerificationError):
    """A published file, or what a rebuild gives, differs from what was signed."""

    exit_code = 21


class TotalsMismatch(VerificationError):
    """A sensitivity, cost, sum or quote is not what the entries give."""

    exit_code = 22


class UnknownEntry(VerificationError):
    """A schema, kind or mechanism that the verifier does not know: epsilon counts as infinite."""

    exit_code = 23


class LogInconsistent(VerificationError):
    """The log was forked or rolled back: it does not extend what was seen of it, or a proof does not fit."""

    exit_code = 24


class KeyRefused(VerificationError):
    """A key is expired, revoked, or not known to the root of the officers."""

    exit_code = 25


class ThresholdNotMet(VerificationError):
    """Fewer distinct people have signed than the root of the officers asks for."""

    exit_code = 26


class StoreError(DpsynthError):
    """The store of accounts cannot be used."""

    exit_code = 31


class StoreBusy(StoreError):
    """Another process holds the store; nothing was spent; trying again is right."""

    exit_code = 30


class StoreDamaged(StoreError):
    """The store is not one, or is damaged. It is never replaced silently."""

    exit_code = 31


class ReleaseConflict(StoreError):
    """The release id was already used with another plan."""

    exit_code = 32


class Interrupted(DpsynthError):
    """The user stopped the command."""

    exit_code = 130


def nearest(word: str, known: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` for the closest known word, or ``""``."""
    found = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {found[0]!r}?" if found else ""
