"""Facts of an X.509 certificate, trusted or not."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

_CENT = Decimal("0.01")
_DAY_S = 86400
_DER = 2
"""`_ssl.ENCODING_DER`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts:
    """Fields of a certificate; distinguished names in RFC 4514 form."""

    subject: str
    issuer: str
    sans: tuple[str, ...]
    not_before: datetime
    not_after: datetime


@lru_cache(maxsize=256)
def read_certificate(der: bytes) -> CertificateFacts:
    """Return the fields of a DER-encoded certificate. Raises ValueError."""
    from cryptography import x509

    certificate = x509.load_der_x509_certificate(der)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        sans: tuple[str, ...] = ()
    else:
        sans = tuple(str(name.value) for name in names if isinstance(name, x509.DNSName | x509.IPAddress))
    return CertificateFacts(
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        sans=sans,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )


def load_reader() -> None:
    """Import what reads certificates."""
    from cryptography import x509  # noqa: F401 -- only its import is wanted


def chain_of(tls: ssl.SSLObject) -> list[CertificateFacts]:
    """Return the peer's certificate and those that vouch for it, in this order; empty when the peer sent none.

    A verified chain ends with the certificate that this machine trusts. Of an unverified one, certificates that do not
    vouch for the one before them are left out. Raises ValueError for a certificate that cannot be read.
    """
    verified = tls.context.verify_mode is not ssl.CERT_NONE
    facts = [read_certificate(der) for der in _chain(tls, verified=verified)]
    if not verified:
        linked = facts[:1]
        for each in facts[1:]:
            if each.subject == linked[-1].issuer:
                linked.append(each)
        return linked
    return facts


def _chain(tls: ssl.SSLObject, *, verified: bool) -> list[bytes]:
    public = getattr(tls, "get_verified_chain" if verified else "get_unverified_chain", None)
    if public is not None:  # since Python 3.13
        return list(public())
    inner: Any = tls._sslobj  # type: ignore[attr-defined]  # noqa: SLF001 -- the only way before Python 3.13
    chain = inner.get_verified_chain() if verified else inner.get_unverified_chain()
    return [each.public_bytes(_DER) for each in chain or ()]


def first_to_expire(chain: list[CertificateFacts]) -> CertificateFacts:
    """Return the certificate of `chain` that expires first; the peer's own when several do."""
    return min(chain, key=lambda each: each.not_after)


def expiry_fields(chain: list[CertificateFacts], now: datetime) -> dict[str, Any]:
    """Return when the first certificate of `chain` expires, and which one that is."""
    first = first_to_expire(chain)
    fields: dict[str, Any] = {"expires": first.not_after, "days_left": days_left(first.not_after, now)}
    return fields | {"expires_first": first.subject or ", ".join(first.sans)}


def expiry_remarks(chain: list[CertificateFacts], fields: tuple[str, ...]) -> dict[str, str]:
    """Return what to add to claims on the `fields` of expiry: which certificate they are of, unless the peer's own."""
    first = first_to_expire(chain)
    if first is chain[0]:
        return {}
    return dict.fromkeys(fields, f'the certificate "{first.subject}" of its chain expires first')


def days_left(not_after: datetime, now: datetime) -> Decimal:
    """Return the days from `now` to `not_after`, to two decimals; negative after it."""
    return (Decimal((not_after - now).total_seconds()) / _DAY_S).quantize(_CENT)
