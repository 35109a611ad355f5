"""The entry of a release in the registry of deployments of differential privacy, as YAML.

The registry is OpenDP's (opendp/deployments-registry-data), with the fields of its schema at tier 3. Everything here is
said by the signed ledger, or by a person (:mod:`dpsynth.release.told`); what neither says is marked ``TODO``. Never in
it: how many rows the table has, a value of a column, a path, the name of an account.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from dpsynth.ledger import CHARGES, Entry, parse
from dpsynth.release.describe import summary, title
from dpsynth.release.plan import Plan
from dpsynth.release.registry_words import (
    CONVERSIONS,
    MECHANISMS,
    NOISES,
    OPENDP,
    SUMS,
    VARIANTS,
    amounts,
    bullets,
    code,
    cost_told,
    number,
    one_line,
    paragraphs,
    promise,
)
from dpsynth.release.told import CHOICES, LISTS, TEXTS, Told
from dpsynth.release.words import columns_told, rows_told, workload_told
from dpsynth.release.yamltext import Node, Open, Plain, document

TODO = "TODO: "
"""How everything begins that a person still has to write."""


@dataclass(frozen=True)
class Signed:
    """A verified release: what its ledger says, its plan, and what became of it.

    ``published`` is the day, ``ledger`` the digest of the ledger's file, ``officers`` how many people approved it as
    far as a root says so, ``by`` the release that supersedes it.
    """

    predicate: Mapping[str, Any]
    plan: Plan
    published: str
    ledger: str
    officers: int = 0
    by: str | None = None


def entry(release: Signed, told: Told) -> str:
    """The entry as YAML."""
    curators = told.names("data_curators") or (TODO + LISTS["data_curators"],)
    basic = _basic(release, told, curators)
    content: dict[str, Node] = {
        "url_slug": Plain(_slug(str(basic["name"]), curators, str(basic["publication_date"]))),
        "status": Plain("Draft"),
        "tier": Plain("3"),
        "deployment": {
            "basic": basic,
            "dp_variant": _variant(release, told),
            "privacy_loss": _loss(release),
            "deployment_model": _model(release, told),
            "accounting": _accounting(release, told),
            "implementation": _implementation(release, told),
            "administrative": _administrative(release, told),
        },
    }
    heading = [f"Made from the signed ledger of release {release.plan.release}."]
    if told.missing:
        heading.append("TODO marks what only a person can say; dpsynth export --from takes it from a file.")
    if not told.names("data_curators"):
        heading.append("url_slug follows the name, the curators and the year.")
    return document(content, "\n".join(heading))


def _basic(release: Signed, told: Told, curators: Sequence[str]) -> dict[str, Node]:
    return {
        "name": one_line(title(release.plan)),
        "data_curators": curators,
        "intended_use": _asked(told, "intended_use"),
        "data_product_type": Plain("Synthetic data"),
        "data_product_region": _asked(told, "data_product_region"),
        "description": paragraphs(one_line(summary(release.plan)), told.text("description")),
        "publication_date": told.text("publication_date") or release.published,
        "data_product_sector": _choice(told, "data_product_sector"),
    }


def _variant(release: Signed, told: Told) -> dict[str, Node]:
    plan, unit = release.plan, release.plan.schema.unit
    fixed = f"a fixed number of units ({one_line(unit.entity)}), which is public"
    many = "any number of rows, even none" if unit.neighbours == "add-remove" else fixed
    domain = f"Every table with these columns, each with the values that were declared for it, and {many}:"
    things = [thing for thing in release.predicate["public"] if thing not in columns_told(plan)]
    things.insert(0, "the columns, their types, values and bounds, as they are listed under the data domain")
    said = paragraphs(
        "Declared public by the owner of the table, and therefore not protected:",
        bullets(map(code, things)),
        "Outside the guarantee:",
        bullets(map(code, release.predicate["outside"])),
    )
    return {
        "variant_name": Plain(VARIANTS[_measure(release)]),
        "data_domain": paragraphs(domain, bullets(map(code, columns_told(plan))), told.text("data_domain")),
        "unprotected_quantities": paragraphs(said, told.text("unprotected_quantities")),
    }


def _loss(release: Signed) -> dict[str, Node]:
    claim, measure = release.predicate["guarantee"], _measure(release)
    who, most = one_line(claim["entity"]), claim["max_rows"]
    epsilon, delta = Fraction(claim["epsilon"]), Fraction(claim["delta"])
    (reserved,) = amounts(claim["reserved"]).values()
    parameters: dict[str, Node] = {"epsilon": Plain(number(epsilon))}
    if delta:
        parameters["delta"] = Plain(number(delta))
    if measure == "zcdp":
        parameters["rho"] = Plain(number(reserved))
    by = "" if measure == "pure" else f", by {cost_told(claim['reserved'])} (exactly {reserved})"
    return {
        "privacy_unit": who if most == 1 else f"{who}, with all rows of one, at most {most}",
        "privacy_unit_details": _adjacent(claim),
        "privacy_parameters": parameters,
        "privacy_parameters_details": (
            f"{promise(claim)} for each {who}{by}. It was reserved before the table was opened; less may have been "
            f"spent. {CONVERSIONS[measure]}"
        ),
    }


def _adjacent(claim: Mapping[str, Any]) -> str:
    who, column, most = one_line(claim["entity"]), claim["unit_column"], claim["max_rows"]
    if column is None:
        rows = f"Each row stands for one {who}, which is declared and cannot be checked."
    else:
        kept = "1 row is" if most == 1 else f"{most} rows are"
        rows = (
            f"The rows of one {who} are those with one value of {code(f'column {column!r}')}, of which at most {kept} "
            f"kept, by a rule that depends on no other {who}, before anything is counted."
        )
    if claim["neighbours"] == "add-remove":
        return f"Two tables are adjacent if one of them is the other without the rows of one {who}. {rows}"
    return (
        f"Two tables are adjacent if they hold the same number of units ({who}) and differ in what the rows of one of "
        f"them say. {rows}"
    )


def _model(release: Signed, told: Told) -> dict[str, Node]:
    caps = [_cap(release, account) for account in _accounts(release)]
    kind = told.text("release_type") or "One release"
    later = (
        "Whatever else is asked of the same people through the same accounts is charged to them, for life; no clock "
        "gives anything back."
    )
    replaces = "It replaces an earlier release, whose loss stays charged." if release.plan.supersedes else ""
    details = paragraphs(" ".join(filter(None, [later, replaces])), bullets(caps), told.text("release_type_details"))
    found: dict[str, Node] = {
        "model_name": Plain("Central"),
        "model_name_details": paragraphs(
            "One program reads the private table in one place. Nothing leaves it but noisy answers that were charged "
            "before the table was opened.",
            told.text("model_name_details"),
        ),
        "actors": _asked(told, "actors"),
        "release_type": Plain(kind),
        "release_type_details": details,
        "data_source_type": _choice(told, "data_source_type"),
    }
    if extra := told.text("data_source_type_details"):
        found["data_source_type_details"] = extra
    found["access_type"] = Plain("Non-interactive")
    found["access_type_details"] = paragraphs(
        "The rows, the model and the noisy answers are published as they are. Further rows drawn from the model cost "
        "nothing.",
        told.text("access_type_details"),
    )
    return found


def _cap(release: Signed, account: Mapping[str, Any]) -> str:
    level = account.get("level", "project")
    cap, held = (cost_told(account[key]) for key in ("cap", "held_after"))
    lines = [line for line in _lines(release) if line.account == account["name"] and "policy" in line.fields]
    text = f"the account of the {level} holds {held} of at most {cap} with this release"
    if not lines:
        return text
    return f"{text}; the most promises {promise(lines[-1].fields['policy'])}"


def _accounting(release: Signed, told: Told) -> dict[str, Node]:
    measure, charges = _measure(release), _charges(release)
    tables = sum(line.kind == "measure" for line in charges)
    scores = sum(line.kind == "score" for line in charges)
    picks = sum(line.fields["mechanism"].get("picks", 1) for line in charges if line.kind == "select")
    named = sum(line.kind == "partitions" for line in charges)
    values = f" columns whose values were found privately: {named};" if named else ""
    reserved = cost_told(release.predicate["guarantee"]["reserved"])
    return {
        "post_processing": paragraphs(
            "A model is fitted to the noisy answers alone, which makes them agree with each other and takes negative "
            "counts away. It is published as integer tables, and the rows are drawn from these with a public seed that "
            f"was fixed before anything was measured. Their number: {rows_told(release.plan)}.",
            told.text("post_processing"),
        ),
        "composition": paragraphs(
            f"Sequential, under {SUMS[measure]}, also where a question and its noise were chosen by earlier answers. "
            f"{reserved} was reserved beforehand, and the sum cannot exceed it. {_parallel(release)}",
            f"Tables measured: {tables};{values} private choices: {picks}; lists of scores: {scores}. The ledger "
            "states the sensitivity, the noise and the cost of each as exact fractions, and a verifier that shares no "
            "code with the program reckons them again.",
        ),
    }


def _parallel(release: Signed) -> str:
    """What rests on parallel composition: the caps of accounts above a cell, never the claim of a release."""
    if release.plan.cell is None:
        return "Nothing rests on parallel composition."
    return (
        f"The claim does not rest on parallel composition; but the accounts above that of the cell {release.plan.cell} "
        "hold for it and its sister cells what these cost together, since each entity lies in one."
    )


def _implementation(release: Signed, told: Told) -> dict[str, Node]:
    said, plan = release.predicate, release.plan
    name = said["release"]["mechanism"]
    about = f": {MECHANISMS[name]}" if name in MECHANISMS else ""
    kinds = dict.fromkeys(line.fields["mechanism"]["type"] for line in _charges(release))
    source = "OpenSSL's generator in the process" if OPENDP & kinds.keys() else "the operating system"
    software = f"{said['software']['name']} {said['software']['version']}"
    asked = f"The workload: {code(told_)}. " if (told_ := workload_told(plan)) else ""
    return {
        "preprocessing_and_hyperparameter_tuning": paragraphs(
            "Values are coded on a grid that was declared beforehand; what does not fit it is mapped by fixed rules. "
            f"{asked}The mechanism, its workload, the budget and the seed are bound by the digest of the plan, which "
            "the ledger states before the first question.",
            _asked(told, "preprocessing_and_hyperparameter_tuning"),
        ),
        "mechanisms": paragraphs(
            bullets(
                [
                    f"{name}{about}",
                    *(NOISES.get(kind, kind) for kind in kinds),
                    f"made by {one_line(software)}",
                    "counts are exact integers until the noise is added; costs, sums and scales are exact fractions, "
                    "so that no floating-point error enters the guarantee",
                    f"the noise has no seed: its random bits are those of {source}",
                    "nobody asks questions while it runs: nothing is answered whose timing could be observed",
                ]
            ),
            _asked(told, "mechanisms"),
        ),
        "justification": _asked(told, "justification"),
    }


def _administrative(release: Signed, told: Told) -> dict[str, Node]:
    said = release.predicate
    facts = [
        f"release {release.plan.release}, measured on {said['release']['day']}",
        f"ledger.dsse.json: {release.ledger}",
        f"signed by the Ed25519 key {said['signer']['keyid']}",
        f"plan: {said['release']['plan']}",
        "to check it all: `dpsynth verify RELEASE --rebuild`, or verifier.py alone",
    ]
    if said.get("root"):
        many = f", {release.officers} of whom approved it" if release.officers else ""
        facts.append(f"officers decide what is published{many}: the root of their keys is {said['root']}")
    if release.by is not None:
        facts.append(f"superseded by release {release.by}")
    return {
        "sources": _asked(told, "sources"),
        "notes": paragraphs(bullets(facts), told.text("notes")),
        "registry_authors": told.names("registry_authors") or (TODO + LISTS["registry_authors"],),
    }


def _slug(name: str, curators: Sequence[str], day: str) -> str:
    """The registry's own rule: name, curators and year; lower case, with hyphens."""
    parts = (name, "-".join(curators), day.split("-")[0])
    return "_".join(re.sub(r"\W+", "_", part.lower()) for part in parts).replace("_", "-")


def _measure(release: Signed) -> str:
    return str(release.predicate["guarantee"]["measure"])


def _accounts(release: Signed) -> list[Mapping[str, Any]]:
    """The accounts that paid; a ledger of version 1 knows one."""
    said = release.predicate
    return list(said["accounts"]) if "accounts" in said else [said["account"]]


def _lines(release: Signed) -> list[Entry]:
    return [parse(line.encode()) for line in release.predicate["entries"]]


def _charges(release: Signed) -> list[Entry]:
    return [line for line in _lines(release) if line.kind in CHARGES]


def _asked(told: Told, key: str) -> str:
    return told.text(key) or TODO + TEXTS[key]


def _choice(told: Told, key: str) -> Node:
    question, words = CHOICES[key]
    found = told.text(key)
    return Plain(found) if found else Open(f"{TODO}{question}: {' or '.join(words)}")
