#!/usr/bin/env python3
"""What a release of differentially private synthetic data costs its people, reckoned without the program that made it.

    python verifier.py RELEASE [--root root.json] [--json]  check a release folder (python trust.py --help says more)
    python verifier.py convert --mu2 P/Q --delta D [--json] epsilon of mu-GDP at a delta, rounded up (of zCDP: --rho)

Four small files, side by side in any folder, need Python >= 3.11, its standard library and the package `cryptography`:
this one reckons the loss that a ledger states, evidence.py reads what was signed, roots.py says who may sign, trust.py
asks who did and whether it is current. They read no private data, open no connection, import nothing that a ledger
names, and refuse everything that they do not know.

WHAT A PASS PROVES. The files are those that the holder of the key signed. By the signed ledger, every question asked of
the private table was paid before the answer was known, at the price that its noise and its sensitivity call for; the
prices sum to at most what was reserved; what was reserved gives at most the epsilon claimed, at the delta claimed, for
the unit and the neighbour relation named; and each account that paid, up to the topmost, holds no more than its cap.

WHAT IT DOES NOT PROVE. That the noise was really drawn so, and well; that what is declared public is public; that the
table was not queried elsewhere; that a choice was among as many candidates as stated, or that many distances to a model
were told (a ledger has their number and a digest; dpsynth lists them again: verify --rebuild); that the rows are those
of the model (dpsynth draws them again: --rebuild, for a sample --parent); and, without --root, who holds the key:
compare its id with one got from the publisher another way.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from decimal import MAX_EMAX, MIN_EMIN, ROUND_CEILING, ROUND_FLOOR, Context, Decimal, localcontext
from fractions import Fraction
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or __package__:
    from dpsynth import evidence
    from dpsynth.evidence import Json, Refused, Report, Shape, demand, read_json
    from dpsynth.evidence import Verdict as Verdict
else:  # copied beside the other three, without the package
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    try:
        import evidence
        from evidence import Json, Refused, Report, Shape, Verdict, demand, read_json
    except ModuleNotFoundError:
        raise SystemExit("verifier.py needs evidence.py, trust.py and roots.py beside it") from None

OK, FILES, TOTALS, UNKNOWN = evidence.OK, evidence.FILES, evidence.TOTALS, evidence.UNKNOWN


# === 1. Exact arithmetic ==============================================================================================
# Costs are exact fractions. Only logarithms and the normal law are not; they are bounded below and above.

WIDE, SLACK = Context(prec=80, Emax=MAX_EMAX, Emin=MIN_EMIN), Decimal("1e-50")
ROOT = Decimal("1.2533141373155002512078826424055226265034933703049691583149617881711468273039")  # sqrt(pi/2)
TOLERANCE = Fraction(1, 2**50)  # a stated bound may exceed the exact value by this much, and never fall below it
FLOOR = Context(prec=60, rounding=ROUND_FLOOR, Emax=MAX_EMAX, Emin=MIN_EMIN)
CEILING = Context(prec=60, rounding=ROUND_CEILING, Emax=MAX_EMAX, Emin=MIN_EMIN)


def log_bounds(x: Fraction) -> tuple[Fraction, Fraction]:
    """Numbers below and above ln(x). Decimal's ln is correctly rounded, so one step outward is past the true value."""
    above, below = (context.divide(Decimal(x.numerator), Decimal(x.denominator)) for context in (CEILING, FLOOR))
    return Fraction(FLOOR.next_minus(FLOOR.ln(below))), Fraction(CEILING.next_plus(CEILING.ln(above)))


def epsilon_of(rho: Fraction, delta: Fraction) -> Fraction:
    """An upper bound on the epsilon for which rho-zCDP gives (epsilon, delta)-DP.

    Canonne, Kamath, Steinke, "The Discrete Gaussian for Differential Privacy" (2020), Proposition 12: for EVERY
    alpha > 1, rho-zCDP implies (epsilon, delta)-DP with, writing t = alpha - 1,

        epsilon = (1 + t) rho + ln(t / (1 + t)) + (ln(1 / delta) - ln(1 + t)) / t.

    So it does not matter how t is found: any t is safe, and only this formula, evaluated upward, must be right. The
    best t is the one root of rho t^2 + ln(1 + t) = ln(1 / delta); floating point finds it closely enough for the
    result to be within 10^-20 of the least possible epsilon for every rho from 10^-12 to 10^6.
    """
    if rho == 0:
        return Fraction(0)
    _, target = log_bounds(1 / delta)
    slope, goal = float(min(max(rho, Fraction(1, 10**30)), Fraction(10**30))), float(target)
    low, high = 0.0, math.sqrt(goal / slope)
    for _ in range(120):
        middle = (low + high) / 2
        above = slope * middle * middle + math.log1p(middle) >= goal
        low, high = (low, middle) if above else (middle, high)
    t = Fraction(max(high, 1e-30))
    (_, ratio), (growth, _) = log_bounds(t / (1 + t)), log_bounds(1 + t)
    return max(Fraction(0), (1 + t) * rho + ratio + (target - growth) / t)


def mills(x: Decimal, depth: int = 100) -> Decimal:
    """Mills' ratio R(x) = Phi(-x) / phi(x) of the normal law for x >= -12, within SLACK of itself.

    x < 3: R = sqrt(pi/2) exp(x^2/2) - x - x^3/3 - x^5/(3 5) - ...; once a term is at most half the one before, all that
    are left out come to at most twice the first of them. x >= 3: Laplace's continued fraction R = 1/(x + 1/(x + 2/(x +
    3/...))); what is cut off lies between 0 and n/x, so it is begun with both, and deeper until they agree.
    """
    if x < 3:
        ratio, term, odd = (x * x / 2).exp() * ROOT, x, 1
        while abs(term) > Decimal("1e-70") or 2 * x * x > odd:
            ratio, odd = ratio - term, odd + 2
            term *= x * x / odd
        return ratio
    least, most = Decimal(0), (depth + 1) / x
    for n in range(depth, 0, -1):
        least, most = n / (x + most), n / (x + least)
    return 1 / (x + least) if most - least < SLACK else mills(x, 2 * depth)


def gdp_gives(mu2: Fraction, epsilon: Fraction, delta: Fraction) -> bool:
    """Whether mu-GDP certainly gives (epsilon, delta)-DP, for mu^2 > 0, epsilon >= 0 and 0 < delta < 1.

    Dong, Roth, Su, "Gaussian Differential Privacy" (2022), Corollary 2.13: it does if and only if, with
    a = epsilon/mu - mu/2 and b = a + mu, delta is at least

        Phi(-a) - exp(epsilon) Phi(-b) = phi(a) (R(a) - R(b)).

    That falls with epsilon and rises with mu, so mu is taken too large and a too small. Below a = -12 it is above
    1 - 10^-32. All is reckoned with 80 digits, which leaves more than 60; what is compared is too large by SLACK.
    """
    with localcontext(WIDE):
        size, claimed, limit = (Decimal(x.numerator) / x.denominator for x in (mu2, epsilon, delta))
        mu = size.sqrt() * (1 + SLACK)
        a = claimed / mu - mu / 2 - (claimed / mu + mu / 2) * SLACK
        if a < -12:
            return False
        apart = mills(a) * (1 + SLACK) - mills(a + mu) * (1 - SLACK)
        return (-a * a / 2).exp() * apart / (2 * ROOT) * (1 + SLACK) <= limit


def epsilon_of_gdp(mu2: Fraction, delta: Fraction) -> Fraction:
    """An upper bound on the epsilon for which mu-GDP gives (epsilon, delta)-DP, by halving."""
    low, high = Fraction(0), Fraction(0 if mu2 == 0 else 1)
    while mu2 and not gdp_gives(mu2, high, delta):
        low, high = high, 2 * high
    while high - low > Fraction(1, 2**70):
        middle = (low + high) / 2
        low, high = (low, middle) if gdp_gives(mu2, middle, delta) else (middle, high)
    return high


def gives(amount: Json, measure: str, epsilon: Fraction, delta: Fraction) -> bool:
    """Whether an amount certainly gives (epsilon, delta)-DP; its own delta_0 uses up a part of delta."""
    size, left = quantity(amount, measure), delta - Fraction(amount["delta"])
    if measure == "pure":
        return size <= epsilon and amount["delta"] == "0"
    if size == 0 or left <= 0 or epsilon < 0:
        return size == 0 <= epsilon and left >= 0
    return gdp_gives(size, epsilon, left) if measure == "gdp" else epsilon_of(size, left) <= epsilon


def quantity(amount: Json, measure: str) -> Fraction:
    """The number of an amount, which must be in the unit of the account's measure."""
    unit = UNITS[measure]
    demand(amount, {unit: NUMBER, "delta": NUMBER}, f"an amount in {unit}", TOTALS)
    return Fraction(amount[unit])


def converted(stated: str, amount: Json, measure: str, delta: Fraction) -> bool:
    """Whether a stated epsilon is one of an amount at a delta, and not needlessly far above the least."""
    epsilon = Fraction(stated)
    return gives(amount, measure, epsilon, delta) and not gives(amount, measure, epsilon - TOLERANCE, delta)


def decimal(x: Fraction, places: int = 6) -> str:
    """A number for people, rounded up."""
    digits = f"{math.ceil(x * 10**places):0{places + 1}d}"
    return f"{digits[:-places]}.{digits[-places:]}".rstrip("0").rstrip(".")


# === 2. What each mechanism costs =====================================================================================
# A closed table. The relation "add-remove" adds or removes all rows of one entity; "replace-one" exchanges them for
# others. An entity has at most max_rows rows, each of which counts for at most weight_units units (1 without weights):
# s = max_rows weight_units at most together.

UNITS = {"gdp": "mu2", "zcdp": "rho", "pure": "epsilon"}  # what adds up in each measure that an account may have
SCORE_LATTICE = 1024  # scores are counted in 1/1024 of a row


def sensitivity_squared(entry: Json, apart: bool = False) -> Fraction:
    """The squared sensitivity of what an entry asked, in L1 where the noise is Laplace's and in L2 otherwise.

    total      s^2.  replace-one, each row an entity that counts as one: 0, n never changes (but apart, in one cell).
    marginal   add-remove: s^2 (all s units in one cell).  replace-one, out of one cell and into another: 2 s^2, in L1
               (2 s)^2.
    residual   of axes with m cells: s^2 times the product P of all m (m - 1).  replace-one: 2 s^2 P m/(m - 1) with the
               least m (two cells that differ along the shortest axis alone).
    partitions how many distinct entities hold each value: an entity has max_rows values at most and counts once for
               each, whatever its weight: max_rows.  replace-one: twice that.
    score      weight times sum |count - expected| of a marginal against public numbers, on the lattice of 1/1024, less
               a public number: moves by 1024 weight s, replace-one by twice that. Where all N scores are answered
               (weight 1) each may move so far: N times its square, in L1 the square of N times that.
    """
    unit, replace, query = entry["unit"], entry["neighbours"] == "replace-one", entry["query"]
    rows = unit["max_rows"] * unit.get("weight_units", 1)
    laplace = entry["mechanism"]["type"] == "discrete_laplace"
    if entry["kind"] == "partitions":
        return Fraction(unit["max_rows"] * (2 if replace else 1))
    if entry["kind"] != "measure":
        moved = SCORE_LATTICE * query.get("weight", 1) * rows * (2 if replace else 1)
        return Fraction(moved**2 * (1 if entry["kind"] == "select" else query["candidates"] ** (2 if laplace else 1)))
    if not query["shape"]:
        return Fraction(0 if replace and rows == 1 and unit["column"] is None and not apart else rows**2)
    if query["basis"] == "residual":
        squared, least = rows**2 * math.prod(m * (m - 1) for m in query["shape"]), min(query["shape"])
        return Fraction(2 * squared * least, least - 1) if replace else Fraction(squared)
    return Fraction(rows**2 * ((4 if laplace else 2) if replace else 1))


def cost_of(entry: Json, squared: Fraction, measure: str) -> Fraction | None:
    """What an answer costs, given the squared sensitivity D^2; None if it may not be given at any price.

    rounded_gaussian    gdp: mu^2 = D^2 / sigma^2 (Dong, Roth, Su 2022, Theorem 2.7; rounding is post-processing).
                        zcdp: rho = D^2 / (2 sigma^2).  pure: no price.
    discrete_gaussian   zcdp: rho = D^2 / (2 sigma^2)  (Canonne, Kamath, Steinke 2020, Theorem 4).  Else: no price.
    discrete_laplace    pure: epsilon = D / scale, D in L1.  Else, and for a residual: no price.
    exponential         each pick draws index i with probability proportional to exp(score_i / scale), which is
                        e-bounded-range with e = 2 D / scale.  pure: e a pick.  zcdp: e^2 / 8 a pick (Cesar and Rogers
                        2021, "Bounding, Concentrating, and Truncating").  gdp: 355/113 > pi times that.
    public_count        the exact answer, free where D = 0, and only there.
    """
    mechanism, law = entry["mechanism"], entry["mechanism"]["type"]
    if law == "public_count":
        return None if squared else Fraction(0)
    noise = Fraction(mechanism["sigma"] if "sigma" in mechanism else mechanism["scale"])
    if law == "exponential":
        picks = int(mechanism["picks"])
        if measure == "pure":
            return 2 * picks * math.isqrt(int(squared)) / noise
        return picks * squared / (2 * noise**2) * (Fraction(355, 113) if measure == "gdp" else 1)
    if law == "discrete_laplace":
        priced = measure == "pure" and entry["query"].get("basis") != "residual"
        return math.isqrt(int(squared)) / noise if priced else None
    if measure == "zcdp":
        return squared / (2 * noise**2)
    return squared / noise**2 if (measure, law) == ("gdp", "rounded_gaussian") else None


def hides(mechanism: Json, most: int) -> bool:
    """Whether a threshold T hides all of ``most`` values that one entity alone may hold, but for its own delta.

    Such a value is counted once. Under noise of scale sigma it reaches T with probability at most q = Phi(-x),
    x = (T - 3/2) / sigma: rounding shifts by a half; of the discrete Gaussian that holds where x >= 1, as its weights
    are convex beyond sigma and sum to sigma sqrt(2 pi) at least. No one of them does with (1 - q)^most >= 1 - delta.
    """
    sigma, delta, least = Fraction(mechanism["sigma"]), Fraction(mechanism["delta"]), mechanism["threshold"]
    if (least - Fraction(3, 2)) / sigma < 1 or delta >= 1:
        return False
    with localcontext(WIDE):
        top, bottom, limit = (Decimal(x.numerator) / x.denominator for x in (least - Fraction(3, 2), sigma, 1 - delta))
        x = min(top / bottom * (1 - SLACK), Decimal(10**4))
        q = (-x * x / 2).exp() * mills(x) / (2 * ROOT) * (1 + SLACK) + SLACK
        return (1 - q) ** most * (1 - SLACK) >= limit


# === 3. The form of a ledger ==========================================================================================

# fmt: off
NUMBER, POSITIVE, PROBABILITY, COUNT, COUNTING, DECIMAL = (
    evidence.NUMBER, evidence.POSITIVE, evidence.PROBABILITY, evidence.COUNT, evidence.COUNTING, evidence.DECIMAL
)
NAME, DIGEST, DAY, HEX32, TEXT = evidence.NAME, evidence.DIGEST, evidence.DAY, evidence.HEX32, evidence.TEXT
NAMED, DIGESTED, NEIGHBOURS = evidence.NAMED, evidence.DIGESTED, ("add-remove", "replace-one")
LEVEL, REASON = ("organisation", "population", "source", "project"), ("new-people", "new-period-data", "policy-change")
MEASURE: Shape = tuple(UNITS)
AMOUNT: Shape = tuple({unit: NUMBER, "delta": NUMBER} for unit in UNITS.values())
CLAIM: Shape = {"epsilon": POSITIVE, "delta": PROBABILITY}
NOISE: Shape = (
    {"type": ("rounded_gaussian", "discrete_gaussian"), "sigma": POSITIVE},
    {"type": "discrete_laplace", "scale": POSITIVE}, {"type": "public_count"},
)
NAMING: Shape = {
    "type": ("rounded_gaussian", "discrete_gaussian"), "sigma": POSITIVE, "threshold": COUNTING, "delta": POSITIVE,
}
CHOICE: Shape = {"type": "exponential", "scale": POSITIVE, "picks": COUNTING, "rule": ("distinct", "spanning-forest")}
TABLE: Json = {"columns": [str], "levels": [DIGEST], "shape": [COUNTING], "basis": "marginal"}
RESIDUAL: Json = {**TABLE, "shape": [range(2, 2**63)], "basis": "residual"}
SCORE: Json = {"score": "l1-to-model", "lattice": SCORE_LATTICE, "candidates": COUNTING, "digest": DIGEST}
UNIT: Json = {"entity": NAME, "column": TEXT, "max_rows": COUNTING}
WEIGHED: Json = {"weight_units": range(2, 2**31)}  # where rows count with weights
CHARGE: Json = {
    "release": NAME, "unit": (UNIT, {**UNIT, **WEIGHED}), "neighbours": NEIGHBOURS,
    "sensitivity_squared": NUMBER, "cost": AMOUNT, "chosen_by": [COUNT], "state": "DRAWING",
    "running": {"spent": AMOUNT, "epsilon": DECIMAL},
}
COMMON: Json = {"v": 1, "seq": COUNT, "nonce": HEX32, "kind": str, "day": DAY, "account": NAME}
KINDS: dict[str, Json] = {  # what a ledger may hold
    "open": {
        "entity": NAME, "column": TEXT, "neighbours": NEIGHBOURS, "measure": MEASURE, "cap": AMOUNT, "policy": CLAIM,
        "parent": NAMED, "level": LEVEL, "grant": DIGESTED, "root": DIGESTED,
    },
    "grant": {"grant": DIGEST, "added": AMOUNT, "cap": AMOUNT, "policy": CLAIM, "reason": REASON},
    "root": {"root": DIGEST, "version": COUNTING},
    "reserve": {
        "release": NAME, "plan": DIGEST, "reserved": AMOUNT, "quote": CLAIM, "held": AMOUNT, "running_epsilon": DECIMAL,
        "above": [{"account": NAME, "held": AMOUNT}],
    },
    "measure": {"mechanism": NOISE, "query": (TABLE, RESIDUAL), **CHARGE},
    "select": {"mechanism": CHOICE, "query": {**SCORE, "weight": COUNTING}, **CHARGE},
    "score": {"mechanism": NOISE[:2], "query": SCORE, **CHARGE},
    "partitions": {"mechanism": NAMING, "query": {"column": str}, **CHARGE},
    "stored": {"release": NAME, "of": [COUNT], "answer": DIGEST},
    "lost": {"release": NAME, "of": [COUNT]},
    "settle": {"release": NAME, "spent": AMOUNT, "reserved": AMOUNT},
}
OLDER: Json = {  # keys that lines of these kinds did not have once, and what their absence means
    "open": {"parent": None, "level": "project", "grant": None, "root": None}, "reserve": {"above": []},
}
DIVIDED: dict[str, tuple[Json, ...]] = {  # keys that lines have besides where an account is divided into cells
    "open": ({"cells": {"column": NAME, "labels": [NAME]}}, {"cell": NAME}),
    "reserve": ({"parallel": {"account": NAME, "cell": NAME, "others": [AMOUNT]}},)}
STATE: Json = {"name": NAME, "cap": AMOUNT, "held_before": AMOUNT, "held_after": AMOUNT}
GUARANTEE: Json = {
    "epsilon": POSITIVE, "delta": PROBABILITY, "measure": MEASURE, "reserved": AMOUNT, "entity": NAME,
    "unit_column": TEXT, "max_rows": COUNTING, "neighbours": NEIGHBOURS,
}
LEDGER: Json = {
    "version": 2, "guarantee": (GUARANTEE, {**GUARANTEE, **WEIGHED}),
    "accounts": [{**STATE, "level": LEVEL, "parent": NAMED}],
    "release": {
        "id": NAME, "plan": DIGEST, "mechanism": str, "rows": COUNT, "rows_rule": ("noisy total", "given"),
        "seed": COUNT, "rows_digest": DIGEST, "day": DAY, "supersedes": NAMED,
    },
    "public": [str], "outside": [str], "entries": [str], "log": dict, "root": DIGESTED, "grants": [str],
    "signer": evidence.SIGNER, "software": evidence.SOFTWARE,
}
LEDGER_1: Json = {key: shape for key, shape in LEDGER.items() if key not in ("accounts", "root", "grants")}
LEDGER_1 |= {
    "version": 1, "account": STATE,
    "release": {key: shape for key, shape in LEDGER["release"].items() if key != "supersedes"},
}
# fmt: on


# === 4. The ledger ====================================================================================================


def read_entry(line: bytes, report: Report, kinds: dict[str, Json] = KINDS) -> Json | None:
    """One line of the log, if it can be understood; one of an older form is completed."""
    try:
        entry: Json = read_json(line, "a line of the log")
        demand(entry, dict, "a line of the log")
        demand(entry.get("kind"), tuple(kinds), f"the kind {entry.get('kind')} of an entry")
        later = OLDER.get(entry["kind"], {})
        more = next((one for one in DIVIDED.get(entry["kind"], ()) if one.keys() <= entry.keys()), {})
        entry = entry if more or later.keys() & entry.keys() else {**later, **entry}
        demand(entry, {**COMMON, **kinds[entry["kind"]], **more}, f"entry {entry.get('seq')} ({entry['kind']})")
        return entry
    except Refused as refusal:
        report.require(False, *refusal.args)
        return None


def check_ledger(ledger: Json, report: Report) -> list[Json]:
    """Everything about the loss that can be recomputed from a ledger alone; returns its entries if all are known."""
    demand(ledger.get("version"), (1, 2), "ledger.version")
    demand(ledger, LEDGER if ledger["version"] == 2 else LEDGER_1, "ledger")
    if ledger["version"] == 1:  # one account, whose cap was fixed when it was opened
        ledger = {**ledger, "accounts": [{**ledger["account"], "level": "project", "parent": None}], "root": None}
    guarantee, release, reserved = ledger["guarantee"], ledger["release"], ledger["guarantee"]["reserved"]
    measure, quote = guarantee["measure"], {key: guarantee[key] for key in ("epsilon", "delta")}
    size = quantity(reserved, measure)
    report.claim |= {**quote, "measure": measure, "amount": str(size), "release": release["id"]}
    lines = [line.encode(errors="replace") for line in ledger["entries"]]
    entries = [entry for line in lines if (entry := read_entry(line, report))]
    if len(entries) < len(lines):
        return []  # what was not understood may have cost anything
    kinds = [entry["kind"] for entry in entries]
    if "reserve" not in kinds:
        raise Refused("the log does not reserve for the release", TOTALS)
    start = kinds.index("reserve")
    reserve, own, require = entries[start], entries[start:], report.require
    seqs, account = [entry["seq"] for entry in entries], reserve["account"]
    require(seqs == sorted(set(seqs)), "the entries are not in the order of their seq")
    require(len({entry["nonce"] for entry in entries}) == len(entries), "two entries carry the same nonce")
    require(all(entry["account"] == account for entry in own), "an entry belongs to another account")
    require(all(entry.get("release") == release["id"] for entry in own), "an entry belongs to another release")
    require(ledger["version"] == 1 or kinds[-1] == "settle", "the release was not settled")
    require(reserve["plan"] == release["plan"], "the plan of the release is not the one that was reserved for")
    require(reserve["reserved"] == reserved, "the guarantee is not stated for what was reserved")
    require(reserve["quote"] == quote, "the guarantee is not what was quoted when the budget was reserved")
    given = gives(reserved, measure, Fraction(guarantee["epsilon"]), Fraction(guarantee["delta"]))
    require(given, "what was reserved does not give the epsilon claimed")
    states = check_accounts(ledger, entries[:start], reserve, report)
    spent = check_charges(own[1:], guarantee, report, "parallel" in reserve)
    within = quantity(spent, measure) <= size and Fraction(spent["delta"]) <= Fraction(reserved["delta"])
    require(within, "the entries cost more than was reserved")
    column, most = guarantee["unit_column"], guarantee["max_rows"]
    rows = f"at most {most} row{'s' * (most > 1)} each ({'no column' if column is None else f'column {column}'})"
    rows += f", counted with weights of up to {guarantee['weight_units']} units" if "weight_units" in guarantee else ""
    report.notes += [
        f"protected: each {guarantee['entity']}, {rows}, neighbours {guarantee['neighbours']}",
        *states,
        f"{release['rows']} rows ({release['rows_rule']}) by {release['mechanism']} on {release['day']}",
        *(f"declared public: {text}" for text in ledger["public"]),
        *(f"outside the guarantee: {text}" for text in ledger["outside"]),
    ]
    return entries


def check_accounts(ledger: Json, before: list[Json], reserve: Json, report: Report) -> list[str]:
    """Each account that pays, the release's own first, then all above it, holds what it says, within its cap.

    A cap is that with which the account was opened and, where officers grant budgets, what was granted since; the
    policy that the officers last set must give it. Returns a note on each account.
    """
    guarantee, accounts, governed = ledger["guarantee"], ledger["accounts"], ledger["root"] is not None
    names, require, notes = [account["name"] for account in accounts], report.require, []
    require([account["parent"] for account in accounts] == [*names[1:], None], "the accounts do not lead to the top")
    levels = [LEVEL.index(account["level"]) for account in accounts]
    require(levels == sorted(set(levels), reverse=True), "an account is not of a higher level than the one below it")
    require(len(set(names)) == len(names), "an account stands above itself")
    paid = [{"account": reserve["account"], "held": reserve["held"]}, *reserve["above"]]
    told = paid == [{"account": account["name"], "held": account["held_after"]} for account in accounts]
    require(told, "what the accounts hold is not what the entry says that reserved")
    counted, more, parallel = guarantee["measure"], guarantee["reserved"], reserve.get("parallel", {"others": []})
    less, cell, below = {UNITS[counted]: "0", "delta": "0"}, None, accounts[0]
    for account in accounts:
        name, top, held = account["name"], account is accounts[-1], account["held_after"]
        opened, *since = [entry for entry in before if entry["account"] == name] or [{"kind": "none"}]
        if opened["kind"] != "open" or any(entry["kind"] == "open" for entry in since):
            raise Refused(f"the log does not begin by opening account {name}, once", TOTALS)
        for key, kept in (("entity",) * 2, ("unit_column", "column"), ("neighbours",) * 2, ("measure",) * 2):
            if account is accounts[0] or key != "measure":
                require(opened[kept] == guarantee[key], f"the {key} of the guarantee is not that of the account")
        placed = all(opened[key] == account[key] for key in ("parent", "level"))
        require(placed, f"account {name} was opened at another place")
        ruled = (opened["grant"] is not None, opened["root"] is not None) == (governed, governed and top)
        require(ruled, f"account {name} was not opened under the root that the ledger names, or under one")
        measure, cap, policy = opened["measure"], opened["cap"], opened["policy"]
        for one in since:
            require(governed and (top or one["kind"] == "grant"), f"the log says of account {name} what it may not")
            if one["kind"] == "grant":
                cap, policy = plus(cap, one["added"], measure), one["policy"]
                require(one["cap"] == cap, f"entry {one['seq']} (grant): its cap is not the sum of what was granted")
        require(account["cap"] == cap, "the cap stated is not that with which the account was opened, and its grants")
        if cell is not None:  # the account below is a cell of this one, which holds what all its cells cost together
            divided, sums, counted = opened.get("cells", {"column": "", "labels": []}), parallel["others"], measure
            said = (parallel.get("account"), parallel.get("cell"), len(sums)) == (name, cell, 2)
            require(said and cell in divided["labels"], f"nothing prices cell {cell} of account {name}")
            less, more = (together([below[key], *sums], opened) for key in ("held_before", "held_after"))
            require(within(more, held, measure), f"account {name} holds less than its cells cost together")
            notes.append(f"the cell {cell} of account {name} alone: rows with that value of column {divided['column']}")
        below, cell = account, opened.get("cell")
        rises = plus(account["held_before"], charged(more, counted, measure), measure)
        told = rises == plus(held, charged(less, counted, measure), measure)
        require(told, f"{UNITS[measure]} held before + reserved is not held after")
        require(within(held, cap, measure), f"the account holds more {UNITS[measure]} or delta than its cap")
        limits = {key: Fraction(number) for key, number in policy.items()}
        require(gives(cap, measure, **limits), "the cap is above the account's policy")
        if account is accounts[0]:
            told = converted(reserve["running_epsilon"], account["held_after"], measure, limits["delta"])
            require(told, "the running epsilon of the account is wrong")
        used = " of ".join(decimal(quantity(account[state], measure)) for state in ("held_after", "cap"))
        notes.append(f"account {name}: {UNITS[measure]} {used} held after this release")
    require((cell, any("cell" in one for one in before)) == (None, "parallel" in reserve), "it prices what is no cell")
    require({entry["account"] for entry in before} <= set(names), "an entry belongs to another account")
    roots = [entry["root"] for entry in before if entry.get("root")]
    require([ledger["root"]] == (roots[-1:] or [None]), "the root of the ledger is not the one that was in force")
    return notes


def plus(first: Json, second: Json, measure: str) -> Json:
    """The sum of two amounts, which must be in the unit of a measure."""
    sums = quantity(first, measure) + quantity(second, measure), Fraction(first["delta"]) + Fraction(second["delta"])
    return dict(zip((UNITS[measure], "delta"), map(str, sums), strict=True))


def within(amount: Json, most: Json, measure: str) -> bool:
    """Whether an amount is at most another, and its delta too."""
    return quantity(amount, measure) <= quantity(most, measure) and Fraction(amount["delta"]) <= Fraction(most["delta"])


def together(sums: list[Json], opened: Json) -> Json:
    """What cells of an account cost together: their largest sum, or the two largest where entities may be replaced."""
    found = [(quantity(one, opened["measure"]), Fraction(one["delta"])) for one in sums]
    most = 2 if opened["neighbours"] == "replace-one" else 1
    largest = (str(sum(sorted(part)[-most:], Fraction(0))) for part in zip(*found, strict=True))
    return dict(zip((UNITS[opened["measure"]], "delta"), largest, strict=True))


def charged(amount: Json, measure: str, above: str) -> Json:
    """What an account that counts in the measure ``above`` holds for an amount in another.

    Only mu-GDP has a price elsewhere: it implies rho-zCDP with rho = mu^2/2, here rounded up to a multiple of 2^-60.
    """
    if (measure, above) != ("gdp", "zcdp"):
        return amount
    return {"rho": str(Fraction(math.ceil(quantity(amount, measure) * 2**59), 2**60)), "delta": amount["delta"]}


def check_charges(entries: list[Json], guarantee: Json, report: Report, apart: bool = False) -> Json:
    """Recompute the price of every answer; returns their sum, an amount. Finding values has a cost in delta, its own.

    The probabilities that some entity shows add up, whatever is asked between them.
    """
    unit = {"entity": guarantee["entity"], "column": guarantee["unit_column"], "max_rows": guarantee["max_rows"]}
    unit |= {key: guarantee[key] for key in WEIGHED if key in guarantee}
    measure, delta, spent = guarantee["measure"], Fraction(guarantee["delta"]), Fraction(0)
    shown = Fraction(0)  # the sum of all delta
    waiting, stored = set[int](), set[int]()  # drawn and neither stored nor lost; stored
    counts = dict.fromkeys(KINDS, 0)
    for entry in entries:
        kind, found = entry["kind"], Report()
        require = found.require
        counts[kind] += 1
        require(not counts["settle"] or entry is entries[-1], "the release was settled before")
        if "cost" in entry:
            require(entry["unit"] == unit, "its unit of privacy is not that of the guarantee")
            require(entry["neighbours"] == guarantee["neighbours"], "its neighbours are not those of the guarantee")
            if kind == "measure":
                columns, levels, shape, _ = (entry["query"][key] for key in TABLE)
                axes = len(set(columns)) == len(columns) == len(levels) == len(shape)
                require(axes, "its query does not have one level and one size for each column")
            squared = sensitivity_squared(entry, apart)
            require(Fraction(entry["sensitivity_squared"]) == squared, f"its squared sensitivity is {squared}")
            price, cost, running = cost_of(entry, squared, measure), entry["cost"], entry["running"]
            stated, so_far = quantity(cost, measure), quantity(running["spent"], measure)
            priced = price is not None and price <= stated <= price + TOLERANCE
            require(priced, "its cost is not what its noise calls for (in some measures some answers have none)")
            named = entry["mechanism"].get("delta", "0")
            require(cost["delta"] == named, "its cost in delta is not that of its mechanism")
            require(kind != "partitions" or hides(entry["mechanism"], unit["max_rows"]), "its threshold is too low")
            shown += Fraction(named)
            require(Fraction(running["spent"]["delta"]) == shown, "its running sum of delta is wrong")
            spent += stated
            if spent.denominator.bit_length() > 2**13:  # keep a long sum short, rounding up
                spent = Fraction(math.ceil(spent * 2**512), 2**512)
            require(spent <= so_far <= spent + TOLERANCE, "its running sum is wrong")
            known = converted(running["epsilon"], running["spent"], measure, delta)
            require(known, "its running epsilon is wrong")
            require(set(entry["chosen_by"]) <= stored, "it was chosen by an answer that was not known")
            waiting.add(entry["seq"])
        elif kind in ("stored", "lost"):
            of = set(entry["of"])
            require(0 < len(of) == len(entry["of"]) and of <= waiting, "it names what is not waiting for an answer")
            waiting -= of
            stored |= of if kind == "stored" else set()
        elif kind == "settle":
            told = spent <= quantity(entry["spent"], measure) <= spent + TOLERANCE
            require(told and Fraction(entry["spent"]["delta"]) == shown, "it does not state what was spent")
            require(entry["reserved"] == guarantee["reserved"], "it does not state what was reserved")
        else:
            require(False, "an account is opened, and a release reserved for, once")
        report.failures += [(code, f"entry {entry['seq']} ({kind}): {message}") for code, message in found.failures]
    report.require(bool(stored), "no answer was paid for and stored, so that no row can come from the table")
    report.notes += [
        f"tables measured: {counts['measure']}, private selections made: {counts['select']}, "
        f"lists of scores: {counts['score']}",
        f"answers paid for and never seen: {len(waiting)} unfinished, {counts['lost']} lost",
    ]
    if counts["partitions"]:
        report.notes.append(f"columns with values found privately: {counts['partitions']}, delta {decimal(shown, 18)}")
    return {UNITS[measure]: str(spent), "delta": str(shown)}


# === 5. The command line ==============================================================================================


def companion() -> Any:
    """trust.py, which lies beside this file: in the package, or both copied alone."""
    return import_module("dpsynth.trust" if __package__ else "trust")


def verify(folder: str | os.PathLike[str], root: bytes | None = None, fresh: bool = False) -> Verdict:
    """Check a release folder: trust.py opens it, and comes back here for the loss."""
    verdict: Verdict = companion().verify(folder, root, fresh)
    return verdict


def main(arguments: list[str]) -> int:
    """Print the outcome and return the exit code."""
    if arguments[:1] != ["convert"]:
        code: int = companion().main(arguments)
        return code
    parser = argparse.ArgumentParser(prog="verifier.py convert", description="Epsilon of an amount, rounded up.")
    parser.add_argument("--mu2", help="mu squared of Gaussian DP, exact: 1/30 or 0.033")
    parser.add_argument("--rho", help="rho of zCDP, exact: 1/800 or 0.00125")
    parser.add_argument("--delta", help="between 0 and 1, exact: 1e-9")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args(arguments[1:])
    try:
        given = {unit: Fraction(text) for unit in ("mu2", "rho") if (text := getattr(options, unit)) is not None}
        [(unit, amount)], delta = given.items(), Fraction(options.delta)
    except (TypeError, ValueError, ZeroDivisionError):
        parser.error("give --mu2 or --rho, and --delta, as exact numbers such as 1/800, 0.00125 or 1e-9")
    if amount < 0 or not 0 < delta < 1:
        parser.error("--mu2 and --rho are not negative, and --delta lies between 0 and 1")
    epsilon = decimal(epsilon_of_gdp(amount, delta) if unit == "mu2" else epsilon_of(amount, delta), 15)
    facts = {unit: str(amount), "delta": str(delta), "epsilon": epsilon}
    sys.stdout.write(f"{json.dumps(facts) if options.json else f'epsilon {epsilon}'}\n")
    return OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
