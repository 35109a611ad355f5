"""The privacy filter: a sum of exact costs that never exceeds a cap, and how a refusal is told.

Each account sums in its measure, and each sum is a valid filter also when queries and noise scales are chosen from
earlier answers: mu^2 of Gaussian DP (Smith, Thakurta 2022, arXiv 2210.17520), rho of zCDP (Whitehouse, Ramdas, Rogers,
Wu 2023, arXiv 2203.05481, Theorem 1), epsilon of pure DP. delta_0 of thresholded steps add. An account that is divided
into cells adds up each cell by itself and holds what these sums cost together. Proofs: proofs/accountant and
proofs/privacy/gdp_composition.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING

from dpsynth.accountant.grid import round_up
from dpsynth.errors import BudgetRefused, ConfigurationError
from dpsynth.privacy import Budget, Cost, Measure, amount_of, epsilon_of, moved_cells, together

if TYPE_CHECKING:
    from dpsynth.accountant.values import Account

_NAMED = 5
"""Lost answers that an error names."""
_UP = Context(prec=6, rounding=ROUND_CEILING)
_DOWN = Context(prec=6, rounding=ROUND_FLOOR)


def require_measure(account: Account, cost: Cost) -> None:
    """ConfigurationError unless a release asks in the measure in which its account counts."""
    if cost.measure != account.measure:
        raise ConfigurationError(
            f"account {account.name!r} counts in {account.measure} for ever and pays for nothing in {cost.measure}: "
            f'ask in measure "{account.measure}", or name an account of {cost.measure}'
        )


def charged(account: Account, cost: Cost) -> Cost:
    """What an account at or above the one that is asked holds for a ``cost``: the same, in its own measure.

    An account of zCDP above one of Gaussian DP holds rho = mu^2/2, rounded up to the grid. There is no other way from
    one measure to another: ConfigurationError.
    """
    if cost.measure != account.measure and (cost.measure, account.measure) != ("gdp", "zcdp"):
        require_measure(account, cost)
    return charged_in(account.measure, cost)


def charged_in(measure: Measure, cost: Cost) -> Cost:
    """What a ``cost`` amounts to in the measure of an account that can be charged for it: :func:`charged`."""
    return round_up(cost.as_zcdp()) if measure == "zcdp" and cost.measure == "gdp" else cost


@dataclass(frozen=True)
class Bill:
    """What a release comes to for one ``account`` that pays: ``asked``, in its measure, and what it ``held`` with it.

    ``spare`` is the part of what is asked that costs it nothing, since other cells hold as much already; ``together``
    is what an account that is divided holds for its cells with the release, if that lies in one: ``cell``.
    """

    account: Account
    asked: Cost
    held: Cost
    spare: Cost
    together: Cost | None = None
    cell: str | None = None

    @property
    def fits(self) -> bool:
        """Whether the account can hold it."""
        return self.held.fits(self.account.cap)

    @property
    def left(self) -> Cost:
        """What the account would have left of its cap; only where it fits."""
        return self.account.cap - self.held

    @property
    def left_told(self) -> str:
        """What would be left, for people, and the largest epsilon that could then be asked for; rounded down."""
        most = _most(self.left, self.account.policy.delta)
        at = "" if self.account.measure == "pure" else f" at delta {_number(self.account.policy.delta, _UP)}"
        return f"{_amount(self.left, _DOWN)}, epsilon {most}{at}"


def bills(payers: Sequence[Account], cost: Cost) -> tuple[Bill, ...]:
    """What a release of a ``cost`` comes to for each account that pays, its own first and then each above it.

    Each holds ``charged(cost)`` more, up to the account that is a cell. The one that the cell belongs to holds what all
    its cells cost together, and all above that one the increase of this.
    """
    before, now, spare = Cost.nothing(cost.measure), cost, Cost.nothing(cost.measure)
    found: list[Bill] = []
    for payer in payers:
        priced = label = None
        if payer.cells is not None and found and found[-1].account.label is not None:
            cell, label = found[-1], found[-1].account.label
            rest = others(payer, cell.account)
            before = together((cell.account.held, *rest), payer.neighbours, payer.measure)
            priced = now = together((cell.held, *rest), payer.neighbours, payer.measure)
            spare = spared(cell.account.held, rest, payer.neighbours)
        held = payer.held + (charged(payer, now) - charged(payer, before))
        less = spare.as_zcdp() if payer.measure == "zcdp" else spare
        found.append(Bill(payer, charged(payer, cost), held, less, priced, label))
    return tuple(found)


def others(divided: Account, cell: Account) -> tuple[Cost, Cost]:
    """The largest and the second largest of what the other cells hold, amount and delta each by itself."""
    nothing = Cost.nothing(divided.measure)
    sums = [nothing, nothing, *(held for label, held in divided.sums if label != cell.label)]
    amounts, deltas = sorted(one.amount for one in sums), sorted(one.delta for one in sums)
    first, second = (Cost(divided.measure, amounts[place], deltas[place]) for place in (-1, -2))
    return first, second


def spared(own: Cost, rest: tuple[Cost, Cost], neighbours: str) -> Cost:
    """By how much a cell may grow before all cells together cost more."""
    least, nothing = rest[moved_cells(neighbours) - 1], Fraction(0)
    return Cost(own.measure, max(least.amount - own.amount, nothing), max(least.delta - own.delta, nothing))


def unable(owed: Iterable[Bill]) -> Bill | None:
    """The first bill that its account cannot pay; None if all can."""
    return next((bill for bill in owed if not bill.fits), None)


def covers(quote: Budget, cost: Cost) -> bool:
    """Whether ``cost`` stays within an epsilon at a delta. Only pure costs stay within any epsilon at delta 0."""
    if cost.measure != "pure" and cost.delta >= quote.delta:
        return False
    return _epsilon_of(cost, quote.delta) <= quote.epsilon


@lru_cache(maxsize=64)
def _epsilon_of(cost: Cost, delta: Fraction) -> Fraction:
    """``epsilon_of``: many releases ask for the same."""
    return epsilon_of(cost, delta)


def require_quote(quote: Budget, cost: Cost) -> None:
    """ConfigurationError unless what a release claims, ``quote``, covers the ``cost`` that it reserves."""
    if not covers(quote, cost):
        raise ConfigurationError(
            f"the release claims epsilon {quote.epsilon} at delta {quote.delta}, but reserves more than that allows; "
            "claim more or reserve less"
        )


def refusal(bill: Bill) -> BudgetRefused:
    """The error for a bill that does not fit: asked, spent, left and cap, in the account's unit and as epsilon.

    Asked and spent are rounded up, left is rounded down: what is shown as left can be asked for.
    """
    account, delta = bill.account, bill.account.policy.delta
    rest = account.left + bill.spare
    asked = _shown(bill.asked, delta)
    most = _most(rest, delta)
    pure = account.measure == "pure"
    left = f"epsilon {most}" if pure else f"{_amount(rest, _DOWN)} (epsilon {most})"
    at = "" if pure else f", each epsilon at delta {_number(delta, _UP)}"
    advice = f"ask for an epsilon of at most {most}" if rest.amount else "nothing more can be released from it"
    if bill.asked.delta > rest.delta and bill.asked.amount <= rest.amount:
        advice = (
            f"finding values privately takes delta {_number(bill.asked.delta, _UP)} of it, and it has "
            f"{_number(rest.delta, _DOWN)} left that was set aside for that (`dpsynth budget open --delta0`): list the "
            "values, or name an account with more of it"
        )
    cell = "" if bill.cell is None else f" for its cell {bill.cell!r}"
    return BudgetRefused(
        f"account {account.name!r} cannot pay{cell}: asked {asked}, spent {_shown(account.held, delta)}, left {left}, "
        f"cap {_shown(account.cap, delta)}{at}. Nothing was spent; "
        f"{advice}, and no time refills it",
        account=account.name,
        asked=asked,
        left=left,
    )


def overdrawn(release: str, account: str, asked: Cost, left: Cost, lost: Sequence[str]) -> BudgetRefused:
    """The error for a charge that exceeds what its release has reserved; ``lost`` says what was paid for and lost."""
    why = (
        f"{len(lost)} answer(s) of it were lost in a crash after they were paid for and stay charged "
        f"({'; '.join(lost[:_NAMED])}{'; ...' if len(lost) > _NAMED else ''}), and what is left does not cover asking "
        "again: start a new release under another id, from what its account has left"
        if lost
        else "a release never spends more than it reserved at its start"
    )
    return BudgetRefused(
        f"release {release!r} cannot pay: asked {_amount(asked, _UP)}, left {_amount(left, _DOWN)} of its reserve; "
        f"{why}",
        account=account,
        asked=_amount(asked, _UP),
        left=_amount(left, _DOWN),
    )


def _shown(cost: Cost, delta: Fraction) -> str:
    """A cost for people, rounded up, and what it promises where that is another number."""
    if cost.measure == "pure":
        return _amount(cost, _UP)
    epsilon = "without bound" if cost.delta >= delta else _number(_epsilon_of(cost, delta), _UP)
    return f"{_amount(cost, _UP)} (epsilon {epsilon})"


def _most(left: Cost, delta: Fraction) -> str:
    """The largest epsilon of six digits that, asked for at ``delta``, is sure to fit."""
    epsilon = _epsilon_of(left, delta)
    up = _number(epsilon, _UP)
    fits = epsilon > 0 and amount_of(left.measure, Fraction(up), delta) <= left.amount
    return up if fits else _number(epsilon, _DOWN)


def _amount(cost: Cost, rounding: Context) -> str:
    own = f" and delta {_number(cost.delta, rounding)}" if cost.delta else ""
    return f"{cost.unit} {_number(cost.amount, rounding)}{own}"


def _number(value: Fraction, rounding: Context) -> str:
    """Six significant digits, rounded one way."""
    number = rounding.divide(Decimal(value.numerator), Decimal(value.denominator))
    return f"{number.normalize():g}"
