"""What code a version is, and what a function without an alias runs: by the configuration Lambda tells."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from prodwatch.aws.api import AwsApi, AwsError
from prodwatch.model.environment import FunctionTarget
from prodwatch.model.signal import ReleaseEvent, ReleasePhase, ReleaseState
from prodwatch.model.status import Reason

LATEST = "$LATEST"
SHORT = 12
"""Digits of a hash that people compare."""
_PASSING = frozenset((Reason.THROTTLED, Reason.EXPIRED_CREDENTIALS, Reason.NETWORK, Reason.TIMEOUT, Reason.SERVICE))


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """One version's code, or that of `$LATEST`."""

    version: str
    sha256: str | None = None
    """Hex: of the deployment package, or the digest of the image."""
    image: bool = False
    published_at: datetime | None = None
    """When it was last changed; for a version that is when it was published."""
    timeout_s: float | None = None
    update: str | None = None
    """`Successful InProgress Failed`: how the latest update of `$LATEST` went."""
    update_reason: str | None = None

    @property
    def label(self) -> str:
        """Return the hash as people compare it."""
        kind = "image" if self.image else "code"
        return f"{kind} {self.sha256[:SHORT]}" if self.sha256 else kind


def code_of(answer: dict[str, Any], version: str, clean: Callable[[str], str]) -> Code:
    """Return what GetFunctionConfiguration tells."""
    reason, timeout = answer.get("LastUpdateStatusReason"), answer.get("Timeout")
    return Code(
        version=version,
        sha256=hex_of(answer.get("CodeSha256")),
        image=answer.get("PackageType") == "Image",
        published_at=_moment(answer.get("LastModified")),
        timeout_s=None if timeout is None else float(timeout),
        update=answer.get("LastUpdateStatus"),
        update_reason=clean(reason) if reason else None,
    )


def hex_of(sha256: str | None) -> str | None:
    """Return a hash in hex: Lambda tells that of a package in Base64, that of an image in hex already."""
    if not sha256:
        return None
    text = sha256.removeprefix("sha256:")
    if len(text) == 64 and all(each in "0123456789abcdefABCDEF" for each in text):
        return text.lower()
    try:
        return base64.b64decode(text, validate=True).hex()
    except (binascii.Error, ValueError):
        return None


class CodeBook:
    """The code of every version asked for; a version never changes, so it is asked for once."""

    def __init__(self, aws: AwsApi, clean: Callable[[str], str]) -> None:
        self._aws = aws
        self._clean = clean
        self._known: dict[tuple[FunctionTarget, str], Code | None] = {}

    async def of(self, function: FunctionTarget, version: str) -> Code | None:
        """Return a version's code; None when nobody may ask or it is gone, which is no reason to stop a release."""
        key = (function, version)
        if key not in self._known:
            try:
                self._known[key] = await self.read(function, version)
            except AwsError as caught:
                if caught.reason in _PASSING:
                    return None
                self._known[key] = None
        return self._known[key]

    async def read(self, function: FunctionTarget, version: str) -> Code:
        """Ask for one version, or for `$LATEST`; raises AwsError."""
        asked = {"FunctionName": function.name}
        if version != LATEST:
            asked["Qualifier"] = version
        answer = await self._aws.call(
            "lambda", "GetFunctionConfiguration", asked, account=function.account, region=function.region
        )
        return code_of(answer, version, self._clean)

    def known(self, function: FunctionTarget, version: str) -> Code | None:
        """Return a version's code as far as it has been read."""
        return self._known.get((function, version))


def published_event(function: FunctionTarget, code: Code, previous: Code | None) -> ReleaseEvent | None:
    """Return the moment a version came to be; None when nobody knows it."""
    if code.published_at is None:
        return None
    same = previous is not None and code.sha256 is not None and previous.sha256 == code.sha256
    detail = f"{code.label}, the same as version {previous.version}" if same and previous else code.label
    return ReleaseEvent(
        at=code.published_at,
        source="lambda",
        subject=f"{function.name}:{code.version}",
        what="version published",
        to=code.version,
        detail=detail,
    )


def plain_state(function: FunctionTarget, code: Code, before: Code | None, at: datetime) -> ReleaseState:
    """Return where a function without an alias stands: whatever is uploaded serves all its traffic.

    `before` is the code it ran earlier in this session, None while it has not changed.
    """
    phase, cause, moved = ReleasePhase.NONE, None, before is not None
    if code.update == "InProgress":
        phase = ReleasePhase.SHIFTING
    elif code.update == "Failed":
        phase, cause = ReleasePhase.FAILED, code.update_reason or "Lambda could not update the function"
    elif moved:
        phase = ReleasePhase.SUCCEEDED
    return ReleaseState(
        function=function.name,
        phase=phase,
        version=LATEST,
        started_at=None if phase is ReleasePhase.NONE else (code.published_at or at),
        cause=cause,
        code={LATEST: code.sha256} if code.sha256 else {},
    )


def changed_event(function: FunctionTarget, before: Code, after: Code, at: datetime) -> ReleaseEvent:
    """Return that a function without an alias has got other code."""
    return ReleaseEvent(
        at=after.published_at or at,
        source="lambda",
        subject=function.name,
        what="code changed",
        from_=before.sha256[:SHORT] if before.sha256 else None,
        to=after.sha256[:SHORT] if after.sha256 else None,
        weight=1.0,
    )


def _moment(text: str | None) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
