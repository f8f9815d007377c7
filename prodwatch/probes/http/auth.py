"""Authenticates a request: bearer, basic, any header, or AWS Signature Version 4."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from prodwatch.probes.base import ProbeContext
from prodwatch.probes.failures import UnusableError
from prodwatch.probes.http.request import Request, header_pair
from prodwatch.probes.scalar_text import text_value

_SIGNED_BESIDES_AMZ = frozenset({"content-type", "host"})


async def authorization(auth: Mapping[str, Any], request: Request, context: ProbeContext) -> list[tuple[str, str]]:
    """Return the headers to add to `request`. Raises AwsError when SigV4 has no usable credentials."""
    if "bearer" in auth:
        return [header_pair("Authorization", f"Bearer {text_value(auth['bearer'], 'the bearer token')}")]
    if "basic" in auth:
        return [
            basic(text_value(auth["basic"]["user"], "the user"), text_value(auth["basic"]["password"], "the password"))
        ]
    if "header" in auth:
        return [header_pair(auth["header"]["name"], auth["header"]["value"])]
    if "sigv4" in auth:
        return await _sigv4(auth["sigv4"], request, context)
    raise UnusableError("`auth` needs one of bearer, basic, header, sigv4")


def basic(user: str, password: str) -> tuple[str, str]:
    """Return the header of HTTP basic authentication."""
    return "Authorization", f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"


async def _sigv4(wanted: Mapping[str, Any], request: Request, context: ProbeContext) -> list[tuple[str, str]]:
    credentials = await context.aws.credentials(context.account)
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
    signer = S3SigV4Auth if service == "s3" else SigV4Auth
    signer(credentials, service, region).add_auth(signed)
    return [(name, value) for name, value in signed.headers.items() if name not in headers]


def signing_region(wanted: Mapping[str, Any], context: ProbeContext) -> str | None:
    """Return the signing region: that of `auth`, of the check, or of the environment."""
    return wanted.get("region") or context.region or context.aws.region_name(context.account)
