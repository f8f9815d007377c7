"""Which checks, in which order, in which shard."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.errors import ConfigurationError
from prodwatch.model.check import CheckDefinition
from prodwatch.runner import Selection, parse_shard, select
from prodwatch.testing.definitions import HERE, composite, plain

CHECKS = (
    plain("orders/api-answers", check={"tags": ("orders", "fast")}),
    plain("orders/db-reachable", check={"kind": "diagnostic", "tags": ("orders",)}),
    plain("cart/api-answers", check={"tags": ("cart",), "environments": ("prod",)}),
    plain("cart/old", check={"enabled": False}),
)


def ids(selection: Selection, env: str | None = "prod") -> list[str]:
    return [each.id for each in select(CHECKS, selection, env)]


@pytest.mark.parametrize(
    ("selection", "wanted"),
    [
        (Selection(), ["orders/api-answers", "cart/api-answers", "cart/old"]),
        (Selection(kind="diagnostic"), ["orders/db-reachable"]),
        (Selection(kind="all"), ["orders/api-answers", "cart/api-answers", "cart/old", "orders/db-reachable"]),
        (Selection(tags=("orders",)), ["orders/api-answers"]),
        (Selection(tags=("orders", "cart")), ["orders/api-answers", "cart/api-answers"]),
        (Selection(tags=("!fast",)), ["cart/api-answers", "cart/old"]),
        (Selection(expression="api"), ["orders/api-answers", "cart/api-answers"]),
        (Selection(expression="api and not cart"), ["orders/api-answers"]),
        (Selection(expression="ORDERS or old"), ["orders/api-answers", "cart/old"]),
        (Selection(expression="(api or old) and cart"), ["cart/api-answers", "cart/old"]),
        (Selection(expression="'and'"), []),
        (Selection(ids=frozenset({"orders/db-reachable"})), ["orders/db-reachable"]),
        (Selection(failed_first=frozenset({"cart/old"})), ["cart/old", "orders/api-answers", "cart/api-answers"]),
    ],
    ids=lambda each: repr(each)[:60],
)
def test_what_is_selected(selection: Any, wanted: Any) -> None:
    assert ids(selection) == wanted


def test_checks_of_another_environment_are_not() -> None:
    assert "cart/api-answers" not in ids(Selection(), "staging")
    assert "cart/api-answers" in ids(Selection(), None)


def test_neighbouring_words_are_one_phrase() -> None:
    check = CheckDefinition(id="a/orders-api", name="orders api answers", title="t", type="http", source=HERE)
    assert select([check], Selection(expression="orders api"), None) == (check,)
    assert select([check], Selection(expression="api orders"), None) == ()


@pytest.mark.parametrize("text", ["and", "a and", "(a", "a)", "not", "a or or b", '"a', "()"])
def test_a_malformed_expression_is_a_usage_error(text: Any) -> None:
    with pytest.raises(ConfigurationError, match="-k"):
        ids(Selection(expression=text))


@given(st.text(alphabet="ab ()'\"andortn", max_size=20))
def test_no_expression_crashes(text: Any) -> None:
    with contextlib.suppress(ConfigurationError):
        ids(Selection(expression=text))


@pytest.mark.parametrize("text", ["", "1", "0/3", "4/3", "a/b", "1/0", "-1/2", "1/2/3"])
def test_a_malformed_shard_is_a_usage_error(text: Any) -> None:
    with pytest.raises(ConfigurationError, match="--shard"):
        parse_shard(text)


@st.composite
def check_sets(draw: st.DrawFn) -> list[CheckDefinition]:
    count = draw(st.integers(0, 25))
    names = [f"c{n}" for n in range(count)]
    made = []
    for n, name in enumerate(names):
        needs = draw(st.lists(st.sampled_from(names[:n]), max_size=2, unique=True)) if n else []
        serial = draw(st.sampled_from([None, None, None, "one", "two"]))
        made.append(plain(name, check={"needs": tuple(needs), "serial": serial}))
    if count > 2 and draw(st.booleans()):
        made.append(composite("both", "all", names[0], names[-1]))
    return made


@given(check_sets(), st.integers(1, 6))
def test_shards_part_the_checks_and_keep_together_what_belongs_together(checks: Any, count: Any) -> None:
    shards = [select(checks, Selection(shard=(i, count)), None) for i in range(1, count + 1)]
    assert sorted(each.id for shard in shards for each in shard) == sorted(each.id for each in checks)
    home = {each.id: number for number, shard in enumerate(shards) for each in shard}
    groups: dict[str, set[int]] = {}
    for check in checks:
        for link in (*check.needs, *check.of):
            assert home[check.id] == home[link]
        if check.serial:
            groups.setdefault(check.serial, set()).add(home[check.id])
    assert all(len(homes) == 1 for homes in groups.values())
    for shard in shards:
        places = [checks.index(each) for each in shard]
        assert places == sorted(places)


@given(st.integers(1, 40), st.integers(1, 8))
def test_independent_checks_are_spread_evenly(total: Any, count: Any) -> None:
    checks = [plain(f"c{n}") for n in range(total)]
    sizes = [len(select(checks, Selection(shard=(i, count)), None)) for i in range(1, count + 1)]
    assert max(sizes) - min(sizes) <= 1


def test_what_an_unselected_check_links_stays_together() -> None:
    shared = plain("shared", check={"kind": "diagnostic"})
    checks = [shared, *(plain(f"c{n}", check={"needs": ("shared",)}) for n in range(4)), plain("free")]
    shards = [select(checks, Selection(shard=(i, 2)), None) for i in (1, 2)]
    assert sorted(len(shard) for shard in shards) == [1, 4]
