"""The status of a release: a short-lived signed file that says it is current, superseded or withdrawn.

Withdrawing cannot be a file that says "no": whoever keeps a bad release alive would leave it out. So a verifier that
wants to be sure (``verify --fresh``) asks for a status that is not past its day; the store gives a fresh one as long as
the release stands, and another one when it no longer does. What was spent stays spent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from dpsynth.accountant import Accountant, Story
from dpsynth.errors import (
    ConfigurationError,
    DigestMismatch,
    KeyRefused,
    LogInconsistent,
    Rejected,
    VerificationError,
    WaitingForApproval,
)
from dpsynth.files import write_whole
from dpsynth.ledger import (
    WITHDRAW_REASONS,
    Entry,
    SigningKey,
    State,
    Status,
    Trust,
    WithdrawReason,
    open_envelope,
    parse,
    parse_status,
    read_envelope,
    seal,
)
from dpsynth.release.approve import add, digests, require_release, sign, today
from dpsynth.release.check import LEDGER, read_statement
from dpsynth.release.count import Count
from dpsynth.release.folder import SOFTWARE, signing_key

STATUS = "status.dsse.json"
LIFE = 30
"""Days for which a status says that a release is current, unless its engine says otherwise."""
_GONE = "; nothing says that it still stands: have it withdrawn (`dpsynth withdraw`), and release anew under another id"
PUBLISHED = ("RELEASED", "SUPERSEDED", "WITHDRAWN")
"""The states of a release that was published by a line of the log."""


@dataclass(frozen=True)
class Standing:
    """What the newest status of a release says."""

    release: str
    state: State
    by: str | None
    reason: WithdrawReason | None
    expires: str


def issue(accountant: Accountant, folder: Path, release: str, key: SigningKey, days: int = LIFE) -> Standing:
    """Write ``status.dsse.json`` from what the store tells of a release that was published.

    LogInconsistent, and nothing is signed, if the store knows less than its anchor or than the engine's status that is
    there: an older copy of a store does not know of a withdrawal, and would say "current" again.
    """
    accountant.require_anchored()
    story = accountant.story(release)
    require_following(folder, story, accountant.trust(story.account))
    state, by, reason = standing(story)
    day = today()
    until = (day + timedelta(days=days)).isoformat()
    ledger, _ = digests(folder)
    status = Status(story.release, ledger, state, by, reason, day.isoformat(), until, story.after, story.now, SOFTWARE)
    write_whole(folder / STATUS, seal(status.statement(key), [key]), aside=folder.absolute().parent)
    return Standing(story.release, state, by, reason, until)


def standing(story: Story) -> tuple[State, str | None, WithdrawReason | None]:
    """The state of a published release, what superseded it, why it was withdrawn."""
    said = {entry.kind: entry.fields for entry in decisions(story)}
    if story.state == "WITHDRAWN":
        return "withdrawn", None, said["withdraw"]["reason"]
    if story.state == "SUPERSEDED":
        return "superseded", said["supersede"]["by"], None
    return "current", None, None


def require_following(folder: Path, story: Story, trust: Trust | None) -> None:
    """LogInconsistent unless the store's log goes on from the one that the status in a folder is about, if one is.

    Only a status of this release counts, signed by a key that may sign one today. The store is believed before any
    other, which is replaced: whoever can put a file there could otherwise keep a withdrawal from being told. A status
    may leave out the lines of roots before it.
    """
    said = _own_status(folder, story, trust)
    if said is None:
        return
    now = story.now
    before = [entry for entry in decisions(story) if entry.seq < said.log.size]
    shown = tuple(entry.line for entry in before if entry.kind != "root" or entry.line in said.entries)
    same = said.log.origin == now.origin and said.entries == shown
    if not same or said.log.size > now.size or (said.log.size == now.size and said.log.root != now.root):
        raise LogInconsistent(
            f"{folder / STATUS} says {said.state!r} at size {said.log.size} of its log, which the store, at size "
            f"{now.size}, does not go on from: an older copy of the store was brought back, or two copies went "
            "different ways. Nothing was signed; bring back the copy that holds everything"
        )


def _own_status(folder: Path, story: Story, trust: Trust | None) -> Status | None:
    """The status in a folder, if it is of this very release and signed by a key that may sign it; otherwise None."""
    try:
        data, ledger = (folder / STATUS).read_bytes(), (folder / LEDGER).read_bytes()
        said = parse_status(open_envelope(data))
        ((keyid, _),), ((own, _),) = (read_envelope(one).signatures for one in (data, ledger))
    except (OSError, VerificationError):
        return None
    # A key that is past its day was good once, so no day is asked of it.
    good = keyid == own if trust is None else not trust.refusal(keyid, role="engine", day="")
    return said if good and (said.release, said.ledger) == (story.release, digests(folder)[0]) else None


def is_published(story: Story) -> bool:
    """Whether a release is out: by a line of the log, or, where there are no officers, as soon as it is settled."""
    return story.state in PUBLISHED or (story.state == "SETTLED" and story.root is None)


def decisions(story: Story) -> tuple[Entry, ...]:
    """The lines of a release after it settled, read."""
    return tuple(parse(line) for line in story.after)


def renew(
    folder: str | Path, store: str | Path, key: SigningKey | str | Path | None = None, *, days: int = LIFE
) -> Standing:
    """Ask the store how a published release stands now, and sign a status that says so for ``days``.

    Officers' decisions to withdraw that lie in ``approvals/`` take effect once there are enough. ``key`` is an engine's
    of the root, or, where there are no officers, the one that signed the release.

    Raises the verifier's error for a folder that does not verify, DigestMismatch for one that the store did not make,
    KeyRefused for another key, and for a release that is not withdrawn if the key that signed its ledger was revoked
    and does not count there, WaitingForApproval or Rejected for a release that was never published, LogInconsistent if
    the store was taken back.
    """
    where, signer = Path(folder), signing_key(key)
    _require_days(days)
    with Accountant.open(store) as accountant:
        story, trust = _published(accountant, where)
        require_engine(where, signer, trust)
        if trust is not None and story.state != "WITHDRAWN":
            count = Count.of(where, trust, story)
            if len(count.people("withdraw")) >= trust.newest.threshold:
                story = _withdrawn(accountant, story, count)
        if story.state != "WITHDRAWN":  # who withdraws a release does not ask whether its engine's key still counts
            require_release(where, trust, _GONE)
        return issue(accountant, where, story.release, signer, days)


def withdraw(
    folder: str | Path,
    store: str | Path,
    keys: Sequence[SigningKey],
    reason: WithdrawReason,
    *,
    sign_with: SigningKey | str | Path | None = None,
    conditions: str = "",
    days: int = LIFE,
) -> Standing:
    """Withdraw a published release: sign with each of ``keys``, tell the store, and sign a status that says so.

    ``keys`` are officers' where the account has them, and a threshold of people must have signed, with what lies in
    ``approvals/`` already; ``sign_with`` is the engine's key, for the status. Where there are no officers the key is
    the one that signed the release, for both. ``reason`` is one of ``WITHDRAW_REASONS``. Withdrawing again signs the
    status anew. Raises as :func:`renew`, but not for the key of its ledger, and ThresholdNotMet for too few people.
    """
    where = Path(folder)
    _require_days(days)
    if reason not in WITHDRAW_REASONS:
        raise ConfigurationError(f"reason {reason!r}: must be one of {', '.join(WITHDRAW_REASONS)}")
    with Accountant.open(store) as accountant:
        story, trust = _published(accountant, where)
        if trust is None:
            signer = keys[0]
            require_engine(where, signer, None)
            if story.state != "WITHDRAWN":
                accountant.decide(story.release, "withdraw", {"reason": reason, "attestations": []})
            return issue(accountant, where, story.release, signer, days)
        signer = signing_key(sign_with)
        require_engine(where, signer, trust)
        if story.state != "WITHDRAWN":
            for key in keys:
                add(where, sign(where, key, "withdraw", reason=reason, conditions=conditions, root=trust.data))
            count = Count.of(where, trust, story)
            trust.require(count.people("withdraw"))
            story = _withdrawn(accountant, story, count)
        return issue(accountant, where, story.release, signer, days)


def require_engine(folder: Path, key: SigningKey, trust: Trust | None) -> None:
    """KeyRefused unless the key may sign a status: an engine's, or the very one that signed the release."""
    if trust is not None:
        trust.require_current(today().isoformat())
        if why := trust.refusal(key.public.keyid, role="engine", day=today().isoformat()):
            raise KeyRefused(
                f"{why}: ledgers and status are signed by an engine of the root, with [release] sign_with or --key; "
                "nothing was signed or spent"
            )
        return
    ((keyid, _),) = read_envelope((folder / LEDGER).read_bytes()).signatures
    if keyid != key.public.keyid:
        raise KeyRefused(
            f"key {key.public.keyid} did not sign {folder}: its status is signed by the same key, {keyid}; nothing was "
            "signed"
        )


def require_own(folder: Path, story: Story) -> None:
    """DigestMismatch unless the ledger of a verified folder is the one that this store's log gives."""
    said = read_statement(folder).predicate
    log, head = said["log"], story.head
    same = said["release"]["id"] == story.release and said["entries"] == [line.decode() for line in story.lines]
    if same and said["version"] > 1:
        same = (log["origin"], log["size"], log["root"]) == (head.origin, head.size, head.root.hex())
    first = next((entry for entry in decisions(story) if entry.kind == "release"), None)
    if same and first is not None:
        same = first.fields["ledger"] == digests(folder)[0]
    if not same:
        raise DigestMismatch(
            f"{folder} is not the release {story.release!r} that this store made: another run of the same plan, or "
            "another version, made it"
        )


def _published(accountant: Accountant, folder: Path) -> tuple[Story, Trust | None]:
    """The story of the release in a folder, once the store has it as published, and its officers."""
    if not folder.is_dir():
        raise ConfigurationError(f"{folder}: there is no such folder; give the folder of a release")
    accountant.require_anchored()
    story = accountant.story(read_statement(folder).predicate["release"]["id"])
    trust = accountant.trust(story.account)
    require_release(folder)  # whose it is the store's own log says
    require_own(folder, story)
    require_following(folder, story, trust)
    if story.state == "REJECTED":
        raise Rejected(f"release {story.release!r} was rejected: it has no status")
    if not is_published(story):
        raise WaitingForApproval(f"release {story.release!r} is not published yet: run it again once it is approved")
    if story.state == "SETTLED":
        accountant.decide(story.release, "release", {"ledger": digests(folder)[0], "approvals": []})
    return accountant.story(story.release), trust


def _withdrawn(accountant: Accountant, story: Story, count: Count) -> Story:
    found = count.votes("withdraw")
    for vote in found:
        accountant.keep(vote.digest, vote.data)
    given = {vote.approval.reason for vote in found}
    reason = next(reason for reason in WITHDRAW_REASONS if reason in given)
    fields = {"reason": reason, "attestations": [vote.digest for vote in found]}
    accountant.decide(story.release, "withdraw", fields)
    return accountant.story(story.release)


def _require_days(days: int) -> None:
    if not 1 <= days <= 366:
        raise ConfigurationError(f"{days} days: a status lasts 1 to 366 days")
