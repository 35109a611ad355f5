"""A second place that knows how far the log had come, so that a store cannot be taken back unnoticed.

After each commit the length of the log and the link of its last line go to a small file in another folder, best on
another disk. Before each write the store must still hold that very line: a copy that was brought back, or a second one
that went its own way, does not. It can then be read and no more. (Its own disk cannot tell: a copy of a whole store is
in order in itself.)
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from dpsynth.accountant.store import Lock, Reading, Store, Writing
from dpsynth.errors import AnchorMissing, ConfigurationError, LogInconsistent, StoreError
from dpsynth.ledger import canonical, nonce

try:
    import fcntl
except ImportError:  # pragma: no cover
    fcntl = None  # type: ignore[assignment]  # Windows has none

T = TypeVar("T")

ENVIRONMENT = "DPSYNTH_ANCHORS"
"""The variable that names another folder for anchors."""


def default_folder() -> Path:
    """Where anchors are kept: ``$DPSYNTH_ANCHORS``, or ``dpsynth/anchors`` in the user's folder for state."""
    named = os.environ.get(ENVIRONMENT)
    if named:
        return Path(named)
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "dpsynth" / "anchors"


@dataclass(frozen=True)
class Anchor:
    """How far a log had come: its length and the link of its last line (zeros if it is empty)."""

    size: int
    link: bytes

    def is_before(self, tx: Reading) -> bool:
        """Whether the log of a store begins with the log that was anchored."""
        found = tx.link(self.size - 1) if self.size else bytes(32)
        return found == self.link


class AnchoredStore:
    """Any :class:`~dpsynth.accountant.store.Store`, with its anchor in ``folder``.

    Every write raises LogInconsistent if the store does not extend its anchor, ConfigurationError if the anchor cannot
    be kept, and StoreError if that fails after the commit: what was written then stays charged.
    """

    def __init__(self, store: Store, folder: Path) -> None:
        self._store = store
        self._folder = folder
        self._path = folder / f"{store.origin.rpartition('/')[2]}.json"

    @property
    def secret(self) -> bytes:
        """The store's secret."""
        return self._store.secret

    @property
    def origin(self) -> str:
        """The public name of the store's log."""
        return self._store.origin

    def warn(self) -> None:
        """Say so, as an AnchorMissing, if the store has entries and no anchor: an older copy would be taken for it."""
        if not self._path.exists() and self._store.read(lambda tx: tx.head())[0]:
            text = (
                f"{self._folder} has no anchor of this store's log, so that nothing here tells whether an older copy "
                "of the store was brought back; the next write makes one. If it came from another machine, bring "
                f"the file {self._path.name} of that machine's anchors along first"
            )
            warnings.warn(text, AnchorMissing, stacklevel=3)

    def read(self, act: Callable[[Reading], T]) -> T:
        """Read, also when the store is behind its anchor."""
        return self._store.read(act)

    def write(self, act: Callable[[Writing], T]) -> T:
        """Do ``act`` if the store extends its anchor, and move the anchor on when it is committed."""
        known = self._known()

        def checked(tx: Writing) -> tuple[T, Anchor]:
            if known is not None and not known.is_before(tx):
                raise LogInconsistent(
                    f"the store's log is not the one that was anchored at size {known.size} ({self._path}): an older "
                    "copy was brought back, or two copies went different ways. It can be read and not written; bring "
                    "back the copy that holds everything, and never release from two copies of one store"
                )
            result = act(tx)
            return result, Anchor(*tx.head())

        result, head = self._store.write(checked)
        if head != known:
            self._keep(head)
        return result

    def lock(self, release: str) -> Lock:
        """Hold a release."""
        return self._store.lock(release)

    def close(self) -> None:
        """Let go of the store."""
        self._store.close()

    def _known(self) -> Anchor | None:
        """The anchor, None before the first; its folder is made, so that it is known before a commit that it can be."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return self._read()
        except OSError as error:
            raise ConfigurationError(
                f"{self._folder}: the anchor of the store's log cannot be kept here ({error.strerror}); name a folder "
                f"that you may write to with {ENVIRONMENT}, best on another disk. Nothing was written"
            ) from error

    def _read(self) -> Anchor | None:
        try:
            value = json.loads(self._path.read_bytes())
            if value["origin"] != self.origin:
                raise ValueError
            return Anchor(int(value["size"]), bytes.fromhex(value["link"]))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            raise LogInconsistent(
                f"{self._path}: this is not the anchor of the store's log, so that nobody can say whether the store "
                "was taken back. It can be read and not written; bring the anchor's file back"
            ) from None

    def _keep(self, head: Anchor) -> None:
        """Move the anchor on to ``head``, durably; never back, where another process was quicker."""
        new = self._path.with_name(f"{self._path.name}.{nonce()}.new")
        try:
            guard = os.open(self._folder, os.O_RDONLY) if fcntl is not None else None
            try:
                if guard is not None:
                    fcntl.flock(guard, fcntl.LOCK_EX)  # given back when it is closed
                known = self._read()
                if known is not None and known.size >= head.size:
                    return
                handle = os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
                try:
                    os.write(handle, canonical({"origin": self.origin, "size": head.size, "link": head.link.hex()}))
                    os.fsync(handle)
                finally:
                    os.close(handle)
                new.replace(self._path)
                if guard is not None and known is None:  # a move that is undone leaves an older anchor, which holds too
                    os.fsync(guard)
            finally:
                if guard is not None:
                    os.close(guard)
        except OSError as error:
            with suppress(OSError):
                new.unlink()
            raise StoreError(
                f"{self._folder}: the anchor of the store's log could not be moved on ({error.strerror}); make room or "
                "mend it and run again: what was written stays charged, nothing else is"
            ) from error
