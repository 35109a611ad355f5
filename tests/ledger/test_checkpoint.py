"""Checkpoints against the published note of Go's checksum database, and against changes."""

from __future__ import annotations

import base64
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dpsynth.errors import LogInconsistent, SignatureInvalid, UnknownEntry
from dpsynth.ledger import LogHead, Past, SigningKey, Tree, checkpoint, leaf_hash, read_checkpoint
from dpsynth.ledger.log import _signed
from tests.ledger.office import ANA, ENGINE, ORIGIN, head, log

ROOT = sha256(b"root").digest()
NOTE = checkpoint(ORIGIN, 5, ROOT, ENGINE)

# golang.org/x/mod/sumdb/note, the example of its documentation: name, key id, and type and key in base64
SECRET = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
PUBLIC = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
SIGNATURE = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="


def test_the_published_note() -> None:
    seed = base64.b64decode(SECRET.split("+", 4)[4])
    key = SigningKey._of(Ed25519PrivateKey.from_private_bytes(seed[1:]))
    assert key.public.raw == base64.b64decode(PUBLIC.split("+", 2)[2])[1:]
    made = _signed("PeterNeumann", TEXT, key.public, key.sign(TEXT.encode()))
    assert made == f"{TEXT}\n— PeterNeumann {SIGNATURE}\n"


def test_it_has_the_lines_of_the_specification() -> None:
    origin, size, root, empty, signature, end = NOTE.split("\n")
    assert (origin, size, base64.b64decode(root), empty, end) == (ORIGIN, "5", ROOT, "", "")
    dash, name, encoded = signature.split(" ")
    known = sha256(ORIGIN.encode() + b"\n\x01" + ENGINE.public.raw).digest()[:4]
    assert (dash, name) == ("\u2014", ORIGIN)
    assert base64.b64decode(encoded)[:4] == known
    ENGINE.public.check(base64.b64decode(encoded)[4:], f"{ORIGIN}\n5\n{root}\n".encode())


def test_reads_back() -> None:
    assert read_checkpoint(NOTE, ENGINE.public) == (ORIGIN, 5, ROOT)
    assert read_checkpoint(checkpoint(ORIGIN, 0, ROOT, ENGINE), ENGINE.public)[1] == 0


def test_no_flipped_bit_and_no_other_key_is_read() -> None:
    data = NOTE.encode()
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SignatureInvalid):
            read_checkpoint(changed.decode("utf-8", "replace"), ENGINE.public)
    with pytest.raises(SignatureInvalid):
        read_checkpoint(NOTE, ANA.public)


@pytest.mark.parametrize(
    "note",
    [
        "",
        NOTE + "\n",
        NOTE[:-1],
        NOTE.replace("\n5\n", "\n05\n"),
        NOTE.replace("\n5\n", "\n5\nextension\n"),
        NOTE + NOTE.splitlines()[-1] + "\n",
        NOTE.replace("\u2014", "-"),
        NOTE.replace("\n5\n", "\n٥\n"),
    ],
)
def test_other_forms_are_refused(note: str) -> None:
    with pytest.raises(SignatureInvalid):
        read_checkpoint(note, ENGINE.public)


@pytest.mark.parametrize("origin", ["", "a b", "a+b", "a\nb", "é"])
def test_an_origin_is_a_key_name(origin: str) -> None:
    with pytest.raises(ValueError, match="origin"):
        checkpoint(origin, 1, ROOT, ENGINE)


class TestHead:
    LINES = log()
    HEAD = head(LINES, 7, range(5, 7), (3, 5))

    def test_reads_back_and_holds(self) -> None:
        made = LogHead.parse(self.HEAD.to_json(ENGINE), ENGINE.public)
        assert made == self.HEAD
        made.require([(5, self.LINES[5]), (6, self.LINES[6])])

    def test_another_line_another_place_or_none(self) -> None:
        for shown in (
            [(5, self.LINES[5])],
            [(5, self.LINES[5]), (6, self.LINES[5])],
            [(5, self.LINES[5]), (5, self.LINES[6])],
            [(6, self.LINES[6]), (5, self.LINES[5])],
            [(5, self.LINES[5]), (7, self.LINES[6])],
        ):
            with pytest.raises(LogInconsistent):
                self.HEAD.require(shown)

    @pytest.mark.parametrize("past", [Past(3, bytes(32), ()), Past(8, bytes(32), ()), Past(7, bytes(32), ())])
    def test_another_history(self, past: Past) -> None:
        forged = LogHead(ORIGIN, 7, self.HEAD.root, (), (past,))
        with pytest.raises(LogInconsistent, match="beginning"):
            forged.require([])

    def test_a_history_out_of_order(self) -> None:
        for history in (self.HEAD.history[::-1], self.HEAD.history[:1] * 2):
            with pytest.raises(LogInconsistent, match="order"):
                LogHead(ORIGIN, 7, self.HEAD.root, (), history).require([])

    def test_a_log_that_was_rewritten(self) -> None:
        lines = [*self.LINES]
        lines[1] = self.LINES[2]
        forged = Tree([leaf_hash(line) for line in lines])
        old = self.HEAD.history[1]
        made = LogHead(ORIGIN, 7, forged.root(7), (), (Past(5, old.root, forged.consistency(5, 7)),))
        with pytest.raises(LogInconsistent, match="size 5"):
            made.require([])

    def test_a_checkpoint_of_another_head(self) -> None:
        value = {**self.HEAD.to_json(ENGINE), "checkpoint": checkpoint(ORIGIN, 6, self.HEAD.root, ENGINE)}
        with pytest.raises(LogInconsistent, match="checkpoint"):
            LogHead.parse(value, ENGINE.public)
        with pytest.raises(SignatureInvalid):
            LogHead.parse(self.HEAD.to_json(ENGINE), ANA.public)

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("size", 0),
            ("size", "7"),
            ("root", "AA"),
            ("proofs", [["x"]]),
            ("proofs", 1),
            ("history", [{}]),
            ("more", 1),
        ],
    )
    def test_other_forms_are_refused(self, key: str, value: object) -> None:
        with pytest.raises(UnknownEntry):
            LogHead.parse({**self.HEAD.to_json(ENGINE), key: value}, ENGINE.public)
