from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.measurement import Domain, Level, Query
from dpsynth.mechanisms import MRM, Workload
from dpsynth.mechanisms.purchase import SHARES, Offer, choose
from dpsynth.mechanisms.rate import MEAN_SIZE, Rate
from dpsynth.model import JunctionTree
from tests.mechanisms.fake import FakeMeasurer

RATE = Rate(10.0, 1.0, laplace=False)


def offer(columns: str, whole: float, seen: float, size: int = 4, weight: float = 1.0) -> Offer:
    levels = tuple(Level.identity(name, size) for name in columns)
    return Offer(Query(levels), whole, seen, float(size ** len(columns)), weight)


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
@given(OFFERS, st.floats(1e-6, 1e6), st.integers(1, 2000), st.booleans())
def test_what_is_bought_fits(offers: list[Offer], budget: float, limit: int, laplace: bool) -> None:
    bought = choose(offers, Rate(10.0, 1.0, laplace), budget, limit)
    assert not bought or sum(purchase.share for purchase in bought) == pytest.approx(1)
    assert all(purchase.share > 0 for purchase in bought)
    queries = [offers[purchase.offer].query for purchase in bought]
    assert len({query.columns for query in queries}) == len(queries)
    joint = [query for query in queries if len(query.columns) > 1]
    sizes: dict[str, int] = {}
    for level in (level for query in joint for level in query.levels):
        sizes[level.column] = max(sizes.get(level.column, 0), level.size)
    if joint:
        tree = JunctionTree.of(Domain(tuple(sizes), tuple(sizes.values())), [query.columns for query in joint])
        assert max(tree.domain.cells(node.columns) for node in tree.nodes) <= max(limit, 1)


def test_prices_are_nearly_the_best_ones() -> None:
    """Of two tables alone: against a search over all ways to divide the budget."""
    offers = [offer("ab", 9000, 8000, 9), offer("cd", 5000, 3000, 4, weight=3.0)]

    def left(shares: np.ndarray) -> float:
        total = 0.0
        for found, share in zip(offers, shares, strict=True):
            noise = MEAN_SIZE * found.cells * float(RATE.sigmas(np.array(share * 0.2)))
            total += found.weight * np.sqrt(found.whole**2 - found.seen**4 / (found.seen**2 + noise**2))
        return total

    mine = left(np.array([purchase.share for purchase in choose(offers, RATE, 0.2, 10**6)]))
    best = min(left(np.array([share, 1 - share])) for share in np.linspace(0.01, 0.99, 99))
    assert mine <= 1.005 * best


def test_a_table_too_large_for_its_noise_is_never_bought() -> None:
    small, large = offer("ab", 500, 500, 3), offer("cd", 500, 500, 300)
    (purchase,) = choose([large, small], RATE, 1.0, 10**9)
    assert purchase.offer == 1


def test_the_finer_of_two_levels_is_bought_when_it_pays() -> None:
    coarse, fine = offer("ab", 3000, 1500, 3), offer("ab", 3000, 3000, 30)
    assert [purchase.offer for purchase in choose([coarse, fine], RATE, 1e-3, 10**6)] == [0]
    assert [purchase.offer for purchase in choose([coarse, fine], RATE, 1e3, 10**6)] == [1]
    assert [purchase.offer for purchase in choose([coarse, fine], RATE, 1e3, 100)] == [0]


def test_nothing_to_buy() -> None:
    assert choose([], RATE, 1.0, 100) == ()
    assert choose([offer("ab", 0, 0)], RATE, 1.0, 100) == ()
    assert SHARES[0] == 1 and (np.diff(SHARES) < 0).all() and SHARES[-1] > 0


def test_mrm_heeds_its_workload() -> None:
    """Two equal dependences, the budget for one: the pair that matters is bought more finely."""
    rng = np.random.default_rng(0)
    a, c = rng.integers(0, 8, 4000), rng.integers(0, 8, 4000)
    noise = rng.random((2, 4000)) < 0.5
    b, d = (np.where(flip, rng.integers(0, 8, 4000), x) for flip, x in zip(noise, (a, c), strict=True))
    domain = Domain(tuple("abcd"), (8, 8, 8, 8))
    bought = {}
    for target in ("a", "c"):
        fake = FakeMeasurer(domain, np.column_stack([a, b, c, d]), 1, measure="gdp")
        MRM(Workload(columns=((target, 50),))).fit(fake, Fraction(1, 50))
        scales = {answer.query.columns: float(answer.sigma) for answer in fake.answers[-8:] if hasattr(answer, "query")}
        bought[target] = scales.get(("a", "b"), 1e9), scales.get(("c", "d"), 1e9)
    assert bought["a"][0] < bought["c"][0] and bought["c"][1] < bought["a"][1]
