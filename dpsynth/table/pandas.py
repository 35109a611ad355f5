"""pandas data frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dpsynth.errors import INTERRUPTIONS
from dpsynth.table.cells import texts
from dpsynth.table.reader import ColumnInfo, Part, Reader

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from dpsynth.table.reader import Batch


@dataclass(frozen=True, eq=False)
class PandasFrame(Reader):
    """A data frame. The types of its columns depend on its rows, so none counts as declared."""

    frame: pd.DataFrame = field(repr=False)
    name = "data frame"
    advice = "check the data frame"

    def parts(self) -> Iterator[Part]:
        """The names as text."""
        yield Part(self.name, tuple(ColumnInfo(str(name), None) for name in self.frame.columns))

    def batches(self, names: Sequence[str]) -> Iterator[Batch]:
        """All rows at once, as they are in memory anyway."""
        position = {str(name): at for at, name in enumerate(self.frame.columns)}
        yield {name: _series(self.frame.iloc[:, position[name]]) for name in names}


def _series(values: Any) -> pa.ChunkedArray:
    """A column as Arrow. Cells of object columns become text one by one, whatever stands beside them.

    Arrow would infer one type from the whole column: one odd cell would raise, or change how the others are read.
    """
    import pandas as pd
    import pyarrow as pa

    found: Any = None
    if isinstance(values.dtype, pd.CategoricalDtype):
        codes = values.cat.codes.to_numpy()
        found = pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), texts(values.cat.categories.tolist()))
    else:
        kind = pa.large_string() if pd.api.types.is_object_dtype(values.dtype) else None
        try:
            found = pa.array(values, type=kind, from_pandas=True)
        except INTERRUPTIONS:
            raise
        except BaseException:  # an object column that is not all text, or a type that Arrow does not know
            found = texts(values.tolist())
    return found if isinstance(found, pa.ChunkedArray) else pa.chunked_array([found])
