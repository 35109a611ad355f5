"""``model.npz``: the integer tables as a file.

Format, version 1: an uncompressed ``.npz`` without pickle, members sorted by name. ``manifest`` is a uint8 vector of
compact JSON ``{"v":1,"columns":[...],"fine":[...],"nodes":[{"given":[...],"new":[...]}...],"chunk":1048576,
"total":n}``; ``node_<i>`` is the uint64 table of node i, ``level_<j>`` the uint16 map fine -> model cell of column j
and ``weight_<j>`` its uint64 weights. Equal tables give equal bytes. A reader refuses anything more, less or other.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from typing import Any

import numpy as np

from dpsynth.errors import DigestMismatch
from dpsynth.measurement import Level
from dpsynth.sampling.tables import CHUNK, IntegerTables, Node

_DAMAGE = (
    KeyError,
    ValueError,
    TypeError,
    AttributeError,
    OSError,
    EOFError,
    MemoryError,
    OverflowError,
    RecursionError,
    RuntimeError,
    NotImplementedError,
    SyntaxError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
)


def to_bytes(tables: IntegerTables) -> bytes:
    """The bytes of ``model.npz``."""
    manifest = {
        "v": 1,
        "columns": list(tables.columns),
        "fine": list(tables.fine),
        "nodes": [{"given": list(node.given), "new": list(node.new)} for node in tables.nodes],
        "chunk": CHUNK,
        "total": tables.total,
    }
    text = json.dumps(manifest, separators=(",", ":"), ensure_ascii=True)
    arrays: dict[str, Any] = {"manifest": np.frombuffer(text.encode(), dtype=np.uint8)}
    for index, node in enumerate(tables.nodes):
        arrays[f"node_{index}"] = node.table.astype("<u8", copy=False)
    for index, (level, weight) in enumerate(zip(tables.levels, tables.weights, strict=True)):
        arrays[f"level_{index}"] = level.cells.astype("<u2", copy=False)
        arrays[f"weight_{index}"] = weight.astype("<u8", copy=False)
    buffer = io.BytesIO()
    np.savez(buffer, **{name: arrays[name] for name in sorted(arrays)})
    return buffer.getvalue()


def from_bytes(data: bytes) -> IntegerTables:
    """The tables of a ``model.npz``; DigestMismatch if it is damaged or breaks a rule of the format."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return _read(arrays)
    except DigestMismatch:
        raise
    except _DAMAGE as error:
        raise DigestMismatch(f"the model file is damaged or is not one ({type(error).__name__})") from error


def _read(arrays: Any) -> IntegerTables:
    manifest = json.loads(arrays["manifest"].tobytes())
    if manifest["v"] != 1 or manifest["chunk"] != CHUNK:
        raise DigestMismatch(f"model file of version {manifest['v']!r}, chunk {manifest['chunk']!r}: not known here")
    columns, fine, total = manifest["columns"], manifest["fine"], manifest["total"]
    if type(total) is not int or not all(type(name) is str for name in columns):
        raise DigestMismatch("the model file's manifest holds values of wrong types")
    expected = {"manifest"}
    expected.update(f"node_{index}" for index in range(len(manifest["nodes"])))
    expected.update(f"{kind}_{index}" for kind in ("level", "weight") for index in range(len(columns)))
    if len(arrays.files) != len(expected) or set(arrays.files) != expected:
        raise DigestMismatch("the model file holds other arrays than its manifest says")
    levels = tuple(Level(name, _typed(arrays, f"level_{j}", "<u2")) for j, name in enumerate(columns))
    if [level.fine for level in levels] != fine:
        raise DigestMismatch("the model file's levels do not have the sizes of its manifest")
    return IntegerTables(
        tuple(
            Node(tuple(node["given"]), tuple(node["new"]), _typed(arrays, f"node_{index}", "<u8"))
            for index, node in enumerate(manifest["nodes"])
        ),
        levels,
        tuple(_typed(arrays, f"weight_{j}", "<u8") for j in range(len(columns))),
        total,
    )


def _typed(arrays: Any, name: str, kind: str) -> Any:
    array = arrays[name]
    if array.dtype != np.dtype(kind):
        raise DigestMismatch(f"the model file's {name} is not of type {kind}")
    return array.astype(np.dtype(kind).newbyteorder("="), copy=False)
