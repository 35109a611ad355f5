"""Rows from a model, in integers: the fixed-point tables, their file, and the sampler that every processor repeats.

Rows given evidence are drawn by the same sampler: :meth:`IntegerTables.given` conditions the tables, in integers too.
The room knows the model, the public encoding and one public seed. It never meets a private row, and its randomness is
public: counter-based words from a seed that was bound in the plan before anything was measured.
"""

from dpsynth.sampling.archive import from_bytes, to_bytes
from dpsynth.sampling.condition import MOST, Evidence
from dpsynth.sampling.draw import sample_chunk, sample_chunks
from dpsynth.sampling.fixed import ONE
from dpsynth.sampling.records import SLICE, RowsDigest, SyntheticRows, decode, records, rows_digest
from dpsynth.sampling.tables import CHUNK, IntegerTables, Node
from dpsynth.sampling.zeros import zeroed

__all__ = [
    "CHUNK",
    "MOST",
    "ONE",
    "SLICE",
    "Evidence",
    "IntegerTables",
    "Node",
    "RowsDigest",
    "SyntheticRows",
    "decode",
    "from_bytes",
    "records",
    "rows_digest",
    "sample_chunk",
    "sample_chunks",
    "to_bytes",
    "zeroed",
]
