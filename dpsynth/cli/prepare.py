"""``dpsynth init`` and ``dpsynth plan``: what comes before a private row is read."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dpsynth.cli.output import hint, json_option, memory_option, say, say_json, table
from dpsynth.errors import ConfigurationError

if TYPE_CHECKING:
    from dpsynth.release import PlannedQuery


@click.command()
@click.argument("data")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="The schema to write; stdout without it.")
@json_option
def init(data: str, out: Path | None, as_json: bool) -> None:
    """Draft a schema for DATA from its column names and declared types.

    DATA is a CSV file, a Parquet file, a folder or (in quotes) a pattern of Parquet files, or a table of a database:
    sqlite:PATH#TABLE or postgresql://USER@HOST/DATABASE#TABLE.

    No value is read: what only the owner may declare (types that the file does not declare, categories, bounds) is
    left as a marked blank with an example. An existing file is never overwritten.
    """
    from dpsynth.curator import Curator, Source
    from dpsynth.schema import draft

    columns = Curator.columns(Source.of(data))
    text = draft([(column.name, column.declared) for column in columns])
    if out is not None:
        try:
            with out.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            raise ConfigurationError(f"{out} exists and is not overwritten: give another -o, or remove it") from None
        except OSError as error:
            raise ConfigurationError(f"{out} cannot be written: {error.strerror}") from None
    if as_json:
        names = [column.name for column in columns]
        say_json({"ok": True, "columns": names, **({"file": str(out)} if out else {"schema": text})})
    elif out is None:
        say(text.rstrip("\n"))
    else:
        say(str(out))
        if data.lower().endswith((".csv", ".txt")):
            hint("the first line was taken for the names of the columns: if it is a row, delete the draft")
        hint(f"{len(columns)} columns drafted; fill in the blanks, then `dpsynth plan release.toml`")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--store", help="The store of accounts, in place of [budget] store, as of `dpsynth run`.")
@memory_option
@json_option
def plan(file: Path, store: str | None, memory: str | None, as_json: bool) -> None:
    """Show what the release in FILE would ask, at what price, and the error to expect. Reads no row.

    It tells how much memory each part may take, too; what cannot fit the limit is refused here as by `dpsynth run`,
    with what would fit. The last line says what the account would answer now: that the release fits and what it
    leaves, or why it would be refused. The store is only read (one of an older version is brought to this one first, as
    by every command), no refusal is noted, and the exit code is that of the plan, 0; with --json "account" has the exit
    code that a run would have.
    """
    from dpsynth.ledger import amount
    from dpsynth.privacy import NAMES, Cost, decimal_text, epsilon_of, exact_text
    from dpsynth.release import (
        Footprint,
        constraints_told,
        errors_by_size,
        largest_model,
        load_plan,
        most_measured_cells,
        outlook,
        preview,
        workload_told,
    )
    from dpsynth.schema.quantity import amount_text

    found, limit = load_plan(file, memory)
    lines = preview(found)
    room = Footprint.of(found, limit)
    room.require()
    quoted = epsilon_of(found.cost, found.budget.delta)
    cells, most = sum(found.domain.sizes), most_measured_cells(found)
    foreseen = outlook(file, found, store)
    if as_json:
        say_json(
            {
                "ok": True,
                "release": found.release,
                "plan": found.digest,
                "mechanism": found.mechanism,
                "workload": found.workload.document(),
                "constraints": list(constraints_told(found)),
                "epsilon": str(found.budget.epsilon),
                "delta": str(found.budget.delta),
                "measure": found.measure,
                "noise": found.noise,
                "reserved": amount(found.cost),
                "certified_epsilon": decimal_text(quoted),
                "cells": cells,
                "memory": {
                    "limit": limit,
                    "needed": room.needed,
                    "counting": room.counting,
                    "candidates": room.candidates,
                    "answers": room.answers,
                    "model": room.model,
                },
                "most_measured_cells": most,
                "largest_model_cells": largest_model(found),
                "misplaced_people_by_cells": {str(size): people for size, people in errors_by_size(found)},
                "queries": [
                    {
                        "what": line.what,
                        "columns": None if line.columns is None else list(line.columns),
                        "cells": line.cells,
                        "cost": amount(Cost(found.measure, found.cost.amount * line.share)),
                        "noise_scale": line.scale,
                        "misplaced_people": line.misplaced,
                        **({} if line.threshold is None else {"threshold": line.threshold}),
                    }
                    for line in lines
                ],
                "account": {
                    "name": foreseen.account,
                    "fits": not foreseen.exit,
                    "exit": foreseen.exit,
                    "why": foreseen.why,
                    "left": foreseen.left,
                },
            }
        )
        return
    columns = len(found.domain.names)
    say(f"{found.release}: {found.mechanism} over {columns} columns ({cells:,} cells on the finest grid)")
    if told := workload_told(found):
        say(f"workload: {told}")
    claim = f"epsilon {exact_text(found.budget.epsilon)} at delta {exact_text(found.budget.delta)}"
    reserved = f"{found.cost.unit} {float(found.cost.amount):.6g}"
    if found.cost.delta:
        reserved += f" and, of delta, {float(found.cost.delta):.3g}"
    say(f"{claim}: {reserved} is reserved, in {NAMES[found.measure]}")
    for told in constraints_told(found):
        say(told)
    say()
    rows = [
        [
            f"{line.what} {', '.join(line.columns)}" if line.columns else line.what,
            "" if line.cells is None else f"{line.cells:,}",
            _percent(line.share),
            _noise(line),
            "" if line.misplaced is None else _people(line.misplaced),
        ]
        for line in lines
    ]
    say(table(["query", "cells", "share", "noise, in people", "misplaced people"], rows))
    for line in lines:
        if line.threshold is not None:
            say(f"a value of {(line.columns or ('',))[0]} needs about {line.threshold:,} people to be found")
    if errors := errors_by_size(found):
        say("\nin a table that is bought, at the price that is likely:")
        say(table(["cells", "misplaced people"], [[f"{size:,}", _people(people)] for size, people in errors]))
    say(f"\nat most {most:,} cells are measured: {most * 8 / 2**20:.1f} MB of answers")
    say(f"the model has at most {largest_model(found):,} cells")
    say(f"\nmemory, at most, of a limit of {amount_text(limit)}:")
    say(table(["part", "memory"], [[name, amount_text(size)] for name, size in room.parts]))
    say(f"together {amount_text(room.needed)}; the rest holds more rows and counts at once")
    say(f"\n{foreseen.told}")
    hint("noise is that of the worst case where the number of queries is fixed; no row was read and nothing was spent")


def _noise(line: PlannedQuery) -> str:
    """The standard deviation of the noise, and of what: of each cell of a table, or of each distance to a model."""
    of = (
        "a count"
        if line.threshold is not None
        else "a distance"
        if line.cells is None
        else "a cell"
        if line.columns != ()
        else "in all"
    )
    return f"±{_people(line.scale)} {of}"


def _people(value: float) -> str:
    """A number of people to four digits, those of a thousand or more in whole people."""
    return f"{value:,.0f}" if 1000 <= value < 1e12 else f"{value:.4g}"


def _percent(share: Fraction) -> str:
    return f"{float(share):.2%}"
