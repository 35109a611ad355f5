"""Writing a release: every file into a folder beside its place, signed last, then moved there whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import file_digest
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from dpsynth import __version__
from dpsynth.errors import ConfigurationError, DigestMismatch, KeyRefused
from dpsynth.files import sync, sync_files, telling
from dpsynth.ledger import (
    LEDGER_TYPE,
    Guarantee,
    LedgerPredicate,
    ReleaseFacts,
    SigningKey,
    Software,
    default_key,
    default_key_path,
    envelope,
    statement,
)
from dpsynth.measurement import pack
from dpsynth.release.aside import Aside
from dpsynth.release.check import LEDGER, read_statement
from dpsynth.release.describe import citation, datapackage
from dpsynth.release.page import Tally, facts
from dpsynth.release.progress import Progress, tell
from dpsynth.release.release import Release
from dpsynth.release.rows import write_rows
from dpsynth.release.words import outside, public_things

if TYPE_CHECKING:
    from dpsynth.evidence import Verdict

SOFTWARE = Software("dpsynth-engine", __version__)


def save(
    release: Release,
    folder: Path,
    key: SigningKey | str | Path | None,
    progress: Progress | None = None,
    *,
    durable: bool = False,
    root: bytes | None = None,
) -> Path:
    """Write and sign ``release`` as ``folder``; a folder that already is this release is checked and left alone.

    ``durable``: all of it is on the disk when this returns. ``root``: the ``root.json`` that says whose keys count.
    """
    require_place(folder)
    if (folder / LEDGER).is_file():
        _require_same(release, folder, root)
        return folder
    signer = signing_key(key)
    with new_folder(folder) as made:
        digest = _write(release, made, progress)
        sign_ledger(release, made, signer, digest)
        if durable:
            sync_files(made)
    if durable:
        sync(folder.absolute().parent)
    return folder


def signing_key(key: SigningKey | str | Path | None, passphrase: Callable[[Path], bytes] | None = None) -> SigningKey:
    """A key as it is, from its file, or the user's own. ``passphrase`` is asked for that of an encrypted file."""
    if isinstance(key, SigningKey):
        return key
    path = Path(key) if key else default_key_path()
    return default_key(key or None, (lambda: passphrase(path)) if passphrase else None)


def _write(release: Release, folder: Path, progress: Progress | None) -> str:
    from dpsynth.report import render

    plan = release.plan
    tally = Tally(release.tables, release.rows)
    write_rows(release.batches(tally), release.rows, folder, plan.formats, progress)
    if plan.schema.constraints:
        tell(progress, f"{tally.changed} of {release.rows} rows were moved to keep the constraints")
    (folder / "measurements.npz").write_bytes(pack(release.answers))
    release.tables.save(folder / "model.npz")
    (folder / "datapackage.json").write_bytes(
        datapackage(plan, release.rows, release.day, plan.formats, found=release.found)
    )
    (folder / "CITATION.cff").write_bytes(citation(plan, release.day))
    (folder / "report.html").write_text(render(facts(release, tally)), encoding="utf-8")
    return tally.text


def sign_ledger(release: Release, folder: Path, signer: SigningKey, digest: str) -> None:
    """Write ``ledger.dsse.json`` over everything in the folder. ``digest`` is that of the synthetic rows."""
    plan, unit = release.plan, release.plan.schema.unit
    predicate = LedgerPredicate(
        Guarantee(plan.budget, plan.cost, unit.entity, unit.column, unit.max_rows, unit.neighbours, unit.weight_units),
        release.accounts[0],
        ReleaseFacts(
            plan.release,
            plan.digest,
            plan.mechanism,
            release.rows,
            plan.rows_rule,
            plan.seed,
            digest,
            release.day,
            plan.supersedes,
        ),
        public_things(plan),
        outside(release),
        release.lines,
        SOFTWARE,
        release.head,
        release.accounts[1:],
        release.root,
        release.grants,
    )
    payload = statement(subjects(folder), LEDGER_TYPE, predicate.to_json(signer))
    (folder / LEDGER).write_bytes(envelope(payload, signer))


def subjects(folder: Path) -> list[tuple[str, str]]:
    """Name and SHA-256 of every file in a folder."""
    return [(path.name, sha256_of(path)) for path in sorted(folder.iterdir())]


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file in hex, read a block at a time."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill beside ``folder``, moved there when the block ends well and removed when it does not.

    ``folder`` may exist only if it is empty. Each run fills a folder of its own, so that two into one place do not
    write over each other; what a killed one leaves is removed by the next into the same place (:class:`Aside`).
    """
    if _is_used(folder):
        raise ConfigurationError(f"{folder} exists and is not empty: give another --out, or remove it")
    aside = _aside(folder)
    try:
        with telling(folder):
            yield aside.path
            if _is_used(folder):
                raise ConfigurationError(
                    f"{folder} was filled by another run meanwhile: run again, which checks what is there and costs "
                    "nothing"
                )
            aside.path.replace(folder)
    finally:
        aside.drop()


def require_place(folder: Path) -> None:
    """ConfigurationError unless ``folder`` can be written, or holds a release already."""
    if not _is_used(folder):
        _aside(folder).drop()
    elif not (folder / LEDGER).is_file():
        raise ConfigurationError(f"{folder} exists and is no release: give another --out, or remove it")


def _is_used(folder: Path) -> bool:
    try:
        return folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be read: {error.strerror}; give another --out") from None


def _aside(folder: Path) -> Aside:
    """Make the empty folder beside ``folder`` that will become it."""
    try:
        return Aside.of(folder)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a name for a folder"
        raise ConfigurationError(f"{folder} cannot be made: {why}; give another --out") from None


UNDECIDED = (0, 12, 13, 14, 26)
"""What the verifier says of a folder that holds what was signed, whatever officers and status say of it."""


def raise_for(verdict: Verdict, folder: Path, advice: str = "") -> NoReturn:
    """Raise what the verifier found wrong with a folder: a key that does not count, or what it is not."""
    from dpsynth import errors

    classes = (errors.SignatureInvalid, DigestMismatch, errors.TotalsMismatch, errors.UnknownEntry)
    known = {kind.exit_code: kind for kind in (*classes, errors.LogInconsistent, errors.KeyRefused)}
    text = verdict.failures[0] if verdict.failures else "it does not verify"
    raise known.get(verdict.exit_code, errors.VerificationError)(f"{folder}: {text}{advice}")


def _require_same(release: Release, folder: Path, root: bytes | None) -> None:
    from dpsynth.verifier import verify

    verdict = verify(folder, root)
    if verdict.exit_code == KeyRefused.exit_code:
        raise_for(verdict, folder, "; remove that file, or the folder if it is its ledger, and run again")
    if verdict.exit_code not in UNDECIDED:
        raise DigestMismatch(
            f"{folder} holds a release that does not verify ({verdict.failures[0]}): put that right, or keep the files "
            "of its approvals/ elsewhere and remove it and run again, which writes it anew and costs nothing"
        )
    signed = read_statement(folder).predicate["release"]
    if (signed["id"], signed["plan"]) != (release.plan.release, release.plan.digest):
        raise ConfigurationError(f"{folder} holds another release than {release.plan.release!r}: give another --out")
