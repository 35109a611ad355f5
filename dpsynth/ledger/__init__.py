"""The ledger: entries of the log and its Merkle root, keys, the signed statement and its envelope.

It touches no data, no account and no noise: it turns what others decided into bytes, and signs them.

- :mod:`entries`: what each kind of line holds; nonces and secrets. :mod:`canonical`: JSON in one form only.
- :mod:`log`: RFC 6962 leaf hash and root.
- :mod:`keys`: Ed25519 keys and their files. :mod:`envelope`: DSSE 1.0.2.
- :mod:`predicate`: the ledger and the derivation as typed values. :mod:`statement`: in-toto Statement v1.

``dpsynth/verifier.py`` reads the same formats with code of its own.
"""

from dpsynth.ledger.canonical import canonical, fraction_text
from dpsynth.ledger.entries import FIELDS, KINDS, Entry, Kind, Stamp, amount, claim, new_secret, nonce, parse, render
from dpsynth.ledger.log import leaf_hash, merkle_root

__all__ = [
    "FIELDS",
    "KINDS",
    "Entry",
    "Kind",
    "Stamp",
    "amount",
    "canonical",
    "claim",
    "fraction_text",
    "leaf_hash",
    "merkle_root",
    "new_secret",
    "nonce",
    "parse",
    "render",
]
