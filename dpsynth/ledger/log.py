"""The append-only log as a Merkle tree: roots, proofs and signed checkpoints.

Sources: RFC 6962, section 2.1 (tree, audit paths, consistency proofs); RFC 9162, sections 2.1.3.2 and 2.1.4.2 (how they
are checked); https://c2sp.org/tlog-checkpoint and https://c2sp.org/signed-note (the checkpoint). The exact bytes of
each line are a leaf.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from hashlib import sha256

from dpsynth.errors import SignatureInvalid
from dpsynth.ledger.keys import PublicKey, SigningKey

_EMPTY = sha256().digest()
_ED25519 = b"\x01"
_ORIGIN = re.compile(r"[!-*,-~]+")  # printable ASCII, no space, no plus: a key name of a signed note
_SIZE = re.compile(r"0|[1-9][0-9]{0,17}")


def leaf_hash(line: bytes) -> bytes:
    """The 32 bytes that stand for one line."""
    return sha256(b"\x00" + line).digest()


def merkle_root(lines: Sequence[bytes]) -> bytes:
    """The 32 bytes that stand for all lines in this order; of no line, the hash of nothing."""
    return root_of([leaf_hash(line) for line in lines])


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root over leaf hashes."""
    return Tree(leaves).root()


def inclusion_proof(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """The audit path of one leaf, given all leaf hashes (RFC 6962, 2.1.1); IndexError if there is no such leaf."""
    return Tree(leaves).inclusion(index)


def consistency_proof(leaves: Sequence[bytes], first: int) -> tuple[bytes, ...]:
    """That the first ``first`` leaf hashes are a beginning of all of them (RFC 6962, 2.1.2); IndexError if not."""
    return Tree(leaves).consistency(first)


class Tree:
    """All roots and proofs of a log and of its beginnings, in a logarithmic number of steps each.

    Made once from the leaf hashes: every complete subtree of 2**h leaves is kept, so that a root or proof joins few.
    """

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self._levels = [list(leaves)]
        while len(below := self._levels[-1]) > 1:
            self._levels.append([_join(*pair) for pair in zip(below[::2], below[1::2], strict=False)])

    def __len__(self) -> int:
        return len(self._levels[0])

    def root(self, size: int | None = None) -> bytes:
        """The root of the first ``size`` leaves; of all without it."""
        count = self._size(size)
        return self._node(0, count) if count else _EMPTY

    def inclusion(self, index: int, size: int | None = None) -> tuple[bytes, ...]:
        """The audit path of leaf ``index`` in the tree of the first ``size`` leaves."""
        start, end = 0, self._size(size)
        if not 0 <= index < end:
            raise IndexError("a proof is of a leaf that the tree has")
        path: list[bytes] = []
        while end - start > 1:
            middle = start + _split(end - start)
            if index < middle:
                path.append(self._node(middle, end))
                end = middle
            else:
                path.append(self._node(start, middle))
                start = middle
        return tuple(reversed(path))

    def consistency(self, first: int, size: int | None = None) -> tuple[bytes, ...]:
        """That the first ``first`` leaves are a beginning of the first ``size``."""
        start, end = 0, self._size(size)
        if not 0 < first <= end:
            raise IndexError("a consistency proof is of a beginning that is not empty")
        path: list[bytes] = []
        whole = True  # whether the subtree under way begins at the first leaf and is known by the older root itself
        while first != end:
            middle = start + _split(end - start)
            if first <= middle:
                path.append(self._node(middle, end))
                end = middle
            else:
                path.append(self._node(start, middle))
                start, whole = middle, False
        if not whole:
            path.append(self._node(start, end))
        return tuple(reversed(path))

    def _size(self, size: int | None) -> int:
        count = len(self) if size is None else size
        if not 0 <= count <= len(self):
            raise IndexError("the tree has fewer leaves")
        return count

    def _node(self, start: int, end: int) -> bytes:
        """The hash of leaves ``start`` to ``end``: a subtree of the RFC, so ``start`` is a multiple of its width."""
        width = end - start
        if width & (width - 1) == 0:
            return self._levels[width.bit_length() - 1][start // width]
        middle = start + _split(width)
        return _join(self._node(start, middle), self._node(middle, end))


def includes(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether ``proof`` shows that the leaf hash is number ``index`` (from 0) under the root of ``size`` leaves."""
    if not 0 <= index < size:
        return False
    number, last, node = index, size - 1, leaf
    for hashed in proof:
        if last == 0:
            return False
        if number % 2 or number == last:
            node = _join(hashed, node)
            while number % 2 == 0 and number:
                number, last = number // 2, last // 2
        else:
            node = _join(node, hashed)
        number, last = number // 2, last // 2
    return last == 0 and node == root


def extends(first: int, root: bytes, size: int, newer: bytes, proof: Sequence[bytes]) -> bool:
    """Whether ``proof`` shows that the log of ``size`` leaves begins with the log of ``first`` leaves."""
    if not 0 < first <= size:
        return False
    if first == size:
        return not proof and root == newer
    path = list(proof) if first & (first - 1) else [root, *proof]
    if not path:
        return False
    number, last = first - 1, size - 1
    while number % 2:
        number, last = number // 2, last // 2
    old = new = path[0]
    for hashed in path[1:]:
        if last == 0:
            return False
        if number % 2 or number == last:
            old, new = _join(hashed, old), _join(hashed, new)
            while number % 2 == 0 and number:
                number, last = number // 2, last // 2
        else:
            new = _join(new, hashed)
        number, last = number // 2, last // 2
    return last == 0 and old == root and new == newer


# --- checkpoints ------------------------------------------------------------------------------------------------------


def checkpoint(origin: str, size: int, root: bytes, key: SigningKey) -> str:
    """The signed note that says: the log ``origin`` has ``size`` lines under ``root``. One signature, named origin."""
    text = _note(origin, size, root)
    return _signed(origin, text, key.public, key.sign(text.encode("ascii")))


def read_checkpoint(note: str, key: PublicKey) -> tuple[str, int, bytes]:
    """Origin, size and root of a checkpoint of the one form that :func:`checkpoint` writes, signed by ``key``.

    SignatureInvalid otherwise: also for further lines or signatures, which the specification would allow.
    """
    try:
        origin, number, encoded, empty, line, end = note.split("\n")
        if not _SIZE.fullmatch(number) or empty or end:
            raise ValueError
        size, root = int(number), base64.b64decode(encoded, validate=True)
        text = _note(origin, size, root)
        signature = base64.b64decode(line.rpartition(" ")[2], validate=True)[4:]
        if _signed(origin, text, key, signature) != note:
            raise ValueError
    except ValueError:
        raise SignatureInvalid("a checkpoint is not of the one form that dpsynth writes, or of another key") from None
    key.check(signature, text.encode("ascii"))
    return origin, size, root


def _note(origin: str, size: int, root: bytes) -> str:
    if not _ORIGIN.fullmatch(origin) or size < 0 or len(root) != 32:
        raise ValueError("a checkpoint has an origin without spaces and plus signs, a size and a root of 32 bytes")
    return f"{origin}\n{size}\n{base64.b64encode(root).decode('ascii')}\n"


def _signed(origin: str, text: str, key: PublicKey, signature: bytes) -> str:
    known = sha256(origin.encode("ascii") + b"\n" + _ED25519 + key.raw).digest()[:4]
    return f"{text}\n\N{EM DASH} {origin} {base64.b64encode(known + signature).decode('ascii')}\n"


def _join(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def _split(count: int) -> int:
    """The largest power of two below ``count`` >= 2."""
    return 1 << (count - 1).bit_length() - 1
