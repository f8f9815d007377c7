"""The comparisons that a session would file while v42 serves a tenth of the requests."""

from __future__ import annotations

from typing import Any

from prodwatch.judge.signatures.signature import signature_id
from prodwatch.model.comparison import ComparedVersion, ComparisonResult, SignatureResult
from prodwatch.model.status import Status
from prodwatch.store import Store
from prodwatch.testing.clock import START
from tests.support.verdict_facts import comparison, signature

FUNCTION = "shop-orders:live"
LAST_END_MS = int(START.timestamp() * 1000) - 30_000


def compare(store: Store) -> None:
    """File them in a store that has read the scene."""
    store.set_comparisons(results(), _signatures(store))


def results(function: str = FUNCTION) -> tuple[ComparisonResult, ...]:
    """Return errors that are worse, and three comparisons that are open."""
    common: dict[str, Any] = {"function": function, "last_end_ms": LAST_END_MS}
    return (
        comparison(
            Status.FAIL,
            id=f"{function} errors",
            message="errors 5.1 % against 0.1 %, +5.0 points, at least 2.9 at 99 %, 1,204 requests",
            difference=0.05,
            at_least=0.029,
            at_most=0.072,
            evidence=4.2e7,
            **common,
        ),
        comparison(
            Status.INCONCLUSIVE,
            "error_lines",
            id=f"{function} error_lines",
            gate=False,
            message="requests with error lines 0.3 % against 0.1 %, +0.2 points, 1,204 requests",
            difference=0.002,
            at_most=0.004,
            evidence=1.4,
            requests_needed=1018,
            canary=ComparedVersion(version="42", requests=1204, bad=4, share=0.003),
            **common,
        ),
        comparison(
            Status.INCONCLUSIVE,
            "client_errors",
            id=f"{function} client_errors",
            gate=False,
            message="4xx answers 3.1 % against 3.0 %, +0.1 points, 1,204 requests",
            difference=0.001,
            at_most=0.014,
            evidence=0.4,
            requests_needed=5018,
            canary=ComparedVersion(version="42", requests=1204, bad=37, share=0.031),
            baseline=ComparedVersion(version="41", requests=10_836, bad=325, share=0.03),
            **common,
        ),
        comparison(
            Status.INCONCLUSIVE,
            "latency",
            id=f"{function} latency",
            message="p95 312 ms against 240 ms, 812 warm requests, 188 more warm requests are needed",
            difference=0.3,
            evidence=44.0,
            needed=100.0,
            requests_needed=188,
            canary=ComparedVersion(
                version="42",
                requests=812,
                quantiles_ms={"p50": 80.0, "p90": 200.0, "p95": 312.0, "p99": 900.0},
                cold_starts=14,
            ),
            baseline=ComparedVersion(
                version="41",
                requests=9_900,
                quantiles_ms={"p50": 78.0, "p90": 190.0, "p95": 240.0, "p99": 850.0},
                cold_starts=3,
            ),
            **common,
        ),
    )


def _signatures(store: Store) -> tuple[SignatureResult, ...]:
    """Return the error of euros as bound to the new version; other errors of the function are listed."""
    found = []
    for each in store.signatures.signatures.values():
        if not each.by_version.get("42"):
            continue
        bound = "currency" in each.shape
        found.append(
            signature(
                Status.FAIL if bound else Status.INCONCLUSIVE,
                id=signature_id(FUNCTION, each.shape),
                function=FUNCTION,
                share=0.034 if bound else 0.002,
                message="KeyError 'currency' at orders.py:place: 41 requests, 3.4 % of the new version, "
                "0 of the old one, new since the release",
            )
        )
    return tuple(found)
