"""Where the decision on a release stands: what is signed, whether it counts, what is missing, and what to type."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Any

from dpsynth import evidence, verifier
from dpsynth.ledger import REJECT_REASONS, WITHDRAW_REASONS, Trust, read_envelope
from dpsynth.release.approve import Vote, request_place, today, votes
from dpsynth.release.check import LEDGER
from dpsynth.release.folder import UNDECIDED
from dpsynth.report.officer_facts import Command, Decided, Standing, State

_PLACES: dict[str, State] = {
    "RELEASED": "current",
    "SUPERSEDED": "superseded",
    "WITHDRAWN": "withdrawn",
    "REJECTED": "rejected",
}
_STATES: dict[str, State] = {"current": "current", "superseded": "superseded", "withdrawn": "withdrawn"}


def standing_of(
    where: Path, predicate: dict[str, Any], found: verifier.Verdict, trust: Trust | None, kept: str | None
) -> Standing:
    """What is signed so far. ``kept`` is the state in the store, which is newer than what lies in the folder."""
    digest = predicate.get("root")
    published: State | None = _PLACES.get(kept or "") or _ended(found) or _STATES.get(found.state)
    said = next((note for note in found.notes if note.startswith("status of ")), "")
    more = f" ({said})" if published and said and kept not in _PLACES else ""
    if digest is None:
        state: State = published or "open"
        return Standing(False, state, _TOLD[state] + more)
    known = trust is not None and found.exit_code in UNDECIDED and trust.version(digest) is not None
    decided = tuple(_decided(vote, found, known) for vote in votes(where))
    if trust is None or not known:
        told = _TOLD[published] + more if published else "Officers have to approve this release"
        return Standing(True, published or "waiting", told, decided=decided, root=digest)
    needed, people = trust.newest.threshold, found.approved_by
    state = published or ("approved" if len(people) >= needed else "waiting")
    told = _TOLD[state].format(have=len(people), needed=needed) + more
    ask = _to_ask(where, trust, decided, people) if state == "waiting" else ()
    return Standing(True, state, told, needed, people, ask, decided, trust.digest, trust.newest.name)


def _ended(found: verifier.Verdict) -> State | None:
    """Whether enough officers turned the release down or withdrew it, whatever else fails."""
    failed = {text.partition("]")[0].removeprefix("[") for text in found.failures}
    ends: dict[int, State] = {evidence.WITHDRAWN: "withdrawn", evidence.REJECTED: "rejected"}
    return next((state for code, state in ends.items() if str(code) in failed), None)


_TOLD: dict[State, str] = {
    "open": "Nothing has to be approved: this account has no officers",
    "waiting": "Waiting for approval: {have} of {needed} officers have approved",
    "approved": "Approved by {have} of {needed} officers: the same run again publishes it",
    "rejected": "Rejected by the officers; what it spent stays spent",
    "current": "Published, and current",
    "superseded": "Published, and superseded by another release",
    "withdrawn": "Withdrawn; what it spent stays spent",
}


def _decided(vote: Vote, found: verifier.Verdict, known: bool) -> Decided:
    """A decision as the verifier judged it, which alone says whether it counts."""
    said = vote.approval
    judged = next((one for one in found.decisions if one.file == vote.file), None)
    counts = judged.counts if known and judged else None
    told = judged.why if judged and counts is False else ""
    return Decided(said.decision, said.person, said.day, said.expires, said.conditions, said.reason, counts, told)


def _to_ask(where: Path, trust: Trust, decided: tuple[Decided, ...], people: tuple[str, ...]) -> tuple[str, ...]:
    """The officers who can still approve: with a key in force, not heard yet, and not the one who made the release."""
    ((maker, _),) = read_envelope((where / LEDGER).read_bytes()).signatures
    owner, day = trust.person(maker), today().isoformat()
    heard = {*people, *(one.person for one in decided if one.counts), *([owner.id] if owner else [])}
    able = [
        person.id
        for person in trust.newest.officers
        if any(not trust.refusal(key.keyid, role="officer", day=day) for key in person.keys)
    ]
    return tuple(name for name in able if name not in heard)


def commands(where: Path, words: str, standing: Standing, root: str | Path | None) -> tuple[Command, ...]:
    """What to type to sign, on the machine that holds the folder and on another one."""
    ends = ", ".join(WITHDRAW_REASONS)
    place, same = quote(str(where)), f'--fingerprint "{words}"'
    if not standing.governed:
        if standing.state == "withdrawn":
            return ()
        text = f"dpsynth withdraw {place} --key KEY.pem --store STORE --reason CLASS"
        return (Command(f"To withdraw it, for one of the reasons {ends}, with the key that signed it:", text),)
    beside = request_place(where.resolve()).is_file() and root is None
    known = "" if beside else f" --root {quote(str(root)) if root else 'ROOT.json'}"
    if standing.state in ("waiting", "approved"):
        carried = f"{where.absolute().name}.request.json"
        there = f"dpsynth approve {quote(carried)} --key KEY.pem {same} -o approval.dsse.json"
        back = f"dpsynth approve {place} --add approval.dsse.json"
        out = f"dpsynth approve {place} --request {quote(carried)}{known}"
        reasons = ", ".join(REJECT_REASONS)
        return (
            Command("To approve:", f"dpsynth approve {place} --key KEY.pem {same}{known}"),
            Command(
                f"To reject, for one of the reasons {reasons}:",
                f"dpsynth reject {place} --key KEY.pem {same} --reason CLASS{known}",
            ),
            Command(
                "To sign on another machine: carry a request there, and what is signed back:", f"{out}\n{there}\n{back}"
            ),
        )
    if standing.state in ("current", "superseded"):
        text = f"dpsynth withdraw {place} --key KEY.pem {same} --reason CLASS{known or ' --root ROOT.json'}"
        renew = f"dpsynth status renew {place} --store STORE --key ENGINE.pem"
        return (
            Command(
                f"To withdraw it, for one of the reasons {ends}: enough officers each, then the engine:",
                f"{text}\n{renew}",
            ),
        )
    return ()
