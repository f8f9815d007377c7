"""Text from outside through every widget: no crash, nothing that steers the terminal, shown as it is."""

from __future__ import annotations

import importlib
import pkgutil
import re
import unicodedata
from datetime import timedelta
from typing import Any

import pytest
from textual.dom import DOMNode

import prodwatch.tui
from prodwatch.model.check import CheckDefinition, SourcePosition
from prodwatch.model.event import CheckFinished
from prodwatch.model.result import (
    AssertionResult,
    AttemptResult,
    CheckResult,
    Correlation,
    Exchange,
    StepResult,
)
from prodwatch.model.signal import (
    AlarmState,
    Batch,
    Level,
    LogRecord,
    MetricKey,
    MetricPoint,
    MetricSeries,
    ReleaseEvent,
    ReleasePhase,
    ReleaseState,
    ServiceEdge,
    ServiceGraph,
    ServiceNode,
    SourcePhase,
    SourceStatus,
    Span,
    Trace,
    TraceSummary,
)
from prodwatch.model.status import Status
from prodwatch.session.protocol import SessionFacts
from prodwatch.store import Store
from prodwatch.testing.clock import START
from prodwatch.tui.screens.base import DashboardScreen
from prodwatch.tui.styled_line import safe
from prodwatch.tui.widgets.changes_panel import ChangesPanel
from prodwatch.tui.widgets.panel import FilteredPanel, Panel
from prodwatch.tui.widgets.replay_bar import ReplayBar
from prodwatch.tui.widgets.static_lines import StaticLines
from prodwatch.views.time_window import Window
from tests.support.verdict_facts import comparison, signature

PAYLOADS = {
    "closing-tag": "close [/x] tag",
    "lost-tag": "order 7 [ok] total",
    "action-link": "[@click=app.bell]x[/]",
    "broken-markup": "[[[/]]] \\[",
    "esc": "a\x1b[2Jb\x1b[31m",
    "osc": "\x1b]0;PWNED\x07title",
    "c1": "a\x9b2Jb\x90",
    "nul-and-bell": "a\x00b\x07c\x08\x7f",
    "bidi": "user\u202etxt.exe\u2066\u200f",
    "zero-width": "pay\u200bpal\ufeff",
    "cjk": "注文 失敗 한국어 テスト",
    "emoji": "👩‍👩‍👧‍👦 🇩🇪 ✔️ boom 💥",
    "combining": "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L",
    "tabs": "a\tb\tc",
    "newlines": "first\nsecond\r\nthird\u2028fourth",
    "surrogate": "bad \ud800 end",
    "long": "x" * 1_000_000,
    "empty": "",
    "percent": "100% %s {0} ${secret}",
}
HERE = SourcePosition("checks/a.toml", 1, 1)
NOW_MS = int(START.timestamp() * 1000)
TRACE_ID = "1-68a7c1f2-00000000000000000000abcd"


GROUPS = (
    ("closing-tag", "lost-tag", "broken-markup", "action-link", "percent", "empty"),
    ("esc", "c1", "nul-and-bell", "osc", "newlines", "tabs"),
    ("bidi", "zero-width", "surrogate", "cjk", "emoji", "combining"),
    ("long",),
)
"""Payloads that tour the screens together; each is in every place, and each check is opened."""


def flood(store: Store, name: str, evil: str) -> CheckDefinition:
    """Put `evil` wherever text from outside can be."""
    trace_id = f"{TRACE_ID}-{name}"
    document = {evil: evil, "list": [evil, {"deep": evil}]}
    assertion = AssertionResult(
        expression=evil, ok=False, actual=evil, expected=document, diff=evil, message=evil, facts=(evil, evil)
    )
    exchange = Exchange(
        request={"method": evil, "headers": {evil: evil}, "body": evil},
        response={"status": evil, "body": document},
        phases_ms={evil: 1.0},
        curl=evil,
        aws_cli=evil,
    )
    correlation = Correlation(trace_id=trace_id, request_ids=(evil or "r",), links={evil: evil})
    step = StepResult(
        name=evil,
        type=evil,
        status=Status.FAIL,
        message=evil,
        assertions=(assertion,),
        leftovers=(evil,),
        exchange=exchange,
    )
    outcome = CheckResult(
        id=name,
        name=evil,
        title=evil,
        kind="smoke",
        type=evil,
        owner=evil,
        status=Status.FAIL,
        message=evil,
        started_at=START,
        attempts=(AttemptResult(n=1, status=Status.FAIL, duration_ms=1, message=evil),),
        assertions=(assertion,),
        steps=(step,),
        cleanup=(step,),
        version=evil,
        exchange=exchange,
        correlation=correlation,
        links={evil: evil},
        source=HERE,
    )
    store.apply_event(CheckFinished(result=outcome))
    span = Span(
        id="s",
        name=evil,
        start_s=START.timestamp(),
        end_s=START.timestamp() + 1,
        origin=evil,
        fault=True,
        exceptions=(evil,),
        annotations=document,
        metadata=document,
        sql={"sanitized_query": evil},
        aws={"operation": evil, "table_name": evil},
        http=document,
    )
    store.add_trace(Trace(id=trace_id, spans=(span,)))
    records: tuple[Any, ...] = (
        LogRecord(
            timestamp_ms=NOW_MS,
            message=evil,
            group=evil,
            stream=evil,
            level=Level.ERROR,
            version=evil,
            request_id=evil or None,
            trace_id=trace_id,
            fields=document,
            late_ms=5000,
        ),
        TraceSummary(
            id=trace_id,
            start_ms=NOW_MS,
            duration_s=2.0,
            method=evil,
            url=evil,
            fault=True,
            status=500,
            service=evil,
            version=evil,
            root_cause=evil,
            slowest=evil,
        ),
        MetricSeries(
            key=MetricKey("n", "m", label=evil, version="42"),
            points=(MetricPoint(int(START.timestamp()) - 120, 1.0),),
            unit=evil,
        ),
        AlarmState(name=evil, state="ALARM", since=START, reason=evil),
        ReleaseState(
            function=evil,
            phase=ReleasePhase.SHIFTING,
            version=evil,
            previous=evil,
            weights={evil: 0.5},
            started_at=START - timedelta(minutes=1),
            cause=evil,
        ),
        *(
            ServiceGraph(
                part=part,
                start_ms=NOW_MS - 60_000,
                end_ms=NOW_MS,
                edges=(ServiceEdge(caller=ServiceNode(evil, evil), callee=ServiceNode(f"{evil}.", evil), ok=1),),
            )
            for part in ("before", "now")
        ),
        ReleaseEvent(at=START, source="codedeploy", subject=evil, what=evil, from_=evil, to=evil, detail=evil),
    )
    trouble = SourceStatus(source=f"logs:{evil}", phase=SourcePhase.DENIED, message=evil, action=evil)
    store.apply(Batch(source="logs", records=records, status=trouble))
    store.apply(Batch(source="traces", status=SourceStatus(source="traces", phase=SourcePhase.FAILED, message=evil)))
    store.mark(evil)
    worse = comparison(Status.FAIL, id=f"{name} errors", function=evil, message=evil, advisory=evil)
    bound = signature(Status.FAIL, id=name, function=evil, signature=evil, example=evil, message=evil, accepted=evil)
    store.set_comparisons((*store.comparisons, worse), (*store.compared_signatures, bound))
    return CheckDefinition(id=name, name=evil, title=evil, type="http", source=HERE, owner=evil)


ROUTE = (
    ("2",),
    ("e",),
    ("e",),
    ("E",),
    ("escape", "k", "p", "slash"),
    ("escape", "p", "enter"),
    ("escape", "x"),
    ("escape", "3"),
    ("enter",),
    ("escape", "S"),
    ("escape", "4"),
    ("enter", "left"),
    ("5",),
    ("question_mark",),
    ("escape", "1", "enter", "L"),
    ("escape", "escape", "colon"),
    ("escape",),
    ("C",),
)
_CONTROLS = re.compile(rb"\x1b\[[0-9;:]*[mHJK]|\x1b\]8;[^\x07\x1b]*;[^\x07\x1b]*\x1b\\\\|\n")
"""What drawing itself sends: colours, moves, line ends."""


def unsafe(text: str) -> set[str]:
    """Return characters that steer a terminal or reorder a line."""
    bad = {character for character in text if unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}}
    return bad | {
        character for character in text if character in "\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u200f\ufeff"
    }


def drawn_classes() -> set[type[DOMNode]]:
    """Return every screen, panel and bar there is, those left out that only others build upon."""
    found: set[type[DOMNode]] = set()
    for module in pkgutil.walk_packages(prodwatch.tui.__path__, "prodwatch.tui."):
        importlib.import_module(module.name)
    open_classes: list[type[DOMNode]] = [Panel, StaticLines, DashboardScreen]
    while open_classes:
        each = open_classes.pop()
        open_classes += each.__subclasses__()
        if each.__module__.startswith("prodwatch.tui.") and each not in {
            Panel,
            FilteredPanel,
            StaticLines,
            DashboardScreen,
        }:
            found.add(each)
    return found


class Looker:
    """EdgeListLayout at every picture of a tour: at its bytes, its text, and which widgets drew it."""

    def __init__(self, bench: Any) -> None:
        self.bench = bench
        self.seen = ""
        self.classes: set[type[DOMNode]] = set()

    def look(self) -> None:
        """Take in the picture that stands now."""
        bench = self.bench
        assert bench.app.is_running
        self.classes |= {type(bench.app.screen), *map(type, bench.app.screen.walk_children())}
        for line in bench.painted():
            assert not unsafe(line)
        left = _CONTROLS.sub(b"", bench.painted_bytes()).decode("utf-8")
        assert not unsafe(left)
        self.seen += bench.text


@pytest.mark.parametrize(
    "names",
    # What steers a terminal is looked for at once; the longer tours are for the slow tests.
    [pytest.param(names, marks=() if "esc" in names else pytest.mark.slow, id="+".join(names)) for names in GROUPS],
)
async def test_every_screen_survives_and_paints_nothing_unsafe(run: Any, names: tuple[str, ...]) -> None:
    async with run(quiet=True, size=(160, 50)) as bench:
        looker = Looker(bench)

        bench.store.define([flood(bench.store, name, PAYLOADS[name]) for name in names])
        await bench.frames()
        for name in names:
            bench.app.open_check(name)
            await bench.frames()
            for _ in range(6):
                looker.look()
                await bench.press("right_square_bracket")
            await bench.press("escape")
        for keys in ROUTE:
            await bench.press(*keys)
            looker.look()
        seen = looker.seen
        assert drawn_classes() - looker.classes == {ChangesPanel, ReplayBar}
        for name in names:
            evil = PAYLOADS[name]
            if evil and len(evil) < 100 and evil.isprintable() and evil.isascii():
                assert evil in seen
        assert "could not be drawn" not in seen
        assert "this panel broke" not in seen


async def test_what_changed_is_text_too(run: Any) -> None:
    facts = SessionFacts(environment="prod", title="t", window=Window(start=START - timedelta(hours=1)))
    async with run(quiet=True, size=(160, 50), facts=facts) as bench:
        looker = Looker(bench)
        bench.store.define([flood(bench.store, name, PAYLOADS[name]) for name in ("closing-tag", "esc", "osc", "bidi")])
        await bench.frames(12)
        looker.look()
        assert ChangesPanel in looker.classes


async def test_a_toast_is_text_too(run: Any) -> None:
    async with run(quiet=True, notifications=True) as bench:
        for name in ("closing-tag", "action-link", "esc", "osc", "bidi", "long"):
            bench.app.notify(PAYLOADS[name], title=PAYLOADS[name], timeout=60)
            await bench.until(lambda: bool(bench.app.screen.query("Toast")))
            Looker(bench).look()
            bench.app.clear_notifications()


def test_every_payload_is_on_a_tour() -> None:
    assert sorted(name for names in GROUPS for name in names) == sorted(PAYLOADS)


async def test_a_verdict_is_text_too(run: Any) -> None:
    async with run(quiet=True) as bench:
        alarm = AlarmState(name="errors", state="ALARM", reason="[/x] \x1b[2J [@click=app.bell]no[/]")
        bench.store.apply(Batch(source="alarms", records=(alarm,)))
        await bench.frames()
        await bench.sees("[/x] ␛[2J [@click=app.bell]no[/]")
        assert not any(unsafe(line) for line in bench.painted())


@pytest.mark.parametrize("evil", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_a_safe_line_is_one_line_of_bounded_length(evil: str) -> None:
    line = safe(evil)
    assert not unsafe(line)
    assert "\t" not in line
    assert len(line) < 10_100


async def test_hostile_text_typed_into_the_filter_is_text(run: Any) -> None:
    async with run(keys=["2", "slash"], notifications=True) as bench:
        await bench.write("[/x]")
        await bench.press("enter")
        await bench.sees("[/x]")
