"""Finding values that nobody listed: what is counted, what comes out, and in which order things happen."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from polars.exceptions import PanicException

from dpsynth.accountant import Accountant, Reservation
from dpsynth.curator import Curator
from dpsynth.curator import curator as room
from dpsynth.errors import INTERRUPTIONS, BudgetRefused, ConfigurationError, DpsynthError
from dpsynth.ledger import parse
from dpsynth.measurement import Law, Partitions, Query, found, pack, unpack
from dpsynth.privacy import Budget, Cost, threshold
from dpsynth.schema import Schema
from dpsynth.table import PrivateTable
from tests.curator.bench import RHO, Frozen, LightReservation, quick_folder

DELTA = Fraction(1, 2**30)
NO_COLUMN = 'entity = "person"\n'


def schema_of(max_rows: int = 0, neighbours: str = "add-remove", more: str = "") -> Schema:
    unit = f'column = "id"\nentity = "person"\nmax_rows = {max_rows}\n' if max_rows else ""
    return Schema.parse(
        f'[unit]\nneighbours = "{neighbours}"\n{unit}'
        f'[columns.town]\ntype = "categorical"\nvalues = "private"\n{more}\n'
        '[columns.sex]\ntype = "categorical"\nvalues = ["f", "m"]\n'
    )


class Raised(Frozen):
    """Noise that lifts every count by so much, and records it."""

    def __init__(self, by: int = 10**6, law: Law = "rounded_gaussian") -> None:
        super().__init__(law)
        self.by = by

    def noisy(self, counts: NDArray[np.int64], scale: Fraction) -> NDArray[np.int64]:
        self.inputs.append(("noisy", counts.copy(), scale))
        return counts + self.by


def frame(rows: Sequence[tuple[object, object]]) -> pd.DataFrame:
    towns = pd.Series([town for _, town in rows], dtype=object)
    return pd.DataFrame({"id": [str(one) for one, _ in rows], "town": towns, "sex": ["f"] * len(rows)})


def ask(
    rows: Sequence[tuple[object, object]], schema: Schema, noise: Frozen | None = None
) -> tuple[Partitions, Frozen, Curator]:
    used = noise or Raised()
    curator = Curator.open(frame(rows), schema, LightReservation.new(), _noise=used)
    return curator.partitions("town", RHO, DELTA), used, curator


class TestWhatIsCounted:
    def test_an_entity_counts_once_for_a_value_however_often_it_has_it(self) -> None:
        rows = [(1, "ulm"), (1, "ulm"), (1, "bonn"), (2, "ulm"), (3, "bonn")]
        answer, noise, _ = ask(rows, schema_of(max_rows=3))
        assert answer.values == ("bonn", "ulm")
        assert noise.inputs[0][1].tolist() == [2, 2]

    def test_each_row_is_an_entity_where_no_column_names_it(self) -> None:
        answer, noise, _ = ask([(1, "ulm"), (1, "ulm"), (1, "bonn")], schema_of())
        assert (answer.values, noise.inputs[0][1].tolist()) == (("bonn", "ulm"), [1, 2])

    def test_noise_falls_only_on_values_that_occur_in_kept_rows(self) -> None:
        rows = [(1, "a"), (1, "b"), (1, "c"), (2, "z"), (None, "nobody"), ("", "nobody")]
        data = frame(rows)
        data.loc[4, "id"] = None
        noise = Raised()
        with Curator.open(data, schema_of(max_rows=2), LightReservation.new(), _noise=noise) as curator:
            answer = curator.partitions("town", RHO, DELTA)
        assert noise.inputs[0][1].tolist() == [1, 1, 1]
        assert "nobody" not in answer.values
        assert len(set(answer.values) & {"a", "b", "c"}) == 2

    def test_nulls_and_the_rest_are_no_values(self) -> None:
        rows = [(1, None), (2, ""), (3, "  "), (4, "other"), (5, " other "), (6, "x")]
        assert ask(rows, schema_of(1))[0].values == ("x",)

    def test_the_rest_is_no_value_however_its_number_is_written(self) -> None:
        schema = schema_of(more='otherwise = "9.0"')
        rows = [(1, "9"), (2, 9), (3, 9.0), (4, "9.0"), (5, "3")]
        answer, noise, curator = ask(rows, schema)
        assert answer.values == ("3",)
        assert found(schema, [answer]).columns["town"].values == ("3", "9.0")  # type: ignore[union-attr]
        curator.marginals([Query((curator.levels["town"],))], RHO)
        assert noise.inputs[-1][1].tolist() == [1, 4]

    def test_one_text_is_one_value_whatever_stores_it(self) -> None:
        rows = [(1, "3"), (2, 3), (3, 3.0), (4, "3.0"), (5, " 3 "), (6, "e\u0301"), (7, "\u00e9"), (8, b"x"), (9, "x")]
        answer, noise, _ = ask(rows, schema_of(1))
        assert answer.values == ("3", "x", "\u00e9")
        assert noise.inputs[0][1].tolist() == [5, 2, 2]

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 3), st.none() | st.text(max_size=4)), max_size=12), st.integers(1, 3))
    def test_any_text_is_counted_and_becomes_a_column(self, rows: list[tuple[int, Any]], max_rows: int) -> None:
        answer, _, curator = ask(rows, schema_of(max_rows))
        listed = found(schema_of(max_rows), unpack(pack([answer])))
        assert Schema.parse(listed.to_toml()) == listed
        (table,) = curator.marginals([Query((curator.levels["town"],))], RHO)
        assert table.query.shape == (len(answer.values) + 1,)

    def test_survey_weights_do_not_count(self) -> None:
        unit = '[unit]\nweight = "w"\nmax_weight = 10.0\nweight_origin = "design"\n'
        schema = Schema.parse(unit + '[columns.town]\ntype = "categorical"\nvalues = "private"\n')
        data = pd.DataFrame({"w": [10.0, 10.0, 1.0], "town": ["a", "a", "b"]})
        noise, reservation = Raised(), LightReservation()
        with Curator.open(data, schema, reservation, _noise=noise) as curator:  # type: ignore[arg-type]
            curator.partitions("town", RHO, DELTA)
        assert noise.inputs[0][1].tolist() == [2, 1]
        assert reservation.drawn[0].fields["sensitivity_squared"] == "1"


class TestWhatComesOut:
    @pytest.mark.parametrize("max_rows", [0, 2])
    def test_it_does_not_depend_on_the_order_of_rows(self, max_rows: int) -> None:
        rows: list[tuple[object, object]] = [(i % 7, f"town {i * i % 11}") for i in range(40)]
        seen = set()
        for seed in range(5):
            random.Random(seed).shuffle(rows)
            answer, noise, curator = ask(rows, schema_of(max_rows))
            (table,) = curator.marginals([Query((curator.levels["town"],))], RHO)
            seen.add((answer.values, *(tuple(given.tolist()) for _, given, _ in noise.inputs), table.values.tobytes()))
        assert len(seen) == 1

    def test_only_what_reaches_the_threshold_and_labels_are_sorted(self) -> None:
        least = threshold(Fraction(ask([], schema_of())[0].scale), 1, DELTA)
        counts = {"z": least, "m": least - 1, "a": least + 5}
        rows = [(0, town) for town, number in counts.items() for _ in range(number)]
        answer, _, curator = ask(rows, schema_of(), Raised(by=0))
        assert (answer.values, answer.counts.tolist(), answer.threshold) == (("a", "z"), [least + 5, least], least)
        assert curator.domain.size("town") == 3

    def test_however_many_parts_they_come_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        parts = [(["b", "x"], [9, 1]), ([], []), (["a", "c"], [5, 9])]
        given = [(texts, np.array(counts, dtype=np.int64)) for texts, counts in parts]
        monkeypatch.setattr(PrivateTable, "holders", lambda *_: iter(given))
        least = threshold(Fraction(ask([], schema_of())[0].scale), 1, DELTA)
        answer, noise, _ = ask([], schema_of(), Raised(by=least - 5))
        assert [counts.tolist() for _, counts, _ in noise.inputs] == [counts for _, counts in parts]
        assert (answer.values, answer.counts.tolist()) == (("a", "b", "c"), [least, least + 4, least + 4])

    def test_the_most_frequent_ones_become_cells_ties_by_their_text(self) -> None:
        rows = [(i, town) for i, town in enumerate("dddccbba")]
        answer, noise, curator = ask(rows, schema_of(more="max_values = 2"))
        assert answer.values == ("a", "b", "c", "d")
        column = found(schema_of(more="max_values = 2"), [answer]).columns["town"]
        assert column.values == ("b", "d", "other")  # type: ignore[union-attr]
        curator.marginals([Query((curator.levels["town"],))], RHO)
        assert noise.inputs[-1][1].tolist() == [2, 3, 3]

    def test_what_was_not_found_is_the_rest_and_null_stays_null(self) -> None:
        rows = [(1, "a"), (2, "a"), (3, "b"), (4, None), (5, "03"), (6, "3")]
        schema = schema_of(more='nullable = true\notherwise = "else"\nmax_values = 1')
        answer, noise, curator = ask(rows, schema)
        assert found(schema, [answer]).columns["town"].values == ("a", "else")  # type: ignore[union-attr]
        curator.marginals([Query((curator.levels["town"],))], RHO)
        assert noise.inputs[-1][1].tolist() == [2, 3, 1]

    @pytest.mark.parametrize("rows", [[], [(1, "rare")], [(1, None)]])
    def test_nothing_found_is_an_answer_like_any_other(self, rows: list[tuple[object, object]]) -> None:
        answer, _, curator = ask(rows, schema_of(1), Raised(by=0))
        assert (answer.values, answer.counts.shape) == ((), (0,))
        assert (curator.domain.size("town"), curator.unfound) == (1, ())
        (back,) = unpack(pack([answer]))
        assert isinstance(back, Partitions)
        assert (back.values, back.threshold, back.delta) == ((), answer.threshold, DELTA)

    def test_progress_tells_neither_how_many_values_there_are_nor_how_many_were_found(self) -> None:
        told: list[list[str]] = []
        for rows in ([], [(i, f"v{i}") for i in range(50)]):
            heard: list[str] = []
            data = frame(rows)
            with Curator.open(data, schema_of(), LightReservation.new(), heard.append, _noise=Raised()) as curator:
                curator.partitions("town", RHO, DELTA)
            told.append(heard)
        assert told[0] == told[1] == ["asked the values of 'town'; queries so far: 1"]


class TestWhatIsRefused:
    def test_a_query_before_the_values_are_found(self) -> None:
        with Curator.open(frame([(1, "a")]), schema_of(), LightReservation.new(), _noise=Frozen()) as curator:
            town, sex = curator.levels["town"], curator.levels["sex"]
            with pytest.raises(ConfigurationError, match="'town' are not found yet"):
                curator.marginals([Query((sex, town))], RHO)
            curator.marginals([Query((sex,))], RHO)
            curator.total(RHO)

    @pytest.mark.parametrize("column", ["sex", "village"])
    def test_a_column_without_private_values(self, column: str) -> None:
        with (
            Curator.open(frame([]), schema_of(), LightReservation.new(), _noise=Frozen()) as curator,
            pytest.raises(ConfigurationError, match=column),
        ):
            curator.partitions(column, RHO, DELTA)

    def test_a_second_time(self) -> None:
        _, _, curator = ask([(1, "a")], schema_of())
        with pytest.raises(ConfigurationError, match="still to be found"):
            curator.partitions("town", RHO, DELTA)

    def test_a_pure_account(self) -> None:
        noise = Frozen("discrete_laplace")
        with (
            Curator.open(frame([]), schema_of(), LightReservation.new("pure"), _noise=noise) as curator,
            pytest.raises(ConfigurationError, match="pure"),
        ):
            curator.partitions("town", RHO, DELTA)
        assert noise.inputs == []

    @pytest.mark.parametrize("delta", [0.5, True])
    def test_a_delta_that_is_not_exact(self, delta: Any) -> None:
        with (
            Curator.open(frame([]), schema_of(), LightReservation.new(), _noise=Frozen()) as curator,
            pytest.raises(ConfigurationError, match="exact"),
        ):
            curator.partitions("town", RHO, delta)


class Watched(Raised):
    """Noise that looks at the disk when it is drawn."""

    def __init__(self, store: Path, fails: bool = False) -> None:
        super().__init__()
        self.store, self.fails, self.seen = store, fails, ""

    def noisy(self, counts: NDArray[np.int64], scale: Fraction) -> NDArray[np.int64]:
        with Accountant.open(self.store) as accountant:
            self.seen = accountant.history("people")[-1].decode()
        if self.fails:
            raise KeyboardInterrupt
        return super().noisy(counts, scale)


BUDGET = Budget(epsilon="1", delta="1e-6")
PART = Fraction(1, 2**24)
COST = BUDGET.cost("gdp", PART)


def reserve(accountant: Accountant, cost: Cost = COST) -> Reservation:
    return accountant.reserve("people", release="r", plan="sha256:" + "0" * 64, cost=cost, quote=BUDGET)


class TestOnADesk:
    @pytest.fixture
    def store(self) -> Any:
        with quick_folder() as folder:
            with Accountant.open(folder / "store.db", create=True) as accountant:
                accountant.open_account("people", entity="row", neighbours="add-remove", budget=BUDGET, delta0=PART)
            yield folder / "store.db"

    def test_the_charge_is_on_the_disk_before_noise_is_drawn_and_holds_no_label(self, store: Path) -> None:
        noise = Watched(store)
        with Accountant.open(store) as accountant, reserve(accountant) as held:
            with Curator.open(frame([(1, "secret")]), schema_of(), held, _noise=noise) as curator:
                answer = curator.partitions("town", RHO / 2, PART)
            held.settle()
            lines = b"\n".join(accountant.history("people"))
        assert '"kind":"partitions"' in noise.seen
        assert answer.values == ("secret",)
        assert b"secret" not in lines

    def test_the_table_is_opened_once_and_counted_after_the_charge(
        self, store: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen: list[tuple[str, str, str]] = []

        def watched(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any) -> Any:
                with Accountant.open(store) as accountant, sqlite3.connect(store) as database:
                    ((state,),) = database.execute("SELECT state FROM release")
                    seen.append((name, state, parse(accountant.history("people")[-1]).kind))
                return real(*arguments)

            return call

        monkeypatch.setattr(room, "open_table", watched("open", room.open_table))
        for name in ("holders", "count"):
            monkeypatch.setattr(PrivateTable, name, watched(name, getattr(PrivateTable, name)))
        with (
            Accountant.open(store) as accountant,
            reserve(accountant) as held,
            Curator.open(frame([(1, "a")]), schema_of(), held, _noise=Raised()) as curator,
        ):
            assert seen == []
            curator.partitions("town", RHO / 2, PART)
            curator.total(RHO / 8)
        assert seen == [
            ("open", "DRAWING", "reserve"),
            ("holders", "DRAWING", "partitions"),
            ("count", "DRAWING", "measure"),
        ]

    def test_a_run_that_goes_on_is_given_its_values_and_pays_nothing(self, store: Path) -> None:
        rows = [(1, "a"), (2, "b"), (3, "a")]
        with Accountant.open(store) as accountant:
            with reserve(accountant) as held, Curator.open(frame(rows), schema_of(), held, _noise=Raised()) as curator:
                first = curator.partitions("town", RHO / 2, PART)
            with reserve(accountant) as held:
                noise = Raised()
                with Curator.open(frame(rows), schema_of(), held, _noise=noise) as curator:
                    again = curator.partitions("town", RHO / 2, PART)
                    assert noise.inputs == []
                    curator.marginals([Query((curator.levels["town"],))], RHO / 4)
                left = held.left
        assert (again.values, again.counts.tolist()) == (first.values, first.counts.tolist())
        assert noise.inputs[0][1].tolist() == [2, 1, 0]
        assert left.delta == 0

    def test_a_crash_loses_the_answer_and_its_delta(self, store: Path) -> None:
        rows = [(1, "a")]
        with Accountant.open(store) as accountant:
            with (
                reserve(accountant) as held,
                Curator.open(frame(rows), schema_of(), held, _noise=Watched(store, fails=True)) as curator,
                pytest.raises(BaseException),  # noqa: B017
            ):
                curator.partitions("town", RHO / 4, PART)
            with (
                reserve(accountant) as held,
                Curator.open(frame(rows), schema_of(), held, _noise=Raised()) as curator,
                pytest.raises(BudgetRefused, match="the values of town"),
            ):
                curator.partitions("town", RHO / 4, PART)
            assert [b'"kind":"lost"' in line for line in accountant.history("people")].count(True) == 1

    def test_an_account_that_set_nothing_aside_refuses_with_the_reason(self) -> None:
        with quick_folder() as folder, Accountant.open(folder / "store.db", create=True) as accountant:
            accountant.open_account("people", entity="row", neighbours="add-remove", budget=BUDGET)
            with pytest.raises(BudgetRefused, match="delta0"):
                reserve(accountant)

    def test_an_account_keeps_the_part_that_it_was_opened_with(self, store: Path) -> None:
        with Accountant.open(store) as accountant:
            terms: dict[str, Any] = {"entity": "row", "neighbours": "add-remove", "budget": BUDGET}
            assert accountant.open_account("people", **terms, delta0=PART).cap == COST
            with pytest.raises(ConfigurationError, match="set aside"):
                accountant.open_account("people", **terms)


@pytest.mark.parametrize("failure", [ValueError, PanicException])
def test_what_goes_wrong_with_a_table_says_nothing_of_it(failure: type[BaseException]) -> None:
    class Broken(Frozen):
        def noisy(self, counts: NDArray[np.int64], scale: Fraction) -> NDArray[np.int64]:
            raise failure(f"secret {counts}")

    with (
        Curator.open(frame([(1, "secret")]), schema_of(), LightReservation.new(), _noise=Broken()) as curator,
        pytest.raises(DpsynthError, match="could not be counted") as caught,
    ):
        curator.partitions("town", RHO, DELTA)
    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("stop", INTERRUPTIONS)
def test_an_interruption_is_no_failure_of_the_table(stop: type[BaseException]) -> None:
    class Stopped(Frozen):
        def noisy(self, counts: NDArray[np.int64], scale: Fraction) -> NDArray[np.int64]:
            raise stop

    with (
        Curator.open(frame([(1, "a")]), schema_of(), LightReservation.new(), _noise=Stopped()) as curator,
        pytest.raises(stop),
    ):
        curator.partitions("town", RHO, DELTA)


def test_parts_of_a_table_may_store_texts_and_ids_in_different_types(tmp_path: Path) -> None:
    parts = [
        pa.table({"id": pa.array([1, 2]), "town": pa.array(["a", "b"]), "sex": pa.array(["f", "f"])}),
        pa.table(
            {
                "id": pa.array(["2", "3"], type=pa.large_string()),
                "town": pa.array(["b", "b"]).dictionary_encode(),
                "sex": pa.array(["m", None]),
            }
        ),
        pa.table({"id": pa.array([3.0]), "town": pa.nulls(1), "sex": pa.nulls(1)}),
    ]
    for number, part in enumerate(parts):
        pq.write_table(part, tmp_path / f"{number}.parquet")
    noise = Raised()
    with Curator.open(tmp_path, schema_of(max_rows=2), LightReservation.new(), _noise=noise) as curator:
        assert curator.partitions("town", RHO, DELTA).values == ("a", "b")
    assert noise.inputs[0][1].tolist() == [1, 2]


@given(st.lists(st.sampled_from(["a", "b", "c", "d", None]), min_size=1, max_size=6), st.integers(1, 3))
@settings(deadline=None, max_examples=40)
def test_which_rows_of_an_entity_stay_does_not_depend_on_others(towns: list[str | None], max_rows: int) -> None:
    """Places among the texts do: another entity that comes first gives every text another place."""
    mine: list[tuple[object, object]] = [(1, town) for town in towns]
    others: list[tuple[object, object]] = [(i + 2, town) for i, town in enumerate("dcbaz")]
    alone, _, _ = ask(mine, schema_of(max_rows))
    together, _, _ = ask([*others, *mine], schema_of(max_rows))
    without, _, _ = ask(others, schema_of(max_rows))

    def held(answer: Partitions) -> dict[str, int]:
        return dict(zip(answer.values, (answer.counts - 10**6).tolist(), strict=True))

    added = {town: held(together)[town] - held(without).get(town, 0) for town in held(together)}
    assert {town: number for town, number in added.items() if number} == held(alone)
