"""The append-only log as a Merkle tree (RFC 6962, section 2.1): the exact bytes of each line are a leaf."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256


def leaf_hash(line: bytes) -> bytes:
    """The 32 bytes that stand for one line."""
    return sha256(b"\x00" + line).digest()


def merkle_root(lines: Sequence[bytes]) -> bytes:
    """The 32 bytes that stand for all lines in this order; of no line, the hash of nothing."""
    if not lines:
        return sha256().digest()
    # The tree of the RFC splits n leaves at the largest power of two below n. Joining neighbours level by level, with
    # an odd last node carried up unchanged, builds the same tree.
    nodes = [leaf_hash(line) for line in lines]
    while len(nodes) > 1:
        joined = [sha256(b"\x01" + left + right).digest() for left, right in zip(nodes[::2], nodes[1::2], strict=False)]
        nodes = joined + nodes[2 * len(joined) :]
    return nodes[0]
