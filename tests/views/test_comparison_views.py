"""Comparisons of versions: the verdict's words about them, and the table."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from prodwatch.model.comparison import ComparedVersion
from prodwatch.model.result import Verdict
from prodwatch.model.signal import Batch, ReleasePhase, ReleaseState, SourcePhase, SourceStatus
from prodwatch.model.status import Status
from prodwatch.store import Store
from prodwatch.store.store import Topic
from prodwatch.testing.clock import START, FakeClock
from prodwatch.views.comparisons import comparisons, signature_standing, unproven
from prodwatch.views.release import release_header
from prodwatch.views.status_style import WAITING
from prodwatch.views.verdict import VerdictLine, judge_session, verdict_line
from tests.support.verdict_facts import comparison, signature

PASS, FAIL, UNSURE = Status.PASS, Status.FAIL, Status.INCONCLUSIVE
MOVING = ReleaseState(
    function="f",
    phase=ReleasePhase.SHIFTING,
    version="42",
    previous="41",
    weights={"41": 0.9, "42": 0.1},
    started_at=START - timedelta(minutes=3),
)
NOTHING_SERVED = ComparedVersion(version="42")


def released(store: Store, *states: ReleaseState) -> Store:
    store.apply(
        Batch(
            source="release",
            records=states or (MOVING,),
            status=SourceStatus(source="release", phase=SourcePhase.LIVE, fresh_at=START),
        )
    )
    return store


def judged(
    checks: Any, now: datetime, *compared: Any, signatures: tuple[Any, ...] = (), status: Status = PASS
) -> VerdictLine:
    checks.define("a")
    checks.rounds("a", *[status] * 3)
    released(checks.store).set_comparisons(compared, signatures)
    return verdict_line(checks.store, now)


def test_a_failure_begins_with_the_surest_comparison(checks: Any, now: datetime) -> None:
    line = judged(
        checks,
        now,
        comparison(FAIL, "latency", message="p95 900 ms against 300 ms", evidence=2_000.0, needed=100.0),
        comparison(FAIL, message="errors 5.1 % against 0.1 %", evidence=9e9),
        comparison(PASS, "client_errors"),
        signatures=(signature(FAIL, message="KeyError 'tenant': 5 requests"), signature(UNSURE, message="listed")),
    )
    assert (line.status, line.title) == ("fail", "FAIL · roll back")
    assert line.reasons == (
        "errors 5.1 % against 0.1 %",
        "KeyError 'tenant': 5 requests",
        "p95 900 ms against 300 ms",
    )
    assert line.compared == line.reasons


def test_a_red_check_does_not_hide_the_comparison(checks: Any, now: datetime) -> None:
    line = judged(checks, now, comparison(FAIL, message="errors 5.1 % against 0.1 %"), status=FAIL)
    assert line.reasons[1] == "errors 5.1 % against 0.1 %"
    assert line.compared == line.reasons[1:2]


def test_a_failure_says_since_when_the_verdict_is_red(checks: Any, now: datetime) -> None:
    checks.store.set_verdict(Verdict(status="fail", exit_code=1, reason="worse"))
    assert judged(checks, now, comparison(FAIL)).since == checks.store.verdict.since
    checks.store.set_verdict(Verdict(status="pass", exit_code=0, reason="green"))
    assert verdict_line(checks.store, now).since is None


@pytest.mark.parametrize(
    ("code", "settings", "said"),
    [("a", "d", True), ("a", "c", False), ("b", "d", False)],
    ids=["configuration", "nothing", "code"],
)
def test_the_verdict_says_that_only_the_configuration_was_released(
    checks: Any, now: datetime, code: str, settings: str, said: bool
) -> None:
    judged(checks, now, comparison(FAIL))
    hashes = {"code": {"41": "a", "42": code}, "configuration": {"41": "c", "42": settings}}
    released(checks.store, replace(MOVING, **hashes))
    line = verdict_line(checks.store, now)
    assert ("v42: configuration only" in line.reasons) is said
    reason = judge_session(checks.store, now).decision.verdict.reason
    assert reason.startswith("The new version (configuration only) is worse: ") is said
    header = release_header(checks.store, now)
    assert header is not None
    assert (header.note == "configuration only") is said


def test_after_the_release_succeeded_there_is_nothing_to_roll_back(checks: Any, now: datetime) -> None:
    judged(checks, now, comparison(FAIL))
    released(checks.store, replace(MOVING, phase=ReleasePhase.SUCCEEDED))
    assert verdict_line(checks.store, now).title == "FAIL · v42 is worse"


@pytest.mark.parametrize(
    ("compared", "words"),
    [
        ((comparison(UNSURE, requests_needed=1018),), "harm not excluded yet: 1,018 more requests"),
        (
            (comparison(PASS), comparison(UNSURE, "latency", requests_needed=400)),
            "harm not excluded yet: 400 more warm requests",
        ),
        (
            (comparison(UNSURE, message="errors: nothing served", canary=NOTHING_SERVED, baseline=NOTHING_SERVED),),
            "versions are not compared yet: errors: nothing served",
        ),
        (
            (comparison(UNSURE, message="not at random", advisory="Not random.", requests_needed=3),),
            "harm not excluded: not at random",
        ),
        ((comparison(UNSURE, message="no number would do"),), "harm not excluded yet: no number would do"),
        ((comparison(UNSURE, "client_errors", gate=False), comparison(PASS)), None),
        (
            (
                comparison(UNSURE, function="f", requests_needed=7),
                comparison(UNSURE, function="g", id="g errors", requests_needed=9),
            ),
            "g: harm not excluded yet: 9 more requests, and 1 more function",
        ),
    ],
    ids=["needed", "latency", "nothing served", "advisory", "never", "excluded", "several functions"],
)
def test_a_pass_over_a_release_says_what_is_not_proven(
    checks: Any, now: datetime, compared: tuple[Any, ...], words: str | None
) -> None:
    assert unproven(compared) == words
    line = judged(checks, now, *compared)
    assert (line.status, line.title) == ("pass", "PASS · so far")
    assert line.evidence is not None
    assert line.evidence.startswith(words or "3 looks each")


def test_a_pass_over_a_release_counts_the_errors_that_are_only_listed(checks: Any, now: datetime) -> None:
    listed = (signature(UNSURE), signature(UNSURE, new=None), signature(Status.SKIPPED, accepted="until x: y"))
    line = judged(checks, now, comparison(UNSURE, requests_needed=1018), signatures=listed)
    assert line.evidence is not None
    assert line.evidence.startswith("harm not excluded yet: 1,018 more requests; 1 new error; ")


def test_a13_a_release_of_another_function_without_comparisons_is_still_not_compared(
    checks: Any, now: datetime
) -> None:
    checks.define("a")
    checks.rounds("a", PASS)
    released(checks.store, MOVING, replace(MOVING, function="g")).set_comparisons((comparison(PASS),), ())
    line = verdict_line(checks.store, now)
    assert line.evidence is not None
    assert line.evidence.startswith("versions are not compared")


def test_more_error_lines_are_named_in_a_degraded_verdict(checks: Any, now: datetime) -> None:
    line = judged(checks, now, comparison(Status.DEGRADED, "error_lines", gate=False, message="error lines 9 %"))
    assert line.status == "degraded"
    assert "error lines 9 %" in line.reasons


def test_with_several_functions_each_sentence_names_its_own(checks: Any, now: datetime) -> None:
    line = judged(checks, now, comparison(FAIL), comparison(PASS, function="g", id="g errors"))
    assert line.reasons == ("f: errors 5.1 % against 0.1 %",)
    assert checks.store.revision(Topic.COMPARISONS) == 1


def test_rows_show_values_effect_interval_and_evidence(now: datetime) -> None:
    store = released(Store(FakeClock()))
    store.set_comparisons(
        (
            comparison(FAIL, difference=0.05, at_least=0.029, at_most=0.072, evidence=2e5, last_end_ms=1_000),
            comparison(UNSURE, "client_errors", gate=False, evidence=0.2, difference=0.001, requests_needed=1018),
            comparison(
                PASS,
                "latency",
                difference=0.25,
                canary=ComparedVersion(
                    version="42", requests=900, quantiles_ms={"p50": 80.0, "p95": 250.0}, cold_starts=3
                ),
                baseline=ComparedVersion(version="41", quantiles_ms={"p50": 70.0, "p95": 200.0}, cold_starts=1204),
            ),
        ),
        (),
    )
    table = comparisons(store, now)
    errors, client, latency, cold = table.rows
    assert (errors.signal, errors.old, errors.new) == ("errors", "0.1 %", "5.1 %")
    assert errors.effect == "+5.0 points, 2.9 to 7.2"
    assert (errors.evidence, errors.threshold, errors.filled, errors.needed) == ("> 9,999", "of 1,000", 1.0, "")
    assert (client.evidence, client.filled, client.needed) == ("below 1", 0.0, "1,018")
    assert client.note == "never fails a release"
    assert (latency.old, latency.new, latency.effect) == ("200 ms", "250 ms", "+25 %")
    assert latency.note == "p50 70 ms → 80 ms"
    assert (cold.old, cold.new, cold.state, cold.filled) == ("1,204", "3", None, None)
    assert (table.old_version, table.new_version) == ("41", "42")
    assert table.compared_up_to is not None


def test_a_version_that_has_not_served_is_waited_for(now: datetime) -> None:
    store = released(Store(FakeClock()))
    store.set_comparisons((comparison(UNSURE, message="errors: not served yet", canary=NOTHING_SERVED),), ())
    (row,) = comparisons(store, now).rows
    assert row.state is WAITING
    assert (row.note, row.evidence, row.filled) == ("not served yet", "", None)


def test_half_of_the_evidence_is_half_a_bar_on_a_logarithmic_scale(now: datetime) -> None:
    store = released(Store(FakeClock()))
    store.set_comparisons((comparison(UNSURE, evidence=1000.0**0.5),), ())
    assert comparisons(store, now).rows[0].filled == pytest.approx(0.5)


def test_rows_of_several_functions_are_told_apart(now: datetime) -> None:
    store = released(Store(FakeClock()))
    other = ComparedVersion(version="8", requests=5)
    store.set_comparisons((comparison(PASS), comparison(PASS, function="g", id="g errors", canary=other)), ())
    table = comparisons(store, now)
    assert [each.signal for each in table.rows] == ["f errors", "g errors"]
    assert (table.old_version, table.new_version) == (None, None)


def test_without_comparisons_the_table_says_why(now: datetime) -> None:
    store = Store(FakeClock())
    assert comparisons(store, now).empty == "looking for a release …"
    assert (
        comparisons(released(store, replace(MOVING, phase=ReleasePhase.NONE)), now).empty == "no release is under way"
    )
    assert comparisons(released(store), now).empty == "nothing read yet"
    wrong = comparisons(released(store, replace(MOVING, phase=ReleasePhase.ROLLED_BACK)), now)
    assert wrong.empty == "v42 rolled back: versions are no longer compared"


def test_logs_that_cannot_be_read_are_named(now: datetime) -> None:
    store = released(Store(FakeClock()))
    assert comparisons(store, now).partial == "f: logs not read yet"
    denied = SourceStatus(
        source="logs:/aws/lambda/f", phase=SourcePhase.DENIED, action="logs:FilterLogEvents", message="refused"
    )
    store.apply(Batch(source=denied.source, status=denied))
    assert comparisons(store, now).partial == "f: logs not allowed: needs logs:FilterLogEvents"
    behind = SourceStatus(source=denied.source, phase=SourcePhase.BEHIND, fresh_at=START - timedelta(minutes=2))
    store.apply(Batch(source=denied.source, status=behind))
    assert comparisons(store, now).partial == "f: logs behind by 2m"
    live = SourceStatus(source=denied.source, phase=SourcePhase.LIVE, fresh_at=START)
    store.apply(Batch(source=denied.source, status=live))
    assert comparisons(store, now).partial is None


@pytest.mark.parametrize(
    ("status", "accepted", "words"),
    [
        (FAIL, None, "bound to v42"),
        (UNSURE, None, "listed only"),
        (Status.SKIPPED, "until 2027-01-15: sandbox", "accepted until 2027-01-15: sandbox"),
    ],
)
def test_a_signature_says_where_it_stands(status: Status, accepted: str | None, words: str) -> None:
    assert signature_standing(signature(status, accepted=accepted)) == words
