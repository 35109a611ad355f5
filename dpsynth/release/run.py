"""Running a plan: the one place that ties the curator to a mechanism."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from dpsynth.accountant import Accountant, Reservation, Story
from dpsynth.curator import Curator, Data, Source
from dpsynth.errors import SchemaError
from dpsynth.measurement import Answer, Finder, unpack
from dpsynth.mechanisms import DEFAULT, Workload, fit_found
from dpsynth.model import FittedModel
from dpsynth.privacy import Budget, Measure
from dpsynth.release.config import NoiseKind, ReleaseConfig
from dpsynth.release.folder import require_place, signing_key
from dpsynth.release.footprint import Footprint
from dpsynth.release.payer import OWN_ACCOUNT, open_store, place_of, require_account, store_named, structure
from dpsynth.release.plan import Plan
from dpsynth.release.planned import preview
from dpsynth.release.progress import Progress, tell
from dpsynth.release.publish import Publisher
from dpsynth.release.release import Release
from dpsynth.sampling import IntegerTables, zeroed
from dpsynth.schema import Schema
from dpsynth.schema.quantity import limit_of

MAX_ROWS = 1_000_000_000


def synthesize(
    source: Data,
    *,
    schema: Schema | str | Path,
    epsilon: str | int | Fraction | Decimal,
    delta: str | int | Fraction | Decimal,
    account: str | None = None,
    store: str | Path | None = None,
    mechanism: str = DEFAULT,
    workload: Workload | None = None,
    rows: int | None = None,
    seed: int = 0,
    release: str | None = None,
    formats: tuple[str, ...] = ("parquet",),
    title: str = "",
    measure: Measure = "gdp",
    noise: NoiseKind = "exact",
    cell: str | None = None,
    memory: str | int | None = None,
    progress: Progress | None = None,
) -> Release:
    """Make a differentially private synthetic table; nothing is written but the store of accounts.

    ``source``: path of a CSV file, or of a file, a folder or a pattern of Parquet files; ``sqlite:PATH#TABLE`` or
    ``postgresql://USER@HOST/DATABASE#TABLE``; pandas or Polars data frame, Arrow table, DuckDB relation, or whatever
    gives its columns by ``__arrow_c_schema__`` and its rows by ``__arrow_c_stream__``, each time anew.
    ``schema``: a Schema or the path of a ``schema.toml``. ``epsilon``, ``delta``: exact, so text, integers, Fractions
    or Decimals, never floats.
    ``mechanism``: ``"mrm"``, ``"aim"``, ``"mst"``, ``"privbayes"`` or ``"independent"``. ``workload``: which marginals
    matter; without it all of two columns. ``rows``: how many to draw, 1 to 10^9; without it the noisy, charged number
    of rows. ``seed``: of the public sampling, 0 to 2^63 - 1. ``release``: the id, of which one release can be made;
    without it one is derived from the plan. ``formats``: what ``Release.save`` writes, ``"parquet"`` and perhaps
    ``"csv"``. ``title``: for people. ``progress``: told what is being done.

    ``measure``: what the account counts in, Gaussian DP (``"gdp"``), ``"zcdp"`` or ``"pure"``; delta 0 needs the last,
    and it delta 0. ``noise``: ``"exact"``, or ``"opendp"`` for OpenDP's discrete Gaussian, which needs ``"zcdp"``.

    ``memory``: the most that this process may take, such as ``"3 GiB"``, or in bytes; half of the machine's if it is
    not given. No result depends on it; what cannot fit is refused before anything is spent.

    Without ``account`` the first call opens one in ``store`` (``<source>.dpsynth.db`` beside the data, if not given)
    whose cap is its epsilon and delta, so that a second, different request on the same data is refused. The same
    request gives the same release back and spends nothing. Data that are no file or folder must name an account and
    its store.

    Raises ConfigurationError (2), SourceError (3), BudgetRefused (10) or StoreError (30-32) before anything is spent.
    Afterwards only a file that cannot be read to its end, a store that fails, or an answer that an earlier crash lost
    can stop it; what was drawn then stays charged, and the same call goes on from the stored answers.
    """
    limit = limit_of(memory)
    chosen = schema if isinstance(schema, Schema) else Schema.load(schema)
    with _told_of(schema):
        plan = Plan(
            "unnamed" if release is None else release,
            chosen,
            mechanism,
            Budget(epsilon=epsilon, delta=delta),
            rows,
            seed,
            formats,
            title,
            measure=measure,
            noise=noise,
            workload=workload or Workload(),
            cell=cell,
        )
    if release is None:
        plan = replace(plan, release="r-" + plan.digest.removeprefix("sha256:")[:16])
    return execute(plan, Source.of(source), account=account, store=store, memory=limit, progress=progress)


@dataclass(frozen=True)
class Published:
    """A release and the folder that holds it."""

    release: Release
    folder: Path


def load_plan(path: str | Path, memory: str | None = None) -> tuple[Plan, int]:
    """The plan of a ``release.toml``, and the limit on memory that goes with it, in bytes. Reads no row.

    ``memory`` takes the place of ``[data] memory``.
    """
    config = ReleaseConfig.load(path)
    return _plan(config, Path(path).parent), _limit(config, memory)


def _plan(config: ReleaseConfig, here: Path) -> Plan:
    """The plan of a ``release.toml`` of a folder; what is wrong with its schema names the schema's file."""
    place = here / config.data.schema_
    schema = Schema.load(place)
    with _told_of(place):
        return Plan.of(config, schema)


@contextmanager
def _told_of(schema: Schema | str | Path) -> Iterator[None]:
    """Name the file of a schema, if it is of one, whose constraints contradict each other: the plan finds that."""
    try:
        yield
    except SchemaError as error:
        raise error if isinstance(schema, Schema) else SchemaError(f"{schema}: {error}") from None


def _limit(config: ReleaseConfig, memory: str | None) -> int:
    """The limit on memory: what was asked for with the command, else in the file, else the default."""
    return limit_of(memory, "--memory") if memory is not None else limit_of(config.data.memory, "[data] memory")


def run_file(
    path: str | Path,
    out: str | Path | None = None,
    *,
    among_several: bool = False,
    store: str | Path | None = None,
    memory: str | None = None,
    passphrase: Callable[[Path], bytes] | None = None,
    progress: Progress | None = None,
) -> Published:
    """Run a ``release.toml`` and publish its folder; the paths in the file are relative to it.

    ``out`` is the release folder (the release id in the working folder, if not given), or, ``among_several``, the
    folder that holds one such folder a release id. ``store`` takes the place of ``[budget] store``, ``memory`` that of
    ``[data] memory``. ``passphrase`` is asked for that of an encrypted signing key.

    Where officers decide about the account, the folder is written as ``pending/NAME`` beside ``out`` and
    WaitingForApproval (11) says what to do; running again publishes it once enough of them have approved. Rejected
    (12): enough of them turned it down. Withdrawn (13): it was published and taken back.
    """
    config, here = ReleaseConfig.load(path), Path(path).parent
    limit = _limit(config, memory)
    plan = _plan(config, here)
    named = config.release.sign_with
    key = signing_key(named and here / named, passphrase)
    place = store_named(config, here, store)
    source = Source.of(config.data.source, here)
    base = Path(out) if out is not None else Path()
    folder = base / plan.release if among_several or out is None else base
    require_place(folder)
    left = _left(plan, limit)
    with open_store(plan, source, config.budget.account, place) as accountant:
        name = config.budget.account or OWN_ACCOUNT
        publisher = Publisher(accountant, name, accountant.trust(name), key)
        if not accountant.settled(plan.release):
            publisher.require_ready(folder, plan.supersedes)
        release = _execute(plan, source, accountant, name, place, left, progress)
        return Published(release, publisher.publish(release, folder, progress))


def execute(
    plan: Plan,
    source: Source,
    *,
    account: str | None,
    store: str | Path | None,
    memory: int,
    progress: Progress | None = None,
) -> Release:
    """Price, check, reserve, measure, fit. A release that was settled is rebuilt from its stored answers."""
    left = _left(plan, memory)
    with open_store(plan, source, account, store) as accountant:
        return _execute(plan, source, accountant, account or OWN_ACCOUNT, store, left, progress)


def _left(plan: Plan, limit: int) -> int:
    """What reading and counting may take of the limit on memory, where every query can be bought and the limit kept.

    What cannot be is refused here, before anything is spent.
    """
    preview(plan)  # prices every query
    footprint = Footprint.of(plan, limit)
    footprint.require()
    return footprint.left


def _execute(
    plan: Plan,
    source: Source,
    accountant: Accountant,
    name: str,
    store: str | Path | None,
    left: int,
    progress: Progress | None,
) -> Release:
    ignored: tuple[str, ...] = ()
    place = place_of(source, store)
    require_account(plan, accountant, name)
    accountant.check(name, plan.cost, release=plan.release, plan=plan.digest, source=place)
    if not accountant.settled(plan.release):
        ignored = structure(plan, source)
    with accountant.reserve(
        name, release=plan.release, plan=plan.digest, cost=plan.cost, quote=plan.budget, source=place
    ) as reservation:
        if reservation.settled:
            answers = tuple(
                answer for stored in reservation.answers() if stored.answer for answer in unpack(stored.answer)
            )
            fitted = _fit(plan, plan.replayer(answers), progress)
        else:
            with Curator.open(source, plan.schema, reservation, progress, plan.noise, left) as curator:
                fitted = _fit(plan, curator, progress)
                answers = curator.answers
            reservation.settle()
    return _released(plan, accountant.story(plan.release), reservation, answers, fitted, ignored)


def _released(
    plan: Plan,
    story: Story,
    reservation: Reservation,
    answers: tuple[Answer, ...],
    fitted: FittedModel,
    ignored: tuple[str, ...],
) -> Release:
    return Release(
        plan=plan,
        accounts=story.accounts,
        policy=reservation.account.policy,
        day=reservation.day,
        lines=story.lines,
        head=story.head,
        root=story.root,
        grants=story.grants,
        answers=answers,
        tables=zeroed(IntegerTables.from_model(fitted), plan.constraints),
        rows=number_of_rows(plan, fitted),
        ignored=ignored,
    )


def number_of_rows(plan: Plan, fitted: FittedModel) -> int:
    """The rows to write: the user's number, or the noisy total clamped to 1 .. 10^9, a public rule.

    Where rows have weights, the total is that of the people whom they stand for.
    """
    people = round(fitted.total * plan.schema.unit.people_a_unit)
    return plan.rows if plan.rows is not None else max(1, min(people, MAX_ROWS))


def _fit(plan: Plan, measurer: Finder, progress: Progress | None) -> FittedModel:
    fitted = fit_found(plan.algorithm(), measurer, plan.cost.amount, plan.delta0)
    ended = fitted.network.convergence
    tell(progress, "model fitted" if ended.converged else f"model fitted to within {ended.distance:.0e} only")
    return fitted
