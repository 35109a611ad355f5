"""The tables of a store of accounts in SQLite: version 2, to which ``sqlite_additions`` adds what version 3 has more.

An existing store is accepted only if its ``sqlite_schema`` is word for word what these texts make, so they never
change: a later version adds a text of its own, a new ``user_version`` and a migration.

SQLite itself enforces what must never depend on Python being right:

- an account never changes its measure, and an account above it has the same (or zCDP above Gaussian DP);
- the sum held by an account is kept by a trigger on ``hold`` and checked against the cap (``CHECK``);
- log lines, verbs, their outcomes and holds are never changed nor deleted; the log has no gap;
- a verb has at most one outcome: one answer, or none (``NULL``: lost);
- a release moves through its states forward only.

Amounts, in the unit of the account's measure, are ``whole + units / 2**60``; deltas are ``units / 2**60``. ``held`` and
``cap`` compare exactly as row values. Everything else that is exact stands in the log lines.

``account.parent`` and one ``hold`` a release *and account* are for hierarchies: a release is charged to its account
and to every account above it.
"""

from __future__ import annotations

APPLICATION_ID = 0x64707379
"""``dpsy``: what ``file`` and SQLite tell about the file."""

FIRST_VERSION = 2

SCHEMA = """
CREATE TABLE store (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    secret BLOB NOT NULL CHECK (length(secret) = 32)
) STRICT;

CREATE TABLE account (
    name TEXT PRIMARY KEY,
    parent TEXT REFERENCES account (name) CHECK (parent <> name),
    measure TEXT NOT NULL CHECK (measure IN ('gdp', 'zcdp', 'pure')),
    cap_whole INTEGER NOT NULL CHECK (cap_whole BETWEEN 0 AND 1099511627776),
    cap_units INTEGER NOT NULL CHECK (cap_units BETWEEN 0 AND 1152921504606846975),
    cap_delta INTEGER NOT NULL CHECK (cap_delta BETWEEN 0 AND 1152921504606846975),
    held_whole INTEGER NOT NULL DEFAULT 0 CHECK (held_whole >= 0),
    held_units INTEGER NOT NULL DEFAULT 0 CHECK (held_units BETWEEN 0 AND 1152921504606846975),
    held_delta INTEGER NOT NULL DEFAULT 0 CHECK (held_delta >= 0),
    CONSTRAINT held_within_cap CHECK ((held_whole, held_units) <= (cap_whole, cap_units) AND held_delta <= cap_delta)
) STRICT, WITHOUT ROWID;

CREATE TABLE release (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES account (name),
    plan TEXT NOT NULL CHECK (plan GLOB 'sha256:*' AND length(plan) = 71),
    source BLOB NOT NULL CHECK (length(source) = 32),
    state TEXT NOT NULL DEFAULT 'RESERVED' CHECK (state IN (
        'RESERVED', 'VOID', 'DRAWING', 'MEASURED', 'SETTLED', 'APPROVED', 'REJECTED', 'RELEASED', 'SUPERSEDED',
        'WITHDRAWN')),
    lease INTEGER NOT NULL DEFAULT 0 CHECK (lease >= 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE hold (
    release TEXT NOT NULL REFERENCES release (id),
    account TEXT NOT NULL REFERENCES account (name),
    whole INTEGER NOT NULL CHECK (whole BETWEEN 0 AND 1099511627776),
    units INTEGER NOT NULL CHECK (units BETWEEN 0 AND 1152921504606846975),
    delta INTEGER NOT NULL CHECK (delta BETWEEN 0 AND 1152921504606846975),
    PRIMARY KEY (release, account)
) STRICT, WITHOUT ROWID;

CREATE INDEX hold_by_account ON hold (account);

CREATE TABLE entry (
    seq INTEGER PRIMARY KEY CHECK (seq >= 0),
    account TEXT NOT NULL REFERENCES account (name),
    release TEXT REFERENCES release (id),
    line TEXT NOT NULL,
    chain BLOB NOT NULL CHECK (length(chain) = 32)
) STRICT;

CREATE INDEX entry_by_account ON entry (account, seq);

CREATE INDEX entry_by_release ON entry (release, seq) WHERE release IS NOT NULL;

CREATE TABLE verb (
    first INTEGER PRIMARY KEY REFERENCES entry (seq),
    last INTEGER NOT NULL REFERENCES entry (seq) CHECK (last >= first),
    release TEXT NOT NULL REFERENCES release (id)
) STRICT;

CREATE INDEX verb_by_release ON verb (release, first);

CREATE TABLE outcome (
    verb INTEGER PRIMARY KEY REFERENCES verb (first),
    answer BLOB
) STRICT;

CREATE TRIGGER store_is_fixed BEFORE UPDATE ON store BEGIN SELECT RAISE(ABORT, 'a store never changes its secret'); END;
CREATE TRIGGER store_is_kept BEFORE DELETE ON store BEGIN SELECT RAISE(ABORT, 'a store keeps its secret'); END;
CREATE TRIGGER store_is_one BEFORE INSERT ON store WHEN EXISTS (SELECT 1 FROM store)
BEGIN SELECT RAISE(ABORT, 'a store has one secret'); END;

CREATE TRIGGER account_is_fixed BEFORE UPDATE OF name, parent, measure ON account
BEGIN SELECT RAISE(ABORT, 'an account never changes its name, parent or measure'); END;
CREATE TRIGGER account_can_be_charged BEFORE INSERT ON account
WHEN EXISTS (SELECT 1 FROM account WHERE name = NEW.parent
    AND measure <> NEW.measure AND (NEW.measure, measure) <> ('gdp', 'zcdp'))
BEGIN SELECT RAISE(ABORT, 'an account is charged in its measure; only gdp is charged to zcdp above it'); END;
CREATE TRIGGER account_is_kept BEFORE DELETE ON account BEGIN SELECT RAISE(ABORT, 'an account is never deleted'); END;
CREATE TRIGGER account_is_new BEFORE INSERT ON account
WHEN EXISTS (SELECT 1 FROM account WHERE name = NEW.name)
    OR (NEW.held_whole, NEW.held_units, NEW.held_delta) <> (0, 0, 0)
BEGIN SELECT RAISE(ABORT, 'an account is opened once and holds nothing then'); END;

CREATE TRIGGER release_is_fixed BEFORE UPDATE OF id, account, plan, source ON release
BEGIN SELECT RAISE(ABORT, 'a release never changes its plan or source'); END;
CREATE TRIGGER release_is_kept BEFORE DELETE ON release BEGIN SELECT RAISE(ABORT, 'a release is never deleted'); END;
CREATE TRIGGER release_is_new BEFORE INSERT ON release
WHEN EXISTS (SELECT 1 FROM release WHERE id = NEW.id) OR NEW.state <> 'RESERVED'
BEGIN SELECT RAISE(ABORT, 'a release is reserved once'); END;
CREATE TRIGGER release_goes_on BEFORE UPDATE OF state, lease ON release
WHEN NEW.lease < OLD.lease OR (NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (VALUES
    ('RESERVED', 'VOID'), ('RESERVED', 'DRAWING'), ('RESERVED', 'SETTLED'), ('DRAWING', 'MEASURED'),
    ('MEASURED', 'DRAWING'), ('MEASURED', 'SETTLED'), ('SETTLED', 'APPROVED'), ('SETTLED', 'REJECTED'),
    ('SETTLED', 'RELEASED'), ('APPROVED', 'RELEASED'), ('APPROVED', 'REJECTED'), ('RELEASED', 'SUPERSEDED'),
    ('RELEASED', 'WITHDRAWN'), ('SUPERSEDED', 'WITHDRAWN')))
BEGIN SELECT RAISE(ABORT, 'a release never goes back'); END;

CREATE TRIGGER hold_is_fixed BEFORE UPDATE ON hold BEGIN SELECT RAISE(ABORT, 'what is held is never changed'); END;
CREATE TRIGGER hold_is_kept BEFORE DELETE ON hold BEGIN SELECT RAISE(ABORT, 'what is held is never given back'); END;
CREATE TRIGGER hold_is_new BEFORE INSERT ON hold
WHEN EXISTS (SELECT 1 FROM hold WHERE release = NEW.release AND account = NEW.account)
BEGIN SELECT RAISE(ABORT, 'a release is held once by an account'); END;
CREATE TRIGGER hold_is_charged AFTER INSERT ON hold BEGIN
    UPDATE account SET
        held_whole = held_whole + NEW.whole + (held_units + NEW.units) / 1152921504606846976,
        held_units = (held_units + NEW.units) % 1152921504606846976,
        held_delta = held_delta + NEW.delta
    WHERE name = NEW.account;
END;

CREATE TRIGGER entry_is_fixed BEFORE UPDATE ON entry BEGIN SELECT RAISE(ABORT, 'a log line is never changed'); END;
CREATE TRIGGER entry_is_kept BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'a log line is never deleted'); END;
CREATE TRIGGER entry_is_next BEFORE INSERT ON entry
WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), -1) + 1 FROM entry)
BEGIN SELECT RAISE(ABORT, 'the log grows at its end only'); END;

CREATE TRIGGER verb_is_fixed BEFORE UPDATE ON verb BEGIN SELECT RAISE(ABORT, 'a charge is never changed'); END;
CREATE TRIGGER verb_is_kept BEFORE DELETE ON verb BEGIN SELECT RAISE(ABORT, 'a charge is never given back'); END;
CREATE TRIGGER verb_is_new BEFORE INSERT ON verb
WHEN NEW.first <= (SELECT last FROM verb ORDER BY first DESC LIMIT 1)
    OR EXISTS (SELECT 1 FROM verb WHERE release = NEW.release AND first NOT IN (SELECT verb FROM outcome))
BEGIN SELECT RAISE(ABORT, 'one verb of a release is drawn at a time, and its entries pay for nothing else'); END;

CREATE TRIGGER outcome_is_fixed BEFORE UPDATE ON outcome BEGIN SELECT RAISE(ABORT, 'an answer is never changed'); END;
CREATE TRIGGER outcome_is_kept BEFORE DELETE ON outcome BEGIN SELECT RAISE(ABORT, 'an answer is never deleted'); END;
CREATE TRIGGER outcome_is_one BEFORE INSERT ON outcome WHEN EXISTS (SELECT 1 FROM outcome WHERE verb = NEW.verb)
BEGIN SELECT RAISE(ABORT, 'one charge reveals at most one answer'); END;
"""
