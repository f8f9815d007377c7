"""Which version answered, and whether that is the one under test: no proof, no evidence."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from prodwatch.model.signal import ReleaseState

PLACE = "{version}"


class Proof(StrEnum):
    """What an answer says about its version."""

    NOT_ASKED = "not asked"
    PROVEN = "proven"
    OTHER = "other"
    """Another version answered."""
    NONE = "none"
    """The place where the version should stand is empty."""
    UNKNOWN = "unknown"
    """A version is named, but nobody could say which one is under test."""
    NOTHING_TO_COMPARE = "nothing to compare"
    """A version is named, but none is under test."""


class Attestation(msgspec.Struct, frozen=True):
    """The proof, and the version the answer names."""

    proof: Proof
    version: str | None = None
    sentence: str | None = None
    """Why the answer is no evidence; None when it is."""


NOT_ASKED = Attestation(Proof.NOT_ASKED)


def attest(
    text: str | None, place: str, match: str, releases: Sequence[ReleaseState], *, problem: str | None = None
) -> Attestation:
    """Compare what an answer carries at `place` with the versions under test.

    `text` is None when nothing stands there. `match` names a version as the answer does: `v{version}`. With several
    functions under release the answer proves itself when it names the version of any one of them, unless that number
    is also the old version of another that still gets traffic: then either may have answered. `problem` says why it
    could not be found out what is under release.
    """
    if text is None:
        return Attestation(Proof.NONE, None, f"nothing proves which version answered: {place} is not in the answer")
    version = _version_in(text, match)
    expected = [state.version for state in releases if state.version is not None]
    if not expected and problem is not None:
        sentence = f'{place} is "{text}", but which version is under test could not be found out: {problem}'
        return Attestation(Proof.UNKNOWN, version or text, sentence)
    if not expected:
        return Attestation(Proof.NOTHING_TO_COMPARE, version or text)
    if version in expected:
        old = next((each for each in releases if each.previous == version and each.weights.get(version)), None)
        if old is None:
            return Attestation(Proof.PROVEN, version)
        sentence = (
            f'nothing proves which version answered: {place} is "{text}", which is under test in one function and the '
            f'old version of {old.function}; name the function there too, or give the check `attest = ""`'
        )
        return Attestation(Proof.UNKNOWN, version, sentence)
    wanted = " or ".join(dict.fromkeys(match.replace(PLACE, each) for each in expected))
    sentence = f'another version answered: {place} is "{text}", the release under test is "{wanted}"'
    return Attestation(Proof.OTHER, version or text, sentence)


def attest_function(
    version: str, function: str, qualifier: str | None, releases: Sequence[ReleaseState]
) -> Attestation:
    """Compare the version a Lambda function reports for itself with the one under test.

    Only calls through the alias under release say anything: whoever names another qualifier wants exactly that one.
    """
    name = function.rsplit(":function:", 1)[-1].split(":", 1)[0]
    state = next((each for each in releases if each.function == name and each.alias == qualifier), None)
    if state is None or state.version is None:
        return Attestation(Proof.NOTHING_TO_COMPARE, version)
    if state.version == version:
        return Attestation(Proof.PROVEN, version)
    sentence = f"another version answered: {name} ran version {version}, the release under test is {state.version}"
    return Attestation(Proof.OTHER, version, sentence)


def _version_in(text: str, match: str) -> str | None:
    before, found, after = match.partition(PLACE)
    if not found:
        return None
    if text.startswith(before) and text.endswith(after) and len(text) > len(before) + len(after):
        return text[len(before) : len(text) - len(after)] if after else text[len(before) :]
    return None
