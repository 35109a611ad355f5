"""What version 3 of a store in SQLite adds to version 2: nothing of the older text is changed or dropped.

SQLite itself enforces, besides what ``sqlite_schema`` says:

- a cap moves by grants alone: it is the sum of them, or what it was when the account was opened;
- a grant is used once, and belongs to a line of its account's log;
- a release that ends VOID gives back what it held, once, and only if its table was never opened;
- grants, heads, attestations and the name of the log are never changed nor deleted.
"""

from __future__ import annotations

SECOND_VERSION = 3

KIND = """substr(line, instr(line, '"kind":"') + 8, instr(substr(line, instr(line, '"kind":"') + 8), '"') - 1)"""
"""The kind of a log line. Quotation marks inside a text of canonical JSON are escaped: nothing else looks like it."""

TABLES = """
CREATE TABLE log (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    origin TEXT NOT NULL CHECK (origin GLOB 'dpsynth.log/*' AND length(origin) = 44)
) STRICT;

CREATE TABLE granted (
    seq INTEGER PRIMARY KEY REFERENCES entry (seq),
    account TEXT NOT NULL REFERENCES account (name),
    digest TEXT NOT NULL UNIQUE CHECK (digest GLOB 'sha256:*' AND length(digest) = 71),
    whole INTEGER NOT NULL CHECK (whole BETWEEN 0 AND 1099511627776),
    units INTEGER NOT NULL CHECK (units BETWEEN 0 AND 1152921504606846975),
    delta INTEGER NOT NULL CHECK (delta BETWEEN 0 AND 1152921504606846975)
) STRICT;

CREATE TABLE head (size INTEGER PRIMARY KEY CHECK (size > 0)) STRICT;

CREATE TABLE attestation (
    digest TEXT PRIMARY KEY CHECK (digest GLOB 'sha256:*' AND length(digest) = 71),
    data BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX granted_by_account ON granted (account, seq);

CREATE INDEX entry_by_kind ON entry (account, KIND, seq);

CREATE INDEX release_rejected ON release (account) WHERE state = 'REJECTED';
""".replace("KIND", KIND)

EARLIER_HEADS = "INSERT INTO head SELECT seq + 1 FROM entry WHERE KIND = 'settle'".replace("KIND", KIND)
"""What a store of version 2 has to tell: where its releases were settled."""

TRIGGERS = """
CREATE TRIGGER log_is_fixed BEFORE UPDATE ON log BEGIN SELECT RAISE(ABORT, 'a log never changes its name'); END;
CREATE TRIGGER log_is_kept BEFORE DELETE ON log BEGIN SELECT RAISE(ABORT, 'a log keeps its name'); END;
CREATE TRIGGER log_is_one BEFORE INSERT ON log WHEN EXISTS (SELECT 1 FROM log)
BEGIN SELECT RAISE(ABORT, 'a log has one name'); END;

CREATE TRIGGER granted_is_fixed BEFORE UPDATE ON granted BEGIN SELECT RAISE(ABORT, 'a grant is never changed'); END;
CREATE TRIGGER granted_is_kept BEFORE DELETE ON granted BEGIN SELECT RAISE(ABORT, 'a grant is never deleted'); END;
CREATE TRIGGER granted_is_new BEFORE INSERT ON granted
WHEN EXISTS (SELECT 1 FROM granted WHERE digest = NEW.digest OR seq = NEW.seq)
    OR NEW.account IS NOT (SELECT account FROM entry WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'a grant is used once, by a line of its account'); END;
CREATE TRIGGER granted_is_governed BEFORE INSERT ON granted
WHEN CASE (SELECT min(seq) FROM entry WHERE account = NEW.account)
    WHEN NEW.seq THEN (SELECT (cap_whole, cap_units, cap_delta) <> (0, 0, 0) FROM account WHERE name = NEW.account)
    ELSE NOT EXISTS (SELECT 1 FROM granted
        WHERE account = NEW.account AND seq = (SELECT min(seq) FROM entry WHERE account = NEW.account))
    END
BEGIN SELECT RAISE(ABORT, 'a cap is fixed when its account is opened, or comes from grants from then on'); END;
CREATE TRIGGER granted_is_given AFTER INSERT ON granted BEGIN
    UPDATE account SET
        cap_whole = cap_whole + NEW.whole + (cap_units + NEW.units) / 1152921504606846976,
        cap_units = (cap_units + NEW.units) % 1152921504606846976,
        cap_delta = cap_delta + NEW.delta
    WHERE name = NEW.account;
END;
CREATE TRIGGER cap_is_granted BEFORE UPDATE OF cap_whole, cap_units, cap_delta ON account
WHEN NOT EXISTS (
    SELECT 1 FROM (
        SELECT sum(whole) AS whole, sum(units >> 30) + (sum(units & 1073741823) >> 30) AS high,
            sum(units & 1073741823) & 1073741823 AS low, sum(delta) AS delta
        FROM granted WHERE account = OLD.name)
    WHERE (whole + (high >> 30), ((high & 1073741823) << 30) + low, delta)
        = (NEW.cap_whole, NEW.cap_units, NEW.cap_delta))
BEGIN SELECT RAISE(ABORT, 'a cap is the sum of its grants'); END;

CREATE TRIGGER release_is_voided BEFORE UPDATE OF state ON release
WHEN NEW.state = 'VOID' AND (EXISTS (SELECT 1 FROM verb WHERE release = OLD.id)
    OR NOT EXISTS (SELECT 1 FROM entry WHERE release = OLD.id AND KIND = 'void'))
BEGIN SELECT RAISE(ABORT, 'nothing is given back once an answer was drawn, nor without a log line'); END;
CREATE TRIGGER release_is_given_back AFTER UPDATE OF state ON release WHEN NEW.state = 'VOID' AND OLD.state <> 'VOID'
BEGIN
    UPDATE account SET
        held_whole = held_whole - back.whole - (held_units < back.units),
        held_units = (held_units - back.units + 1152921504606846976) % 1152921504606846976,
        held_delta = held_delta - back.delta
    FROM (SELECT account, whole, units, delta FROM hold WHERE release = NEW.id) AS back
    WHERE account.name = back.account;
END;
CREATE TRIGGER void_holds_nothing BEFORE INSERT ON hold
WHEN EXISTS (SELECT 1 FROM release WHERE id = NEW.release AND state = 'VOID')
BEGIN SELECT RAISE(ABORT, 'a release that is void holds nothing'); END;
CREATE TRIGGER verb_is_of_an_open_release BEFORE INSERT ON verb
WHEN NOT EXISTS (SELECT 1 FROM release WHERE id = NEW.release AND state IN ('RESERVED', 'DRAWING', 'MEASURED'))
BEGIN SELECT RAISE(ABORT, 'nothing is drawn for a release that is over'); END;

CREATE TRIGGER head_is_fixed BEFORE UPDATE ON head BEGIN SELECT RAISE(ABORT, 'a head is never changed'); END;
CREATE TRIGGER head_is_kept BEFORE DELETE ON head BEGIN SELECT RAISE(ABORT, 'a head is never deleted'); END;
CREATE TRIGGER head_is_new BEFORE INSERT ON head
WHEN EXISTS (SELECT 1 FROM head WHERE size = NEW.size) OR NEW.size IS NOT (SELECT max(seq) + 1 FROM entry)
BEGIN SELECT RAISE(ABORT, 'a head is of the whole log as it is'); END;

CREATE TRIGGER attestation_is_fixed BEFORE UPDATE ON attestation
BEGIN SELECT RAISE(ABORT, 'what was signed is never changed'); END;
CREATE TRIGGER attestation_is_kept BEFORE DELETE ON attestation
BEGIN SELECT RAISE(ABORT, 'what was signed is never deleted'); END;
CREATE TRIGGER attestation_is_one BEFORE INSERT ON attestation
WHEN EXISTS (SELECT 1 FROM attestation WHERE digest = NEW.digest)
BEGIN SELECT RAISE(ABORT, 'a digest has one file'); END;
""".replace("KIND", KIND)
