"""Every panel in every state of its source: what is painted, with something to show and without."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from prodwatch.model.signal import Batch, ReleasePhase, ReleaseState, SourcePhase, SourceStatus
from prodwatch.session.protocol import SessionFacts
from prodwatch.testing.clock import START
from prodwatch.views.time_window import Window
from tests.support.examples import slow_but

SIZE = (200, 60)
PANELS = {
    "signals": ("metrics", "cloudwatch:GetMetricData"),
    "alarms": ("alarms", "cloudwatch:DescribeAlarms"),
    "signatures": ("logs:/aws/lambda/shop-orders", "logs:FilterLogEvents"),
    "logs": ("logs:/aws/lambda/shop-orders", "logs:FilterLogEvents"),
    "traces": ("traces", "xray:GetTraceSummaries"),
}
"""Panel → its source and the action that source needs."""


class State(NamedTuple):
    """A state of a source, and the words on the panel's edge and in the empty panel."""

    phase: SourcePhase
    more: dict[str, Any]
    edge: str
    inside: str


SOON = START + timedelta(seconds=8)
STATES = {
    "loading": State(SourcePhase.STARTING, {}, "loading", "Waiting for the first response."),
    "live": State(SourcePhase.LIVE, {"fresh_at": START}, "", ""),
    "stale": State(SourcePhase.LIVE, {"fresh_at": START - timedelta(minutes=9)}, "stale, last read 9m ago", ""),
    "throttled": State(SourcePhase.THROTTLED, {"retry_at": SOON}, "throttled, next try in 8s", "Next try in 8s"),
    "denied": State(
        SourcePhase.DENIED,
        {"message": "AWS refused"},
        "not allowed: needs {action}",
        "Allow {action}; `prodwatch iam-policy` prints the policy",
    ),
    "expired": State(SourcePhase.EXPIRED, {"message": "run: aws sso login"}, "expired", "run: aws sso login"),
    "failed": State(
        SourcePhase.FAILED,
        {"message": "no route to AWS", "retry_at": SOON},
        "failed, next try in 8s",
        "no route to AWS. Next try in 8s",
    ),
    "stopped": State(
        SourcePhase.STOPPED, {"message": "the bound on costs is spent"}, "stopped", "the bound on costs is spent"
    ),
}
EMPTY = {
    "signals": "add a [[function]] or a [[metric]] to the environment file",
    "alarms": "add an [[alarm]] to the environment file",
    "signatures": "No log lines have been read yet.",
    "logs": "",
    "traces": "switch on active tracing",
}
"""Panel → what it says when its source is live and has nothing: what to do."""


def tell(bench: Any, state: State) -> None:
    for source, action in PANELS.values():
        needs = action if state.phase is SourcePhase.DENIED else None
        status = SourceStatus(source=source, phase=state.phase, action=needs, **state.more)
        bench.store.apply(Batch(source=source, status=status))


def painted(bench: Any, panel: str) -> str:
    """Return what is painted where a panel stands, its lines joined, without its borders."""
    region = bench.app.screen.query_one(f"#{panel}").region
    lines = bench.painted()[region.y : region.bottom]
    return " ".join(" ".join(line[region.x + 1 : region.right - 1] for line in lines).split())


@pytest.mark.parametrize("name", slow_but(("live", "denied", "stale"), STATES))
async def test_a_panel_with_something_to_show_says_it_on_its_edge(run: Any, name: str) -> None:
    async with run(SIZE) as bench:
        tell(bench, STATES[name])
        await bench.frames(12)
        for panel, (_, action) in PANELS.items():
            wanted = STATES[name].edge.format(action=action)
            assert wanted in painted(bench, panel), (panel, painted(bench, panel)[-400:])
            broken = name in {"stale", "denied", "expired", "failed", "stopped"}
            assert bench.app.screen.query_one(f"#{panel}").has_class("-stale") is broken, panel


@pytest.mark.parametrize("name", slow_but(("live", "denied", "stale", "failed"), STATES))
async def test_an_empty_panel_says_why_and_what_to_do(run: Any, name: str) -> None:
    async with run(SIZE, quiet=True) as bench:
        tell(bench, STATES[name])
        await bench.frames(12)
        for panel, (_, action) in PANELS.items():
            wanted = EMPTY[panel] if name == "live" else STATES[name].inside.format(action=action)
            assert wanted in painted(bench, panel), (panel, painted(bench, panel))
            if name == "loading" and EMPTY[panel]:
                assert EMPTY[panel] not in painted(bench, panel), panel


async def test_before_any_answer_a_panel_waits(run: Any) -> None:
    async with run(SIZE, quiet=True) as bench:
        for panel in PANELS:
            assert "Waiting for the first response." in painted(bench, panel), panel
        assert "Reading the checks" in painted(bench, "checks")


async def test_a_project_without_checks_says_what_to_do(run: Any) -> None:
    async with run(SIZE, quiet=True) as bench:
        bench.store.define([])
        await bench.frames(12)
        assert "Add one under checks/; `prodwatch schema checks` prints the keys." in painted(bench, "checks")
        await bench.sees("UNSURE · nothing is measured")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("loading", "reading alarms, log lines, metrics"),
        ("throttled", "reading alarms, log lines, metrics"),
        ("denied", "not read: deployments and stacks are not watched; alarms (needs cloudwatch:DescribeAlarms)"),
        ("failed", "alarms (failed); log lines (failed); metrics (failed)"),
        ("live", "not read: deployments and stacks are not watched"),
    ],
)
async def test_what_changed_says_what_it_cannot_see(run: Any, name: str, words: str) -> None:
    facts = SessionFacts(
        environment="prod", title="Shop", window=Window(start=START - timedelta(minutes=30), end=START)
    )
    async with run((300, 60), quiet=True, facts=facts) as bench:
        tell(bench, STATES[name])
        await bench.frames(12)
        assert words in painted(bench, "changes"), painted(bench, "changes")
        assert "No deployment, no stack update" not in painted(bench, "changes")


async def test_the_header_names_the_source_in_trouble(run: Any) -> None:
    async with run(SIZE) as bench:
        for name, words in (("denied", "denied +3"), ("throttled", "throttled +"), ("live", "live")):
            tell(bench, STATES[name])
            await bench.frames(12)
            assert words in bench.painted()[0], name


@pytest.mark.parametrize(
    ("width", "words"),
    [(120, "! this machine is too slow: lag 310 ms"), (90, "! slow machine 310 ms"), (80, "! slow 310 ms")],
)
async def test_b10_the_header_shows_that_this_machine_is_too_slow(run: Any, width: int, words: str) -> None:
    async with run((width, 40)) as bench:
        for slow_ms, shown in ((310, True), (None, False)):
            bench.store.set_slow(slow_ms)
            await bench.frames(12)
            assert (words in bench.painted()[0]) is shown, bench.painted()[0]


async def test_the_header_names_a_log_group_only_where_there_is_room(run: Any) -> None:
    status = SourceStatus(source="logs:/aws/lambda/shop-orders", phase=SourcePhase.BEHIND)
    for width, words in ((120, "! logs:/aws/lambda/shop-orders behind"), (80, "! logs behind")):
        async with run((width, 24)) as bench:
            bench.store.apply(Batch(source=status.source, status=status))
            await bench.frames(12)
            assert words in bench.painted()[0]
            assert "Shop · production" in bench.painted()[0]


async def test_the_header_shows_size_and_rate_of_a_recording_where_there_is_room(run: Any) -> None:
    facts = SessionFacts(environment="prod", title="Shop", recording=lambda: "recording 12.1 MB, 2.8 MB per minute")
    for width, shown in ((160, True), (60, False)):
        async with run((width, 24), facts=facts) as bench:
            await bench.frames(12)
            assert ("recording 12.1 MB, 2.8 MB per minute" in bench.painted()[0]) is shown, bench.painted()[0]
            assert "PROD" in bench.painted()[0]


@pytest.mark.parametrize("width", slow_but((60, 120), [60, 80, 100, 120]))
@pytest.mark.parametrize("state", slow_but(("live", "throttled"), ["live", "throttled", "denied"]))
async def test_the_environment_stays_in_the_header_whatever_else_it_shows(run: Any, width: int, state: str) -> None:
    async with run((width, 24)) as bench:
        tell(bench, STATES[state])
        bench.store.set_slow(1310)
        await bench.frames(12)
        header = bench.painted()[0]
        assert "PROD" in header, header
        if width >= 80:
            assert "Shop" in header
            assert "slow" in header


async def test_a_session_that_cannot_start_is_the_reason_in_every_panel(run: Any) -> None:
    async with run(SIZE, quiet=True) as bench:
        status = SourceStatus(source="session", phase=SourcePhase.FAILED, message="no credentials; run: aws sso login")
        bench.store.apply(Batch(source="session", status=status))
        await bench.frames(12)
        for panel in PANELS:
            assert "no credentials; run: aws sso login." in painted(bench, panel), panel
        await bench.sees("releases cannot be read: no credentials")


@pytest.mark.parametrize(
    ("phase", "action", "words"),
    [
        (SourcePhase.DENIED, "lambda:GetAlias", "releases cannot be read: needs lambda:GetAlias"),
        (SourcePhase.STARTING, None, "looking for a release …"),
        (SourcePhase.LIVE, None, "no release is under way"),
    ],
    ids=["denied", "loading", "live"],
)
async def test_the_release_line_claims_nothing_nobody_saw(
    run: Any, phase: SourcePhase, action: str | None, words: str
) -> None:
    async with run(SIZE, quiet=True) as bench:
        await bench.sees("looking for a release …")
        bench.store.apply(Batch(source="release", status=SourceStatus(source="release", phase=phase, action=action)))
        await bench.frames(12)
        assert words in bench.painted()[1]


async def test_the_release_line_says_that_only_the_configuration_is_released(run: Any) -> None:
    state = ReleaseState(
        function="pay",
        alias="live",
        phase=ReleasePhase.SHIFTING,
        version="42",
        previous="41",
        weights={"41": 0.9, "42": 0.1},
        code={"41": "a", "42": "a"},
        configuration={"41": "c", "42": "d"},
        started_at=START,
    )
    async with run(SIZE, quiet=True) as bench:
        for configuration, said in (("d", True), ("c", False)):
            changed = replace(state, configuration={"41": "c", "42": configuration})
            bench.store.apply(Batch(source="release", records=(changed,)))
            await bench.frames(12)
            assert ("v42: configuration only  shifting" in bench.painted()[1]) is said


async def test_what_is_not_watched_has_no_release(run: Any) -> None:
    async with run(SIZE, quiet=True) as bench:
        status = SourceStatus(source="alarms", phase=SourcePhase.LIVE, fresh_at=START)
        bench.store.apply(Batch(source="alarms", status=status))
        await bench.sees("no function is watched for releases")
