"""``dpsynth.verify``: the independent verifier, and what it cannot do alone, rebuilding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dpsynth import errors, trust
from dpsynth.errors import ConfigurationError, DpsynthError, VerificationError
from dpsynth.ledger import DERIVATION_TYPE, Statement, open_envelope, parse_statement
from dpsynth.release.progress import Progress
from dpsynth.verifier import Verdict

LEDGER = "ledger.dsse.json"
DERIVATION = "derivation.dsse.json"

NOT_DRAWN = "this check did not draw the rows again"
"""How the verifier alone begins its note on a sample; with the parent at hand it is no longer so."""

_CLASSES: tuple[type[DpsynthError], ...] = (
    errors.Rejected,
    errors.Withdrawn,
    errors.StatusStale,
    errors.SignatureInvalid,
    errors.DigestMismatch,
    errors.TotalsMismatch,
    errors.UnknownEntry,
    errors.LogInconsistent,
    errors.KeyRefused,
    errors.ThresholdNotMet,
)
_RAISED = {kind.exit_code: kind for kind in _CLASSES}


def verify(
    folder: str | Path,
    *,
    rebuild: bool = False,
    parent: str | Path | None = None,
    root: bytes | str | Path | None = None,
    fresh: bool = False,
    progress: Progress | None = None,
) -> Verdict:
    """Check a release, or a sample derived from one, as a stranger would; never raises for what is wrong with it.

    ``root`` is the organisation's ``root.json`` (its bytes, or its path): with it, who signed, granted and approved is
    checked too. ``fresh`` refuses a release without a status that is in force today. ``rebuild`` also draws the rows of
    a release again and fits its model again; ``parent`` is the release of a derived sample, whose rows are then drawn
    again, given its condition if it states one (``rebuild`` adds nothing to that), and which has the approvals.
    ``progress`` is told what is being done. ``Verdict.ok`` and ``Verdict.exit_code`` say what was found. Raises
    ConfigurationError where the request does not fit the folder.
    """
    from dpsynth.release.rebuild import rebuild_release, redraw_sample

    where = _folder(folder)
    if parent is not None and not Path(parent).is_dir():
        raise ConfigurationError(f"{parent}: there is no such folder; give the release that {where} was drawn from")
    verdict = trust.verify(where, _root(root), fresh, parent=parent)
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


def histories(folders: Sequence[str | Path], *, root: bytes | str | Path | None = None) -> Verdict:
    """Whether several releases tell one history of their people: exit code 24 if their logs fork.

    Releases that cannot be compared because one does not verify are named in the notes. Raises ConfigurationError for
    fewer than two folders, or one that is none.
    """
    if len(folders) < 2:
        raise ConfigurationError("two histories are told from two releases at least: give several folders")
    return trust.verify_all([_folder(folder) for folder in folders], _root(root))[-1]


def require(folder: Path) -> None:
    """Raise the verifier's first failure, if there is one."""
    verdict = trust.verify(folder)
    if not verdict.ok:
        raise _RAISED.get(verdict.exit_code, VerificationError)(f"{folder}: {verdict.failures[0]}")


def read_statement(folder: Path) -> Statement:
    """The signed statement of a folder that was verified."""
    name = LEDGER if (folder / LEDGER).exists() else DERIVATION
    return parse_statement(open_envelope((folder / name).read_bytes()))


def _folder(folder: str | Path) -> Path:
    if not Path(folder).is_dir():
        raise ConfigurationError(f"{folder}: there is no such folder; give the folder of a release")
    return Path(folder)


def _root(root: bytes | str | Path | None) -> bytes | None:
    if root is None or isinstance(root, bytes):
        return root
    try:
        return Path(root).read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"the root {str(root)!r} cannot be read ({error.strerror}): give the root.json that its owner publishes"
        ) from None
