"""The whole log source against the embedded AWS's log service on a virtual clock, with everything going wrong.

The oracle knows each line written and when it became visible: what was visible in time is shown once and only once.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from prodwatch.model.signal import SourcePhase
from tests.support.examples import slow_but
from tests.support.log_fault_regimes import REGIMES, follow

PROMISE = (
    "very event that CloudWatch makes visible within L of its timestamp is shown once and only once; "
    "what comes later is counted, never hidden"
)


def test_the_docs_promise_what_is_tested_here() -> None:
    page = (Path(__file__).parents[2] / "docs/guide/live-signals.md").read_text("utf-8")
    assert PROMISE in " ".join(page.replace("> ", "").split())
    for phase in SourcePhase:
        assert phase in {SourcePhase.IDLE, SourcePhase.STOPPED} or f"| {phase.value} |" in page


FAST = (
    "later than promised",
    "equal milliseconds and identical lines",
    "dropped connections and refused tokens",
    "two minutes without network",
    "a clock set five minutes back",
    "live tail samples, breaks, leaves out",
)
"""One regime of each kind; the others combine or vary them."""


@pytest.mark.parametrize("name", slow_but(FAST, REGIMES))
async def test_nothing_is_lost_and_nothing_shown_twice(name: str) -> None:
    results = await follow(name, 160, 8)
    states = results.screen.states
    assert (results.lost, results.twice, results.hidden) == (0, 0, 0)
    assert results.written.all.total() > 1_200
    # The last call of all may be one that is throttled.
    assert "live" in {state.phase.value for state in states[-4:]}
    if name == "later than promised":
        assert results.written.later.total() > 200
    if REGIMES[name].live:
        assert max(status.sampled for status in states) > 0
        assert any("Live Tail on" in (status.message or "") for status in states)


@pytest.mark.slow
async def test_a_million_events_lose_none_and_show_none_twice() -> None:
    total = Counter[str]()
    for name, regime in REGIMES.items():
        results = await follow(name, 260, 400 // regime.identical)
        total.update(lost=results.lost, twice=results.twice, hidden=results.hidden, written=results.written.all.total())
    assert (total["lost"], total["twice"], total["hidden"]) == (0, 0, 0)
    assert total["written"] >= 1_000_000
