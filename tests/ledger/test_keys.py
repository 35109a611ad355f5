"""Signing keys and their files."""

from __future__ import annotations

import base64
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from dpsynth.errors import ConfigurationError, SignatureInvalid
from dpsynth.ledger import PublicKey, SigningKey, default_key, default_key_path

# RFC 8032, section 7.1, test 1
SECRET = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
SIGNATURE = bytes.fromhex(
    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24"
    "655141438e7a100b"
)


def rfc_key() -> SigningKey:
    return SigningKey._of(Ed25519PrivateKey.from_private_bytes(SECRET))


def test_rfc_8032() -> None:
    key = rfc_key()
    assert key.public.raw == PUBLIC
    assert key.sign(b"") == SIGNATURE
    assert key.public.keyid == sha256(PUBLIC).hexdigest()
    key.public.check(SIGNATURE, b"")
    with pytest.raises(SignatureInvalid, match=key.public.keyid):
        key.public.check(SIGNATURE, b"x")
    with pytest.raises(SignatureInvalid):
        key.public.check(SIGNATURE[:-1], b"")
    with pytest.raises(SignatureInvalid):
        PublicKey(b"short").check(SIGNATURE, b"")


def test_public_keys_have_one_spelling() -> None:
    key = PublicKey(PUBLIC)
    assert PublicKey.parse(key.base64) == key
    for text in ("", "?", key.base64[:-1], key.base64[:-2] + "r=", key.base64 + "\n", "AAAA"):
        with pytest.raises(SignatureInvalid):
            PublicKey.parse(text)


def test_a_key_never_shows_its_secret() -> None:
    key = rfc_key()
    assert SECRET.hex() not in repr(key)
    assert "Ed25519PrivateKey" not in repr(key)
    assert repr(key.public) in repr(key)


class TestFile:
    def test_round_trip_and_mode(self, tmp_path: Path) -> None:
        path = tmp_path / "signing.pem"
        previous = os.umask(0)
        try:
            rfc_key().save(path)
        finally:
            os.umask(previous)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert SigningKey.load(path).public.raw == PUBLIC
        assert path.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")
        assert [item.name for item in tmp_path.iterdir()] == ["signing.pem"]

    def test_is_never_overwritten(self, tmp_path: Path) -> None:
        path = tmp_path / "signing.pem"
        path.write_bytes(b"precious")
        with pytest.raises(ConfigurationError, match="never overwritten"):
            SigningKey.generate().save(path)
        assert path.read_bytes() == b"precious"
        target = tmp_path / "elsewhere.pem"
        (tmp_path / "link.pem").symlink_to(target)
        with pytest.raises(ConfigurationError, match="never overwritten"):
            SigningKey.generate().save(tmp_path / "link.pem")
        assert not target.exists()
        assert len(list(tmp_path.iterdir())) == 2

    def test_without_hard_links(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def unsupported(*_: object) -> None:
            raise OSError(95, "Operation not supported")

        monkeypatch.setattr(os, "link", unsupported)
        path = tmp_path / "signing.pem"
        rfc_key().save(path)
        assert SigningKey.load(path).public.raw == PUBLIC
        with pytest.raises(ConfigurationError, match="never overwritten"):
            SigningKey.generate().save(path)
        assert [item.name for item in tmp_path.iterdir()] == ["signing.pem"]

    def test_a_full_disk_leaves_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(ConfigurationError, match="No space left"):
            rfc_key().save(tmp_path / "signing.pem")
        assert list(tmp_path.iterdir()) == []

    def test_nowhere_to_write(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="nowhere"):
            SigningKey.generate().save(tmp_path / "nowhere" / "signing.pem")

    def test_bad_files_are_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("DPSYNTH_PASSPHRASE", raising=False)
        monkeypatch.delenv("DPSYNTH_PASSPHRASE_FILE", raising=False)
        key = Ed25519PrivateKey.generate()
        other = ec.generate_private_key(ec.SECP256R1())
        encrypted = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        cases = {
            "empty.pem": (b"", "does not hold a private key"),
            "words.pem": (b"hello", "does not hold a private key"),
            "cut.pem": (rb"-----BEGIN PRIVATE KEY-----", "does not hold a private key"),
            "der.pem": (der, "does not hold a private key"),
            "public.pem": (public, "does not hold a private key"),
            "encrypted.pem": (encrypted, "DPSYNTH_PASSPHRASE_FILE"),
            "p256.pem": (other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), "not an Ed25519 key"),
            "long.pem": (b"\n" * 10**6, "does not hold a private key"),
        }
        for name, (data, message) in cases.items():
            (tmp_path / name).write_bytes(data)
            with pytest.raises(ConfigurationError, match=message) as error:
                SigningKey.load(tmp_path / name)
            assert name in str(error.value)
            assert error.value.exit_code == 2
        with pytest.raises(ConfigurationError, match=r"missing\.pem"):
            SigningKey.load(tmp_path / "missing.pem")
        with pytest.raises(ConfigurationError, match=str(tmp_path)):
            SigningKey.load(tmp_path)


class TestEncrypted:
    @pytest.fixture(autouse=True)
    def environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("DPSYNTH_PASSPHRASE", raising=False)
        monkeypatch.delenv("DPSYNTH_PASSPHRASE_FILE", raising=False)

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "officer.pem"
        rfc_key().save(path, b"correct horse battery")
        return path

    def test_round_trip(self, path: Path) -> None:
        assert path.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert SigningKey.load(path, lambda: b"correct horse battery").public.raw == PUBLIC

    def test_it_is_only_asked_for_where_needed(self, tmp_path: Path) -> None:
        def never() -> bytes:
            raise AssertionError("nobody is to be asked")

        rfc_key().save(tmp_path / "open.pem")
        assert SigningKey.load(tmp_path / "open.pem", never).public.raw == PUBLIC

    @pytest.mark.parametrize("wrong", [b"correct horse", b"correct horse battery ", b"x" * 1000])
    def test_a_wrong_one(self, path: Path, wrong: bytes) -> None:
        with pytest.raises(ConfigurationError, match=r"does not open .*officer\.pem") as error:
            SigningKey.load(path, lambda: wrong)
        assert wrong.decode() not in str(error.value)

    def test_none_at_all(self, path: Path, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match=r"officer\.pem.*DPSYNTH_PASSPHRASE_FILE"):
            SigningKey.load(path)
        for wrong in (b"", b"x" * 2000):
            with pytest.raises(ConfigurationError, match="passphrase"):
                rfc_key().save(tmp_path / "other.pem", wrong)
        assert not (tmp_path / "other.pem").exists()

    @pytest.mark.parametrize("end", ["", "\n", "\r\n", "\nmore lines\n"])
    def test_from_a_file_that_the_environment_names(
        self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
    ) -> None:
        secret = tmp_path / "secret"
        secret.write_bytes(b"correct horse battery" + end.encode())
        monkeypatch.setenv("DPSYNTH_PASSPHRASE_FILE", str(secret))
        assert SigningKey.load(path).public.raw == PUBLIC
        assert default_key(path).public.raw == PUBLIC

    def test_from_the_environment_itself(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DPSYNTH_PASSPHRASE", "correct horse battery")
        assert SigningKey.load(path).public.raw == PUBLIC
        assert SigningKey.load(path, lambda: b"correct horse battery").public.raw == PUBLIC

    def test_a_file_that_cannot_be_read_or_is_empty(
        self, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DPSYNTH_PASSPHRASE_FILE", str(tmp_path / "nowhere"))
        with pytest.raises(ConfigurationError, match="nowhere"):
            SigningKey.load(path)
        (tmp_path / "nowhere").write_bytes(b"\n")
        with pytest.raises(ConfigurationError, match="at least one byte"):
            SigningKey.load(path)

    def test_the_users_own_key_may_be_encrypted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        default_key_path().parent.mkdir()
        rfc_key().save(default_key_path(), b"own")
        assert default_key(passphrase=lambda: b"own").public.raw == PUBLIC

    def test_its_form_is_that_of_others(self, path: Path) -> None:
        """PKCS #8 with PBES2 and AES-256-CBC (RFC 8018), which OpenSSL reads; the key itself does not show."""
        der = base64.b64decode("".join(path.read_text().splitlines()[1:-1]))
        assert bytes.fromhex("06092a864886f70d01050d") in der  # 1.2.840.113549.1.5.13
        assert bytes.fromhex("060960864801650304012a") in der  # 2.16.840.1.101.3.4.1.42
        assert SECRET not in der


class TestDefault:
    def test_is_made_once(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
        key = default_key()
        assert default_key_path() == tmp_path / "config" / "dpsynth" / "signing.pem"
        assert stat.S_IMODE(default_key_path().stat().st_mode) == 0o600
        assert stat.S_IMODE(default_key_path().parent.stat().st_mode) == 0o700
        assert default_key().public == key.public

    def test_a_named_file_is_never_made(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match=r"mine\.pem"):
            default_key(tmp_path / "mine.pem")
        assert list(tmp_path.iterdir()) == []
        rfc_key().save(tmp_path / "mine.pem")
        assert default_key(tmp_path / "mine.pem").public.raw == PUBLIC

    def test_a_damaged_one_is_not_replaced(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        default_key_path().parent.mkdir()
        default_key_path().write_bytes(b"damaged")
        with pytest.raises(ConfigurationError, match=r"signing\.pem"):
            default_key()
        assert default_key_path().read_bytes() == b"damaged"

    def test_a_relative_configuration_home_is_ignored(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        for value in ("", "relative"):
            monkeypatch.setenv("XDG_CONFIG_HOME", value)
            assert default_key_path() == tmp_path / ".config" / "dpsynth" / "signing.pem"

    def test_those_who_start_together_agree(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
        with ThreadPoolExecutor(8) as pool:
            keys = list(pool.map(lambda _: default_key().public.keyid, range(16)))
        assert len(set(keys)) == 1
        assert [item.name for item in (tmp_path / "dpsynth").iterdir()] == ["signing.pem"]

    def test_a_configuration_that_cannot_be_written(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "file").write_bytes(b"")
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
        with pytest.raises(ConfigurationError, match="name a key file"):
            default_key()


def test_the_package_does_not_load_cryptography_by_itself() -> None:
    code = "import sys, dpsynth; assert 'cryptography' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
