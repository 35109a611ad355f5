"""The tables on which accuracy is compared: coded, so that every library reads the same integers.

``adult_codes`` is the one that defaults are tuned on, with the artificial people; the others are there to show what
the defaults do elsewhere. Edges and questions are round numbers chosen beforehand; listed values are those of both
files of UCI Adult. Nothing made here is kept: tables are written to the folder asked for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

DATA = Path(__file__).parents[2] / "shared" / "data"
ORDERED = {"age", "fnlwgt", "education-num", "capital-gain", "capital-loss", "hours-per-week"}
"""The columns of adult_codes whose codes are in order; the others are names."""


@dataclass(frozen=True)
class Table:
    """A CSV of codes: column ``c`` holds 0..sizes[c] - 1, and its last code is a missing answer if ``c`` has them."""

    name: str
    path: Path
    sizes: dict[str, int]
    ordered: frozenset[str]
    missing: frozenset[str]
    rows: int

    @property
    def title(self) -> str:
        kinds = f"{self.rows:,} rows, {len(self.sizes)} columns of {min(self.sizes.values())} to "
        return f"{kinds}{max(self.sizes.values())} codes"

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.path.read_bytes()).hexdigest()


@dataclass
class Coded:
    """A table in the making."""

    codes: dict[str, pd.Series] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    ordered: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)

    def bands(self, name: str, values: pd.Series, edges: Sequence[float]) -> None:
        """Which band between edges a number is in, counted from 0; a band begins at its edge."""
        known = values.notna().to_numpy()
        codes = np.searchsorted(np.asarray(edges), values.to_numpy(dtype=np.float64), side="right")
        self._add(name, codes, known, len(edges) + 1)
        self.ordered.add(name)

    def listed(self, name: str, values: pd.Series, categories: Sequence[str]) -> None:
        """Which of the categories a text is."""
        place = {category: code for code, category in enumerate(categories)}
        codes = values.map(place)
        self._add(name, codes.fillna(0).to_numpy(dtype=np.int64), values.notna().to_numpy(), len(categories))

    def asked(self, name: str, yes: pd.Series) -> None:
        """A question, answered 0 or 1."""
        self._add(name, yes.to_numpy(dtype=np.int64), np.ones(len(yes), dtype=bool), 2)

    def _add(self, name: str, codes: np.ndarray, known: np.ndarray, size: int) -> None:
        import pandas as pd

        if not known.all():
            self.missing.add(name)
        self.codes[name] = pd.Series(np.where(known, codes, size))
        self.sizes[name] = size + (name in self.missing)


def equal(low: float, high: float, bins: int) -> list[float]:
    """The inner edges of bins of equal width."""
    return list(np.linspace(low, high, bins + 1)[1:-1])


def adult_raw() -> tuple[pd.DataFrame, dict[str, list[str]]]:
    """UCI Adult's training half as it stands, and the values of its text columns in both halves."""
    import pandas as pd

    train, rest = (pd.read_csv(DATA / name) for name in ("adult_train.csv", "adult_holdout.csv"))
    both = pd.concat([train, rest])
    text = [str(name) for name in train if not pd.api.types.is_numeric_dtype(train[name])]
    return train, {name: sorted(both[name].dropna().unique()) for name in text}


def adult_codes() -> Coded:
    """UCI Adult as private-pgm coded it."""
    import pandas as pd

    frame = pd.read_csv(DATA / "adult_codes.csv")
    sizes = json.loads((DATA / "adult_codes_domain.json").read_text())
    return Coded({name: frame[name] for name in sizes}, sizes, set(ORDERED))


def adult_mixed() -> Coded:
    """UCI Adult's training half without its weights: 14 columns, numbers to the year or in 32 bins, answers missing."""
    frame, categories = adult_raw()
    made = Coded()
    edges: dict[str, Sequence[float]] = {
        "age": list(range(18, 91)),
        "education-num": list(range(2, 17)),
        "capital-gain": equal(0, 100_000, 32),
        "capital-loss": equal(0, 4_400, 32),
        "hours-per-week": list(range(2, 100)),
    }
    for name in frame.columns.drop("fnlwgt"):
        if name in categories:
            made.listed(name, frame[name], categories[name])
        else:
            made.bands(name, frame[name], edges[name])
    return made


def adult_survey() -> Coded:
    """21 yes-or-no questions to UCI Adult's training half; who did not answer said no."""
    frame, _ = adult_raw()
    made, work = Coded(), frame["workclass"].fillna("")
    for age in (25, 35, 45, 60):
        made.asked(f"age {age} or more", frame["age"] >= age)
    for name, years in (("school", 9), ("college", 10), ("degree", 13)):
        made.asked(name, frame["education-num"] >= years)
    for hours in (35, 41):
        made.asked(f"{hours} hours or more", frame["hours-per-week"] >= hours)
    made.asked("male", frame["sex"] == "Male")
    made.asked("white", frame["race"] == "White")
    made.asked("married", frame["marital-status"].isin(["Married-civ-spouse", "Married-AF-spouse"]))
    made.asked("never married", frame["marital-status"] == "Never-married")
    made.asked("child of the household", frame["relationship"] == "Own-child")
    made.asked("private employer", work == "Private")
    made.asked("self-employed", work.str.startswith("Self-emp"))
    made.asked("manager or professional", frame["occupation"].isin(["Exec-managerial", "Prof-specialty"]))
    made.asked("capital gain", frame["capital-gain"] > 0)
    made.asked("capital loss", frame["capital-loss"] > 0)
    made.asked("born here", frame["native-country"] == "United-States")
    made.asked("income above 50,000", frame["income"] == ">50K")
    return made


def hmeq_raw() -> pd.DataFrame:
    import pandas as pd

    return pd.read_csv(DATA / "hmeq.csv")


def hmeq_mixed() -> Coded:
    """Home-equity loans: 13 columns, the amounts in 16 bins of equal width, eleven of them with missing answers."""
    frame, made = hmeq_raw(), Coded()
    made.bands("BAD", frame["BAD"], [1])
    for name, high in (("LOAN", 96_000), ("MORTDUE", 400_000), ("VALUE", 800_000)):
        made.bands(name, frame[name], equal(0, high, 16))
    made.listed("REASON", frame["REASON"], ["DebtCon", "HomeImp"])
    made.listed("JOB", frame["JOB"], ["Mgr", "Office", "Other", "ProfExe", "Sales", "Self"])
    made.bands("YOJ", frame["YOJ"], equal(0, 48, 16))
    for name, most in (("DEROG", 10), ("DELINQ", 15)):
        made.bands(name, frame[name], list(range(1, most + 1)))
    made.bands("CLAGE", frame["CLAGE"], equal(0, 800, 16))
    made.bands("NINQ", frame["NINQ"], list(range(1, 18)))
    made.bands("CLNO", frame["CLNO"], equal(0, 80, 16))
    made.bands("DEBTINC", frame["DEBTINC"], equal(0, 80, 16))
    return made


def hmeq_survey() -> Coded:
    """16 yes-or-no questions to few people, the home-equity borrowers; who did not answer said no."""
    frame, made = hmeq_raw(), Coded()
    for name, edges in (
        ("LOAN", (10_000, 20_000)), ("MORTDUE", (50_000, 100_000)), ("VALUE", (75_000, 125_000)), ("YOJ", (5, 10)),
        ("DEROG", (1,)), ("DELINQ", (1,)), ("CLAGE", (180,)), ("CLNO", (20,)), ("DEBTINC", (35,)),
    ):  # fmt: skip
        for edge in edges:
            made.asked(f"{name} {edge} or more", frame[name] >= edge)
    made.asked("to consolidate debts", frame["REASON"] == "DebtCon")
    made.asked("manager or professional", frame["JOB"].isin(["Mgr", "ProfExe"]))
    made.asked("in default", frame["BAD"] == 1)
    return made


def people_survey(people: int = 6_000, questions: int = 20, seed: int = 20) -> Coded:
    """Up to 23 yes-or-no questions to artificial people, drawn from a list; defaults are tuned on these, too.

    Who did not answer said no.
    """
    from dpsynth.people import generate

    frame = generate(people, seed=seed).to_pandas()
    age, home, status = frame["age"], frame["tenure"], frame["marital"]
    works, degrees = frame["employment"].isin(["employed", "self-employed"]), ["bachelor", "master", "doctorate"]
    listed = {
        "head": frame["relationship"] == "head",
        "female": frame["sex"] == "female",
        "has a job": works,
        "never married": status == "never married",
        "upper secondary": frame["education"].isin(["upper secondary", "vocational", *degrees]),
        "rents": home.isin(["private rent", "social rent"]),
        "disabled": frame["disability"].fillna(False).astype(bool),
        "partner": frame["relationship"] == "partner",
        "35 hours or more": frame["hours"] >= 35,
        "born here": frame["birthplace"] == "this country",
        "retired": frame["employment"] == "retired",
        "owns without a mortgage": home == "owned",
        "professional or manager": frame["occupation"].isin(["professional", "manager"]),
        "capital or coast": frame["region"].isin(["capital", "coast"]),
        "separated or widowed": status.isin(["separated", "divorced", "widowed"]),
        "bachelor": frame["education"].isin(degrees),
    }
    listed |= {f"age {years} or more": age >= years for years in (15, 30, 50)}
    listed |= {f"income {amount} or more": frame["income"] >= amount for amount in (10_000, 25_000)}
    listed |= {f"{rooms} rooms or more": frame["rooms"] >= rooms for rooms in (5, 7)}
    made, kept = Coded(), np.random.default_rng(seed).permutation(len(listed))[:questions]
    for name in np.array(list(listed))[np.sort(kept)].tolist():
        made.asked(name, listed[name])
    return made


def census() -> Coded:
    """24 columns of 30,000 artificial people: their own answers, their household's, and six ailments and services.

    What is not in dpsynth.people is computed from it (counts in the household) or drawn from a fixed seed by age.
    """
    import pandas as pd

    from dpsynth.people import generate, schema
    from dpsynth.schema import Categorical, Ordinal

    frame, made = generate(30_000, seed=24).to_pandas(), Coded()
    numbers: dict[str, Sequence[float]] = {
        "rooms": list(range(2, 13)), "age": list(range(5, 105, 5)), "hours": equal(1, 99, 14),
        "income": [1, *range(5_000, 60_000, 5_000), 70_000, 80_000, 100_000, 150_000],
    }  # fmt: skip
    for name, column in schema().columns.items():
        if isinstance(column, Categorical | Ordinal):
            made.listed(name, frame[name], column.values)
        elif name in numbers:
            made.bands(name, frame[name], numbers[name])
        else:
            made.bands(name, frame[name].astype("Float64").astype(float), [1])
    home = frame.groupby("household_id")
    made.bands("household size", home["age"].transform("size"), list(range(2, 7)))
    made.bands("children", (frame["age"] < 15).groupby(frame["household_id"]).transform("sum"), [1, 2, 3])
    made.bands("earners", frame["hours"].notna().groupby(frame["household_id"]).transform("sum"), [1, 2, 3])
    earned = home["income"].transform(lambda of: of.sum(min_count=1))
    made.bands("household income", earned, list(range(10_000, 110_000, 10_000)))
    made.bands("income tenth", frame["income"], [1, 3_000, 7_000, 11_000, 15_000, 19_000, 24_000, 31_000, 45_000])
    rng, age = np.random.default_rng(24), frame["age"].to_numpy()
    frail = rng.normal(size=len(age)) + age / 40
    for name, hurdle, youngest in (("hears", 3.2, 0), ("sees", 3.4, 0), ("walks", 3.0, 5), ("remembers", 3.3, 5)):
        hard = pd.Series((frail + rng.normal(size=len(age)) > hurdle).astype(float))
        made.bands(f"{name} badly", hard.where(age >= youngest), [1])
    served = pd.Series((rng.random(len(age)) < np.where(frame["sex"] == "male", 0.002, 0.0004) * age).astype(float))
    made.bands("served", served.where(age >= 18), [1])
    return made


TABLES = {
    made.__name__: made
    for made in (adult_codes, people_survey, adult_mixed, adult_survey, hmeq_mixed, hmeq_survey, census)
}


def make(name: str, folder: Path, rows: int = 0, first: int = 0) -> Table:
    """Write a table into a folder. ``rows``: so many drawn with replacement from it; ``first``: only its first ones.

    ``name`` may be a path: a CSV of codes with its sizes beside it, as adult_codes has them, all columns names.
    FileNotFoundError where ../shared is not at hand.
    """
    import pandas as pd

    if name in TABLES:
        made = TABLES[name]()
    else:
        path = Path(name)
        frame = pd.read_csv(path)
        sizes = json.loads(path.with_name(path.stem + "_domain.json").read_text())
        made, name = Coded({column: frame[column] for column in sizes}, sizes), path.stem
    codes = pd.DataFrame(made.codes)
    if rows:
        codes = codes.sample(rows, replace=True, random_state=0)
    if first:
        codes = codes.head(first)
    path = folder / f"{name}.csv"
    codes.to_csv(path, index=False)
    return Table(name, path, made.sizes, frozenset(made.ordered), frozenset(made.missing), len(codes))
