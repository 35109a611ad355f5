"""What only a person can say about a deployment, for a registry entry: read from a small TOML, never made up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType
from typing import Any

from dpsynth.errors import ConfigurationError, nearest
from dpsynth.files import parse_toml

LISTS: Mapping[str, str] = MappingProxyType(
    {
        "data_curators": "who publishes the data, by name",
        "registry_authors": "who filled in this entry, by name",
    }
)
"""Questions whose answers are lists of names."""

TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "intended_use": "what the data are meant for",
        "data_product_region": "which region the data describe, or whose law applies",
        "actors": "who may see what, including adversaries; whom the people in the table trust, and why",
        "preprocessing_and_hyperparameter_tuning": "what was done to the table, or looked at in it, before this "
        "release, and whether it was charged",
        "mechanisms": "who may read the private table, and how it is kept",
        "justification": "why this budget, unit and mechanism, who decided it, and how it was checked",
        "sources": "links to the data and to papers about them",
    }
)
"""Questions whose answers are texts."""

CHOICES: Mapping[str, tuple[str, tuple[str, ...]]] = MappingProxyType(
    {
        "data_product_sector": (
            "which sector the data describe",
            ("Technology", "Healthcare", "Education", "Government", "Energy", "Finance"),
        ),
        "data_source_type": ("whether new data come into the table over time", ("Static", "Dynamic")),
    }
)
"""Questions whose answers are one of a few words, which the registry's schema fixes."""

EXTRA = (
    "description",
    "data_domain",
    "unprotected_quantities",
    "model_name_details",
    "release_type_details",
    "data_source_type_details",
    "access_type_details",
    "post_processing",
    "notes",
)
"""Texts that nobody asks for. They follow what the ledger says, and never replace it."""

RELEASES = ("One release", "Many releases")
KEYS = (*LISTS, *TEXTS, *CHOICES, *EXTRA, "release_type", "publication_date")


@dataclass(frozen=True)
class Told:
    """Answers by the registry's own names of fields; each is checked."""

    answers: Mapping[str, str | tuple[str, ...]]

    @classmethod
    def nothing(cls) -> Told:
        """No answers."""
        return cls(MappingProxyType({}))

    @classmethod
    def parse(cls, text: str, origin: str) -> Told:
        """Read TOML text; ConfigurationError names the file, the key and what was expected."""
        found = parse_toml(text, origin)
        return cls(MappingProxyType({key: _answer(key, value, origin) for key, value in found.items()}))

    def text(self, key: str) -> str:
        """The text of a key, or ``""``."""
        found = self.answers.get(key, "")
        return found if isinstance(found, str) else ", ".join(found)

    def names(self, key: str) -> tuple[str, ...]:
        """The names of a key, or none."""
        found = self.answers.get(key, ())
        return found if isinstance(found, tuple) else (found,)

    @property
    def missing(self) -> tuple[tuple[str, str], ...]:
        """Each question without an answer: its key, and what is asked."""
        asked = {**LISTS, **TEXTS, **{key: question for key, (question, _) in CHOICES.items()}}
        return tuple((key, question) for key, question in asked.items() if key not in self.answers)


def _answer(key: str, value: Any, origin: str) -> str | tuple[str, ...]:
    if key not in KEYS:
        raise ConfigurationError(
            f"{origin}: unknown key {key!r}{nearest(key, KEYS)}; a person may say {', '.join(KEYS)}"
        )
    if key in LISTS:
        if isinstance(value, list) and value and all(isinstance(item, str) and item.strip() for item in value):
            return tuple(value)
        raise ConfigurationError(f"{origin}: key {key!r}: must be a list of names")
    if key == "publication_date" and type(value) is date:
        return value.isoformat()
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(f"{origin}: key {key!r}: must be text in quotes")
    words = RELEASES if key == "release_type" else CHOICES[key][1] if key in CHOICES else ()
    if words and value not in words:
        raise ConfigurationError(f"{origin}: key {key!r}: must be one of {', '.join(words)}")
    if key == "publication_date" and not _is_day(value):
        raise ConfigurationError(f'{origin}: key {key!r}: must be a day such as "2026-01-31"')
    return value


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
