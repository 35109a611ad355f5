"""Release: the synthetic table with its ledger, in memory. Everything in it is public."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dpsynth.encoding import Codec, Layout, layout
from dpsynth.ledger import AccountState, LogHead, SigningKey
from dpsynth.measurement import Answer, labels, listed
from dpsynth.privacy import Budget, Cost
from dpsynth.release.plan import Plan
from dpsynth.release.progress import Progress
from dpsynth.sampling import IntegerTables, RowsDigest, SyntheticRows
from dpsynth.schema import Schema

if TYPE_CHECKING:
    import pandas
    import pyarrow
    from pyspark.sql import DataFrame as SparkFrame
    from pyspark.sql import SparkSession


@dataclass(frozen=True, eq=False)
class Release:
    """What :func:`dpsynth.synthesize` returns: a function of the noisy answers, the plan and its public seed.

    ``accounts`` are those that paid, its own first and then each above it, with their sums before and after.
    ``policy`` is the promise of its own account's cap. ``lines`` are the exact ledger lines: what opened and granted
    the accounts, then this release's; ``head`` says where they stand in the store's log. ``root`` is the digest of the
    root of the officers and ``grants`` are their signed files, if the accounts have officers: what ``save`` writes then
    is not published yet (``dpsynth run`` does that, once they approve). ``ignored`` names columns of the data that
    the schema lacks: they were never read (not known when a release is given back from its stored answers).
    """

    plan: Plan
    accounts: tuple[AccountState, ...]
    policy: Budget
    day: str
    lines: tuple[bytes, ...]
    head: LogHead
    answers: tuple[Answer, ...]
    tables: IntegerTables
    rows: int
    root: str | None = None
    grants: tuple[bytes, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def account(self) -> str:
        """The name of the account that the release named."""
        return self.accounts[0].name

    @property
    def cap(self) -> Cost:
        """The most that this account may ever hold."""
        return self.accounts[0].cap

    @property
    def held_before(self) -> Cost:
        """What this account had reserved before this release."""
        return self.accounts[0].held_before

    @property
    def held_after(self) -> Cost:
        """What it has reserved with it."""
        return self.accounts[0].held_after

    @property
    def epsilon(self) -> str:
        """The epsilon that is promised, exact."""
        return str(self.plan.budget.epsilon)

    @property
    def delta(self) -> str:
        """The delta that is promised, exact."""
        return str(self.plan.budget.delta)

    @cached_property
    def found(self) -> Mapping[str, tuple[str, ...]]:
        """The values that were found privately, of each column that has such."""
        return labels(self.plan.schema, self.answers)

    @cached_property
    def schema(self) -> Schema:
        """The schema with the values found as a list."""
        return listed(self.plan.schema, self.found)

    @cached_property
    def codecs(self) -> tuple[Codec, ...]:
        """One codec a column of the model, in order."""
        return self.layout.codecs

    @cached_property
    def layout(self) -> Layout:
        """How the rows of the model become those of the table."""
        return layout(self.schema)

    def batches(self, digest: RowsDigest | None = None) -> Iterator[pyarrow.RecordBatch]:
        """The synthetic rows, at most 2^17 at a time, columns typed as in the schema.

        ``digest``, if given, takes every row on its way.
        """
        return self._drawn.batches(digest)

    def to_arrow(self) -> pyarrow.Table:
        """The synthetic rows as an Arrow table."""
        import pyarrow

        return pyarrow.Table.from_batches(self.batches())

    def to_pandas(self) -> pandas.DataFrame:
        """The synthetic rows as a pandas data frame."""
        frame: pandas.DataFrame = self.to_arrow().to_pandas()
        return frame

    def to_spark(self, session: SparkSession, rows: int | None = None, seed: int | None = None) -> SparkFrame:
        """The synthetic rows, drawn by the executors of a Spark session: :func:`dpsynth.release.spark.to_spark`."""
        from dpsynth.release.spark import to_spark

        return to_spark(self, session, rows, seed)

    def save(
        self, folder: str | Path, key: SigningKey | str | Path | None = None, progress: Progress | None = None
    ) -> Path:
        """Write and sign the release folder; returns its path.

        ``key`` is a signing key or its file; without one the key of the user's configuration folder is used, and made
        if there is none. ``progress`` is told how many rows are written. A folder that already holds this release is
        checked and left as it is; anything else at that path raises ConfigurationError.
        """
        from dpsynth.release.folder import save

        return save(self, Path(folder), key, progress)

    def __repr__(self) -> str:
        return (
            f"Release({self.plan.release!r}, rows={self.rows}, epsilon={self.epsilon}, delta={self.delta}, "
            f"mechanism={self.plan.mechanism!r})"
        )

    def _repr_html_(self) -> str:
        from html import escape

        return f"<code>{escape(repr(self))}</code>" + str(self._head().to_html(index=False))

    def _head(self) -> Any:
        return next(self._drawn.chunk(0)).slice(0, 5).to_pandas()

    @property
    def _drawn(self) -> SyntheticRows:
        return SyntheticRows(self.tables, self.layout, self.rows, self.plan.seed)
