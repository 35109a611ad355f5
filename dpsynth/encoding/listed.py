"""Codecs of listed values: categorical, ordinal and boolean columns."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from dpsynth.encoding.codec import Codec
from dpsynth.schema import Boolean, Categorical, Ordinal
from dpsynth.schema.text import canonical, number, spelling

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray


@dataclass(frozen=True)
class _Lookup(Codec):
    """Values told apart by their text: first as it is spelt, then by the number that it denotes."""

    @property
    @abstractmethod
    def unknown(self) -> int:
        """The code of a value that is not listed."""

    @property
    @abstractmethod
    def spelt(self) -> Mapping[str, int]:
        """The code of each text that is listed."""

    @property
    @abstractmethod
    def denoted(self) -> Mapping[str, int]:
        """The code of each number that a listed text denotes, by its ``spelling``."""

    @property
    def null(self) -> int:
        """The null cell, or the code of an unknown value where the column is not nullable."""
        return self.leaves if self.column.nullable else self.unknown

    def level(self) -> NDArray[np.uint16]:
        """The identity, as every value is a bin of its own: shape (size,)."""
        return np.arange(self.size, dtype=np.uint16)

    def _cells(self, array: pa.Array) -> NDArray[np.int64]:
        from dpsynth.encoding import arrays

        words = [None if text is None else self._fold(text) for text in arrays.spelt(array)]
        cells = np.array([self.null if word is None else self.spelt.get(word, -1) for word in words], dtype=np.int64)
        # Texts of one spelling denote one number, so only the rest whose number is listed are spelt out.
        listed = [number(text) for text in self.denoted]
        rest = np.flatnonzero((cells < 0) & np.isin(arrays.numbers(array), listed)) if listed else ()
        for place in rest:
            cells[place] = self.denoted.get(spelling(words[place] or "") or "", -1)
        return np.where(cells < 0, self.unknown, cells)

    def _fold(self, text: str) -> str:
        """The text as ``spelt`` has it."""
        return text


@dataclass(frozen=True)
class ListedCodec(_Lookup):
    """A categorical or ordinal column: the code of a value is its place in the list.

    A value matches what is spelt as it is, else the listed value that denotes the same number (the plainest one, the
    first of these): an int 3, a float 3.0 and the texts "3.0" and "03" all match "3", unless "3.0" or "03" is listed.
    """

    column: Categorical | Ordinal

    @property
    def leaves(self) -> int:
        """Number of listed values."""
        return len(self.column.values)

    @cached_property
    def unknown(self) -> int:
        """``otherwise`` if given, else null if the column is nullable, else the first value."""
        if self.column.otherwise is not None:
            return self.column.values.index(self.column.otherwise)
        return self.leaves if self.column.nullable else 0

    def hierarchy(self) -> tuple[NDArray[np.uint16], ...]:
        """The declared levels; null stays apart from all groups."""
        return tuple(
            np.array([*groups, *[max(groups) + 1] * self.column.nullable], dtype=np.uint16)
            for groups in self.column.grouped()
        )

    @cached_property
    def spelt(self) -> Mapping[str, int]:
        """The place of each value."""
        return {value: place for place, value in enumerate(self.column.values)}

    @cached_property
    def denoted(self) -> Mapping[str, int]:
        """The place of the value that stands for each number: spelt plainly, or as a float prints, or the first."""
        places: dict[str, int] = {}
        for plainly in (lambda value: value, canonical, spelling):
            for value, place in self.spelt.items():
                number_of = spelling(value)
                if number_of is not None and plainly(value) == number_of:
                    places.setdefault(number_of, place)
        return places

    def _decode(self, cells: NDArray[np.int64], words: NDArray[np.uint64]) -> pa.Array:
        from dpsynth.encoding import arrays

        return arrays.of_texts([*self.column.values, None]).take(arrays.of_numpy(cells))


@dataclass(frozen=True)
class BooleanCodec(_Lookup):
    """False is 0 and true is 1, also written f, t, no, yes, n, y, 0 and 1, in any case."""

    column: Boolean

    @property
    def leaves(self) -> int:
        """False and true."""
        return 2

    @property
    def unknown(self) -> int:
        """Null if the column is nullable, else false."""
        return 2 if self.column.nullable else 0

    @property
    def spelt(self) -> Mapping[str, int]:
        """The words, in lower case."""
        return {"false": 0, "f": 0, "no": 0, "n": 0, "true": 1, "t": 1, "yes": 1, "y": 1}

    @property
    def denoted(self) -> Mapping[str, int]:
        """0 and 1."""
        return {"0": 0, "1": 1}

    def _fold(self, text: str) -> str:
        return text.lower()

    def _decode(self, cells: NDArray[np.int64], words: NDArray[np.uint64]) -> pa.Array:
        from dpsynth.encoding import arrays

        return arrays.of_numpy(cells == 1, cells == 2)
