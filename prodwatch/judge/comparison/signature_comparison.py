"""Which error signatures are bound to the new version of a function."""

from __future__ import annotations

import math

import msgspec

from prodwatch.judge.comparison.e_process import RestartedProcess
from prodwatch.judge.comparison.strata import ALTERNATIVES, log_rate_factors
from prodwatch.judge.comparison.unpaired_batches import UnpairedBatches
from prodwatch.judge.comparison.version_comparison import RESTART_MS, format_percent
from prodwatch.judge.signatures.readable import readable
from prodwatch.judge.signatures.signature import signature_id
from prodwatch.model.comparison import RequestBatch, SignatureKey, SignatureResult
from prodwatch.model.environment import SignatureLimits
from prodwatch.model.status import Status

SIGNATURES_PER_COMPARISON = 10
"""Distinct signatures, on either side, that count as one comparison: most of them have too few events to alarm."""
FEWEST_WITHOUT_BASELINE = 3
"""Requests with a signature from which it counts when no other version serves at the same time."""


class SeenSignature(msgspec.Struct, frozen=True, kw_only=True):
    """Facts about one signature that the comparison does not compute."""

    key: SignatureKey
    example: str
    first_ms: int
    before: bool | None
    """Whether it, or its group, was logged before the release; None where that time was not read."""
    request_id: str | None = None
    trace_id: str | None = None
    accepted: str | None = None
    """End and reason of an acceptance that is in force; None without one."""


class SignatureComparison:
    """Split test of each signature between the versions, for one function.

    A signature that was absent before the release is only listed as new: rare errors are always new somewhere. It
    counts when more of its requests fall on the new version than its share of the traffic explains.
    """

    def __init__(self, function: str, version: str, baseline: str | None, limits: SignatureLimits) -> None:
        self.why_not_random: str | None = None
        """Sentence: why requests do not fall on the versions at random; while there is one, no split test counts."""
        self.function = function
        self.version = version
        self.baseline = baseline
        self._limits = limits
        self._requests_before = 0
        """Requests of the old version that were read from before the release."""
        self._counts: dict[SignatureKey, tuple[int, int]] = {}
        self._processes: dict[SignatureKey, RestartedProcess] = {}
        self._worse: set[SignatureKey] = set()
        self._requests = 0
        self._alone_requests = 0
        """Requests of the new version since the old one served last."""
        self._alone: dict[SignatureKey, int] = {}
        """Of these, the ones with each signature."""
        self._unpaired = UnpairedBatches(version, baseline)
        self._next_restart_ms: int | None = None

    def add_before(self, batch: RequestBatch) -> None:
        """Learn from a batch that ended before the release."""
        self._requests_before += batch.of(self.baseline).requests

    def shift(self) -> None:
        """Note a change of the weights."""
        self._next_restart_ms = None

    def add(self, batch: RequestBatch) -> None:
        """Judge one closed batch."""
        if self._next_restart_ms is None or batch.start_ms >= self._next_restart_ms:
            self._next_restart_ms = batch.start_ms + RESTART_MS
            for each in self._processes.values():
                each.restart()
        canary, baseline = batch.of(self.version), batch.of(self.baseline)
        partner = self._unpaired.partner_of(batch)
        served = baseline.requests + (partner.requests if partner is not None else 0)
        together = canary.requests > 0 and served > 0
        share = canary.requests / (canary.requests + served) if together else 1.0
        self._requests += canary.requests
        if baseline.requests:
            self._alone_requests = 0
            self._alone.clear()
        # Late records do not show that the old version has stopped: its own records were in time.
        alone = not baseline.requests and not batch.late
        if alone:
            self._alone_requests += canary.requests
        unspent = partner.signatures if partner is not None else {}
        logged = sorted({*canary.signatures, *baseline.signatures, *unspent})
        for key in logged:
            new, old = canary.signatures.get(key, 0), baseline.signatures.get(key, 0)
            before = self._counts.get(key, (0, 0))
            self._counts[key] = (before[0] + new, before[1] + old)
            if together:
                process = self._processes.setdefault(key, RestartedProcess())
                process.add(log_rate_factors(new, old + unspent.get(key, 0), share, ALTERNATIVES))
            elif alone:
                self._alone[key] = self._alone.get(key, 0) + new
        needed = math.log(self.needed)
        self._worse |= {key for key in logged if self._log_evidence(key) >= needed}

    @property
    def needed(self) -> float:
        """Evidence that binds a signature to the new version."""
        return max(1.0, len(self._counts) / SIGNATURES_PER_COMPARISON) / self._limits.false_alarms

    def result(self, seen: SeenSignature) -> SignatureResult:
        """Return what is known about one signature as of now."""
        canary, baseline = self._counts.get(seen.key, (0, 0))
        split = seen.key in self._worse
        unsure = self.why_not_random if split else None
        bound = (split and unsure is None) or self._is_bound_without_baseline(seen)
        share = canary / self._requests if self._requests else None
        status = Status.FAIL if bound else Status.INCONCLUSIVE
        if seen.accepted is not None:
            status = Status.SKIPPED
        return SignatureResult(
            id=signature_id(self.function, seen.key[1]),
            function=self.function,
            version=self.version,
            signature=readable(seen.key[1]),
            example=seen.example,
            status=status,
            gate=self._limits.gate,
            new=None if seen.before is None else not seen.before,
            canary=canary,
            baseline=baseline,
            share=share,
            first_ms=seen.first_ms,
            evidence=math.exp(min(690.0, self._log_evidence(seen.key))),
            needed=self.needed,
            request_id=seen.request_id,
            trace_id=seen.trace_id,
            accepted=seen.accepted,
            message=_sentence(seen, canary, baseline, share) + (f". {unsure[:-1]}" if unsure and not bound else ""),
        )

    def _log_evidence(self, key: SignatureKey) -> float:
        process = self._processes.get(key)
        return process.log_evidence() if process is not None else 0.0

    def _is_bound_without_baseline(self, seen: SeenSignature) -> bool:
        """Judge a signature of batches without the old version: the chance that all of its requests came only now."""
        count = self._alone.get(seen.key, 0)
        if seen.before is not False or not self._requests_before or count < FEWEST_WITHOUT_BASELINE:
            return False
        chance = self._alone_requests / (self._alone_requests + self._requests_before)
        return chance**count < 1.0 / self.needed


def _sentence(seen: SeenSignature, canary: int, baseline: int, share: float | None) -> str:
    known = {True: "logged before the release, too", False: "new since the release", None: "the time before is unread"}
    part = f"{canary} requests" if share is None else f"{canary} requests, {format_percent(share)} of the new version"
    return f"{readable(seen.key[1])}: {part}, {baseline} of the old one, {known[seen.before]}"
