"""The dashboard's session: its verdict is never green over what was not read or not judged."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace

from prodwatch.clock import SystemClock
from prodwatch.demo.aws.alarms.model import MetricAlarm
from prodwatch.demo.aws.functions.model import Function, FunctionVersion
from prodwatch.model.signal import SourcePhase
from prodwatch.session.live import LiveSession
from prodwatch.session.reload import Reload
from prodwatch.settings import Project, load_project
from prodwatch.sources.base import Source
from prodwatch.sources.build_sources import build_sources
from prodwatch.sources.traces.own_requests import OwnTraces
from prodwatch.store.store import Store
from prodwatch.views.verdict import VerdictLine, verdict_line
from tests.support.case_project import CaseProject
from tests.support.forged_aws import World, replaced
from tests.support.raw_web import RawWeb
from tests.support.waiting import until

GREEN = '[[check]]\nname = "api"\ntype = "http"\nurl = "${vars.url}/ok"\nexpect = ["status == 200"]\n'


@pytest.fixture
def dashboard(project: CaseProject, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Dashboard]:
    """Return a function that opens the session of the project, whose only check is green."""
    for name, value in project.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("prodwatch.session.live.TICK_S", 0.02)
    project.write("checks/c.toml", GREEN)
    monkeypatch.setattr("prodwatch.session.live.RELOAD_EVERY_S", 0.02)
    return partial(Dashboard, project)


class Dashboard:
    """A session with its store, for as long as the block lasts."""

    def __init__(self, project: CaseProject, *, allow_writes: bool = False) -> None:
        self._project = project
        self._allow_writes = allow_writes
        self.loads = 0
        """How often the project was loaded again after an edit."""
        self._clock = SystemClock()
        self.store = Store(self._clock)

    @asynccontextmanager
    async def open(self, *, answered: bool = True) -> AsyncIterator[Dashboard]:
        """Run the session; the block begins once every source has answered or failed and every check has ended.

        Without `answered` it begins at once.
        """
        project = self._load()
        session = self.session = LiveSession(
            project,
            self.store,
            self._clock,
            allow_writes=self._allow_writes,
            reload=Reload(project, self._load_again),
        )
        await session.start()
        try:
            if answered:
                await until(self._has_answered)
            yield self
        finally:
            await session.stop()

    def _load(self) -> Project:
        """Return the project with rounds as fast as they come."""
        found = load_project(root=self._project.project, env="t", environ=self._project.environ)
        rounds = replace(found.environment.rounds, every_s=0.05)
        return replace(found, environment=replace(found.environment, rounds=rounds))

    def _load_again(self) -> Project:
        self.loads += 1
        return self._load()

    def _has_answered(self) -> bool:
        checks = self.store.checks.tracks.values()
        return all(each.phase is not SourcePhase.STARTING for each in self.store.sources.values()) and all(
            track.status is not None for track in checks
        )

    @property
    def verdict(self) -> VerdictLine:
        return verdict_line(self.store, self._clock.now())


Open = Callable[..., Dashboard]


def firing(world: World, *names: str) -> None:
    for name in names:
        world.aws.alarms.put(
            MetricAlarm(name=name, namespace="Shop", metric="Never", missing="breaching"), created_s=time.time() - 600
        )
        world.aws.alarms.set_state(name, "ALARM", "too many errors")


@pytest.mark.parametrize(
    "prefix",
    [
        "literal",
        "variable",
    ],
)
async def test_A1_a_firing_alarm_is_red_however_its_prefix_is_written(
    prefix: str, dashboard: Open, project: CaseProject, name: str, world: World
) -> None:
    firing(world, f"{name}-errors")
    written = f"{name}-" if prefix == "literal" else "${vars.name}-"
    project.configure(f'[[alarm]]\nprefix = "{written}"\n', variables=f'name = "{name}"')
    async with dashboard().open() as opened:
        assert opened.verdict.status == "fail"
        assert any(f"{name}-errors" in each for each in opened.verdict.reasons)


async def test_A1_alarms_whose_prefix_cannot_be_filled_are_not_read(
    dashboard: Open, project: CaseProject, name: str
) -> None:
    project.configure(f'[stacks]\nshop = "{name}"\n[[alarm]]\nprefix = "${{stack.shop.Stage}}-"\n')
    async with dashboard().open() as opened:
        assert opened.verdict.status not in {"pass", "degraded"}
        assert any("alarms" in each for each in opened.verdict.reasons)


async def test_B12_the_service_map_knows_the_requests_of_the_session(
    dashboard: Open, project: CaseProject, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[OwnTraces] = []

    def build(*arguments: Any, own_traces: OwnTraces, **keys: Any) -> list[Source]:
        built.append(own_traces)
        return build_sources(*arguments, own_traces=own_traces, **keys)

    monkeypatch.setattr("prodwatch.session.live.build_sources", build)
    project.configure(f'[[function]]\nname = "{name}"\n')
    async with dashboard().open(answered=False) as opened:
        opened.store.own.learn([trace := "1-6566b2a5-0123456789abcdef01234567"])
        await until(lambda: bool(built))
        assert built[0](0x6566B2A5, 0x6566B2A6) == [trace]


async def test_A8_a_log_group_that_is_not_there_is_not_quiet(dashboard: Open, project: CaseProject, name: str) -> None:
    project.configure(f'[[logs]]\ngroup = "/shop/{name}"\n')
    async with dashboard().open() as opened:
        assert opened.verdict.status == "inconclusive", opened.verdict
        assert any("does not exist" in each for each in opened.verdict.reasons)


METRIC = """
[[metric]]
name = "latency"
namespace = "{name}"
metric = "Latency"
stat = "Maximum"
unit = "ms"
{claims}
"""


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ('expect = ["value < 1s"]', "pass"),
        ('expect = ["value < 400ms"]', "fail"),
        ('expect = ["value < 400ms"]\ngate = false', "pass"),
        ('warn = ["value < 400ms"]', "degraded"),
    ],
    ids=["true", "false", "false, but decides nothing", "warned"],
)
async def test_A10_the_claims_of_a_metric_are_judged(
    claims: str,
    status: str,
    dashboard: Open,
    project: CaseProject,
    name: str,
    world: World,
) -> None:
    minute = time.time() // 60 * 60
    for back in range(2, 15):
        world.aws.metrics.put(name, "Latency", {}, minute - 60 * back, [700.0], unit="Milliseconds")
    project.configure(METRIC.format(name=name, claims=claims))
    async with dashboard().open() as opened:
        assert opened.verdict.status == status, opened.verdict


@pytest.mark.parametrize(
    "body", [b"<html>sign in</html>", b'{"MetricAlarms": [{"Ala', b""], ids=["login", "cut", "empty"]
)
async def test_A19_alarms_that_were_not_read_are_not_quiet(
    body: bytes, dashboard: Open, project: CaseProject, name: str, world: World
) -> None:
    firing(world, f"{name}-errors", f"{name}-latency")
    world.aws.forgeries["cloudwatch:DescribeAlarms"] = replaced(body, content_type="text/html")
    project.configure(f'[[alarm]]\nprefix = "{name}-"\n')
    async with dashboard().open() as opened:
        assert opened.verdict.status not in {"pass", "degraded"}, opened.verdict
        assert any("alarms" in each for each in opened.verdict.reasons)


async def test_A13_a_release_whose_versions_are_not_compared_is_not_called_good(
    dashboard: Open, project: CaseProject, name: str, world: World
) -> None:
    now = time.time()
    versions = tuple(FunctionVersion(version=each, published_s=now - 86_400) for each in ("41", "42"))
    world.aws.functions.put(Function(name=name, versions=versions))
    world.aws.functions.put_alias(name, "live", "41", {"42": 0.5})
    for back in range(3, 10):
        for version, errors in (("41", 0.0), ("42", 20.0)):
            dimensions = {"FunctionName": name, "Resource": f"{name}:live", "ExecutedVersion": version}
            at_s = now // 60 * 60 - 60 * back
            world.aws.metrics.put("AWS/Lambda", "Invocations", dimensions, at_s, [1.0], counts=[100.0])
            world.aws.metrics.put("AWS/Lambda", "Errors", dimensions, at_s, [errors / 100], counts=[100.0])
    project.configure(f'[[function]]\nname = "{name}"\nalias = "live"\n')
    async with dashboard().open() as opened:
        line = opened.verdict
        told = " ".join((line.title, *line.reasons, line.evidence or "", line.outlook or ""))
        assert line.status != "pass" or "not compared" in told, line


MFA = """
[profile base]
aws_access_key_id = AKIAFAKEFAKEFAKE0001
aws_secret_access_key = fakefakefakefakefakefakefakefakefakefake

[profile mfa]
region = eu-west-1
source_profile = base
role_arn = arn:aws:iam::123456789012:role/ops
mfa_serial = arn:aws:iam::123456789012:mfa/someone
"""


async def test_C7_no_question_is_asked_over_the_dashboard(
    dashboard: Open, project: CaseProject, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def answer(prompt: str, *_: object, **__: object) -> str:
        asked.append(prompt)
        return "123456"

    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(key)
        project.environ.pop(key)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(project.write("aws", MFA)))
    monkeypatch.setenv("AWS_PROFILE", "mfa")
    # The SDK has bound the function that it asks with; these two are looked up when it is called.
    monkeypatch.setattr("getpass.fallback_getpass", answer)
    monkeypatch.setattr("getpass._raw_input", answer)
    project.configure(f'[[alarm]]\nprefix = "{name}-"\n')
    async with dashboard().open() as opened:
        assert asked == []
        assert opened.verdict.status != "pass"


ORDER = """
[[check]]
name = "order"
type = "http"
method = "POST"
mutates = true
url = "${vars.url}/order"
expect = ["status == 200"]
"""
NEEDS = """
[[check]]
name = "depends"
type = "http"
url = "${vars.url}/depends"
needs = ["order"]
expect = ["status == 200"]
"""
DIAGNOSED = """
[[check]]
name = "red"
type = "http"
url = "${vars.url}/depends"
diagnose = ["why"]
expect = ["status == 500"]

[[check]]
name = "why"
kind = "diagnostic"
type = "http"
method = "POST"
mutates = true
url = "${vars.url}/order"
expect = ["status == 200"]
"""


@pytest.mark.parametrize("checks", [pytest.param(ORDER + NEEDS, id="needed"), pytest.param(DIAGNOSED, id="diagnosing")])
async def test_N2_a_mutating_check_runs_once_a_session_whoever_starts_it(
    checks: str, dashboard: Open, project: CaseProject, web: RawWeb
) -> None:
    opened = dashboard()
    project.write("checks/c.toml", checks)
    async with opened.open():
        await until(lambda: web.seen.count("GET /depends") >= 4)
    assert web.seen.count("POST /order") == 1


SLOW = """
[[check]]
name = "report"
type = "http"
url = "${vars.url}/report"
every = "10m"
expect = ["status == 200"]
"""


async def test_N2_a_check_that_another_one_needs_keeps_its_own_pace(
    dashboard: Open, project: CaseProject, web: RawWeb
) -> None:
    opened = dashboard()
    project.write("checks/c.toml", SLOW + NEEDS.replace("order", "report"))
    async with opened.open():
        await until(lambda: web.seen.count("GET /depends") >= 4)
    assert web.seen.count("GET /report") == 1


@pytest.mark.parametrize("edit", ["a comment", "another check", "a touch"])
async def test_N3_an_edited_file_runs_no_mutating_check_again(
    edit: str, dashboard: Open, project: CaseProject, web: RawWeb
) -> None:
    opened = dashboard()
    path = project.write("checks/c.toml", ORDER + GREEN)
    async with opened.open():
        await until(lambda: web.seen.count("POST /order") == 1)
        if edit == "another check":
            path.write_text(path.read_text() + GREEN.replace('"api"', '"second"').replace("/ok", "/second"))
            await until(lambda: web.seen.count("GET /second") >= 2)
        else:
            if edit == "a comment":
                path.write_text(path.read_text() + "# saved again\n")
            else:
                os.utime(path, (time.time() + 10, time.time() + 10))
                # Content that is the same is no edit: this one shows that the folder has been looked at since.
                project.write("checks/d.toml", GREEN.replace('"api"', '"second"'))
            await until(lambda: opened.loads >= 1)
            before = web.seen.count("GET /ok")
            await until(lambda: web.seen.count("GET /ok") >= before + 3)
    assert web.seen.count("POST /order") == 1


async def test_N14_an_edited_variable_is_used_or_its_notice_says_that_it_is_not(
    dashboard: Open, project: CaseProject, web: RawWeb
) -> None:
    opened = dashboard()
    project.configure("", variables='path = "old"')
    project.write("checks/c.toml", GREEN.replace("/ok", "/${vars.path}"))
    async with opened.open():
        project.configure("", variables='path = "new"')
        await until(lambda: opened.loads >= 1)
        before = len(web.seen)
        await until(lambda: len(web.seen) >= before + 4)
        told = " ".join(each.message for each in opened.store.notices)
    assert web.seen[-1] == "GET /new" or "vars" in told, told


@pytest.mark.parametrize("edit", ["renamed", "deleted", "changed"])
async def test_B8_a_result_of_an_earlier_edition_is_not_filed(
    edit: str, dashboard: Open, project: CaseProject, web: RawWeb
) -> None:
    opened = dashboard()
    arrived, release = web.hold("/slow")
    slow = GREEN.replace('"api"', '"slow"').replace("/ok", "/slow") + 'timeout = "50s"\nevery = "1h"\n'
    path = project.write("checks/slow.toml", slow)
    async with opened.open(answered=False):
        await until(lambda: arrived.acquire(blocking=False))
        if edit == "deleted":
            path.unlink()
        else:
            new = slow.replace('"slow"', '"other"') if edit == "renamed" else slow
            path.write_text(new.replace("/slow", "/ok"))
        await until(lambda: opened.loads >= 1)
        release.set()
        before = web.seen.count("GET /ok")
        await until(lambda: web.seen.count("GET /ok") >= before + 4)
        tracks = opened.store.checks.tracks
    if edit == "changed":
        # Its one result is that of the new definition, which another path serves.
        assert (tracks["slow/slow"].rounds, web.seen.count("GET /slow")) == (1, 1)
    else:
        assert "slow/slow" not in tracks


async def test_N3_a_mutating_check_whose_definition_changed_waits_to_be_asked(
    dashboard: Open, project: CaseProject, web: RawWeb
) -> None:
    opened = dashboard()
    path = project.write("checks/c.toml", ORDER + GREEN)
    async with opened.open():
        await until(lambda: web.seen.count("POST /order") == 1)
        path.write_text((ORDER + GREEN).replace("/order", "/orders"))
        await until(lambda: opened.loads >= 1)
        before = web.seen.count("GET /ok")
        await until(lambda: web.seen.count("GET /ok") >= before + 3)
        assert web.seen.count("POST /orders") == 0
        assert opened.store.checks.tracks["c/order"].status is None
        assert any("not run again" in each.message and "c/order" in each.message for each in opened.store.notices)
        await opened.session.rerun(["c/order"])
        assert web.seen.count("POST /orders") == 1
        assert opened.store.checks.tracks["c/order"].status == "pass"


async def test_N3_a_mutating_check_in_a_renamed_file_is_not_run_again(
    dashboard: Open, project: CaseProject, web: RawWeb
) -> None:
    opened = dashboard()
    path = project.write("checks/order.toml", ORDER)
    async with opened.open():
        await until(lambda: web.seen.count("POST /order") == 1)
        path.rename(path.with_name("orders.toml"))
        await until(lambda: opened.loads >= 1)
        before = web.seen.count("GET /ok")
        await until(lambda: web.seen.count("GET /ok") >= before + 3)
    assert web.seen.count("POST /order") == 1


async def test_N14_an_environment_that_becomes_protected_is_protected_at_once(
    dashboard: Open, project: CaseProject, web: RawWeb
) -> None:
    opened = dashboard()
    project.write("checks/c.toml", ORDER.replace("expect", 'every = "100ms"\nexpect') + GREEN)
    async with opened.open():
        await until(lambda: web.seen.count("POST /order") >= 2)
        config = project.project / "config" / "t.toml"
        text = config.read_text()
        assert "protected = false" in text
        config.write_text(text.replace("protected = false", "protected = true"))
        await until(lambda: opened.store.checks.tracks["c/order"].status == "skipped")
        sent = web.seen.count("POST /order")
        before = web.seen.count("GET /ok")
        await until(lambda: web.seen.count("GET /ok") >= before + 3)
    assert web.seen.count("POST /order") == sent


async def test_N14_what_is_not_followed_is_named(dashboard: Open, project: CaseProject, web: RawWeb) -> None:
    opened = dashboard()
    async with opened.open():
        project.configure('[limits]\nconcurrency = 3\n[[alarm]]\nprefix = "x-"\n')
        await until(lambda: any("next start" in each.message for each in opened.store.notices))
        (told,) = [each.message for each in opened.store.notices if "next start" in each.message]
    assert "[limits]" in told
    assert "[alarm]" in told
    assert web.seen


async def test_N3_a_file_that_is_empty_while_it_is_saved_loses_no_result(
    dashboard: Open, project: CaseProject, web: RawWeb
) -> None:
    opened = dashboard()
    path = project.write("checks/order.toml", ORDER)
    async with opened.open():
        await until(lambda: web.seen.count("POST /order") == 1)
        path.write_text("")
        await until(lambda: "order/order" not in opened.store.checks.tracks)
        path.write_text(ORDER)
        await until(lambda: "order/order" in opened.store.checks.tracks)
        assert opened.store.checks.tracks["order/order"].status == "pass"
        before = web.seen.count("GET /ok")
        await until(lambda: web.seen.count("GET /ok") >= before + 3)
    assert web.seen.count("POST /order") == 1


@pytest.mark.parametrize(("allow_writes", "status"), [(True, "pass"), (False, "skipped")])
async def test_D_the_dashboard_changes_a_protected_environment_only_where_writes_are_allowed(
    allow_writes: bool, status: str, dashboard: Open, project: CaseProject, web: RawWeb
) -> None:
    project.write("config/t.toml", f'protected = true\n[vars]\nurl = "{project.url}"\n')
    project.write(
        "checks/c.toml",
        f"""
[[check]]
name = "post"
type = "http"
method = "POST"
mutates = true
url = "{web.url}/orders"
expect = ["status == 200"]
""",
    )
    async with dashboard(allow_writes=allow_writes).open() as opened:
        assert [str(track.status) for track in opened.store.checks.tracks.values()] == [status]
