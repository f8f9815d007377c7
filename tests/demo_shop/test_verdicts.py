"""Each staged release ends in the verdict that it deserves, in the dashboard and at the end of a gate.

Its log lines go through parser, store, comparison and judge in virtual time, next to a check that passes.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from prodwatch.demo.shop.functions import ORDERS
from prodwatch.demo.shop.release_timeline import Timeline
from prodwatch.demo.shop.scenario import load
from prodwatch.demo.shop.signal_history import ShopHistory
from prodwatch.formats.lambda_record import LineParser
from prodwatch.judge.decide import decide
from prodwatch.judge.decision import Rule
from prodwatch.judge.facts import Facts
from prodwatch.model.environment import SCENARIOS, Compare
from prodwatch.model.signal import Batch, ReleasePhase, ReleaseState, SourcePhase, SourceStatus
from prodwatch.session.release_comparison import ReleaseComparisons
from prodwatch.sources.logs.events import RawEvent
from prodwatch.store.store import Store
from prodwatch.testing.clock import FakeClock
from prodwatch.views.verdict_facts import session_facts
from tests.support.verdict_facts import check

NOW = 1_795_183_432
GROUP = f"/aws/lambda/{ORDERS}"
BEFORE_S = 60
LOOK_S = 30
READ_AFTER_S = 10
"""Delay after which every line of the demo is visible."""


class Watched:
    """A staged release whose lines reach a store as its time passes."""

    def __init__(self, name: str, *, auto: bool = False) -> None:
        """With `auto` its clock moves by itself."""
        timeline = Timeline(load(name), opened_s=NOW, at="during")
        self.origin_s = timeline.origin_s
        self.history = ShopHistory(timeline, seed=42)
        start = datetime.fromtimestamp(self.origin_s, UTC)
        self.clock = FakeClock(start, auto=auto)
        self.store = Store(self.clock)
        self.parser = LineParser()
        self.comparisons = ReleaseComparisons(self.store, Compare(), 1)
        moving = ReleaseState(
            function=ORDERS,
            alias="live",
            phase=ReleasePhase.SHIFTING,
            version="42",
            previous="41",
            weights={"41": 0.9, "42": 0.1},
            started_at=start,
        )
        self.store.apply(Batch(source="release", records=(moving,)))

    def read(self, start_s: int, end_s: int) -> None:
        """Read the lines of these seconds since the new version's first request, and compare."""
        found = self.history.log_events(GROUP, (self.origin_s + start_s) * 1000, (self.origin_s + end_s) * 1000 - 1)
        events = [RawEvent(each.timestamp_ms, each.message, "", each.stream, each.ingested_ms) for each in found]
        records = tuple(self.parser.parse_all(events, GROUP))
        fresh_at = datetime.fromtimestamp(self.origin_s + end_s, UTC)
        name = f"logs:{GROUP}"
        status = SourceStatus(
            source=name,
            phase=SourcePhase.LIVE,
            fresh_at=fresh_at,
            read_from=datetime.fromtimestamp(self.origin_s - BEFORE_S, UTC),
        )
        self.store.apply(Batch(source=name, records=records, status=status))
        self.comparisons.update(fresh_at)

    def facts(self, at_s: int) -> Facts:
        """Return the facts of a dashboard at a second, with a check that has passed."""
        now = datetime.fromtimestamp(self.origin_s + at_s, UTC)
        return replace(session_facts(self.store, now, every_s=30.0), checks=(check("a", rounds=20, planned=20),))

    def verdicts(self, until_s: int) -> list[tuple[str, Rule]]:
        """Return the verdict of the dashboard at every look until then."""
        seen = []
        self.read(-BEFORE_S, 0)
        for at_s in range(0, until_s, LOOK_S):
            decision = decide(self.facts(at_s))
            seen.append((str(decision.verdict.status), decision.headline.rule))
            self.read(at_s, at_s + LOOK_S)
        return seen

    def gate(self, at_s: int) -> tuple[int, Rule]:
        """Return exit code and reason of a gate whose bake ends now."""
        decision = decide(replace(self.facts(at_s), mode="gate", final=True, require="errors"))
        return decision.verdict.exit_code, decision.headline.rule


DESERVED = [
    # scenario, length of the bake in seconds, statuses of the dashboard in their order, exit code and rule of the gate
    ("bad", 180, ["inconclusive", "fail"], 1, Rule.WORSE),
    pytest.param("outage", 150, ["inconclusive", "fail"], 1, Rule.WORSE, marks=pytest.mark.slow),
    pytest.param("config-only", 240, ["inconclusive", "fail"], 1, Rule.WORSE, marks=pytest.mark.slow),
    ("no-traffic", 300, ["inconclusive"], 4, Rule.UNUSED),
    pytest.param("slow-burn", 600, ["inconclusive", "pass", "fail"], 1, Rule.WORSE, marks=pytest.mark.slow),
    pytest.param("good", 600, ["inconclusive", "pass"], 0, Rule.PASSED, marks=pytest.mark.slow),
]


def test_every_scenario_has_its_verdict() -> None:
    names = [each.values[0] if hasattr(each, "values") else each[0] for each in DESERVED]
    assert set(names) == set(SCENARIOS)


@pytest.mark.parametrize(("name", "until_s", "statuses", "code", "rule"), DESERVED)
def test_each_scenario_ends_in_the_verdict_that_it_deserves(
    name: str, until_s: int, statuses: list[str], code: int, rule: Rule
) -> None:
    watched = Watched(name)
    seen = watched.verdicts(until_s)
    assert list(dict.fromkeys(status for status, _ in seen)) == statuses
    assert seen[-1][1] is rule
    assert watched.gate(until_s) == (code, rule)
