"""Publishing a settled release: at once where an account has no officers, otherwise once enough of them approve.

A release of a governed account is written under ``pending/`` first. Each step leaves something behind that the next run
finds: the folder, the officers' files in it, the lines of the log, the status, and last the folder in its place. A run
that is killed between any two of them goes on from there.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dpsynth.accountant import Accountant, Story
from dpsynth.errors import ConfigurationError, DigestMismatch, Rejected, WaitingForApproval, Withdrawn
from dpsynth.files import move, telling, write_whole
from dpsynth.ledger import SigningKey, Trust
from dpsynth.release.approve import APPROVALS, Vote, digests, make_request, request_place
from dpsynth.release.check import LEDGER
from dpsynth.release.count import Count
from dpsynth.release.folder import require_place, save
from dpsynth.release.progress import Progress, tell
from dpsynth.release.release import Release
from dpsynth.release.status import PUBLISHED, STATUS, decisions, is_published, issue, require_engine, require_own

PENDING = "pending"


class Waiting(WaitingForApproval):
    """Too few officers have decided: where the files lie, their fingerprint, who has signed, how many are needed."""

    def __init__(
        self, message: str, *, pending: Path, fingerprint: str, approved: tuple[str, ...], needed: int
    ) -> None:
        super().__init__(message)
        self.pending, self.fingerprint, self.approved, self.needed = pending, fingerprint, approved, needed


def pending_place(folder: Path) -> Path:
    """Where the files of a release wait that is to become ``folder``."""
    whole = folder.absolute()
    return folder.parent / PENDING / whole.name if folder.name == whole.name else whole.parent / PENDING / whole.name


@dataclass(frozen=True)
class Publisher:
    """How one account's releases are published: by the key of an engine, and by its officers if it has any."""

    accountant: Accountant
    account: str
    trust: Trust | None
    key: SigningKey

    def require_ready(self, folder: Path, replaces: str | None) -> None:
        """Before anything is spent: ConfigurationError, KeyRefused for what would keep the release from its place."""
        for place in (folder,) if self.trust is None else (folder, pending_place(folder)):
            require_place(place)
            if (place / LEDGER).is_file():
                self.accountant.require_anchored()  # or the store has forgotten that it made what is there
                raise ConfigurationError(f"{place} holds another release: give another --out, or remove it")
        self._require_engine()
        if replaces is not None:
            self._require_replaceable(replaces)

    def _require_replaceable(self, old: str) -> None:
        story = self.accountant.story(old)
        if not is_published(story):
            raise ConfigurationError(
                f"[release] supersedes names {old!r}, which is not published: publish it first, or leave it out"
            )
        if story.accounts[-1].name not in {one.name for one in self.accountant.path(self.account)}:
            raise ConfigurationError(
                f"[release] supersedes names {old!r}, which other accounts paid for: only a release of the same "
                "account, or of the same tree, takes its place; leave it out"
            )

    def publish(self, release: Release, folder: Path, progress: Progress | None = None) -> Path:
        """Bring a settled release as far as it may go; returns the folder once it is published.

        Raises Waiting (11) or Rejected (12) by what the officers said, Withdrawn (13), DigestMismatch (21) for files
        that are not those the store made, KeyRefused (25), StoreBusy (30) while another run publishes it.
        """
        lock = self.accountant.hold(release.plan.release)
        try:
            place = self._publish(release, folder, progress)
        except BaseException:
            lock.close()
            raise
        lock.close(for_ever=True)
        return place

    def _publish(self, release: Release, folder: Path, progress: Progress | None) -> Path:
        story = self.accountant.story(release.plan.release)
        _require_standing(story)
        if self.trust is None:
            self._save(release, story, folder, progress)
            self._supersede(release)
            return folder
        where = self._written(release, story, folder, progress)
        if story.state not in PUBLISHED:
            self._decide(story, where, self.trust)
        self._finish(release, where, folder)
        tell(progress, "published")
        return folder

    def _written(self, release: Release, story: Story, folder: Path, progress: Progress | None) -> Path:
        """The folder that holds the release's files, in its place or under ``pending/``; written if there is none."""
        where = folder if (folder / LEDGER).is_file() else pending_place(folder)
        if where == folder and story.state not in PUBLISHED:
            raise ConfigurationError(
                f"{folder} holds a release already, and {release.plan.release!r} is not approved: give another --out, "
                "or remove it"
            )
        if not (where / LEDGER).is_file():
            self._require_engine()
        self._save(release, story, where, progress)
        return where

    def _save(self, release: Release, story: Story, where: Path, progress: Progress | None) -> None:
        """Write the files, or check those that are there: DigestMismatch unless the store's log is about them."""
        new, governed = not (where / LEDGER).is_file(), self.trust is not None
        save(release, where, self.key, progress, durable=governed, root=self.trust.data if self.trust else None)
        try:
            require_own(where, story)
        except DigestMismatch:
            if new:
                shutil.rmtree(where, ignore_errors=True)
            raise

    def _decide(self, story: Story, where: Path, trust: Trust) -> None:
        """Count the officers' files, tell the log what they come to, and raise unless they approve."""
        asked = make_request(where, trust)
        request = request_place(where)
        if not request.is_file() or request.read_bytes() != asked.to_bytes():
            write_whole(request, asked.to_bytes())
        count = Count.of(where, trust, story)
        needed = trust.newest.threshold
        if len(against := count.people("reject")) >= needed:
            self._log_votes(story, "reject", count.first("reject", needed), count)
            raise _rejected(story.release, [person.id for person in against])
        agreed = tuple(person.id for person in count.people("approve"))
        if len(agreed) < needed:
            refused = "".join(f"\n  does not count: {text}" for text in count.refused)
            if against:
                names = ", ".join(person.id for person in against)
                refused += f"\n  rejected by {names}: who rejects does not approve as long as that file lies there"
            raise Waiting(
                f"release {story.release!r} waits for approval: {len(agreed)} of {needed} officers have approved it\n"
                f"  its files: {where}\n"
                f"  its fingerprint: {asked.fingerprint}\n"
                f"  each officer looks at it: dpsynth review {where}\n"
                f'  and signs it: dpsynth approve {where} --key KEY --fingerprint "{asked.fingerprint}"\n'
                f"  or on another machine, where {request} was carried:\n"
                f"    dpsynth approve {request.name} --key KEY -o approval.dsse.json\n"
                f"    and back here: dpsynth approve {where} --add approval.dsse.json\n"
                f"  then the same run again publishes it{refused}",
                pending=where,
                fingerprint=asked.fingerprint,
                approved=agreed,
                needed=needed,
            )
        approvals = count.votes("approve")
        self._log_votes(story, "approve", approvals, count)
        fields = {"ledger": digests(where)[0], "approvals": [vote.digest for vote in approvals]}
        self.accountant.decide(story.release, "release", fields)

    def _log_votes(
        self, story: Story, decision: Literal["approve", "reject"], found: tuple[Vote, ...], count: Count
    ) -> None:
        logged = {entry.fields.get("attestation") for entry in decisions(story)}
        for vote in found:
            if vote.digest not in logged:
                self.accountant.keep(vote.digest, vote.data)
                fields = {"attestation": vote.digest, "by": count.by(vote), "keyid": vote.keyid}
                self.accountant.decide(story.release, decision, fields)

    def _finish(self, release: Release, where: Path, folder: Path) -> None:
        """Complete the files of a release that the log has as published, and move them to their place."""
        story = self.accountant.story(release.plan.release)
        require_own(where, story)
        self._restore(story, where)
        self._supersede(release)
        if not (where / STATUS).is_file():
            self._require_engine()
            issue(self.accountant, where, story.release, self.key)
        if where == folder:
            return
        request_place(where).unlink(missing_ok=True)
        with telling(folder):
            folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        move(where, folder)
        with suppress(OSError):  # others wait there
            where.parent.rmdir()

    def _restore(self, story: Story, where: Path) -> None:
        """Put back the approvals that the log names, where the folder was written anew."""
        (line,) = (entry for entry in decisions(story) if entry.kind == "release")
        for digest in line.fields["approvals"]:
            data = self.accountant.attestation(digest)
            if data is None:
                continue
            target = where / APPROVALS / Vote.read(data).file
            if not target.is_file():
                with telling(target):
                    target.parent.mkdir(exist_ok=True)
                write_whole(target, data, aside=where.absolute().parent)

    def _supersede(self, release: Release) -> None:
        old = release.plan.supersedes
        if old is not None and self.accountant.story(old).state in ("SETTLED", "RELEASED"):
            self.accountant.decide(old, "supersede", {"by": release.plan.release})

    def _require_engine(self) -> None:
        """KeyRefused unless the key is an engine's of the root in force."""
        if self.trust is not None:
            require_engine(Path(), self.key, self.trust)


def _require_standing(story: Story) -> None:
    said = {entry.kind: entry for entry in decisions(story)}
    if story.state == "WITHDRAWN":
        line = said["withdraw"]
        raise Withdrawn(
            f"release {story.release!r} was withdrawn on {line.stamp.day} ({line.fields['reason']}): it is not written "
            "again, and what it spent stays spent"
        )
    if story.state == "REJECTED":
        raise _rejected(story.release, [entry.fields["by"] for entry in decisions(story) if entry.kind == "reject"])


def _rejected(release: str, people: list[str]) -> Rejected:
    return Rejected(
        f"release {release!r} was rejected by {', '.join(sorted(set(people)))}: it is not published, and what it "
        "spent stays spent. Another release needs another id"
    )
