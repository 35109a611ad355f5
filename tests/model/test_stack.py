"""Tables in one vector: sums along axes and over faces, against those of each table by itself."""

from __future__ import annotations

from itertools import combinations
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.model import stack as module
from dpsynth.model.operators import centred
from dpsynth.model.stack import Stack

SHAPES = st.lists(st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple), max_size=6)


def of(shapes: list[tuple[int, ...]]) -> Stack:
    return Stack(tuple(shapes[i] for i in Stack.order(shapes)))


@settings(max_examples=80, deadline=None)
@given(SHAPES, st.sampled_from([1, 20, 1 << 12]), st.integers(0, 99))
def test_sums_are_those_of_each_table(shapes: list[tuple[int, ...]], large: int, seed: int) -> None:
    with patch.object(module, "LARGE", large):
        stack = of(shapes)
        vector = np.random.default_rng(seed).normal(size=stack.size)
        tables = list(stack.tables(vector))
        assert [table.shape for table in tables] == list(stack.shapes)
        for axis, lines in enumerate(stack.lines):
            held = [table for table in tables if table.ndim > axis]
            sums = [table.sum(axis=axis) for table in held]
            np.testing.assert_allclose(lines.sums(vector[lines.first :]), np.concatenate([s.ravel() for s in sums]))
            wide = [np.broadcast_to(np.expand_dims(s, axis), t.shape) for s, t in zip(sums, held, strict=True)]
            np.testing.assert_allclose(
                lines.spread(lines.sums(vector[lines.first :])), np.concatenate([table.ravel() for table in wide])
            )
        whole = np.concatenate([np.zeros(0), *(centred(table).ravel() for table in tables)])
        np.testing.assert_allclose(stack.centred(vector), whole, atol=1e-12)


@settings(max_examples=80, deadline=None)
@given(SHAPES, st.sampled_from([1, 20, 1 << 12]), st.integers(0, 99))
def test_faces_are_the_means_over_other_axes(shapes: list[tuple[int, ...]], large: int, seed: int) -> None:
    with patch.object(module, "LARGE", large):
        stack = of(shapes)
        rng = np.random.default_rng(seed)
        vector = rng.normal(size=stack.size)
        tables, faces = list(stack.tables(vector)), stack.faces
        found = dict(
            zip(zip(faces.owners, faces.axes, strict=True), faces.stack.tables(faces.means(vector)), strict=True)
        )
        wanted = {
            (i, axes) for i, t in enumerate(tables) for n in range(1, t.ndim) for axes in combinations(range(t.ndim), n)
        }
        assert set(found) == wanted
        for (i, axes), mean in found.items():
            others = tuple(axis for axis in range(tables[i].ndim) if axis not in axes)
            np.testing.assert_allclose(mean, tables[i].mean(axis=others), atol=1e-12)
        other, back = rng.normal(size=faces.stack.size), np.zeros(stack.size)
        faces.add_back(other, back)
        assert back @ vector == pytest.approx(other @ faces.means(vector), abs=1e-9)
