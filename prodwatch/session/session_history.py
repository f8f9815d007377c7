"""The history of a session of the dashboard: one entry per session, written while it runs and at its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from prodwatch import __version__
from prodwatch.clock import Clock
from prodwatch.model.exit_code import ExitCode
from prodwatch.model.history import RoundSummary, RunEntry, VerdictChange
from prodwatch.model.release import present_releases
from prodwatch.model.result import CheckResult, EnvironmentInfo, RunInfo, RunResult, Tool, Verdict
from prodwatch.model.status import Reason
from prodwatch.runner.run_result_document import summarize
from prodwatch.runner.values.read_releases import release_info
from prodwatch.session.engine import ci_name, host_name
from prodwatch.session.history import keep, last_outcomes_of
from prodwatch.settings import Project
from prodwatch.store.check_history import CheckTrack
from prodwatch.store.store import Store
from prodwatch.views.history import LAST, summarize_rounds
from prodwatch.views.history_entry import entry_of

TALLY_EVERY_S = 30.0
"""Interval at which finished rounds are counted: the store keeps the last 240 of each check."""
WRITE_EVERY = 10
"""Counts per writing, so that a killed session loses no more than five minutes."""
MAX_VERDICTS = 50
_UNDECIDED = Verdict(
    status="inconclusive",
    exit_code=ExitCode.INCONCLUSIVE,
    reason_code=Reason.NO_DATA,
    reason="the session ended before its first verdict",
)


class RoundTally:
    """Counts the rounds of each check in a size that does not grow with them."""

    def __init__(self) -> None:
        self.rounds: dict[str, RoundSummary] = {}
        self._seen: dict[str, int] = {}

    def add(self, results: Iterable[CheckResult]) -> None:
        """Count results, each of a round of its own."""
        for result in results:
            finished = (result.status, result.duration_ms, "flaky" in result.flags)
            self.rounds[result.id] = summarize_rounds((finished,), self.rounds.get(result.id))

    def follow(self, tracks: Mapping[str, CheckTrack]) -> None:
        """Count the rounds that have finished since the last call."""
        for id_, track in tracks.items():
            seen = self._seen.get(id_, 0)
            # A check that was edited begins a new track.
            new = track.rounds - seen if track.rounds >= seen else track.rounds
            self._seen[id_] = track.rounds
            if new:
                finished = [(each.status, each.duration_ms, each.flaky) for each in track.history[-new:]]
                self.rounds[id_] = summarize_rounds(finished, self.rounds.get(id_))


class SessionHistory:
    """Shows past outcomes in a session's store and keeps the session."""

    def __init__(
        self, project: Project, store: Store, clock: Clock, run_id: str, *, warn: Callable[[str], None]
    ) -> None:
        """`warn` receives one sentence for each failure, on the event loop; the session is not affected."""
        self._project = project
        self._store = store
        self._clock = clock
        self._run_id = run_id
        self._warn = warn
        self._warned: set[str] = set()
        self._tally = RoundTally()
        self._started_at = clock.now()

    async def run(self, clean: Callable[[str], str]) -> None:
        """Read the past, then write the session every few minutes until cancelled; `clean` masks known secrets."""
        problems: list[str] = []
        past = await asyncio.to_thread(partial(last_outcomes_of, self._project, LAST, warn=problems.append))
        self._report(problems)
        self._store.set_past_outcomes(past)
        count = 0
        while True:
            await self._clock.sleep(TALLY_EVERY_S)
            self._tally.follow(self._store.checks.tracks)
            count += 1
            if count % WRITE_EVERY == 0:
                await self.write(self.entry(clean))

    async def write(self, entry: RunEntry | None) -> None:
        """Write the session; None is not written."""
        if entry is None:
            return
        problems: list[str] = []
        await asyncio.to_thread(partial(keep, self._project, entry, warn=problems.append))
        self._report(problems)

    def _report(self, problems: Iterable[str]) -> None:
        for problem in problems:
            if problem not in self._warned:
                self._warned.add(problem)
                self._warn(problem)

    def entry(self, clean: Callable[[str], str]) -> RunEntry | None:
        """Return the session as it is now; None while no check has finished."""
        self._tally.follow(self._store.checks.tracks)
        store, environment = self._store, self._project.environment
        checks = tuple(each.latest for each in store.checks.tracks.values() if each.latest is not None)
        if not checks:
            return None
        now = self._clock.now()
        releases = present_releases(store.release.states.values(), now)
        result = RunResult(
            tool=Tool(version=__version__),
            run=RunInfo(
                id=self._run_id,
                mode="dashboard",
                started_at=self._started_at,
                ended_at=now,
                duration_ms=round((now - self._started_at).total_seconds() * 1000),
                host=host_name(),
                ci=ci_name(),
            ),
            environment=EnvironmentInfo(
                name=environment.name,
                title=environment.title,
                account=environment.aws.account,
                region=environment.aws.region,
            ),
            release=release_info(releases, attested=None),
            verdict=store.verdict.verdict if store.verdict else _UNDECIDED,
            summary=summarize(each for each in checks if each.kind == "smoke"),
            checks=checks,
            signals=tuple(each for results in store.signals.values() for each in results),
            comparisons=store.comparisons,
            signatures=store.compared_signatures,
        )
        return entry_of(result, rounds=self._tally.rounds, verdicts=self._verdicts(clean), clean=clean)

    def _verdicts(self, clean: Callable[[str], str]) -> list[VerdictChange]:
        changes = [
            VerdictChange(at=each.at, status=str(each.to), reason=clean(each.detail) if each.detail else None)
            for each in self._store.release.events
            if each.source == "verdict"
        ]
        return sorted(changes, key=lambda each: each.at)[-MAX_VERDICTS:]
