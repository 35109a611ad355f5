"""Curator: the gate between the private rows and everything else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from types import TracebackType

import numpy as np

from dpsynth import privacy
from dpsynth.accountant import Charge, Reservation
from dpsynth.curator import charges
from dpsynth.curator.batched import cells_at_once, compared, noised
from dpsynth.curator.failures import LOST, UNREAD, UNSURE, among_rows, explained
from dpsynth.curator.fitting import require_fitting
from dpsynth.curator.interruptions import held_back
from dpsynth.curator.partitions import Naming
from dpsynth.curator.rules import Remaining, require_rule
from dpsynth.curator.scores import SCORES, require_expected
from dpsynth.curator.stored import StoredAnswers, marginal
from dpsynth.encoding import Constraints, UnlistedCodec, codecs
from dpsynth.errors import ConfigurationError, DpsynthError
from dpsynth.measurement import (
    TOTAL,
    Answer,
    Candidate,
    Domain,
    Level,
    NoisyMarginal,
    NoisyScores,
    Partitions,
    Query,
    Rule,
    Score,
    Selection,
    Tree,
    found,
    grid,
    pack,
)
from dpsynth.noise import Noise, noise_for, permitted
from dpsynth.schema import Schema, Unlisted
from dpsynth.schema.quantity import limit_of
from dpsynth.table import ColumnInfo, Data, PrivateTable, Source, columns, least_memory, open_table, require

Progress = Callable[[str], None]
"""Told how many queries were answered. It never hears of rows, nor of anything that depends on them."""

Act = Callable[[PrivateTable, Sequence[int]], Sequence[Answer]]


class Curator:
    """A Measurer over the private rows: noisy answers for a price, and nothing else.

    Each verb describes its query and prices it. The first one that needs the rows puts the release into state DRAWING,
    on the disk, before the table is opened: it gives nothing back any more. Then each draws on the reserve, so that its
    log entries are on the disk; only then it counts, adds noise, stores the noisy answer and returns it. What ends the
    process while the rows are read costs no answer. After that an interruption (SIGINT, SIGTERM, SIGHUP) takes effect
    once the answer is stored and loses nothing. A crash there loses budget, never privacy: what was drawn stays
    charged, one charge reveals at most one noise vector, and a release that is run again is given its stored answers
    before anything new is asked.

    Use it in a ``with`` statement. Every verb may raise BudgetRefused (the reserve does not cover it), StoreError,
    SourceError (the file cannot be read to its end) or ConfigurationError (a query that the schema does not allow).
    Nothing that it raises or tells depends on a row.
    """

    def __init__(
        self,
        source: Source,
        schema: Schema,
        reservation: Reservation,
        progress: Progress | None,
        noise: Noise,
        memory: int,
    ) -> None:
        self._source = source
        self._schema = schema
        self._unit = schema.unit
        self._declared = self._codecs = codecs(schema)
        self._constraints = Constraints.of(schema, self._declared)
        self._grid = grid(self._codecs)
        self._reservation = reservation
        self._measure, self._cell = reservation.account.measure, reservation.account.cell
        self._stored = StoredAnswers(reservation)
        self._noise, self._memory = permitted(noise, self._measure), memory
        self._progress = progress
        self._answers: list[Answer] = []
        self._entries: list[int] = []
        self._table: PrivateTable | None = None
        self._closed = False

    @staticmethod
    def columns(source: Data) -> tuple[ColumnInfo, ...]:
        """Names and declared storage types of a source, never a value; SourceError where it has no such structure."""
        return columns(Source.of(source))

    @staticmethod
    def require(source: Data, schema: Schema, *besides: str) -> None:
        """SourceError, naming the columns, unless the source has those of the schema, of its unit and ``besides``."""
        require(Source.of(source), tuple(dict.fromkeys((*schema.read, *schema.unit.columns, *besides))))

    least_memory = staticmethod(least_memory)
    """The bytes that reading and counting need at the least."""

    @classmethod
    def open(
        cls,
        source: Data,
        schema: Schema,
        reservation: Reservation,
        progress: Progress | None = None,
        noise: str = "exact",
        memory: int | None = None,
        _noise: Noise | None = None,
    ) -> Curator:
        """A curator over a source, charging a reserved release. Names of columns are checked; no row is read yet.

        The measure is the account's, and with it the law of the noise; ``noise="opendp"`` takes OpenDP's samplers,
        which have a cost in zCDP alone: ConfigurationError in other accounts. ``memory`` is the most bytes that this
        process should take: half of the machine's by default. No answer depends on it. ``_noise`` is for tests alone.

        Where the account lies in a cell, the rows of that cell's entities are all that is ever seen.
        """
        found, cell = Source.of(source), reservation.account.cell
        if cell is not None and found.place == (None, ""):
            raise ConfigurationError(
                f"account {reservation.account.name!r} lies in a cell of {cell.account!r}, whose releases are of one "
                "table: a data frame has no name by which it is told from others; read a file or a database"
            )
        cls.require(found, schema, *([cell.column] if cell else []))
        drawn = _noise or noise_for(reservation.account.measure, noise)
        return cls(found, schema, reservation, progress, drawn, limit_of(memory))

    @property
    def domain(self) -> Domain:
        """The finest public grid of the schema's columns."""
        return self._grid.domain

    @property
    def levels(self) -> Mapping[str, Level]:
        """The level that the schema declares for each column."""
        return self._grid.levels

    @property
    def hierarchies(self) -> Mapping[str, tuple[Level, ...]]:
        """The coarsenings that the schema declares for each column."""
        return self._grid.hierarchies

    @property
    def trees(self) -> Mapping[str, Tree]:
        """The columns whose bins are found."""
        return self._grid.trees

    @property
    def unfound(self) -> tuple[str, ...]:
        """The columns whose values are still to be found, in order: nothing else is answered of them before."""
        return tuple(codec.name for codec in self._codecs if isinstance(codec, UnlistedCodec))

    @property
    def answers(self) -> tuple[Answer, ...]:
        """Every answer given so far, in order: what the archive of the release holds."""
        return tuple(self._answers)

    def total(self, price: Fraction) -> NoisyMarginal:
        """The noisy number of rows; exact and free under replace-one where each row is its own entity."""
        _require_price(price)
        free = charges.rows(self._unit, self._cell is not None) == 0
        if free:
            charge, scale = charges.public(self._measure, TOTAL, self._unit, self._entries), Fraction(0)
        else:
            charge, scale = self._charge(TOTAL, price)

        def act(table: PrivateTable, entries: Sequence[int]) -> list[NoisyMarginal]:
            if free:
                rows = np.array(table.rows(), dtype=np.int64)
                return [NoisyMarginal(TOTAL, rows, scale, "public_count", entries[0])]
            return noised(table, [TOTAL], [scale], entries, self._noise, self._cells)

        (answer,) = self._verb([charge], act, "the total")
        return marginal(answer)

    def marginals(
        self, queries: Sequence[Query], price: Fraction, weights: Sequence[int] | None = None
    ) -> tuple[NoisyMarginal, ...]:
        """Noisy tables or residuals of the queries for one price, split by integer weights (equally by default).

        Each cell gets independent noise, drawn on its exact integer: Gaussian, or Laplace on a pure account, which
        answers no residuals. The charge is recomputed from the noise scales really used and is at most ``price``.
        """
        _require_price(price)
        asked = tuple(queries)
        shares = [1] * len(asked) if weights is None else list(weights)
        if not asked or len(shares) != len(asked) or any(type(w) is not int or w < 1 for w in shares):
            raise ConfigurationError("marginals take one or more queries and a whole weight of at least 1 for each")
        require_fitting(asked, self.domain, self.unfound)
        priced = [
            self._charge(query, price * Fraction(share, sum(shares)))
            for query, share in zip(asked, shares, strict=True)
        ]

        def act(table: PrivateTable, entries: Sequence[int]) -> list[NoisyMarginal]:
            return noised(table, asked, [scale for _, scale in priced], entries, self._noise, self._cells)

        drawn = [charge for charge, _ in priced]
        answers = self._verb(drawn, act, "a marginal" if len(asked) == 1 else f"{len(asked)} marginals")
        return tuple(marginal(answer) for answer in answers)

    def partitions(self, column: str, price: Fraction, delta: Fraction) -> Partitions:
        """The values of an unfound column that so many entities hold that they may be named, with noisy counts.

        With a probability of ``delta`` at most they show any of the values that one entity alone holds. Nothing found
        is an answer like any other. Once it is given, ``domain`` and ``levels`` are those of the values found.
        """
        _require_price(price)
        _require_price(delta)
        asked = self._schema.columns.get(column)
        if column not in self.unfound or not isinstance(asked, Unlisted):
            raise ConfigurationError(f'column {column!r}: has no values = "private" that are still to be found')
        law, context = self._noise.law, (self._unit, self._entries)
        charge, scale, least = charges.thresholded(self._measure, column, law, price, Fraction(delta), *context)
        naming = Naming(column, asked.otherwise, scale, least, Fraction(delta))

        def act(table: PrivateTable, entries: Sequence[int]) -> list[Partitions]:
            return [naming.drawn(table, self._noise, entries[0])]

        (answer,) = self._verb([charge], act, f"the values of {column!r}")
        if not isinstance(answer, Partitions):
            raise DpsynthError("a stored answer is not the values that were asked")
        self._schema = found(self._schema, [answer])
        self._codecs = codecs(self._schema)
        self._grid = grid(self._codecs)
        return answer

    def scores(self, candidates: Sequence[Candidate], score: Score, price: Fraction) -> NoisyScores:
        """The score of every candidate at once, for one charge, each with independent noise on its exact integer.

        The noise is of the law of marginals. Candidates have weight 1: one scale of noise serves them all.
        """
        _require_price(price)
        asked = tuple(candidates)
        if any(candidate.weight != 1 for candidate in asked):
            raise ConfigurationError("candidates whose scores are asked have weight 1: weigh the answers instead")
        names, sensitivity = self._compared(asked, score)
        law = self._noise.law
        charge, scale = charges.scored(self._measure, asked, score, sensitivity, law, price, self._unit, self._entries)

        def act(table: PrivateTable, entries: Sequence[int]) -> list[NoisyScores]:
            exact = compared(table, asked, score, self._cells, self._progress)
            values = self._noise.noisy(exact, scale)
            return [NoisyScores(score, names, values, scale, law, entries[0])]

        (answer,) = self._verb([charge], act, f"the scores of {len(asked)}")
        if not isinstance(answer, NoisyScores):
            raise DpsynthError("a stored answer is not the scores that were asked")
        return answer

    def select(
        self, candidates: Sequence[Candidate], score: Score, picks: int, price: Fraction, rule: Rule = "distinct"
    ) -> Selection:
        """Draw up to ``picks`` candidates, likelier the higher their score, by the exponential mechanism.

        Scores are weighted and offset as the candidates say; the scale of the choice is that of the largest weight.
        All picks are one charge, ``price`` split equally among them. After each pick ``rule`` says which candidates
        remain; drawing stops early when none does, which is public.
        """
        _require_price(price)
        asked = tuple(candidates)
        if type(picks) is not int or picks < 1:
            raise ConfigurationError("a selection makes at least 1 pick")
        names, sensitivity = self._compared(asked, score)
        require_rule(rule, names)
        scale = privacy.exponential_scale(self._measure, sensitivity, price, picks)
        charge = charges.picked(self._measure, asked, score, picks, rule, scale, sensitivity, self._unit, self._entries)

        def act(table: PrivateTable, entries: Sequence[int]) -> list[Selection]:
            scores = compared(table, asked, score, self._cells, self._progress)
            chosen: list[int] = []
            left = Remaining(names, rule)
            while len(chosen) < picks and (rest := left.indices()).size:
                chosen.append(int(rest[self._noise.exponential(scores[rest], scale)]))
                left.pick(chosen[-1])
            return [Selection(score, rule, names, tuple(chosen), scale, entries[0])]

        (answer,) = self._verb([charge], act, f"a choice among {len(asked)}")
        if not isinstance(answer, Selection):
            raise DpsynthError("a stored answer is not the selection that was asked")
        return answer

    def close(self) -> None:
        """Forget the rows."""
        if self._table is not None:
            self._table.close()
        self._table, self._closed = None, True

    def __enter__(self) -> Curator:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _verb(self, drawn: Sequence[Charge], act: Act, what: str) -> Sequence[Answer]:
        """Replay, or: open (durable), draw (durable), count and add noise, store (durable). Only then it is known."""
        if self._closed:
            raise DpsynthError("this curator is closed")
        answers = self._stored.take(drawn)
        if answers is None:
            if self._table is None:
                self._reservation.open(drawn)
            table = among_rows(self._opened, UNREAD)
            with held_back(self._interrupted):
                entries = self._reservation.draw(drawn)
                answers = among_rows(lambda: tuple(act(table, entries)), LOST)
                self._kept(entries, answers)
        self._answers += answers
        self._entries += [answer.entry for answer in answers]
        if self._progress is not None:
            self._progress(f"asked {what}; queries so far: {len(self._entries)}")
        return answers

    def _kept(self, entries: Sequence[int], answers: Sequence[Answer]) -> None:
        """Store the answers; where the store fails, it says what that may lose."""
        try:
            self._reservation.store(entries, pack(answers))
        except DpsynthError as error:
            raise explained(error, UNSURE) from None

    def _interrupted(self) -> None:
        if self._progress is not None:
            self._progress("interrupted: stopping as soon as the answer that is being drawn is stored")

    def _opened(self) -> PrivateTable:
        """The table, with the values that were found."""
        if self._table is None:
            key, rest = self._reservation.secret, (self._constraints, self._cell, self._memory)
            self._table = open_table(self._source, self._declared, self._unit, key, *rest)
        for declared, codec in zip(self._declared, self._codecs, strict=True):
            if codec != declared:
                self._table.find(codec)
        return self._table

    def _charge(self, query: Query, price: Fraction) -> tuple[Charge, Fraction]:
        """The charge for a query at a price, and the scale of its noise."""
        apart = self._cell is not None
        return charges.noisy(self._measure, query, self._noise.law, price, self._unit, self._entries, apart)

    def _compared(self, asked: Sequence[Candidate], score: Score) -> tuple[tuple[tuple[str, ...], ...], int]:
        """The columns of candidates, and how far one entity moves the score of each, in lattice units.

        ConfigurationError unless there are any, the score is a named one, and each can be counted and compared.
        """
        if not asked:
            raise ConfigurationError("a score is of one or more candidates")
        if score not in SCORES:
            raise ConfigurationError(f"score {score!r}: the scores are {', '.join(map(repr, SCORES))}")
        require_fitting([candidate.query for candidate in asked], self.domain, self.unfound)
        require_expected(asked)
        names = tuple(candidate.query.columns for candidate in asked)
        return names, SCORES[score].sensitivity(asked, self._unit.most, self._unit.neighbours)

    @property
    def _cells(self) -> int:
        """How many cells are counted at once."""
        return cells_at_once(self._memory)


def _require_price(price: Fraction) -> None:
    if isinstance(price, bool) or not isinstance(price, int | Fraction):
        raise ConfigurationError("a price is exact: a Fraction")
