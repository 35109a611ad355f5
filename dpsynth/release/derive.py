"""Further samples of a published model: free, signed, bound to their parent."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from dpsynth.encoding import Layout, layout
from dpsynth.errors import ConfigurationError, DigestMismatch
from dpsynth.ledger import (
    DERIVATION_TYPE,
    LEDGER_TYPE,
    DerivationPredicate,
    Parent,
    SigningKey,
    envelope,
)
from dpsynth.ledger import statement as make_statement
from dpsynth.measurement import listed
from dpsynth.release.check import DERIVATION, LEDGER, read_statement, require
from dpsynth.release.describe import datapackage, read_found, read_plan
from dpsynth.release.folder import SOFTWARE, new_folder, sha256_of, signing_key, subjects
from dpsynth.release.plan import Plan
from dpsynth.release.progress import Progress
from dpsynth.release.rows import write_rows
from dpsynth.release.where import read_condition
from dpsynth.sampling import IntegerTables, RowsDigest, records

PARENT = "parent.dsse.json"


@dataclass(frozen=True)
class OpenedRelease:
    """What a release folder says, once its signature and digests were checked."""

    folder: Path
    plan: Plan
    predicate: dict[str, Any]
    tables: IntegerTables
    found: Mapping[str, tuple[str, ...]]

    @cached_property
    def layout(self) -> Layout:
        """How the rows of the model become those of the table, the values found among them."""
        return layout(listed(self.plan.schema, self.found))


def read_release(folder: Path) -> OpenedRelease:
    """Verify a release folder and read its plan and model; the verifier's failure is raised otherwise."""
    require(folder)
    statement = read_statement(folder)
    if statement.predicate_type != LEDGER_TYPE:
        raise ConfigurationError(f"{folder} is a sample of a release; give the release itself")
    predicate = dict(statement.predicate)
    package = (folder / "datapackage.json").read_bytes()
    plan = read_plan(package)
    if plan.digest != predicate["release"]["plan"]:
        raise DigestMismatch("datapackage.json: the plan is not the one that the ledger names")
    return OpenedRelease(folder, plan, predicate, IntegerTables.load(folder / "model.npz"), read_found(package, plan))


def parent_of(release: OpenedRelease) -> Parent:
    """What a sample says of the release that it comes from."""
    ledger, model = (f"sha256:{sha256_of(release.folder / name)}" for name in (LEDGER, "model.npz"))
    return Parent(release.plan.release, ledger, model)


def derive(
    release: str | Path,
    *,
    rows: int,
    seed: int,
    out: str | Path,
    where: str | Sequence[str] = (),
    key: SigningKey | str | Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Draw ``rows`` rows with public ``seed`` from the model of ``release``; write and sign the folder ``out``.

    ``where`` is a condition such as ``"income = '>50K' and age between 30 and 39"``, or several that all must hold
    (:mod:`dpsynth.release.where` gives the language): the rows are then drawn from the model given the condition, so
    that each of the ``rows`` rows fulfils it, and the derivation signs its canonical text.

    Post-processing: it costs nothing. The key must be that of the release. Raises the verifier's error if the release
    does not verify, ConfigurationError for another key, a condition that does not fit the schema, or one that the
    model holds impossible.
    """
    parent = read_release(Path(release))
    condition = read_condition(where, parent.layout)
    tables = parent.tables.given(condition.evidence())
    signer = signing_key(key)
    if Path(out).resolve().is_relative_to(parent.folder.resolve()):
        raise ConfigurationError(f"{out} lies inside the release, which it would break: give another --out")
    owner = parent.predicate["signer"]["keyid"]
    if signer.public.keyid != owner:
        raise ConfigurationError(
            f"a sample is signed by the key of its release, {owner[:16]}..., so that nobody else can pass rows off as "
            "drawn from it: give that key with --sign-with (or key=...)"
        )
    day = datetime.now(UTC).date().isoformat()
    with new_folder(Path(out)) as made:
        digest = RowsDigest(tables, rows)
        write_rows(records(tables, condition.layout, rows, seed, digest), rows, made, ("parquet",), progress)
        package = datapackage(parent.plan, rows, day, ("parquet",), condition.text, parent.found)
        (made / "datapackage.json").write_bytes(package)
        predicate = DerivationPredicate(
            parent_of(parent),
            rows,
            seed,
            condition.text or None,
            digest.text,
            day,
            SOFTWARE,
        )
        payload = make_statement(subjects(made), DERIVATION_TYPE, predicate.to_json(signer.public))
        (made / DERIVATION).write_bytes(envelope(payload, signer))
        shutil.copyfile(parent.folder / LEDGER, made / PARENT)
    return Path(out)
