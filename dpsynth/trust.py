#!/usr/bin/env python3
"""Who says what a release of differentially private synthetic data costs, and whether it is current.

    python trust.py RELEASE... [--root root.json] [--fresh] [--json]

Needs verifier.py, evidence.py and roots.py beside it. Opens each folder, checks that its files are those signed, has
verifier.py reckon the loss, and checks besides:

  the log      each line lies in the append-only log that the signed checkpoint names, which goes on from the log as it
               was after every earlier release; several RELEASEs tell one history, not two
  --root       the ledger was signed by an engine of that root; enough distinct officers of it granted every budget and
               approved these very files, with keys in force, and none of them is the person who signed the ledger
  the status   what the engine said last: current, superseded or withdrawn; --fresh refuses one that is old or missing

Get root.json from the organisation itself, not from whoever sent the release. Without it nothing says whose key signed.

Exit codes: 0 verified; 2 usage; 12 rejected by officers; 13 withdrawn; 14 status old or missing (--fresh); 20 signature
or form; 21 a file is missing, unlisted or changed; 22 a cost, sum or claim is wrong; 23 something unknown, so that
epsilon must be taken as infinite; 24 the log forked or was rolled back; 25 a key is expired, revoked or not the root's;
26 too few officers signed; 70 the verifier failed. Of several failures the gravest (evidence.GRAVEST) gives the code.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or __package__:
    from dpsynth import evidence, verifier
    from dpsynth.evidence import Envelope, Json, Refused, Report, Verdict, demand
    from dpsynth.roots import Root, Trust, read_trust
else:  # copied beside the other files, without the package
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    import evidence
    import verifier
    from evidence import Envelope, Json, Refused, Report, Verdict, demand
    from roots import Root, Trust, read_trust

USAGE, REJECTED, WITHDRAWN, STALE = evidence.USAGE, evidence.REJECTED, evidence.WITHDRAWN, evidence.STALE
SIGNATURE, FILES, UNKNOWN, INTERNAL = evidence.SIGNATURE, evidence.FILES, evidence.UNKNOWN, evidence.INTERNAL
LOG, KEY, THRESHOLD = evidence.LOG, evidence.KEY, evidence.THRESHOLD
LIFE = 366  # days for which a status may say how a release stands, or a decision wait to be counted
UNROOTED = "only a root says whose signature that is"
Place = str | os.PathLike[str]

# fmt: off
COUNT, COUNTING, DAY, DIGEST, HEX64 = evidence.COUNT, evidence.COUNTING, evidence.DAY, evidence.DIGEST, evidence.HEX64
NAME, NAMED, TEXT, SIGNER, SOFTWARE = evidence.NAME, evidence.NAMED, evidence.TEXT, evidence.SIGNER, evidence.SOFTWARE
WITHDRAW: Any = ("privacy-fault", "data-fault", "legal", "superseded", "other")
REJECT: Any = ("budget", "unit", "public-facts", "utility", "other")
ATTESTED: Json = {
    "version": 1, "release": NAME, "ledger": DIGEST, "data": DIGEST, "root": DIGEST, "person": evidence.PERSON,
    "conditions": str, "day": DAY, "expires": DAY,
}
DECISIONS: Any = (
    {**ATTESTED, "decision": "approve", "reason": None}, {**ATTESTED, "decision": "reject", "reason": REJECT},
    {**ATTESTED, "decision": "withdraw", "reason": WITHDRAW},
)
STANDING: Any = {
    "version": 1, "release": NAME, "ledger": DIGEST, "state": ("current", "superseded", "withdrawn"), "by": NAMED,
    "reason": (None, *WITHDRAW), "issued": DAY, "expires": DAY, "entries": [str], "log": evidence.HEAD,
    "signer": SIGNER, "software": SOFTWARE,
}
OFFICER: Json = {"release": NAME, "attestation": DIGEST, "by": evidence.PERSON, "keyid": HEX64}
AFTERWARDS: dict[str, Json] = {  # the lines of a release that follow those of its ledger
    "approve": OFFICER, "reject": OFFICER, "release": {"release": NAME, "ledger": DIGEST, "approvals": [DIGEST]},
    "supersede": {"release": NAME, "by": NAME},
    "withdraw": {"release": NAME, "reason": WITHDRAW, "attestations": [DIGEST]},
    "root": verifier.KINDS["root"],  # on its topmost account
}
GRANTED: Any = {
    "version": 1, "account": NAME, "level": verifier.LEVEL, "parent": NAMED, "measure": verifier.MEASURE,
    "added": verifier.AMOUNT, "policy": verifier.CLAIM, "entity": NAME, "column": TEXT,
    "neighbours": verifier.NEIGHBOURS, "population": NAME, "reason": ("opening", *verifier.REASON),
    "justification": str, "origin": evidence.ORIGIN, "root": DIGEST, "nonce": evidence.HEX32, "day": DAY,
}
GRANTS: Any = (GRANTED, *({**GRANTED, **more} for more in verifier.DIVIDED["open"]))
DERIVED: Any = {
    "version": 1, "parent": {"release": NAME, "envelope": DIGEST, "model": DIGEST},
    "sample": {"rows": COUNT, "seed": COUNT, "where": TEXT, "rows_digest": DIGEST, "day": DAY},
    "signer": SIGNER, "software": SOFTWARE,
}
# fmt: on


# === 1. A release =====================================================================================================


@dataclass
class Case:
    """A release that is being judged: what its signed ledger says, and what is known about it."""

    ledger: Json
    entries: list[Json]
    statement: Json
    envelope: Envelope
    public: bytes
    trust: Trust | None
    today: str
    in_force: list[tuple[int, Root]] = field(default_factory=list)  # which root, from which line of the log on
    after: list[Json] = field(default_factory=list)  # the lines of the release that follow its ledger, and of its root
    heads: dict[int, str] = field(default_factory=dict)  # roots of its log by size
    analyst: str = ""
    state: str | None = None  # what its status says, if there is one

    def place(self, entry: Json | None) -> tuple[str, int] | None:
        """Where a line stands: its log, and the size of that with it."""
        return None if entry is None else (self.ledger["log"]["origin"], entry["seq"] + 1)

    def root_at(self, seq: int) -> Root:
        """The root that was in force when a line was written."""
        return next((root for since, root in reversed(self.in_force) if since <= seq), self.in_force[-1][1])

    def published(self) -> Json | None:
        """The line that released it."""
        return next((entry for entry in self.after if entry["kind"] == "release"), None)

    def at_release(self, trust: Trust) -> list[Root]:
        """The roots that may have been in force when it was released, or are now if it was not.

        None is older than the ledger's, nor than one whose line precedes the release; none is one whose line follows
        it. Of the others no line says when they came.
        """
        line = self.published()
        seq = line["seq"] if line else 2**63
        lines = [(entry["seq"] < seq, entry["version"]) for entry in self.after if entry["kind"] == "root"]
        least = max([self.in_force[-1][1].version, *(version for before, version in lines if before)])
        most = min([2**63, *(version for before, version in lines if not before)])
        return [root for root in trust.roots if least <= root.version < max(most, least + 1)]

    @property
    def people(self) -> str:
        """Whose budget this is: the population, or the topmost account that is no organisation."""
        names = {account["level"]: account["name"] for account in self.ledger["accounts"]}
        below = [account["name"] for account in self.ledger["accounts"] if account["level"] != "organisation"]
        return str(names.get("population") or [*below, self.ledger["accounts"][-1]["name"]][max(len(below) - 1, 0)])


def check_origin(case: Case, report: Report) -> None:
    """The log of a ledger, its grants and, with a root, who signed it."""
    ledger, entries, require = case.ledger, case.entries, report.require
    lines = [line.encode(errors="replace") for line in ledger["entries"]]
    if ledger["version"] == 1:
        demand(ledger["log"], evidence.HEAD_1, "ledger.log")
        same = ledger["log"] == {"root": evidence.merkle_root(lines), "size": len(lines)}
        require(same, "the root of the log is not that of its lines", FILES)
    else:
        demand(ledger["log"], evidence.HEAD, "ledger.log")
        evidence.check_log(ledger["log"], lines, entries, case.public, report)
        require(ledger["log"]["size"] == entries[-1]["seq"] + 1, "the log does not end where the release does", LOG)
        case.heads = {past["size"]: past["root"] for past in [*ledger["log"]["history"], ledger["log"]]}
    if case.trust is None:
        report.notes.append("the signer is not tied to any root: compare the key id with one got from the publisher")
    elif ledger.get("root") is None:
        require(False, "no officer granted its budget: its accounts were opened under no root", THRESHOLD)
    else:
        check_signer(case, case.trust, report)
    if ledger["version"] == 2:
        check_grants(case, report)


def check_signer(case: Case, trust: Trust, report: Report) -> None:
    """The root of the ledger is the one given, and its signer an engine of it."""
    known = {root.digest: root for root in trust.roots}
    named = [(entry["seq"], entry["root"], entry.get("version")) for entry in case.entries if entry.get("root")]
    for seq, digest, version in [*named, (case.entries[-1]["seq"], case.ledger["root"], None)]:
        root = known.get(digest)
        if root is None:
            raise Refused("its root is not in root.json: that is older than the release, or another's", THRESHOLD)
        follows = not case.in_force or case.in_force[-1][1].version <= root.version
        report.require(follows and version in (None, root.version), "its log went back to an older root", LOG)
        case.in_force.append((seq, root))
    key, last = trust.signer(case.envelope), case.entries[-1]
    against = trust.against(case.envelope.keyid, key, "engine", last["day"], case.place(last))
    report.require(not against, f"the key that signed the ledger does not count: {against}", KEY)
    case.analyst = key.person
    report.notes.append(f"signed by {key.person}, by version {trust.roots[-1].version} of the root")


def check_grants(case: Case, report: Report) -> None:
    """Every cap comes from grants that say what the log says of them; with a root, enough officers signed each."""
    opened = {entry["account"]: entry for entry in case.entries if entry["kind"] == "open"}
    named = [entry for entry in case.entries if entry.get("grant")]
    lines = {entry["grant"]: entry for entry in named}
    report.require(len(lines) == len(named), "a grant is used twice")
    grants = [evidence.parse_envelope(text.encode(errors="replace"), "a grant") for text in case.ledger["grants"]]
    same = sorted(evidence.digest_of(grant.payload) for grant in grants) == sorted(lines)
    report.require(same, "the grants are not those that the log names", FILES)
    for grant in grants if same else []:
        statement, line = (
            evidence.read_statement(grant, evidence.GRANT_TYPE, report),
            lines[evidence.digest_of(grant.payload)],
        )
        said, first = statement["predicate"], opened[line["account"]]
        demand(said, GRANTS, "a grant")
        terms = ("account", "level", "parent", "measure", "entity", "column", "neighbours")
        fits = all(said[key] == first[key] for key in terms) and said["policy"] == line["policy"]
        fits = fits and all(said.get(key) == first.get(key) for key in ("cells", "cell"))
        fits = fits and said["added"] == (line["cap"] if line is first else line["added"])
        fits = fits and said["reason"] == ("opening" if line is first else line["reason"])
        fits = fits and statement["subject"][0]["digest"]["sha256"] == said["root"].removeprefix("sha256:")
        report.require(fits, f"entry {line['seq']} ({line['kind']}) is not what was granted")
        own = said["origin"] == case.ledger["log"]["origin"]
        report.require(own, f"entry {line['seq']} ({line['kind']}): the grant is for another log", LOG)
        if case.in_force and case.trust:
            people = case.trust.officers(grant, max(said["day"], line["day"]), case.place(line))
            needed, known = case.root_at(line["seq"]).threshold, {root.digest for root in case.trust.roots}
            enough = len(people) >= needed and said["root"] in known and said["day"] <= case.today
            report.require(
                enough, f"{len(people)} of {needed} officers granted the cap of {line['account']}", THRESHOLD
            )


def check_status(path: Path, case: Case, fresh: bool, report: Report) -> None:
    """What the engine said last of a release."""
    if not os.path.lexists(path):
        report.require(not fresh, "there is no status: nothing says that the release was not withdrawn", STALE)
        return
    statement, envelope, public = evidence.open_own(path, evidence.STATUS_TYPE, report)
    said, ledger, require = statement["predicate"], case.ledger, report.require
    demand(said, STANDING, "status")
    subject = "sha256:" + statement["subject"][0]["digest"]["sha256"]
    about = (said["release"], said["ledger"], subject) == (ledger["release"]["id"], *[case.envelope.digest] * 2)
    require(about, "the status is of another release", FILES)
    lines = [line.encode(errors="replace") for line in said["entries"]]
    case.after = [entry for line in lines if (entry := verifier.read_entry(line, report, AFTERWARDS))]
    if len(case.after) < len(lines):
        return
    evidence.check_log(said["log"], lines, case.after, public, report)
    head = [(past["size"], past["root"]) for past in said["log"]["history"]]
    on = head == [(ledger["log"]["size"], ledger["log"]["root"])] and said["log"]["origin"] == ledger["log"]["origin"]
    require(on, "the status does not go on from the log of the ledger", LOG)
    case.heads[said["log"]["size"]] = said["log"]["root"]
    seqs = [case.entries[-1]["seq"], *(entry["seq"] for entry in case.after)]
    require(seqs == sorted(set(seqs)), "the entries of the status are not in the order of their seq")
    ours, top = (case.entries[-1]["account"], ledger["release"]["id"]), (ledger["accounts"][-1]["name"], None)
    own = ((entry["account"], entry.get("release")) == (top if "root" in entry else ours) for entry in case.after)
    require(all(own), "an entry is of another release")
    known = None if case.trust is None else {root.digest: root.version for root in case.trust.roots}
    for entry in case.after:
        if entry["kind"] == "root" and known is not None:
            newer = entry["version"] > len(known) and entry["root"] not in known
            require(not newer, "the status is of a newer root than root.json: get the newest", THRESHOLD)
            same = newer or known.get(entry["root"]) == entry["version"]
            require(same, "the status names a root that is not the one given", LOG)
    ended = {entry["kind"]: entry for entry in case.after}
    state = "withdrawn" if "withdraw" in ended else "superseded" if "supersede" in ended else "current"
    by = ended["supersede"]["by"] if state == "superseded" else None
    reason = ended["withdraw"]["reason"] if state == "withdrawn" else None
    require((said["state"], said["by"], said["reason"]) == (state, by, reason), "the status is not what its log says")
    published = case.published()
    if published is None:
        require(ledger["root"] is None, "the release was never approved by the store that made it", THRESHOLD)
    else:
        require(published["ledger"] == case.envelope.digest, "another ledger was released", FILES)
    if case.trust is None:
        require(envelope.keyid == case.envelope.keyid, "another key signed the status: only a root ties both", KEY)
    else:
        key, day = case.trust.signer(envelope), max(said["issued"], case.today if fresh else "")
        why = case.trust.against(envelope.keyid, key, "engine", day, None)  # its log says nothing of when it was signed
        require(not why, f"the key that signed the status does not count: {why}", KEY)
    report.claim["state"] = case.state = state
    issued, ends = (date.fromisoformat(said[key]) for key in ("issued", "expires"))
    lasts = issued <= ends <= issued + timedelta(days=LIFE) and said["issued"] <= case.today
    require(not fresh or lasts, f"the status is of the future, or for more than {LIFE} days, or for none", STALE)
    told = {"superseded": f" by release {by}", "withdrawn": f" ({reason})"}.get(state, f" until {said['expires']}")
    report.notes.append(f"status of {said['issued']}: {state}{told}")
    require(state != "withdrawn", f"the release was withdrawn ({reason}); what it spent stays spent", WITHDRAWN)
    require(not fresh or case.today <= said["expires"], f"the status is of {said['issued']} and has expired", STALE)


def check_decisions(folder: Path, case: Case, report: Report) -> None:
    """Enough distinct officers approved these very files; with no root the approvals are only read."""
    data = next(item["digest"]["sha256"] for item in case.statement["subject"] if item["name"] == "data.parquet")
    bound = {"data.parquet": f"sha256:{data}", "ledger.dsse.json": case.envelope.digest}
    decided: list[tuple[int, str, str]] = []  # when it was logged, or not yet; what, who
    files = set[str]()
    for envelope, name in evidence.read_decisions(folder):
        if case.trust:
            case.trust.signer(envelope)
        statement = evidence.read_statement(envelope, evidence.APPROVAL_TYPE, report)
        said = statement["predicate"]
        demand(said, DECISIONS, envelope.name)
        named = name == f"{said['decision']}-{envelope.keyid[:16]}.dsse.json" and len(envelope.signatures) == 1
        report.require(named, f"{envelope.name} is not named after what it decides and its one key", SIGNATURE)
        about = {item["name"]: "sha256:" + item["digest"]["sha256"] for item in statement["subject"]}
        same = about == bound == {"data.parquet": said["data"], "ledger.dsse.json": said["ledger"]}
        same = same and said["release"] == case.ledger["release"]["id"]
        report.require(same, f"{envelope.name} was signed for other files", FILES)
        begins, ends = (date.fromisoformat(said[key]) for key in ("day", "expires"))
        lasts = begins <= ends <= begins + timedelta(days=LIFE)
        report.require(lasts, f"{envelope.name} counts for more than {LIFE} days, or for none", UNKNOWN)
        files.add(envelope.digest)
        logged = (e for e in case.after if envelope.digest in (e.get("attestation"), *e.get("attestations", ())))
        line, what, who = next(logged, None), said["decision"], said["person"]
        why = against_decision(envelope.keyid, said, line, case)
        report.decisions.append(evidence.Decision(name, who, envelope.keyid, what, not why, why))
        if not why:  # an approval that the log does not have undoes nothing that it has
            decided.append((line["seq"] if line else -1 if what == "approve" else 2**63, what, who))
    for line in case.after:  # whoever left out the file of a rejection did not undo it
        if line["kind"] == "reject" and line["attestation"] not in files:
            why = against_decision(line["keyid"], {"person": line["by"]}, line, case)
            report.decisions.append(evidence.Decision("", line["by"], line["keyid"], "reject", not why, why))
            decided += [] if why else [(line["seq"], "reject", line["by"])]
    for one in report.decisions:
        told = f": {UNROOTED}" if one.why == UNROOTED else f" does not count: {one.why}"
        report.notes += [] if one.counts else [f"{one.decision} by {one.person}{told}"]
    if case.trust is None or not case.in_force:
        return
    last = {who: what for _, what, who in sorted(decided) if what != "withdraw"}
    report.approved_by = sorted(who for who, what in last.items() if what == "approve")
    asked = [root.threshold for root in case.at_release(case.trust)]
    needed = max(asked)
    rejecting = sorted(last.keys() - set(report.approved_by))
    withdrawing = sorted({who for _, what, who in decided if what == "withdraw"})
    enough, text = len(report.approved_by) >= needed, f"approved by {len(report.approved_by)} of {needed} officers"
    text += f": {', '.join(report.approved_by) or 'nobody'}"
    report.notes += [text] if enough else []
    told = (
        "" if len(report.approved_by) < min(asked) or enough else "; a renewed status may show it was before that root"
    )
    report.require(enough, text + told, THRESHOLD)
    hidden = enough and case.state is None  # one that does not show the line that released it was refused above
    report.require(not hidden, f"{text}, but not shown to be published: no status.dsse.json", THRESHOLD)
    report.require(len(rejecting) < needed, f"rejected by {', '.join(rejecting)}", REJECTED)
    report.require(len(withdrawing) < needed, f"withdrawn by {', '.join(withdrawing)}", WITHDRAWN)


def against_decision(keyid: str, said: Json, line: Json | None, case: Case) -> str:
    """Why the decision of somebody does not count; nothing if it does. Of a file that is missing the log tells who."""
    trust, published = case.trust, case.published()
    if trust is None or not case.in_force:
        return UNROOTED
    key = next((root.keys[keyid] for root in reversed(trust.roots) if keyid in root.keys), None)
    if key is None:
        return "no root knows the key"
    day = max(said.get("day", ""), line["day"] if line else case.today)
    if why := trust.against(keyid, key, "officer", day, case.place(line)):
        return f"of the key that signed it, {why}"
    if said.get("day", "") > case.today:
        return "it is of the future"
    if key.person == case.analyst:
        return "it is of the person who signed the ledger"
    if said.get("decision") == "approve" and said["expires"] < (published["day"] if published else case.today):
        return f"it expired on {said['expires']}"
    if published and said.get("decision") == "approve" and all(keyid not in r.keys for r in case.at_release(trust)):
        return "the key was not of the root that was in force"
    since = case.in_force[-1][1].version
    under = any(root.digest == said.get("root", root.digest) and root.version >= since for root in trust.roots)
    return "" if key.person == said["person"] and under else "it names another person, or a root that was not in force"


def check_derivation(statement: Json, signer: Envelope, case: Case, report: Report) -> None:
    """A further sample of a published model is free. Only its signer says that it is one: it must be the parent's."""
    derivation = statement["predicate"]
    demand(derivation, DERIVED, "derivation")
    parent, where = derivation["parent"], derivation["sample"]["where"]
    sampled = case.envelope.digest == parent["envelope"]
    report.require(sampled, "parent.dsse.json is not the ledger that was sampled", FILES)
    same = case.envelope.keyid == signer.keyid
    report.require(same, "the sample is not signed by the key that signed its parent", SIGNATURE)
    report.require(case.ledger["release"]["id"] == parent["release"], "the parent is another release", FILES)
    model = {"name": "model.npz", "digest": {"sha256": parent["model"].removeprefix("sha256:")}}
    report.require(model in case.statement["subject"], "the model sampled is not the parent's", FILES)
    if case.trust:
        key, day = case.trust.signer(signer), derivation["sample"]["day"]
        against = case.trust.against(signer.keyid, key, "engine", day, None)
        report.require(not against, f"the key that signed the sample does not count: {against}", KEY)
    report.notes[:0] = [
        f"post-processing of release {parent['release']}, whose ledger is signed by key {case.envelope.keyid}",
        "this check did not draw the rows again: `dpsynth verify --parent RELEASE` shows whether they are the model's",
        *([f"said to be drawn given a condition, so that each row fulfils it: {where}"] if where else []),
    ]


def judge(
    folder: Path, aside: Path, trust: Trust | None, fresh: bool, status: bool, today: str, report: Report
) -> Case | None:
    """Check a folder: a release, or a sample with its parent's ledger, whose approvals and status lie ``aside``."""
    own, name = folder / "derivation.dsse.json", "ledger.dsse.json"
    besides, sample = {name}, None
    if os.path.lexists(own):
        sample, signer, _ = evidence.open_own(own, evidence.DERIVATION_TYPE, report)
        report.claim["keyid"], name = signer.keyid, "parent.dsse.json"
        besides = {own.name, name}
    statement, envelope, public = evidence.open_own(folder / name, evidence.LEDGER_TYPE, report)
    report.claim.setdefault("keyid", envelope.keyid)
    ledger = statement["predicate"]
    if ledger.get("version") == 2:
        besides |= {"approvals", "status.dsse.json"}
    evidence.check_files(folder, sample or statement, besides, report)
    case = Case(ledger, verifier.check_ledger(ledger, report), statement, envelope, public, trust, today)
    if not case.entries:
        return None
    check_origin(case, report)
    if ledger["version"] == 2:
        if status:
            check_status(aside / "status.dsse.json", case, fresh, report)
        check_decisions(aside, case, report)
    else:
        report.require(not fresh, "a ledger of version 1 has no status", STALE)
    if sample:
        check_derivation(sample, signer, case, report)
    return case


# === 2. Several releases ==============================================================================================


def compare(first: Case, second: Case, report: Report) -> None:
    """Whether two releases tell one history of their people: the log of one goes on from that of the other."""
    older, newer = sorted((first, second), key=lambda case: int(case.ledger["log"]["size"]))
    names = " and ".join(case.ledger["release"]["id"] for case in (first, second))
    if not (older.heads and newer.heads):
        report.require(False, f"releases {names}: a ledger of version 1 carries no history to compare", LOG)
        return
    lines: list[dict[int, str]] = []
    for case in (older, newer):
        lines.append({entry["seq"]: line for entry, line in zip(case.entries, case.ledger["entries"], strict=True)})
    if older.ledger["log"]["origin"] == newer.ledger["log"]["origin"]:
        on = newer.heads.get(older.ledger["log"]["size"]) == older.ledger["log"]["root"]
        same = all(older.heads[size] == newer.heads[size] for size in older.heads.keys() & newer.heads.keys())
        same = same and all(lines[0][seq] == lines[1][seq] for seq in lines[0].keys() & lines[1].keys())
        told = f"two histories for {older.people}: the logs of releases {names} do not go on from one another"
        report.require(on and same, told, LOG)
        report.notes.append(f"releases {names} are of one log")
    else:
        grants = [{entry["grant"] for entry in case.entries if entry.get("grant")} for case in (older, newer)]
        one = older.ledger["root"] == newer.ledger["root"] is not None or bool(older.in_force and newer.in_force)
        seen = [{entry["nonce"] for entry in [*case.entries, *case.after]} for case in (older, newer)]
        twice = bool(grants[0] & grants[1] or seen[0] & seen[1]) or (one and older.people == newer.people)
        told = f"two histories for {older.people}: releases {names} spend one budget from two logs"
        report.require(not twice, told, LOG)
        report.notes.append(f"releases {names} have logs of their own, and no budget in common")


def check_sums(cases: Iterable[Case], report: Report) -> None:
    """Each account of one log holds what it paid for all releases given, in the order of the log, within its cap."""
    logs: dict[str, dict[int, Case]] = {}
    for case in cases:
        if case.heads:
            logs.setdefault(case.ledger["log"]["origin"], {}).setdefault(case.ledger["log"]["size"], case)
    for found in logs.values():
        paid, divided = dict[tuple[str, str], Fraction](), dict[str, Divided]()
        for _, case in sorted(found.items()):
            parallel = next((entry.get("parallel") for entry in case.entries if entry["kind"] == "reserve"), None)
            accounts, below = case.ledger["accounts"], True  # whether an account stands below the one that is divided
            for account in accounts:
                name, states = account["name"], [account[key] for key in ("held_before", "held_after", "cap")]
                for unit in states[0]:
                    sums = least(name, unit, paid, divided)
                    text = f"account {name} holds less {unit} before release {case.ledger['release']['id']}"
                    told = f"{text} than the releases given had paid: {verifier.decimal(sums)}"
                    report.require(Fraction(states[0][unit]) >= sums, told)
            for account, above in zip(accounts, [*accounts[1:], None], strict=True):
                if below:
                    for unit in account["held_before"]:
                        more = Fraction(account["held_after"][unit]) - Fraction(account["held_before"][unit])
                        paid[account["name"], unit] = paid.get((account["name"], unit), Fraction(0)) + more
                if parallel and above and above["name"] == parallel["account"]:
                    path, below = accounts[accounts.index(above) :], False
                    relation = 2 if case.ledger["guarantee"]["neighbours"] == "replace-one" else 1
                    one = divided.setdefault(above["name"], Divided(relation, [each["name"] for each in path], set()))
                    one.cells.add(account["name"])
            for account in accounts:
                for unit, cap in account["cap"].items():
                    sums = least(account["name"], unit, paid, divided)
                    text = f"account {account['name']} paid more {unit} than its cap for the releases given"
                    report.require(sums <= Fraction(cap), text)


@dataclass(frozen=True)
class Divided:
    """A divided account: how many of its cells add up, itself and all above it, and the accounts of its cells."""

    most: int
    path: list[str]
    cells: set[str]


def least(name: str, unit: str, paid: dict[tuple[str, str], Fraction], divided: dict[str, Divided]) -> Fraction:
    """What an account paid for the releases given: in order, and for the cells of itself or below what they cost."""
    total = paid.get((name, unit), Fraction(0))
    for one in divided.values():
        if name in one.path:  # an account of rho above one of mu^2 holds half, and by what it rounds up more
            sums = {cell: paid.get((cell, unit)) for cell in one.cells}
            halves = {cell: paid.get((cell, "mu2"), Fraction(0)) / 2 for cell, own in sums.items() if own is None}
            largest = sorted([*halves.values(), *(own for own in sums.values() if own is not None)])[-one.most :]
            total += sum(largest, Fraction(0))
    return total


def examine(
    folder: Place, root: bytes | None, fresh: bool, today: str = "", parent: Place | None = None, status: bool = True
) -> tuple[Verdict, Case | None]:
    """Check a folder. Nothing that it holds makes this raise: what cannot be judged is refused."""
    report, case = Report(), None
    try:
        trust = None if root is None else read_trust(root)
        today = today or datetime.now(UTC).date().isoformat()
        case = judge(Path(folder), Path(parent or folder), trust, fresh, status, today, report)
    except Refused as refusal:
        report.require(False, *refusal.args)
    except Exception as error:  # whatever happens, it is not a pass
        report.require(False, f"the verifier failed ({type(error).__name__})", INTERNAL)
    return report.verdict(), case


def verify(
    folder: Place,
    root: bytes | None = None,
    fresh: bool = False,
    today: str = "",
    parent: Place | None = None,
    status: bool = True,
) -> Verdict:
    """Check one folder.

    ``root`` holds the bytes of root.json, ``today`` is the day (UTC) unless given, ``parent`` the release of a sample,
    which has the approvals and the status; they may as well be copied beside the sample. Without ``status`` the folder
    is judged as if there were none: for who is about to replace it.
    """
    return examine(folder, root, fresh, today, parent, status)[0]


def verify_all(folders: Iterable[Place], root: bytes | None = None, fresh: bool = False) -> list[Verdict]:
    """A verdict on each folder and, where there are several, one more: whether they tell one history."""
    found = [examine(folder, root, fresh) for folder in folders]
    verdicts = [verdict for verdict, _ in found]
    if len(found) > 1:
        report = Report({"epsilon": "", "release": ", ".join(verdict.release or "?" for verdict in verdicts)})
        for first, second in combinations([case for _, case in found], 2):
            if first and second:
                compare(first, second, report)
            else:
                report.notes.append("a release that cannot be read was not compared")
        check_sums([case for _, case in found if case], report)
        verdicts.append(report.verdict())
    return verdicts


def gravest(verdicts: Iterable[Verdict]) -> int:
    """The exit code of several verdicts."""
    codes = {verdict.exit_code for verdict in verdicts}
    return next((code for code in evidence.GRAVEST if code in codes), evidence.OK)


def main(arguments: list[str]) -> int:
    """Print the outcome and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("release", nargs="+", help="a release folder; of several also whether they tell one history")
    parser.add_argument("--root", help="root.json of the organisation: who may sign")
    parser.add_argument("--fresh", action="store_true", help="refuse a release without a status of these days")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args(arguments)
    for folder in options.release:
        if not Path(folder).is_dir():
            parser.error(f"{evidence.plain(folder)} is not a folder")
    try:
        root = Path(options.root).read_bytes() if options.root else None
    except OSError:
        parser.error(f"{evidence.plain(options.root)} cannot be read")
    verdicts = verify_all(options.release, root, options.fresh)
    lines = [json.dumps(asdict(verdict)) for verdict in verdicts] if options.json else map(in_words, verdicts)
    sys.stdout.buffer.write("\n".join([*lines, ""]).encode(errors="backslashreplace"))
    return gravest(verdicts)


def in_words(verdict: Verdict) -> str:
    """A verdict for people."""
    lines = [
        f"{'VERIFIED' if verdict.ok else f'NOT VERIFIED (exit {verdict.exit_code})'}: release {verdict.release or '?'}"
    ]
    if verdict.keyid or not verdict.ok:
        amount = f"{verdict.measure} {verdict.amount or '?'}"
        lines.append(f"  epsilon {verdict.epsilon} at delta {verdict.delta or '?'} ({amount})")
        lines.append(f"  signed by key {verdict.keyid or '?'}")
    return "\n".join(
        [*lines, *(f"  FAILED {text}" for text in verdict.failures), *(f"  {text}" for text in verdict.notes)]
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
