"""Truncation: at most so many rows of each entity, by a rule that looks at that entity alone."""

import hmac
from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.table.identities import canonical, numbered
from dpsynth.table.truncation import keep

KEY = bytes(range(32))
Row = tuple[str | None, int, int]
rows_of = st.lists(
    st.tuples(st.sampled_from(["ann", "bob", "cid", None]), st.integers(0, 3), st.integers(0, 300)), max_size=14
)


def kept(rows: list[Row], max_rows: int, key: bytes = KEY) -> list[Row]:
    words = sorted({row[0] for row in rows if row[0] is not None})
    entities = np.array([-1 if row[0] is None else words.index(row[0]) for row in rows], dtype=np.int64)
    columns = [np.array([r[1] for r in rows], dtype=np.uint8), np.array([r[2] for r in rows], dtype=np.uint16)]
    places = keep(entities, pa.array([word.encode() for word in words], pa.large_binary()), columns, max_rows, key)
    assert list(places) == sorted(set(places.tolist()))
    return [rows[place] for place in places]


def by_hand(rows: list[Row], max_rows: int) -> Counter[Row]:
    """The rule as it is documented."""
    groups = defaultdict(list)
    for row in rows:
        if row[0] is not None:
            groups[row[0]].append(row)
    result: Counter[Row] = Counter()
    for entity, group in groups.items():
        content = [entity.encode() + b"\0" + np.array(row[1:], dtype="<u2").tobytes() for row in group]
        ranked = sorted(zip(content, group, strict=True), key=lambda pair: hmac.digest(KEY, pair[0], "sha256"))
        result.update(row for _, row in ranked[:max_rows])
    return result


class TestKeep:
    @settings(deadline=None)
    @given(rows_of, st.integers(1, 3))
    def test_is_the_documented_rule(self, rows: list[Row], max_rows: int) -> None:
        assert Counter(kept(rows, max_rows)) == by_hand(rows, max_rows)

    @settings(deadline=None)
    @given(rows_of, st.integers(1, 3), st.randoms(use_true_random=False))
    def test_does_not_depend_on_the_order(self, rows: list[Row], max_rows: int, order: object) -> None:
        shuffled = list(rows)
        order.shuffle(shuffled)  # type: ignore[attr-defined]
        assert Counter(kept(shuffled, max_rows)) == Counter(kept(rows, max_rows))

    @settings(deadline=None)
    @given(rows_of, st.integers(1, 3))
    def test_of_an_entity_does_not_depend_on_the_others(self, rows: list[Row], max_rows: int) -> None:
        whole = Counter(kept(rows, max_rows))
        for entity in {row[0] for row in rows}:
            without = Counter(kept([row for row in rows if row[0] != entity], max_rows))
            assert {row: n for row, n in whole.items() if row[0] != entity} == without
            assert sum(n for row, n in whole.items() if row[0] == entity) <= max_rows

    def test_needs_the_key(self) -> None:
        rows: list[Row] = [("ann", 0, number) for number in range(50)]
        assert kept(rows, 3) != kept(rows, 3, b"another key of 32 bytes ........")

    def test_keeps_all_of_those_with_few_rows(self) -> None:
        rows: list[Row] = [("ann", 1, 2), ("ann", 1, 2), ("bob", 1, 2), (None, 1, 2)]
        assert kept(rows, 2) == rows[:3]


class TestIdentities:
    @pytest.mark.parametrize(
        ("array", "same"),
        [
            (pa.array(["a", " a ", "b", "", None]), [0, 0, 1, None, None]),
            (pa.array([b"a", b"\xff", b"\xfe", b"\xff", None]), [0, 1, 2, 1, None]),
            (pa.array([1, 2, None, 1]), [0, 1, None, 0]),
            (pa.array([1.0, 2.5, float("nan"), None, 1.0]), [0, 1, None, None, 0]),
            (pa.array(["a", "b", None, "a"]).dictionary_encode(), [0, 1, None, 0]),
            (pa.DictionaryArray.from_arrays(pa.array([0, 1, 2]), pa.array(["a", None, "a "])), [0, None, 0]),
            (pa.nulls(2), [None, None]),
        ],
    )
    def test_tell_entities_apart(self, array: pa.Array, same: list[int | None]) -> None:
        found, words = numbered(canonical(pa.chunked_array([array, array])))
        assert [None if place < 0 else place for place in found.tolist()] == same * 2
        assert len(words) == len({place for place in same if place is not None})

    def test_typed_and_text_cells_agree(self) -> None:
        assert canonical(pa.array([1, 2])).equals(canonical(pa.array(["1", "2"])))
