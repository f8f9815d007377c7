"""A reference in any text of a watched table is filled before anything reads the table, or keeps it from being read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from prodwatch.aws.interface import AwsError
from prodwatch.errors import CannotVerifyError, ConfigurationError
from prodwatch.judge.signals import unfilled_signals
from prodwatch.model.environment import Environment, StackReference
from prodwatch.model.signal import ReleaseState
from prodwatch.model.spec import Key
from prodwatch.model.status import Reason, Status
from prodwatch.runner.values.read_releases import ReleaseReading
from prodwatch.runner.values.remote_inputs import ReleaseReader, RemoteInputs
from prodwatch.runner.values.watched_targets import fill_watched
from prodwatch.settings import load_project
from prodwatch.settings.environment_keys import SECTIONS, Section
from prodwatch.sources.build_sources import unfilled_sources
from prodwatch.testing.aws import ScriptedAws
from prodwatch.testing.clock import FakeClock
from prodwatch.text.redact import Redactor

VALUES = {"expect": "value < {}", "warn": "value < {}", "match": "v{{version}}{}"}
"""Key → text around the reference that the key's own rules need."""
REQUIRED = {
    "function": 'name = "f"',
    "logs": 'group = "g"',
    "metric": 'name = "m"\nnamespace = "N"\nmetric = "M"',
    "alarm": 'prefix = "a-"',
}
REQUIRED_METRIC = "[[metric]]\n" + REQUIRED["metric"]
EARLY = {("metric", "name"), ("release", "match")}
"""Keys that a run does not fill: their values have to be known when the file is read."""


def texts() -> Iterator[tuple[Section, Key]]:
    for section in SECTIONS:
        if section.filled == "late" and section.name != "vars":
            for key in section.keys:
                # Each check fills `attest` with its own references.
                if key.kind in {"text", "texts", "table"} and not key.choices and not key.keys and key.name != "attest":
                    yield section, key


KEYS = [pytest.param(section, key, id=f"{section.name}.{key.name}") for section, key in texts()]

LATE = [
    pytest.param(section, key, id=f"{section.name}.{key.name}")
    for section, key in texts()
    if key.name != "account" and (section.name, key.name) not in EARLY
]


def table(section: Section, key: Key, reference: str) -> str:
    written = VALUES.get(key.name, "{}").format(reference)
    value = {"text": f'"{written}"', "texts": f'["{written}"]', "table": f'{{ fn = "{written}" }}'}[key.kind]
    others = [line for line in REQUIRED.get(section.name, "").splitlines() if not line.startswith(f"{key.name} ")]
    head = f"[[{section.name}]]" if section.shape == "tables" else f"[{section.name}]"
    return "\n".join((head, *others, f"{key.name} = {value}"))


def loaded(folder: Path, text: str) -> Environment:
    (folder / "config").mkdir(exist_ok=True)
    (folder / "config" / "t.toml").write_text(
        f'[aws]\nregion = "eu-west-1"\n[aws.accounts.555]\n[stacks]\nshop = "shop"\n[vars]\nx = "555"\n{text}\n'
    )
    return load_project(root=folder, env="t", environ={"X": "555"}).environment


async def nothing(*_: Any) -> Any:
    raise AssertionError("only stacks are read")


def inputs(
    environment: Environment, outputs: Mapping[str, str] | Exception, read_release: ReleaseReader = nothing
) -> RemoteInputs:
    async def read_stack(_stack: StackReference) -> Mapping[str, str]:
        if isinstance(outputs, Exception):
            raise outputs
        return outputs

    return RemoteInputs(
        environment,
        aws=ScriptedAws(),
        env={"X": "555"},
        redactor=Redactor(),
        read_stack=read_stack,
        read_resources=read_stack,
        read_secret=nothing,
        read_release=read_release,
    )


def written(environment: Environment) -> str:
    parts = (
        environment.functions,
        environment.logs,
        environment.metrics,
        environment.alarms,
        environment.traces_filter,
        environment.release.codedeploy,
        environment.release.appconfig,
    )
    return msgspec.json.encode(parts).decode()


@pytest.mark.parametrize("reference", ["${vars.x}", "${env.X}", "${stack.shop.X}", "${resource.shop.X}"])
@pytest.mark.parametrize(("section", "key"), KEYS)
async def test_A1_every_text_is_filled(section: Section, key: Key, reference: str, tmp_path: Path) -> None:
    if reference.startswith(("${stack", "${resource")) and (key.name == "account" or (section.name, key.name) in EARLY):
        with pytest.raises(ConfigurationError, match="known only at run time"):
            loaded(tmp_path, table(section, key, reference))
        return
    environment = loaded(tmp_path, table(section, key, reference))
    filled = await fill_watched(environment, inputs(environment, {"X": "555"}), FakeClock())
    assert "${" not in written(filled)
    assert "555" in written(filled) + filled.release.match
    assert filled.unfilled == ()


@pytest.mark.parametrize("reason", [Reason.DEADLINE, Reason.INTERRUPTED])
async def test_N10_a_reading_of_stacks_that_never_ends_can_be_ended(reason: Reason, tmp_path: Path) -> None:
    tables = '[[function]]\nname = "${stack.shop.X}"\n[[alarm]]\nprefix = "${stack.shop.X}"\n'
    environment = loaded(tmp_path, tables)
    asked = asyncio.Event()

    async def read_stack(_stack: StackReference) -> Mapping[str, str]:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    remote = RemoteInputs(
        environment,
        aws=ScriptedAws(),
        env={},
        redactor=Redactor(),
        read_stack=read_stack,
        read_resources=nothing,
        read_secret=nothing,
        read_release=nothing,
    )
    filling = asyncio.create_task(fill_watched(environment, remote, FakeClock()))
    await asked.wait()
    remote.abandon(reason)
    filled = await filling
    assert [(each.kind, each.reason, each.status) for each in filled.unfilled] == [
        ("function", reason, Status.INCONCLUSIVE),
        ("alarm", reason, Status.INCONCLUSIVE),
    ]
    assert {each.status for each in unfilled_signals(filled)} == {Status.INCONCLUSIVE}


UNREADABLE = [
    pytest.param({}, Reason.UNRESOLVED, id="no such output"),
    pytest.param(LookupError("no such stack"), Reason.UNRESOLVED, id="missing"),
    pytest.param(CannotVerifyError("another account", Reason.WRONG_ACCOUNT), Reason.WRONG_ACCOUNT, id="wrong account"),
    pytest.param(
        AwsError("no", code="X", reason=Reason.ACCESS_DENIED, service="s", operation="o"), Reason.ACCESS_DENIED, id="no"
    ),
    pytest.param(KeyError("Outputs"), Reason.INTERNAL, id="a bug"),
]


@pytest.mark.parametrize(("outputs", "reason"), UNREADABLE)
@pytest.mark.parametrize(("section", "key"), LATE)
async def test_A1_what_cannot_be_filled_is_an_unread_source(
    section: Section, key: Key, outputs: Any, reason: Reason, tmp_path: Path
) -> None:
    environment = loaded(tmp_path, table(section, key, "${stack.shop.X}"))
    filled = await fill_watched(environment, inputs(environment, outputs), FakeClock())
    assert "${" not in written(filled)
    assert [(each.kind, each.reason) for each in filled.unfilled] == [(section.name, reason)]
    assert len(unfilled_sources(filled, Redactor())) == 1
    if section.name == "traces":
        assert not filled.traces_enabled


NEVER_KNOWN = ("uid", "now", "trace_id", "run.id", "release.previous", "secret.s", "captured.c")


@pytest.mark.parametrize(("section", "key"), KEYS)
def test_A1_what_a_watched_table_can_never_have_is_a_mistake(section: Section, key: Key, tmp_path: Path) -> None:
    def accepted(scope: str, reference: str) -> bool:
        text = f'late = "${{{scope}}}"\n[secrets]\ns = {{ env = "X" }}\n{table(section, key, reference)}'
        try:
            loaded(tmp_path, text)
        except ConfigurationError:
            return False
        return True

    for scope in NEVER_KNOWN:
        assert not accepted(scope, f"${{{scope}}}"), scope
        assert not accepted(scope, "${vars.late}"), f"{scope} through a variable"


EXPECT = next((section, key) for section, key in texts() if key.name == "expect")


@pytest.mark.parametrize(
    ("output", "filled"), [("5", ("value < 5",)), ("0.25", ("value < 0.25",)), ("5 or value > 0", None), ("x", None)]
)
async def test_A1_a_filled_value_in_an_assertion_is_one_value(
    output: str, filled: tuple[str, ...] | None, tmp_path: Path
) -> None:
    environment = loaded(tmp_path, table(*EXPECT, "${stack.shop.X}"))
    found = await fill_watched(environment, inputs(environment, {"X": output}), FakeClock())
    assert [each.expect for each in found.metrics] == ([] if filled is None else [filled])
    assert len(found.unfilled) == (filled is None)


@pytest.mark.parametrize(
    ("section", "output"),
    [
        ("function", "arn:aws:lambda:eu-west-1:123456789012:function:f"),
        ("function", ""),
        ("logs", ""),
        ("alarm", ""),
    ],
)
async def test_A1_a_value_that_is_no_name_is_not_read(section: str, output: str, tmp_path: Path) -> None:
    chosen = next(
        (each, key) for each, key in texts() if each.name == section and key.name in {"name", "group", "prefix"}
    )
    environment = loaded(tmp_path, table(*chosen, "${stack.shop.X}"))
    found = await fill_watched(environment, inputs(environment, {"X": output}), FakeClock())
    assert [each.kind for each in found.unfilled] == [section]


BY_VERSION = '[[function]]\nname = "f"\nalias = "live"\n' + REQUIRED_METRIC + "\ndimensions = {{ {} }}\n"


@pytest.mark.parametrize(
    ("written", "filled", "left_open"),
    [
        ('version = "${release.version}"', {"version": "42"}, {"version": "${release.version}"}),
        ('v = "${vars.x}-${ release.version }"', {"v": "555-42"}, {"v": "555-${release.version}"}),
        ('v = "${vars.x}"', {"v": "555"}, {}),
    ],
)
async def test_the_version_under_release_is_filled_and_left_open_too(
    written: str, filled: dict[str, str], left_open: dict[str, str], tmp_path: Path
) -> None:
    environment = loaded(tmp_path, BY_VERSION.format(written))
    assert environment.metrics[0].is_by_version is bool(left_open)

    async def read_release() -> ReleaseReading:
        return ReleaseReading((ReleaseState(function="f", alias="live", version="42"),))

    remote = inputs(environment, {}, read_release)
    (metric,) = (await fill_watched(environment, remote, FakeClock())).metrics
    assert (metric.dimensions, metric.by_version) == (filled, left_open)
    assert metric.is_by_version is bool(left_open)
    assert not left_open or "43" in "".join(metric.dimensions_of("43").values())


@pytest.mark.parametrize(
    "written",
    [
        '[[metric]]\nname = "m"\nnamespace = "${release.version}"\nmetric = "M"\n',
        BY_VERSION.format('v = "${release.previous}"'),
        BY_VERSION.format('v = "${release.version | upper}"'),
        '[[alarm]]\nprefix = "${release.version}"\n',
        'late = "${release.version}"\n' + BY_VERSION.format('v = "${vars.late}"'),
    ],
    ids=["not a dimension", "the old version", "with a filter", "an alarm", "through a variable"],
)
def test_the_version_under_release_can_be_used_in_dimensions_alone(written: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be used here"):
        loaded(tmp_path, written)
