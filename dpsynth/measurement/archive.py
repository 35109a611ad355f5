"""The archive of noisy answers (``measurements.npz``) and the replayer that reads it instead of the private table.

Format, version 2: an uncompressed ``.npz`` without pickle. ``index`` is a uint8 vector holding UTF-8 JSON
``{"v": 2, "answers": [...]}`` in the order asked. A marginal is ``{"kind": "marginal", "entry": seq, "levels":
[digest, ...], "basis": "marginal" or "residual", "law": the ledger's name, "scale": "p/q"}`` with its values in
``answer_<seq>``; scores have law, scale and values likewise, and their score and candidates (columns); a selection
holds score, rule, candidates, picks and scale. Partitions hold their column, values, law, scale, threshold and delta,
with the counts in ``answer_<seq>``. ``level_<hex digest>`` are the levels' uint16 maps; the column of each
stands in ``"level_columns"`` of the index. Equal answers give equal bytes.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np

from dpsynth.errors import DigestMismatch
from dpsynth.measurement.domain import Domain
from dpsynth.measurement.grid import Grid, Tree
from dpsynth.measurement.level import Level
from dpsynth.measurement.query import (
    Candidate,
    Law,
    NoisyMarginal,
    NoisyScores,
    Partitions,
    Query,
    Rule,
    Score,
    Selection,
)

Answer = NoisyMarginal | NoisyScores | Selection | Partitions

VERSION = 2
"""The version of the format that is written and read."""


def pack(answers: Sequence[Answer]) -> bytes:
    """The bytes of an archive holding these answers, in order."""
    arrays: dict[str, Any] = {}
    columns: dict[str, str] = {}
    index: list[dict[str, Any]] = []
    for answer in answers:
        if isinstance(answer, Selection):
            index.append(
                {
                    "kind": "selection",
                    "entry": answer.entry,
                    "score": answer.score,
                    "rule": answer.rule,
                    "candidates": [list(names) for names in answer.candidates],
                    "picks": list(answer.picks),
                    "scale": str(answer.scale),
                }
            )
            continue
        counts = answer.counts if isinstance(answer, Partitions) else answer.values
        arrays[f"answer_{answer.entry}"] = counts.astype("<i8")
        noise = {"entry": answer.entry, "law": answer.law, "scale": str(answer.scale)}
        if isinstance(answer, NoisyScores):
            columns_of = [list(names) for names in answer.candidates]
            index.append({"kind": "scores", "score": answer.score, "candidates": columns_of, **noise})
            continue
        if isinstance(answer, Partitions):
            found = {"column": answer.column, "values": list(answer.values), "delta": str(answer.delta)}
            index.append({"kind": "partitions", "threshold": answer.threshold, **found, **noise})
            continue
        for level in answer.query.levels:
            name = level.digest.removeprefix("sha256:")
            columns[name] = level.column
            arrays[f"level_{name}"] = level.cells.astype("<u2")
        digests = [level.digest.removeprefix("sha256:") for level in answer.query.levels]
        index.append({"kind": "marginal", "levels": digests, "basis": answer.query.basis, **noise})
    text = json.dumps({"v": VERSION, "answers": index, "level_columns": columns}, sort_keys=True, separators=(",", ":"))
    arrays["index"] = np.frombuffer(text.encode(), dtype=np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, **{name: arrays[name] for name in sorted(arrays)})
    return buffer.getvalue()


def unpack(data: bytes) -> tuple[Answer, ...]:
    """The answers of an archive; DigestMismatch if it is not one."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            index = json.loads(arrays["index"].tobytes())
            if index["v"] != VERSION:
                raise DigestMismatch(f"measurement archive of unknown version {index['v']!r}")
            held = {"index", *(f"level_{name}" for name in index["level_columns"])}
            held |= {f"answer_{item['entry']}" for item in index["answers"] if item["kind"] != "selection"}
            if len(arrays.files) != len(held) or set(arrays.files) != held:
                raise DigestMismatch("the measurement archive holds other arrays than its index says")
            levels = {name: Level(column, arrays[f"level_{name}"]) for name, column in index["level_columns"].items()}
            return tuple(_answer(item, levels, arrays) for item in index["answers"])
    except (KeyError, ValueError, TypeError, ArithmeticError, OSError, zipfile.BadZipFile, EOFError) as error:
        raise DigestMismatch("the measurement archive is damaged or is not one") from error


def _answer(item: Mapping[str, Any], levels: Mapping[str, Level], arrays: Mapping[str, Any]) -> Answer:
    if item["kind"] == "selection":
        return Selection(
            cast(Score, item["score"]),
            cast(Rule, item["rule"]),
            tuple(tuple(names) for names in item["candidates"]),
            tuple(item["picks"]),
            Fraction(item["scale"]),
            item["entry"],
        )
    values, scale, law = arrays[f"answer_{item['entry']}"], Fraction(item["scale"]), cast(Law, item["law"])
    if item["kind"] == "scores":
        columns = tuple(tuple(names) for names in item["candidates"])
        return NoisyScores(cast(Score, item["score"]), columns, values, scale, law, item["entry"])
    if item["kind"] == "partitions":
        found, delta = tuple(map(str, item["values"])), Fraction(item["delta"])
        return Partitions(item["column"], found, values, scale, law, int(item["threshold"]), delta, item["entry"])
    query = Query(tuple(levels[name] for name in item["levels"]), item["basis"])
    return NoisyMarginal(query, values, scale, law, item["entry"])


def read_archive(path: Path) -> tuple[Answer, ...]:
    """The answers stored in a file; DigestMismatch if it is damaged."""
    return unpack(path.read_bytes())


@dataclass(frozen=True)
class Replayer:
    """A Measurer that gives the archived answers back, in order. It holds no private row and spends nothing.

    A mechanism that asks for anything but what was asked before gets DigestMismatch: then it is not a function of the
    archive.
    """

    grid: Grid
    unfound: tuple[str, ...]
    _answers: Iterator[Answer]

    @classmethod
    def of(cls, grid: Grid, answers: Sequence[Answer], unfound: Sequence[str] = ()) -> Replayer:
        """Replay ``answers`` from the first.

        ``unfound`` names the columns whose values are to be asked for first; ``grid`` is that of the found values.
        """
        return cls(grid, tuple(unfound), iter(answers))

    @property
    def domain(self) -> Domain:
        """The finest public grid."""
        return self.grid.domain

    @property
    def levels(self) -> Mapping[str, Level]:
        """The level that the schema declares for each column."""
        return self.grid.levels

    @property
    def hierarchies(self) -> Mapping[str, tuple[Level, ...]]:
        """The coarsenings that it declares."""
        return self.grid.hierarchies

    @property
    def trees(self) -> Mapping[str, Tree]:
        """The columns whose bins are found."""
        return self.grid.trees

    def total(self, price: Fraction) -> NoisyMarginal:
        """The archived total."""
        return self._marginal(Query(()))

    def marginals(
        self, queries: Sequence[Query], price: Fraction, weights: Sequence[int] | None = None
    ) -> tuple[NoisyMarginal, ...]:
        """The archived marginals of these queries."""
        return tuple(self._marginal(query) for query in queries)

    def partitions(self, column: str, price: Fraction, delta: Fraction) -> Partitions:
        """The archived values of this column."""
        answer = next(self._answers, None)
        if not isinstance(answer, Partitions) or (answer.column, answer.delta) != (column, delta):
            raise DigestMismatch(f"the mechanism asks for values of {column!r} that the archive does not hold here")
        return answer

    def scores(self, candidates: Sequence[Candidate], score: Score, price: Fraction) -> NoisyScores:
        """The archived scores of these candidates."""
        answer = next(self._answers, None)
        columns = tuple(candidate.query.columns for candidate in candidates)
        if not isinstance(answer, NoisyScores) or (answer.candidates, answer.score) != (columns, score):
            raise DigestMismatch("the mechanism asks for scores that the archive does not hold")
        return answer

    def select(
        self, candidates: Sequence[Candidate], score: Score, picks: int, price: Fraction, rule: Rule = "distinct"
    ) -> Selection:
        """The archived picks among these candidates."""
        answer = next(self._answers, None)
        columns = tuple(candidate.query.columns for candidate in candidates)
        if (
            not isinstance(answer, Selection)
            or (answer.candidates, answer.score, answer.rule) != (columns, score, rule)
            or len(answer.picks) > picks
        ):
            raise DigestMismatch("the mechanism asks for a selection that the archive does not hold")
        return answer

    def left(self) -> int:
        """How many archived answers were not asked for."""
        return sum(1 for _ in self._answers)

    def _marginal(self, query: Query) -> NoisyMarginal:
        answer = next(self._answers, None)
        if not isinstance(answer, NoisyMarginal) or answer.query != query:
            raise DigestMismatch(f"the mechanism asks for {query.columns}, which the archive does not hold here")
        return answer
