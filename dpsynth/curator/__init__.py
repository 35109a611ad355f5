"""The gate: the only room that sees the private table, the noise and the accountant together.

``Curator`` is a Measurer; ``Source`` says where the rows are. What comes out of here is noisy, paid for and stored.
Mechanisms see the Measurer protocol alone and may not import this room.
"""

from dpsynth.curator.curator import Curator
from dpsynth.table import ColumnInfo, Data, Source

__all__ = ["ColumnInfo", "Curator", "Data", "Source"]
