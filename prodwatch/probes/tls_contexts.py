"""TLS contexts for clients, created once because loading the trusted certificates takes tens of milliseconds."""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from prodwatch.errors import UnusableError

_PEM_BEGINS = "-----BEGIN"


class ClientCertificate(msgspec.Struct, frozen=True):
    """A client certificate for mutual TLS."""

    cert: str
    """Certificate and its chain in PEM."""
    key: str
    """Private key in PEM; empty when `cert` holds it."""


def client_certificate(params: Mapping[str, Any], root: str) -> ClientCertificate | None:
    """Return the `client_certificate` of a check; None without one. Raises UnusableError for one that cannot be read.

    Each part is PEM itself, such as the value of a secret, or a file: absolute or relative to the project root.
    """
    given = params.get("client_certificate")
    if given is None:
        return None
    return ClientCertificate(_pem(given["cert"], "cert", root), _pem(given.get("key") or "", "key", root))


def _pem(text: str, name: str, root: str) -> str:
    if not text or text.lstrip().startswith(_PEM_BEGINS):
        return text
    try:
        return Path(root, text).read_text(encoding="ascii")
    except (OSError, UnicodeError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is not PEM"
        raise UnusableError(f'`client_certificate.{name}` "{text}" cannot be read: {why}') from error


def client_context(
    *, verify: bool = True, alpn: tuple[str, ...] = (), certificate: ClientCertificate | None = None
) -> ssl.SSLContext:
    """Return the shared context for clients: with this machine's trusted certificates, or accepting any.

    `SSL_CERT_FILE` and `SSL_CERT_DIR` override the certificates, as with OpenSSL. Probes get the context before they
    measure, because the first call is slow. Raises UnusableError for a client certificate that cannot be used.
    """
    return _context(verify, alpn, certificate, os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@lru_cache(maxsize=32)
def _context(
    verify: bool,  # noqa: FBT001 -- an argument of the cache
    alpn: tuple[str, ...],
    certificate: ClientCertificate | None,
    _file: str | None,
    _folder: str | None,
) -> ssl.SSLContext:
    if verify:
        context = ssl.create_default_context()
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(alpn)
    if certificate is not None:
        _load(context, certificate)
    return context


def _load(context: ssl.SSLContext, certificate: ClientCertificate) -> None:
    # OpenSSL's Python interface reads files only; this one is readable by this user alone and removed at once.
    with tempfile.NamedTemporaryFile("w", encoding="ascii", suffix=".pem") as file:
        file.write(f"{certificate.cert}\n{certificate.key}\n")
        file.flush()
        try:
            context.load_cert_chain(file.name, password=_no_password)
        except (ssl.SSLError, ValueError) as error:
            why = error.reason if isinstance(error, ssl.SSLError) and error.reason else str(error)
            raise UnusableError(
                f"`client_certificate` cannot be used: {why.replace('_', ' ').lower()}; it needs a certificate and its"
                " key in PEM, without a password"
            ) from error


def _no_password() -> str:
    # Without this, OpenSSL asks for the password of a key at the terminal.
    raise ValueError("the key has a password")
