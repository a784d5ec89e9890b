"""Certificates: what `certs` makes is right, and what is wrong is found and named."""

from __future__ import annotations

import stat
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sequester.vm import certs
from sequester.vm.errors import ConfigError

from .clock import shifted


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    certs.create(tmp_path / "keys", 3)
    return tmp_path / "keys"


def check(keys: Path, index: int = 0, **options: int) -> list[str]:
    name = f"party-{index}"
    return certs.check(
        keys / "ca.pem", keys / f"{name}.pem", keys / f"{name}.key", index, **options
    )


def test_what_is_made(keys: Path) -> None:
    names = {"ca", "party-0", "party-1", "party-2"}
    assert {f.name for f in keys.iterdir()} == {
        f"{n}.{end}" for n in names for end in ("pem", "key")
    }
    for name in names:
        assert stat.S_IMODE((keys / f"{name}.key").stat().st_mode) == 0o600
    cert = x509.load_pem_x509_certificate((keys / "party-2.pem").read_bytes())
    common = cert.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert [n.value for n in common] == ["party-2"]
    usage = cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert set(usage) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    life = cert.not_valid_after_utc - datetime.now(timezone.utc)
    assert timedelta(days=824) < life <= timedelta(days=825)
    assert certs.check_folder(keys) == []


def test_nothing_is_replaced_unasked(keys: Path) -> None:
    before = {f.name: f.read_bytes() for f in keys.iterdir()}
    for make in (
        lambda: certs.create(keys, 3),
        lambda: certs.make_authority(keys),
        lambda: certs.make_party(keys, 1),
    ):
        with pytest.raises(ConfigError, match="exists already"):
            make()
    assert before == {f.name: f.read_bytes() for f in keys.iterdir()}
    certs.create(keys, 3, force=True)
    assert all(before[f.name] != f.read_bytes() for f in keys.iterdir())
    assert certs.check_folder(keys) == []


def test_one_party_renewed(keys: Path) -> None:
    old = (keys / "party-1.pem").read_bytes()
    certs.make_party(keys, 1, force=True)
    assert (keys / "party-1.pem").read_bytes() != old
    assert certs.check_folder(keys) == []


def test_a_party_does_not_outlive_its_authority(tmp_path: Path) -> None:
    certs.create(tmp_path, 2, days=900, authority_days=100)
    ca, party = (
        x509.load_pem_x509_certificate((tmp_path / f"{n}.pem").read_bytes())
        for n in ("ca", "party-0")
    )
    assert party.not_valid_after_utc == ca.not_valid_after_utc


@pytest.mark.parametrize(
    ("days", "life", "words"),
    [
        (-40, 30, "party-0.pem expired on"),
        (40, 30, "party-0.pem is valid only from"),
        (-40, 60, "party-0.pem expires soon"),
        (-40, 30, "--renew 0 --dest"),
    ],
)
def test_lifetimes(
    keys: Path, monkeypatch: pytest.MonkeyPatch, days: int, life: int, words: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(certs, "datetime", shifted(days))
        certs.make_party(keys, 0, days=life, force=True)
    (problem,) = check(keys)
    assert words in problem
    assert bool(check(keys, soon_days=0)) == ("soon" not in words)


def swap(keys: Path) -> None:
    for end in ("pem", "key"):
        (keys / f"party-0.{end}").write_bytes((keys / f"party-1.{end}").read_bytes())


def other_authority(keys: Path) -> None:
    ca = (keys / "ca.pem").read_bytes()
    certs.make_authority(keys, force=True)
    certs.make_party(keys, 0, force=True)
    (keys / "ca.pem").write_bytes(ca)


def other_key(keys: Path) -> None:
    (keys / "party-0.key").write_bytes((keys / "party-1.key").read_bytes())


def other_kind_of_key(keys: Path) -> None:
    key = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (keys / "party-0.key").write_bytes(key)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (swap, "names `party-1`, but this is party 0"),
        (other_authority, "is not signed by the authority in"),
        (other_key, "does not belong to"),
        (other_kind_of_key, "not a key on an elliptic curve"),
        (lambda k: (k / "party-0.key").chmod(0o644), "others can read the private key"),
        (lambda k: (k / "party-0.key").unlink(), "cannot read the private key"),
        (lambda k: (k / "ca.pem").unlink(), "cannot read the certificate"),
        (lambda k: (k / "party-0.pem").write_text("junk"), "no certificate in PEM form"),
        (lambda k: (k / "party-0.key").write_text("junk"), "no unencrypted private key"),
    ],
)
def test_faults_are_named(keys: Path, spoil: Callable[[Path], None], words: str) -> None:
    spoil(keys)
    (problem,) = check(keys)
    assert words in problem and str(keys) in problem
    assert problem in certs.check_folder(keys)
    assert check(keys, 1) == [] or "ca.pem" in problem


def test_limits(tmp_path: Path) -> None:
    for parties in (0, 11):
        with pytest.raises(ConfigError, match="1 to 10"):
            certs.create(tmp_path, parties)
    with pytest.raises(ConfigError, match="at least one"):
        certs.create(tmp_path, 2, days=0)
    with pytest.raises(ConfigError, match="cannot read the certificate"):
        certs.make_party(tmp_path / "none", 0)
    assert "sequester keys" in certs.check_folder(tmp_path / "none")[0]
