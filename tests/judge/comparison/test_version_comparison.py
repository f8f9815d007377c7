"""Two versions of a function, batch by batch: worse, harmless, or not decided."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from prodwatch.judge.comparison.strata import Stratum
from prodwatch.judge.comparison.version_comparison import VersionComparison, format_percent
from prodwatch.model.comparison import BATCH_MS, ComparisonResult, RequestBatch, VersionCounts
from prodwatch.model.environment import Compare, ErrorComparison
from prodwatch.model.status import Reason, Status


def counts(
    rng: random.Random,
    requests: int,
    rate: float,
    *,
    slower: float = 1.0,
    environments: Mapping[str, tuple[int, int]] | None = None,
) -> VersionCounts:
    return VersionCounts(
        requests=requests,
        failed=sum(rng.random() < rate for _ in range(requests)),
        warm_ms=tuple(rng.lognormvariate(5.3, 0.5) * slower for _ in range(requests)),
        environments=environments or {},
    )


def batch(number: int, canary: VersionCounts, baseline: VersionCounts, **changes: Any) -> RequestBatch:
    start = number * BATCH_MS
    versions = {"42": canary, "41": baseline}
    return RequestBatch(function="pay", start_ms=start, end_ms=start + BATCH_MS, versions=versions, **changes)


def watched(
    canary_rate: float,
    baseline_rate: float = 0.001,
    *,
    batches: int = 30,
    slower: float = 1.0,
    seed: int = 1,
    limits: Compare | None = None,
    functions: int = 1,
) -> VersionComparison:
    rng = random.Random(seed)
    comparison = VersionComparison("pay", "42", "41", limits or Compare(), comparisons=functions)
    for number in range(10):
        comparison.add_before(batch(number - 10, VersionCounts(), counts(rng, 1380, baseline_rate)))
    for number in range(batches):
        canary = counts(rng, 138, canary_rate, slower=slower)
        comparison.add(batch(number, canary, counts(rng, 1242, baseline_rate)))
    return comparison


def result(comparison: VersionComparison, kind: str) -> ComparisonResult:
    return next(each for each in comparison.results() if each.kind == kind)


def test_five_percent_of_errors_fail_within_three_batches_with_their_size() -> None:
    errors = result(watched(0.05, batches=3), "errors")
    assert errors.status is Status.FAIL
    assert errors.gate
    assert errors.evidence >= errors.needed == 1000
    assert errors.at_least is not None
    assert 0.005 < errors.at_least < 0.05
    assert "points" in errors.message
    assert "at 99 %" in errors.message


def test_equal_versions_pass_after_a_bake_and_are_undecided_before() -> None:
    early, late = watched(0.001, batches=2), watched(0.001)
    assert result(early, "errors").status is Status.INCONCLUSIVE
    assert result(early, "errors").requests_needed
    assert result(early, "latency").reason_code is Reason.MIN_SAMPLES
    for kind in ("errors", "latency", "error_lines", "client_errors"):
        assert result(late, kind).status is Status.PASS, kind


def test_a_look_after_every_batch_changes_no_result() -> None:
    rng = random.Random(3)
    looked, unlooked = (VersionComparison("pay", "42", "41", Compare()) for _ in range(2))
    for number in range(30):
        for each in (looked, unlooked):
            if number < 5:
                each.add_before(batch(number - 5, VersionCounts(), VersionCounts(requests=1242, failed=number)))
        new, old = counts(rng, 138, 0.004), counts(rng, 1242, 0.001)
        for each in (looked, unlooked):
            each.add(batch(number, new, old))
        assert result(looked, "errors").canary.requests == 138 * (number + 1)
    assert looked.results() == unlooked.results()


def test_harm_that_was_seen_once_is_not_outweighed_by_what_follows() -> None:
    comparison = watched(0.05, batches=3)
    rng = random.Random(9)
    for number in range(3, 40):
        comparison.add(batch(number, counts(rng, 138, 0.0), counts(rng, 1242, 0.001)))
    assert result(comparison, "errors").status is Status.FAIL


def test_slower_by_half_fails_and_slower_by_five_percent_does_not() -> None:
    assert result(watched(0.001, slower=1.5, batches=4), "latency").status is Status.FAIL
    assert result(watched(0.001, slower=1.05), "latency").status is Status.PASS


@pytest.mark.parametrize(("warm", "status"), [(999, Status.INCONCLUSIVE), (1000, Status.PASS)])
def test_latency_passes_from_1000_warm_requests_of_the_new_version_on(warm: int, status: Status) -> None:
    rng = random.Random(5)
    comparison = VersionComparison("pay", "42", "41", Compare(), comparisons=1)
    comparison.add_before(batch(-1, VersionCounts(), counts(rng, 2000, 0.001)))
    comparison.add(batch(0, counts(rng, warm, 0.001), counts(rng, 2000, 0.001)))
    latency = result(comparison, "latency")
    assert latency.status is status
    assert ("1 more warm requests are needed" in latency.message) is (warm == 999)


def test_more_functions_need_more_evidence_each() -> None:
    assert result(watched(0.001, functions=4, batches=1), "errors").needed == 4000


def test_a_kind_that_is_turned_off_is_not_compared() -> None:
    kinds = {each.kind for each in watched(0.05, batches=2, limits=Compare(errors=None)).results()}
    assert kinds == {"latency"}


def test_error_lines_and_client_errors_never_fail_a_release() -> None:
    comparison = VersionComparison("pay", "42", "41", Compare())
    for number in range(6):
        canary = VersionCounts(requests=138, error_lines=60, client_errors=60)
        comparison.add(batch(number, canary, VersionCounts(requests=1242, error_lines=5, client_errors=5)))
    for kind in ("error_lines", "client_errors"):
        found = result(comparison, kind)
        assert (found.status, found.gate) == (Status.DEGRADED, False)


def test_counts_of_cloudwatch_need_ten_times_the_evidence() -> None:
    comparison = VersionComparison("pay", "42", "41", Compare())
    comparison.add(batch(0, VersionCounts(requests=100), VersionCounts(requests=900), basis="counts"))
    found = result(comparison, "errors")
    assert (found.needed, found.basis) == (10_000, "counts")


def test_bad_requests_of_one_environment_out_of_many_decide_nothing() -> None:
    comparison = VersionComparison("pay", "42", "41", Compare())
    for number in range(4):
        environments = {f"env-{each}": (14, 0) for each in range(9)} | {"env-9": (12, 6)}
        canary = VersionCounts(requests=138, failed=6, environments=environments)
        comparison.add(batch(number, canary, VersionCounts(requests=1242, failed=1)))
    found = result(comparison, "errors")
    assert found.status is Status.INCONCLUSIVE
    assert "env-9" in found.message


def test_bad_requests_of_a_version_with_two_environments_fail_it() -> None:
    comparison = VersionComparison("pay", "42", "41", Compare())
    for number in range(4):
        canary = VersionCounts(requests=138, failed=6, environments={"a": (69, 6), "b": (69, 0)})
        comparison.add(batch(number, canary, VersionCounts(requests=1242, failed=1)))
    assert result(comparison, "errors").status is Status.FAIL


def test_a_split_that_is_not_random_decides_nothing_either_way() -> None:
    rng = random.Random(2)
    for rate in (0.05, 0.001):
        comparison = VersionComparison("pay", "42", "41", Compare())
        for number in range(10):
            canary = 600 if number % 3 == 0 else 5
            comparison.add(batch(number, counts(rng, canary, rate), counts(rng, 1242, 0.001)))
        found = result(comparison, "errors")
        assert found.status is Status.INCONCLUSIVE
        assert found.advisory is not None


def test_without_traffic_nothing_passes() -> None:
    comparison = VersionComparison("pay", "42", "41", Compare())
    for number in range(30):
        comparison.add(batch(number, VersionCounts(), VersionCounts(requests=1242)))
    for each in comparison.results():
        assert (each.status, each.reason_code) == (Status.INCONCLUSIVE, Reason.NO_DATA), each.kind


def alone(rate: float, *, last_week: bool = True, before: bool = True) -> ComparisonResult:
    rng = random.Random(3)
    comparison = VersionComparison("pay", "42", "41", Compare())
    for number in range(20):
        if before:
            comparison.add_before(batch(number - 20, VersionCounts(), counts(rng, 1380, 0.001)))
        if last_week:
            comparison.add_last_week(batch(number - 20, VersionCounts(), counts(rng, 1380, 0.001)))
    for number in range(20):
        comparison.add(batch(number, counts(rng, 1380, rate), VersionCounts()))
    return result(comparison, "errors")


def test_a_release_at_once_is_compared_with_both_windows_before_it() -> None:
    assert alone(0.001).status is Status.PASS
    assert alone(0.04).status is Status.FAIL
    assert alone(0.001).basis == alone(0.04).basis == "before/after"


@pytest.mark.parametrize(
    ("rate", "windows"),
    [(0.012, {}), (0.04, {"last_week": False}), (0.001, {"last_week": False, "before": False})],
    ids=["a smaller difference", "one window", "no window"],
)
def test_weaker_evidence_before_and_after_is_inconclusive(rate: float, windows: dict[str, bool]) -> None:
    assert alone(rate, **windows).status is Status.INCONCLUSIVE


def test_a_result_of_both_versions_is_kept_when_all_traffic_has_moved() -> None:
    comparison = watched(0.001)
    rng = random.Random(4)
    end = result(comparison, "errors").last_end_ms
    for number in range(30, 40):
        comparison.add(batch(number, counts(rng, 1380, 0.001), VersionCounts()))
    errors = result(comparison, "errors")
    assert (errors.status, errors.basis, errors.last_end_ms) == (Status.PASS, "requests", end)


def test_harm_that_begins_after_all_traffic_has_moved_never_passes() -> None:
    comparison = watched(0.001)
    rng = random.Random(4)
    for number in range(30, 40):
        comparison.add(batch(number, counts(rng, 1380, 0.04), VersionCounts()))
    assert result(comparison, "errors").status is Status.INCONCLUSIVE


def test_the_floor_of_harm_grows_with_the_rate_of_the_old_version_up_to_two_points() -> None:
    for rate, floor in ((0.001, 0.005), (0.01, 0.01), (0.3, 0.02)):
        comparison = VersionComparison("pay", "42", "41", Compare(errors=ErrorComparison()))
        process = comparison._errors["errors"].process
        assert process.harm_floor(rate) == pytest.approx(floor)


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "0.0 %"), (0.051, "5.1 %"), (0.00043, "0.043 %"), (1.0, "100.0 %"), (0.001, "0.1 %")]
)
def test_percentages_keep_their_meaning(share: float, text: str) -> None:
    assert format_percent(share) == text


def test_a_batch_of_routes_alone_changes_nothing() -> None:
    """Traces come after the requests were counted: an empty batch would make the old version's errors look clumped."""
    rng = random.Random(3)
    batches = [batch(number, counts(rng, 138, 0.02), counts(rng, 1242, 0.02)) for number in range(40)]
    plain, interleaved = (VersionComparison("f", "42", "41", Compare()) for _ in range(2))
    routes = VersionCounts(routes={"GET /orders": 3})
    for number, each in enumerate(batches):
        for comparison in (plain, interleaved):
            add = comparison.add_before if number < 20 else comparison.add
            add(each)
            if comparison is interleaved:
                add(replace(each, versions={"41": routes, "42": routes}, late=True))
    assert plain.results() == interleaved.results()


def all_late(rate: float, *, slower: float = 1.0, batches: int = 30) -> VersionComparison:
    """Return a comparison in which every record of the new version comes after its batch was closed."""
    rng = random.Random(7)
    comparison = VersionComparison("pay", "42", "41", Compare())
    for number in range(10):
        comparison.add_before(batch(number - 10, VersionCounts(), counts(rng, 1380, 0.001)))
    for number in range(batches):
        comparison.add(batch(number, VersionCounts(), counts(rng, 1242, 0.001)))
        if number:
            comparison.add(batch(number - 1, counts(rng, 138, rate, slower=slower), VersionCounts(), late=True))
    return comparison


def test_a_version_whose_records_all_come_late_passes_when_its_bake_excludes_harm() -> None:
    comparison = all_late(0.001)
    assert result(comparison, "errors").status is Status.PASS
    latency = result(comparison, "latency")
    assert (latency.status, latency.canary.requests) == (Status.PASS, 29 * 138)
    assert comparison.last_end_ms == 29 * BATCH_MS


@pytest.mark.parametrize(("kind", "rate", "slower"), [("errors", 0.05, 1.0), ("latency", 0.001, 1.5)])
def test_harm_in_records_that_all_come_late_fails(kind: str, rate: float, slower: float) -> None:
    assert result(all_late(rate, slower=slower, batches=6), kind).status is Status.FAIL


def test_requests_of_the_old_version_are_compared_once() -> None:
    rng = random.Random(8)
    comparison = VersionComparison("pay", "42", "41", Compare())
    comparison.add_before(batch(-1, VersionCounts(), counts(rng, 1380, 0.001)))
    comparison.add(batch(0, VersionCounts(), counts(rng, 1242, 0.001)))
    assert result(comparison, "latency").canary.requests == 0
    comparison.add(batch(0, counts(rng, 138, 0.5, slower=9.0), VersionCounts(), late=True))
    once = {each.kind: each for each in comparison.results()}
    assert once["errors"].evidence > 1
    comparison.add(batch(0, counts(rng, 138, 0.5, slower=9.0), VersionCounts(), late=True))
    for each in comparison.results():
        assert each.evidence == once[each.kind].evidence
        assert each.baseline.requests == 1242
    assert result(comparison, "latency").canary.requests == 138
    assert result(comparison, "errors").canary.requests == 2 * 138


def test_ordered_event_sources_make_every_comparison_advisory() -> None:
    comparison = watched(0.05, slower=1.5)
    assert {result(comparison, each).status for each in ("errors", "latency")} == {Status.FAIL}
    comparison.ordered_sources = ("Kinesis stream orders",)
    for kind in ("errors", "error_lines", "client_errors", "latency"):
        found = result(comparison, kind)
        assert found.status is Status.INCONCLUSIVE
        assert found.advisory == (
            "The split of requests between the versions is not random: Kinesis stream orders sends in order."
        )


def by_tenant(batches: int, *, by_count: str | None = None) -> VersionComparison:
    """Return a comparison of versions that receive the requests of whole tenants, the new one with harm."""
    rng = random.Random(3)
    comparison = VersionComparison("pay", "42", "41", Compare(), by_count=by_count)
    for number in range(10):
        comparison.add_before(batch(number - 10, VersionCounts(), counts(rng, 1380, 0.001)))
    for number in range(batches):
        requests = 40 if number % 2 else 240
        canary = counts(rng, requests, 0.05, slower=1.5)
        comparison.add(batch(number, canary, counts(rng, 1380 - requests, 0.001)))
        if by_count is not None:
            strata = [Stratum(requests, requests // 2, 1380 - requests, (1380 - requests) // 20)] * 3
            comparison.add_exceeding(strata)
    return comparison


@pytest.mark.parametrize("batches", [10, 11, 15, 27, 40])
def test_a_split_that_is_not_random_makes_every_comparison_advisory_in_every_batch(batches: int) -> None:
    comparison = by_tenant(batches)
    reason = comparison.why_not_random
    assert reason is not None
    assert reason.startswith("The split of requests between the versions is not random (dispersion ")
    for kind in ("errors", "error_lines", "client_errors", "latency"):
        found = result(comparison, kind)
        assert (found.status, found.reason_code) == (Status.INCONCLUSIVE, Reason.MIN_SAMPLES)
        assert found.advisory == reason
        assert "requests are not split at random" in found.message


def test_a_split_that_is_not_random_makes_latency_by_count_advisory() -> None:
    comparison = by_tenant(12, by_count="its log group cannot be read")
    found = result(comparison, "latency")
    assert (found.status, found.advisory) == (Status.INCONCLUSIVE, comparison.why_not_random)
    assert found.advisory is not None


def test_a_split_is_tested_on_batches_of_the_present_weights() -> None:
    rng = random.Random(4)
    comparison = watched(0.05, slower=1.5, batches=12)
    comparison.shift(at_ms=14 * BATCH_MS)
    for number in range(12, 26):
        # The change of the weights took effect before it was seen, in batches 12 and 13.
        requests = 690 if number >= 13 else 400
        comparison.add(batch(number, counts(rng, requests, 0.05, slower=1.5), counts(rng, 1380 - requests, 0.001)))
        assert comparison.why_not_random is None
    assert {result(comparison, each).status for each in ("errors", "latency")} == {Status.FAIL}


def test_a_version_that_serves_alone_is_judged_whatever_its_event_sources() -> None:
    rng = random.Random(1)
    comparison = watched(0.001)
    comparison.ordered_sources = ("Kinesis stream orders",)
    comparison.add_last_week(batch(0, VersionCounts(), counts(rng, 1380, 0.001)))
    for number in range(30, 40):
        comparison.add(batch(number, counts(rng, 1380, 0.1), VersionCounts()))
    assert result(comparison, "errors").status is Status.FAIL
