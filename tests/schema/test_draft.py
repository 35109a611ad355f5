"""The draft of ``dpsynth init``: what a declared type settles is filled in, what only the owner knows is left blank."""

import re
from datetime import date

import pytest

from dpsynth.errors import SchemaError
from dpsynth.schema import Boolean, Date, Integer, Real, Schema, draft

NAMES = [("age", None), ("a.b c", None), ("sex", None)]


def test_an_unmodified_draft_is_refused_and_says_what_is_blank() -> None:
    with pytest.raises(SchemaError) as caught:
        Schema.parse(draft([*NAMES, ("ok", "BOOLEAN"), ("n", "int64")]), "schema.toml")
    assert str(caught.value) == (
        'schema.toml: still blank. Only the owner can declare these: fill them in (or bounds = "private" for a range '
        "that nobody knows), or delete the section of a column to leave the column out:\n"
        '    columns.age has no type\n    columns."a.b c" has no type\n    columns.sex has no type\n'
        "    columns.n has no min and no max"
    )


@pytest.mark.parametrize(
    ("declared", "type_"),
    [
        *[(name, "integer") for name in ("int8", "uint64", "BIGINT", "UTINYINT", "INTEGER", "hugeint", "int4")],
        *[(name, "integer") for name in ("DECIMAL(18,0)", "numeric(5, 0)", "decimal128(10, 0)", "serial", "uinteger")],
        *[(name, "real") for name in ("double", "float", "halffloat", "FLOAT8", "DOUBLE PRECISION", "real")],
        *[(name, "real") for name in ("DECIMAL(18,3)", "decimal256(40, 2)", "numeric")],
        *[(name, "boolean") for name in ("bool", "BOOLEAN")],
        *[(name, "date") for name in ("DATE", "date32[day]", "date64[ms]")],
        *[(name, "datetime") for name in ("timestamp[us, tz=UTC]", "TIMESTAMP", "timestamptz", "datetime")],
        *[(name, "datetime") for name in ("timestamp(3) without time zone", "TIMESTAMP WITH TIME ZONE")],
        *[(name, "identifier") for name in ("uuid", "UUID", "extension<arrow.uuid>")],
        *[(name, None) for name in ("string", "large_string", "VARCHAR", "varchar(20)", "text", "string_view")],
        *[(name, None) for name in ("ENUM('a', 'b')", "dictionary<values=string, indices=int32, ordered=1>")],
    ],
)
def test_declared_types(declared: str, type_: str | None) -> None:
    text = draft([("x", declared)])
    section = text.partition("[columns.x]\n")[2]
    assert section
    assert re.findall(r'^type = "(\w+)"', section, re.MULTILINE) == ([type_] if type_ else [])
    assert not re.search(r"^(min|max|values)", section, re.MULTILINE)
    assert ("BLANK" in section) == (type_ not in ("boolean", "identifier"))


@pytest.mark.parametrize(
    "declared", ["BLOB", "list<item: int64>", "INTEGER[]", "time", "interval", "time32[s]", "duration[us]", "date[]"]
)
def test_a_type_that_no_column_holds_is_a_comment(declared: str) -> None:
    text = draft([("x", declared), ("ok", "bool")])
    assert Schema.parse(text).names == ("ok",)
    assert f'# [columns.x] is left out: no column type holds its declared type, "{declared}"' in text


def test_blanks_filled_in_make_a_schema() -> None:
    text = draft([("age", "int32"), ("income", "double"), ("ok", "bool"), ("day", "date"), ("sex", None)])
    head, *sections = text.split("\n[columns.")
    filled = []
    for section in sections:
        if section.startswith("sex"):
            section = section.replace("# type = ...    # BLANK, for example: ", "").replace(
                "# values = ...  # BLANK for categorical or ordinal, for example: ", ""
            )
        filled.append(re.sub(r"# m(in|ax) = \.\.\.  # BLANK: .*, for example: ", "", section))
    schema = Schema.parse("\n[columns.".join([head, *filled]))
    assert schema.columns["age"] == Integer(min=0, max=120)
    assert schema.columns["income"] == Real(min=0.0, max=99.9)
    assert schema.columns["ok"] == Boolean()
    assert schema.columns["day"] == Date(min=date(2020, 1, 1), max=date(2024, 12, 31))
    assert schema.columns["sex"].model_dump()["values"] == ("yes", "no")


def test_hostile_names_stay_inside_their_quotes() -> None:
    names = ['"]\ntype = "boolean"', "a\nb", "#", "'", "\\", "\x7f", "é", ""]
    for name in names:
        with pytest.raises(SchemaError, match="still blank"):
            Schema.parse(draft([(name, None), ("plain", None)]))
    assert Schema.parse(draft([("ok", "bool"), *[(name, 'DA"TE\n[columns.evil]') for name in names]])).names == ("ok",)
