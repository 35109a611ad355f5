"""The hazards of NIST SP 800-226, each judged by what is known of one release: no fixed list of green ticks.

"Guidelines for Evaluating Differential Privacy Guarantees" (NIST SP 800-226, initial public draft of December 2023)
marks 24 hazards; what its section 2.4 says in the text about limits that renew themselves is listed too. A row is
``handled`` where the engine prevents the hazard, ``not applicable`` where it cannot occur here, and ``accepted`` where
somebody has to live with it: whoever approves the release accepts it, for the reason given.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from dpsynth.privacy import exact_text
from dpsynth.report.facts import RATES
from dpsynth.report.figures import SYMBOLS
from dpsynth.report.officer_facts import Ledgered, OfficerFacts, Status
from dpsynth.report.text import count, near, percent_above

_MARGINALS = ("independent", "mst", "aim", "mrm", "privbayes")
"""Mechanisms that fit a graphical model to noisy marginals."""


@dataclass(frozen=True)
class Row:
    """One hazard: its section, its name, how it stands here and why. ``alarm``: read this before deciding."""

    section: str
    name: str
    status: Status
    how: str
    alarm: bool = False


Judged = tuple[Status, str] | tuple[Status, str, bool]


def hazards(facts: OfficerFacts) -> tuple[Row, ...]:
    """Every hazard in the order of the guidelines; ``facts.ledger`` is not None."""
    if facts.ledger is None:
        raise ValueError("hazards are judged of a release that verifies")
    ledger = facts.ledger
    return tuple(Row(section, name, *judge(facts, ledger)) for section, name, judge in _HAZARDS)


def _large_epsilon(facts: OfficerFacts, ledger: Ledgered) -> Judged:
    if facts.worst is None:
        return "accepted", "The worst case is not known.", True
    found = next(tpr for fpr, tpr in facts.worst.table if fpr == float(RATES[1]))
    told = f"At one false alarm in a hundred at most {percent_above(found)} could be found (box 4)."
    if facts.worst.vacuous:
        return "accepted", f"{told} That bounds nothing that matters.", True
    return "handled", told


def _failure(facts: OfficerFacts, ledger: Ledgered) -> Judged:
    cost = ledger.claim.reserved
    if cost.measure == "pure":
        return "not applicable", "The promise is pure: there is no delta."
    if cost.delta:
        return "accepted", f"Steps that may fail outright take delta {exact_text(cost.delta)} of the promise."
    return "handled", f"No step may fail outright: {SYMBOLS[cost.measure]} is added up, delta is only its translation."


def _difference(facts: OfficerFacts, ledger: Ledgered) -> Judged:
    entity = ledger.claim.entity
    told = (
        f"the number of {entity}s in the table, and"
        if ledger.claim.neighbours == "replace-one"
        else f"what follows from several {entity}s together ({_family(ledger)}), and"
    )
    return "accepted", f"Not hidden: {told} what holds for everybody whether or not one {entity} takes part."


def _family(ledger: Ledgered) -> str:
    """What a group of k entities has in place of one, in each measure."""
    symbol = SYMBOLS[ledger.claim.reserved.measure]
    return f"of k of them it is {symbol} times {'k' if ledger.claim.reserved.measure == 'pure' else 'k²'}"


def _event(facts: OfficerFacts, ledger: Ledgered) -> Judged:
    claim = ledger.claim
    if claim.unit_column is None:
        told = f"Each row is taken for one {claim.entity}; that nobody has two rows is declared, not enforced."
        return "accepted", told, True
    kept = f"at most {claim.max_rows} row{'s' * (claim.max_rows > 1)} of each"
    return (
        "handled",
        f"Column {claim.unit_column} names the {claim.entity}; {kept} were kept before anything was counted.",
    )


def _renewal(facts: OfficerFacts, ledger: Ledgered) -> Judged:
    raised = [(payer, grant) for payer in ledger.payers for grant in payer.raised if grant.reason != "opening"]
    if not raised:
        return (
            "handled",
            "No clock adds budget, no cap on the path was raised since it was opened, nothing is refunded.",
        )
    told = "; ".join(f"{payer.name} on {grant.day} for {grant.reason}" for payer, grant in raised)
    return "accepted", f"Caps were raised by signed grants: {told}. Box 2 shows the sum of the whole life."


def _deltas(facts: OfficerFacts, ledger: Ledgered) -> Judged:
    deltas = {payer.delta for payer in ledger.payers} | {ledger.claim.delta}
    deltas |= {Fraction(other.delta) for other in facts.others or () if other.private}
    unit = SYMBOLS[ledger.claim.reserved.measure]
    if ledger.claim.reserved.measure == "pure":
        return "not applicable", "Every epsilon here is at delta 0."
    if len(deltas) == 1:
        return "handled", f"Every epsilon on this page is at the same delta, {exact_text(ledger.claim.delta)}."
    told = ", ".join(exact_text(delta) for delta in sorted(deltas))
    return "accepted", f"Epsilon is stated at different deltas ({told}); compare {unit}, not epsilon."


def _units(facts: OfficerFacts, ledger: Ledgered) -> Judged:
    if facts.changes is not None and facts.changes.units_differ:
        return (
            "accepted",
            "The release before this one protects another unit: their figures must not be compared.",
            True,
        )
    return "handled", "All accounts that pay count the same entity, told apart alike, under the same neighbours."


def _large_delta(facts: OfficerFacts, ledger: Ledgered) -> Judged:
    delta = ledger.claim.delta
    if not delta:
        return "not applicable", "delta is 0."
    people = max(1, facts.total if facts.total is not None else ledger.rows)
    of = f"{exact_text(delta)} times {count(people)} people is {near(delta * people, 2)}"
    if delta * people <= Fraction(1, 10):
        return "handled", f"delta is small: {of}, no more than a tenth of one person."
    return "accepted", f"delta is large: {of}. Judge by the rates of box 4, which do not depend on it.", True


def _others(facts: OfficerFacts, ledger: Ledgered) -> Judged:
    if facts.others is None:
        return "accepted", "Not known here: no store was asked (--store).", True
    bare = [other for other in facts.others if not other.private]
    if bare:
        told = ", ".join(other.name for other in bare)
        return "accepted", f"Published without any guarantee, so that nothing bounds the sum: {told}.", True
    return "accepted", "None is noted in the store's log. Whoever knows of one notes it: dpsynth budget external."


def _custom(facts: OfficerFacts, ledger: Ledgered) -> Judged:
    laws = sorted({query.mechanism for query in ledger.queries})
    told = f"Mechanisms of a closed table only ({', '.join(laws)}); an independent program recomputed every price."
    return "handled", told


def _systemic(facts: OfficerFacts, ledger: Ledgered) -> Judged:
    return "accepted", "What the private table has wrong or leaves out, the synthetic rows repeat; nothing corrects it."


def _fixes(facts: OfficerFacts, ledger: Ledgered) -> Judged:
    if facts.asked is None:
        return "accepted", "The plan cannot be read here, so that it is not known what was weighted."
    if facts.asked.weighted:
        return "accepted", f"The workload counts some things more than others: {facts.asked.workload}."
    return "handled", "No correction and no weight was asked for; the noisy answers are published beside the rows."


def _statistical(facts: OfficerFacts, ledger: Ledgered) -> Judged:
    sizes = ", ".join(
        f"{count(group.size)} people by {'/'.join(near(100 * part, 2) for _, part in group.parts)} %"
        for group in facts.groups
    )
    told = f"Noise moves a group of {sizes} (box 9). " if sizes else ""
    return (
        "accepted",
        f"{told}The noisy counts are unbiased; the rows cannot be negative or fractional, which is not measured.",
    )


def _contributions(facts: OfficerFacts, ledger: Ledgered) -> Judged:
    rows = ledger.claim.max_rows
    if rows == 1:
        return "not applicable", f"One row counts for each {ledger.claim.entity}."
    return "handled", f"{rows} rows count for each, and the noise is that much larger; the verifier recomputed it."


def _bins(facts: OfficerFacts, ledger: Ledgered) -> Judged:
    listed = sum(1 for thing in ledger.public if thing.startswith("column "))
    told = f"{listed} columns have" if listed else "The columns have"
    return (
        "accepted",
        f"{told} declared values and bins (box 5). Whoever declared them must not have looked at the rows.",
    )


def _learning(facts: OfficerFacts, ledger: Ledgered) -> Judged:
    asked = f"{len(ledger.queries)} charged answers" if len(ledger.queries) != 1 else "one charged answer"
    return "handled", f"The model was fitted to {asked} and nothing else; dpsynth verify --rebuild shows it."


def _synthetic(facts: OfficerFacts, ledger: Ledgered) -> Judged:
    claim = ledger.claim
    told = f"epsilon {exact_text(claim.epsilon)} at delta {exact_text(claim.delta)} is recomputed from the ledger"
    return "handled", f"The rows are private by that promise alone, not by being synthetic: {told}."


def _deep(facts: OfficerFacts, ledger: Ledgered) -> Judged:
    if ledger.mechanism in _MARGINALS:
        return "not applicable", f"{ledger.mechanism} fits noisy marginals; no neural network is trained."
    return "accepted", f"The mechanism {ledger.mechanism!r} is not known to this page.", True


def _unstructured(facts: OfficerFacts, ledger: Ledgered) -> Judged:
    if facts.asked is None:
        return "accepted", "The schema cannot be read here."
    kinds: dict[str, int] = {}
    for kind in facts.asked.columns.values():
        kinds[kind] = kinds.get(kind, 0) + 1
    told = ", ".join(f"{number} {kind}" for kind, number in sorted(kinds.items()))
    return "not applicable", f"A table of declared columns: {told}. Free text and pictures are refused."


def _interactive(facts: OfficerFacts, ledger: Ledgered) -> Judged:
    known = sum(1 for query in ledger.queries if query.chosen_by)
    told = f"{known} of {len(ledger.queries)} were" if known else "none was"
    plan = "One plan, bound and paid for before the first answer, and no further question is answered"
    return "handled", f"{plan}; of its questions {told} asked with earlier answers known, which the sum allows for."


def _trust(facts: OfficerFacts, ledger: Ledgered) -> Judged:
    standing = facts.standing
    if standing is not None and standing.root_name:
        return "accepted", f"Central model: {standing.root_name} held the rows in clear; its root names who may sign."
    return "accepted", "Central model: one party held the rows in clear, and nothing here says which."


def _arithmetic(facts: OfficerFacts, ledger: Ledgered) -> Judged:
    if facts.asked is not None and (facts.asked.noise == "opendp" or ledger.claim.reserved.measure == "pure"):
        return (
            "accepted",
            "Exact integer samplers, by OpenDP: a virtual machine copied while it draws may repeat noise.",
        )
    return "handled", "Counts are integers, the samplers' law is exact, messages name no value, no duration is shown."


def _security(facts: OfficerFacts, ledger: Ledgered) -> Judged:
    return "accepted", "How the private table and the store are kept is outside of what a signature can show."


def _access(facts: OfficerFacts, ledger: Ledgered) -> Judged:
    standing = facts.standing
    if standing is None or not standing.governed:
        return "accepted", "No officers: whoever holds the one key makes and publishes releases alone.", True
    if standing.needed is None:
        return "accepted", "Officers decide, but who they are is not known here (--root or --store).", True
    if standing.needed == 1:
        return "accepted", "One officer alone decides; who made the release does not count."
    return "handled", f"{standing.needed} distinct officers must approve; who made the release does not count."


def _less(facts: OfficerFacts, ledger: Ledgered) -> Judged:
    if facts.asked is None:
        return "accepted", "The schema cannot be read here."
    used = {name for query in ledger.queries for name in query.columns or ()}
    idle = [name for name in facts.asked.columns if name not in used]
    if not idle:
        told = f"All {len(facts.asked.columns)} columns of the schema were measured; no other column is ever read."
        return "handled", told
    return "accepted", f"Declared and never measured by name: {', '.join(idle)}."


_HAZARDS: tuple[tuple[str, str, Callable[[OfficerFacts, Ledgered], Judged]], ...] = (
    ("2.2", "A large epsilon may mean nothing", _large_epsilon),
    ("2.3", "Catastrophic failure through delta", _failure),
    ("2.4", "A difference that the unit does not capture", _difference),
    ("2.4", "Protecting events is not protecting people", _event),
    ("2.4, text", "Limits that renew themselves are weaker", _renewal),
    ("2.5", "Epsilons at different deltas cannot be compared", _deltas),
    ("2.5", "Epsilons of different units cannot be compared", _units),
    ("2.5", "A large delta makes epsilon misleading", _large_delta),
    ("2.6", "Other releases of the same data without a guarantee", _others),
    ("3", "Custom implementations", _custom),
    ("3.3.1", "Systemic bias", _systemic),
    ("3.3.2", "Human bias, and fixes for it", _fixes),
    ("3.3.3", "Statistical bias: small groups suffer more", _statistical),
    ("3.4.1", "Bounded contributions need more noise", _contributions),
    ("3.4.1", "Bins read off the data leak", _bins),
    ("3.5", "Machine learning does not protect by itself", _learning),
    ("3.6", "Synthetic does not mean private", _synthetic),
    ("3.6", "Deep generators do worse than marginals", _deep),
    ("3.7", "Unstructured data", _unstructured),
    ("4.1", "Interactive queries: budget and security", _interactive),
    ("4.2", "Trust assumptions must hold", _trust),
    ("4.3", "Floating point, timing, messages", _arithmetic),
    ("4.4", "Security of the private data", _security),
    ("4.4", "Access control", _access),
    ("4.5", "Collecting more than is needed", _less),
)
