"""The Merkle tree of the log against the published test vectors and a literal reading of RFC 6962."""

from __future__ import annotations

from hashlib import sha256

import pytest

from dpsynth import verifier
from dpsynth.ledger import leaf_hash, merkle_root

LEAVES = [bytes.fromhex(text) for text in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    5: "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    7: "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}


def literal(lines: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word for word."""
    if not lines:
        return sha256().digest()
    if len(lines) == 1:
        return sha256(b"\x00" + lines[0]).digest()
    k = 1
    while 2 * k < len(lines):
        k *= 2
    return sha256(b"\x01" + literal(lines[:k]) + literal(lines[k:])).digest()


@pytest.mark.parametrize("size", ROOTS)
def test_published_roots(size: int) -> None:
    assert merkle_root(LEAVES[:size]).hex() == ROOTS[size] == verifier.merkle_root(LEAVES[:size])


def test_every_size_is_as_the_rfc_says() -> None:
    lines = [b"line %d" % number for number in range(70)]
    for size in range(71):
        assert merkle_root(lines[:size]) == literal(lines[:size])
        assert verifier.merkle_root(lines[:size]) == literal(lines[:size]).hex()


def test_a_leaf_is_not_a_node() -> None:
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert merkle_root([b"a", b"b"]) != leaf_hash(left + right)
