"""The accountant: accounts with caps, the filter that refuses, and the store that survives any crash.

It sees costs, log lines and noisy answers as bytes; never a private row, never noise being drawn.

- :mod:`accountant`, :mod:`reservation`: the rules, one transaction a method. :mod:`filter`: the sum and its refusal.
- :mod:`values`: Account, Charge, StoredAnswer. :mod:`log`: lines and their links. :mod:`grid`: exact integers.
- :mod:`store`: the protocol of a database of accounts. :mod:`sqlite`, ``sqlite_rows``, ``sqlite_schema``, ``locks``:
  the embedded one.
"""

from dpsynth.accountant.accountant import Accountant
from dpsynth.accountant.reservation import Reservation
from dpsynth.accountant.values import Account, Charge, StoredAnswer

__all__ = ["Account", "Accountant", "Charge", "Reservation", "StoredAnswer"]
