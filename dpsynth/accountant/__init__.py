"""The accountant: accounts with caps, the filter that refuses, and the store that survives any crash.

It sees costs, log lines and noisy answers as bytes; never a private row, never noise being drawn.

- :mod:`accountant`, :mod:`reservation`: the rules, one transaction a method. :mod:`filter`: the sum and its refusal.
- :mod:`accounts`, :mod:`grants`: trees of accounts, and the officers' grants that caps come from.
- :mod:`decisions`: what becomes of a settled release. :mod:`story`: what its ledger says of accounts and of the log.
  :mod:`states`: how far each release has come.
- :mod:`values`: Account, Charge, StoredAnswer. :mod:`log`: lines and their links. :mod:`grid`: exact integers.
- :mod:`store`: the protocol of a database of accounts. :mod:`anchors`: any of them, watched from another folder.
  :mod:`sqlite`, ``sqlite_rows``, ``sqlite_schema``, ``sqlite_additions``, ``locks``, ``filesystem``: the embedded one.
"""

from dpsynth.accountant.accountant import Accountant
from dpsynth.accountant.reservation import Reservation
from dpsynth.accountant.states import State
from dpsynth.accountant.store import Attempts
from dpsynth.accountant.story import Story
from dpsynth.accountant.values import Account, Charge, StoredAnswer

__all__ = ["Account", "Accountant", "Attempts", "Charge", "Reservation", "State", "StoredAnswer", "Story"]
