"""Comparisons and error signatures of a release are on the screen at every size."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from prodwatch.model.result import Verdict
from prodwatch.model.signal import Batch, ReleasePhase, ReleaseState, SourcePhase, SourceStatus
from prodwatch.model.status import Status
from prodwatch.session.protocol import SessionFacts
from prodwatch.testing.clock import START
from prodwatch.tui.preferences import Preferences
from prodwatch.views.time_window import Window
from tests.support.scene.comparisons import compare, results
from tests.support.verdict_facts import comparison, signature

SIZES = [(80, 24), (120, 40), (200, 60)]
SHIFTING = ReleaseState(
    function="orders",
    phase=ReleasePhase.SHIFTING,
    version="42",
    previous="41",
    weights={"41": 0.9, "42": 0.1},
    started_at=START,
)
ROWS = ("errors", "error lines", "4xx answers", "latency p95", "cold starts")


def sized(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


@pytest.mark.parametrize("size", SIZES, ids=sized)
async def test_a_comparison_and_a_signature_are_never_hidden(run: Any, size: tuple[int, int]) -> None:
    async with run(size=size, moment="before") as bench:
        bench.store.apply(Batch(source="release", records=(SHIFTING,)))
        bound = signature(Status.FAIL, message="KeyError 'tenant': 5 requests")
        bench.store.set_comparisons((comparison(Status.FAIL), comparison(Status.FAIL, "latency")), (bound,))
        await bench.sees("FAIL · roll back")
        for words in ("errors 5.1 % against 0.1 %", "KeyError 'tenant': 5 requests", "latency 5.1 % against 0.1 %"):
            await bench.sees(words)


@pytest.mark.parametrize("size", SIZES, ids=sized)
async def test_the_whole_sentence_of_the_surest_comparison_is_shown(run: Any, size: tuple[int, int]) -> None:
    sentence = "errors 5.1 % against 0.1 %, +5.0 points, at least 2.9 at 99 %, 112,041 requests"
    async with run(size=size, moment="before") as bench:
        bench.store.apply(Batch(source="release", records=(SHIFTING,)))
        bench.store.set_comparisons((comparison(Status.FAIL, message=sentence),), ())
        await bench.sees("112,041")


@pytest.mark.parametrize("size", SIZES, ids=sized)
async def test_a_pass_says_how_many_requests_are_missing(run: Any, size: tuple[int, int]) -> None:
    async with run(size=size, moment="before") as bench:
        bench.store.apply(Batch(source="release", records=(SHIFTING,)))
        bench.store.set_comparisons((comparison(Status.INCONCLUSIVE, function="orders", requests_needed=1018),), ())
        await bench.sees("PASS · so far")
        await bench.sees("harm not excluded yet: 1,018 more requests")
        assert "versions are not compared" not in bench.text


@pytest.mark.parametrize("key", ["C", "4"], ids=["release", "metrics"])
@pytest.mark.parametrize("size", SIZES, ids=sized)
async def test_every_comparison_of_one_function_is_visible(run: Any, size: tuple[int, int], key: str) -> None:
    async with run(size=size, keys=[key]) as bench:
        compare(bench.store)
        await bench.sees("Comparisons  v42 against v41 · 1 worse")
        for words in (*ROWS, "+5.0 points, 2.9 to 7.2", "> 9,999", "1,018", "188"):
            await bench.sees(words)


async def test_rows_are_told_apart_by_function(run: Any) -> None:
    async with run(keys=["C"]) as bench:
        bench.store.set_comparisons((*results("cart"), *results("pay")), ())
        await bench.sees("cart errors")
        await bench.press("G")
        await bench.sees("pay latency p95")


async def test_evidence_is_a_bar_in_ascii_too(run: Any) -> None:
    async with run(keys=["C"], preferences=Preferences(fps=0, ascii=True)) as bench:
        compare(bench.store)
        await bench.sees("44 of 100   #####-")


async def test_without_anything_to_compare_the_panel_says_why(run: Any) -> None:
    async with run(moment="before", keys=["C"]) as bench:
        await bench.sees("no release is under way")
        bench.store.apply(Batch(source="release", records=(SHIFTING,)))
        await bench.sees("nothing read yet")


async def test_logs_that_are_denied_are_named_at_the_edge(run: Any) -> None:
    denied = SourceStatus(
        source="logs:/aws/lambda/orders",
        phase=SourcePhase.DENIED,
        action="logs:FilterLogEvents",
        message="AWS refused",
    )
    async with run(moment="before", keys=["C"]) as bench:
        bench.store.apply(Batch(source="release", records=(SHIFTING,)))
        bench.store.apply(Batch(source=denied.source, status=denied))
        await bench.sees("orders: logs not allowed: needs logs:FilterLogEvents")


async def test_in_triage_no_versions_are_compared(run: Any) -> None:
    facts = SessionFacts(
        environment="prod", title="Shop", every_s=15, window=Window(start=START - timedelta(minutes=30))
    )
    async with run(keys=["4"], facts=facts) as bench:
        compare(bench.store)
        await bench.sees("a window is about production")
        assert "+5.0 points" not in bench.text


async def test_its_rows_lead_on(run: Any) -> None:
    async with run(keys=["C"]) as bench:
        compare(bench.store)
        await bench.sees("bound to v42")
        await bench.sees("+5.0 points")
        await bench.press("y")
        assert bench.app.clipboard == results()[0].message
        await bench.press("Y")
        assert json.loads(bench.app.clipboard)["at_least"] == 0.029
        await bench.press("tab", "y")
        assert bench.app.clipboard.startswith("KeyError")
        await bench.press("Y")
        assert json.loads(bench.app.clipboard)["id"] == bench.store.compared_signatures[0].id
        await bench.press("enter")
        await bench.sees("overview › release › logs")
        await bench.press("escape", "shift+tab", "enter")
        await bench.sees("Signals")
        await bench.press("tab", "enter")
        await bench.sees("overview › release")
        await bench.press("C", "escape")
        await bench.misses("Comparisons")


async def test_a_verdict_by_comparison_is_on_the_timeline(run: Any) -> None:
    async with run(size=(200, 60), keys=["5"]) as bench:
        reason = "The new version is worse: errors 5.1 % against 0.1 %."
        bench.store.set_verdict(Verdict(status="fail", exit_code=1, reason=reason))
        await bench.press("g")
        await bench.sees(reason)


async def test_hostile_text_in_a_comparison_is_shown_as_text(run: Any) -> None:
    hostile = "[/ok]\x1b]0;PWNED\x07[@click=app.bell]x[/]"
    async with run(keys=["C"]) as bench:
        compared = [replace(each, function=hostile, message=hostile, advisory=hostile) for each in results()]
        bench.store.set_comparisons((*compared, *results("pay")), (signature(Status.FAIL, message=hostile),))
        await bench.sees("[/ok]")
        assert b"\x1b]0;" not in bench.painted_bytes()


async def test_a_group_of_signatures_is_one_row_with_its_members_counted(run: Any) -> None:
    async with run(size=(200, 60), keys=["C"]) as bench:
        lines = [each for each in bench.store.logs.ring if each.level is not None and each.level.name == "ERROR"]
        template = lines[-1]
        bench.store.apply(
            Batch(
                source="logs:x",
                records=tuple(
                    replace(template, message=f"cannot read table node_{name}/x of shop", event_id=name)
                    for name in "abcd"
                ),
            )
        )
        await bench.sees("cannot read table <*> of shop (4 alike)")


async def test_the_overview_copies_a_hand_over_note_about_this_moment(run: Any) -> None:
    async with run() as bench:
        compare(bench.store)
        await bench.press("Y")
        await bench.until(lambda: bench.app.clipboard, "nothing was copied")
        note = bench.app.clipboard
    assert note.startswith(f"**✘ FAIL** {bench.app.context.facts.title} (")
    assert "as of 2026-01-15 12:00:00 UTC\n" in note
    assert "- ✘ FAIL comparison shop-orders:live errors: errors 5.1 % against 0.1 %" in note
    assert "`orders/order-in-euros`, since" in note
