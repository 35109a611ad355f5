"""Where a release stands in its store's log: the head, the proofs of its lines, and that older heads are beginnings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dpsynth.errors import LogInconsistent
from dpsynth.ledger.fields import Fields
from dpsynth.ledger.keys import PublicKey, SigningKey
from dpsynth.ledger.log import checkpoint, extends, includes, leaf_hash, read_checkpoint


@dataclass(frozen=True)
class Past:
    """An earlier head of the same log, with the proof that it is a beginning of the present one."""

    size: int
    root: bytes
    proof: tuple[bytes, ...]

    def to_json(self) -> dict[str, Any]:
        """``{"size", "root", "proof"}``, hashes in hex."""
        return {"size": self.size, "root": self.root.hex(), "proof": _hex(self.proof)}


@dataclass(frozen=True)
class LogHead:
    """The head of the log ``origin`` at ``size`` lines; ``root`` is that of RFC 6962 over them.

    ``proofs`` has the inclusion path of each line that is shown, ``history`` earlier heads, oldest first. Hashes are 32
    bytes each.
    """

    origin: str
    size: int
    root: bytes
    proofs: tuple[tuple[bytes, ...], ...]
    history: tuple[Past, ...]

    def to_json(self, key: SigningKey) -> dict[str, Any]:
        """``{"origin", "size", "root", "proofs", "history", "checkpoint"}``, the checkpoint signed by ``key``."""
        return {
            "origin": self.origin,
            "size": self.size,
            "root": self.root.hex(),
            "proofs": [_hex(proof) for proof in self.proofs],
            "history": [past.to_json() for past in self.history],
            "checkpoint": checkpoint(self.origin, self.size, self.root, key),
        }

    @classmethod
    def parse(cls, value: object, signer: PublicKey) -> LogHead:
        """The head in a signed object. SignatureInvalid unless ``signer`` made its checkpoint; UnknownEntry by form.

        LogInconsistent if the checkpoint is of another head. The proofs are checked by ``require``.
        """
        at = Fields(value, "the log of a statement", "origin", "size", "root", "proofs", "history", "checkpoint")
        proofs = tuple(at.hash_list("proofs", proof) for proof in at.items("proofs"))
        past = (Fields(one, "an earlier head of the log", "size", "root", "proof") for one in at.items("history"))
        history = tuple(Past(one.count("size", 1), one.hash("root"), one.hashes("proof")) for one in past)
        head = cls(at.name("origin"), at.count("size", 1), at.hash("root"), proofs, history)
        if read_checkpoint(at.text("checkpoint"), signer) != (head.origin, head.size, head.root):
            raise LogInconsistent("the checkpoint is not of the log's head")
        return head

    def require(self, lines: Sequence[tuple[int, bytes]]) -> None:
        """LogInconsistent unless each line, given with its seq, is proved to be in the log, and history a beginning."""
        if len(lines) != len(self.proofs):
            raise LogInconsistent("the log has another number of proofs than of lines")
        for (seq, line), proof in zip(lines, self.proofs, strict=True):
            if not includes(leaf_hash(line), seq, self.size, proof, self.root):
                raise LogInconsistent(f"line {seq} is not proved to be in the log")
        sizes = [past.size for past in self.history]
        if sizes != sorted(set(sizes)):
            raise LogInconsistent("the earlier heads of the log are not in the order of their sizes")
        for past in self.history:
            if not extends(past.size, past.root, self.size, self.root, past.proof):
                raise LogInconsistent(f"the log's head at size {past.size} is not proved to be a beginning of the log")


def _hex(hashes: Sequence[bytes]) -> list[str]:
    return [one.hex() for one in hashes]
