"""What the officer's page is told: frozen values, from the public folder and from a store, which holds no row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from dpsynth.privacy import Cost
from dpsynth.report.facts import Claim, QueryFact, WorstCase

Status = Literal["handled", "accepted", "not applicable"]
State = Literal["waiting", "approved", "rejected", "current", "superseded", "withdrawn", "open"]
"""Of the decision: too few officers so far, enough of them, enough against it; published and how it stands; or there
are no officers, and nothing says that it was published or withdrawn."""


@dataclass(frozen=True)
class Decided:
    """One signed decision in the folder. ``counts`` is None where no root is known that could tell."""

    decision: str
    person: str
    day: str
    expires: str
    conditions: str
    reason: str | None
    counts: bool | None
    why: str = ""


@dataclass(frozen=True)
class Standing:
    """What is signed so far and what is missing. ``needed`` is None where no root of the officers is known."""

    governed: bool
    state: State
    told: str
    needed: int | None = None
    approved_by: tuple[str, ...] = ()
    to_ask: tuple[str, ...] = ()
    decided: tuple[Decided, ...] = ()
    root: str | None = None
    root_name: str = ""


@dataclass(frozen=True)
class Command:
    """A command for the officer to type, and what it is for."""

    purpose: str
    text: str


@dataclass(frozen=True)
class Raised:
    """One grant that is part of a cap, as the log tells it."""

    day: str
    reason: str
    added: Cost


@dataclass(frozen=True)
class Vain:
    """What was asked in vain of an account and all below it: refused, lost in a crash, turned down, never finished."""

    refused: int
    lost: int
    rejected: int
    unfinished: int


@dataclass(frozen=True)
class Payer:
    """An account that paid. ``now`` is what it holds today, ``vain`` what was wasted; None where no store was asked.

    ``epsilon`` and ``delta`` are the policy that its cap comes from.
    """

    name: str
    level: str
    cap: Cost
    before: Cost
    after: Cost
    epsilon: Fraction
    delta: Fraction
    raised: tuple[Raised, ...] = ()
    now: Cost | None = None
    cap_now: Cost | None = None
    vain: Vain | None = None


@dataclass(frozen=True)
class Other:
    """Another release about the same people, of this store or noted in it from elsewhere.

    ``private`` is False where it claims no guarantee at all; ``reserved`` is None where it was not made here.
    """

    name: str
    account: str
    day: str
    state: str
    reserved: Cost | None
    epsilon: str
    delta: str
    private: bool = True


@dataclass(frozen=True)
class Change:
    """One thing that differs from the release before."""

    what: str
    before: str
    now: str


@dataclass(frozen=True)
class Changes:
    """How this release differs from ``release``; ``source`` says what it was compared by.

    ``units_differ``: the two protect different units, so that their figures must not be compared.
    """

    release: str
    day: str
    source: str
    changes: tuple[Change, ...]
    units_differ: bool = False


@dataclass(frozen=True)
class Check:
    """What the independent verifier said; ``files`` are its own files with their digests.

    ``readable``: the folder holds what was signed. ``sound``: and nobody signed whose key does not count.
    """

    ok: bool
    sound: bool
    readable: bool
    exit_code: int
    keyid: str
    notes: tuple[str, ...]
    failures: tuple[str, ...]
    files: tuple[tuple[str, str], ...] = ()
    with_root: bool = False


@dataclass(frozen=True)
class Group:
    """By how much, in 19 of 20 cases, the noise of a cell moves the count of a group of ``size`` people."""

    size: int
    parts: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Asked:
    """What the published plan says; None on the page where the folder holds no readable plan."""

    title: str
    artificial: bool
    workload: str
    weighted: bool
    noise: str
    columns: Mapping[str, str]
    supersedes: str | None = None


@dataclass(frozen=True)
class Ledgered:
    """What the signed ledger of a release says."""

    release: str
    day: str
    mechanism: str
    rows: int
    rows_rule: str
    plan: str
    software: str
    claim: Claim
    payers: tuple[Payer, ...]
    queries: tuple[QueryFact, ...]
    lost: int
    public: tuple[str, ...]
    outside: tuple[str, ...]
    entries: int
    origin: str = ""


@dataclass(frozen=True)
class OfficerFacts:
    """Everything on the officer's page. Where ``ledger`` is None the folder does not verify and nothing is shown of it.

    ``total`` is the noisy or public number of rows of the private table; None if unasked. ``others`` is None where no
    store was asked; ``all_worst`` is the worst case of everything that the first account holds with this release.
    """

    folder: str
    day: str
    check: Check
    data: str = ""
    ledger_digest: str = ""
    words: str = ""
    ledger: Ledgered | None = None
    asked: Asked | None = None
    standing: Standing | None = None
    commands: tuple[Command, ...] = ()
    total: int | None = None
    worst: WorstCase | None = None
    all_worst: WorstCase | None = None
    groups: tuple[Group, ...] = ()
    others: tuple[Other, ...] | None = None
    changes: Changes | None = None
    first: bool = False
    store: bool = False
    version: str = ""
