"""The four verbs: what they ask of the noise, what they charge, what they refuse."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import pytest

from dpsynth import privacy
from dpsynth.accountant import Reservation
from dpsynth.curator import Curator
from dpsynth.curator.batched import MOST, PART, cells_at_once
from dpsynth.errors import BudgetFormatError, BudgetRefused, ConfigurationError, DpsynthError, SourceError
from dpsynth.ledger import fraction_text
from dpsynth.measurement import (
    LATTICE,
    TOTAL,
    Candidate,
    Law,
    Level,
    NoisyScores,
    Query,
    candidates_digest,
    unpack,
)
from dpsynth.noise import OpenDPNoise
from dpsynth.privacy import Measure
from dpsynth.schema import Schema
from dpsynth.table import PrivateTable, portions
from tests.curator.bench import RHO, Desk, Frozen, LightReservation

COLUMNS = """
[columns.sex]
type = "categorical"
values = ["f", "m"]
[columns.age]
type = "integer"
min = 0
max = 9
bins = 5
[columns.town]
type = "categorical"
values = ["x", "y", "z"]
nullable = true
"""
FRAME = pd.DataFrame(
    {"id": [1, 1, 2, 3], "sex": ["f", "m", "f", "f"], "age": [0, 1, 9, 9], "town": ["x", None, "x", "z"]}
)


def schema_of(neighbours: str = "add-remove", max_rows: int = 0) -> Schema:
    """With ``max_rows`` 0 each row is an entity of its own."""
    unit = f'column = "id"\nentity = "person"\nmax_rows = {max_rows}\n' if max_rows else ""
    return Schema.parse(f'[unit]\nneighbours = "{neighbours}"\n{unit}{COLUMNS}')


def opened(noise: Frozen | None = None, schema: Schema | None = None) -> Curator:
    return Curator.open(FRAME, schema or schema_of(), LightReservation.new(), _noise=noise or Frozen())


def ask(curator: Curator, *names: str) -> Query:
    return Query(tuple(curator.levels[name] for name in names))


class TestMarginals:
    def test_noise_is_drawn_on_the_exact_counts_of_each_query(self) -> None:
        noise = Frozen()
        with opened(noise) as curator:
            first, second = curator.marginals([ask(curator, "sex", "town"), ask(curator, "age")], RHO, [1, 3])
        assert [kind for kind, _, _ in noise.inputs] == ["noisy", "noisy"]
        assert noise.inputs[0][1].tolist() == [2, 0, 1, 0, 0, 0, 0, 1]
        assert noise.inputs[1][1].tolist() == [2, 0, 0, 0, 2]
        assert (first.values.shape, second.values.shape) == ((2, 4), (5,))
        assert first.values.tolist() == [[0, 7, 14, 21], [28, 35, 2, 9]]
        assert [first.sigma, second.sigma] == [sigma for _, _, sigma in noise.inputs]
        assert first.sigma == privacy.gaussian_sigma("gdp", 1, RHO / 4)

    @pytest.mark.parametrize("max_rows", [0, 1, 3])
    @pytest.mark.parametrize("neighbours", ["add-remove", "replace-one"])
    def test_the_charge_is_recomputed_from_the_scale(self, neighbours: str, max_rows: int) -> None:
        curator = opened(schema=schema_of(neighbours, max_rows))
        curator.marginals([ask(curator, "sex"), ask(curator, "age", "town")], RHO / 3, [5, 2])
        drawn = curator._reservation.drawn  # type: ignore[attr-defined]
        squared = max(max_rows, 1) ** 2 * (2 if neighbours == "replace-one" else 1)
        for charge, share in zip(drawn, (Fraction(5, 7), Fraction(2, 7)), strict=True):
            sigma = Fraction(charge.fields["mechanism"]["sigma"])
            assert charge.cost.amount == Fraction(squared) / sigma**2 <= RHO / 3 * share
            assert charge.cost.amount > RHO / 3 * share * Fraction(999, 1000)
            assert charge.fields["sensitivity_squared"] == str(squared)
            assert charge.fields["unit"]["max_rows"] == max(max_rows, 1)

    def test_a_coarser_level_is_counted_coarsely(self) -> None:
        noise = Frozen()
        curator = opened(noise)
        old = curator.levels["age"].merged(np.array([0, 0, 0, 0, 1]))
        curator.marginals([Query((old,))], RHO)
        assert noise.inputs[0][1].tolist() == [2, 2]

    @pytest.mark.parametrize("max_rows", [0, 3])
    @pytest.mark.parametrize("neighbours", ["add-remove", "replace-one"])
    def test_a_residual_is_made_of_the_exact_counts(self, neighbours: str, max_rows: int) -> None:
        noise, reservation = Frozen(), LightReservation()
        schema = schema_of(neighbours, max_rows)
        curator = Curator.open(FRAME, schema, cast(Reservation, reservation), _noise=noise)
        pair = ask(curator, "sex", "town")
        answer, table = curator.marginals([Query(pair.levels, "residual"), pair], RHO)
        dense = np.kron(2 * np.eye(2) - 1, 4 * np.eye(4) - 1).astype(np.int64)
        assert noise.inputs[0][1].tolist() == (dense @ noise.inputs[1][1]).tolist()
        assert (answer.query.basis, table.query.basis) == ("residual", "marginal")
        s = max(max_rows, 1)
        squared = 2 * 12 * s**2 * (4 if neighbours == "replace-one" else 1)
        (charge, _) = reservation.drawn
        assert charge.fields["sensitivity_squared"] == str(squared)
        assert charge.fields["query"]["basis"] == "residual"
        assert charge.cost.amount == squared / answer.scale**2 <= RHO / 2


class TestBatches:
    """What is counted at once fits the limit on memory; no answer depends on it."""

    @pytest.mark.parametrize("memory", [0, -5])
    def test_a_limit_that_is_none_is_refused_before_anything_is_drawn(self, memory: int) -> None:
        reservation = LightReservation.new()
        with pytest.raises(ConfigurationError, match="memory"):
            Curator.open(FRAME, schema_of(), reservation, None, "exact", memory)

    @pytest.mark.parametrize("memory", [1, 2000, 1 << 30])
    def test_the_exact_integers_are_the_same(self, memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
        pairs = [("sex", "age"), ("sex", "town"), ("age", "town"), ("town",), ("sex", "age", "town")]
        inputs: list[list[tuple[str, list[int]]]] = []
        passes: list[int] = []
        real = PrivateTable.count

        def count(table: PrivateTable, queries: Sequence[Query]) -> tuple[np.ndarray, ...]:
            passes[-1] += 1
            taken = 8 * sum(query.cells for query in queries)
            assert len(queries) == 1 or PART * taken <= (memory if len(passes) == 1 else 1 << 40)
            return real(table, queries)

        monkeypatch.setattr(PrivateTable, "count", count)
        for limit in (memory, 1 << 40):
            noise = Frozen()
            passes.append(0)
            with Curator.open(FRAME, schema_of(), LightReservation.new(), None, "exact", limit, noise) as curator:
                queries = [ask(curator, *names) for names in pairs]
                curator.marginals(queries, RHO / 4)
                candidates = [Candidate.of(query, np.full(query.shape, 0.4)) for query in queries]
                curator.scores(candidates, "l1-to-model", RHO / 4)
                curator.select(candidates, "l1-to-model", 2, RHO / 4)
            inputs.append([(kind, values.tolist()) for kind, values, _ in noise.inputs])
        # noise is independent: which cell's is drawn first does not matter
        assert sorted(inputs[0]) == sorted(inputs[1])
        assert passes == [3 * len(pairs) if memory == 1 else passes[0], 3]
        assert passes[0] >= passes[1]

    @pytest.mark.parametrize("memory", [8 * PART * 5, 1 << 30, 1 << 40])
    def test_a_batch_is_a_part_of_the_limit_and_no_more_than_the_most(self, memory: int) -> None:
        """In bytes: of tables of five cells each, as many at a time as fit, and at least one."""
        fit = min(memory // PART, MOST) // (8 * 5)
        queries = [Query((Level.identity("town", 5),))] * min(3 * fit, 1 << 12)
        sizes = [len(batch) for batch in portions(queries, cells_at_once(memory))]
        assert max(sizes) == min(fit, len(queries))
        assert cells_at_once(memory) * 8 <= MOST == 256 << 20

    def test_it_tells_how_many_candidates_are_compared(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("dpsynth.curator.batched.MANY", 3)
        told: list[str] = []

        def tell(what: str) -> None:
            told.append(what)
            if what.startswith("compared"):
                raise OSError("nobody listens")

        with Curator.open(FRAME, schema_of(), LightReservation.new(), tell, "exact", 1, Frozen()) as curator:
            queries = [ask(curator, name) for name in ("sex", "age", "town")]
            curator.select([Candidate.of(q, np.zeros(q.shape)) for q in queries[:2]], "l1-to-model", 1, RHO / 4)
            curator.scores([Candidate.of(q, np.zeros(q.shape)) for q in queries], "l1-to-model", RHO / 4)
        assert told == [
            "asked a choice among 2; queries so far: 1",
            "compared 1 of 3 candidates with the model",
            "compared 2 of 3 candidates with the model",
            "compared 3 of 3 candidates with the model",
            "asked the scores of 3; queries so far: 2",
        ]


class TestMeasures:
    def test_zcdp(self) -> None:
        for kind, law in (("exact", "rounded_gaussian"), ("opendp", "discrete_gaussian")):
            reservation = LightReservation("zcdp")
            with Curator.open(FRAME, schema_of(), cast(Reservation, reservation), noise=kind) as curator:
                pair = ask(curator, "sex", "town")
                (answer,) = curator.marginals([pair], RHO)
                picked = curator.select([Candidate.of(pair, np.zeros(pair.shape))], "l1-to-model", 1, RHO)
            measure, select = reservation.drawn
            assert (answer.law, answer.sigma) == (law, privacy.gaussian_sigma("zcdp", 1, RHO))
            assert measure.fields["mechanism"] == {"type": law, "sigma": fraction_text(answer.scale)}
            assert measure.cost == privacy.gaussian_cost("zcdp", 1, answer.scale)
            assert select.cost == privacy.exponential_cost("zcdp", 1024, picked.scale, 1)

    @pytest.mark.parametrize("neighbours", ["add-remove", "replace-one"])
    def test_pure(self, neighbours: str) -> None:
        reservation, epsilon = LightReservation("pure"), Fraction(1, 3)
        with Curator.open(FRAME, schema_of(neighbours, 2), cast(Reservation, reservation)) as curator:
            pair = ask(curator, "sex", "town")
            total = curator.total(epsilon)
            (answer,) = curator.marginals([pair], epsilon)
            picked = curator.select([Candidate.of(pair, np.zeros(pair.shape))] * 2, "l1-to-model", 2, epsilon)
            with pytest.raises(ConfigurationError, match="a residual takes Gaussian noise"):
                curator.marginals([Query(pair.levels, "residual")], epsilon)
        moved = 4 if neighbours == "replace-one" else 2
        first, second, third = reservation.drawn
        assert first.cost == privacy.Cost("pure", 2 / total.scale)
        assert second.cost == privacy.Cost("pure", moved / answer.scale)
        assert third.cost == privacy.Cost("pure", 2 * 2 * 1024 * moved / picked.scale)
        assert second.fields["mechanism"] == {"type": "discrete_laplace", "scale": fraction_text(answer.scale)}
        assert second.fields["sensitivity_squared"] == str(moved**2)
        assert all(epsilon * Fraction(999, 1000) < charge.cost.amount <= epsilon for charge in reservation.drawn)
        assert answer.sigma > answer.scale

    @pytest.mark.parametrize("measure", ["gdp", "pure"])
    def test_opendp_is_refused_where_it_has_no_cost(self, measure: Measure) -> None:
        reservation = LightReservation.new(measure)
        with pytest.raises(ConfigurationError, match="discrete_gaussian is not charged"):
            Curator.open(FRAME, schema_of(), reservation, noise="opendp")
        with pytest.raises(ConfigurationError, match="discrete_gaussian is not charged"):
            Curator.open(FRAME, schema_of(), reservation, _noise=OpenDPNoise())
        with pytest.raises(ConfigurationError, match="must be 'exact' or 'opendp'"):
            Curator.open(FRAME, schema_of(), reservation, noise="fast")


class TestTotal:
    def test_is_noisy(self) -> None:
        noise = Frozen()
        answer = opened(noise).total(RHO)
        assert (noise.inputs[0][0], noise.inputs[0][1].tolist(), answer.values) == ("noisy", [4], 0)
        assert answer.query == TOTAL

    def test_is_public_where_rows_are_replaced_one_by_one(self) -> None:
        noise = Frozen()
        curator = opened(noise, schema_of("replace-one"))
        answer = curator.total(RHO)
        assert (answer.values, answer.sigma, noise.inputs) == (4, 0, [])
        (charge,) = curator._reservation.drawn  # type: ignore[attr-defined]
        assert charge.cost == privacy.Cost.nothing("gdp")
        assert charge.fields["mechanism"] == {"type": "public_count"}

    @pytest.mark.parametrize("max_rows", [1, 2])
    def test_is_not_public_where_people_have_rows(self, max_rows: int) -> None:
        noise = Frozen()
        opened(noise, schema_of("replace-one", max_rows)).total(RHO)
        assert noise.inputs[0][1].tolist() == [2 + max_rows]
        assert noise.inputs[0][2] == privacy.gaussian_sigma("gdp", max_rows**2, RHO)


class TestSelect:
    def candidates(self, curator: Curator) -> list[Candidate]:
        pairs = [("sex", "age"), ("sex", "town"), ("age", "town")]
        return [Candidate.of(ask(curator, *pair), np.full(ask(curator, *pair).shape, 0.5)) for pair in pairs]

    def test_draws_on_the_exact_scores_of_what_remains(self) -> None:
        noise = Frozen()
        curator = opened(noise)
        answer = curator.select(self.candidates(curator), "l1-to-model", 3, RHO, "spanning-forest")
        assert answer.picks == (0, 1)
        assert answer.candidates == (("sex", "age"), ("sex", "town"), ("age", "town"))
        tables = [[[1, 0, 0, 0, 2], [1, 0, 0, 0, 0]], [[2, 0, 1, 0], [0, 0, 0, 1]]]
        expected = [sum(abs(n - 0.5) * LATTICE for row in table for n in row) for table in tables]
        assert noise.inputs[0][1][:2].tolist() == expected
        assert [given.size for _, given, _ in noise.inputs] == [3, 2]
        assert noise.inputs[1][1].tolist() == noise.inputs[0][1].tolist()[1:]

    @pytest.mark.parametrize("neighbours", ["add-remove", "replace-one"])
    @pytest.mark.parametrize("max_rows", [0, 2])
    def test_one_charge_for_all_picks(self, neighbours: str, max_rows: int) -> None:
        curator = opened(schema=schema_of(neighbours, max_rows))
        curator.select(self.candidates(curator), "l1-to-model", 2, RHO)
        (charge,) = curator._reservation.drawn  # type: ignore[attr-defined]
        moved = 1024 * max(max_rows, 1) * (2 if neighbours == "replace-one" else 1)
        scale = Fraction(charge.fields["mechanism"]["scale"])
        assert charge.cost.amount == privacy.PI_ABOVE * 2 * Fraction(moved) ** 2 / (2 * scale**2) <= RHO
        assert charge.fields["sensitivity_squared"] == str(moved**2)
        assert charge.fields["mechanism"]["picks"] == 2
        assert charge.fields["query"]["candidates"] == 3

    @pytest.mark.parametrize("neighbours", ["add-remove", "replace-one"])
    def test_weights_and_offsets(self, neighbours: str) -> None:
        noise, reservation = Frozen(), LightReservation()
        schema = schema_of(neighbours, 2)
        curator = Curator.open(FRAME, schema, cast(Reservation, reservation), _noise=noise)
        sex = ask(curator, "sex")
        plain = Candidate.of(sex, np.array([0.5, 0.0]))
        candidates = [plain, *(Candidate.of(sex, np.array([0.5, 0.0]), *more) for more in ((3,), (1, 2.5), (3, -2.5)))]
        picked = curator.select(candidates, "l1-to-model", 1, RHO)
        once, thrice, less, more = noise.inputs[0][1].tolist()
        assert (thrice, less, more) == (3 * once, once - 2560, 3 * once + 2560)
        (charge,) = reservation.drawn
        moved = 3 * 1024 * 2 * (2 if neighbours == "replace-one" else 1)
        assert charge.fields["query"]["weight"] == 3
        assert charge.fields["sensitivity_squared"] == str(moved**2)
        assert charge.cost == privacy.exponential_cost("gdp", moved, picked.scale, 1)

    def test_stops_early_when_nothing_remains(self) -> None:
        curator = opened()
        assert curator.select(self.candidates(curator)[:2], "l1-to-model", 5, RHO).picks == (0, 1)


class TestScores:
    def candidates(self, curator: Curator, offset: float = 0.0) -> list[Candidate]:
        queries = [ask(curator, "sex", "age"), ask(curator, "town"), ask(curator, "sex", "age")]
        return [Candidate.of(query, np.full(query.shape, 0.5), 1, offset) for query in queries]

    def test_noise_is_drawn_on_the_exact_scores(self) -> None:
        noise, reservation = Frozen(), LightReservation()
        curator = Curator.open(FRAME, schema_of(), cast(Reservation, reservation), _noise=noise)
        answer = curator.scores(self.candidates(curator), "l1-to-model", RHO)
        tables = [[1, 0, 0, 0, 2, 1, 0, 0, 0, 0], [2, 0, 1, 1]]
        first, second = (int(sum(abs(n - 0.5) * LATTICE for n in table)) for table in tables)
        ((kind, given, scale),) = noise.inputs
        assert (kind, given.tolist(), scale) == ("noisy", [first, second, first], answer.scale)
        assert answer.values.tolist() == [0, 7, 14]  # what the frozen noise says
        assert answer.candidates == (("sex", "age"), ("town",), ("sex", "age"))
        assert (answer.score, answer.law, answer.entry) == ("l1-to-model", "rounded_gaussian", 0)
        assert curator.answers == (answer,)

    def test_an_offset_cancels(self) -> None:
        noise, reservation = Frozen(), LightReservation()
        curator = Curator.open(FRAME, schema_of(), cast(Reservation, reservation), _noise=noise)
        for offset in (0.0, 2.5):
            curator.scores(self.candidates(curator, offset), "l1-to-model", RHO / 2)
        assert (noise.inputs[0][1] - noise.inputs[1][1]).tolist() == [2560] * 3
        one, other = reservation.drawn
        assert (one.cost, one.fields["sensitivity_squared"]) == (other.cost, other.fields["sensitivity_squared"])
        assert one.fields["query"]["digest"] != other.fields["query"]["digest"]

    @pytest.mark.parametrize("max_rows", [0, 2])
    @pytest.mark.parametrize("neighbours", ["add-remove", "replace-one"])
    @pytest.mark.parametrize(
        ("measure", "law"),
        [
            ("gdp", "rounded_gaussian"),
            ("zcdp", "rounded_gaussian"),
            ("zcdp", "discrete_gaussian"),
            ("pure", "discrete_laplace"),
        ],
    )
    def test_one_charge_recomputed_from_the_scale(
        self, measure: Measure, law: Law, neighbours: str, max_rows: int
    ) -> None:
        reservation = LightReservation(measure)
        schema = schema_of(neighbours, max_rows)
        curator = Curator.open(FRAME, schema, cast(Reservation, reservation), _noise=Frozen(law))
        candidates = self.candidates(curator)
        answer = curator.scores(candidates, "l1-to-model", RHO)
        (charge,) = reservation.drawn
        moved = 1024 * max(max_rows, 1) * (2 if neighbours == "replace-one" else 1)
        squared = (3 * moved) ** 2 if measure == "pure" else 3 * moved**2
        exact = {
            "gdp": squared / answer.scale**2,
            "zcdp": squared / (2 * answer.scale**2),
            "pure": 3 * moved / answer.scale,
        }
        assert charge.kind == "score"
        assert charge.cost == privacy.Cost(measure, exact[measure])
        assert RHO * Fraction(999, 1000) < charge.cost.amount <= RHO
        assert charge.fields["sensitivity_squared"] == str(squared)
        parameter = "scale" if measure == "pure" else "sigma"
        assert charge.fields["mechanism"] == {"type": law, parameter: fraction_text(answer.scale)}
        assert charge.fields["query"] == {
            "score": "l1-to-model",
            "lattice": LATTICE,
            "candidates": 3,
            "digest": candidates_digest(candidates),
        }
        assert (answer.law, answer.values.shape) == (law, (3,))


Refused = Callable[[Curator], object]
BAD: dict[str, Refused] = {
    "no query": lambda c: c.marginals([], RHO),
    "the total among marginals": lambda c: c.marginals([TOTAL], RHO),
    "a column that is not": lambda c: c.marginals([Query((Level.identity("weight", 3),))], RHO),
    "a level of another grid": lambda c: c.marginals([Query((Level.identity("sex", 3),))], RHO),
    "too many cells": lambda c: c.marginals([ask(c, "sex", "town")] * 2, RHO),
    "a weight of nothing": lambda c: c.marginals([ask(c, "sex")], RHO, [0]),
    "a weight too many": lambda c: c.marginals([ask(c, "sex")], RHO, [1, 1]),
    "a float price": lambda c: c.total(0.1),  # type: ignore[arg-type]
    "no pick": lambda c: c.select([Candidate.of(ask(c, "sex"), np.zeros(2))], "l1-to-model", 0, RHO),
    "no candidate": lambda c: c.select([], "l1-to-model", 1, RHO),
    "an unknown score": lambda c: c.select([Candidate.of(ask(c, "sex"), np.zeros(2))], "l2", 1, RHO),  # type: ignore[arg-type]
    "a rule for pairs": lambda c: c.select(
        [Candidate.of(ask(c, "sex"), np.zeros(2))], "l1-to-model", 1, RHO, "spanning-forest"
    ),
    "no candidate to score": lambda c: c.scores([], "l1-to-model", RHO),
    "an unknown score of all": lambda c: c.scores([Candidate.of(ask(c, "sex"), np.zeros(2))], "l2", RHO),  # type: ignore[arg-type]
    "a score with a weight": lambda c: c.scores(
        [Candidate.of(ask(c, "sex"), np.zeros(2)), Candidate.of(ask(c, "sex"), np.zeros(2), 2)], "l1-to-model", RHO
    ),
    "a score of another grid": lambda c: c.scores(
        [Candidate.of(Query((Level.identity("sex", 3),)), np.zeros(3))], "l1-to-model", RHO
    ),
    "a score of the total": lambda c: c.scores([Candidate.of(TOTAL, np.zeros(()))], "l1-to-model", RHO),
    "scores of too many cells": lambda c: c.scores(
        [Candidate.of(ask(c, "sex", "town"), np.zeros((2, 4)))] * 2, "l1-to-model", RHO
    ),
    "a score beyond int64": lambda c: c.scores([Candidate(ask(c, "sex"), np.array([2**61, 1]))], "l1-to-model", RHO),
    "a float price of scores": lambda c: c.scores(
        [Candidate.of(ask(c, "sex"), np.zeros(2))],
        "l1-to-model",
        0.1,  # type: ignore[arg-type]
    ),
    "a candidate that is not": lambda c: c.select(
        [Candidate.of(Query((Level.identity("weight", 2),)), np.zeros(2))], "l1-to-model", 1, RHO
    ),
}


class TestRefusals:
    @pytest.mark.parametrize("act", BAD.values(), ids=BAD.keys())
    def test_before_anything_is_paid_or_read(self, act: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("dpsynth.curator.curator.open_table", lambda *_: pytest.fail("the table was opened"))
        monkeypatch.setattr("dpsynth.curator.fitting.MAX_CELLS", 15)
        curator = opened()
        with pytest.raises(ConfigurationError):
            act(curator)
        assert curator._reservation.drawn == []  # type: ignore[attr-defined]
        assert curator.answers == ()

    @pytest.mark.parametrize("price", [Fraction(0), Fraction(-1)])
    def test_a_price_of_nothing(self, price: Fraction) -> None:
        with pytest.raises(BudgetFormatError):
            opened().total(price)

    def test_a_column_that_is_missing(self) -> None:
        with pytest.raises(SourceError, match="no column 'age', 'town'"):
            Curator.open(FRAME.drop(columns=["age", "town"]), schema_of(), LightReservation.new())
        with pytest.raises(SourceError, match="no column 'id'"):
            Curator.open(FRAME.drop(columns=["id"]), schema_of(max_rows=1), LightReservation.new())

    def test_more_than_the_reserve(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("dpsynth.curator.curator.open_table", lambda *_: pytest.fail("the table was opened"))
        desk = Desk(tmp_path)
        with desk.open() as accountant:
            curator = Curator.open(FRAME, schema_of(), desk.reserve(accountant))
            with pytest.raises(BudgetRefused):
                curator.total(2 * RHO)
        assert desk.charged() == []

    @pytest.mark.parametrize(
        ("entity", "column", "max_rows", "told"),
        [
            ("person", None, 0, r"'person' \(each row its own\) under add-remove, not 'row' \(each row"),
            ("person", None, 3, r"'person' \(each row its own\) under add-remove, not 'person' \(column 'id'\)"),
            ("row", "id", 0, r"'row' \(column 'id'\) under add-remove, not 'row' \(each row its own\)"),
        ],
    )
    def test_another_unit_than_the_accounts(
        self, tmp_path: Path, entity: str, column: str | None, max_rows: int, told: str
    ) -> None:
        desk = Desk(tmp_path, entity=entity, column=column)
        with desk.open() as accountant:
            curator = Curator.open(FRAME, schema_of(max_rows=max_rows), desk.reserve(accountant))
            with pytest.raises(ConfigurationError, match=told):
                curator.total(RHO)
        assert desk.charged() == []

    def test_after_it_was_closed(self) -> None:
        with opened() as curator:
            curator.total(RHO)
        with pytest.raises(DpsynthError, match="closed"):
            curator.total(RHO)

    @pytest.mark.parametrize("act", [copy.deepcopy, pickle.dumps])
    def test_to_be_copied_with_its_rows(self, act: Callable[[object], object]) -> None:
        curator = opened()
        curator.total(RHO)
        with pytest.raises(TypeError):
            act(curator)


class TestWithAStore:
    def test_answers_are_what_was_stored(self, tmp_path: Path) -> None:
        desk, told = Desk(tmp_path), list[str]()
        with desk.open() as accountant:
            reservation = desk.reserve(accountant)
            with Curator.open(FRAME, schema_of(), reservation, told.append) as curator:
                total = curator.total(RHO / 10)
                pair = curator.marginals([ask(curator, "sex"), ask(curator, "age")], RHO / 10)
                chosen = curator.select(
                    [Candidate.of(ask(curator, n), np.zeros(ask(curator, n).shape)) for n in ("sex", "age")],
                    "l1-to-model",
                    1,
                    RHO / 10,
                )
                candidates = [Candidate.of(ask(curator, n), np.ones(ask(curator, n).shape)) for n in ("sex", "age")]
                scores = curator.scores(candidates, "l1-to-model", RHO / 10)
                assert curator.answers == (total, *pair, chosen, scores)
            stored = [answer for verb in reservation.answers() for answer in unpack(verb.answer or b"")]
        assert np.array_equal(stored[1].values, pair[0].values)  # type: ignore[union-attr]
        assert stored[3] == chosen
        assert np.array_equal(stored[4].values, scores.values)  # type: ignore[union-attr]
        charged = desk.charged()
        assert [line["seq"] for line in charged] == [answer.entry for answer in curator.answers]
        assert [line["chosen_by"] for line in charged] == [[], [2], [2], [2, 4, 5], [2, 4, 5, 7]]
        assert told == [
            "asked the total; queries so far: 1",
            "asked 2 marginals; queries so far: 3",
            "asked a choice among 2; queries so far: 4",
            "asked the scores of 2; queries so far: 5",
        ]

    def test_scores_are_replayed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A release that is run again is given its stored scores, pays nothing, and may not ask for others."""
        desk = Desk(tmp_path)

        def asked(names: tuple[str, ...], expected: float) -> NoisyScores:
            with desk.open() as accountant:
                curator = Curator.open(FRAME, schema_of(), desk.reserve(accountant))
                queries = [ask(curator, name) for name in names]
                candidates = [Candidate.of(query, np.full(query.shape, expected)) for query in queries]
                return curator.scores(candidates, "l1-to-model", RHO / 2)

        first = asked(("sex", "age"), 1.0)
        charged = desk.charged()
        assert [line["kind"] for line in charged] == ["score"]
        monkeypatch.setattr("dpsynth.curator.curator.open_table", lambda *_: pytest.fail("the table was opened"))
        again = asked(("sex", "age"), 1.0)
        assert (again.entry, again.scale, again.values.tolist()) == (first.entry, first.scale, first.values.tolist())
        for names, expected in ((("sex", "age"), 1.5), (("age", "sex"), 1.0), (("sex",), 1.0)):
            with pytest.raises(DpsynthError, match="begun with other questions"):
                asked(names, expected)
        assert desk.charged() == charged
