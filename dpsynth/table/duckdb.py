"""DuckDB relations.

A relation belongs to a connection of the caller's: dpsynth opens none, so it neither installs nor loads an extension.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dpsynth.table.arrow import ArrowStreams
from dpsynth.table.reader import ColumnInfo, Part, Reader, guarded

if TYPE_CHECKING:
    from dpsynth.table.reader import Batch

_AS_THEY_ARE = re.compile(
    r"BOOLEAN|U?(TINY|SMALL|BIG)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL\([0-9,]*\)|VARCHAR|BLOB|DATE|TIME"
    r"|TIMESTAMP(_S|_MS|_NS| WITH TIME ZONE)?|INTERVAL|ENUM\(.*\)|(STRUCT|MAP|UNION)\(.*\)|.*\[[0-9]*\]",
    re.DOTALL,
)
"""Types that Arrow has too. The others, such as HUGEINT, UUID and BIT, come as DuckDB prints them."""

_GONE = "DuckDB relation: it cannot be read; check that its connection is open and its tables are there"


@dataclass(frozen=True, eq=False)
class DuckdbRelation(Reader):
    """A query, which is run anew each time. Its types are those that a CSV reader guessed as well, so not declared."""

    relation: Any = field(repr=False)
    name = "DuckDB relation"
    advice = "check that its connection is open and that its query runs on every row"

    def parts(self) -> Iterator[Part]:
        """The names; nothing is run."""
        names = guarded(lambda: self.relation.columns, _GONE)
        yield Part(self.name, tuple(ColumnInfo(name, None) for name in names))

    def probe(self, names: Sequence[str]) -> None:
        """That the query can still be planned."""
        guarded(lambda: self._narrowed(names).limit(0).fetchall(), _GONE)

    def batches(self, names: Sequence[str]) -> Iterator[Batch]:
        """The named columns, projected in DuckDB, so that it need not compute the others."""
        yield from ArrowStreams(self._narrowed(names)).batches(names)

    def _narrowed(self, names: Sequence[str]) -> Any:
        kinds = dict(zip(self.relation.columns, map(str, self.relation.types), strict=True))
        return self.relation.project(", ".join(_cell(name, kinds[name]) for name in names))


def _cell(name: str, kind: str) -> str:
    quoted = '"' + name.replace('"', '""') + '"'
    return quoted if _AS_THEY_ARE.fullmatch(kind) else f"CAST({quoted} AS VARCHAR) AS {quoted}"
