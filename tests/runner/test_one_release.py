"""Every consumer names the release of the same function, whichever stands first in the file."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from prodwatch.model.environment import FunctionTarget, ReleaseTarget
from prodwatch.model.signal import Batch, MetricKey, MetricPoint, MetricSeries, ReleaseEvent, ReleasePhase, ReleaseState
from prodwatch.probes.base import Observation
from prodwatch.runner.values.read_releases import release_info
from prodwatch.sources.traces.service_graph import release_began
from prodwatch.store import Store
from prodwatch.testing.check_runner import Bench
from prodwatch.testing.clock import START, FakeClock
from prodwatch.testing.definitions import environment, plain
from prodwatch.views.alarm_and_error_rows import signature_rows
from prodwatch.views.baseline import usual_range
from prodwatch.views.release import release_header
from prodwatch.views.signals import signals
from prodwatch.views.timeline import timeline
from prodwatch.views.verdict import verdict_line

BEGAN = datetime(2026, 1, 15, 11, 55, tzinfo=UTC)
ROLLED_BACK = ReleaseState(
    function="pay",
    alias="live",
    phase=ReleasePhase.ROLLED_BACK,
    version="42",
    previous="41",
    weights={"41": 1.0},
    started_at=START - timedelta(minutes=5),
)
UNTOUCHED = ReleaseState(
    function="orders", alias="live", version="17", weights={"17": 1.0}, started_at=START - timedelta(days=21)
)


@pytest.mark.parametrize("states", [(ROLLED_BACK, UNTOUCHED), (UNTOUCHED, ROLLED_BACK)], ids=["first", "second"])
def test_K11_every_view_and_the_result_name_the_same_release(states: tuple[ReleaseState, ...]) -> None:
    store = Store(FakeClock())
    points = tuple(MetricPoint(int((START - timedelta(minutes=each)).timestamp()), 1.0) for each in range(60, 5, -1))
    key = MetricKey("AWS/Lambda", "Errors", (), "Sum", "41")
    event = ReleaseEvent(at=START, source="mark", subject="mark", what="note")
    series = MetricSeries(key=key, points=points)
    store.apply(Batch(source="release", records=(*states, event, series)))
    info, header = release_info(states, attested=None), release_header(store, START)
    table, errors = signals(store, START), signature_rows(store, START)
    range_ = usual_range(store, (key,), START)
    assert info is not None
    assert header is not None
    assert range_ is not None
    assert (info.version, info.previous, info.state) == ("42", "41", "rolled back")
    assert (header.function, header.version) == ("pay", "42")
    assert (table.old_version, table.new_version) == ("41", "42")
    assert (errors.version, errors.since) == ("42", ROLLED_BACK.started_at)
    assert release_began(states, START) == timeline(store, START).started == ROLLED_BACK.started_at
    assert range_.over == "v41 in the hour before the release"
    assert "v42" in verdict_line(store, START).title


def aws_of(shop: Bench) -> None:
    """Two functions: `pay` was rolled back from 42 to 41 by CodeDeploy, `orders` stays on 17."""
    info = {"functionName": "pay", "functionAlias": "live", "currentVersion": "41", "targetVersion": "42"}
    back = info | {"currentVersion": "42", "targetVersion": "41"}
    events = [{"lifecycleEventName": "AllowTraffic", "status": "Succeeded", "startTime": BEGAN}]
    targets = {
        name: {"deploymentTarget": {"lambdaTarget": {"lambdaFunctionInfo": each, "lifecycleEvents": events}}}
        for name, each in (("d-1", info), ("d-2", back))
    }
    stopped = {"deploymentId": "d-1", "createTime": BEGAN, "status": "Stopped"}
    undo = {
        "deploymentId": "d-2",
        "createTime": BEGAN + timedelta(minutes=1),
        "status": "Succeeded",
        "rollbackInfo": {"rollbackTriggeringDeploymentId": "d-1"},
    }
    serving = {"pay": "41", "orders": "17"}
    shop.aws.answers |= {
        "lambda:GetAlias": lambda params: {"FunctionVersion": serving[params["FunctionName"]]},
        "lambda:GetFunctionConfiguration": lambda _params: {"LastModified": "2026-01-01T00:00:00.000+0000"},
        "codedeploy:ListDeploymentGroups": lambda _params: {"deploymentGroups": ["live"]},
        "codedeploy:ListDeployments": lambda _params: {"deployments": ["d-1", "d-2"]},
        "codedeploy:BatchGetDeployments": lambda _params: {"deploymentsInfo": [stopped, undo]},
        "codedeploy:ListDeploymentTargets": lambda _params: {"targetIds": ["t"]},
        "codedeploy:GetDeploymentTarget": lambda params: targets[params["deploymentId"]],
    }


@pytest.mark.parametrize("names", [("pay", "orders"), ("orders", "pay")], ids=["first", "second"])
async def test_K24_K11_a_check_and_its_result_name_the_same_release(bench: Bench, names: tuple[str, str]) -> None:
    aws_of(bench)
    bench.environment = environment(
        functions=tuple(FunctionTarget(name=each, alias="live") for each in names),
        release=ReleaseTarget(codedeploy=("shop",), attest="header('x-version')"),
    )
    probe = bench.script("http", Observation(document={"status": 200}))
    result = await bench.run(
        plain(type="http", url="https://x/${release.version}/${release.state}", expect=["status == 200"], attest="")
    )
    assert result.release is not None
    assert (result.release.version, result.release.previous, result.release.state) == ("42", "41", "rolled back")
    assert result.release.weights == {"41": 1.0}
    assert probe.requests[0].params["url"] == "https://x/42/rolled back"
