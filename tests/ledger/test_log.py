"""The Merkle tree of the log against published test vectors and a literal reading of RFC 6962.

The vectors are those of the reference implementation of Certificate Transparency (merkle_tree_test.cc).
"""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth import evidence
from dpsynth.ledger import (
    Tree,
    consistency_proof,
    extends,
    includes,
    inclusion_proof,
    leaf_hash,
    merkle_root,
    root_of,
)

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
    assert merkle_root(LEAVES[:size]).hex() == ROOTS[size] == evidence.merkle_root(LEAVES[:size])


def test_every_size_is_as_the_rfc_says() -> None:
    lines = [b"line %d" % number for number in range(70)]
    for size in range(71):
        assert merkle_root(lines[:size]) == literal(lines[:size])
        assert evidence.merkle_root(lines[:size]) == literal(lines[:size]).hex()


def test_a_leaf_is_not_a_node() -> None:
    left, right = leaf_hash(b"a"), leaf_hash(b"b")
    assert merkle_root([b"a", b"b"]) != leaf_hash(left + right)


A, B, C = (
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
)
D, E, F, G = (
    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
)
INCLUSION = [
    (0, 1, []),
    (0, 8, [A, B, C]),
    (5, 8, [D, E, F]),
    (2, 3, [ROOTS[2]]),
    (1, 5, [ROOTS[1], B, D]),
]
CONSISTENCY = [(1, 1, []), (1, 8, [A, B, C]), (6, 8, [G, E, F]), (2, 5, [B, D])]
HASHES = [leaf_hash(leaf) for leaf in LEAVES]


@pytest.mark.parametrize(("index", "size", "path"), INCLUSION)
def test_published_inclusion(index: int, size: int, path: list[str]) -> None:
    proof = inclusion_proof(HASHES[:size], index)
    assert [one.hex() for one in proof] == path
    assert Tree(HASHES).inclusion(index, size) == proof
    assert includes(HASHES[index], index, size, proof, merkle_root(LEAVES[:size]))


@pytest.mark.parametrize(("first", "size", "path"), CONSISTENCY)
def test_published_consistency(first: int, size: int, path: list[str]) -> None:
    proof = consistency_proof(HASHES[:size], first)
    assert [one.hex() for one in proof] == path
    assert Tree(HASHES).consistency(first, size) == proof
    assert extends(first, merkle_root(LEAVES[:first]), size, merkle_root(LEAVES[:size]), proof)


def mth(hashes: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, over leaf hashes."""
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while 2 * k < len(hashes):
        k *= 2
    return sha256(b"\x01" + mth(hashes[:k]) + mth(hashes[k:])).digest()


def path(m: int, hashes: list[bytes]) -> list[bytes]:
    """PATH(m, D[n]) of section 2.1.1, word for word."""
    if len(hashes) == 1:
        return []
    k = 1
    while 2 * k < len(hashes):
        k *= 2
    if m < k:
        return [*path(m, hashes[:k]), mth(hashes[k:])]
    return [*path(m - k, hashes[k:]), mth(hashes[:k])]


def subproof(m: int, hashes: list[bytes], whole: bool) -> list[bytes]:
    """SUBPROOF(m, D[n], b) of section 2.1.2, word for word."""
    if m == len(hashes):
        return [] if whole else [mth(hashes)]
    k = 1
    while 2 * k < len(hashes):
        k *= 2
    if m <= k:
        return [*subproof(m, hashes[:k], whole), mth(hashes[k:])]
    return [*subproof(m - k, hashes[k:], False), mth(hashes[:k])]


class TestProofs:
    HASHES = tuple(leaf_hash(b"line %d" % number) for number in range(40))

    def test_every_proof_is_as_the_rfc_says(self) -> None:
        whole = Tree(self.HASHES)
        for size in range(1, len(self.HASHES) + 1):
            leaves = list(self.HASHES[:size])
            root = mth(leaves)
            assert root_of(leaves) == whole.root(size) == root
            for index in range(size):
                proof = tuple(path(index, leaves))
                assert inclusion_proof(leaves, index) == whole.inclusion(index, size) == proof
                assert includes(leaves[index], index, size, proof, root)
            for first in range(1, size + 1):
                proof = tuple(subproof(first, leaves, True))
                assert consistency_proof(leaves, first) == whole.consistency(first, size) == proof
                assert extends(first, mth(leaves[:first]), size, root, proof)

    @given(st.data())
    @settings(max_examples=300, deadline=None)
    def test_a_proof_of_something_else_is_refused(self, data: st.DataObject) -> None:
        size = data.draw(st.integers(1, 40))
        index, other = data.draw(st.integers(0, size - 1)), data.draw(st.integers(-1, 41))
        tree = Tree(self.HASHES)
        proof, root = tree.inclusion(index, size), tree.root(size)
        assert includes(self.HASHES[index], other, size, proof, root) == (other == index)
        assert not includes(leaf_hash(b"another line"), index, size, proof, root)
        assert not includes(self.HASHES[index], index, size, (*proof, root), root)
        assert not includes(self.HASHES[index], index, size, proof, bytes(32))
        if proof:
            assert not includes(self.HASHES[index], index, size, proof[:-1], root)
            number = data.draw(st.integers(0, len(proof) - 1))
            changed = (*proof[:number], leaf_hash(proof[number]), *proof[number + 1 :])
            assert not includes(self.HASHES[index], index, size, changed, root)

    @given(st.data())
    @settings(max_examples=300, deadline=None)
    def test_another_history_is_refused(self, data: st.DataObject) -> None:
        size = data.draw(st.integers(1, 40))
        first = data.draw(st.integers(1, size))
        tree = Tree(self.HASHES)
        old, new, proof = tree.root(first), tree.root(size), tree.consistency(first, size)
        forged = list(self.HASHES)
        place = data.draw(st.integers(0, first - 1))
        forged[place] = leaf_hash(b"rewritten")
        other = Tree(forged)
        assert not extends(first, old, size, other.root(size), other.consistency(first, size))
        assert not extends(first, other.root(first), size, new, proof)
        assert not extends(first, old, size, new, (*proof, new))
        assert not extends(first, leaf_hash(old), size, new, proof)
        wrong = data.draw(st.integers(-1, 41).filter(lambda number: number != first))
        assert not extends(wrong, old, size, new, proof) or wrong == first
        if proof:
            assert not extends(first, old, size, new, proof[:-1])
            assert not extends(first, old, size, new, ())

    def test_there_is_no_proof_of_what_is_not_there(self) -> None:
        tree = Tree(self.HASHES)
        for index, size in ((-1, 3), (3, 3), (0, 0), (0, 41)):
            with pytest.raises(IndexError):
                tree.inclusion(index, size)
        for first, size in ((0, 3), (4, 3), (1, 41), (-1, 3)):
            with pytest.raises(IndexError):
                tree.consistency(first, size)
        assert Tree([]).root() == sha256().digest()
        assert not includes(self.HASHES[0], 0, 0, (), sha256().digest())
        assert not extends(0, sha256().digest(), 3, tree.root(3), ())

    def test_proofs_of_a_long_log_are_short(self) -> None:
        leaves = [sha256(b"%d" % number).digest() for number in range(100_000)]
        tree = Tree(leaves)
        for size in range(1, 100_000, 997):
            assert len(tree.consistency(size)) <= 18
            assert extends(size, tree.root(size), len(leaves), tree.root(), tree.consistency(size))
