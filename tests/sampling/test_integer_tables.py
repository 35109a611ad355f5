from __future__ import annotations

import io
import json
import random
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from dpsynth.errors import DigestMismatch
from dpsynth.measurement import Level
from dpsynth.sampling import ONE, IntegerTables, Node, from_bytes, to_bytes
from tests.sampling.oracle import forest


def same(left: IntegerTables, right: IntegerTables) -> bool:
    return (
        left.columns == right.columns
        and left.levels == right.levels
        and left.total == right.total
        and [(n.given, n.new) for n in left.nodes] == [(n.given, n.new) for n in right.nodes]
        and all(np.array_equal(a.table, b.table) for a, b in zip(left.nodes, right.nodes, strict=True))
        and all(np.array_equal(a, b) for a, b in zip(left.weights, right.weights, strict=True))
    )


def test_file_round_trip_is_exact_and_deterministic(tmp_path):
    tables = forest()
    tables.save(tmp_path / "model.npz")
    again = IntegerTables.load(tmp_path / "model.npz")
    assert same(tables, again)
    assert to_bytes(again) == to_bytes(forest()) == (tmp_path / "model.npz").read_bytes()


def test_the_format_is_the_documented_one():
    with zipfile.ZipFile(io.BytesIO(to_bytes(forest()))) as archive:
        names = archive.namelist()
        assert names == sorted(names)
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert {info.date_time[0] for info in archive.infolist()} == {1980}
    with np.load(io.BytesIO(to_bytes(forest())), allow_pickle=False) as arrays:
        assert json.loads(arrays["manifest"].tobytes()) == {
            "v": 1,
            "columns": ["a", "b", "c", "d", "e", "f"],
            "fine": [3, 4, 3, 5, 11, 4],
            "nodes": [
                {"given": [], "new": ["a"]},
                {"given": ["a"], "new": ["b"]},
                {"given": ["a"], "new": ["c"]},
                {"given": ["b", "a"], "new": ["d"]},
                {"given": [], "new": ["e", "f"]},
            ],
            "chunk": 1048576,
            "total": 1000,
        }
        assert arrays["node_3"].shape == (12, 5)
        assert arrays["node_3"].dtype == np.dtype("<u8")
        assert arrays["level_4"].dtype == np.dtype("<u2")


def test_damage_anywhere_is_noticed_or_harmless():
    """A flipped bit gives DigestMismatch, or (in zip fields that nothing reads) exactly the same tables."""
    tables, data = forest(), to_bytes(forest())
    places = random.Random(1)
    noticed = 0
    for _ in range(400):
        damaged = bytearray(data)
        damaged[places.randrange(len(data))] ^= 1 << places.randrange(8)
        try:
            assert same(from_bytes(bytes(damaged)), tables)
        except DigestMismatch:
            noticed += 1
    assert noticed > 200


@pytest.mark.parametrize("length", [0, 1, 100, 2000])
def test_a_cut_file_is_damaged(length):
    with pytest.raises(DigestMismatch):
        from_bytes(to_bytes(forest())[:length])


def edited(**changes: object) -> bytes:
    with np.load(io.BytesIO(to_bytes(forest())), allow_pickle=False) as arrays:
        members = {name: arrays[name] for name in arrays.files}
    manifest = json.loads(members["manifest"].tobytes())
    for name, value in changes.items():
        if name in manifest:
            manifest[name] = value
        elif value is None:
            del members[name]
        else:
            members[name] = value
    members["manifest"] = np.frombuffer(json.dumps(manifest).encode(), dtype=np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, **members)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2},
        {"chunk": 65536},
        {"total": -1},
        {"total": 1.5},
        {"columns": ["a", "a", "c", "d", "e", "f"]},
        {"columns": ["a", "b", "c", "d", "e"]},
        {"columns": 3},
        {"fine": [3, 4, 3, 5, 12, 4]},
        {"nodes": []},
        {"nodes": [{"given": ["b"], "new": ["a"]}] * 5},
        {"extra": np.zeros(1)},
        {"weight_4": None},
        {"weight_4": np.full(11, ONE, dtype=np.uint64)},
        {"node_0": np.array([[ONE, 0, 1]], dtype=np.uint64)},
        {"node_0": np.array([[2**64 - 1, 1, ONE]], dtype=np.uint64)},
        {"node_0": np.array([[0.5, 0.25, 0.25]])},
        {"node_1": np.full((1, 3), [ONE, 0, 0], dtype=np.uint64)},
        {"level_0": np.array([0, 2, 2], dtype=np.uint16)},
        {"node_0": np.array([{}], dtype=object)},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_a_file_that_breaks_a_rule_is_refused(changes):
    with pytest.raises(DigestMismatch):
        from_bytes(edited(**changes))


def test_an_edit_without_change_is_accepted():
    assert same(from_bytes(edited()), forest())


def test_tables_are_read_only():
    tables = forest()
    with pytest.raises(ValueError, match="read-only"):
        tables.nodes[0].table[0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        tables.weights[0][0] = 1


def test_order_of_nodes_is_checked():
    tables = forest()
    with pytest.raises(ValueError, match="out of order"):
        replace(tables, nodes=tables.nodes[::-1])
    with pytest.raises(ValueError, match="no node draws"):
        replace(tables, nodes=tables.nodes[:-1])
    with pytest.raises(ValueError, match="out of order"):
        replace(tables, nodes=(*tables.nodes, tables.nodes[0]))


def test_columns_without_weights_spread_evenly():
    nodes = [((), ("x",), np.ones((1, 2)))]
    tables = IntegerTables.build(nodes, [Level("x", np.array([0, 0, 0, 0, 1]))], {}, 5)
    assert tables.weights[0].tolist() == [ONE // 4] * 4 + [ONE]
    assert Node.of((), ("x",), np.ones((1, 2))).table.tolist() == [[ONE // 2] * 2]
