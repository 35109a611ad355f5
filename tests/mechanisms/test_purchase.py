from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.errors import ConfigurationError
from dpsynth.measurement import TOTAL, Domain, Level, NoisyMarginal, Query, Replayer
from dpsynth.mechanisms import MRM, Workload, purchase
from dpsynth.mechanisms.assemble import fit_model
from dpsynth.mechanisms.purchase import SHARES, Offer, Purchase, choose
from dpsynth.mechanisms.rate import MEAN_SIZE, Rate
from dpsynth.model import JunctionTree
from tests.mechanisms.fake import FakeMeasurer, first_of

RATE = Rate(10.0, 1.0, laplace=False)


def offer(columns: str, whole: float, seen: float, size: int = 4, weight: float = 1.0) -> Offer:
    levels = tuple(Level.identity(name, size) for name in columns)
    return Offer(Query(levels), whole, seen, float(size ** len(columns)), weight)


def bought(offers: list[Offer], budget: float, limit: int) -> tuple[Purchase, ...]:
    basket = choose(offers, RATE, budget, limit)
    assert basket is not None
    return basket.purchases


OFFERS = st.lists(
    st.builds(
        lambda columns, seen, rest, size, weight: offer(columns, seen + rest, seen, size, weight),
        st.sampled_from(["a", "b", "ab", "ac", "bc", "ad", "cd", "abc"]),
        st.floats(0, 1e5),
        st.floats(0, 1e5),
        st.integers(2, 9),
        st.floats(0.1, 100),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(OFFERS, st.floats(1e-6, 1e6), st.integers(1, 2000), st.booleans(), st.sampled_from([0, purchase.WIDE]))
def test_what_is_bought_fits(offers: list[Offer], budget: float, limit: int, laplace: bool, wide: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(purchase, "WIDE", wide)
        basket = choose(offers, Rate(10.0, 1.0, laplace), budget, limit)
    bought = () if basket is None else basket.purchases
    assert not bought or sum(one.share for one in bought) == pytest.approx(1)
    assert all(one.share > 0 for one in bought)
    queries = [offers[one.offer].query for one in bought]
    assert len({query.columns for query in queries}) == len(queries)
    joint = [query for query in queries if len(query.columns) > 1]
    sizes: dict[str, int] = {}
    for level in (level for query in joint for level in query.levels):
        sizes[level.column] = max(sizes.get(level.column, 0), level.size)
    if basket is not None and joint:
        assert all(basket.tree.host(query.columns) is not None for query in joint)
        assert all(basket.tree.domain.size(name) == size for name, size in sizes.items())
        assert basket.tree.cells <= limit


def test_prices_are_nearly_the_best_ones() -> None:
    """Of two tables alone: against a search over all ways to divide the budget."""
    offers = [offer("ab", 9000, 8000, 9), offer("cd", 5000, 3000, 4, weight=3.0)]

    def left(shares: np.ndarray) -> float:
        total = 0.0
        for found, share in zip(offers, shares, strict=True):
            noise = MEAN_SIZE * found.cells * float(RATE.sigmas(np.array(share * 0.2)))
            total += found.weight * np.sqrt(found.whole**2 - found.seen**4 / (found.seen**2 + noise**2))
        return total

    mine = left(np.array([one.share for one in bought(offers, 0.2, 10**6)]))
    best = min(left(np.array([share, 1 - share])) for share in np.linspace(0.01, 0.99, 99))
    assert mine <= 1.005 * best


def test_a_table_too_large_for_its_noise_is_never_bought() -> None:
    small, large = offer("ab", 500, 500, 3), offer("cd", 500, 500, 300)
    (one,) = bought([large, small], 1.0, 10**9)
    assert one.offer == 1


def test_the_finer_of_two_levels_is_bought_when_it_pays() -> None:
    coarse, fine = offer("ab", 3000, 1500, 3), offer("ab", 3000, 3000, 30)
    assert [one.offer for one in bought([coarse, fine], 1e-3, 10**6)] == [0]
    assert [one.offer for one in bought([coarse, fine], 1e3, 10**6)] == [1]
    assert [one.offer for one in bought([coarse, fine], 1e3, 100)] == [0]


def test_nothing_to_buy() -> None:
    assert choose([], RATE, 1.0, 100) is None
    assert choose([offer("ab", 0, 0)], RATE, 1.0, 100) is None
    assert SHARES[0] == 1 and (np.diff(SHARES) < 0).all() and SHARES[-1] > 0


def test_mrm_heeds_its_workload() -> None:
    """Two equal dependences, the budget for one: the pair that matters is bought more finely."""
    rng = np.random.default_rng(0)
    a, c = rng.integers(0, 8, 4000), rng.integers(0, 8, 4000)
    noise = rng.random((2, 4000)) < 0.5
    b, d = (np.where(flip, rng.integers(0, 8, 4000), x) for flip, x in zip(noise, (a, c), strict=True))
    domain = Domain(tuple("abcd"), (8, 8, 8, 8))
    scales = {}
    for target in ("a", "c"):
        fake = FakeMeasurer(domain, np.column_stack([a, b, c, d]), 1, measure="gdp")
        MRM(Workload(columns=((target, 50),))).fit(fake, Fraction(1, 50))
        found = {answer.query.columns: float(answer.sigma) for answer in fake.answers[-8:] if hasattr(answer, "query")}
        scales[target] = found.get(("a", "b"), 1e9), found.get(("c", "d"), 1e9)
    assert scales["a"][0] < scales["c"][0] and scales["c"][1] < scales["a"][1]


def test_a_fresh_triangulation_does_not_refuse_what_was_checked() -> None:
    """Thirteen pairs whose tree, grown pair by pair, has 240,000 cells, and 149 million if it is made afresh."""
    sizes = (110, 2, 2, 110, 110, 110, 2, 110, 2, 2)
    names = tuple("abcdefghij")
    levels = {name: Level.identity(name, size) for name, size in zip(names, sizes, strict=True)}
    pairs = ["hi", "ad", "ef", "gj", "be", "cf", "gh", "bc", "eh", "ab", "fi", "dg", "de"]
    domain = Domain(names, sizes)
    with pytest.raises(ConfigurationError, match="cells"):
        JunctionTree.of(domain, pairs)
    offers = [Offer(Query((levels[a], levels[b])), 1e6 - i, 1e6 - i, 1.0, 1.0) for i, (a, b) in enumerate(pairs)]
    basket = choose(offers, RATE, 1.0, 1 << 20)
    assert basket is not None and len(basket.purchases) == len(pairs)

    def answer(query: Query) -> NoisyMarginal:
        return NoisyMarginal(query, np.full(query.shape, 10), Fraction(5), "rounded_gaussian", 1)

    total = NoisyMarginal(TOTAL, np.array(1000), Fraction(5), "rounded_gaussian", 1)
    joint = [answer(offers[one.offer].query) for one in basket.purchases]
    fitted = fit_model(first_of(total, [answer(Query((level,))) for level in levels.values()]), joint, (), basket.tree)
    assert fitted.network.tree.cells <= basket.tree.cells


@pytest.mark.parametrize(
    "switch",
    [
        MRM(batches=(1, 2)),
        MRM(Workload(3), batches=(1, 1, 1)),
        MRM(residual=False),
        MRM(again=Fraction(0)),
        MRM(resolutions=(1 << 20,)),
        MRM(cells=200),
    ],
    ids=["rounds", "triples", "tables", "not again", "one resolution", "small tree"],
)
def test_every_switch_spends_all_and_replays(switch: MRM) -> None:
    rng = np.random.default_rng(1)
    a = rng.integers(0, 6, 3000)
    b, c = (np.where(rng.random(3000) < 0.7, a // 2, rng.integers(0, 4, 3000)) for _ in range(2))
    d = (a + b + c) % 3
    domain = Domain(tuple("abcd"), (6, 4, 4, 3))
    fake = FakeMeasurer(domain, np.column_stack([a, b, c, d]), 1, measure="gdp")
    one = switch.fit(fake, Fraction(1, 5))
    assert fake.spent == Fraction(1, 5)
    two = switch.fit(Replayer.of(fake.grid, fake.answers), Fraction(1, 5))
    assert [belief.tobytes() for belief in one.network.beliefs] == [belief.tobytes() for belief in two.network.beliefs]
    asked = [answer.query for answer in fake.answers if isinstance(answer, NoisyMarginal)]
    assert any(len(query.columns) > 1 for query in asked)
    if switch.cells < 1000:
        assert one.network.tree.cells <= 200 + 17
    if switch.workload.ways == 3:
        assert any(len(query.columns) == 3 for query in asked)
    assert {query.basis for query in asked if len(query.columns) > 1} == {"residual" if switch.residual else "marginal"}


@settings(max_examples=30, deadline=None)
@given(OFFERS, st.floats(1, 2000))
def test_a_tree_that_has_room_is_used_in_wide_tables_too(offers: list[Offer], budget: float) -> None:
    """Where everything fits, the two ways to keep a tree buy the same."""
    room = 9**4 * 4
    baskets = []
    for wide in (0, purchase.WIDE):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(purchase, "WIDE", wide)
            baskets.append(choose(offers, RATE, budget, room))
    wide_one, usual = (basket and basket.purchases for basket in baskets)
    assert wide_one == usual
