"""A certificate authority of the tests' own, and what it signs for the loopback.

Refuses to be used elsewhere: valid for a day, keys in a folder of the test.
"""

import datetime as dt
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from msgspec import Struct


class Papers(Struct, frozen=True):
    """Files, PEM: the authority's certificate, the collector's certificate and key, and a token."""

    authority: Path
    certificate: Path
    key: Path
    token: Path


def papers(folder: Path, token: str) -> Papers:
    """Make them all."""
    found = Papers(*(folder / name for name in ("ca.pem", "cert.pem", "key.pem", "token")))
    signer, own = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = named("an authority", signer).add_extension(x509.BasicConstraints(True, 0), critical=True)
    host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = named("a collector", own).add_extension(host, critical=False)
    for path, each in ((found.authority, authority), (found.certificate, signed)):
        path.write_bytes(each.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    found.key.write_bytes(
        own.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    found.token.write_text(token)
    return found


def named(subject: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    """A certificate of somebody, by the authority, not signed yet."""
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name("an authority"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
    )


def name(words: str) -> x509.Name:
    """A name of one part."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, words)])
