"""Counting decisions: which of the files in ``approvals/`` count, and for how many distinct people."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dpsynth.accountant import Story
from dpsynth.ledger import Decision, Entry, Person, Trust, parse, read_envelope
from dpsynth.release.approve import Vote, today, votes
from dpsynth.release.check import LEDGER


@dataclass(frozen=True)
class Count:
    """The decisions on one release: those that count, each with its person, and why others do not.

    A decision counts if the store's root lists its key as an officer's and neither expired nor revoked, if it is not
    past its own day, and if its officer is not the one who made the release. One that the log has recorded counts by
    the day and place of its line; any other by today.
    """

    counted: tuple[tuple[Person, Vote], ...]
    refused: tuple[str, ...]

    @classmethod
    def of(cls, folder: Path, trust: Trust, story: Story) -> Count:
        """Count what lies in a folder that was verified. Raises as :func:`votes`; SignatureInvalid, KeyRefused.

        KeyRefused: the root itself is past its day.
        """
        trust.require_current(today().isoformat())
        logged = {
            entry.fields["attestation"]: entry for entry in map(parse, story.after) if "attestation" in entry.fields
        }
        ((maker, _),) = read_envelope((folder / LEDGER).read_bytes()).signatures
        counted, refused = [], []
        for vote in votes(folder):
            found = _person(vote, trust, story, logged.get(vote.digest), trust.person(maker))
            if isinstance(found, Person):
                counted.append((found, vote))
            else:
                refused.append(f"{vote.file}: {found}")
        return cls(tuple(counted), tuple(refused))

    def votes(self, decision: Decision) -> tuple[Vote, ...]:
        """The files that count for a decision. Who rejected does not approve."""
        return tuple(vote for _, vote in self._of(decision))

    def first(self, decision: Decision, number: int) -> tuple[Vote, ...]:
        """One file of each of the first ``number`` people who decided so."""
        return tuple({person.id: vote for person, vote in reversed(self._of(decision))}.values())[:number]

    def people(self, decision: Decision) -> tuple[Person, ...]:
        """The distinct people who decided so, by name."""
        found = {person.id: person for person, _ in self._of(decision)}
        return tuple(found[name] for name in sorted(found))

    def by(self, vote: Vote) -> str:
        """Who signed a file that counts."""
        return next(person.id for person, found in self.counted if found is vote)

    def _of(self, decision: Decision) -> list[tuple[Person, Vote]]:
        against = {person.id for person, vote in self.counted if vote.approval.decision == "reject"}
        return [
            (person, vote)
            for person, vote in self.counted
            if vote.approval.decision == decision and not (decision == "approve" and person.id in against)
        ]


def _person(vote: Vote, trust: Trust, story: Story, line: Entry | None, maker: Person | None) -> Person | str:
    """Whose decision it is, or why it does not count."""
    said, day = vote.approval, today().isoformat()
    if said.release != story.release:
        return f"it names release {said.release!r}"
    if trust.version(said.root) is None:
        return "it was signed under another root"
    if said.day > (day if line is None else line.stamp.day):
        return f"it is of a day to come, {said.day}"
    if line is None and day > said.expires:
        return f"it was to be counted until {said.expires}"
    day, position = (day, None) if line is None else (line.stamp.day, line.seq + 1)
    if why := trust.refusal(vote.keyid, role="officer", day=day, origin=story.head.origin, position=position):
        return why
    found = trust.accepted(
        vote.envelope, role="officer", day=day, origin=story.head.origin, position=position, but=maker
    )
    if not found:
        return "nobody approves what is their own"
    (person,) = found
    return person if person.id == said.person else f"it names {said.person!r} and is signed by {person.id!r}"
