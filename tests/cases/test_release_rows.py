"""With several functions one release is the main one, and every part of the product names the same."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

import pytest

from prodwatch.demo.aws.codedeploy.model import Deployment, DeploymentStatus, DeploymentStep
from prodwatch.demo.aws.functions.model import Function, FunctionVersion
from tests.support.case_project import CaseProject
from tests.support.forged_aws import World

DAY_S = 86_400.0
SAYS = """
[[check]]
name = "says"
type = "command"
argv = ["echo", "${release.version} ${release.previous} ${release.state}"]
mutates = false
expect = ["stdout == '42 41 shifting\\n'"]
"""


def released(
    world: World,
    name: str,
    function: str,
    *,
    old: str,
    new: str,
    age_s: float,
    status: DeploymentStatus,
    weight: float | None = None,
) -> None:
    """Give a function with an alias one deployment that began `age_s` ago."""
    now = time.time()
    versions = tuple(FunctionVersion(version=each, published_s=now - 30 * DAY_S) for each in (old, new))
    world.aws.functions.put(Function(name=function, versions=versions))
    world.aws.functions.put_alias(function, "live", old, {})
    steps = (
        DeploymentStep(
            after_s=1, status="InProgress", weight=weight, lifecycle="AllowTraffic", lifecycle_status="InProgress"
        ),
        *((DeploymentStep(after_s=60, status=status),) if status != "InProgress" else ()),
    )
    world.aws.deployments.put(
        Deployment(
            id=f"d-{function[:9].upper()}",
            application=name,
            group=function,
            function=function,
            alias="live",
            current=old,
            target=new,
            created_s=now - age_s,
            events=steps,
        )
    )


def files(name: str, functions: Sequence[str]) -> str:
    tables = "".join(f'[[function]]\nname = "{each}"\nalias = "live"\n' for each in functions)
    return f'[release]\ncodedeploy = "{name}"\n{tables}'


@pytest.mark.parametrize("first", [0, 1], ids=["orders first", "pay first"])
def test_K37_the_release_option_means_the_release_of_the_dashboard(
    first: int, project: CaseProject, name: str, world: World
) -> None:
    orders, pay = f"o{name}", f"p{name}"
    released(world, name, orders, old="16", new="17", age_s=21 * DAY_S, status="Succeeded", weight=1.0)
    released(world, name, pay, old="41", new="42", age_s=300, status="InProgress", weight=0.1)
    now_ms = int(time.time() * 1000)
    for function, version in ((orders, "17"), (pay, "42"), (pay, "41")):
        line = (now_ms - 30_000, f"[ERROR] {function} {version} is broken")
        world.aws.logs.put(f"/aws/lambda/{function}", f"2026/11/30/[{version}]ab", [line])
    names = (orders, pay) if first == 0 else (pay, orders)
    project.configure(files(name, names))
    project.write("checks/c.toml", SAYS)
    logs = project.run("logs", "--env", "t", "--no-follow", "--since", "release", "--version", "release", "--json")
    assert logs.code == 0, logs.err
    assert f"{pay} 42 is broken" in logs.out
    assert f"{pay} 41" not in logs.out
    run = json.loads(project.run("check", "--env", "t", "--json").out)
    assert [each["status"] for each in run["checks"]] == ["pass"], run["checks"][0]["message"]
    assert (run["release"]["version"], run["release"]["previous"]) == ("42", "41")


def test_K12_the_release_option_means_each_functions_own_version(project: CaseProject, name: str, world: World) -> None:
    pay, cart, mail = f"p{name}", f"c{name}", f"m{name}"
    released(world, name, pay, old="41", new="42", age_s=300, status="InProgress", weight=0.1)
    released(world, name, cart, old="39", new="41", age_s=200, status="InProgress", weight=0.1)
    now_ms = int(time.time() * 1000)
    written = {(pay, "41"): False, (pay, "42"): True, (cart, "39"): False, (cart, "41"): True, (mail, "42"): False}
    for function, version in written:
        line = (now_ms - 30_000, f"[ERROR] {function} {version} is broken")
        world.aws.logs.put(f"/aws/lambda/{function}", f"2026/11/30/[{version}]ab", [line])
    project.configure(files(name, (pay, cart)) + f'[[logs]]\ngroup = "/aws/lambda/{mail}"\n')
    logs = project.run("logs", "--env", "t", "--no-follow", "--since", "2m", "--version", "release", "--json")
    assert logs.code == 0, logs.err
    shown = {(function, version) for function, version in written if f"{function} {version} is broken" in logs.out}
    assert shown == {each for each, is_new in written.items() if is_new}


def test_K12_while_nothing_is_released_the_option_means_the_version_that_serves(
    project: CaseProject, name: str, world: World
) -> None:
    versions = tuple(FunctionVersion(version=each, published_s=time.time() - DAY_S) for each in ("41", "42"))
    world.aws.functions.put(Function(name=name, versions=versions))
    world.aws.functions.put_alias(name, "live", "42", {})
    for version in ("41", "42"):
        line = (int(time.time() * 1000) - 30_000, f"{version} writes")
        world.aws.logs.put(f"/aws/lambda/{name}", f"2026/11/30/[{version}]ab", [line])
    project.configure(f'[[function]]\nname = "{name}"\nalias = "live"\n')
    logs = project.run("logs", "--env", "t", "--no-follow", "--since", "2m", "--version", "release")
    assert ("42 writes" in logs.out, "41 writes" in logs.out) == (True, False), logs.err
