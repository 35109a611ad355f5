"""Which queries may be asked of a table: public rules on their levels and sizes."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from dpsynth.errors import ConfigurationError
from dpsynth.measurement import Domain, Query

MAX_CELLS = 2**27
"""Most cells of the queries of one verb together: their exact counts take eight bytes a cell."""


def require_fitting(queries: Sequence[Query], domain: Domain, unfound: Collection[str]) -> None:
    """ConfigurationError unless the queries are tables of a domain's columns at levels of their grids, few enough.

    ``unfound`` are the columns whose values are still to be found.
    """
    for query in queries:
        if not query.levels:
            raise ConfigurationError("a query is of one or more columns; ask for the total by itself")
        for level in query.levels:
            if level.column in unfound:
                raise ConfigurationError(
                    f"the values of column {level.column!r} are not found yet: ask for its partitions first"
                )
            if level.column not in domain or level.fine != domain.size(level.column):
                raise ConfigurationError(f"a query with a level of {level.column!r} that does not fit the schema")
    cells = sum(query.cells for query in queries)
    if cells > MAX_CELLS:
        largest = max(queries, key=lambda query: query.cells)
        raise ConfigurationError(
            f"the queries have {cells:,} cells together; at most {MAX_CELLS:,} are counted at once. The largest is "
            f"of {largest.columns}: ask for fewer columns, or for coarser levels"
        )
