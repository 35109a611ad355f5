"""``dpsynth export``: a verified release as other people's catalogues want it told. Nothing is written here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NoReturn, get_args

from dpsynth.errors import ConfigurationError, DigestMismatch, DpsynthError, VerificationError, WaitingForApproval
from dpsynth.ledger import (
    Statement,
    Status,
    open_envelope,
    parse,
    parse_statement,
    parse_status,
    read_envelope,
)
from dpsynth.release.check import DERIVATION, LEDGER
from dpsynth.release.describe import read_plan
from dpsynth.release.registry import Signed, entry
from dpsynth.release.status import STATUS
from dpsynth.release.told import Told

Format = Literal["registry", "datapackage", "citation"]
FORMATS: tuple[Format, ...] = get_args(Format)
HELD: Mapping[Format, str] = MappingProxyType({"datapackage": "datapackage.json", "citation": "CITATION.cff"})
"""Formats that a release folder holds already, by their files."""


@dataclass(frozen=True)
class Exported:
    """A document, and what a person still has to say in it: (key, question) pairs. ``by`` supersedes the release."""

    release: str
    form: Format
    data: bytes
    missing: tuple[tuple[str, str], ...] = ()
    by: str | None = None


def export(folder: str | Path, form: Format, told: Told | None = None, root: bytes | None = None) -> Exported:
    """A release as an entry for the registry of deployments, as a data package, or as a citation.

    The folder is verified first, under ``root`` if it is given, and the verifier's error raised: also Withdrawn and
    Rejected. WaitingForApproval for a release of a governed account that was not published. ConfigurationError for what
    the folder does not hold, and for ``told`` where the format leaves nothing to say. Nothing is written.
    """
    where = Path(folder)
    if form not in FORMATS:
        raise ConfigurationError(f"format {form!r}: must be one of {', '.join(FORMATS)}")
    if told is not None and form != "registry":
        raise ConfigurationError(f"a {form} holds what the release holds: answers are for the registry entry alone")
    officers = _verified(where, root)
    if (where / DERIVATION).exists():
        raise ConfigurationError(f"{where} is a sample of a release: export the release that it was drawn from")
    envelope = (where / LEDGER).read_bytes()
    statement = parse_statement(open_envelope(envelope))
    said, status = statement.predicate, _status(where)
    name = said["release"]["id"]
    if said.get("root") is not None and status is None:
        raise WaitingForApproval(
            f"release {name!r} has officers and no {STATUS}: it is not published. Run it again once they have approved "
            "it; if it is, dpsynth status renew writes the file anew"
        )
    by = status.by if status else None
    if form != "registry":
        return Exported(name, form, _signed(where, HELD[form], statement), by=by)
    plan = read_plan(_signed(where, HELD["datapackage"], statement))
    if plan.digest != said["release"]["plan"]:
        raise DigestMismatch(f"{where}: datapackage.json holds another plan than the one that the ledger names")
    answers = told or Told.nothing()
    published = _published(status) or said["release"]["day"]
    ledger = "sha256:" + sha256(envelope).hexdigest()
    text = entry(Signed(said, plan, published, ledger, officers, by), answers)
    return Exported(name, form, text.encode(), answers.missing, by)


def _verified(folder: Path, root: bytes | None) -> int:
    """How many officers approved a folder that verifies; the verifier's error is raised for one that does not."""
    from dpsynth.verifier import verify

    if not folder.is_dir():
        raise ConfigurationError(f"{folder}: there is no such folder; give the folder of a release")
    verdict = verify(folder, root)
    if not verdict.ok:
        _refuse(folder, verdict.exit_code, verdict.failures[0] if verdict.failures else "it does not verify")
    return len(verdict.approved_by)


def _refuse(folder: Path, code: int, why: str) -> NoReturn:
    known: dict[int, type[DpsynthError]] = {kind.exit_code: kind for kind in VerificationError.__subclasses__()}
    known[ConfigurationError.exit_code] = ConfigurationError
    raise known.get(code, VerificationError)(f"{folder}: {why}; nothing was exported")


def _signed(folder: Path, name: str, statement: Statement) -> bytes:
    """The bytes of a file, which are those that were signed."""
    try:
        data = (folder / name).read_bytes()
    except OSError:
        raise ConfigurationError(f"{folder} holds no {name}") from None
    if (name, sha256(data).hexdigest()) not in statement.subjects:
        raise DigestMismatch(f"{folder}: {name} is not the file that was signed")
    return data


def _status(folder: Path) -> Status | None:
    """What a verified folder says of its release last, if it says anything."""
    try:
        data = (folder / STATUS).read_bytes()
    except FileNotFoundError:
        return None
    return parse_status(read_envelope(data).payload)


def _published(status: Status | None) -> str | None:
    """The day on which the log has a release as published."""
    lines = [parse(line) for line in status.entries] if status else []
    return next((line.stamp.day for line in lines if line.kind == "release"), None)
