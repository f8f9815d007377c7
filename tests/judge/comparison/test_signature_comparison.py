"""Error signatures bound to the new version, and those that are only listed as new."""

from __future__ import annotations

import pytest

from prodwatch.judge.comparison.signature_comparison import SeenSignature, SignatureComparison
from prodwatch.model.comparison import BATCH_MS, RequestBatch, VersionCounts
from prodwatch.model.environment import SignatureLimits
from prodwatch.model.identity import GroupId
from prodwatch.model.status import Status

KEY = (GroupId("/aws/lambda/pay"), "KeyError ' tenant '")


def seen(*, before: bool | None = False, accepted: str | None = None) -> SeenSignature:
    return SeenSignature(key=KEY, example="KeyError: 'tenant'", first_ms=0, before=before, accepted=accepted)


def compared(
    *events: tuple[int, int],
    canary: int = 138,
    baseline: int = 1242,
    others: int = 0,
    before: int = 0,
    late: bool = False,
) -> SignatureComparison:
    comparison = SignatureComparison("pay", "42", "41", SignatureLimits())
    old = {"41": VersionCounts(requests=before)}
    comparison.add_before(RequestBatch(function="pay", start_ms=-BATCH_MS, end_ms=0, versions=old))
    for number, each in enumerate(events):
        rare = {(KEY[0], f"rare {other}"): 1 for other in range(others)}
        versions = {
            "42": VersionCounts(requests=canary, signatures={KEY: each[0]}),
            "41": VersionCounts(requests=baseline, signatures={KEY: each[1], **rare}),
        }
        start = number * BATCH_MS
        comparison.add(
            RequestBatch(function="pay", start_ms=start, end_ms=start + BATCH_MS, versions=versions, late=late)
        )
    return comparison


def test_five_requests_of_the_new_version_alone_bind_a_signature_to_it() -> None:
    found = compared((2, 0), (3, 0)).result(seen())
    assert (found.status, found.new, found.canary, found.baseline) == (Status.FAIL, True, 5, 0)
    assert "new since the release" in found.message


def test_a_signature_of_both_versions_in_the_share_of_their_traffic_is_not_bound() -> None:
    assert compared((2, 18), (3, 20)).result(seen()).status is Status.INCONCLUSIVE


@pytest.mark.parametrize("count", [1, 2])
def test_absence_before_the_release_alone_only_lists_a_signature(count: int) -> None:
    found = compared((count, 0)).result(seen())
    assert (found.status, found.new) == (Status.INCONCLUSIVE, True)


def test_a_signature_of_no_compared_request_has_no_evidence_for_or_against_it() -> None:
    found = SignatureComparison("pay", "42", "41", SignatureLimits()).result(seen())
    assert (found.status, found.canary, found.baseline, found.share) == (Status.INCONCLUSIVE, 0, 0, None)
    assert found.evidence == 1.0


def test_a_signature_logged_without_the_old_version_has_no_evidence_of_a_split() -> None:
    found = compared((2, 0), baseline=0).result(seen())
    assert (found.canary, found.evidence) == (2, 1.0)


def test_what_was_not_read_before_is_not_called_new() -> None:
    found = compared((5, 0)).result(seen(before=None))
    assert found.new is None
    assert "unread" in found.message


def test_a_signature_known_before_counts_too_when_it_falls_on_the_new_version() -> None:
    assert compared((5, 0)).result(seen(before=True)).status is Status.FAIL


def test_many_signatures_at_once_need_more_evidence_each() -> None:
    assert compared((1, 0)).needed == 1000
    assert compared((1, 0), others=40).needed == 4100


def test_an_accepted_signature_is_shown_and_never_fails() -> None:
    found = compared((5, 0)).result(seen(accepted="payment sandbox, until 2027-01-15"))
    assert found.status is Status.SKIPPED


def test_without_the_old_version_absence_before_counts_from_three_requests_on() -> None:
    def found(count: int, *, before: int = 20_000, known: bool | None = False) -> Status:
        return compared((count, 0), baseline=0, before=before).result(seen(before=known)).status

    assert found(3) is Status.FAIL
    assert found(2) is Status.INCONCLUSIVE
    assert found(3, before=100) is Status.INCONCLUSIVE
    assert found(3, before=0) is Status.INCONCLUSIVE
    assert found(3, known=None) is Status.INCONCLUSIVE
    assert found(3, known=True) is Status.INCONCLUSIVE


def test_a_signature_stays_bound_when_the_old_version_logs_it_later() -> None:
    assert compared((5, 0), (0, 40), (0, 40)).result(seen()).status is Status.FAIL


def test_late_records_of_the_new_version_are_no_time_without_the_old_one() -> None:
    found = compared((3, 0), baseline=0, before=20_000, late=True).result(seen())
    assert found.status is Status.INCONCLUSIVE


def test_a_batch_of_the_old_version_ends_the_time_without_it() -> None:
    comparison = compared((2, 0), baseline=0, before=20_000)
    for versions in (
        {"41": VersionCounts(requests=20)},
        {"42": VersionCounts(requests=138, signatures={KEY: 1})},
    ):
        comparison.add(RequestBatch(function="pay", start_ms=BATCH_MS, end_ms=2 * BATCH_MS, versions=versions))
    assert comparison.result(seen()).status is Status.INCONCLUSIVE


@pytest.mark.parametrize(("old", "status"), [(0, Status.FAIL), (45, Status.INCONCLUSIVE)])
def test_late_records_of_the_new_version_are_compared_with_those_of_their_batch(old: int, status: Status) -> None:
    comparison = compared((0, old), canary=0)
    late = {"42": VersionCounts(requests=138, signatures={KEY: 5})}
    comparison.add(RequestBatch(function="pay", start_ms=0, end_ms=BATCH_MS, versions=late, late=True))
    found = comparison.result(seen())
    assert (found.status, found.canary, found.baseline) == (status, 5, old)


def test_late_records_without_a_signature_weigh_against_it_being_bound() -> None:
    comparison = compared((2, 0), (0, 9))
    before = comparison.result(seen()).evidence
    comparison = compared((2, 0))
    start = BATCH_MS
    old = {"41": VersionCounts(requests=1242, signatures={KEY: 9})}
    comparison.add(RequestBatch(function="pay", start_ms=start, end_ms=2 * start, versions=old))
    late = {"42": VersionCounts(requests=138)}
    comparison.add(RequestBatch(function="pay", start_ms=start, end_ms=2 * start, versions=late, late=True))
    assert comparison.result(seen()).evidence == pytest.approx(before)


def test_ordered_event_sources_bind_no_signature_by_the_split() -> None:
    comparison = compared((2, 0), (3, 0))
    comparison.why_not_random = "The split is not random: FIFO queue orders.fifo sends in order."
    found = comparison.result(seen())
    assert found.status is Status.INCONCLUSIVE
    assert found.message.endswith("not random: FIFO queue orders.fifo sends in order")
