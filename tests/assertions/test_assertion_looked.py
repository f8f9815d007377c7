"""No claim holds because of a field that no element has, or because of values that cannot be compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.assertions import evaluate, parse
from prodwatch.model.quantity import Duration
from prodwatch.model.result import AssertionResult

Judged = Callable[..., AssertionResult]
LIST = [{"id": 1, "state": "ok", "took": Duration.from_ms(5)}, {"id": 2, "state": "ok", "note": None}]
DOCUMENT = {
    "list": LIST,
    "empty": [],
    "map": {"a": {"id": 1}, "b": {"id": 2}},
    "deep": {"orders": [{"lines": [{"sku": "t1"}]}, {"lines": []}, {}]},
    "words": ["tea"],
    "grid": [[1, 2], [3]],
}


@pytest.mark.parametrize(
    "claim",
    [
        # A filter over a field that is nowhere selects nothing …
        "list[?typo == 'x'] == []",
        "list[?typo == 'x'] absent",
        "list[?typo > `5`] == []",
        "list[?typo] == []",
        "list[?typo != `null`] == []",
        "list[?typo.deeper == 'x'] == []",
        "list[?state.deeper == 'x'] == []",
        "list[?state == 'failed' || typo == 'x'] == []",
        "list[?typo && id == `1`] == []",
        "length(list[?typo == 'x']) == 0",
        "length(list[?typo == 'x']) < 1",
        "list[?typo == 'x'] | length(@) == 0",
        "list[?typo == 'x'].id == []",
        "list[?typo == 'x'] | [0] absent",
        "list[?typo == 'x'].id not contains 1",
        "list[?typo == 'x'] != [1]",
        "deep.orders[*].lines[?typo == 'x'][] == []",
        # … also inside what the filter makes of an element,
        "list[?[typo] == ['x']] == []",
        "list[?[id, typo] == `[1, 2]`] absent",
        'list[?{a: typo} == `{"a": "x"}`] == []',
        # … or everything.
        "list[?typo != 'x'] != []",
        "length(list[?typo != 'x']) == 2",
        "all list[?typo != 'x'].state == 'ok'",
        "any list[?typo != 'x'].id == 1",
        "length(list[?!(typo == 'x')]) == 2",
        # What is searched for is missing, or of a kind that the list has none of.
        "list[?contains(state, typo)] == []",
        "list[?contains(state, id)] == []",
        "list[?contains(['1', '2'], id)] == []",
        "list[?contains(['x'], typo)] == []",
        "length(list[?!contains(state, typo)]) == 2",
        "deep.orders[?contains(['x'], lines)] == []",
        "grid[?contains(@, '1')] == []",
        "contains(words, `1`) == false",
        "contains(list[*].id, '1') == false",
        # A projection drops the elements that lack the field.
        "list[*].typo == []",
        "list[].typo == []",
        "list[0:1].typo == []",
        "list[*].typo is array",
        "list[*].typo != ['x']",
        "list[*].typo not contains 'x'",
        "list[*].typo equals unordered []",
        "length(list[*].typo) == 0",
        "sum(list[*].typo) == 0",
        "join(',', list[*].typo) == ''",
        "contains(list[*].typo, 'x') == false",
        "list[?id == `1`].typo == []",
        "map.*.typo == []",
        "values(map)[*].typo == []",
        "deep.orders[*].lines[*].typo == [[], []]",
        # Values of two kinds are never equal, and that says nothing about them.
        "list[?id == '1'] == []",
        "list[?id != '1'] != []",
        "list[?id > '1'] == []",
        "list[?took > `300`] == []",
        "(list[0].id == '1') == false",
        "(list[0].id != '1') == true",
        "length(list[?@ == 'x']) == 0",
        # A part of what the query makes is missing, and missing differs from everything.
        "{id: list[0].id, s: typo} != {'id': 1, 's': 'failed'}",
        "[map.a.id, typo] != [1, 'failed']",
        "list[*].[id, typo] not contains [1, 'failed']",
        "none list[*].[id, typo] == [1, 'failed']",
    ],
)
def test_a_claim_that_rests_on_nothing_is_not_decided(judged: Judged, claim: str) -> None:
    result = judged(claim, document=DOCUMENT)
    assert result.ok is None
    assert "proves nothing" in (result.message or "")


@pytest.mark.parametrize(
    "claim",
    [
        "list[?state == 'failed'] == []",
        "list[?state == 'failed'] absent",
        "list[?note] == []",
        "list[?note == 'x'] == []",
        "list[*].note == []",
        "empty[?typo == 'x'] == []",
        "empty[*].typo == []",
        "list[?state == 'failed'].typo == []",
        # Asking for the lack of a field says so itself.
        "length(list[?!typo]) == 2",
        "length(list[?typo == `null`]) == 2",
        "list[*].typo absent",
        "none list[*].typo exists",
        "all list[*].typo absent",
        # So does naming what stands for it.
        "list[?not_null(typo, 'none') == 'x'] == []",
        "length(list[?(typo || state) == 'ok']) == 2",
        # What is there is there, whatever else is named.
        "[map.a.id, typo] contains 1",
        "length([map.a.id, typo]) == 2",
        "{id: list[0].id, s: typo} includes {'id': 1}",
        "list[*].[id, took] not contains [9, 5ms]",
        "none list[*].[id, took] == [9, 5ms]",
        # One element that has it is enough.
        "length(list[?took < `1s`]) == 1",
        "list[*].took == [5ms]",
        "deep.orders[*].lines[*].sku == [['t1'], []]",
        "words[?@ == 'x'] == []",
        'list[?[id, state] == `[1, "ok"]`].id == [1]',
        "list[?[state] == ['failed']] == []",
    ],
)
def test_a_claim_about_what_is_there_holds_as_ever(judged: Judged, claim: str) -> None:
    result = judged(claim, document=DOCUMENT)
    assert (result.ok, result.message) == (True, None)


@pytest.mark.parametrize(
    ("claim", "ok"),
    [
        ("list[?id == `2`] exists", True),
        ("list[?id == `2`] absent", False),
        ("list[?id == `9`] exists", False),
        ("list[?id == `9`] absent", True),
        ("empty[*] exists", False),
        ("empty exists", True),
        ("list[*].typo absent", True),
        ("list[*].typo exists", False),
        ("words | [?@ == 'x'] exists", False),
        ("typo[*] exists", False),
        ("typo[*] absent", None),
        ("typo.more[*] absent", None),
    ],
)
def test_a_selection_exists_when_it_selects_something(judged: Judged, claim: str, ok: bool | None) -> None:
    assert judged(claim, document=DOCUMENT).ok is ok


@pytest.mark.parametrize(
    ("claim", "sentence"),
    [
        (
            "list[?typo == 'x'] == []",
            (
                "no element of `list` has `typo`, so a selection by it proves nothing;"
                " if that is intended, write `none list[*].typo exists`"
            ),
        ),
        (
            "deep.orders[*].lines[?typo == 'x'] == [[], []]",
            "no element of `lines` has `typo`, so a selection by it proves nothing",
        ),
        (
            "deep.orders[*].typo == []",
            (
                "no element of `deep.orders` has `typo`, so a value made of it proves nothing;"
                " if that is intended, write `none deep.orders[*].typo exists`"
            ),
        ),
        (
            'list[]."a b" == []',
            (
                'no element of `list[]` has `"a b"`, so a value made of it proves nothing;'
                ' if that is intended, write `none list[]."a b" exists`'
            ),
        ),
        (
            "values(map)[*].typo == []",
            "no element of the list has `typo`, so a value made of it proves nothing",
        ),
        (
            "list[?id == '1'] == []",
            "`id` is a number in `list` and is compared with `'1'`, a string, which proves nothing",
        ),
        (
            "length(list[?typo == 'x']) == 2",
            (
                "`length(list[?typo == 'x'])` is 0, not 2; no element of `list` has `typo`,"
                " so a selection by it proves nothing; if that is intended, write `none list[*].typo exists`"
            ),
        ),
        ("[map.a.id, typo] != [1]", "`typo` is missing, so differing from it proves nothing"),
        (
            "list[*].sizes[5] == []",
            (
                "no element of `list` has `sizes[5]`, so a value made of it proves nothing;"
                " if that is intended, write `none list[*].sizes[5] exists`"
            ),
        ),
        (
            "grid[*][5] == []",
            (
                "no element of `grid` has `[5]`, so a value made of it proves nothing;"
                " if that is intended, write `none grid[*][5] exists`"
            ),
        ),
        ("list[?id == `9`] exists", "`list[?id == `9`]` selects nothing"),
    ],
)
def test_the_sentence_names_the_list_and_the_field(judged: Judged, claim: str, sentence: str) -> None:
    assert judged(claim, document=DOCUMENT).message == sentence


def test_a_hint_is_itself_a_claim_that_holds(judged: Judged) -> None:
    message = judged("list[?id == `1`][].typo == []", document=DOCUMENT).message or ""
    assert "proves nothing" in message
    hint = judged("deep.orders[*].typo == []", document=DOCUMENT).message or ""
    assert judged(hint.split("`")[-2], document=DOCUMENT).ok is True


rows = st.lists(
    st.dictionaries(
        st.sampled_from(["a", "b", "c"]), st.none() | st.booleans() | st.integers() | st.text(max_size=3), max_size=3
    ),
    min_size=1,
    max_size=4,
)
SELECTIONS = [
    "rows[?typo == 'x']",
    "rows[?typo != 'x']",
    "rows[?typo < `5`]",
    "rows[?typo]",
    "rows[?typo].a",
    "rows[?typo != 'x'].a",
    "rows[?typo == a]",
    "rows[*].typo",
    "rows[].typo",
    "rows[*].typo[]",
    "length(rows[?typo == 'x'])",
    "length(rows[*].typo)",
    "sum(rows[*].typo)",
    "rows[?typo == 'x'] | [0]",
    "to_string(rows[*].typo)",
]
CLAIMS = ["== []", "!= []", "== 0", "!= 1", ">= 0", "exists", "is array", "not contains 1", "in [[], 0]", "== '[]'"]


@given(rows, st.sampled_from(SELECTIONS), st.sampled_from(CLAIMS))
def test_nothing_holds_of_a_field_that_no_element_has(rows: list[dict[str, Any]], selection: str, claim: str) -> None:
    if selection == "rows[?typo == a]" and any(row.get("a", ...) is None for row in rows):
        return  # What equals null asks for the lack of a field.
    assert evaluate(parse(f"{selection} {claim}"), {"rows": rows}).ok is not True


@given(rows, st.sampled_from(["a", "b", "typo"]))
def test_a_selection_is_there_or_absent_and_never_both(rows: list[dict[str, Any]], field: str) -> None:
    there, gone = (
        evaluate(parse(f"rows[?{field} == `1`] {claim}"), {"rows": rows}).ok for claim in ("exists", "absent")
    )
    assert (there, gone) in {(True, False), (False, True), (False, None)}
