"""Authenticates a request: bearer, basic, any header, or AWS Signature Version 4."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from prodwatch.aws.error_codes import EXPIRED, REJECTED, is_clock_skew
from prodwatch.errors import UnusableError
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Failure, ProbeContext
from prodwatch.probes.http.request import Request, header_pair
from prodwatch.probes.http.url import basic
from prodwatch.probes.scalar_text import text_value

_SIGNED_BESIDES_AMZ = frozenset({"content-type", "host"})
_UNRESERVED = "-_.~"
_CODE = re.compile(rb"<Code>(\w+)</Code>")
_KEY_ID = re.compile(r"Credential=([^/]+)")
_REFUSED = frozenset({400, 401, 403})
"""Status codes with which AWS refuses a signature."""


async def authorization(
    auth: Mapping[str, Any], request: Request, context: ProbeContext, *, renew: bool = False
) -> list[tuple[str, str]]:
    """Return the headers to add to `request`; with `renew`, look for new credentials first.

    Raises AwsError and CannotVerifyError when SigV4 has no usable credentials.
    """
    if "bearer" in auth:
        return [header_pair("Authorization", f"Bearer {text_value(auth['bearer'], 'the bearer token')}")]
    if "basic" in auth:
        return [
            (
                "Authorization",
                basic(
                    text_value(auth["basic"]["user"], "the user"),
                    text_value(auth["basic"]["password"], "the password"),
                ),
            )
        ]
    if "header" in auth:
        return [header_pair(auth["header"]["name"], auth["header"]["value"])]
    if "sigv4" in auth:
        return await _sigv4(auth["sigv4"], request, context, renew=renew)
    raise UnusableError("`auth` needs one of bearer, basic, header, sigv4")


def key_of(pairs: list[tuple[str, str]]) -> tuple[str, str]:
    """Return the access key and the session token of a signature; empty without one."""
    headers = {name.lower(): value for name, value in pairs}
    match = _KEY_ID.search(headers.get("authorization", ""))
    return match[1] if match else "", headers.get("x-amz-security-token", "")


def refused_signature(status: int, error_type: str | None, body: bytes, target: str) -> Failure | None:
    """Return the failure when AWS itself refused the signature of a request; None for any other response.

    `error_type` is the header `x-amzn-ErrorType`; S3 writes its code into the body.
    """
    if status not in _REFUSED:
        return None
    match = _CODE.search(body[:4096]) if error_type is None else None
    code = match[1].decode() if match else (error_type or "").partition(":")[0].rpartition("#")[2]
    if code not in EXPIRED | REJECTED and not is_clock_skew(code, ""):
        return None
    text = body[:4096].decode(errors="replace")
    reason, why = Reason.NO_CREDENTIALS, "AWS does not accept these credentials"
    if is_clock_skew(code, text):
        why = "this machine's clock is wrong"
    elif code in EXPIRED or "expired" in text.lower():
        reason, why = Reason.EXPIRED_CREDENTIALS, "the AWS credentials have expired; renew them"
    return Failure(status=Status.ERROR, reason=reason, message=f"{target} refused the signature ({code}): {why}")


def _canonical_query(target: str) -> str:
    """Return the query as AWS signs it: names and values decoded, encoded again and sorted."""
    pairs = (each.partition("=")[::2] for each in target.partition("?")[2].split("&") if each)
    encoded = sorted(tuple(quote(unquote_to_bytes(part), safe=_UNRESERVED) for part in pair) for pair in pairs)
    return "&".join(f"{name}={value}" for name, value in encoded)


def load_signing() -> None:
    """Import the modules that sign, which takes a second on a slow machine."""
    import botocore.auth  # noqa: F401 -- only its import is wanted


async def _sigv4(
    wanted: Mapping[str, Any], request: Request, context: ProbeContext, *, renew: bool
) -> list[tuple[str, str]]:
    credentials = await (
        context.aws.credentials(context.account, renew=True) if renew else context.aws.credentials(context.account)
    )
    region = signing_region(wanted, context)
    if region is None:
        raise UnusableError("`auth.sigv4` needs a region: set `region` there or in `[aws]` of the environment")

    from botocore.auth import S3SigV4Auth, SigV4Auth
    from botocore.awsrequest import AWSRequest

    # Proxies may touch other headers on the way, which would break the signature.
    headers = {
        name: value
        for name, value in request.pairs
        if name.lower() in _SIGNED_BESIDES_AMZ or (name.lower().startswith("x-amz-"))
    }
    signed = AWSRequest(method=request.method, url=request.url.bare, data=request.body or b"", headers=headers)
    service = wanted["service"]
    kind: type[SigV4Auth] = S3SigV4Auth if service == "s3" else SigV4Auth

    class Signer(kind):  # type: ignore[misc, valid-type]
        def canonical_query_string(self, _request: AWSRequest) -> str:
            return _canonical_query(request.url.target)

    Signer(credentials, service, region).add_auth(signed)
    return [(name, value) for name, value in signed.headers.items() if name not in headers]


def signing_region(wanted: Mapping[str, Any], context: ProbeContext) -> str | None:
    """Return the signing region: that of `auth`, of the check, or of the environment."""
    return wanted.get("region") or context.region or context.aws.region_name(context.account)
