"""TLS contexts for clients, created once because loading the trusted certificates takes tens of milliseconds."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache


def client_context(*, verify: bool = True, alpn: tuple[str, ...] = ()) -> ssl.SSLContext:
    """Return the shared context for clients: with this machine's trusted certificates, or accepting any.

    `SSL_CERT_FILE` and `SSL_CERT_DIR` override the certificates, as with OpenSSL. Probes get the context before they
    measure, because the first call is slow.
    """
    return _context(verify, alpn, os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@lru_cache(maxsize=32)
def _context(
    verify: bool,  # noqa: FBT001 -- an argument of the cache
    alpn: tuple[str, ...],
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
    return context
