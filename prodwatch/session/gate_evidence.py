"""The facts of a gate: what counts since the shift, what was measured, and what was not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Literal

from msgspec.structs import replace

from prodwatch.judge.facts import CheckFact, Facts, SignalFact
from prodwatch.model.comparison import ComparedVersion, ComparisonResult
from prodwatch.model.environment import Environment, metric_labels
from prodwatch.model.identity import AlarmId, unique_name
from prodwatch.model.release import UNDER_WAY, WENT_WRONG, serving_share
from prodwatch.model.result import CheckResult, Notice, RoundCount
from prodwatch.model.signal import AlarmState, ReleaseState
from prodwatch.model.status import Reason, Status
from prodwatch.session.gate_subject import Subject, comparisons_of, signatures_of
from prodwatch.store.check_history import MAX_ROUNDS, CheckTrack
from prodwatch.store.store import Store
from prodwatch.text.units import format_age
from prodwatch.views.verdict_facts import session_facts

STOPPED_S = 300.0
"""Time without a request of the new version from which the end of a bake was not measured."""
STOPPED_LEAST_S = 150.0
"""The same for a short bake: requests are counted in batches, up to two minutes after they ended."""
_MEASURED = frozenset((Status.PASS, Status.DEGRADED, Status.FAIL))


class GateEvidence:
    """Everything that a gate rests on, gathered from the store."""

    def __init__(self, environment: Environment, store: Store, *, runs_checks: bool = True) -> None:
        self._runs_checks = runs_checks
        self._environment = environment
        self._store = store
        self._subjects: tuple[Subject, ...] = ()
        self._shifted_at: datetime | None = None
        self._ends_at: datetime | None = None
        self._series_from: datetime | None = None
        """Earliest end of a period whose point counts; None where all count."""
        self._counts_from: datetime | None = None
        """When checks began to count; None before."""
        self._discounted: frozenset[str] = frozenset()
        """Alarms that were firing before the shift."""
        self._gaps: list[tuple[datetime, datetime]] = []
        self._served: dict[str, tuple[int, datetime]] = {}
        """Comparison of errors → requests of the new version, and when their number last grew."""
        self._reported: dict[str, int] = {}
        """Check → its rounds that were reported as finished."""

    def plan(
        self,
        subjects: tuple[Subject, ...],
        shifted_at: datetime,
        ends_at: datetime,
        series_from: datetime | None,
    ) -> None:
        """Fix the releases that the gate is about, and the times from which evidence counts."""
        self._subjects = subjects
        self._shifted_at, self._ends_at, self._series_from = shifted_at, ends_at, series_from

    def begin(self, now: datetime) -> None:
        """Count checks from now on."""
        self._counts_from = now

    def discount(self, alarms: Iterable[AlarmState]) -> None:
        """Note that these alarms were firing before the shift, which proves nothing against the release."""
        self._discounted = frozenset(unique_name(each.name, each.place) for each in alarms)

    def add_gap(self, start: datetime, end: datetime) -> None:
        """Note that nothing was measured between two moments of the bake."""
        self._gaps.append((start, end))

    def facts(self, now: datetime, states: tuple[ReleaseState, ...], *, final: bool) -> Facts:
        """Return the facts at `now`; `states` are those of the gate's releases."""
        store = self._store
        facts = session_facts(store, now, every_s=self._environment.rounds.every_s)
        if self._subjects:
            facts = replace(
                facts,
                comparisons=self._with_uncompared(comparisons_of(self._subjects, facts.comparisons)),
                signatures=signatures_of(self._subjects, facts.signatures),
            )
        self._note_served(facts, now)
        return replace(
            facts,
            mode="gate",
            runs_checks=self._runs_checks,
            checks=tuple(self._counted(each, now) for each in facts.checks),
            signals=self._counted_signals(facts.signals),
            releases=states,
            not_compared=tuple(each for each in facts.not_compared if each in states),
            require=required(self._environment),
            not_measured=(*self._not_measured(now), *_withdrawn(states)) if final else (),
            final=final,
        )

    def finished(self) -> tuple[CheckResult, ...]:
        """Return the checks whose latest round has finished since the call before."""
        finished = []
        for track in self._store.checks.tracks.values():
            if track.latest is not None and track.rounds > self._reported.get(track.id, 0):
                self._reported[track.id] = track.rounds
                finished.append(track.latest)
        return tuple(finished)

    def latest(self) -> tuple[CheckResult, ...]:
        """Return the latest result of each check."""
        return tuple(each.latest for each in self._store.checks.tracks.values() if each.latest is not None)

    def rounds(self, now: datetime) -> tuple[RoundCount, ...]:
        """Return the rounds of each check that counts, without diagnostics."""
        return tuple(self._rounds(track, now) for track in self._store.checks.tracks.values() if track.kind == "smoke")

    def notices(self, states: Sequence[ReleaseState], skipped: str | None) -> tuple[Notice, ...]:
        """Return the notices of the result."""
        found = []
        if skipped is not None:
            found.append(Notice(code="skip_verification", message=f"nothing was measured, as asked for: {skipped}"))
        if not self._runs_checks:
            message = "checks were not run, because the window is over: nothing that only a check can see was judged"
            found.append(Notice(code="no_checks", message=message))
        found += [Notice(code="gap", message=each) for each in self._gap_sentences()]
        found += self._rollback_notices(states)
        for each in states:
            new, old = each.version or "", each.previous or ""
            same_code = each.code.get(new) is not None and each.code.get(new) == each.code.get(old)
            same_settings = each.configuration.get(new) == each.configuration.get(old)
            if same_code and each.configuration.get(new) is not None and same_settings:
                message = f"version {new} of {each.title} has the code and the configuration of version {old}"
                found.append(Notice(code="same_version", message=message))
        errors = [each for each in comparisons_of(self._subjects, self._store.comparisons) if each.kind == "errors"]
        if (
            self._subjects
            and required(self._environment) == "none"
            and not any(each.status is Status.PASS for each in errors)
        ):
            message = (
                "the versions were not compared well enough to exclude harm, and [compare] require asks for no proof"
            )
            found.append(Notice(code="uncompared", message=message))
        return (*self._store.notices, *found)

    def _counted(self, check: CheckFact, now: datetime) -> CheckFact:
        if self._counts_from is None:
            return replace(check, status=None, streak=0, failed_share=None, age_s=None)
        track = self._store.checks.get(check.id)
        if track is None:
            return check
        count = self._rounds(track, now)
        # The message of a dashboard may name a key that runs the check again.
        message = check.message if track.latest is None else track.latest.message
        return replace(check, rounds=count.measured, planned=count.planned, message=message)

    def _with_uncompared(self, results: tuple[ComparisonResult, ...]) -> tuple[ComparisonResult, ...]:
        """Return the comparisons, and an open one for each metric by version when the session compared none of them.

        It compares them for one function only, and for none of which only one version is known.
        """
        subject = next((each for each in self._subjects if each.is_function), None)
        was_compared = any(each.kind == "metric" for each in results)
        if subject is None or was_compared or self._environment.release.baseline == "none":
            return results
        metrics = self._environment.metrics
        missing = (
            ComparisonResult(
                kind="metric",
                id=label,
                function=subject.name,
                basis="requests",
                status=Status.INCONCLUSIVE,
                reason_code=Reason.NO_DATA,
                message=f"{label}: not compared for version {subject.version} of {subject.name}",
                canary=ComparedVersion(version=subject.version),
                baseline=ComparedVersion(version=None),
                unit=metric.unit,
            )
            for metric, label in zip(metrics, metric_labels(metrics), strict=True)
            if metric.gate and metric.is_by_version
        )
        return (*results, *missing)

    def _counted_signals(self, signals: tuple[SignalFact, ...]) -> tuple[SignalFact, ...]:
        """Return the signals; a metric without a point since the shift has settled is not known."""
        if self._series_from is None and not self._environment.functions:
            return signals
        at = {each.id: each.at for each in self._store.signals.get("metric", ())}
        return tuple(self._counted_signal(each, at.get(each.id)) for each in signals)

    def _counted_signal(self, signal: SignalFact, at: datetime | None) -> SignalFact:
        if signal.kind == "alarm" and signal.status is Status.FAIL:
            if self._ends_at is not None and signal.id not in self._discounted:
                return signal
            message = "the alarm was already firing before the shift"
            return replace(signal, status=Status.INCONCLUSIVE, reason_code=Reason.PREREQUISITE, message=message)
        if signal.kind != "metric" or signal.status not in _MEASURED:
            return signal
        if self._series_from is not None and at is not None and at >= self._series_from:
            return signal
        message = "no settled point from later than 2 min after the shift has been read"
        return replace(signal, status=Status.INCONCLUSIVE, reason_code=Reason.NO_DATA, message=message)

    def _rounds(self, track: CheckTrack, now: datetime) -> RoundCount:
        """Return how many rounds of a check fit into the bake so far, and how many of them measured something."""
        planned = 0
        if self._counts_from is not None and self._ends_at is not None:
            definition = track.definition
            every_s = definition.every_s if definition is not None else None
            once = definition is not None and definition.mutates and every_s is None
            seconds = (min(self._ends_at, now) - self._counts_from).total_seconds()
            fitting = int(seconds // (every_s or self._environment.rounds.every_s))
            # The first round begins with the bake, so that one more than fits may have finished.
            planned = 1 if once else max(fitting, len(track.history))
        return RoundCount(
            check=track.id,
            planned=min(planned, MAX_ROUNDS),
            finished=len(track.history),
            measured=sum(each.status in _MEASURED for each in track.history),
            failed=sum(each.status is Status.FAIL for each in track.history),
        )

    def _note_served(self, facts: Facts, now: datetime) -> None:
        for each in facts.comparisons:
            if each.kind == "errors" and each.canary.requests > self._served.get(each.id, (0, now))[0]:
                self._served[each.id] = each.canary.requests, now

    def _not_measured(self, now: datetime) -> tuple[str, ...]:
        """Return the parts of the bake without which nothing is proven."""
        found = []
        if self._ends_at is not None and self._shifted_at is not None:
            ends_at, bake = self._ends_at, self._ends_at - self._shifted_at
            lost = sum((min(end, ends_at) - min(start, ends_at) for start, end in self._gaps), timedelta())
            if lost * 2 >= bake or any(end >= ends_at for _start, end in self._gaps):
                found += [f"{each[:1].upper()}{each[1:]}" for each in self._gap_sentences()]
            if required(self._environment) == "errors":
                stopped_s = max(STOPPED_LEAST_S, min(STOPPED_S, bake.total_seconds() / 2))
                for id_, (requests, at) in self._served.items():
                    idle_s = (now - at).total_seconds()
                    if idle_s > stopped_s:
                        name = id_.removesuffix(" errors")
                        found.append(
                            f"The new version of {name} has served no request for {format_age(idle_s)}, "
                            f"after {requests:,}"
                        )
        return tuple(found)

    def _gap_sentences(self) -> list[str]:
        return [
            f"{format_age((end - start).total_seconds())} from {start:%H:%M:%S} to {end:%H:%M:%S} UTC"
            " were not measured: this machine slept or was too busy"
            for start, end in self._gaps
        ]

    def _rollback_notices(self, states: Sequence[ReleaseState]) -> list[Notice]:
        groups = {(each.place, each.rollback.group): each for each in states if each.rollback is not None}
        messages = [message for each in groups.values() for message in self._rollback_problems(each)]
        if any(each.phase in UNDER_WAY for each in states):
            alarms = self._store.release.alarms.values()
            if not alarms and not groups:
                messages.append("no alarm is watched, so it is not known whether one rolls this release back")
            messages += [
                f"the actions of alarm {each.name} are disabled" for each in alarms if not each.actions_enabled
            ]
        return [Notice(code="rollback_alarm", message=each) for each in dict.fromkeys(messages)]

    def _rollback_problems(self, state: ReleaseState) -> list[str]:
        """Return why the alarms of a release's deployment group may not roll it back."""
        rollback = state.rollback
        if rollback is None:
            return []
        kind = "AppConfig environment" if state.kind == "configuration" else "deployment group"
        group = f"{kind} {rollback.group}"
        if not rollback.alarms or not rollback.enabled:
            if rollback.unread is not None and not rollback.alarms:
                return [f"the alarms that roll {state.title} back are not known: {rollback.unread}"]
            lacks = f"the alarms of {group} are disabled" if rollback.alarms else f"{group} has no alarm"
            return [f"{lacks}, so none rolls {state.title} back"]
        found = []
        if not rollback.rolls_back:
            found.append(f"{group} does not roll back a deployment that an alarm stops")
        if rollback.ignores_unread:
            found.append(f"{group} continues when CodeDeploy cannot read its alarms")
        for name in rollback.alarms:
            alarm = self._store.release.alarms.get(AlarmId(name, state.place))
            if alarm is None:
                found.append(f"alarm {name} of {group} does not exist or was not read")
            elif alarm.muted_by is not None:
                found.append(f"alarm {name} of {group} is muted by rule {alarm.muted_by}")
            elif not alarm.actions_enabled:
                found.append(f"the actions of alarm {name} are disabled")
        return found


def _withdrawn(states: Iterable[ReleaseState]) -> list[str]:
    """Return the versions that have lost all traffic although their release did not go wrong."""
    return [
        f"Version {each.version} of {each.title} gets no traffic any more"
        for each in states
        if each.phase not in WENT_WRONG and serving_share(each) == 0
    ]


def required(environment: Environment) -> Literal["errors", "none"]:
    """Return the comparison that a pass must prove."""
    is_compared = environment.functions and environment.release.baseline == "auto" and environment.compare.errors
    return environment.compare.require or ("errors" if is_compared else "none")
