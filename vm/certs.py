"""Certificates for mutual TLS: one small authority, and one certificate for each party.

A folder holds `ca.pem` and `ca.key` (the authority), `party-<i>.pem` and `party-<i>.key`. A party's
certificate has the common name `party-<i>`, which the channels compare with the index it claims.
Every party needs `ca.pem` and its own two files; `ca.key` is needed only to make certificates.
Keys are on the curve P-256. Private keys are readable by their owner alone.
"""

from __future__ import annotations

import os
import re
import stat
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .errors import ConfigError

MAX_PARTIES = 10
AUTHORITY_DAYS = 3650
PARTY_DAYS = 825
SOON_DAYS = 30
_SKEW = timedelta(hours=1)  # clocks of the parties may differ by this much


def create(
    directory: Path,
    parties: int,
    *,
    days: int = PARTY_DAYS,
    authority_days: int = AUTHORITY_DAYS,
    force: bool = False,
) -> None:
    """Make an authority and certificates for parties 0 … parties-1 in `directory`.

    Existing files are an error unless `force` says to replace them. Raises ConfigError.
    """
    if not 1 <= parties <= MAX_PARTIES:
        raise ConfigError(f"{parties} parties: there may be 1 to {MAX_PARTIES}")
    names = ["ca"] + [f"party-{i}" for i in range(parties)]
    present = [f for name in names for f in _files(directory, name) if f.exists()]
    if present and not force:
        raise ConfigError(f"{present[0]} exists already; --force replaces all keys in {directory}")
    make_authority(directory, days=authority_days, force=force)
    for i in range(parties):
        make_party(directory, i, days=days, force=force)


def make_authority(directory: Path, *, days: int = AUTHORITY_DAYS, force: bool = False) -> None:
    """Write `ca.pem` and `ca.key`, valid for `days` from now. Raises ConfigError."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("sequester authority")
    builder = _builder(name, name, key.public_key(), days)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(signs_certificates=True), critical=True)
    _write(directory, "ca", key, builder.sign(key, hashes.SHA256()), force)


def make_party(directory: Path, index: int, *, days: int = PARTY_DAYS, force: bool = False) -> None:
    """Write `party-<index>.pem` and `.key`, signed by the authority in `directory`.

    It ends with the authority at the latest. Raises ConfigError.
    """
    if not 0 <= index < MAX_PARTIES:
        raise ConfigError(f"party {index}: indices are 0 to {MAX_PARTIES - 1}")
    ca_file, ca_key_file = _files(directory, "ca")
    authority, authority_key = _load_cert(ca_file), _load_key(ca_key_file)
    key = ec.generate_private_key(ec.SECP256R1())
    last = authority.not_valid_after_utc
    builder = _builder(authority.subject, _name(f"party-{index}"), key.public_key(), days, last)
    usages = x509.ExtendedKeyUsage(
        [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    )
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    builder = builder.add_extension(
        x509.BasicConstraints(ca=False, path_length=None), critical=True
    )
    builder = builder.add_extension(_usage(signs_certificates=False), critical=True)
    builder = builder.add_extension(usages, critical=False)
    builder = builder.add_extension(issuer, critical=False)
    cert = builder.sign(authority_key, hashes.SHA256())
    _write(directory, f"party-{index}", key, cert, force)


def check(ca: Path, cert: Path, key: Path, index: int, *, soon_days: int = SOON_DAYS) -> list[str]:
    """What is wrong, or soon will be, with the files that party `index` uses: one line each.

    Unreadable files are reported the same way; an empty list means that all is well.
    """
    try:
        authority, party = _load_cert(ca), _load_cert(cert)
        public = _load_key(key).public_key()
    except ConfigError as e:
        return [str(e)]
    problems = _lifetime(ca, authority, soon_days) + _lifetime(cert, party, soon_days)
    names = party.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    shown = ", ".join(str(n.value) for n in names)
    if shown != f"party-{index}":
        problems.append(f"{cert} names `{shown}`, but this is party {index}")
    try:
        party.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError):
        problems.append(f"{cert} is not signed by the authority in {ca}")
    if _public_bytes(public) != _public_bytes(party.public_key()):
        problems.append(f"the private key {key} does not belong to {cert}")
    if key.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        problems.append(f"others can read the private key {key}: chmod 600 {key}")
    return problems


def check_folder(directory: Path, *, soon_days: int = SOON_DAYS) -> list[str]:
    """The problems of every party whose certificate lies in `directory`."""
    ca = _files(directory, "ca")[0]
    found = [i for i in range(MAX_PARTIES) if _files(directory, f"party-{i}")[0].exists()]
    if not found:
        return [f"{directory} holds no certificates: make them with `sequester keys`"]
    lines = [
        line
        for i in found
        for line in check(ca, *_files(directory, f"party-{i}"), i, soon_days=soon_days)
    ]
    return list(dict.fromkeys(lines))  # the authority's own problems once, not once a party


def _files(directory: Path, name: str) -> tuple[Path, Path]:
    return directory / f"{name}.pem", directory / f"{name}.key"


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(
    issuer: x509.Name,
    subject: x509.Name,
    public: ec.EllipticCurvePublicKey,
    days: int,
    last: datetime | None = None,
) -> x509.CertificateBuilder:
    if days < 1:
        raise ConfigError(f"a lifetime of {days} days: at least one is needed")
    now = datetime.now(timezone.utc)
    end = now + timedelta(days=days)
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(min(end, last) if last is not None else end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _write(
    directory: Path,
    name: str,
    key: ec.EllipticCurvePrivateKey,
    cert: x509.Certificate,
    force: bool,
) -> None:
    cert_file, key_file = _files(directory, name)
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if force:
            key_file.unlink(missing_ok=True)
        handle = os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as f:
            f.write(secret)
        cert_file.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    except FileExistsError as e:
        raise ConfigError(f"{key_file} exists already and is not replaced unasked (--force)") from e
    except OSError as e:
        raise ConfigError(f"cannot write {e.filename or key_file}: {e.strerror}") from e


def _load_cert(path: Path) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as e:
        raise ConfigError(f"cannot read the certificate {path}: {e.strerror}") from e
    except ValueError as e:
        raise ConfigError(f"{path} holds no certificate in PEM form") from e


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as e:
        raise ConfigError(f"cannot read the private key {path}: {e.strerror}") from e
    except (ValueError, TypeError) as e:
        raise ConfigError(f"{path} holds no unencrypted private key in PEM form") from e
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ConfigError(f"{path} is not a key on an elliptic curve")
    return key


def _lifetime(path: Path, cert: x509.Certificate, soon_days: int) -> list[str]:
    now = datetime.now(timezone.utc)
    first, last = cert.not_valid_before_utc, cert.not_valid_after_utc
    if now > last:
        return [f"{path} expired on {last:%Y-%m-%d}: {_renewal(path)}"]
    if now < first:
        return [f"{path} is valid only from {first:%Y-%m-%d %H:%M} UTC: check this machine's clock"]
    if last - now < timedelta(days=soon_days):
        return [f"{path} expires soon, on {last:%Y-%m-%d}: {_renewal(path)}"]
    return []


def _renewal(path: Path) -> str:
    found = re.fullmatch(r"party-(\d)", path.stem)
    which = f"--renew {found[1]}" if found else "--parties N"
    return f"renew it with `sequester keys {which} --dest {path.parent} --force`"


def _public_bytes(key: object) -> bytes | None:
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return None
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
