"""One template door: a reference in any text of either file is filled, or refused; no command shows or sends it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from prodwatch.clock import SystemClock
from prodwatch.model.signal import SourcePhase
from prodwatch.session.live import LiveSession
from prodwatch.settings import load_project
from prodwatch.store.store import Store
from tests.settings.test_no_key_without_effect import (
    CONFIG,
    check_keys,
    check_with,
    environment_keys,
    environment_with,
)
from tests.support.case_project import CaseProject
from tests.support.forged_aws import World
from tests.support.raw_web import RawWeb
from tests.support.waiting import until

REFERENCE = "${vars.door}"
DOOR = "door-4711"
FORMS: tuple[Any, ...] = (REFERENCE, f"a-{REFERENCE}-b", [REFERENCE], {"x": REFERENCE}, {REFERENCE: "x"})
"""Kinds of values that may hold a reference; a key takes some of them."""
COMMANDS = (
    ("list",),
    ("list", "--json"),
    ("validate",),
    ("check", "--dry-run"),
    ("check", "--dry-run", "--json"),
    ("iam-policy",),
)
VARIABLES = f'door = "{DOOR}"'
WATCHING = (
    ("validate", "--online"),
    ("doctor",),
    ("iam-policy", "--online"),
    ("logs", "--no-follow"),
    ("logs", "--no-follow", "--json", "--since", "5m"),
    ("traces", "--no-follow"),
    ("traces", "--no-follow", "--json"),
    ("metrics", "--no-follow"),
    ("metrics", "--no-follow", "--json"),
    ("gate", "--plan"),
    ("check", "--json"),
    ("cleanup",),
    ("history",),
)
"""Commands that read what the environment watches; `check --json` judges its alarms and metrics, too."""
EVERY_TEXT = """
title = "t"
protected = false
[aws]
region = "eu-west-1"
[vars]
door = "door-4711"
[secrets]
own = { ssm = "/${vars.door}/x" }
stored = { secretsmanager = "${vars.door}", field = "${vars.door}" }
[[function]]
name = "${vars.door}"
alias = "${vars.door}"
log_group = "/own/${vars.door}"
[[logs]]
group = "/more/${vars.door}"
filter = "${vars.door}"
[traces]
filter = 'service("${vars.door}")'
[[metric]]
name = "m ${vars.door}"
namespace = "${vars.door}"
metric = "${vars.door}"
stat = "Average"
dimensions = { "${vars.door}" = "${vars.door}" }
expect = ["value < 1"]
[[alarm]]
prefix = "${vars.door}"
[[alarm]]
names = ["${vars.door}"]
[release]
codedeploy = "${vars.door}"
[rounds]
every = "1s"
"""
"""A reference in every text of an environment that takes one."""
ONE_CHECK = '[[check]]\nname = "a"\ntype = "pass"\nreason = "x"\n'


def literal(text: str) -> bool:
    """Return whether the reference is in an output; others may be in it, whose values only a run knows."""
    return "vars.door" in text


CHECK_KEYS = list(check_keys())
PARTS = 12


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_no_command_shows_a_reference_of_a_check_file(part: int, project: CaseProject) -> None:
    project.configure(CONFIG, variables=VARIABLES)
    accepted = 0
    for kind, type_, name in CHECK_KEYS[part::PARTS]:
        for form in FORMS:
            told = f"{kind} {type_}.{name} = {form}"
            project.write("checks/c.toml", check_with(kind, type_, name, form))
            shown = project.run(*COMMANDS[0])
            assert shown.code in {0, 2, 5}, f"{told}: {shown.said}"
            if shown.code == 2:
                assert "checks/c.toml:" in shown.said, told
                continue
            accepted += 1
            assert not literal(shown.said), f"{told}: {shown.said}"
            listed = project.run("list", "--json")
            ids = [each["id"] for each in json.loads(listed.out)] if listed.code == 0 else []
            for command in (*COMMANDS[1:], *(("explain", id_) for id_ in ids)):
                ended = project.run(*command)
                assert ended.code in {0, 1, 2, 3, 5}, f"{told}: {command}: {ended.said}"
                assert not literal(ended.said), f"{told}: {command}: {ended.said}"
            break
    assert accepted


@pytest.fixture
def watched(project: CaseProject) -> CaseProject:
    """A project whose environment has a reference in every text."""
    project.write("config/t.toml", EVERY_TEXT)
    project.write("checks/c.toml", ONE_CHECK)
    return project


@pytest.mark.parametrize("command", WATCHING, ids=" ".join)
def test_what_the_environment_watches_is_filled_in_every_command(
    command: tuple[str, ...], watched: CaseProject, world: World
) -> None:
    ended = watched.run(*command)
    assert ended.code in {0, 1, 3, 4}, ended.said
    assert not literal(ended.said), ended.said
    assert not literal(sent(world))


async def test_what_the_environment_watches_is_filled_in_the_session_of_dashboard_and_gate(
    watched: CaseProject, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in watched.environ.items():
        monkeypatch.setenv(name, value)
    clock = SystemClock()
    store = Store(clock)
    loaded = load_project(root=watched.project, env="t", environ=watched.environ)
    session = LiveSession(loaded, store, clock)
    await session.start()
    try:
        await until(
            lambda: (
                bool(store.sources) and all(each.phase is not SourcePhase.STARTING for each in store.sources.values())
            )
        )
    finally:
        await session.stop()
    assert not literal(sent(world))
    assert DOOR in sent(world)
    shown = [each.message for each in store.notices] + [str(each.message) for each in store.sources.values()]
    assert not literal("\n".join(shown))


def sent(world: World) -> str:
    """Return what AWS received."""
    return "\n".join(f"{each.path} {each.query} {each.body!r}" for each in world.aws.received)


@pytest.mark.slow
@pytest.mark.parametrize("path", list(environment_keys()), ids=".".join)
def test_no_command_shows_a_reference_of_an_environment(path: tuple[str, ...], project: CaseProject) -> None:
    project.write("checks/c.toml", ONE_CHECK)
    for form in FORMS:
        text = environment_with(path, form)
        own = text if re.search(r"(?m)^\[vars\]", text) else f"{text}\n[vars]\n{VARIABLES}\n"
        project.write("config/t.toml", own.replace("[vars]\n", f"[vars]\n{VARIABLES}\n") if own is text else own)
        refused = project.run("validate")
        assert refused.code in {0, 2}, refused.said
        if refused.code == 2:
            assert "config/t.toml:" in refused.said
            continue
        for command in (*COMMANDS, ("explain", "c/a"), ("doctor",), ("gate", "--plan")):
            ended = project.run(*command)
            assert ended.code in {0, 1, 2, 3}, f"{command}: {ended.said}"
            assert not literal(ended.said), f"{form}: {command}: {ended.said}"


SENT = """
[[check]]
name = "sends"
type = "http"
method = "POST"
mutates = true
url = "${{vars.url}}/x"
{key}
expect = ["status == 200"]
"""


@pytest.mark.parametrize(
    "key",
    [
        'headers = { "x-a" = "${vars.door}" }',
        'headers = { "${vars.door}" = "a" }',
        'query = { "${vars.door}" = "${vars.door}" }',
        'body = "${vars.door}"',
        'json = { "${vars.door}" = ["${vars.door}"] }',
        'form = { "${vars.door}" = "${vars.door}" }',
        'auth = { bearer = "${vars.door}" }',
        'auth = { basic = { user = "${vars.door}", password = "${vars.door}" } }',
        'auth = { header = { name = "${vars.door}", value = "${vars.door}" } }',
        'links = { "${vars.door}" = "https://${vars.door}" }',
        'http_version = "${vars.door}"',
        'address_family = "${vars.door}"',
        'max_body = "${vars.door}"',
        'proxy = "${vars.door}"',
        'timeout = "${vars.door}"',
    ],
)
def test_no_request_holds_a_reference(key: str, project: CaseProject, web: RawWeb) -> None:
    web.routes["/x"] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    project.configure("", variables=VARIABLES)
    project.write("checks/c.toml", SENT.format(key=key))
    ended = project.run("check", "--json")
    assert ended.code in {0, 1, 2, 3}, ended.said
    sent = b"".join(web.requests).decode()
    assert "${" not in sent
    if ended.code != 2:
        assert not literal(ended.out)
