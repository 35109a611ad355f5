"""The ledger: entries of the log and its Merkle root, keys, the signed statement and its envelope.

It touches no data, no account and no noise: it turns what others decided into bytes, and signs them.

- :mod:`entries`: what each kind of line holds; nonces and secrets. :mod:`strict_json`: JSON in one form only.
- :mod:`log`: RFC 6962 leaf hash and root.
- :mod:`keys`: Ed25519 keys and their files. :mod:`dsse`: DSSE 1.0.2.
- :mod:`predicate`: the ledger and the derivation as typed values. :mod:`intoto`: in-toto Statement v1.

``dpsynth/verifier.py`` reads the same formats with code of its own.
"""

from dpsynth.ledger.dsse import PAYLOAD_TYPE, envelope, open_envelope, pae
from dpsynth.ledger.entries import (
    CHARGES,
    FIELDS,
    KINDS,
    ChargeKind,
    Claim,
    Entry,
    Kind,
    Stamp,
    amount,
    claim,
    cost_of,
    new_secret,
    nonce,
    parse,
    render,
)
from dpsynth.ledger.intoto import (
    DERIVATION_TYPE,
    LEDGER_TYPE,
    Statement,
    is_subject_name,
    parse_statement,
    statement,
)
from dpsynth.ledger.keys import PublicKey, SigningKey, default_key, default_key_path
from dpsynth.ledger.log import leaf_hash, merkle_root
from dpsynth.ledger.predicate import (
    AccountState,
    DerivationPredicate,
    Guarantee,
    LedgerPredicate,
    Parent,
    ReleaseFacts,
    RowsRule,
    Software,
)
from dpsynth.ledger.strict_json import canonical, fraction_text, read_object

__all__ = [
    "CHARGES",
    "DERIVATION_TYPE",
    "FIELDS",
    "KINDS",
    "LEDGER_TYPE",
    "PAYLOAD_TYPE",
    "AccountState",
    "ChargeKind",
    "Claim",
    "DerivationPredicate",
    "Entry",
    "Guarantee",
    "Kind",
    "LedgerPredicate",
    "Parent",
    "PublicKey",
    "ReleaseFacts",
    "RowsRule",
    "SigningKey",
    "Software",
    "Stamp",
    "Statement",
    "amount",
    "canonical",
    "claim",
    "cost_of",
    "default_key",
    "default_key_path",
    "envelope",
    "fraction_text",
    "is_subject_name",
    "leaf_hash",
    "merkle_root",
    "new_secret",
    "nonce",
    "open_envelope",
    "pae",
    "parse",
    "parse_statement",
    "read_object",
    "render",
    "statement",
]
