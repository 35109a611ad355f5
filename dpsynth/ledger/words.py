"""Twelve words for a file, to be read aloud, compared and typed: is it the file that you looked at?"""

from __future__ import annotations

from hashlib import sha256

_LIST = """
acid acorn alley amber apple april arena army arrow atlas badge bamboo banjo barn basil beach berry birch bison bloom
boat bonus book brass bread brick broom bulb bunny butter cabin cactus cake camel candy carbon castle cave cedar cello
chalk chess cider cinema circus clay cliff clock coal cobra comet copper coral cotton crab crow cup dance delta denim
desk diary disk dog donkey dove dragon drum duck eagle easel echo egg elbow elm engine fabric falcon farm fern field
film finch fish flag flute forest fox frog fruit fudge galaxy garden gate gem ginger glass globe goat gold grape
guitar hammer harbor hawk hazel helmet hill honey hook horse hotel ice igloo iris iron island ivory jacket jade jelly
jewel jungle kayak kettle king kite kiwi koala ladder lake lamp lark laser leaf lemon lily lime lion lizard lobby
lotus lunar magnet maple meadow melon metal milk mint mirror moon mosaic mouse museum nectar nest night north novel
oak oasis ocean olive onion opal otter owl oxygen oyster paddle palm panda paper pearl pebble pencil pepper piano
pigeon pilot pine planet plum pocket poem pond potato prism puzzle quail queen quilt rabbit radio rain raven ribbon
river robin rocket rose ruby saddle salad sand satin school shell ship silver siren sky slate snow solar spider spoon
spring squash star stone sugar swan table taxi tent tiger timber toast token torch tower train tulip tunnel turtle
valley vase velvet violin wagon walnut water whale wheat window wolf wood yacht yard yellow zebra zero zinc zone
"""
WORDS: tuple[str, ...] = tuple(_LIST.split())
"""256 words in the order of the alphabet, no two with the same first three letters: byte n is word n.

The list is part of the format: it never changes.
"""

LENGTH = 12


def fingerprint(data: bytes) -> str:
    """Twelve words, the first 96 bits of the SHA-256 of ``data``.

    Nobody finds another file with the words of a given one. Who makes both could find two that agree in 2**48 tries:
    so words are compared, but what is signed is always the whole digest.
    """
    return fingerprint_of_digest("sha256:" + sha256(data).hexdigest())


def fingerprint_of_digest(digest: str) -> str:
    """The twelve words of the file with this ``sha256:…``."""
    return " ".join(WORDS[byte] for byte in bytes.fromhex(digest.removeprefix("sha256:"))[:LENGTH])


def same_words(typed: str, expected: str) -> bool:
    """Whether somebody typed these words, in whatever case and with whatever space between them."""
    return typed.lower().split() == expected.split()
