"""Which version responded, and whether that is the version under test: without proof, a response is not evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from prodwatch.model.identity import FunctionId, Place
from prodwatch.model.quantity import Headers
from prodwatch.model.release import responding_versions
from prodwatch.model.signal import ReleaseState
from prodwatch.model.status import Reason

_VERSION = "{version}"


class Attestation(msgspec.Struct, frozen=True, kw_only=True):
    """Version of a response, and whether it is proven to be the one under test."""

    version: str | None = None
    """The version it names, None when it names none."""
    proven: bool = False
    """It comes from the version under test."""
    reason: Reason | None = None
    """`version_mismatch` or `unattested` when the response is not evidence about the release; else None."""
    message: str | None = None
    """One sentence for `reason`; None without one."""


NOT_ATTESTED = Attestation()
"""No attestation was asked for."""


def with_certain_headers(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return `document` without the headers that are there with different values: they prove nothing."""
    headers = document.get("headers")
    if not isinstance(headers, Headers):
        return document
    values: dict[str, set[str]] = {}
    for name, value in headers.pairs:
        values.setdefault(name.lower(), set()).add(value.strip())
    certain = tuple(pair for pair in headers.pairs if len(values[pair[0].lower()]) == 1)
    return document if len(certain) == len(headers.pairs) else {**document, "headers": Headers(certain)}


def attest(
    text: str | None, place: str, match: str, releases: Sequence[ReleaseState], *, problem: str | None = None
) -> Attestation:
    """Compare the text at `place` of a response with the versions under test.

    `text` is None when the response has nothing there. `match` shows how a response writes a version: `v{version}`.
    With several functions under release, the response is proven when it names the version of any of them, unless
    that number is also the old version of another function that still receives traffic: then either may have
    responded. `problem` says why the release of a function could not be read, None when all were read: otherwise the
    version may be that function's, new or old.
    """
    if text is None:
        message = f"nothing proves which version responded: {place} is not in the response, or is there twice"
        return Attestation(reason=Reason.UNATTESTED, message=message)
    version = _version_in(text, match)
    expected = [version for state in releases for version in responding_versions(state)]
    if problem is not None:
        message = f'{place} is "{text}", but the version under test could not be determined: {problem}'
        return Attestation(version=version or text, reason=Reason.UNATTESTED, message=message)
    if not expected:
        return Attestation(version=version or text)
    if version in expected:
        old = next((state for state in releases if _is_old(version, state)), None)
        if old is None:
            return Attestation(version=version, proven=True)
        message = (
            f'nothing proves which version responded: {place} is "{text}", which is under test in one function and '
            f'the old version of {old.function}; include the function name there, or give the check `attest = ""`'
        )
        return Attestation(version=version, reason=Reason.UNATTESTED, message=message)
    under_test = " or ".join(dict.fromkeys(match.replace(_VERSION, number) for number in expected))
    message = f'another version responded: {place} is "{text}", the release under test is "{under_test}"'
    return Attestation(version=version or text, reason=Reason.VERSION_MISMATCH, message=message)


def _is_old(version: str, state: ReleaseState) -> bool:
    """Return whether `version` is the one that a function's release replaces, and still receives traffic."""
    replaced = state.previous == version and version not in responding_versions(state)
    return replaced and bool(state.weights.get(version))


def is_version(qualifier: str | None) -> bool:
    """Return whether a qualifier is a version itself, and not an alias of one."""
    return qualifier is not None and (qualifier.isdecimal() or qualifier == "$LATEST")


def attest_function(
    version: str, function: str, qualifier: str | None, releases: Sequence[ReleaseState], *, place: Place
) -> Attestation:
    """Compare the version a Lambda function of an account and region reports for itself with the one under test.

    Only calls through the alias under release count: a check that names another qualifier wants exactly that one.
    """
    name, _, suffix = function.rsplit(":function:", 1)[-1].partition(":")
    qualifier = qualifier or suffix or None
    if is_version(qualifier) and version != qualifier:
        message = f"another version responded: {name} ran version {version}, the check asks for {qualifier}"
        return Attestation(version=version, reason=Reason.VERSION_MISMATCH, message=message)
    state = next((state for state in releases if state.id == FunctionId(name, qualifier or "", place)), None)
    expected = responding_versions(state) if state is not None else ()
    if not expected:
        return Attestation(version=version)
    if version in expected:
        return Attestation(version=version, proven=True)
    under_test = " or ".join(expected)
    message = f"another version responded: {name} ran version {version}, the release under test is {under_test}"
    return Attestation(version=version, reason=Reason.VERSION_MISMATCH, message=message)


def _version_in(text: str, match: str) -> str | None:
    before, placeholder, after = match.partition(_VERSION)
    if not placeholder:
        return None
    if text.startswith(before) and text.endswith(after) and len(text) > len(before) + len(after):
        return text[len(before) : len(text) - len(after)] if after else text[len(before) :]
    return None
