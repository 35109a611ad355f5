from pathlib import Path

import pytest

from dpsynth.errors import ConfigurationError
from dpsynth.release import Plan, ReleaseConfig, preview
from dpsynth.schema import Schema

GOOD = """
[data]
source = "people.csv"
schema = "people.toml"
[budget]
epsilon = "1"
delta = "1e-9"
[release]
id = "first"
"""
SCHEMA = Schema.parse('[columns.sex]\ntype = "categorical"\nvalues = ["f", "m"]\n')


def test_defaults() -> None:
    config = ReleaseConfig.parse(GOOD, "release.toml")
    assert config.mechanism.name == "mrm"
    assert config.release.formats == ("parquet",)
    assert (config.release.rows, config.release.seed) == (None, 0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('id = "first"', 'id = "first"\nrow = 5'), ["release.row", "'rows'"]),
        (("epsilon =", "epsilo ="), ["budget.epsilo", "'epsilon'"]),
        (('epsilon = "1"', "epsilon = 1.0"), ["budget.epsilon", '"1"', "quotes"]),
        (('epsilon = "1"', "epsilon = 1"), ["budget.epsilon", "quotes"]),
        (("[data]", "[dta]"), ["'dta'", "'data'"]),
        (
            ("[release]", '[mechanism]\nmeasure = "pure"\n[release]'),
            ["mechanism.measure'; measure stands under [budget]"],
        ),
        (('id = "first"', 'id = "first"\ncell = "site=1"'), ["release.cell'; cell stands under [data]"]),
        (('id = "first"', 'id = "../evil"'), ["release.id"]),
        (('id = "first"', 'id = "first"\nrows = 0'), ["release.rows"]),
        (('id = "first"', 'id = "first"\nseed = -1'), ["release.seed"]),
        (('id = "first"', 'id = "first"\nformats = ["csv"]'), ["release.formats", "parquet"]),
        (('id = "first"', 'id = "first"\nformats = ["xls"]'), ["release.formats"]),
        (('id = "first"', ""), ["release.id", "missing"]),
        (('source = "people.csv"', "source = "), ["not valid TOML"]),
        (('epsilon = "1"', 'epsilon = "1"\nmeasure = "rdp"'), ["budget.measure", "'gdp'", "'pure'"]),
        (('epsilon = "1"', 'epsilon = "1"\nnoise = "none"'), ["budget.noise", "'exact'", "'opendp'"]),
        (('epsilon = "1"', 'epsilon = "1"\nmeasure = "zdp"'), ["budget.measure': must be", "did you mean 'zcdp'?"]),
        (('epsilon = "1"', 'epsilon = "1"\nnoise = "exakt"'), ["budget.noise': must be", "did you mean 'exact'?"]),
        (('schema = "people.toml"', 'schema = "people.toml"\nmemory = "3 G"'), ["data.memory", '"3 GiB"']),
        *(
            (('schema = "people.toml"', f'schema = "people.toml"\nmemory = {wrong}'), ["data.memory", "bytes"])
            for wrong in ("0", "-1", "1.5", "true", '["3 GiB"]', '"3.5"')
        ),
        (('schema = "people.toml"', 'schema = "people.toml"\nmemroy = "3 GiB"'), ["data.memroy", "'memory'"]),
        (
            ("[release]", '[[mechanism.workload.marginals]]\ncolums = ["sex"]\n[release]'),
            ["mechanism.workload.marginals.0.colums", "did you mean 'columns'?"],
        ),
        (
            ("[release]", '[mechanism.workload]\nways = 2\nmarginals = [{columns = ["sex"]}]\n[release]'),
            ["mechanism.workload", "remove ways, or the marginals"],
        ),
    ],
)
def test_a_wrong_key_is_named(change: tuple[str, str], words: list[str]) -> None:
    with pytest.raises(ConfigurationError) as raised:
        ReleaseConfig.parse(GOOD.replace(*change), "release.toml")
    for word in ["release.toml", *words]:
        assert word in str(raised.value)


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        ('delta = "0"', ["delta", '"gdp" never gives 0', 'measure = "pure"']),
        ('delta = "0"\nmeasure = "zcdp"', ["delta", '"zcdp" never gives 0']),
        ('delta = "1e-9"\nmeasure = "pure"', ["delta", 'write delta = "0"']),
        ('delta = "1e-9"\nnoise = "opendp"', ['noise "opendp"', 'measure = "zcdp"']),
        ('delta = "0"\nmeasure = "pure"\nnoise = "opendp"', ['noise "opendp"', 'noise = "exact"']),
    ],
)
def test_a_budget_that_its_measure_does_not_have(budget: str, words: list[str]) -> None:
    config = ReleaseConfig.parse(GOOD.replace('delta = "1e-9"', budget), "release.toml")
    with pytest.raises(ConfigurationError) as raised:
        Plan.of(config, SCHEMA)
    assert [word for word in words if word not in str(raised.value)] == []


@pytest.mark.parametrize(
    ("budget", "measure", "noise", "unit"),
    [
        ('delta = "1e-9"', "gdp", "exact", "mu2"),
        ('delta = "1e-9"\nmeasure = "zcdp"', "zcdp", "exact", "rho"),
        ('delta = "1e-9"\nmeasure = "zcdp"\nnoise = "opendp"', "zcdp", "opendp", "rho"),
        ('delta = "0"\nmeasure = "pure"', "pure", "exact", "epsilon"),
    ],
)
def test_measure_and_noise_are_those_of_the_file(budget: str, measure: str, noise: str, unit: str) -> None:
    plan = Plan.of(ReleaseConfig.parse(GOOD.replace('delta = "1e-9"', budget), "release.toml"), SCHEMA)
    assert (plan.measure, plan.noise, plan.cost.unit) == (measure, noise, unit)
    assert Plan.from_document(plan.document(), SCHEMA) == plan
    assert preview(plan)


@pytest.mark.parametrize("epsilon", ["0", "-1", "nan", "inf", "1e", "", "one"])
def test_a_budget_that_is_none(epsilon: str) -> None:
    config = ReleaseConfig.parse(GOOD.replace('epsilon = "1"', f'epsilon = "{epsilon}"'), "release.toml")
    with pytest.raises(ConfigurationError, match="epsilon"):
        Plan.of(config, SCHEMA)


def test_an_unknown_mechanism_names_the_nearest() -> None:
    config = ReleaseConfig.parse(GOOD + '[mechanism]\nname = "mts"\n', "release.toml")
    with pytest.raises(ConfigurationError, match="mst"):
        Plan.of(config, SCHEMA)


def test_listed_marginals_without_ways() -> None:
    text = GOOD + '[mechanism.workload]\nmarginals = [{columns = ["sex"]}]\n'
    assert Plan.of(ReleaseConfig.parse(text, "x"), SCHEMA).workload.marginals == ((("sex",), 1),)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nothing\.toml"):
        ReleaseConfig.load(tmp_path / "nothing.toml")


def test_the_plan_binds_everything_that_decides_the_bytes() -> None:
    base = Plan.of(ReleaseConfig.parse(GOOD, "x"), SCHEMA)
    digests = {base.digest}
    for old, new in [
        ('id = "first"', 'id = "second"'),
        ('epsilon = "1"', 'epsilon = "2"'),
        ('delta = "1e-9"', 'delta = "1e-8"'),
        ('delta = "1e-9"', 'delta = "1e-9"\nmeasure = "zcdp"'),
        ('delta = "1e-9"', 'delta = "1e-9"\nmeasure = "zcdp"\nnoise = "opendp"'),
        ('delta = "1e-9"', 'delta = "0"\nmeasure = "pure"'),
        ('id = "first"', 'id = "first"\nrows = 5'),
        ('id = "first"', 'id = "first"\nseed = 5'),
        ('id = "first"', 'id = "first"\nformats = ["parquet", "csv"]'),
        ('id = "first"', 'id = "first"\ntitle = "t"'),
        ('schema = "people.toml"', 'schema = "people.toml"\nartificial = true'),
        ("[release]", '[mechanism]\nname = "independent"\n[release]'),
    ]:
        digests.add(Plan.of(ReleaseConfig.parse(GOOD.replace(old, new), "x"), SCHEMA).digest)
    other = Schema.parse('[columns.sex]\ntype = "categorical"\nvalues = ["m", "f"]\n')
    digests.add(Plan.of(ReleaseConfig.parse(GOOD, "x"), other).digest)
    assert len(digests) == 14
    equal = Plan.of(ReleaseConfig.parse(GOOD.replace('"1"', '"1.0"'), "x"), SCHEMA)
    assert equal.digest == base.digest


def test_the_plan_reads_back() -> None:
    plan = Plan.of(ReleaseConfig.parse(GOOD, "x"), SCHEMA)
    again = Plan.from_document(plan.document(), SCHEMA)
    assert again == plan
    assert again.digest == plan.digest


def test_memory_is_no_part_of_a_plan() -> None:
    some = [
        GOOD.replace('schema = "people.toml"', f'schema = "people.toml"\nmemory = {memory}')
        for memory in ('"3 GiB"', 3 << 30)
    ]
    plans = [Plan.of(ReleaseConfig.parse(text, "release.toml"), SCHEMA) for text in (GOOD, *some)]
    assert plans[0] == plans[1] == plans[2]
    assert len({plan.digest for plan in plans}) == 1
