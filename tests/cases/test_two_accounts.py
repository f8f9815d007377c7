"""Functions, alarms, metrics and traces of one name in two accounts and two regions, in every command.

One place fails; in another one nothing can be read.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from prodwatch.model.identity import Place, unique_name
from tests.support.case_project import CaseProject
from tests.support.forged_aws import World
from tests.support.two_accounts import BOOM, FUNCTIONS, PAY, PAY_EAST, PLACES, TwoAccounts

GREEN = '[[check]]\nname = "green"\ntype = "pass"\n'
READ = ("--since", "20m", "--no-follow")


@pytest.fixture(
    scope="module",
    params=[PAY_EAST, *(pytest.param(each, marks=pytest.mark.slow) for each in PLACES[:3])],
    ids=lambda place: str(place) or "home",
)
def scene(request: pytest.FixtureRequest, served_world: World) -> Iterator[TwoAccounts]:
    found = TwoAccounts(served_world, request.param)
    with found.serving():
        yield found


@pytest.fixture
def watching(project: CaseProject, scene: TwoAccounts) -> CaseProject:
    """A project that watches all four places."""
    project.environ["AWS_ENDPOINT_URL"] = scene.home.url
    project.configure(scene.tables)
    project.write("checks/c.toml", GREEN)
    return project


@pytest.fixture
def unread(scene: TwoAccounts) -> Place:
    """A place that is healthy, to be refused."""
    return PAY if scene.bad != PAY else PAY_EAST


def place_of(line: Mapping[str, Any]) -> Place:
    return Place(line.get("account") or "", line.get("region") or "")


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_K19_logs_show_the_error_of_the_bad_place_and_of_no_other(watching: CaseProject, scene: TwoAccounts) -> None:
    lines = lines_of(watching.run("logs", *READ, "--json").out)
    assert Counter((place_of(each), each["function"]) for each in lines) == Counter(
        {(place, name): 2 for place in PLACES for name in FUNCTIONS}
    )
    (error,) = [each for each in lines if each["level"] == "ERROR"]
    assert (place_of(error), error["function"], error["message"]) == (scene.bad, "orders", BOOM)
    named = watching.run("logs", "orders", *READ, "--errors")
    assert (named.code, len(named.out.splitlines())) == (0, 1), named.said
    assert f"{unique_name('orders:42', scene.bad)} " in named.out
    listed = watching.run("logs", "--list").out.splitlines()
    assert sorted(listed) == sorted(unique_name(f"/aws/lambda/{name}", place) for place in PLACES for name in FUNCTIONS)


def test_K19_metrics_of_one_name_are_as_many_as_there_are_places(watching: CaseProject, scene: TwoAccounts) -> None:
    points = lines_of(watching.run("metrics", *READ, "--json").out)
    depths = {place_of(each): each["value"] for each in points if each["metric"] == "Depth"}
    assert depths == {place: 9.0 if place == scene.bad else 1.0 for place in PLACES}
    failing = {
        (place_of(each), each["dimensions"]["FunctionName"])
        for each in points
        if each["metric"] == "Errors" and each["value"]
    }
    assert failing == {(scene.bad, "orders")}
    names = {each["name"] for each in points if (each["metric"], each.get("version")) == ("Errors", None)}
    assert names == {unique_name(f"errors {name}", place) for place in PLACES for name in FUNCTIONS}
    table = watching.run("metrics", *READ).out
    assert all(f"{unique_name('depth', place)}  " in table for place in PLACES)


def test_K19_traces_of_one_path_name_their_place(watching: CaseProject, scene: TwoAccounts) -> None:
    traces = lines_of(watching.run("traces", *READ, "--json").out)
    assert Counter(place_of(each) for each in traces) == Counter(PLACES)
    assert [place_of(each) for each in traces if each["verdict"] == "fault"] == [scene.bad]
    (failed,) = [line for line in watching.run("traces", *READ, "--errors").out.splitlines() if "fault" in line]
    assert (f" in {scene.bad}" in failed) is bool(scene.bad)


def test_K16_check_judges_each_alarm_and_metric_by_its_own_place(watching: CaseProject, scene: TwoAccounts) -> None:
    found = watching.checked(None, "--junit", "r.xml")
    statuses = {(each["kind"], each["id"]): each["status"] for each in found.document["signals"]}
    assert statuses == {
        (kind, unique_name(name, place)): "fail" if place == scene.bad else "pass"
        for place in PLACES
        for kind, name in (("alarm", "orders-errors"), ("metric", "depth"))
    }
    assert (found.code, found.verdict) == (1, "fail")
    junit = (watching.project / "r.xml").read_text()
    assert all(unique_name(name, place) in junit for place in PLACES for name in ("orders-errors", "depth"))


def test_K19_the_gate_fails_by_what_fails_in_one_place(watching: CaseProject, scene: TwoAccounts) -> None:
    ended = watching.run("gate", "--for", "1s", "--json")
    result = json.loads(ended.out)
    assert (ended.code, result["verdict"]["status"]) == (1, "fail"), ended.said
    assert {each["id"] for each in result["signals"] if each["status"] == "fail"} == {
        unique_name("orders-errors", scene.bad),
        unique_name("depth", scene.bad),
    }
    # It ends as soon as the evidence suffices, so that not every function may have been compared.
    assert {each["function"] for each in result["comparisons"]} <= {
        unique_name("orders:live", place) for place in PLACES
    }
    assert {each["function"] for each in result["signatures"]} <= {unique_name("orders:live", scene.bad)}


@pytest.mark.parametrize(
    ("operation", "command"),
    [
        ("logs:FilterLogEvents", ("logs", *READ)),
        ("cloudwatch:GetMetricData", ("metrics", *READ)),
        ("xray:GetTraceSummaries", ("traces", *READ)),
    ],
)
def test_K17_a_place_that_cannot_be_read_is_named_and_hides_no_other(
    operation: str, command: tuple[str, ...], watching: CaseProject, scene: TwoAccounts, unread: Place
) -> None:
    with scene.refusing(operation, unread):
        ended = watching.run(*command, "--json")
    assert ended.code == 3, ended.said
    assert any(operation in line and f" in {unread} was denied" in line for line in ended.err.splitlines()), ended.said
    assert {place_of(each) for each in lines_of(ended.out)} == set(PLACES) - {unread}


def test_K17_a_check_judges_the_alarms_and_metrics_that_it_could_read(
    watching: CaseProject, scene: TwoAccounts, unread: Place
) -> None:
    with scene.refusing("cloudwatch:DescribeAlarms", unread), scene.refusing("cloudwatch:GetMetricData", unread):
        found = watching.checked(None)
    expected = {
        unique_name(name, place): "inconclusive" if place == unread else "fail" if place == scene.bad else "pass"
        for place in PLACES
        for name in ("orders-errors", "depth")
    }
    assert {each["id"]: each["status"] for each in found.document["signals"]} == expected
    unknown = [each["message"] for each in found.document["signals"] if each["status"] == "inconclusive"]
    assert all(f" in {unread} was denied" in message for message in unknown)


def test_K17_a_gate_names_what_it_could_not_read(watching: CaseProject, scene: TwoAccounts, unread: Place) -> None:
    with scene.refusing("logs:FilterLogEvents", unread), scene.refusing("lambda:GetAlias", unread):
        result = json.loads(watching.run("gate", "--for", "1s", "--json").out)
    messages = [each["message"] for each in result["verdict"]["blocking"] if each["kind"] == "source"]
    for operation in ("FilterLogEvents", "GetAlias"):
        about = [each for each in messages if operation in each]
        assert about, messages
        assert all(f" in {unread} was denied" in each for each in about)


def test_K17_the_doctor_names_the_places_that_refuse_a_permission(
    watching: CaseProject, scene: TwoAccounts, unread: Place
) -> None:
    action = "cloudwatch:GetMetricData"
    with scene.refusing(action, unread):
        ended = watching.run("doctor", "--json")
    found = {each["state"]: each for each in json.loads(ended.out)["findings"] if each.get("action") == action}
    assert ended.code == 3
    assert found["problem"]["places"] == [str(unread)]
    assert f" in {unread} was denied" in found["problem"]["message"]
    assert set(found["ok"]["places"]) == {str(each) or "home" for each in PLACES} - {str(unread)}
    assert "in home" in found["ok"]["message"]
