"""``dpsynth budget convert``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from dpsynth.cli.output import json_option, say, say_json
from dpsynth.errors import ConfigurationError

if TYPE_CHECKING:
    from dpsynth.privacy import Measure


@click.command()
@click.option("--epsilon", help="Exact, such as 1: what does this budget buy?")
@click.option("--rho", help="Exact, such as 293764/114921: what does this much zCDP promise?")
@click.option("--mu2", help="Exact, such as 0.033: what does this much Gaussian DP (mu squared) promise?")
@click.option("--delta", required=True, help="Exact, such as 1e-9.")
@click.option(
    "--measure",
    type=click.Choice(["gdp", "zcdp", "pure"]),
    help="With --epsilon: what to buy, mu squared of Gaussian DP, rho of zCDP, or pure epsilon.  [default: gdp]",
)
@json_option
def convert(
    epsilon: str | None, rho: str | None, mu2: str | None, delta: str, measure: Measure | None, as_json: bool
) -> None:
    """Convert Gaussian DP's mu squared or zCDP's rho to epsilon at a delta, or epsilon to what it buys.

    Give one of --mu2, --rho and --epsilon. What is promised is rounded up and what is bought is rounded down, both
    certified by interval arithmetic, so that the promise is never overstated. Gaussian noise sigma on an answer of L2
    sensitivity D costs mu squared = D^2 / sigma^2, or rho = D^2 / (2 sigma^2); both add up. Gaussian DP promises more
    for the same noise, but not every mechanism has it: the discrete Gaussian is zCDP only. Delta 0 is pure DP only.

    \b
    dpsynth budget convert --epsilon 1 --delta 1e-9                   the mu squared of a budget
    dpsynth budget convert --epsilon 1 --delta 1e-9 --measure zcdp    its rho
    dpsynth budget convert --mu2 1/30 --delta 1e-9                    the epsilon of a mu squared
    """
    from dpsynth.privacy import Budget, Cost, decimal_text, epsilon_of, highest_tpr, parse_fraction
    from dpsynth.report.text import percent_above

    if sum(given is not None for given in (epsilon, rho, mu2)) != 1:
        raise ConfigurationError("give exactly one of --mu2, --rho and --epsilon")
    own: Measure | None = "zcdp" if rho is not None else "gdp" if mu2 is not None else None
    if own and measure not in (None, own):
        raise ConfigurationError(
            f"--measure {measure}: --rho is of zcdp and --mu2 of gdp; --measure goes with --epsilon"
        )
    if epsilon is not None:
        asked = Budget(epsilon=epsilon, delta=delta)
        asked.require(measure or "gdp")
        cost, exact_delta = asked.cost(measure or "gdp"), asked.delta
    else:
        cost = Cost(own or "gdp", parse_fraction(mu2 or rho or "", f"--{'rho' if own == 'zcdp' else 'mu2'}"))
        exact_delta = parse_fraction(delta, "--delta")
    quoted = epsilon_of(cost, exact_delta)
    worst = {str(fpr): highest_tpr(cost, fpr) for fpr in (0.001, 0.01, 0.1)}
    if as_json:
        promise = {"epsilon": decimal_text(quoted), "delta": str(exact_delta), "tpr": worst}
        say_json({"ok": True, "measure": cost.measure, cost.unit: str(cost.amount), **promise})
        return
    if cost.measure != "pure":
        say(f"{cost.unit:<9}{cost.amount} (about {float(cost.amount):.10g})")
    say(f"epsilon  {decimal_text(quoted)}")
    say(f"delta    {delta}")
    for rate, tpr in worst.items():
        shown = percent_above(tpr).replace("\u202f", " ")
        say(f"at most {shown:>7} true positives at {float(rate):.1%} false positives")
