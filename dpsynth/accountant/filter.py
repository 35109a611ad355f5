"""The privacy filter: a sum of exact costs that never exceeds a cap, and how a refusal is told.

The sum of rho is a valid filter for zCDP also when queries and noise scales are chosen from earlier answers
(Whitehouse, Ramdas, Rogers, Wu 2023, arXiv 2203.05481, Theorem 1); delta_0 of thresholded steps add.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

from dpsynth.errors import BudgetRefused, ConfigurationError
from dpsynth.privacy import Budget, Cost, epsilon_of_rho, rho_of_epsilon

if TYPE_CHECKING:
    from dpsynth.accountant.values import Account

_UP = Context(prec=6, rounding=ROUND_CEILING)
_DOWN = Context(prec=6, rounding=ROUND_FLOOR)


def epsilon_at(cost: Cost, delta: Fraction) -> Fraction:
    """The epsilon that ``cost`` gives at ``delta``, rounded up: rho converted at what its own delta leaves of it.

    Nothing costs 0. BudgetFormatError if the cost's own delta uses up ``delta``.
    """
    return epsilon_of_rho(cost.rho, delta - cost.delta) if cost != Cost.nothing() else Fraction(0)


def unable(accounts: Iterable[Account], cost: Cost) -> Account | None:
    """The first account that cannot hold ``cost`` besides what it holds; None if all can."""
    return next((account for account in accounts if not (account.held + cost).fits(account.cap)), None)


def require_quote(quote: Budget, cost: Cost) -> None:
    """ConfigurationError unless what a release claims, ``quote``, covers the ``cost`` that it reserves."""
    if cost.delta >= quote.delta or epsilon_at(cost, quote.delta) > quote.epsilon:
        raise ConfigurationError(
            f"the release claims epsilon {quote.epsilon} at delta {quote.delta}, but reserves more than that allows; "
            "claim more or reserve less"
        )


def refusal(account: Account, cost: Cost) -> BudgetRefused:
    """The error for a cost that does not fit: asked, spent, left and cap, as rho and as epsilon at the policy's delta.

    Asked and spent are rounded up, left is rounded down: what is shown as left can be asked for.
    """
    delta, rest = account.policy.delta, account.left
    asked = _shown(cost, delta)
    most = _most(rest, delta)
    left = f"{_amount(rest, _DOWN)} (epsilon {most})"
    advice = f"ask for an epsilon of at most {most}" if rest.rho else "nothing more can be released from it"
    return BudgetRefused(
        f"account {account.name!r} cannot pay: asked {asked}, spent {_shown(account.held, delta)}, left {left}, "
        f"cap {_shown(account.cap, delta)}, each epsilon at delta {_number(delta, _UP)}. Nothing was spent; "
        f"{advice}, and no time refills it",
        account=account.name,
        asked=asked,
        left=left,
    )


def overdrawn(release: str, account: str, asked: Cost, left: Cost, lost: int) -> BudgetRefused:
    """The error for a charge that exceeds what its release has reserved; ``lost`` answers were paid and lost before."""
    why = (
        f"{lost} answer(s) of it were lost in a crash after they were paid for and stay charged, and what is left does "
        "not cover asking again: start a new release under another id, from what its account has left"
        if lost
        else "a release never spends more than it reserved at its start"
    )
    return BudgetRefused(
        f"release {release!r} cannot pay: asked rho {_number(asked.rho, _UP)}, left rho {_number(left.rho, _DOWN)} of "
        f"its reserve; {why}",
        account=account,
        asked=f"rho {_number(asked.rho, _UP)}",
        left=f"rho {_number(left.rho, _DOWN)}",
    )


def _shown(cost: Cost, delta: Fraction) -> str:
    """A cost for people, rounded up."""
    epsilon = "without bound" if cost.delta >= delta else _number(epsilon_at(cost, delta), _UP)
    return f"{_amount(cost, _UP)} (epsilon {epsilon})"


def _most(left: Cost, delta: Fraction) -> str:
    """The largest epsilon of six digits that, asked for at ``delta``, is sure to fit."""
    epsilon = epsilon_at(left, delta)
    up = _number(epsilon, _UP)
    fits = epsilon > 0 and rho_of_epsilon(Fraction(up), delta) <= left.rho
    return up if fits else _number(epsilon, _DOWN)


def _amount(cost: Cost, rounding: Context) -> str:
    own = f" and delta {_number(cost.delta, rounding)}" if cost.delta else ""
    return f"rho {_number(cost.rho, rounding)}{own}"


def _number(value: Fraction, rounding: Context) -> str:
    """Six significant digits, rounded one way."""
    number = rounding.divide(Decimal(value.numerator), Decimal(value.denominator))
    return f"{number.normalize():g}"
