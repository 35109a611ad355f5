"""Each wrong schema gets one SchemaError that names the file, the key and the nearest right key, and no value."""

from pathlib import Path

import pytest

from dpsynth.errors import SchemaError
from dpsynth.schema import Categorical, Integer, Schema

AGE = "[columns.age]\ntype = 'integer'\nmin = 0\nmax = 120\n"
SECRET = "Zx9-secret"


def message(text: str) -> str:
    with pytest.raises(SchemaError) as caught:
        Schema.parse(text, "people.toml")
    assert caught.value.__cause__ is None
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[column.age]\ntype = 'integer'", ["people.toml: column: unknown key; did you mean 'columns'?"]),
        ("[unit]\nmax_row = 2\n" + AGE, ["unit.max_row: unknown key; did you mean 'max_rows'?"]),
        (
            "[unit]\nfoo = 2\n" + AGE,
            [
                "unit.foo: unknown key; known here: column, entity, max_rows, max_weight, neighbours, weight, "
                "weight_origin"
            ],
        ),
        (AGE + "bin = 3", ["columns.age.bin: unknown key; did you mean 'bins'?"]),
        (
            AGE + "values = ['a']",
            ["columns.age.values: unknown key; known here: bins, bounds, max, min, nullable, type"],
        ),
        ("[columns.age]\ntipe = 'integer'", ["columns.age.tipe: unknown key; did you mean 'type'?"]),
        ("[columns.age]\ntype = 'int'", ["columns.age.type: must be one of", "did you mean 'integer'?"]),
        ("[columns.age]\ntype = 'fraction'", ["columns.age.type: must be one of"]),
        ("[columns.age]\ntype = 3", ["columns.age.type: must be one of"]),
        ("[columns.age]\ntype = 'integer'\nmni = 1\nmax = 2", ["columns.age.mni: unknown key; did you mean 'min'?"]),
        ("[columns.capital.gain]\ntype = 'integer'", ["columns.capital.gain", '[columns."capital.gain"]']),
        ("[columns.age]\ntype = 'integer'\nmin = 5\nmax = 5", ["columns.age: min must be below max"]),
        ("[columns.'a b']\ntype = 'real'\nmin = 5\nmax = 4.9", ['columns."a b": min must be below max']),
        ("[columns.age]\ntype = 'real'\nmin = nan\nmax = 1", ["columns.age.min: must be finite"]),
        ("[columns.age]\ntype = 'real'\nmin = 0\nmax = inf", ["columns.age.max: must be finite"]),
        (f"[columns.age]\ntype = 'real'\nmin = 0\nmax = 1{'0' * 400}", ["columns.age.max: must be a number"]),
        (f"[columns.age]\ntype = 'integer'\nmin = 0\nmax = {2**53 + 1}", ["columns.age.max: must be at most 9007199"]),
        ("[columns.age]\ntype = 'integer'\nmin = 0\nmax = 5.0", ["columns.age.max: must be a whole number"]),
        ("[columns.age]\ntype = 'integer'\nmin = true\nmax = 5", ["columns.age.min: must be a whole number"]),
        (AGE + "bins = 'privat'", ["columns.age.bins: must be a whole number", 'or "private"; did you mean']),
        (AGE + "bins = 2.5", ["columns.age.bins: must be a whole number", 'or "private"']),
        ("[columns.age]\ntype = 'real'\nbounds = 'privat'", ['columns.age.bounds: must be "private"; did you mean']),
        ("[columns.s]\ntype = 'categorical'\nvalues = 'privat'", ["columns.s.values: must be", 'values = "private"']),
        (AGE + "bins = 0", ["columns.age.bins: must be at least 1"]),
        (AGE + "nullable = 'yes'", ["columns.age.nullable: must be true or false"]),
        ("[columns.s]\ntype = 'ordinal'\nvalues = []", ["columns.s.values: must not be empty"]),
        ("[columns.s]\ntype = 'ordinal'\nvalues = [1, 2]", ["people.toml: columns.s.values: each value must be text"]),
        ("[columns.s]\ntype = 'ordinal'\nvalues = 'private'", ["columns.s.values: must be a list"]),
        ("[columns.s]\ntype = 'ordinal'\nvalues = ['a', ' a ']", ["columns.s.values: value 2 repeats"]),
        ("[columns.s]\ntype = 'ordinal'\nvalues = ['\\u00e9', 'e\\u0301']".replace("'", '"'), ["value 2 repeats"]),
        ("[columns.s]\ntype = 'ordinal'\nvalues = ['a', ' ']", ["columns.s.values: value 2 is empty", "nullable"]),
        ("[columns.s]\ntype = 'ordinal'\nvalues = ['a']\notherwise = 'b'", ["columns.s: otherwise must be one of"]),
        ("[unit]\nmax_rows = 2\n" + AGE, ["unit: max_rows above 1 needs column"]),
        ("[unit]\nmax_rows = 0\n" + AGE, ["unit.max_rows: must be at least 1"]),
        ("[unit]\ncolumn = ''\n" + AGE, ["unit.column: must not be empty"]),
        ("[unit]\ncolumn = 'age'\n" + AGE, ["columns.age: is the column of the unit"]),
        ("[unit]\nneighbours = 'replace_one'\n" + AGE, ['must be "add-remove" or "replace-one"; did you mean']),
        ("unit = 3\n" + AGE, ["unit: must be a table"]),
        ("columns = 3", ["columns: must be a table"]),
        ("columns.age = 3", ["columns.age: must be a table"]),
        ("", ["needs at least one column"]),
        ("[columns]", ["needs at least one column"]),
        ("[columns.'']\ntype = 'boolean'", ['columns."": a column name is not empty']),
        ('[columns."a\\nb"]\ntype = "boolean"', ['columns."a\\nb": a column name is not empty and has no control']),
        ("a = " + "[" * 5000, ["people.toml: not valid TOML: nested too deeply"]),
        ("age,sex\n1,2", ["people.toml: not valid TOML at line 1, column 4"]),
    ],
)
def test_message_names_the_key(text: str, parts: list[str]) -> None:
    found = message(text)
    assert found.startswith("people.toml: ")
    assert [part for part in parts if part not in found] == []


@pytest.mark.parametrize(
    "text",
    [
        f"[columns.age]\ntype = '{SECRET}'",
        f"[columns.age]\ntype = 'integer'\nmin = '{SECRET}'\nmax = 3",
        f"[columns.s]\ntype = 'ordinal'\nvalues = ['{SECRET}', '{SECRET} ']",
        f"[columns.s]\ntype = 'ordinal'\nvalues = ['a', 3]\notherwise = '{SECRET}'",
        f"[columns.s]\ntype = 'ordinal'\nvalues = ['a']\notherwise = '{SECRET}'",
        f"[columns.s]\ntype = 'ordinal'\nvalues = '{SECRET}'",
        f"[unit]\nneighbours = '{SECRET}'\n{AGE}",
        f"[unit]\nmax_rows = '{SECRET}'\n{AGE}",
        f"name,{SECRET}\nx = y",
        f"name = {SECRET}",
        f"name = {{a = '{SECRET}', a = 1}}",
        f"{SECRET} = 1\n{SECRET} = 1",
    ],
)
def test_no_value_is_repeated(text: str) -> None:
    assert SECRET not in message(text)


def test_problems_are_all_told() -> None:
    found = message("[unit]\nfoo = 1\n[columns.a]\ntype = 'boolean'\nbar = 2\n[columns.b]\n[columns.c]\ntype = 'real'")
    assert found.startswith("people.toml: 3 problems:\n  unit.foo: ")
    assert "\n  columns.a.bar: unknown key" in found
    assert "\n    columns.b has no type\n    columns.c has no min and no max" in found


@pytest.mark.parametrize(("nullable", "most"), [(False, 65_535), (True, 65_534)])
def test_values_fit_codes_of_16_bits(nullable: bool, most: int) -> None:
    values = tuple(str(i) for i in range(most + 1))
    assert len(Categorical(values=values[:-1], nullable=nullable).values) == most
    with pytest.raises(SchemaError, match=r"columns\.zip: 65,53\d values are too many: at most 65,53\d fit"):
        Schema.model_validate({"columns": {"zip": {"type": "categorical", "values": values, "nullable": nullable}}})


def test_wrong_input_in_python_is_a_schema_error_too() -> None:
    with pytest.raises(SchemaError, match="foo: unknown key"):
        Schema.model_validate({"columns": {"a": Integer(min=0, max=1)}, "foo": 1})
    with pytest.raises(SchemaError, match="at least one column"):
        Schema(columns={})


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "people.toml"
    with pytest.raises(SchemaError, match=r"people\.toml: there is no such schema file; write one with: dpsynth init"):
        Schema.load(path)
    with pytest.raises(SchemaError, match="cannot be read"):
        Schema.load(tmp_path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SchemaError, match=r"people\.toml: not a schema: it is not UTF-8 text"):
        Schema.load(path)
    path.write_text("[columns.age]\ntype = 'boolean'\nx = 1")
    with pytest.raises(SchemaError, match=r"people\.toml: columns\.age\.x"):
        Schema.load(str(path))
    path.write_bytes(b"\xef\xbb\xbf" + AGE.replace("\n", "\r\n").encode())
    assert Schema.load(path).names == ("age",)


def test_only_the_origin_that_is_taken_is_offered():
    text = '[unit]\nentity = "p"\nweight = "w"\nmax_weight = 2.0\nweight_origin = "x"\n[columns.a]\ntype = "boolean"\n'
    with pytest.raises(SchemaError, match=r'weight_origin: must be "design"$'):
        Schema.parse(text, "people.toml")
