"""The context a probe gets, and a certificate authority of our own."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from msgspec.structs import replace

from prodwatch.probes.base import Observation, ProbeContext
from prodwatch.probes.registry import probe as load_probe
from prodwatch.probes.registry import spec
from prodwatch.settings.expressions import fields_of
from prodwatch.testing.targets import probe_context
from tests.support.waiting import turn


@dataclass(frozen=True)
class Certificates:
    """A private certificate authority and what it signs."""

    folder: Path
    authority: Path

    def server(self, kind: str) -> ssl.SSLContext:
        """Return a server's context with one certificate: good, expired, other (wrong host) or self (self-signed)."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / f"{kind}.pem")
        return context


_MAY_SIGN = x509.KeyUsage(
    key_cert_sign=True,
    crl_sign=True,
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    now = datetime.now(UTC)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    loopback = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]

    def sign(kind: str, names: list[Any], begin: timedelta, end: timedelta, *, own: bool = False) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        signer = key if own else authority_key
        certificate = (
            x509.CertificateBuilder()
            .subject_name(_name(kind))
            .issuer_name(_name(kind if own else "authority"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + begin)
            .not_valid_after(now + end)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            # Newer Pythons verify strictly: a certificate names the key that signed it.
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
            .sign(signer, hashes.SHA256())
        )
        (folder / f"{kind}.pem").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )

    root = (
        x509.CertificateBuilder()
        .subject_name(_name("authority"))
        .issuer_name(_name("authority"))
        .public_key(authority_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1000))
        .not_valid_after(now + timedelta(days=1000))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .add_extension(_MAY_SIGN, critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    authority = folder / "authority.pem"
    authority.write_bytes(root.public_bytes(serialization.Encoding.PEM))
    sign("good", loopback, timedelta(days=-1), timedelta(days=30))
    sign("expired", loopback, timedelta(days=-30), timedelta(days=-2))
    sign("other", [x509.DNSName("elsewhere.example")], timedelta(days=-1), timedelta(days=30))
    sign("self", loopback, timedelta(days=-1), timedelta(days=30), own=True)
    return Certificates(folder, authority)


@pytest.fixture
def trusted(certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> Certificates:
    """Make this machine trust the private certificate authority."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    return certificates


@pytest.fixture
async def context(tmp_path: Path) -> AsyncIterator[ProbeContext]:
    async with probe_context(root=str(tmp_path)) as made:
        yield made


@pytest.fixture
def send(context: ProbeContext) -> Callable[..., Awaitable[Observation]]:
    """`await send("http", url=…, timeout_s=…)`: what the probe of that type sees."""

    async def call(type_: str, *, timeout_s: float = 5.0, mutates: bool = False, **params: Any) -> Observation:
        seen = await load_probe(type_)(params, replace(context, timeout_s=timeout_s, mutates=mutates))
        promised = fields_of(spec(type_))  # type: ignore[arg-type]  # every type here has one
        assert promised is None or set(seen.document) <= set(promised), "a field that no page tells of"
        return seen

    return call


@pytest.fixture(autouse=True)
async def nothing_left_running() -> AsyncIterator[None]:
    """No probe may leave a task behind."""
    yield
    await turn()
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task() and not task.done()]
    assert not left


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Give a port that refuses connections: it is bound all the time, and no socket listens on it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        yield port
