"""Which candidates remain after a pick: public rules on the columns of the candidates and the picks so far."""

from __future__ import annotations

from collections.abc import Sequence

from dpsynth.errors import ConfigurationError
from dpsynth.measurement import Rule


def require_rule(rule: Rule, candidates: Sequence[tuple[str, ...]]) -> None:
    """ConfigurationError for an unknown rule, or one that does not apply to these candidates."""
    if rule not in ("distinct", "spanning-forest"):
        raise ConfigurationError(f"rule {rule!r}: the rules are 'distinct' and 'spanning-forest'")
    if rule == "spanning-forest" and any(len(columns) != 2 for columns in candidates):
        raise ConfigurationError("rule 'spanning-forest' takes candidates of two columns each")


def remaining(candidates: Sequence[tuple[str, ...]], picks: Sequence[int], rule: Rule) -> list[int]:
    """The indices, ascending, of the candidates that may be picked next.

    ``"distinct"``: all that were not picked. ``"spanning-forest"``: of those, the pairs that join two columns which
    the picked pairs do not connect yet.
    """
    rest = [index for index in range(len(candidates)) if index not in picks]
    if rule == "distinct":
        return rest
    part = {column: column for columns in candidates for column in columns}
    for pick in picks:
        first, second = (part[column] for column in candidates[pick])
        part = {column: first if root == second else root for column, root in part.items()}
    return [index for index in rest if part[candidates[index][0]] != part[candidates[index][1]]]
