"""The routes that the new version has served, against those of the old one."""

from __future__ import annotations

import pytest

from prodwatch.judge.comparison.coverage import MAX_ROUTES, RouteCounts, coverage_of
from prodwatch.model.comparison import RequestBatch, RouteCoverage, VersionCounts


def served(
    old: dict[str, int], new: dict[str, int], *, unknown: int = 0, function: str = "pay", late: bool = False
) -> RouteCoverage:
    """Return the coverage of one batch; `unknown` requests of the old version have no known route."""
    counts = RouteCounts(function, "42", "41")
    versions = {
        "41": VersionCounts(requests=0 if late else sum(old.values()) + unknown, routes=old),
        "42": VersionCounts(requests=0 if late else sum(new.values()), routes=new),
        "40": VersionCounts(requests=5, routes={"GET /of-another": 5}),
    }
    counts.add(RequestBatch(function=function, start_ms=0, end_ms=30_000, versions=versions, late=late))
    return counts.result()


@pytest.mark.parametrize(
    ("old", "new", "figures", "message"),
    [
        ({"a": 90, "b": 10}, {"a": 5, "b": 1}, (2, 2, 1.0), "judged on 2 of 2 routes, 100 % of traffic"),
        (
            {"a": 97, "b": 3},
            {"a": 1000},
            (1, 2, 0.97),
            "judged on 1 of 2 routes, 97 % of traffic: v42 has not served b (30 expected)",
        ),
        (
            {"a": 1000, "b": 2, "c": 1},
            {"a": 100},
            (1, 3, 1000 / 1003),
            "judged on 1 of 3 routes, over 99 % of traffic: v42 has not served b (fewer than 1 expected) and 1 more",
        ),
        (
            {"a": 10},
            {},
            (0, 1, 0.0),
            "judged on 0 of 1 routes, 0 % of traffic: v42 has not served a (fewer than 1 expected)",
        ),
        ({"a": 10}, {"a": 1, "new": 9}, (1, 1, 1.0), "judged on 1 of 1 routes, 100 % of traffic"),
        (
            {},
            {"a": 1},
            (0, 0, 0.0),
            "the routes of pay are not known: no trace or access log names them",
        ),
    ],
)
def test_routes_of_the_old_version_are_looked_for_on_the_new_one(
    old: dict[str, int], new: dict[str, int], figures: tuple[int, int, float], message: str
) -> None:
    coverage = served(old, new)
    assert (coverage.served, coverage.routes, coverage.traffic) == figures
    assert coverage.message == message


def test_the_missing_routes_are_named_the_most_expected_first() -> None:
    coverage = served({"a": 60, "b": 10, "c": 30}, {"a": 200})
    assert [(each.route, each.baseline, each.expected) for each in coverage.missing] == [
        ("c", 30, 60.0),
        ("b", 10, 20.0),
    ]


def test_the_share_of_requests_with_a_known_route_is_given() -> None:
    assert served({"a": 5}, {"a": 5}, unknown=95).known == 0.05
    assert served({"a": 5}, {"a": 5}, late=True).known == 1.0


def test_paths_that_are_no_routes_are_not_counted_without_bound() -> None:
    coverage = served({f"/{number}": 1 for number in range(MAX_ROUTES + 9)}, {"/1": 1})
    assert (coverage.routes, coverage.reaches(0.01)) == (0, False)
    assert coverage.message == "the routes of pay are not known: more than 1,000 paths look like routes"


@pytest.mark.parametrize(("needed", "suffices"), [(0.0, True), (0.4, True), (0.5, False), (1.0, False)])
def test_every_function_must_reach_the_share(needed: float, suffices: bool) -> None:
    functions = [
        served({"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}, {"a": 1, "b": 1}, function="pay"),
        served({"x": 5}, {"x": 5}, function="ship"),
    ]
    coverage = coverage_of(functions, needed)
    assert (coverage.served, coverage.routes, coverage.traffic) == (3, 6, 0.7)
    assert coverage.suffices is suffices
    assert ("v42 has not served c" in coverage.message) is not suffices


def test_a_function_without_known_routes_is_not_made_up_for_by_another() -> None:
    coverage = coverage_of([served({"x": 5}, {"x": 5}), served({}, {}, function="ship")], 0.1)
    assert not coverage.suffices
    assert coverage.message == "the routes of ship are not known: no trace or access log names them"


@pytest.mark.parametrize(("needed", "suffices"), [(0.0, True), (0.1, False)])
def test_without_a_function_nothing_is_covered(needed: float, suffices: bool) -> None:
    coverage = coverage_of([], needed)
    assert (coverage.suffices, coverage.message) == (suffices, "no routes of two versions are known")


def by_tenant(old: dict[str, int], new: dict[str, int]) -> RouteCoverage:
    counts = RouteCounts("pay", "42", "41", "json.tenant")
    versions = {
        "41": VersionCounts(requests=sum(old.values()), routes={"a": 1}, values={"json.tenant": old}),
        "42": VersionCounts(requests=sum(new.values()), routes={"a": 1}, values={"json.tenant": new}),
    }
    counts.add(RequestBatch(function="pay", start_ms=0, end_ms=30_000, versions=versions))
    return counts.result()


def test_the_values_of_a_field_are_covered_like_routes() -> None:
    tenants = by_tenant({"acme": 31, "umbrella": 69}, {"umbrella": 100})
    assert tenants.by == "json.tenant"
    assert tenants.message == (
        "judged on 1 of 2 values of json.tenant, 69 % of traffic: v42 has not served json.tenant acme (31 expected)"
    )
    both = coverage_of((served({"a": 9}, {"a": 1}), tenants), 1.0)
    assert not both.suffices
    assert both.message == tenants.message


def test_routes_and_fields_that_are_covered_are_both_named() -> None:
    covered = coverage_of((served({"a": 9}, {"a": 1}), by_tenant({"acme": 1}, {"acme": 1})), 1.0)
    assert covered.suffices
    assert (covered.routes, covered.served) == (1, 1)
    assert covered.message == (
        "judged on 1 of 1 routes, 100 % of traffic, judged on 1 of 1 values of json.tenant, 100 % of traffic"
    )


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({}, "no line of a request has the field"),
        ({f"t-{number}": 1 for number in range(MAX_ROUTES + 2)}, "there are more than 1,000"),
    ],
)
def test_a_field_whose_values_are_not_known_is_not_covered(values: dict[str, int], why: str) -> None:
    tenants = by_tenant(values, {"acme": 1})
    assert not tenants.reaches(0.01)
    assert tenants.message == f"the values of json.tenant of pay are not known: {why}"
