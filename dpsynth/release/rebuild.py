"""``verify --rebuild``: draw the rows again from the model, and fit the model again from the noisy answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dpsynth import __version__
from dpsynth.encoding import Layout
from dpsynth.errors import ConfigurationError, DigestMismatch
from dpsynth.ledger import CHARGES, ChargeKind, Entry, amount, parse
from dpsynth.measurement import Answer, NoisyMarginal, NoisyScores, Partitions, Selection, labels, pack, read_archive
from dpsynth.mechanisms import fit_found
from dpsynth.release.check import read_statement
from dpsynth.release.condition import short
from dpsynth.release.derive import OpenedRelease, parent_of, read_release
from dpsynth.release.progress import Progress, tell
from dpsynth.release.rows import PublishedRows, told, wrong_number
from dpsynth.release.run import number_of_rows
from dpsynth.release.where import read_condition
from dpsynth.sampling import ONE, IntegerTables, RowsDigest, records, zeroed

if TYPE_CHECKING:
    import pyarrow

ANSWERED: Mapping[type[Answer], ChargeKind] = MappingProxyType(
    {NoisyMarginal: "measure", NoisyScores: "score", Selection: "select", Partitions: "partitions"}
)
"""The kind of entry that each kind of answer answers."""

TOLERANCE = 1e-6
"""Largest total variation distance between a published table and the same table fitted again.

Floating-point sums differ in their last bits between processors; the fit is converged far below this.
"""


def rebuild_release(folder: Path, progress: Progress | None = None) -> list[str]:
    """Rebuild a release from its own files; returns what was found, raises DigestMismatch where it differs.

    1. What the ledger claims is what the published plan and schema say.
    2. The noisy answers are those that the ledger's entries name, by digest, query and noise scale.
    3. The mechanism, fed with those answers and nothing else, gives the published model within TOLERANCE.
    4. The published model, sampled in integers with the published seed, gives the published rows exactly, in every
       format.

    The report and the texts of datapackage.json and CITATION.cff are signed, not rebuilt.
    """
    release = read_release(folder)
    _match_plan(release)
    answers = read_archive(folder / "measurements.npz")
    _match_entries(release, answers)
    _match_found(release, answers)
    tell(progress, "fitting the model again")
    try:
        furthest = _refit(release, answers)
    except DigestMismatch as problem:
        made = release.predicate["software"]["version"]
        if made == __version__:
            raise
        raise DigestMismatch(
            f"{problem}; the release was made by version {made} and this is {__version__}: rebuild it with that version"
        ) from problem
    facts = release.predicate["release"]
    _same_rows(release.tables, release.layout, folder, facts, progress)
    return [
        f"rebuilt: {len(answers)} noisy answers are those of the ledger",
        f"rebuilt: the model fitted again differs by at most {furthest:.1e} (allowed: {TOLERANCE:.0e})",
        f"rebuilt: all {facts['rows']} rows drawn again are the published ones",
        "signed but not rebuilt: report.html, CITATION.cff and the texts of datapackage.json",
    ]


def redraw_sample(folder: Path, parent: Path, progress: Progress | None = None) -> list[str]:
    """Check that a derived sample is what its parent's model gives, under the condition that it states.

    Raises DigestMismatch otherwise.
    """
    release, said = read_release(parent), read_statement(folder).predicate
    if said["parent"] != asdict(parent_of(release)):
        raise DigestMismatch(f"{folder} was not drawn from {parent}")
    sample, where = said["sample"], said["sample"]["where"]
    try:
        condition = read_condition(where or (), release.layout)
        tables = release.tables.given(condition.evidence())
    except ConfigurationError as error:
        raise DigestMismatch(f"{folder} states a condition that cannot be drawn: {error}") from error
    if where != (condition.text or None):
        raise DigestMismatch(f"{folder} does not state its condition in its canonical form, {short(condition.text)!r}")
    _same_rows(tables, condition.layout, folder, sample, progress)
    drawn = f"all {sample['rows']} rows drawn again from {release.plan.release}"
    return [f"{drawn}{f', where {short(where, 500)},' if where else ''} are the published ones"]


def _match_plan(release: OpenedRelease) -> None:
    plan, unit = release.plan, release.plan.schema.unit
    facts, claim = release.predicate["release"], release.predicate["guarantee"]
    said = {**{name: facts[name] for name in ("id", "mechanism", "rows_rule", "seed")}, **claim}
    planned = {
        "id": plan.release,
        "mechanism": plan.mechanism,
        "rows_rule": plan.rows_rule,
        "seed": plan.seed,
        "epsilon": str(plan.budget.epsilon),
        "delta": str(plan.budget.delta),
        "measure": plan.measure,
        "reserved": amount(plan.cost),
        "entity": unit.entity,
        "unit_column": unit.column,
        "max_rows": unit.max_rows,
        **({} if unit.weight is None else {"weight_units": unit.weight_units}),
        "neighbours": unit.neighbours,
    }
    wrong = [name for name, value in planned.items() if said[name] != value]
    if wrong:
        raise DigestMismatch(f"the ledger's {wrong[0]} is not that of the published plan")


def _match_entries(release: OpenedRelease, answers: Sequence[Answer]) -> None:
    entries = [parse(line.encode()) for line in release.predicate["entries"]]
    asked = {entry.seq: entry for entry in entries if entry.kind in CHARGES}
    stored = [entry for entry in entries if entry.kind == "stored"]
    if [seq for entry in stored for seq in entry.fields["of"]] != [answer.entry for answer in answers]:
        raise DigestMismatch("measurements.npz: the answers are not those that the ledger says were stored")
    for answer in answers:
        if not _is_answer_to(answer, asked[answer.entry]):
            raise DigestMismatch(f"measurements.npz: answer {answer.entry} does not answer its ledger entry")
    for entry in stored:
        group = [answer for answer in answers if answer.entry in entry.fields["of"]]
        if "sha256:" + sha256(pack(group)).hexdigest() != entry.fields["answer"]:
            raise DigestMismatch(f"measurements.npz: the answers of entries {entry.fields['of']} were changed")


def _is_answer_to(answer: Answer, entry: Entry) -> bool:
    mechanism, query = entry.fields["mechanism"], entry.fields["query"]
    scale = Fraction(mechanism.get("sigma", mechanism.get("scale", 0)))
    if (entry.kind, scale) != (ANSWERED[type(answer)], answer.scale):
        return False
    if isinstance(answer, NoisyMarginal):
        return bool(
            answer.law == mechanism["type"]
            and list(answer.query.columns) == query["columns"]
            and [level.digest for level in answer.query.levels] == query["levels"]
            and list(answer.query.shape) == query["shape"]
            and answer.query.basis == query["basis"]
        )
    if isinstance(answer, Partitions):
        found = {"type": answer.law, "threshold": answer.threshold, "delta": str(answer.delta)}
        return bool(query == {"column": answer.column} and {**mechanism, **found} == mechanism)
    compared = (answer.score, len(answer.candidates)) == (query["score"], query["candidates"])
    if isinstance(answer, NoisyScores):
        return bool(compared and answer.law == mechanism["type"])
    return bool(compared and answer.rule == mechanism["rule"] and len(answer.picks) <= mechanism["picks"])


def _match_found(release: OpenedRelease, answers: Sequence[Answer]) -> None:
    """The values that datapackage.json lists as found are those that the answers say."""
    if dict(release.found) != dict(labels(release.plan.schema, answers)):
        raise DigestMismatch("datapackage.json: the values found are not those of measurements.npz")


def _refit(release: OpenedRelease, answers: Sequence[Answer]) -> float:
    plan = release.plan
    replayer = plan.replayer(answers)
    fitted = fit_found(plan.algorithm(), replayer, plan.cost.amount, plan.delta0)
    if replayer.left():
        raise DigestMismatch("measurements.npz: the mechanism does not use all of the answers")
    if number_of_rows(plan, fitted) != release.predicate["release"]["rows"]:
        raise DigestMismatch("the number of rows is not what the noisy answers and the plan give")
    again = zeroed(IntegerTables.from_model(fitted), plan.constraints)
    furthest = max(distances(release.tables, again))
    if furthest > TOLERANCE:
        raise DigestMismatch(
            f"model.npz: fitted again from measurements.npz it differs by {furthest:.1e}, more than {TOLERANCE:.0e}"
        )
    return furthest


def distances(one: IntegerTables, two: IntegerTables) -> Iterator[float]:
    """Total variation distance of each node's joint table and of each column's spread over its fine cells.

    A node's joint is weighted by the first model's distribution of the given columns. Raises DigestMismatch where the
    two do not have the same structure.
    """
    if (one.levels, one.total, len(one.nodes)) != (two.levels, two.total, len(two.nodes)):
        raise DigestMismatch("model.npz: the model fitted again has another structure")
    joints: list[tuple[tuple[str, ...], NDArray[np.float64]]] = []
    for left, right in zip(one.nodes, two.nodes, strict=True):
        if (left.given, left.new) != (right.given, right.new):
            raise DigestMismatch("model.npz: the model fitted again has another structure")
        given = _given(left.given, joints)
        yield float(given @ _apart(left.table, right.table).sum(axis=1)) / 2
        columns = (*left.given, *left.new)
        joint = given[:, None] * (left.table.astype(np.float64) / ONE)
        joints.append((columns, joint.reshape(one.model_domain.shape(columns))))
    for spread, again in zip(one.weights, two.weights, strict=True):
        yield float(_apart(spread, again).max())


def _apart(one: NDArray[np.uint64], two: NDArray[np.uint64]) -> NDArray[np.float64]:
    return np.abs(one.astype(np.float64) - two.astype(np.float64)) / ONE


def _given(names: tuple[str, ...], joints: list[tuple[tuple[str, ...], NDArray[np.float64]]]) -> NDArray[np.float64]:
    if not names:
        return np.ones(1)
    for columns, joint in joints:
        if set(names) <= set(columns):
            summed = joint.sum(axis=tuple(i for i, name in enumerate(columns) if name not in names))
            left = [name for name in columns if name in names]
            return np.transpose(summed, [left.index(name) for name in names]).ravel()
    raise DigestMismatch("model.npz: a node is given columns that no earlier node holds together")


def _same_rows(
    tables: IntegerTables,
    layout: Layout,
    folder: Path,
    facts: Mapping[str, Any],
    progress: Progress | None,
) -> None:
    """Compare every published row with what ``tables`` give for the rows and the seed in ``facts``, piece by piece."""
    rows, done, drawn = facts["rows"], 0, RowsDigest(tables, facts["rows"])
    published = [PublishedRows.of_parquet(folder / "data.parquet", rows)]
    for batch in records(tables, layout, rows, facts["seed"], drawn):
        if done == 0 and (folder / "data.csv").exists():
            published.append(PublishedRows.of_csv(folder / "data.csv", batch.schema))
        for file in published:
            _same(_as_parquet(batch) if file is published[0] else batch, file)
        done += batch.num_rows
        told(progress, done, rows, "drawn again")
    for file in published:
        if file.take(1).num_rows:
            raise wrong_number(file.name)
    if drawn.text != facts["rows_digest"]:
        raise DigestMismatch("the rows drawn again from model.npz do not have the digest that was signed")


def _as_parquet(batch: pyarrow.RecordBatch) -> pyarrow.RecordBatch:
    """As it is read back: Parquet has no seconds, and whole milliseconds instead."""
    import pyarrow

    seconds, millis = pyarrow.timestamp("s"), pyarrow.timestamp("ms")
    fields = [field.with_type(millis) if field.type == seconds else field for field in batch.schema]
    return batch.cast(pyarrow.schema(fields))


def _same(batch: pyarrow.RecordBatch, published: PublishedRows) -> None:
    """DigestMismatch unless the next rows of a file are these."""
    import pyarrow

    expected, found = pyarrow.Table.from_batches([batch]), published.take(batch.num_rows)
    if found.num_rows != expected.num_rows:
        raise wrong_number(published.name)
    if not (found.schema.equals(expected.schema, check_metadata=True) and found.equals(expected)):
        raise DigestMismatch(f"{published.name}: the rows are not those that model.npz gives")
