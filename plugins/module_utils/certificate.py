# Copyright: Odoo Deploy contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of the deployment's authority: is one due, and a new one. Pure: reads no file, changes nothing."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
except ImportError:  # only the controller signs and judges
    HAS_CRYPTOGRAPHY = False
else:
    HAS_CRYPTOGRAPHY = True

# A machine whose clock is behind must not call a new certificate not yet valid.
BACKDATED = timedelta(days=1)
USAGES = {"server": "SERVER_AUTH", "client": "CLIENT_AUTH"}


def name(text: str) -> x509.GeneralName:
    """A subject alternative name from ``DNS:pg1`` or ``IP:192.168.99.21``."""
    kind, _colon, value = text.partition(":")
    if kind == "DNS" and value:
        return x509.DNSName(value)
    if kind == "IP":
        return x509.IPAddress(ipaddress.ip_address(value))
    raise ValueError(f"{text!r} is no name for a certificate: DNS:pg1 or IP:192.168.99.21")


def authority(pem: str) -> x509.Certificate:
    """The authority's own certificate."""
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except ValueError as error:
        raise ValueError(f"the authority's certificate is no PEM certificate: {error}") from error


def key_identifier(issuer: x509.Certificate) -> bytes:
    """What certificates of this authority name it by."""
    try:
        return issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        return x509.SubjectKeyIdentifier.from_public_key(issuer.public_key()).digest


def due(pem: str, issuer: str, names: Iterable[str], days: int, now: datetime | None = None) -> str:
    """Why a certificate has to be made anew, or nothing.

    pem: the certificate, empty where there is none.
    issuer: the authority's certificate, empty where it is still to be made.
    names: all that the certificate has to be for, and nothing else.
    days: less time than this is not enough.
    """
    if not pem:
        return "it is missing"
    try:
        found = x509.load_pem_x509_certificate(pem.encode())
        extensions = found.extensions
    except ValueError:
        return "it cannot be read"
    if not issuer:
        return "its authority is missing"
    signer = authority(issuer)
    try:
        found.verify_directly_issued_by(signer)
    except (ValueError, TypeError, InvalidSignature):
        return "it is of another authority"
    try:
        held = set(extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        held = set()
    if held != {name(one) for one in names}:
        return "it is for other names"
    end = found.not_valid_after_utc
    if end < (now or datetime.now(timezone.utc)) + timedelta(days=days):
        return f"it ends on {end:%Y-%m-%d}"
    return ""


def sign(
    public_key: str,
    issuer: str,
    issuer_key: bytes,
    common_name: str,
    names: Iterable[str],
    usages: Iterable[str],
    days: int,
    now: datetime | None = None,
) -> str:
    """A certificate (PEM) for a machine's public key. Whatever else it says comes from here, not from the machine."""
    signer = authority(issuer)
    try:
        signing = serialization.load_pem_private_key(issuer_key, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ValueError(f"the authority's key cannot be used: {error}") from error
    if not isinstance(signing, (ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey, rsa.RSAPrivateKey)):
        raise ValueError("the authority's key is neither of an elliptic curve nor RSA")
    if signing.public_key() != signer.public_key():
        raise ValueError("the authority's key is not that of its certificate")
    try:
        subject = serialization.load_pem_public_key(public_key.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(f"what the machine returned is no public key: {error}") from error
    if not isinstance(subject, (ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey, rsa.RSAPublicKey)):
        raise ValueError("the machine's key is neither of an elliptic curve nor RSA")
    began = now or datetime.now(timezone.utc)
    usage = [getattr(ExtendedKeyUsageOID, USAGES[one]) for one in usages]
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
        .issuer_name(signer.subject)
        .public_key(subject)
        .serial_number(x509.random_serial_number())
        .not_valid_before(began - BACKDATED)
        .not_valid_after(began + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([name(one) for one in names]), critical=False)
        .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(subject), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier(key_identifier(signer), None, None), critical=False)
    )
    made = builder.sign(signing, None if isinstance(signing, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()
