"""What PostgreSQL itself enforces, for everybody and for the owner of the tables too, besides keys and CHECKs.

- An account never changes its measure, and an account above it has the same (or zCDP above Gaussian DP).
- What an account holds moves by holds, voids and prices of cells alone, and its cap by grants alone; the CHECK
  ``held_within_cap`` compares them.
- A divided account holds for its cells what these cost together, the largest of their sums or the two largest, amount
  and delta each by itself, and all above it hold as much; nothing is drawn while it holds another amount.
- A line is added to the log only where its commit is on a disk before anybody hears of it.
- Log lines, charges, outcomes, holds, grants, heads and signed files are never changed nor deleted; the log has no gap.
- A verb has at most one outcome: one answer, or none (NULL: lost).
- A release moves through its states forward only, and ends VOID only if its table was never opened.

Each rule is a trigger with a function of the same name, which runs with the owner's rights and a fixed search path: the
role that uses a store needs no right to change an account (:func:`grants`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_GRID = "1152921504606846976"

_STEPS = """
        ('RESERVED', 'VOID'), ('RESERVED', 'DRAWING'), ('RESERVED', 'SETTLED'), ('DRAWING', 'MEASURED'),
        ('MEASURED', 'DRAWING'), ('MEASURED', 'SETTLED'), ('SETTLED', 'APPROVED'), ('SETTLED', 'REJECTED'),
        ('SETTLED', 'RELEASED'), ('APPROVED', 'RELEASED'), ('APPROVED', 'REJECTED'), ('RELEASED', 'SUPERSEDED'),
        ('RELEASED', 'WITHDRAWN'), ('SUPERSEDED', 'WITHDRAWN')"""

_DUE = """(SELECT FROM (SELECT coalesce(sum(held_whole) FILTER (WHERE place <= own.moved), 0) AS whole,
            coalesce(sum(held_units) FILTER (WHERE place <= own.moved), 0) AS units,
            coalesce(sum(held_delta) FILTER (WHERE small <= own.moved), 0) AS delta
        FROM (SELECT held_whole, held_units, held_delta,
                row_number() OVER (ORDER BY held_whole DESC, held_units DESC) AS place,
                row_number() OVER (ORDER BY held_delta DESC) AS small
            FROM {s}.cell JOIN {s}.account ON name = cell.account WHERE above = own.account) AS sums) AS due
        WHERE (due.whole + div(due.units, {grid}), mod(due.units, {grid}), due.delta)
            = (own.whole, own.units, own.delta))"""
"""There is a row if ``own`` holds what its cells cost together."""

_EVENTS = {"INSERT": 4, "DELETE": 8, "UPDATE": 16, "TRUNCATE": 32}


@dataclass(frozen=True)
class Rule:
    """A trigger: what is refused (``refuses``: condition and message), and what is done, at ``events`` on a table.

    ``{s}`` stands for the schema, ``{grid}`` for the units in a whole.
    """

    name: str
    table: str
    events: str
    refuses: tuple[tuple[str, str], ...]
    act: str = ""
    error: str = "integrity_constraint_violation"

    @property
    def _each_row(self) -> bool:
        return "DELETE" not in self.events

    @property
    def kind(self) -> int:
        """``pg_trigger.tgtype`` of its trigger."""
        return self._each_row + 2 * (not self.act) + sum(_EVENTS[event] for event in self.events.split(" OR "))

    def body(self, schema: str) -> str:
        """The text of its function."""
        refusals = [
            f"    IF ({condition}) THEN\n"
            f"        RAISE EXCEPTION USING MESSAGE = '{message}', ERRCODE = '{self.error}';\n"
            "    END IF;\n"
            for condition, message in self.refuses
        ]
        text = "BEGIN\n" + "".join(refusals) + self.act + "    RETURN NEW;\nEND"
        return text.replace("{s}", schema).replace("{grid}", _GRID)

    def statements(self, schema: str) -> Iterator[str]:
        """What makes the function and the trigger."""
        yield (
            f"CREATE FUNCTION {schema}.{self.name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER "
            f"SET search_path = pg_catalog, pg_temp AS $${self.body(schema)}$$"
        )
        yield (
            f"CREATE TRIGGER {self.name} {'AFTER' if self.act else 'BEFORE'} {self.events} ON {schema}.{self.table} "
            f"FOR EACH {'ROW' if self._each_row else 'STATEMENT'} EXECUTE FUNCTION {schema}.{self.name}()"
        )


def _kept(table: str, why: str, events: str = "UPDATE OR DELETE OR TRUNCATE") -> Rule:
    return Rule(f"{table}_is_kept", table, events, (("true", why),))


RULES = (
    _kept("store", "a store keeps its secret and its name"),
    _kept("account", "an account is never deleted", "DELETE OR TRUNCATE"),
    _kept("release", "a release is never deleted", "DELETE OR TRUNCATE"),
    _kept("hold", "what is held is never changed"),
    _kept("entry", "a log line is never changed nor deleted"),
    _kept("verb", "a charge is never changed nor given back"),
    _kept("outcome", "an answer is never changed nor deleted"),
    _kept("granted", "a grant is never changed nor deleted"),
    _kept("head", "a head is never changed nor deleted"),
    _kept("attestation", "what was signed is never changed nor deleted"),
    Rule(
        "account_is_new",
        "account",
        "INSERT",
        (
            (
                "(NEW.held_whole, NEW.held_units, NEW.held_delta) <> (0, 0, 0)",
                "an account holds nothing when it is opened",
            ),
            (
                "EXISTS (SELECT FROM {s}.account WHERE name = NEW.parent AND measure <> NEW.measure\n"
                "        AND (NEW.measure, measure) <> ('gdp', 'zcdp'))",
                "an account is charged in its measure; only gdp is charged to zcdp above it",
            ),
        ),
    ),
    Rule(
        "account_goes_on",
        "account",
        "UPDATE",
        (
            (
                "(NEW.name, NEW.parent, NEW.measure) IS DISTINCT FROM (OLD.name, OLD.parent, OLD.measure)",
                "an account never changes its name, parent or measure",
            ),
            (
                "pg_trigger_depth() < 2",
                "what an account holds moves by its releases alone, and its cap by grants alone",
            ),
            (
                "(NEW.cap_whole, NEW.cap_units, NEW.cap_delta) <> (OLD.cap_whole, OLD.cap_units, OLD.cap_delta)\n"
                "        AND NOT EXISTS (SELECT FROM {s}.granted WHERE account = OLD.name\n"
                "            HAVING sum(whole * {grid}::numeric + units) = NEW.cap_whole * {grid}::numeric\n"
                "                + NEW.cap_units AND sum(delta) = NEW.cap_delta)",
                "a cap is the sum of its grants",
            ),
        ),
    ),
    Rule("release_is_new", "release", "INSERT", (("NEW.state <> 'RESERVED'", "a release is reserved first"),)),
    Rule(
        "release_goes_on",
        "release",
        "UPDATE",
        (
            (
                "(NEW.id, NEW.account, NEW.plan, NEW.source) IS DISTINCT FROM\n"
                "        (OLD.id, OLD.account, OLD.plan, OLD.source)",
                "a release never changes its plan or source",
            ),
            (
                "NEW.lease < OLD.lease OR (NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (" + _STEPS + "))",
                "a release never goes back",
            ),
            (
                "NEW.state = 'VOID' AND (EXISTS (SELECT FROM {s}.verb WHERE release = NEW.id)\n"
                "        OR NOT EXISTS (SELECT FROM {s}.entry WHERE release = NEW.id AND kind = 'void'))",
                "nothing is given back once an answer was drawn, nor without a log line",
            ),
        ),
    ),
    Rule(
        "release_is_given_back",
        "release",
        "UPDATE",
        (),
        """    IF NEW.state = 'VOID' AND OLD.state <> 'VOID' THEN
        UPDATE {s}.account SET
            held_whole = held_whole - back.whole - (held_units < back.units)::int,
            held_units = mod(held_units - back.units + {grid}, {grid}),
            held_delta = held_delta - back.delta
        FROM {s}.hold AS back WHERE back.release = NEW.id AND account.name = back.account;
    END IF;
""",
    ),
    Rule(
        "hold_is_charged",
        "hold",
        "INSERT",
        (
            (
                "EXISTS (SELECT FROM {s}.release WHERE id = NEW.release AND state = 'VOID')",
                "a release that is void holds nothing",
            ),
        ),
        """    UPDATE {s}.account SET
        held_whole = held_whole + NEW.whole + (held_units + NEW.units) / {grid},
        held_units = mod(held_units + NEW.units, {grid}),
        held_delta = held_delta + NEW.delta
    WHERE name = NEW.account;
""",
    ),
    Rule(
        "commits_are_kept",
        "entry",
        "INSERT",
        (
            ("current_setting('fsync') <> 'on'", "the server has fsync off"),
            (
                "current_setting('synchronous_commit') NOT IN ('on', 'remote_apply')",
                "the session has synchronous_commit off",
            ),
        ),
        error="object_not_in_prerequisite_state",
    ),
    Rule(
        "entry_is_next",
        "entry",
        "INSERT",
        (
            (
                "NEW.seq IS DISTINCT FROM (SELECT coalesce(max(seq), -1) + 1 FROM {s}.entry)",
                "the log grows at its end only",
            ),
        ),
    ),
    Rule(
        "verb_is_new",
        "verb",
        "INSERT",
        (
            (
                "NEW.first <= (SELECT last FROM {s}.verb ORDER BY first DESC LIMIT 1)\n"
                "        OR EXISTS (SELECT FROM {s}.verb WHERE release = NEW.release\n"
                "            AND NOT EXISTS (SELECT FROM {s}.outcome WHERE outcome.verb = verb.first))",
                "one verb of a release is drawn at a time, and its entries pay for nothing else",
            ),
            (
                "NOT EXISTS (SELECT FROM {s}.release\n"
                "        WHERE id = NEW.release AND state IN ('RESERVED', 'DRAWING', 'MEASURED'))",
                "nothing is drawn for a release that is over",
            ),
        ),
    ),
    Rule(
        "granted_is_new",
        "granted",
        "INSERT",
        (
            (
                "NEW.account IS DISTINCT FROM (SELECT account FROM {s}.entry WHERE seq = NEW.seq)",
                "a grant is used once, by a line of its account",
            ),
            (
                "CASE (SELECT min(seq) FROM {s}.entry WHERE account = NEW.account)\n"
                "        WHEN NEW.seq THEN\n"
                "            (SELECT (cap_whole, cap_units, cap_delta) <> (0, 0, 0) FROM {s}.account\n"
                "            WHERE name = NEW.account)\n"
                "        ELSE NOT EXISTS (SELECT FROM {s}.granted WHERE account = NEW.account\n"
                "            AND seq = (SELECT min(seq) FROM {s}.entry WHERE account = NEW.account))\n"
                "        END",
                "a cap is fixed when its account is opened, or comes from grants from then on",
            ),
        ),
    ),
    Rule(
        "granted_is_given",
        "granted",
        "INSERT",
        (),
        """    UPDATE {s}.account SET
        cap_whole = cap_whole + NEW.whole + (cap_units + NEW.units) / {grid},
        cap_units = mod(cap_units + NEW.units, {grid}),
        cap_delta = cap_delta + NEW.delta
    WHERE name = NEW.account;
""",
    ),
    Rule(
        "head_is_new",
        "head",
        "INSERT",
        (
            (
                "NEW.size IS DISTINCT FROM (SELECT max(seq) + 1 FROM {s}.entry)",
                "a head is of the whole log as it is",
            ),
        ),
    ),
    _kept("divided", "a divided account is never made whole", "DELETE OR TRUNCATE"),
    _kept("cell", "a cell never changes"),
    Rule(
        "divided_is_new",
        "divided",
        "INSERT",
        (
            (
                "(NEW.whole, NEW.units, NEW.delta) <> (0, 0, 0)\n"
                "        OR EXISTS (SELECT FROM {s}.entry WHERE account = NEW.account)",
                "an account is divided when it is opened",
            ),
        ),
    ),
    Rule(
        "divided_is_priced",
        "divided",
        "UPDATE",
        (
            (
                "(NEW.account, NEW.moved) IS DISTINCT FROM (OLD.account, OLD.moved)",
                "what divides an account never changes",
            ),
            (f"NOT EXISTS {_DUE}".replace("own.", "NEW."), "a divided account holds what its cells cost together"),
        ),
    ),
    Rule(
        "divided_is_charged",
        "divided",
        "UPDATE",
        (),
        """    WITH RECURSIVE path AS (SELECT name, parent, measure FROM {s}.account WHERE name = NEW.account
        UNION ALL SELECT above.name, above.parent, above.measure
            FROM {s}.account AS above JOIN path ON above.name = path.parent),
    more AS (SELECT name, CASE (SELECT measure FROM {s}.account WHERE name = NEW.account) WHEN measure
        THEN NEW.whole * {grid}::numeric + NEW.units - OLD.whole * {grid}::numeric - OLD.units
        ELSE div(NEW.whole * {grid}::numeric + NEW.units + 1, 2) - div(OLD.whole * {grid}::numeric + OLD.units + 1, 2)
        END AS units FROM path)
    UPDATE {s}.account SET
        held_whole = div(held_whole * {grid}::numeric + held_units + more.units, {grid}),
        held_units = mod(held_whole * {grid}::numeric + held_units + more.units, {grid}),
        held_delta = held_delta + NEW.delta - OLD.delta
    FROM more WHERE more.name = account.name;
""",
    ),
    Rule(
        "cell_is_new",
        "cell",
        "INSERT",
        (
            (
                "EXISTS (SELECT FROM {s}.entry WHERE account = NEW.account)\n"
                "        OR NOT EXISTS (SELECT FROM {s}.account AS own JOIN {s}.account AS over\n"
                "            ON over.name = own.parent WHERE own.name = NEW.account AND over.name = NEW.above\n"
                "            AND over.measure = own.measure)",
                "an account is opened as one cell of the account above it, in its measure",
            ),
        ),
    ),
    Rule(
        "verb_is_priced",
        "verb",
        "INSERT",
        (
            (
                f"EXISTS (SELECT FROM {{s}}.divided AS own WHERE NOT EXISTS {_DUE})",
                "nothing is drawn before its cell is charged",
            ),
        ),
    ),
)


def grants(schema: str, role: str) -> Iterator[str]:
    """What a role needs to use a store by the rules, and no more: it adds rows, moves releases on, prices cells.

    The right to UPDATE ``turn``, which never holds a row, is the right to lock it.
    """
    added = "account, release, hold, entry, verb, outcome, granted, head, attestation, divided, cell"
    yield f"GRANT USAGE ON SCHEMA {schema} TO {role}"
    yield f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}"
    yield f"GRANT INSERT ON {', '.join(f'{schema}.{table}' for table in added.split(', '))} TO {role}"
    yield f"GRANT UPDATE (state, lease) ON {schema}.release TO {role}"
    yield f"GRANT UPDATE (whole, units, delta) ON {schema}.divided TO {role}"
    yield f"GRANT UPDATE ON {schema}.turn TO {role}"
