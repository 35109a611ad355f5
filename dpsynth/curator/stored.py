"""Stored answers of a release that was cut off: given back, in order, before anything new is asked."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from dpsynth.accountant import Charge, Reservation, StoredAnswer
from dpsynth.errors import DpsynthError
from dpsynth.ledger import amount
from dpsynth.measurement import Answer, NoisyMarginal, unpack


class StoredAnswers:
    """The answers that a release has paid for and kept. What was lost stays charged and is passed over."""

    def __init__(self, reservation: Reservation) -> None:
        self._release = reservation.release
        self._waiting = deque(verb for verb in reservation.answers() if verb.answer is not None)

    def take(self, charges: Sequence[Charge]) -> tuple[Answer, ...] | None:
        """The stored answers to these charges; None when all that was stored has been given.

        DpsynthError where the next stored verb was another question: the release cannot go on, and nothing is spent.
        """
        if not self._waiting:
            return None
        verb = self._waiting[0]
        if verb.answer is None or not _same(verb, charges):
            raise DpsynthError(
                f"release {self._release!r} was begun with other questions than are asked now, by another version of "
                "dpsynth or on a machine whose arithmetic differs: go on where it was begun, or start a new release "
                "under another id. Nothing more was spent"
            )
        self._waiting.popleft()
        return unpack(verb.answer)


def _same(verb: StoredAnswer, charges: Sequence[Charge]) -> bool:
    """Whether a stored verb paid for exactly these charges: mechanism, scales, query, unit and all."""
    return len(verb.fields) == len(charges) and all(
        verb.kind == charge.kind
        and fields["cost"] == amount(charge.cost)
        and all(fields.get(key) == value for key, value in charge.fields.items())
        for fields, charge in zip(verb.fields, charges, strict=True)
    )


def marginal(answer: Answer) -> NoisyMarginal:
    """An answer that is a marginal; DpsynthError for another kind."""
    if not isinstance(answer, NoisyMarginal):
        raise DpsynthError("a stored answer is not the marginal that was asked")
    return answer
