"""What an officer has to know of a release: gathered from its public folder and, if asked, from its store.

Neither holds a private row. The folder is judged by the independent verifier first; of one that it refuses nothing is
shown, since nothing that it says can be relied on.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from fractions import Fraction
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

from dpsynth import __version__, verifier
from dpsynth.accountant import Accountant
from dpsynth.errors import BudgetRefused, ConfigurationError, DpsynthError
from dpsynth.files import read_whole
from dpsynth.ledger import (
    CHARGES,
    DATA_NAME,
    Entry,
    Trust,
    cost_of,
    fingerprint,
    parse,
)
from dpsynth.measurement import TOTAL, NoisyMarginal, read_archive
from dpsynth.privacy import Cost
from dpsynth.release import review_store
from dpsynth.release.approve import today
from dpsynth.release.changes import compare
from dpsynth.release.check import DERIVATION, LEDGER, read_statement
from dpsynth.release.describe import read_plan, title
from dpsynth.release.folder import UNDECIDED, raise_for
from dpsynth.release.page import query_fact
from dpsynth.release.plan import Plan
from dpsynth.release.standing import commands, standing_of
from dpsynth.release.words import workload_told
from dpsynth.report import Claim, QueryFact, WorstCase
from dpsynth.report.figures import within
from dpsynth.report.officer_facts import (
    Asked,
    Check,
    Group,
    Ledgered,
    OfficerFacts,
    Payer,
    Raised,
)

GROUPS = (100, 1000, 10_000)
"""Sizes of groups for which the noise of a cell is told."""


def review(
    folder: str | Path,
    *,
    root: str | Path | None = None,
    store: str | Path | None = None,
    since: str | Path | None = None,
) -> OfficerFacts:
    """The facts of the officer's page for a release folder, pending or published, with officers or without.

    ``root`` is the ``root.json`` that says whose signatures count; without it that of the ``store`` is taken. The store
    also knows what else was released and spent on these people. ``since`` is the folder of the release to compare with,
    in place of the last one of the same account in the store.

    A folder that does not verify gives facts that say so. ConfigurationError: no such folder or file, a sample, or a
    release that the store does not know; DigestMismatch: the store made another one; the verifier's error for
    ``since``; StoreError.
    """
    where = Path(folder)
    if not where.is_dir():
        raise ConfigurationError(f"{where}: there is no such folder; give the folder of a release")
    if (where / DERIVATION).exists():
        raise ConfigurationError(f"{where} is a sample of a release: it cost nothing, so review the release itself")
    with ExitStack() as held:
        accountant = None if store is None else held.enter_context(Accountant.open(store))
        trust = Trust.parse(read_whole(Path(root))) if root is not None else None
        if accountant is not None and trust is None and (account := _account(where)):
            with suppress(BudgetRefused):  # no such account: that is said when the store is asked for the release
                trust = accountant.trust(account)
        check, found = _check(where, trust)
        shown = OfficerFacts(str(folder), today().isoformat(), check, version=__version__)
        if not check.readable:
            return shown
        statement = read_statement(where)
        predicate, raw = dict(statement.predicate), (where / LEDGER).read_bytes()
        ledger = ledgered(predicate)
        plan = _plan(where)
        if plan is not None and plan.digest != ledger.plan:
            failures = (*check.failures, "datapackage.json: the plan is not the one that the ledger names")
            return replace(shown, check=replace(check, ok=False, sound=False, exit_code=21, failures=failures))
        known = None if accountant is None else review_store.read(accountant, where, ledger)
        standing = standing_of(where, predicate, found, trust, known.state if known else None)
        own = ledger.payers[0]
        reserved = ledger.claim.reserved
        if known is not None:
            ledger = replace(ledger, payers=known.payers)
        changes = known.changes if known else None
        if since is not None:
            changes = compare(ledger, _since(Path(since)))
        return replace(
            shown,
            data=f"sha256:{dict(statement.subjects)[DATA_NAME]}",
            ledger_digest=f"sha256:{sha256(raw).hexdigest()}",
            words=fingerprint(raw),
            ledger=ledger,
            asked=None if plan is None else _asked(plan),
            standing=standing,
            commands=commands(where, fingerprint(raw), standing, root) if check.sound else (),
            total=_total(where),
            worst=WorstCase.of(reserved),
            all_worst=None if own.after == reserved else WorstCase.of(own.after, 2),
            groups=_groups(ledger.queries),
            others=known.others if known else None,
            changes=changes,
            first=changes is None and (known is not None or not own.before.amount),
            store=known is not None,
        )


# --- the verdict ------------------------------------------------------------------------------------------------------


def _check(where: Path, trust: Trust | None) -> tuple[Check, verifier.Verdict]:
    """Run the verifier; with a root it also says who counts, and without one whether the files are those signed."""
    bare = verifier.verify(where)
    found = bare if trust is None else verifier.verify(where, trust.data)
    room = files("dpsynth")
    parts = [room.joinpath(name) for name in ("verifier.py", "evidence.py", "trust.py", "roots.py")]
    digests = tuple((part.name, f"sha256:{sha256(part.read_bytes()).hexdigest()}") for part in parts if part.is_file())
    readable = bare.exit_code in UNDECIDED
    check = Check(
        found.ok and bare.ok,
        readable and found.exit_code in UNDECIDED,
        readable,
        found.exit_code if readable else bare.exit_code,
        found.keyid,
        found.notes,
        found.failures or bare.failures,
        digests,
        trust is not None,
    )
    return check, found


def _account(where: Path) -> str | None:
    """The account that a ledger names, before anything of it is believed: only to find the root in the store."""
    try:
        predicate = read_statement(where).predicate
        accounts = predicate.get("accounts") or [predicate["account"]]
        return str(accounts[0]["name"])
    except (DpsynthError, OSError, KeyError, TypeError, IndexError):
        return None


def _since(where: Path) -> Ledgered:
    if not where.is_dir():
        raise ConfigurationError(f"{where}: there is no such folder; give the release to compare with")
    found = verifier.verify(where)
    if found.exit_code not in UNDECIDED:
        raise_for(found, where)
    return ledgered(dict(read_statement(where).predicate))


# --- the ledger and the plan ------------------------------------------------------------------------------------------


def ledgered(predicate: dict[str, Any]) -> Ledgered:
    """What a ledger that was verified says; one of version 1 has one account."""
    guarantee, release = predicate["guarantee"], predicate["release"]
    entries = [parse(line.encode("ascii")) for line in predicate["entries"]]
    claim = Claim(
        guarantee["entity"],
        guarantee["unit_column"],
        guarantee["max_rows"],
        guarantee["neighbours"],
        Fraction(guarantee["epsilon"]),
        Fraction(guarantee["delta"]),
        cost_of(guarantee["reserved"]),
    )
    accounts = predicate.get("accounts") or [{**predicate["account"], "level": "project"}]
    software = predicate["software"]
    return Ledgered(
        release["id"],
        release["day"],
        release["mechanism"],
        release["rows"],
        release["rows_rule"],
        release["plan"],
        f"{software['name']} {software['version']}",
        claim,
        tuple(_payer(account, entries) for account in accounts),
        tuple(query_fact(entry) for entry in entries if entry.kind in CHARGES),
        sum(len(entry.fields["of"]) for entry in entries if entry.kind == "lost"),
        tuple(predicate["public"]),
        tuple(predicate["outside"]),
        len(entries),
        predicate["log"].get("origin", ""),
    )


def _payer(account: dict[str, Any], entries: Sequence[Entry]) -> Payer:
    told = [entry for entry in entries if entry.account == account["name"] and entry.kind in ("open", "grant")]
    policy = told[-1].fields["policy"]
    raised = tuple(
        Raised(entry.stamp.day, entry.fields.get("reason", "opening"), _added(entry))
        for entry in told
        if entry.fields.get("grant")
    )
    cap, before, after = (cost_of(account[key]) for key in ("cap", "held_before", "held_after"))
    epsilon, delta = (Fraction(policy[key]) for key in ("epsilon", "delta"))
    return Payer(account["name"], account["level"], cap, before, after, epsilon, delta, raised)


def _added(entry: Entry) -> Cost:
    return cost_of(entry.fields["added" if entry.kind == "grant" else "cap"])


def _plan(where: Path) -> Plan | None:
    try:
        return read_plan((where / "datapackage.json").read_bytes())
    except (DpsynthError, OSError):
        return None


def _asked(plan: Plan) -> Asked:
    workload = plan.workload
    weighted = bool(workload.columns or workload.target or any(weight != 1 for _, weight in workload.marginals))
    columns = {name: column.type for name, column in plan.schema.columns.items()}
    told = workload_told(plan)
    return Asked(title(plan), plan.artificial, told, weighted and bool(told), plan.noise, columns, plan.supersedes)


def _total(where: Path) -> int | None:
    """The noisy or public number of rows, if it was asked for."""
    try:
        answers = read_archive(where / "measurements.npz")
    except (DpsynthError, OSError):
        return None
    totals = [int(answer.values) for answer in answers if isinstance(answer, NoisyMarginal) and answer.query == TOTAL]
    return totals[0] if totals else None


def _groups(queries: Sequence[QueryFact]) -> tuple[Group, ...]:
    """What the noise of a cell comes to for groups of people, at the widest noise of each kind of table."""
    names = {1: "single columns", 2: "pairs of columns", 3: "triples of columns"}
    widest: dict[int, float] = {}
    for query in queries:
        if query.kind == "marginal" and query.columns and len(query.columns) in names:
            size = len(query.columns)
            widest[size] = max(widest.get(size, 0.0), within(query.mechanism, query.scale))
    if not widest:
        return ()
    return tuple(Group(size, tuple((names[ways], widest[ways] / size) for ways in sorted(widest))) for size in GROUPS)
