"""The verdict as lines: one per change, with time and zone, and none for other figures of the same reason."""

from __future__ import annotations

from datetime import timedelta, timezone

import pytest
from click.testing import CliRunner

from prodwatch.cli.main import main
from prodwatch.cli.plain import VerdictLines
from prodwatch.model.result import Verdict
from prodwatch.store.store import Store
from prodwatch.testing.clock import FakeClock
from prodwatch.views.verdict import VerdictLine

CET = timezone(timedelta(hours=1), "CET")


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = Store(self.clock)
        self.lines: list[str] = []
        self.line = self.words("WAITING")
        self._writer = VerdictLines(self.store, lambda: self.line, self.lines.append, CET)

    @staticmethod
    def words(title: str, *reasons: str) -> VerdictLine:
        return VerdictLine(status="fail", title=title, since=None, reasons=reasons, evidence=None, outlook=None)

    def look(self, title: str, *reasons: str) -> list[str]:
        self.line, before = self.words(title, *reasons), len(self.lines)
        self._writer.look(self.clock.now())
        return self.lines[before:]


@pytest.fixture
def world() -> World:
    here = World()
    here.store.set_verdict(Verdict(status="fail", exit_code=1, reason="orders"))
    return here


def test_there_is_no_line_before_the_first_verdict() -> None:
    assert World().look("WAITING", "no round has finished") == []


def test_a_line_holds_time_zone_verdict_and_the_reasons_that_are_new(world: World) -> None:
    assert world.look("FAIL · roll back", "orders: status is 500", "alarm a\n\x1b[2J") == [
        "2026-01-15 13:00:00 CET  FAIL · roll back  orders: status is 500; alarm a⏎␛[2J"
    ]
    assert world.look("FAIL · roll back", "orders: status is 500", "alarm a\n\x1b[2J", "errors 6 %") == [
        "2026-01-15 13:00:00 CET  FAIL · roll back  errors 6 %"
    ]


def test_other_figures_are_no_change_and_a_reason_that_is_gone_is_one(world: World) -> None:
    world.look("FAIL", "errors 6.1 % of 723 requests", "alarm a")
    assert world.look("FAIL", "errors 6.2 % of 1,724 requests", "alarm a") == []
    assert world.look("FAIL", "errors 6.2 % of 1,724 requests") == ["2026-01-15 13:00:00 CET  FAIL  no longer: alarm a"]
    assert world.look("PASS · so far", "errors 6.2 % of 1,724 requests") == ["2026-01-15 13:00:00 CET  PASS · so far"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--plain", "check"], "--plain is an option of the dashboard"),
        (["--utc", "check"], "--utc is an option of the dashboard"),
        (["--utc"], "--utc needs --plain"),
        (["--plain", "--web"], "--web and --plain exclude each other"),
    ],
    ids=" ".join,
)
def test_options_that_do_not_go_together_are_refused(options: list[str], message: str) -> None:
    answer = CliRunner().invoke(main, options)
    assert (answer.exit_code, message in answer.output) == (2, True)
