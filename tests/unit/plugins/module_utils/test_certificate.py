# Copyright: Odoo Deploy contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a certificate is due, and what a new one says."""

from __future__ import annotations

import ipaddress
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.odoo_deploy.stack.plugins.filter.certificate_due import certificate_due
from ansible_collections.odoo_deploy.stack.plugins.module_utils.certificate import due, sign
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = datetime(2026, 11, 1, tzinfo=timezone.utc)
NAMES = ["DNS:pg1", "IP:192.168.99.21", "DNS:192.168.99.21"]


def pem(public: Any) -> str:
    """A public key or a certificate as text."""
    if isinstance(public, x509.Certificate):
        return public.public_bytes(serialization.Encoding.PEM).decode()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return public.public_bytes(serialization.Encoding.PEM, form).decode()


class Authority:
    """An authority of its own, as text."""

    def __init__(self, *, identified: bool = True) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        builder = (
            x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(NOW)
            .not_valid_after(NOW + timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        )
        if identified:
            builder = builder.add_extension(x509.SubjectKeyIdentifier(b"authority's own"), critical=False)
        self.certificate = pem(builder.sign(key, hashes.SHA256()))
        self.key = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def signed(self, names: list[str] | None = None, **changes: Any) -> str:
        """What it signs for a new key of pg1."""
        public = pem(ec.generate_private_key(ec.SECP256R1()).public_key())
        given: dict[str, Any] = {"common_name": "pg1", "usages": ["server"], "days": 397, "now": NOW} | changes
        return sign(public, self.certificate, self.key, names=names or NAMES, **given)


@pytest.fixture(scope="module")
def ours() -> Authority:
    return Authority()


def test_a_new_one_says_what_the_controller_knows(ours: Authority) -> None:
    """The names and usages that were asked for, from a day ago on, and no authority."""
    text = ours.signed(usages=["server", "client"])
    made = x509.load_pem_x509_certificate(text.encode())
    assert made.subject.rfc4514_string() == "CN=pg1"
    assert made.not_valid_before_utc == NOW - timedelta(days=1)
    assert made.not_valid_after_utc == NOW + timedelta(days=397)
    said = {type(one.value): one.value for one in made.extensions}
    assert list(said[x509.SubjectAlternativeName]) == [
        x509.DNSName("pg1"),
        x509.IPAddress(ipaddress.ip_address("192.168.99.21")),
        x509.DNSName("192.168.99.21"),
    ]
    assert list(said[x509.ExtendedKeyUsage]) == [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    assert said[x509.BasicConstraints].ca is False
    made.verify_directly_issued_by(x509.load_pem_x509_certificate(ours.certificate.encode()))


def test_what_a_machine_returns_is_a_key_only(ours: Authority) -> None:
    """A request with somebody else's name in it is refused: nothing of it can reach the certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    foreign = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "backup.pg2")])
    request = x509.CertificateSigningRequestBuilder(foreign).sign(key, hashes.SHA256())
    text = request.public_bytes(serialization.Encoding.PEM).decode()
    with pytest.raises(ValueError, match="no public key"):
        sign(text, ours.certificate, ours.key, "pg1", NAMES, ["server"], 1)


@pytest.mark.parametrize(
    ("days", "reason"),
    [(30, ""), (396, ""), (397, ""), (398, "it ends on 2027-12-03"), (1000, "it ends on 2027-12-03")],
)
def test_one_is_due_when_less_than_the_days_are_left(ours: Authority, days: int, reason: str) -> None:
    assert due(ours.signed(), ours.certificate, NAMES, days, NOW) == reason


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["DNS:192.168.99.21", "DNS:pg1", "IP:192.168.99.21"], ""),
        (["DNS:pg1"], "it is for other names"),
        ([*NAMES, "DNS:pg1.example"], "it is for other names"),
        ([], "it is for other names"),
    ],
)
def test_one_is_due_when_it_is_for_other_names(ours: Authority, names: list[str], reason: str) -> None:
    """In any order, but neither one less nor one more."""
    assert due(ours.signed(), ours.certificate, names, 30, NOW) == reason


def test_one_is_due_when_it_is_missing_broken_or_another_authoritys(ours: Authority) -> None:
    assert due("", ours.certificate, NAMES, 30, NOW) == "it is missing"
    assert due("-----BEGIN CERTIFICATE-----\nAAAA\n", ours.certificate, NAMES, 30, NOW) == "it cannot be read"
    assert due(ours.signed(), "", NAMES, 30, NOW) == "its authority is missing"
    assert due(Authority().signed(), ours.certificate, NAMES, 30, NOW) == "it is of another authority"


def test_an_authority_without_a_key_identifier() -> None:
    """As a site's own may be: its certificates stay."""
    plain = Authority(identified=False)
    assert due(plain.signed(), plain.certificate, NAMES, 30, NOW) == ""


def test_bad_input_is_named(ours: Authority) -> None:
    with pytest.raises(ValueError, match="not that of its certificate"):
        sign(
            pem(ec.generate_private_key(ec.SECP256R1()).public_key()), ours.certificate, Authority().key, "a", [], [], 1
        )
    with pytest.raises(ValueError, match="the authority's key cannot be used"):
        sign("", ours.certificate, b"none", "a", [], [], 1)
    with pytest.raises(ValueError, match="is no name for a certificate: DNS:pg1 or IP"):
        ours.signed(["URI:pg1"])
    with pytest.raises(AnsibleFilterError, match="authority's certificate is no PEM certificate"):
        certificate_due(ours.signed(), "none", NAMES)
    assert certificate_due(None, ours.certificate, NAMES) == "it is missing"  # type: ignore[arg-type]
