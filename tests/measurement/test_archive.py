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
    Grid,
    Level,
    NoisyMarginal,
    NoisyScores,
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
    return NoisyMarginal(query, values, Fraction(5, 2) + entry, "rounded_gaussian", entry)


ANSWERS: tuple[Answer, ...] = (
    marginal(TOTAL, 3),
    marginal(Query((AGE,)), 4),
    Selection("l1-to-model", "spanning-forest", (("age", "sex"),), (0,), Fraction(1, 8), 5),
    marginal(PAIR, 6),
    marginal(Query((AGE, SEX), "residual"), 7),
    NoisyMarginal(TOTAL, np.array(5), Fraction(0), "public_count", 8),
    NoisyMarginal(TOTAL, np.array(5), Fraction(7, 4), "discrete_laplace", 10),
    NoisyScores(
        "l1-to-model", (("age", "sex"), ("age",)), np.array([-7, 2**40]), Fraction(5, 2), "rounded_gaussian", 11
    ),
)


def same(one: Answer, two: Answer) -> bool:
    if isinstance(one, Selection) or isinstance(two, Selection):
        return one == two
    if isinstance(one, NoisyScores) or isinstance(two, NoisyScores):
        assert isinstance(one, NoisyScores)
        assert isinstance(two, NoisyScores)
        told = [(a.score, a.candidates, a.scale, a.law, a.entry) for a in (one, two)]
        return told[0] == told[1] and np.array_equal(one.values, two.values)
    told = (one.query, one.scale, one.law, one.entry) == (two.query, two.scale, two.law, two.entry)
    return told and np.array_equal(one.values, two.values)


@given(st.lists(st.integers(-(2**62), 2**62), min_size=4, max_size=4))
def test_round_trip(values: list[int]) -> None:
    answers = (*ANSWERS, NoisyMarginal(PAIR, np.array(values).reshape(2, 2), Fraction(1, 3), "discrete_gaussian", 9))
    back = unpack(pack(answers))
    assert len(back) == len(answers)
    assert all(same(one, two) for one, two in zip(answers, back, strict=True))
    assert pack(back) == pack(answers)


def test_the_archive_holds_no_pickle() -> None:
    with np.load(io.BytesIO(pack(ANSWERS)), allow_pickle=False) as arrays:
        assert {array.dtype.kind for array in arrays.values()} <= {"i", "u"}


def test_damage_is_named() -> None:
    data = pack(ANSWERS)
    for damaged in (b"", b"PK", data[:-30], data[: len(data) // 2], data.replace(b'"v":2', b'"v":1')):
        with pytest.raises(DigestMismatch):
            unpack(damaged)


def replayer(answers: tuple[Answer, ...] = ANSWERS) -> Replayer:
    return Replayer.of(Grid(Domain(("age", "sex"), (3, 2)), {"age": AGE, "sex": SEX}), answers)


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


def test_replay_of_scores() -> None:
    price = Fraction(1)
    asked = [Candidate.of(PAIR, np.ones((2, 2))), Candidate.of(Query((AGE,)), np.zeros(2))]
    again = replayer(ANSWERS[-1:])
    assert same(again.scores(asked, "l1-to-model", price), ANSWERS[-1])
    assert again.left() == 0
    for other in (asked[:1], asked[::-1], [*asked, asked[0]], []):
        with pytest.raises(DigestMismatch):
            replayer(ANSWERS[-1:]).scores(other, "l1-to-model", price)
    with pytest.raises(DigestMismatch):
        replayer(ANSWERS[-1:]).scores(asked, "l2", price)  # type: ignore[arg-type]
    with pytest.raises(DigestMismatch):
        replayer().scores(asked, "l1-to-model", price)
    with pytest.raises(DigestMismatch):
        replayer(ANSWERS[-1:]).select(asked, "l1-to-model", 1, price)
    with pytest.raises(DigestMismatch):
        replayer(ANSWERS[-1:]).total(price)
    with pytest.raises(DigestMismatch):
        replayer(()).scores(asked, "l1-to-model", price)


def test_candidates_stand_on_the_lattice() -> None:
    candidate = Candidate.of(PAIR, np.array([[0.25, 1.0], [2.0, 1 / 3]]))
    assert candidate.expected.tolist() == [[LATTICE // 4, LATTICE], [2 * LATTICE, 341]]
    other = Candidate.of(PAIR, np.array([[0.25, 1.0], [2.0, 1.0]]))
    assert candidates_digest([candidate]) != candidates_digest([other])
    assert candidates_digest([candidate, other]) != candidates_digest([other, candidate])


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match="shape"):
        NoisyMarginal(PAIR, np.zeros(4, dtype=np.int64), Fraction(1), "rounded_gaussian", 0)
    with pytest.raises(ValueError, match="shape"):
        Candidate(PAIR, np.zeros(4, dtype=np.int64))
    with pytest.raises(ValueError, match="shape"):
        NoisyScores("l1-to-model", (("age",),), np.zeros(2, dtype=np.int64), Fraction(1), "rounded_gaussian", 0)
    with pytest.raises(ValueError, match="once"):
        Query((AGE, AGE))


def test_the_digest_covers_levels_weights_and_offsets() -> None:
    zero = np.zeros((2, 2))
    swapped = Query((AGE.merged(np.array([1, 0])), SEX))
    candidates = [
        Candidate.of(PAIR, zero),
        Candidate.of(swapped, zero),
        Candidate.of(PAIR, zero, 2),
        Candidate.of(PAIR, zero, 1, 0.5),
        Candidate.of(PAIR, zero, 1, -0.5),
        Candidate(PAIR, np.zeros((2, 2), dtype=np.int64), 1, 1),
    ]
    assert len({candidates_digest([candidate]) for candidate in candidates}) == len(candidates)
    assert candidates[3].offset == 512


@pytest.mark.parametrize(("weight", "offset"), [(0, 0), (-1, 0), (1.0, 0), (True, 0), (2**32 + 1, 0), (1, 2**62 + 1)])
def test_weights_and_offsets_are_bounded_integers(weight: int, offset: int) -> None:
    with pytest.raises(ValueError, match="of a candidate is an integer"):
        Candidate(PAIR, np.zeros((2, 2), dtype=np.int64), weight, offset)


def test_a_candidate_is_a_marginal() -> None:
    with pytest.raises(ValueError, match="is a marginal"):
        Candidate.of(Query((AGE, SEX), "residual"), np.zeros((2, 2)))


def test_a_residual_has_two_cells_an_axis() -> None:
    one = Level("age", np.array([0, 0, 0]))
    for levels in ((), (one,), (SEX, one)):
        with pytest.raises(ValueError, match="residual"):
            Query(levels, "residual")
    with pytest.raises(ValueError, match="basis"):
        Query((SEX,), "other")  # type: ignore[arg-type]
    assert Query((SEX,), "residual") != Query((SEX,))


def test_the_standard_deviation_of_every_law() -> None:
    value, scale = np.array(5), Fraction(7, 4)
    assert NoisyMarginal(TOTAL, value, scale, "rounded_gaussian", 0).sigma == scale
    assert NoisyMarginal(TOTAL, value, scale, "discrete_gaussian", 0).sigma == scale
    assert NoisyMarginal(TOTAL, value, Fraction(0), "public_count", 0).sigma == 0
    scores = NoisyScores("l1-to-model", (("age",),), np.array([5]), scale, "discrete_laplace", 0)
    assert scores.sigma == NoisyMarginal(TOTAL, value, scale, "discrete_laplace", 0).sigma
    laplace = NoisyMarginal(TOTAL, value, scale, "discrete_laplace", 0).sigma
    assert 2 * scale**2 < laplace**2 < 2 * scale**2 * Fraction(1001, 1000)


@pytest.mark.parametrize(("law", "scale"), [("public_count", 1), ("rounded_gaussian", 0), ("gaussian", 1)])
def test_a_law_and_its_scale_belong_together(law: str, scale: int) -> None:
    with pytest.raises(ValueError, match=r"law|scale"):
        NoisyMarginal(TOTAL, np.array(5), Fraction(scale), law, 0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"law|scale"):
        NoisyScores("l1-to-model", (("age",),), np.array([5]), Fraction(scale), law, 0)  # type: ignore[arg-type]


def test_an_archive_whose_law_and_scale_do_not_agree_is_damaged() -> None:
    data = pack(ANSWERS[:1])
    for instead in (b'"discrete_laplacee"', b'"public_count" ' + b" " * 3):
        damaged = data.replace(b'"rounded_gaussian"', instead.ljust(18)[:18])
        assert damaged != data
        with pytest.raises(DigestMismatch):
            unpack(damaged)


def test_the_index_is_json() -> None:
    with np.load(io.BytesIO(pack(ANSWERS)), allow_pickle=False) as arrays:
        assert json.loads(arrays["index"].tobytes())["v"] == 2
