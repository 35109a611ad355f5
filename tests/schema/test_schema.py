"""A schema is a value: it is written and read back the same, and its digest tells any two apart."""

import tomllib
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from dpsynth.errors import SchemaError
from dpsynth.schema import Boolean, Categorical, Column, Integer, Ordinal, Real, Schema, Unit
from dpsynth.schema.text import clean

text = st.text(max_size=6).filter(lambda t: clean(t) != "")
values = st.lists(text, min_size=1, max_size=5, unique_by=clean).map(tuple)
nullable = st.booleans()
bins = st.integers(1, 500)
whole = st.integers(-(2**53), 2**53)
finite = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def listed(draw: st.DrawFn) -> Column:
    kept = draw(values)
    otherwise = draw(st.none() | st.sampled_from(kept))
    model = draw(st.sampled_from([Categorical, Ordinal]))
    return model(values=kept, nullable=draw(nullable), otherwise=otherwise)


@st.composite
def numeric(draw: st.DrawFn) -> Column:
    model, number = draw(st.sampled_from([(Integer, whole), (Real, finite)]))
    low, high = sorted(draw(st.lists(number, min_size=2, max_size=2, unique_by=lambda n: n + 0)))
    return model(min=low, max=high, nullable=draw(nullable), bins=draw(bins))


columns = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=5),
    listed() | numeric() | st.builds(Boolean, nullable=nullable),
    min_size=1,
    max_size=4,
)
units = st.builds(Unit, entity=text, neighbours=st.sampled_from(["add-remove", "replace-one"])) | st.builds(
    Unit, column=st.just("\u00a0id"), max_rows=st.integers(1, 9)
)


@settings(max_examples=60, deadline=None)
@given(columns, units)
def test_toml_round_trip(declared: Mapping[str, Column], unit: Unit) -> None:
    schema = Schema(unit=unit, columns=declared)
    again = Schema.parse(schema.to_toml())
    assert again == schema
    assert again.names == schema.names
    assert dict(again.columns) == dict(schema.columns)
    assert again.unit == schema.unit
    assert again.to_toml() == schema.to_toml()


def test_toml_reads_well() -> None:
    schema = Schema(
        unit=Unit(entity="person", column="id", max_rows=3),
        columns={"age": Integer(min=0, max=120), "a.b": Real(min=-0.0, max=1e-05, nullable=True, bins=8)},
    )
    assert schema.to_toml() == (
        '[unit]\nentity = "person"\ncolumn = "id"\nmax_rows = 3\nneighbours = "add-remove"\n\n'
        '[columns.age]\ntype = "integer"\nmin = 0\nmax = 120\n\n'
        '[columns."a.b"]\ntype = "real"\nmin = 0.0\nmax = 1e-05\nnullable = true\nbins = 8\n'
    )


@settings(max_examples=60, deadline=None)
@given(st.text())
def test_quoted_text_is_toml(word: str) -> None:
    from dpsynth.schema import toml

    assert tomllib.loads(f"{toml.quote(word)} = {toml.quote(word)}") == {word: word}
    assert tomllib.loads(f"[{toml.key('columns', word)}]") == {"columns": {word: {}}}


BASE: dict[str, Column] = {"a": Integer(min=0, max=9), "b": Categorical(values=("x", "y")), "c": Real(min=0, max=1)}
CHANGES = [
    Schema(columns={"b": BASE["b"], "a": BASE["a"], "c": BASE["c"]}),
    Schema(columns=BASE, unit=Unit(entity="person")),
    Schema(columns=BASE, unit=Unit(neighbours="replace-one")),
    Schema(columns=BASE, unit=Unit(column="id")),
    Schema(columns=BASE, unit=Unit(column="id", max_rows=2)),
    Schema(columns={**BASE, "a": Integer(min=0, max=10)}),
    Schema(columns={**BASE, "a": Integer(min=0, max=9, nullable=True)}),
    Schema(columns={**BASE, "a": Integer(min=0, max=9, bins=3)}),
    Schema(columns={**BASE, "a": Real(min=0, max=9)}),
    Schema(columns={**BASE, "b": Categorical(values=("y", "x"))}),
    Schema(columns={**BASE, "b": Categorical(values=("x", "y"), otherwise="x")}),
    Schema(columns={**BASE, "b": Ordinal(values=("x", "y"))}),
    Schema(columns={**BASE, "b": Boolean()}),
]


def test_any_difference_changes_the_digest() -> None:
    digests = [schema.digest for schema in [Schema(columns=BASE), *CHANGES]]
    assert len(set(digests)) == len(digests)
    assert all(len(digest) == 71 and digest.startswith("sha256:") for digest in digests)


def test_the_digest_is_final() -> None:
    """Releases hold it: it may never change for a schema that exists."""
    assert Schema(columns=BASE).digest == "sha256:a11ccc9917723dc32d5f1e442f473418dceb75f1936d0b8198b643092b0642d5"
    assert Schema(columns=BASE, unit=Unit(entity="row", max_rows=1)).digest == Schema(columns=BASE).digest


def test_immutable() -> None:
    schema = Schema(columns=BASE)
    with pytest.raises(ValidationError):
        schema.unit = Unit()  # type: ignore[misc]
    with pytest.raises(ValidationError):
        schema.columns["a"].min = 3  # type: ignore[union-attr,misc]
    with pytest.raises(TypeError):
        schema.columns["d"] = Boolean()  # type: ignore[index]
    given_columns = dict(BASE)
    held = Schema(columns=given_columns)
    given_columns["d"] = Boolean()
    assert held.names == ("a", "b", "c")
    assert hash(held) == hash(schema)


def test_values_are_kept_clean() -> None:
    column = Categorical(values=(" a ", "e\u0301", "b\ud800"), otherwise="e\u0301 ")
    assert column.values == ("a", "\u00e9", "b\ufffd")
    assert column.otherwise == "\u00e9"


def test_python_and_toml_dumps_agree() -> None:
    schema = Schema(columns=BASE)
    assert Schema.model_validate(schema.model_dump()) == schema


CITY = """
[columns.city]
type = "categorical"
values = ["LA", "SF", "NY", "Reno", "Albany"]
nullable = true
[columns.city.levels]
state = { CA = ["LA", "SF"], NY = ["NY", "Albany"], NV = [" Reno "] }
region = { West = ["CA", "NV"], "E." = ["NY"] }
"""


def test_declared_levels() -> None:
    schema = Schema.parse(CITY)
    again = Schema.parse(schema.to_toml())
    assert again == schema and again.digest == schema.digest
    assert len({schema.columns["city"], again.columns["city"]}) == 1
    plain = Schema.parse(CITY[: CITY.index("[columns.city.levels]")])
    assert plain != schema
    city = schema.columns["city"]
    assert isinstance(city, Categorical)
    assert city.grouped() == ((0, 0, 1, 2, 1), (0, 0, 1, 0, 1))


@pytest.mark.parametrize(
    ("written", "instead", "problem"),
    [
        ('" Reno "', '"Rono"', "levels.state: member 1 of group 'NV' is not one of the values"),
        ('" Reno "', '"SF"', "levels.state: member 1 of group 'NV' is in two groups"),
        ('" Reno "', "", "levels.state: 1 of 5 are in no group: each must be in one"),
        ('["CA", "NV"]', '["CA"]', "levels.region: 1 of 3 are in no group"),
        (
            '["CA", "NV"]',
            '["CA", "NV", "LA"]',
            "levels.region: member 3 of group 'West' is not a group of the level before",
        ),
        ('["NY"] }', '["NY"], S = [] }', "levels.region: a group is empty"),
        ('[" Reno "]', "3", "columns.city.levels.state.NV: must be a list"),
    ],
)
def test_levels_hold_each_value_once(written: str, instead: str, problem: str) -> None:
    with pytest.raises(SchemaError) as caught:
        Schema.parse(CITY.replace(written, instead))
    assert problem in str(caught.value)


def test_private_bins_and_bounds() -> None:
    text = """
    [columns.a]
    type = "integer"
    bounds = "private"
    [columns.b]
    type = "real"
    min = 0
    max = 1
    bins = "private"
    """
    schema = Schema.parse(text)
    assert Schema.parse(schema.to_toml()) == schema
    assert [column.found for column in schema.columns.values()] == [True, True]
    for wrong, problem in (
        ("min = 3", 'columns.a.min: bounds = "private" has the bounds found: delete min and max, or bounds'),
        ("bins = 3", "columns.a: bins: where the bounds are found, so are the bins"),
        ('bins = "privat"', "columns.a.bins: must be a whole number"),
        ("bins = 0", "columns.a.bins: must be at least 1"),
    ):
        with pytest.raises(SchemaError) as caught:
            Schema.parse(text.replace('bounds = "private"', f'bounds = "private"\n{wrong}'))
        assert problem in str(caught.value)
    with pytest.raises(SchemaError, match="bounds: must be"):
        Schema.parse(text.replace('bounds = "private"', 'bounds = "found"'))
