"""Twelve words: all distinct, told apart by three letters, and the same for ever."""

from __future__ import annotations

from hashlib import sha256

from dpsynth.ledger import fingerprint, fingerprint_of_digest, same_words
from dpsynth.ledger.words import WORDS


def test_256_words_that_nobody_mixes_up() -> None:
    assert len(WORDS) == len(set(WORDS)) == len({word[:3] for word in WORDS}) == 256
    assert list(WORDS) == sorted(WORDS)
    assert all(word.isascii() and word.isalpha() and word.islower() and 3 <= len(word) <= 6 for word in WORDS)


def test_the_list_never_changes() -> None:
    assert sha256(" ".join(WORDS).encode()).hexdigest() == LIST


def test_twelve_words_are_96_bits_of_the_digest() -> None:
    words = fingerprint(b"").split()
    assert len(words) == 12
    assert bytes(WORDS.index(word) for word in words) == sha256(b"").digest()[:12]
    assert fingerprint_of_digest("sha256:" + sha256(b"").hexdigest()) == fingerprint(b"")
    assert fingerprint(b"") == EMPTY


def test_typed_words_are_compared_kindly_but_wholly() -> None:
    assert same_words(
        "  Solar\tolive \n" + " ".join(EMPTY.split()[2:]).upper(), "solar olive " + EMPTY.split(" ", 2)[2]
    )
    assert not same_words(" ".join(EMPTY.split()[:-1]), EMPTY)
    assert not same_words("", EMPTY)
    assert not same_words(EMPTY + " acid", EMPTY)


LIST = "659efffa0e4cb0283d9eafcc8f50873f550b343341ba9dd22a7b94559b79c1e8"
EMPTY = "tiger pencil raven dragon mosaic zebra bunny boat museum yellow whale rocket"
