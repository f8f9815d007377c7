"""Facts of an X.509 certificate, trusted or not."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

_CENT = Decimal("0.01")
_DAY_S = 86400


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts:
    """Fields of a certificate; distinguished names in RFC 4514 form."""

    subject: str
    issuer: str
    sans: tuple[str, ...]
    not_before: datetime
    not_after: datetime


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


def expiry(tls: ssl.SSLObject) -> datetime | None:
    """Return when the peer's certificate expires, UTC; None when the peer sent none."""
    checked = tls.getpeercert()
    if checked:
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(checked["notAfter"])), UTC)
    der = tls.getpeercert(binary_form=True)  # unverified certificates are only available in DER form
    return read_certificate(der).not_after if der else None


def days_left(not_after: datetime, now: datetime) -> Decimal:
    """Return the days from `now` to `not_after`, to two decimals; negative after it."""
    return (Decimal((not_after - now).total_seconds()) / _DAY_S).quantize(_CENT)
