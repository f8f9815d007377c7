"""The failure and the slowest node, from the paths that X-Ray reports."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.formats.xray_root_causes import failure_line, slowest_node


def cause(*services: tuple[str, list[dict[str, Any]]]) -> dict[str, Any]:
    return {"Services": [{"Name": name, "EntityPath": path} for name, path in services]}


def took(name: str, coverage: Any, **more: Any) -> dict[str, Any]:
    return {"Name": name, "Coverage": coverage, **more}


def threw(name: str, kind: str = "", message: str = "") -> dict[str, Any]:
    return {"Name": name, "Exceptions": [{"Name": kind, "Message": message}] if kind or message else []}


@pytest.mark.parametrize(
    ("causes", "reported"),
    [
        ([], None),
        ([cause(("api", [threw("api")]), ("orders", [threw("orders"), threw("place", "KeyError", "'c'")]))],
         "orders → place: KeyError: 'c'"),
        ([cause(("orders", [threw("orders", "KeyError")]))], "orders: KeyError"),
        ([cause(("api", [threw("api", "Outer", "o")]), ("orders", [threw("orders", "Inner", "i")]))],
         "orders: Inner: i"),
        ([cause(("orders", [threw("orders"), threw("DynamoDB")]))], "orders → DynamoDB"),
        ([cause(), cause(("b", [threw("b", "E")]))], "b: E"),
        ([cause(("a", [threw("a")])), cause(("b", [threw("b", "E")]))], "b: E"),
        ([{"Services": None}, {}], None),
    ],
    ids=["none", "deepest", "one node", "deeper wins", "no exception", "first is empty", "second says why", "broken"],
)  # fmt: skip
def test_what_failed_and_where(causes: list[dict[str, Any]], reported: str | None) -> None:
    assert failure_line(causes) == reported


@pytest.mark.parametrize(
    ("causes", "taken_s", "reported"),
    [
        ([], 2.0, None),
        ([cause(("api", [took("api", 1.0)]), ("orders", [took("orders", 0.97), took("DynamoDB", 0.85, Remote=True)]))],
         2.0, "DynamoDB 1.7 s"),
        ([cause(("api", [took("api", 1.0)]), ("orders", [took("orders", 0.9), took("DynamoDB", 0.1, Remote=True)]))],
         0.5, "orders 400 ms"),
        ([cause(("orders", [took("orders", 1.0), took("price list", 0.8)]))], 10.0, "orders → price list 8.0 s"),
        ([cause(("api", [took("api", 0.2)]), ("orders", [took("orders", 0.8)]))], 1.0, "orders 800 ms"),
        ([cause(("api", [took("api", 1.0)]))], 3.0, "api 3.0 s"),
        ([cause(("api", [took("api", None), took("x", float("nan")), took("y", True)]))], 3.0, None),
        ([cause(("api", [took("api", 0)]))], 3.0, None),
    ],
    ids=["none", "called service", "own work", "a part of it", "shares as they are", "alone", "odd values", "nothing"],
)  # fmt: skip
def test_which_node_took_the_time(causes: list[dict[str, Any]], taken_s: float, reported: str | None) -> None:
    assert slowest_node(causes, taken_s) == reported


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12), st.floats(0, 1e4))
def test_no_path_breaks_it(shares: list[float], taken_s: float) -> None:
    reported = slowest_node([cause(("s", [took(f"n{n}", share) for n, share in enumerate(shares)]))], taken_s)
    assert reported is None or reported.endswith("s")
