"""What to measure, and for how much of a budget: the public optimisation that follows noisy scores.

An offer is a table at some levels. Bought for a price B, with noise of expected L1 norm b(B), it leaves of the distance
between model and data

    r(B) = sqrt(whole^2 - seen^4 / (seen^2 + b(B)^2)),

``whole`` being the distance of the finest table and ``seen`` what of it shows at the offer's levels: the two parts of a
distance, that between the cells of the levels and that inside of them, are taken to be orthogonal, and noise and
distance to be weighed against each other as a fit does. The offers bought minimise the weighted sum of r under the
budget and under a limit on the cells of the junction tree, by a price on budget (a Lagrange multiplier) at which every
offer is worth so much, and in the order of that worth. All of it is public; square roots and divisions only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from dpsynth.measurement import Domain, Query
from dpsynth.mechanisms.rate import MEAN_SIZE, Rate
from dpsynth.model import JunctionTree

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

SHARES: Floats = np.array([(16 - step % 8) / 16 / 2 ** (step // 8) for step in range(192)])
"""Parts of the budget that an offer may cost: eight to a factor of two, down to 10^-7."""

LOUDEST = 2.0
"""Most noise of a table that is bought, in units of the distance that it is to take away."""

PASSES = 4
"""How often the tree is built anew at the price of budget that the last one left."""

WIDE = 100
"""Up to so many columns the tree is made anew whenever a column is asked more finely; beyond, only where it is a little
too large as it stands, and after twice as many such offers each time that it did not help: a tree takes time in
proportion to the columns at least. On a survey of 300 columns 65 trees buy as much as 6,850."""

NEAR = 1.1
"""How many times too large a tree may be that is made anew."""

UNLIMITED = 2**62


@dataclass(frozen=True)
class Offer:
    """A query, the distances in rows that make it worth its price, and how much a row counts.

    ``cells`` is the number of cells whose noise is felt. A query of one column is always within the limit on cells.
    """

    query: Query
    whole: float
    seen: float
    cells: float
    weight: float


@dataclass(frozen=True)
class Purchase:
    """The offer of this index for this share of the budget; the shares of all purchases sum to 1."""

    offer: int
    share: float


@dataclass(frozen=True)
class Basket:
    """All purchases, in the order of the offers, and a tree within the limit in whose nodes they lie."""

    purchases: tuple[Purchase, ...]
    tree: JunctionTree


def choose(offers: Sequence[Offer], rate: Rate, budget: float, limit: int, held: Sequence[Query] = ()) -> Basket | None:
    """The offers to buy for a budget, at most one for each set of columns, with a tree of at most ``limit`` cells.

    The tree holds the queries that were ``held`` before, too. None if nothing pays.
    """
    if not offers:
        return None
    gains = _gains(offers, rate, budget)
    every = np.arange(len(offers))
    price = _price(gains, every)
    best: tuple[float, Ints, Ints, JunctionTree] | None = None
    for _ in range(PASSES):
        chosen, tree = _within(offers, gains, price, limit, held)
        if not chosen.size:
            break
        price = _price(gains, chosen)
        bought, gain = _bought(gains, chosen, price)
        if best is None or gain > best[0]:
            best = gain, chosen, bought, tree
    if best is None:
        return None
    _, chosen, bought, tree = best
    spent = float(SHARES[bought].sum())
    pairs = sorted(zip(chosen.tolist(), SHARES[bought].tolist(), strict=True))
    return Basket(tuple(Purchase(offer, share / spent) for offer, share in pairs), tree)


def _gains(offers: Sequence[Offer], rate: Rate, budget: float) -> Floats:
    """The weighted distance that each offer takes away at each share of the budget: shape (offers, shares)."""
    whole, seen, cells, weight = (
        np.array([[getattr(offer, name)] for offer in offers]) for name in ("whole", "seen", "cells", "weight")
    )
    noise = (MEAN_SIZE * cells * rate.sigmas(SHARES * budget)) ** 2
    known = seen**2
    left = whole**2 - known * (known / (known + noise))
    gains: Floats = np.where(noise <= LOUDEST**2 * known, weight * (whole - np.sqrt(np.maximum(left, 0.0))), 0.0)
    return gains


def _bought(gains: Floats, chosen: Ints, price: float) -> tuple[Ints, float]:
    """Where in SHARES each chosen offer is best bought at a price of the budget, and the gain of all."""
    at = (gains[chosen] - price * SHARES).argmax(axis=1)
    return at, float(gains[chosen, at].sum())


def _price(gains: Floats, chosen: Ints) -> float:
    """The price of the whole budget, in weighted rows, at which the chosen offers spend it; a little less than all."""
    low, high = 0.0, max(float(gains[chosen].max()) / float(SHARES[-1]), 1.0)
    for _ in range(100):
        middle = sqrt(low * high) if low > 0 else high / 2**20
        if middle <= low or middle >= high:
            break
        worth = gains[chosen] - middle * SHARES
        at = worth.argmax(axis=1)
        spent = float(SHARES[at][worth.max(axis=1) > 0].sum())
        low, high = (middle, high) if spent > 1 else (low, middle)
        if (low > 0 and high < 1.01 * low) or high < 1e-9:
            break
    return high


def _within(
    offers: Sequence[Offer], gains: Floats, price: float, limit: int, held: Sequence[Query]
) -> tuple[Ints, JunctionTree]:
    """The offers worth something at a price, the worthiest of each set of columns that the tree has room for; it."""
    worth = (gains - price * SHARES).max(axis=1)
    order = [i for i in np.argsort(-worth, kind="stable").tolist() if worth[i] > 0]
    taken: dict[tuple[str, ...], int] = {}
    joint = [query.columns for query in held]
    sizes = {name: 1 for query in (*held, *(offer.query for offer in offers)) for name in query.columns}
    for level in (level for query in held for level in query.levels):
        sizes[level.column] = max(sizes[level.column], level.size)
    tree, wide = _tree(sizes, joint), len(sizes) > WIDE
    failed = passed = 0  # how patiently the next tree is made anew, and the offers passed over meanwhile
    for i in order:
        query = offers[i].query
        if query.columns in taken:
            continue
        if len(query.columns) > 1:
            grown = {**sizes, **{level.column: max(sizes[level.column], level.size) for level in query.levels}}
            domain = Domain(tuple(grown), tuple(grown.values()))
            wider = tree if wide or grown == sizes else _tree(grown, joint)
            found = wider.cells_with(query.columns, domain)
            if wide and limit < found <= NEAR * limit:
                passed += 1
                if passed > failed:
                    wider, passed = _tree(grown, joint), 0
                    found = wider.cells_with(query.columns)
                    failed = 0 if found <= limit else 2 * failed + 1
            if found > limit:
                continue
            tree, sizes = wider.grown(query.columns, domain), grown
            joint.append(query.columns)
        taken[query.columns] = i
    return np.array(sorted(taken.values()), dtype=np.intp), tree


def _tree(sizes: Mapping[str, int], cliques: Sequence[tuple[str, ...]]) -> JunctionTree:
    return JunctionTree.of(Domain(tuple(sizes), tuple(sizes.values())), cliques, UNLIMITED)
