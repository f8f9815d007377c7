"""A log group, function or alarm of one name in two regions, in every command; one of the regions may fail."""

from __future__ import annotations

import json
import time

import pytest

from prodwatch.demo.aws.alarms.model import MetricAlarm
from tests.support.case_project import CaseProject
from tests.support.forged_aws import REGION, World
from tests.support.regions import Regions

EAST = "us-east-1"
READ = ("--since", "5m", "--no-follow")


@pytest.fixture
def regions(world: World, project: CaseProject, name: str) -> Regions:
    project.configure(f'[[function]]\nname = "{name}"\n[[function]]\nname = "{name}"\nregion = "{EAST}"\n')
    return Regions(world, f"/aws/lambda/{name}")


@pytest.fixture(params=["watched", "function", "group", "prefix"])
def named(request: pytest.FixtureRequest, name: str) -> tuple[str, ...]:
    """The ways to name the group as arguments of `logs`."""
    ways = {"watched": (), "function": (name,), "group": (f"/aws/lambda/{name}",), "prefix": (f"/aws/lambda/{name}*",)}
    return ways[request.param]


def test_K5_logs_reads_the_group_in_both_regions(
    project: CaseProject, regions: Regions, named: tuple[str, ...], name: str
) -> None:
    if named == (f"/aws/lambda/{name}*",):
        project.configure(f'[[logs]]\ngroup = "{named[0]}"\n[[logs]]\ngroup = "{named[0]}"\nregion = "{EAST}"\n')
    ended = project.run("logs", *named, *READ, "--errors")
    assert (ended.code, len(ended.out.splitlines())) == (0, 1), ended.said
    assert "KeyError: boom" in ended.out
    lines = [json.loads(line) for line in project.run("logs", *named, *READ, "--json").out.splitlines()]
    assert [(line["group"], line.get("region"), line["message"]) for line in lines] == [
        (regions.group, None, "fine at home"),
        (regions.group, EAST, "KeyError: boom"),
    ]


def test_W10_a_version_of_one_function_is_none_of_another(project: CaseProject, regions: Regions, name: str) -> None:
    ended = project.run("logs", *READ, "--json", "--version", f"{name}:42")
    assert [json.loads(line)["function"] for line in ended.out.splitlines()] == [name, name], ended.said
    for version in (f"{name}:41", "41"):
        assert project.run("logs", *READ, "--json", "--version", version).out == ""
    ended = project.run("logs", *READ, "--json", "--version", "other:42")
    assert (ended.code, ended.out) == (2, ""), ended.said
    assert "other is not a function whose lines are read here" in ended.err
    project.configure(f'[[function]]\nname = "{name}"\n[[function]]\nname = "other"\n')
    assert project.run("logs", *READ, "--json", "--version", "other:42").out == ""


def test_K19_lines_of_both_regions_say_which(project: CaseProject, regions: Regions, name: str) -> None:
    ended = project.run("logs", *READ)
    home, east = ended.out.splitlines()
    assert f"{name}:42 " in home
    assert EAST not in home
    assert f"{name}:42 in {EAST}" in east


def test_K19_a_name_in_one_region_only_is_not_followed_by_it(project: CaseProject, regions: Regions, name: str) -> None:
    project.configure(f'[[function]]\nname = "{name}"\nregion = "{EAST}"\n[[logs]]\ngroup = "/shop/{name}"\n')
    ended = project.run("logs", *READ)
    assert "KeyError: boom" in ended.out
    assert EAST not in ended.out


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        (f"region:{EAST}", ["KeyError: boom"]),
        (f"!region:{EAST}", ["fine at home"]),
        ("place:home", ["fine at home"]),
        (f"place:={EAST}", ["KeyError: boom"]),
        ("account:pay", []),
    ],
)
def test_K19_lines_are_filtered_by_region(
    project: CaseProject, regions: Regions, text: str, messages: list[str]
) -> None:
    ended = project.run("logs", *READ, "--json", "--filter", text)
    assert [json.loads(line)["message"] for line in ended.out.splitlines()] == messages, ended.said


@pytest.mark.parametrize("broken", [REGION, EAST])
@pytest.mark.parametrize("named", ["watched", "function", "group"], indirect=True)
def test_K5_a_region_that_fails_hides_nothing_of_the_other_and_is_named(
    project: CaseProject, regions: Regions, named: tuple[str, ...], broken: str
) -> None:
    regions.failing = {("FilterLogEvents", broken)}
    ended = project.run("logs", *named, *READ, "--json")
    shown = [json.loads(line)["message"] for line in ended.out.splitlines()]
    assert shown == ["KeyError: boom" if broken == REGION else "fine at home"], ended.said
    assert ended.code == 3
    key = regions.group if broken == REGION else f"{EAST}:{regions.group}"
    assert f"not read completely: {key}" in ended.err


def test_K5_the_list_names_the_group_in_both_regions(project: CaseProject, regions: Regions, name: str) -> None:
    for named in ((), (name,), (regions.group,)):
        ended = project.run("logs", "--list", *named)
        assert ended.out.splitlines() == [regions.group, f"{regions.group} in {EAST}"], ended.said
        listed = project.run("logs", "--list", "--json", *named).out.splitlines()
        assert [json.loads(line).get("region") for line in listed] == [None, EAST]
    regions.failing = {("DescribeLogGroups", EAST)}
    ended = project.run("logs", "--list")
    assert (ended.out.splitlines(), ended.code) == ([regions.group], 3)
    assert "DescribeLogGroups" in ended.err


def test_K5_a_group_that_one_region_lacks_is_read_in_the_other(
    project: CaseProject, regions: Regions, name: str
) -> None:
    del regions.lines[REGION]
    ended = project.run("logs", name, *READ, "--json")
    assert [json.loads(line)["region"] for line in ended.out.splitlines()] == [EAST]
    assert ended.code == 0, ended.said
    ended = project.run("logs", regions.group, *READ, "--json")
    assert ended.code == 3, "named as a group, not as a function"


@pytest.mark.parametrize("region", ["", 'region = "eu-west-1"', 'region = "${env.AWS_DEFAULT_REGION}"'], ids=str)
@pytest.mark.parametrize("home", ['region = "eu-west-1"', ""], ids=["in the file", "in the process's environment"])
def test_K16_an_alarm_is_listed_once_however_its_own_region_is_written(
    project: CaseProject, world: World, name: str, home: str, region: str
) -> None:
    alarm = MetricAlarm(name=name, namespace="Shop", metric="Never", missing="breaching")
    world.aws.alarms.put(alarm, created_s=time.time() - 600)
    world.aws.alarms.set_state(name, "ALARM", "too many errors")
    tables = f'[[alarm]]\nprefix = "{name}"\n[[alarm]]\nnames = ["{name}"]\n{region}\n'
    project.write("config/t.toml", f"[aws]\n{home}\n{tables}")
    ended = project.checked('[[check]]\nname = "c"\ntype = "pass"\n')
    assert [(each["id"], each["status"]) for each in ended.document["signals"]] == [(name, "fail")], ended.document


IN_BOTH = """
[[check]]
name = "home"
type = "logs"
group = "{group}"
expect = ["count == 1", "lines[0].message contains 'fine at home'"]

[[check]]
name = "east"
type = "logs"
group = "{group}"
region = "us-east-1"
expect = ["count == 1", "lines[0].message contains 'KeyError'"]
"""


@pytest.mark.parametrize("broken", [None, REGION, EAST])
def test_K5_checks_of_one_group_in_two_regions_are_judged_apart(
    project: CaseProject, regions: Regions, broken: str | None
) -> None:
    regions.failing = set() if broken is None else {("FilterLogEvents", broken)}
    found = project.checked(IN_BOTH.format(group=regions.group))
    states = {"home": REGION, "east": EAST}
    assert found.statuses == {name: "error" if place == broken else "pass" for name, place in states.items()}
    assert found.verdict == ("pass" if broken is None else "error")
