import io
import json
from fractions import Fraction

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from dpsynth.errors import DigestMismatch
from dpsynth.measurement import (
    LATTICE,
    TOTAL,
    Answer,
    Candidate,
    Domain,
    Level,
    NoisyMarginal,
    Query,
    Replayer,
    Selection,
    candidates_digest,
    pack,
    unpack,
)

AGE, SEX = Level("age", np.array([0, 0, 1])), Level.identity("sex", 2)
PAIR = Query((AGE, SEX))


def marginal(query: Query, entry: int, seed: int = 0) -> NoisyMarginal:
    values = (np.arange(query.cells).reshape(query.shape) * 7 + seed - 3).astype(np.int64)
    return NoisyMarginal(query, values, Fraction(5, 2) + entry, entry)


ANSWERS: tuple[Answer, ...] = (
    marginal(TOTAL, 3),
    marginal(Query((AGE,)), 4),
    Selection("l1-to-model", "spanning-forest", (("age", "sex"),), (0,), Fraction(1, 8), 5),
    marginal(PAIR, 6),
)


def same(one: Answer, two: Answer) -> bool:
    if isinstance(one, Selection) or isinstance(two, Selection):
        return one == two
    return (one.query, one.sigma, one.entry) == (two.query, two.sigma, two.entry) and np.array_equal(
        one.values, two.values
    )


@given(st.lists(st.integers(-(2**62), 2**62), min_size=4, max_size=4))
def test_round_trip(values: list[int]) -> None:
    answers = (*ANSWERS, NoisyMarginal(PAIR, np.array(values).reshape(2, 2), Fraction(1, 3), 9))
    back = unpack(pack(answers))
    assert len(back) == len(answers)
    assert all(same(one, two) for one, two in zip(answers, back, strict=True))
    assert pack(back) == pack(answers)


def test_the_archive_holds_no_pickle() -> None:
    with np.load(io.BytesIO(pack(ANSWERS)), allow_pickle=False) as arrays:
        assert {array.dtype.kind for array in arrays.values()} <= {"i", "u"}


def test_damage_is_named() -> None:
    data = pack(ANSWERS)
    for damaged in (b"", b"PK", data[:-30], data[: len(data) // 2], data.replace(b'"v":1', b'"v":2')):
        with pytest.raises(DigestMismatch):
            unpack(damaged)


def replayer(answers: tuple[Answer, ...] = ANSWERS) -> Replayer:
    return Replayer.of(Domain(("age", "sex"), (3, 2)), {"age": AGE, "sex": SEX}, answers)


def test_replay_gives_the_answers_in_order() -> None:
    again, price = replayer(), Fraction(1)
    assert same(again.total(price), ANSWERS[0])
    assert same(again.marginals([Query((AGE,))], price)[0], ANSWERS[1])
    candidate = Candidate.of(PAIR, np.ones((2, 2)))
    assert again.select([candidate], "l1-to-model", 1, price, "spanning-forest") == ANSWERS[2]
    assert same(again.marginals([PAIR], price)[0], ANSWERS[3])
    with pytest.raises(DigestMismatch):
        again.total(price)


def test_replay_refuses_another_question() -> None:
    price, candidate = Fraction(1), Candidate.of(PAIR, np.ones((2, 2)))
    with pytest.raises(DigestMismatch):
        replayer().marginals([PAIR], price)
    with pytest.raises(DigestMismatch):
        replayer().select([candidate], "l1-to-model", 1, price)
    with pytest.raises(DigestMismatch):
        replayer(ANSWERS[2:]).select([candidate], "l1-to-model", 1, price, "distinct")
    with pytest.raises(DigestMismatch):
        replayer(ANSWERS[2:]).select([], "l1-to-model", 1, price, "spanning-forest")


def test_candidates_stand_on_the_lattice() -> None:
    candidate = Candidate.of(PAIR, np.array([[0.25, 1.0], [2.0, 1 / 3]]))
    assert candidate.expected.tolist() == [[LATTICE // 4, LATTICE], [2 * LATTICE, 341]]
    other = Candidate.of(PAIR, np.array([[0.25, 1.0], [2.0, 1.0]]))
    assert candidates_digest([candidate]) != candidates_digest([other])
    assert candidates_digest([candidate, other]) != candidates_digest([other, candidate])


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match="shape"):
        NoisyMarginal(PAIR, np.zeros(4, dtype=np.int64), Fraction(1), 0)
    with pytest.raises(ValueError, match="shape"):
        Candidate(PAIR, np.zeros(4, dtype=np.int64))
    with pytest.raises(ValueError, match="once"):
        Query((AGE, AGE))


def test_the_index_is_json() -> None:
    with np.load(io.BytesIO(pack(ANSWERS)), allow_pickle=False) as arrays:
        assert json.loads(arrays["index"].tobytes())["v"] == 1
