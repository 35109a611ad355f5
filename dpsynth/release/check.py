"""``dpsynth.verify``: the independent verifier, and what it cannot do alone, rebuilding."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from dpsynth.errors import (
    ConfigurationError,
    DigestMismatch,
    DpsynthError,
    SignatureInvalid,
    TotalsMismatch,
    UnknownEntry,
    VerificationError,
)
from dpsynth.ledger import DERIVATION_TYPE, Statement, open_envelope, parse_statement
from dpsynth.release.progress import Progress
from dpsynth.verifier import Verdict
from dpsynth.verifier import verify as verify_alone

LEDGER = "ledger.dsse.json"
DERIVATION = "derivation.dsse.json"

NOT_DRAWN = "this check did not draw the rows again"
"""How the verifier alone begins its note on a sample; with the parent at hand it is no longer so."""

_RAISED: dict[int, type[DpsynthError]] = {
    2: ConfigurationError,
    20: SignatureInvalid,
    21: DigestMismatch,
    22: TotalsMismatch,
    23: UnknownEntry,
}


def verify(
    folder: str | Path,
    *,
    rebuild: bool = False,
    parent: str | Path | None = None,
    progress: Progress | None = None,
) -> Verdict:
    """Check a release, or a sample derived from one, as a stranger would; never raises for what is wrong with it.

    ``rebuild`` also draws the rows of a release again and fits its model again; ``parent`` is the release of a derived
    sample, whose rows are then drawn again, given its condition if it states one (``rebuild`` adds nothing to that);
    ``progress`` is told what is being done. ``Verdict.ok`` and ``Verdict.exit_code`` say what was found. Raises
    ConfigurationError where the request does not fit the folder.
    """
    from dpsynth.release.rebuild import rebuild_release, redraw_sample

    where = Path(folder)
    if not where.is_dir():
        raise ConfigurationError(f"{where}: there is no such folder; give the folder of a release")
    if parent is not None and not Path(parent).is_dir():
        raise ConfigurationError(f"{parent}: there is no such folder; give the release that {where} was drawn from")
    verdict = verify_alone(where)
    if not verdict.ok:
        return verdict
    derived = read_statement(where).predicate_type == DERIVATION_TYPE
    if rebuild and derived and parent is None:
        raise ConfigurationError(f"{where} is a sample of a release: give --parent RELEASE instead of --rebuild")
    if parent is not None and not derived:
        raise ConfigurationError(f"{where} is a release, not a sample of one: give --rebuild instead of --parent")
    try:
        found = (
            redraw_sample(where, Path(parent), progress)
            if parent
            else rebuild_release(where, progress)
            if rebuild
            else []
        )
    except VerificationError as error:
        return replace(
            verdict, ok=False, exit_code=error.exit_code, epsilon="infinity", failures=(*verdict.failures, str(error))
        )
    notes = [note for note in verdict.notes if not (parent and note.startswith(NOT_DRAWN))]
    return replace(verdict, notes=(*notes, *found))


def require(folder: Path) -> None:
    """Raise the verifier's first failure, if there is one."""
    verdict = verify_alone(folder)
    if not verdict.ok:
        raise _RAISED.get(verdict.exit_code, VerificationError)(f"{folder}: {verdict.failures[0]}")


def read_statement(folder: Path) -> Statement:
    """The signed statement of a folder that was verified."""
    name = LEDGER if (folder / LEDGER).exists() else DERIVATION
    return parse_statement(open_envelope((folder / name).read_bytes()))
