"""Ed25519 signing keys and the files that hold them (PKCS #8 PEM, mode 0600, never overwritten).

A file may be encrypted under a passphrase (PBES2, as ``openssl pkey`` writes and reads it). Without a terminal the
passphrase comes from the file that DPSYNTH_PASSPHRASE_FILE names, or from DPSYNTH_PASSPHRASE itself.
"""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from dpsynth.errors import ConfigurationError, SignatureInvalid
from dpsynth.files import sync, write_private

ALGORITHM = "ed25519"
PASSPHRASE = "DPSYNTH_PASSPHRASE"  # noqa: S105 - the name of a variable
PASSPHRASE_FILE = "DPSYNTH_PASSPHRASE_FILE"  # noqa: S105 - likewise
_MAX_FILE = 64 * 1024
_MAX_PASSPHRASE = 1023


@dataclass(frozen=True)
class PublicKey:
    """The 32 raw bytes of an Ed25519 public key."""

    raw: bytes

    @property
    def keyid(self) -> str:
        """SHA-256 of the raw bytes, 64 hex digits: the name under which a signer is known."""
        return sha256(self.raw).hexdigest()

    @property
    def base64(self) -> str:
        """The raw bytes in standard base64, as a ledger states them."""
        return base64.b64encode(self.raw).decode("ascii")

    def to_json(self) -> dict[str, str]:
        """``{"algorithm", "keyid", "public_key"}``: the signer, as a statement names it."""
        return {"algorithm": ALGORITHM, "keyid": self.keyid, "public_key": self.base64}

    @classmethod
    def parse(cls, text: str) -> PublicKey:
        """The key in standard base64; SignatureInvalid if it is not 32 bytes in canonical form."""
        try:
            key = cls(base64.b64decode(text, validate=True))
        except ValueError:
            raise SignatureInvalid("a public key is not standard base64") from None
        if len(key.raw) != 32 or key.base64 != text:
            raise SignatureInvalid("an Ed25519 public key is 32 bytes in standard base64")
        return key

    def check(self, signature: bytes, message: bytes) -> None:
        """SignatureInvalid unless this key made the signature over exactly these bytes."""
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except (InvalidSignature, ValueError):
            raise SignatureInvalid(f"the signature was not made by key {self.keyid}") from None


@dataclass(frozen=True)
class SigningKey:
    """A private Ed25519 key. Its repr, like every message about it, shows the public part only."""

    _private: Ed25519PrivateKey = field(repr=False)
    public: PublicKey

    @classmethod
    def generate(cls) -> SigningKey:
        """A fresh key from the operating system's randomness."""
        return cls._of(Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, path: str | Path, passphrase: Callable[[], bytes] | None = None) -> SigningKey:
        """The key in a PKCS #8 PEM file.

        ``passphrase`` is asked once if the file is encrypted; without it the environment is. ConfigurationError names
        the file: unreadable, a wrong passphrase or none, or no such key.
        """
        try:
            with Path(path).open("rb") as file:
                data = file.read(_MAX_FILE)
        except OSError as error:
            raise ConfigurationError(
                f"the signing key {str(path)!r} cannot be read ({error.strerror}); make one with 'dpsynth keys new'"
            ) from None
        private: object
        try:
            private = load_pem_private_key(data, password=None)
        except TypeError:  # it is encrypted
            private = _decrypted(path, data, passphrase() if passphrase else _passphrase_around(path))
        except (ValueError, UnsupportedAlgorithm):
            raise ConfigurationError(
                f"{str(path)!r} does not hold a private key in PEM form; make one with 'dpsynth keys new'"
            ) from None
        if not isinstance(private, Ed25519PrivateKey):
            raise ConfigurationError(
                f"the key in {str(path)!r} is not an Ed25519 key; make one with 'dpsynth keys new'"
            )
        return cls._of(private)

    def save(self, path: str | Path, passphrase: bytes | None = None) -> None:
        """Write the key durably, readable by its owner alone, encrypted if a passphrase is given.

        ConfigurationError if the file is there or cannot be written, or if the passphrase is empty.
        """
        target = Path(path)
        hidden: KeySerializationEncryption = NoEncryption()
        if passphrase is not None:
            hidden = BestAvailableEncryption(require_passphrase(passphrase))
        pem = self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden)
        draft = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
        try:
            # Written whole under another name, then linked: a second process sees all of the key or nothing, and a
            # link never replaces what is there.
            write_private(draft, pem)
            try:
                os.link(draft, target)
            except FileExistsError:
                raise
            except OSError:  # a file system without links
                write_private(target, pem)
            finally:
                draft.unlink(missing_ok=True)
            sync(target.parent)
        except FileExistsError:
            raise ConfigurationError(f"{str(path)!r} is there already: a key file is never overwritten") from None
        except OSError as error:
            raise ConfigurationError(f"the signing key {str(path)!r} cannot be written ({error.strerror})") from None

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of the signature (deterministic)."""
        return self._private.sign(message)

    @classmethod
    def _of(cls, private: Ed25519PrivateKey) -> SigningKey:
        return cls(private, PublicKey(private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)))


def require_passphrase(secret: bytes) -> bytes:
    """The passphrase; ConfigurationError if it is empty, or longer than the format takes."""
    if not 0 < len(secret) <= _MAX_PASSPHRASE:
        raise ConfigurationError(f"a passphrase has at least one byte and at most {_MAX_PASSPHRASE}")
    return secret


def read_passphrase(path: str | Path) -> bytes:
    """The first line of a file, without its end; ConfigurationError names the file."""
    try:
        with Path(path).open("rb") as file:
            line = file.read(_MAX_FILE).partition(b"\n")[0]
    except OSError as error:
        raise ConfigurationError(f"the passphrase file {str(path)!r} cannot be read ({error.strerror})") from None
    return require_passphrase(line.removesuffix(b"\r"))


def passphrase_of_environment() -> bytes | None:
    """The passphrase that the environment gives, if it gives one."""
    if file := os.environ.get(PASSPHRASE_FILE):
        return read_passphrase(file)
    secret = os.environ.get(PASSPHRASE)
    return require_passphrase(os.fsencode(secret)) if secret else None


def _passphrase_around(path: str | Path) -> bytes:
    secret = passphrase_of_environment()
    if secret is None:
        raise ConfigurationError(
            f"the signing key {str(path)!r} is encrypted and nobody is there to ask for its passphrase: set "
            f"{PASSPHRASE_FILE} to a file that holds it"
        )
    return secret


def _decrypted(path: str | Path, data: bytes, secret: bytes) -> object:
    try:
        return load_pem_private_key(data, password=secret)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ConfigurationError(f"the passphrase does not open the signing key {str(path)!r}") from None


def default_key_path() -> Path:
    """Where the user's own signing key lives: ``$XDG_CONFIG_HOME/dpsynth/signing.pem`` (``~/.config`` by default)."""
    home = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(home) if Path(home).is_absolute() else Path.home() / ".config") / "dpsynth" / "signing.pem"


def default_key(path: str | Path | None = None, passphrase: Callable[[], bytes] | None = None) -> SigningKey:
    """The key in ``path``, opened as ``SigningKey.load`` does; without one, the user's own, made once.

    Two processes that start together agree on one key. ConfigurationError names the file.
    """
    if path is not None:
        return SigningKey.load(path, passphrase)
    own = default_key_path()
    if not own.exists():
        try:
            own.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"the folder {str(own.parent)!r} for the signing key cannot be made ({error.strerror}); "
                "name a key file instead"
            ) from None
        try:
            SigningKey.generate().save(own)
        except ConfigurationError:
            if not own.exists():  # otherwise another process was faster: its key is the key
                raise
    return SigningKey.load(own, passphrase)
