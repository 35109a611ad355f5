import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from dpsynth.measurement import Domain, Level


@st.composite
def levels(draw: st.DrawFn) -> Level:
    fine = draw(st.integers(1, 40))
    size = draw(st.integers(1, fine))
    rest = draw(st.lists(st.integers(0, size - 1), min_size=fine - size, max_size=fine - size))
    cells = draw(st.permutations([*range(size), *rest]))
    return Level("age", np.array(cells))


@given(levels())
def test_identity_goes_onto_every_level(level: Level) -> None:
    assert np.array_equal(Level.identity("age", level.fine).onto(level), level.cells)


@given(levels(), st.data())
def test_merging_composes(level: Level, data: st.DataObject) -> None:
    groups = np.unique(
        data.draw(st.lists(st.integers(0, 9), min_size=level.size, max_size=level.size)), return_inverse=True
    )[1]
    merged = level.merged(groups)
    assert np.array_equal(level.onto(merged), groups)
    assert np.array_equal(merged.cells, groups[level.cells])


def test_onto_refuses_what_is_not_coarser() -> None:
    halves, thirds = Level("age", np.array([0, 0, 0, 1, 1, 1])), Level("age", np.array([0, 0, 1, 1, 2, 2]))
    with pytest.raises(ValueError, match="not a coarsening"):
        halves.onto(thirds)
    with pytest.raises(ValueError, match="different columns"):
        halves.onto(Level("sex", np.array([0, 0, 0, 1, 1, 1])))


@pytest.mark.parametrize("cells", [[], [1, 2], [0, 2], [[0, 1]]])
def test_a_level_has_no_empty_cell(cells: list[int]) -> None:
    with pytest.raises(ValueError, match="level of 'age'"):
        Level("age", np.array(cells))


@given(levels(), levels())
def test_equal_exactly_when_the_map_is(one: Level, two: Level) -> None:
    assert (one == two) == np.array_equal(one.cells, two.cells)
    assert one != Level("other", one.cells)


def test_the_digest_is_for_ever() -> None:
    assert Level("age", np.array([0, 0, 1])).digest == (
        "sha256:bf6644113fb9eaa1ad7be9fe17de5ea9cc13678535383edda5c7dd6d96d50ab3"
    )


def test_a_level_cannot_be_changed() -> None:
    source = np.array([0, 1], dtype=np.uint16)
    level = Level("age", source)
    source[0] = 1
    assert level.cells.tolist() == [0, 1]
    with pytest.raises(ValueError, match="read-only"):
        level.cells[0] = 1


def test_domain() -> None:
    domain = Domain(("a", "b", "c"), (2, 3, 5))
    assert domain.cells(("a", "c")) == 10
    assert domain.cells(()) == 1
    assert domain.project(("c", "a")) == Domain(("c", "a"), (5, 2))
    assert "b" in domain
    assert "d" not in domain
    for names, sizes in [(("a", "a"), (1, 2)), (("a",), (0,)), (("a",), (1, 2))]:
        with pytest.raises(ValueError, match=r"domain|column"):
            Domain(names, sizes)
