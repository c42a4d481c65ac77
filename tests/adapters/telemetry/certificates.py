"""Certificates for collectors on loopback, signed by a CA that is made for one test."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

LOOPBACK = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
ELSEWHERE = x509.DNSName("otel.example.com")


class Authority:
    """`file` is what SSL_CERT_FILE may name."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.file = folder / "ca.pem"
        made = self._signed("own CA", self._key, x509.BasicConstraints(ca=True, path_length=None), 10)
        self.file.write_bytes(made.public_bytes(Encoding.PEM))

    def server(self, name: x509.GeneralName = LOOPBACK, *, days: int = 10) -> ssl.SSLContext:
        """Of a server with a certificate for `name`, which ends in so many days."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = self._signed("collector", key, x509.SubjectAlternativeName([name]), days)
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path = self._folder / "collector.pem"
        path.write_bytes(made.public_bytes(Encoding.PEM) + secret)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _signed(
        self, subject: str, key: ec.EllipticCurvePrivateKey, more: x509.ExtensionType, days: int
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(_named(subject))
            .issuer_name(_named("own CA"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=20))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(more, critical=isinstance(more, x509.BasicConstraints))
            .sign(self._key, SHA256())
        )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
