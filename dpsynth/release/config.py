"""``release.toml``: one file that says what to release, from what, at what price."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from dpsynth.errors import ConfigurationError, nearest
from dpsynth.files import parse_toml
from dpsynth.mechanisms import DEFAULT, Workload
from dpsynth.privacy import Budget, Measure
from dpsynth.schema.quantity import EXPECTED, limit_of

ReleaseId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$")]
NoiseKind = Literal["exact", "opendp"]
"""``"exact"``: the law that the measure is about, exactly. ``"opendp"``: OpenDP's discrete Gaussian, in zcdp only."""

MAX_SEED = 2**63 - 1


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, strict=True)


class DataSection(_Section):
    """``[data]``: the private table and its schema, as paths relative to the file.

    ``source`` may also be a folder or pattern of Parquet files, ``sqlite:PATH#TABLE`` or
    ``postgresql://USER@HOST/DATABASE#TABLE``: a table in a database.

    ``artificial`` declares that nobody in the table exists; every page of the release then says so. ``cell``, written
    COLUMN=LABEL, is the one that is read where the account is one cell of a divided account. ``memory``, such as
    "3 GiB", or in bytes, is the most that a run may take; half of the machine's if it is left out. No result depends on
    it.
    """

    source: str
    schema_: Annotated[str, Field(alias="schema")]
    artificial: bool = False
    cell: Annotated[str, Field(pattern=r"^[^=]+=.+$")] | None = None
    memory: str | int | None = None

    @field_validator("memory", mode="before")
    @classmethod
    def _amount(cls, value: object) -> object:
        try:
            limit_of(value, "memory")
        except ConfigurationError:
            raise ValueError(EXPECTED) from None
        return value


class BudgetSection(_Section):
    """``[budget]``: exact strings; ``account`` and ``store`` may be left out for the store beside the data.

    ``store`` is a file, by a path relative to the ``release.toml``, or the ``postgresql://`` URL of a database.
    ``measure`` is that of the account; ``"pure"`` goes with delta "0". ``noise`` "opendp" needs the measure "zcdp".
    """

    epsilon: str
    delta: str
    measure: Measure = "gdp"
    noise: NoiseKind = "exact"
    account: str | None = None
    store: str | None = None

    @field_validator("epsilon", "delta", mode="before")
    @classmethod
    def _exact(cls, value: object) -> object:
        if not isinstance(value, str):
            raise ValueError('a budget is an exact string in quotes, such as "1" or "1e-9"')
        return value


class MarginalSection(_Section):
    """``[[mechanism.workload.marginals]]``: columns whose joint table matters, and how much."""

    columns: tuple[str, ...]
    weight: int = 1

    @field_validator("columns", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value


class WorkloadSection(_Section):
    """``[mechanism.workload]``: the marginals that the synthetic data should get right.

    All of ``ways`` columns, or the ``marginals`` listed; ``columns`` that matter most, each with a factor; a ``target``
    that will be predicted.
    """

    ways: int = 2
    marginals: tuple[MarginalSection, ...] = ()
    columns: dict[str, int] = {}
    target: str | None = None

    @field_validator("marginals", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.marginals and "ways" in self.model_fields_set:
            raise ValueError(
                "ways means all marginals of so many columns, and marginals lists some: remove ways, or the marginals"
            )
        return self

    @property
    def workload(self) -> Workload:
        """The workload, checked as far as it can be without a schema."""
        listed = tuple((found.columns, found.weight) for found in self.marginals)
        return Workload(self.ways, listed, tuple(self.columns.items()), self.target)


class MechanismSection(_Section):
    """``[mechanism]``: which mechanism chooses what to measure, and for which workload."""

    name: str = DEFAULT
    workload: WorkloadSection = WorkloadSection()


class ReleaseSection(_Section):
    """``[release]``: the identity of the release and what is written; ``supersedes`` is the id that it replaces."""

    id: ReleaseId
    rows: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] = 0
    formats: tuple[Literal["parquet", "csv"], ...] = ("parquet",)
    sign_with: str | None = None
    title: str = ""
    supersedes: ReleaseId | None = None

    @field_validator("formats", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return tuple(value) if isinstance(value, list) else value

    @field_validator("formats")
    @classmethod
    def _parquet_first(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "parquet" not in value or len(set(value)) != len(value):
            raise ValueError('formats name "parquet" and, if wanted, "csv", each once')
        return tuple(sorted(value, reverse=True))

    @model_validator(mode="after")
    def _another(self) -> Self:
        if self.supersedes == self.id:
            raise ValueError("supersedes names the release itself: give the id of the one that it replaces")
        return self


def checked(section: Mapping[str, object]) -> ReleaseSection:
    """The values of ``[release]``, by whatever way they came; ConfigurationError names the wrong one."""
    try:
        return ReleaseSection.model_validate(section)
    except ValidationError as error:
        raise ConfigurationError("; ".join(_complaints(error, ReleaseSection))) from None


class ReleaseConfig(_Section):
    """A whole ``release.toml``."""

    data: DataSection
    budget: BudgetSection
    mechanism: MechanismSection = MechanismSection()
    release: ReleaseSection

    @classmethod
    def load(cls, path: str | Path) -> ReleaseConfig:
        """Read a file; ConfigurationError names the file, the key and its nearest right one."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"{path}: cannot be read ({error.strerror}); give a release.toml") from None
        except UnicodeDecodeError:
            raise ConfigurationError(f"{path}: is not UTF-8 text; give a release.toml") from None
        return cls.parse(text, str(path))

    @classmethod
    def parse(cls, text: str, origin: str) -> ReleaseConfig:
        """Read TOML text; ``origin`` names it in errors."""
        document = parse_toml(text, origin)
        if "columns" in document and "release" not in document:
            raise ConfigurationError(
                f"{origin}: this is a schema; give the release.toml that names it in [data] schema"
            )
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            raise ConfigurationError(f"{origin}: " + "; ".join(_complaints(error, cls))) from None

    @property
    def total(self) -> Budget:
        """The budget of the release, exact."""
        return Budget(epsilon=self.budget.epsilon, delta=self.budget.delta)


def _complaints(error: ValidationError, model: type[BaseModel]) -> list[str]:
    result = []
    for item in error.errors(include_url=False):
        path = [str(part) for part in item["loc"]]
        key = ".".join(path)
        if item["type"] == "extra_forbidden":
            result.append(f"unknown key {key!r}{_elsewhere(model, path) or nearest(path[-1], _keys(model, path[:-1]))}")
        elif item["type"] == "missing":
            result.append(f"key {key!r} is missing")
        elif item["type"] == "literal_error":
            known = item["ctx"]["expected"]
            close = nearest(str(item["input"]), re.findall(r"'([^']*)'", known))
            result.append(f"key {key!r}: must be {known}{close}")  # never what was read: it may be data by mistake
        else:
            result.append(f"key {key!r}: {item['msg'].removeprefix('Value error, ')}")
    return result


def _elsewhere(model: type[BaseModel], path: list[str]) -> str:
    """Which section has the key that this one has not; nothing where none has."""
    found = [section for section in _keys(model, []) if path[-1] in _keys(model, [section])]
    return f"; {path[-1]} stands under [{found[0]}]" if found else ""


def _keys(model: type[BaseModel], path: list[str]) -> list[str]:
    """The keys of the section at a path, of which whole numbers are places in a list."""
    for part in path:
        if part.isdecimal():
            continue
        found = next((f.annotation for n, f in model.model_fields.items() if part in (n, f.alias)), None)
        inner = [kind for kind in (found, *get_args(found)) if isinstance(kind, type) and issubclass(kind, BaseModel)]
        if not inner:
            return []
        model = inner[0]
    return [field.alias or name for name, field in model.model_fields.items()]
