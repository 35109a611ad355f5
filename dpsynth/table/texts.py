"""The texts of a column whose values are not known yet, and how many entities hold each of them.

A row has the digest of its text. The texts themselves lie beside the rows, once a batch, in buckets of their digests:
a bucket has all there is of each of its texts, so buckets are looked at one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dpsynth.table.blocks import Store
from dpsynth.table.identities import numbered
from dpsynth.table.runs import Runs, cut, uncut

if TYPE_CHECKING:
    import pyarrow as pa

    from dpsynth.encoding import Codec
    from dpsynth.table.counting import Codes

Digests = NDArray[np.void]
"""SHA-256, 32 bytes an element; zeros for a null."""

DIGEST = np.dtype("V32")

BUCKETS = 1 << 12
"""Buckets of digests: their first twelve bits."""

TEXT = 512
"""Bytes that a text takes, about, while it is looked at, beside its own."""

_HASHED = 1 << 16
"""Texts that are objects of Python at a time."""

_RECORD = np.dtype([("digest", DIGEST), ("holders", "<i8"), ("length", "<i8")])


@dataclass(frozen=True, eq=False, repr=False)
class Found:
    """The codes of digests: those that are told apart, and that of all others."""

    digests: pa.Array
    codes: Codes

    def of(self, digests: Digests) -> Codes:
        """The code of each of these digests."""
        import pyarrow.compute as pc

        from dpsynth.encoding import arrays

        places = pc.index_in(_array(digests), value_set=self.digests).fill_null(-1)
        return self.codes[arrays.to_numpy(places).astype(np.intp)]  # any other is at place -1


class Vocabulary:
    """The canonical texts of a column, and how many entities hold each: private.

    What is kept lies in ``store``; ``room`` bytes are worked with. Texts come out in parts: no text is in two of them,
    and each is sorted. How many parts there are depends on the rows, so no result may.
    """

    def __init__(self, store: Store, room: int) -> None:
        self._runs = Runs(store, BUCKETS)
        self._room = room

    def add(self, texts: pa.Array, alone: bool) -> Digests:
        """The digest of each text; the distinct ones are kept. ``alone``: each row is an entity that holds its text.

        Without it nobody holds them yet.
        """
        places, words = numbered(texts)
        found = digested(words)
        holders = np.bincount(places[places >= 0], minlength=len(words)) if alone else np.zeros(len(words))
        self._add(found, holders.astype(np.int64), words)
        return np.append(found, np.zeros(1, dtype=DIGEST))[places]

    def hold(self, digests: Digests, entities: NDArray[np.int64]) -> None:
        """Count each text once for each entity that has it in some of these rows, all rows of each of the entities.

        ``entities`` says whose each row is.
        """
        rows = np.flatnonzero(digests != np.zeros(1, dtype=DIGEST))
        places, words = numbered(_array(digests[rows]))
        pairs = np.unique(entities[rows] * len(words) + places)
        number = np.bincount(pairs % max(1, len(words)), minlength=len(words)).astype(np.int64)
        found = np.frombuffer(cut(words)[1], dtype=DIGEST)[: len(words)]
        self._add(found, number, None)

    def holders(self, otherwise: str) -> Iterator[tuple[list[str], NDArray[np.int64]]]:
        """The texts that are held but ``otherwise``, a canonical one, and how many entities hold each: sorted parts."""
        import pyarrow.compute as pc

        from dpsynth.encoding import arrays

        for _, words, number in self._parts():
            other = arrays.to_numpy(pc.equal(words, otherwise.encode())).astype(np.bool_)
            held = np.flatnonzero((number > 0) & ~other)
            texts = words.take(arrays.of_numpy(held)).to_pylist()
            order = sorted(range(len(texts)), key=texts.__getitem__)
            yield [texts[at].decode() for at in order], number[held[np.array(order, dtype=np.intp)]]

    def found(self, codec: Codec) -> Found:
        """The codes of all digests in the found column. That of most texts is the one of those not told apart."""
        import pyarrow as pa

        none = codec.encode(pa.nulls(1, pa.large_string()))
        kept, codes, most = [np.zeros(1, dtype=DIGEST)], [none], int(none[0])
        for digests, words, _ in self._parts():
            mine = codec.encode(words.cast(pa.large_string()))
            if not mine.size:
                continue
            if len(codes) == 1:
                most = int(np.bincount(mine).argmax())
            told = np.flatnonzero(mine != most)
            kept.append(digests[told])
            codes.append(mine[told])
        return Found(_array(np.concatenate(kept)), np.concatenate([*codes, np.array([most], dtype=none.dtype)]))

    def close(self) -> None:
        """Forget the texts."""
        self._runs.close()

    def _add(self, digests: Digests, holders: NDArray[np.int64], words: pa.Array | None) -> None:
        """Keep digests with some of their holders, and with their texts or without."""
        from dpsynth.encoding import arrays

        buckets = np.ascontiguousarray(digests).view(">u2")[::16] >> 4
        order = np.argsort(buckets, kind="stable")
        records = np.zeros(digests.size, dtype=_RECORD)
        records["digest"], records["holders"] = digests[order], holders[order]
        data = np.empty(0, dtype=np.uint8)
        if words is not None:
            offsets, every = cut(words.take(arrays.of_numpy(order)))
            records["length"], data = np.diff(offsets), every[offsets[0] : offsets[-1]]
        self._runs.add(records, data, np.bincount(buckets, minlength=BUCKETS))

    def _parts(self) -> Iterator[tuple[Digests, pa.Array, NDArray[np.int64]]]:
        """The distinct digests of some buckets, the text of each and how many hold it."""
        for first, last, _ in self._runs.stretches(_cost, self._room):
            yield self._part(first, last)

    def _part(self, first: int, last: int) -> tuple[Digests, pa.Array, NDArray[np.int64]]:
        from dpsynth.encoding import arrays

        parts = list(self._runs.parts(first, last))
        records = np.concatenate([np.empty(0, dtype=_RECORD), *(records for records, _ in parts)])
        data = np.concatenate([np.empty(0, dtype=np.uint8), *(texts for _, texts in parts)])
        places, words = numbered(_array(records["digest"]))
        holders = np.zeros(len(words), dtype=np.int64)
        np.add.at(holders, places, records["holders"])
        said = np.flatnonzero(records["length"])  # no canonical text is empty
        where = np.zeros(len(words), dtype=np.int64)
        where[places[said]] = said
        return records["digest"][where], uncut(records["length"], data).take(arrays.of_numpy(where)), holders


def digested(words: pa.Array) -> Digests:
    """The digest of each text, ``large_binary`` without nulls."""
    found = np.empty(len(words), dtype=DIGEST)
    for begin in range(0, len(words), _HASHED):
        some = words.slice(begin, _HASHED).to_pylist()
        found[begin : begin + _HASHED] = np.frombuffer(b"".join([sha256(word).digest() for word in some]), dtype=DIGEST)
    return found


def numbers(digests: Digests) -> NDArray[np.uint16]:
    """Digests as what rows are told apart by: shape (n, 16)."""
    return np.ascontiguousarray(digests).view("<u2").reshape(-1, 16)


def _cost(records: int, texts: int) -> int:
    return records * (TEXT + _RECORD.itemsize) + 4 * texts


def _array(digests: Digests) -> pa.Array:
    import pyarrow as pa

    data = pa.py_buffer(np.ascontiguousarray(digests).view(np.uint8))
    return pa.Array.from_buffers(pa.binary(DIGEST.itemsize), digests.size, [None, data])
