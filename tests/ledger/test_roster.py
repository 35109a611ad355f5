"""people.toml: what is written by hand becomes a root, or a sentence that says what is wrong where."""

from __future__ import annotations

import pytest

from dpsynth.errors import ConfigurationError, ThresholdNotMet
from dpsynth.ledger import Draft, Trust
from dpsynth.ledger.roster import Roster
from tests.ledger.office import ANA, BEN, CLEO, DORA, END, ENGINE, NEXT_YEAR, ORIGIN, first_root, signed

TEXT = f"""
name = "Office of Artificial Statistics"
expires = {END}
threshold = 2

[[people]]
id = "ana"
role = "officer"
keys = ["{ANA.public.base64}"]

[[people]]
id = "ben"
role = "officer"
keys = ["{BEN.public.base64}", {{ public_key = "{DORA.public.base64}", expires = "{NEXT_YEAR}" }}]

[[people]]
id = "engine"
role = "engine"
keys = ["{ENGINE.public.base64}"]
"""
REVOKED = f"""
[[revoked]]
key = "{CLEO.public.keyid}"
logs = {{ "{ORIGIN}" = 3 }}
"""


def parse(text: str) -> Roster:
    return Roster.parse(text, "people.toml")


def test_the_first_version() -> None:
    root = Draft.parse(parse(TEXT).draft()).root
    assert (root.version, root.name, root.expires, root.threshold) == (1, "Office of Artificial Statistics", END, 2)
    assert [(person.id, person.role, len(person.keys)) for person in root.people] == [
        ("ana", "officer", 1),
        ("ben", "officer", 2),
        ("engine", "engine", 1),
    ]
    assert [key.expires for key in root.people[1].keys] == [END, NEXT_YEAR]
    assert root.owner(BEN.public.keyid) is not None


def test_the_next_version() -> None:
    draft = parse(TEXT + REVOKED).draft(first_root())
    trust = Trust.parse(signed(draft, ANA, BEN))
    assert trust.newest.version == 2
    assert trust.newest.people == parse(TEXT).people
    revoked = trust.newest.revocation(CLEO.public.keyid)
    assert revoked is not None
    assert revoked.origins == {ORIGIN: 3}


def test_a_first_version_revokes_nothing() -> None:
    with pytest.raises(ConfigurationError, match="first version"):
        parse(TEXT + REVOKED).draft()


def test_the_next_version_of_an_incomplete_one() -> None:
    with pytest.raises(ThresholdNotMet):
        parse(TEXT).draft(parse(TEXT).draft())


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('name = "O', 'nane = "O', "did you mean 'name'"),
        ("expires = 2028-01-01\n", "", "'expires' is missing"),
        ("expires = 2028-01-01\n", 'expires = "soon"\n', "'expires' must be a day"),
        ("expires = 2028-01-01\n", "expires = 2028-01-01T00:00:00\n", "'expires' must be a day"),
        ("threshold = 2", 'threshold = "2"', "'threshold' must be a whole number"),
        ("threshold = 2", "threshold = true", "'threshold' must be a whole number"),
        ("threshold = 2", "threshold = 0", "at least 1"),
        ("threshold = 2", "threshold = 3", "2 officers"),
        ('role = "engine"', 'role = "machine"', r"people\[3\]\.role' must be \"officer\" or \"engine\""),
        ('id = "ben"', "id = 7", r"people\[2\]\.id' must be text"),
        ('id = "ben"', 'id = "ana"', "same id"),
        ('id = "ben"', 'id = "Ben Smith"', "letters, digits"),
        (BEN.public.base64, ANA.public.base64, "twice"),
        (BEN.public.base64, "AAAA", r"people\[2\]\.keys\.public_key' must be the base64 text"),
        ("public_key =", "publickey =", "did you mean 'public_key'"),
        (f'keys = ["{ENGINE.public.base64}"]', "keys = []", "a list in brackets"),
        (f'keys = ["{ENGINE.public.base64}"]', "keys = [7]", "must be a table"),
        ('role = "engine"', 'role = "engine"\nemail = "x"', "unknown key"),
    ],
)
def test_what_is_wrong_is_named(old: str, new: str, told: str) -> None:
    assert old in TEXT
    with pytest.raises(ConfigurationError, match=told):
        parse(TEXT.replace(old, new, 1)).draft()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (CLEO.public.keyid, "abc", "never had the key abc"),
        (CLEO.public.keyid, ENGINE.public.keyid, "which it revokes"),
        (ORIGIN, "elsewhere", "dpsynth.log"),
        ("= 3", '= "3"', "whole number"),
        ("logs = {", "logs = 7 #", "must be a table"),
        ("key =", "keyid =", "did you mean 'key'"),
    ],
)
def test_what_is_wrong_in_a_revocation(old: str, new: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        parse(TEXT + REVOKED.replace(old, new, 1)).draft(first_root())


def test_another_file_is_not_quoted() -> None:
    with pytest.raises(ConfigurationError) as error:
        parse("id,income\n1,secret\n")
    assert "secret" not in str(error.value)
    assert "line 1" in str(error.value)
