"""The finest public grid of a table and the levels that its schema declares, from the codecs of its columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from dpsynth.measurement.domain import Domain
from dpsynth.measurement.level import Level

if TYPE_CHECKING:
    from dpsynth.encoding import Codec


def grid(codecs: Sequence[Codec]) -> tuple[Domain, Mapping[str, Level]]:
    """The domain of all fine cells, and each column's declared level: public bins, or the identity."""
    domain = Domain(tuple(codec.name for codec in codecs), tuple(codec.size for codec in codecs))
    return domain, MappingProxyType({codec.name: Level(codec.name, codec.level()) for codec in codecs})
