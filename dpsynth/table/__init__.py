"""The private rows: where they are, how they are read and encoded, how they are counted.

Only the curator may import this room. Nothing in it draws noise, spends budget or prints. Its errors name files and
columns that the schema names, never a value; readers' own messages (Arrow's quote the line) do not leave it.
"""

from dpsynth.table.counting import portions
from dpsynth.table.limit import least_memory
from dpsynth.table.load import open_table
from dpsynth.table.private import PrivateTable
from dpsynth.table.reader import ColumnInfo
from dpsynth.table.source import Data, Source, columns, require

__all__ = [
    "ColumnInfo",
    "Data",
    "PrivateTable",
    "Source",
    "columns",
    "least_memory",
    "open_table",
    "portions",
    "require",
]
