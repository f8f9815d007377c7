"""The document of a gate."""

from __future__ import annotations

from datetime import datetime

import msgspec

from prodwatch import __version__
from prodwatch.judge.facts import Facts
from prodwatch.model.environment import Environment
from prodwatch.model.result import (
    CheckResult,
    EnvironmentInfo,
    Notice,
    RoundCount,
    RunInfo,
    RunResult,
    Tool,
    Verdict,
)
from prodwatch.runner.run_result_document import summarize
from prodwatch.runner.values.read_releases import release_info
from prodwatch.session.engine import ci_name, host_name
from prodwatch.store.store import Store


class GateRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A gate as it was when its bake ended: cleaning up afterwards changes none of it but what was left behind."""

    started_at: datetime
    ended_at: datetime
    verdict: Verdict
    facts: Facts
    checks: tuple[CheckResult, ...]
    rounds: tuple[RoundCount, ...]
    notices: tuple[Notice, ...]


def gate_result(record: GateRecord, run_id: str, environment: Environment, store: Store) -> RunResult:
    """Return the document."""
    facts = record.facts
    served = any(each.canary.requests for each in facts.comparisons)
    return RunResult(
        tool=Tool(version=__version__),
        run=RunInfo(
            id=run_id,
            mode="gate",
            started_at=record.started_at,
            ended_at=record.ended_at,
            duration_ms=round((record.ended_at - record.started_at).total_seconds() * 1000),
            host=host_name(),
            ci=ci_name(),
        ),
        environment=EnvironmentInfo(
            name=environment.name,
            title=environment.title,
            account=environment.aws.account,
            region=environment.aws.region,
        ),
        release=release_info(facts.releases, attested=served or None),
        verdict=record.verdict,
        summary=summarize(tuple(each for each in record.checks if each.kind == "smoke")),
        checks=record.checks,
        signals=tuple(each for results in store.signals.values() for each in results),
        comparisons=facts.comparisons,
        signatures=facts.signatures,
        coverage=facts.coverage,
        rounds=record.rounds,
        notices=record.notices,
        usage=store.usage,
    )
