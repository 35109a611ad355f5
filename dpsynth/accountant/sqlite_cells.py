"""What version 4 of a store in SQLite adds to version 3: accounts that are divided into cells.

Nothing of the older texts is changed or dropped. SQLite itself enforces, besides what they say:

- whether an account is divided, and which cell of its parent it is, is settled when it is opened; a cell has one;
- a divided account holds for its cells what these cost together: the largest of their sums where neighbours differ in
  one cell, the two largest where they differ in two, amount and delta each by itself; and all above it hold as much;
- nothing is drawn while it holds another amount.
"""

from __future__ import annotations

VERSION = 4

_SUMS = """(SELECT coalesce(sum(iif(place <= NEW.moved, held_whole, 0)), 0) AS whole,
        coalesce(sum(iif(place <= NEW.moved, held_units, 0)), 0) AS units,
        coalesce(sum(iif(small <= NEW.moved, held_delta, 0)), 0) AS delta
    FROM (SELECT held_whole, held_units, held_delta,
            row_number() OVER (ORDER BY held_whole DESC, held_units DESC) AS place,
            row_number() OVER (ORDER BY held_delta DESC) AS small
        FROM cell JOIN account ON account.name = cell.account WHERE cell.above = NEW.account))"""
"""What the cells of an account cost together, before units are carried over into wholes."""

_PATH = """(NEW.account, (SELECT parent FROM account WHERE name = NEW.account),
        (SELECT parent FROM account WHERE name = (SELECT parent FROM account WHERE name = NEW.account)),
        (SELECT parent FROM account WHERE name = (SELECT parent FROM account WHERE name =
            (SELECT parent FROM account WHERE name = NEW.account))))"""
"""A divided account and all above it: a tree of accounts has four levels."""


_CHARGED = """    UPDATE account SET
        held_whole = held_whole + ({0}) - ({1}) + ({2}) / 1152921504606846976 - 1,
        held_units = ({2}) % 1152921504606846976,
        held_delta = held_delta + NEW.delta - OLD.delta
    WHERE name IN {3} AND measure {4} (SELECT measure FROM account WHERE name = NEW.account);
"""


def _moved(whole: str, units: str, where: str) -> str:
    """Add the difference of two amounts, and of their deltas, to what accounts hold."""
    new, old = ((whole.replace("X", row), units.replace("X", row)) for row in ("NEW", "OLD"))
    carried = f"held_units + ({new[1]}) - ({old[1]}) + 1152921504606846976"
    return _CHARGED.format(new[0], old[0], carried, _PATH, where)


_SAME = _moved("X.whole", "X.units", "=")
_HALVED = _moved("X.whole / 2", "(X.units + (X.whole % 2) * 1152921504606846976 + 1) / 2", "<>")
"""An account of zCDP above one of Gaussian DP holds rho = mu^2/2, rounded up."""

CELLS = """
CREATE TABLE divided (
    account TEXT PRIMARY KEY REFERENCES account (name),
    moved INTEGER NOT NULL CHECK (moved IN (1, 2)),
    whole INTEGER NOT NULL CHECK (whole BETWEEN 0 AND 1099511627776),
    units INTEGER NOT NULL CHECK (units BETWEEN 0 AND 1152921504606846975),
    delta INTEGER NOT NULL CHECK (delta BETWEEN 0 AND 1152921504606846975)
) STRICT, WITHOUT ROWID;

CREATE TABLE cell (
    account TEXT PRIMARY KEY REFERENCES account (name),
    above TEXT NOT NULL REFERENCES divided (account),
    label TEXT NOT NULL,
    UNIQUE (above, label)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER divided_is_fixed BEFORE UPDATE OF account, moved ON divided
BEGIN SELECT RAISE(ABORT, 'what divides an account never changes'); END;
CREATE TRIGGER divided_is_kept BEFORE DELETE ON divided
BEGIN SELECT RAISE(ABORT, 'a divided account is never made whole'); END;
CREATE TRIGGER divided_is_new BEFORE INSERT ON divided
WHEN (NEW.whole, NEW.units, NEW.delta) <> (0, 0, 0) OR EXISTS (SELECT 1 FROM divided WHERE account = NEW.account)
    OR EXISTS (SELECT 1 FROM entry WHERE account = NEW.account)
BEGIN SELECT RAISE(ABORT, 'an account is divided when it is opened'); END;
CREATE TRIGGER divided_is_priced BEFORE UPDATE OF whole, units, delta ON divided
WHEN NOT EXISTS (SELECT 1 FROM SUMS AS due
    WHERE (due.whole + due.units / 1152921504606846976, due.units % 1152921504606846976, due.delta)
        = (NEW.whole, NEW.units, NEW.delta))
BEGIN SELECT RAISE(ABORT, 'a divided account holds what its cells cost together'); END;
CREATE TRIGGER divided_is_charged AFTER UPDATE OF whole, units, delta ON divided BEGIN
SAMEHALVEDEND;

CREATE TRIGGER cell_is_fixed BEFORE UPDATE ON cell BEGIN SELECT RAISE(ABORT, 'a cell never changes'); END;
CREATE TRIGGER cell_is_kept BEFORE DELETE ON cell BEGIN SELECT RAISE(ABORT, 'a cell is never deleted'); END;
CREATE TRIGGER cell_is_new BEFORE INSERT ON cell
WHEN EXISTS (SELECT 1 FROM cell WHERE account = NEW.account OR (above, label) = (NEW.above, NEW.label))
    OR EXISTS (SELECT 1 FROM entry WHERE account = NEW.account)
    OR NOT EXISTS (SELECT 1 FROM account JOIN account AS over ON over.name = account.parent
        WHERE account.name = NEW.account AND over.name = NEW.above AND over.measure = account.measure)
BEGIN SELECT RAISE(ABORT, 'an account is opened as one cell of the account above it, in its measure'); END;

CREATE TRIGGER verb_is_priced BEFORE INSERT ON verb
WHEN EXISTS (SELECT 1 FROM divided AS own WHERE NOT EXISTS (SELECT 1 FROM DUE AS due
    WHERE (due.whole + due.units / 1152921504606846976, due.units % 1152921504606846976, due.delta)
        = (own.whole, own.units, own.delta)))
BEGIN SELECT RAISE(ABORT, 'nothing is drawn before its cell is charged'); END;
"""
for _name, _text in (("SUMS", _SUMS), ("DUE", _SUMS.replace("NEW.", "own.")), ("SAME", _SAME), ("HALVED", _HALVED)):
    CELLS = CELLS.replace(_name, _text)
