from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from prodwatch.model.check import CheckDefinition
from prodwatch.model.environment import Environment
from prodwatch.model.event import RunEvent
from prodwatch.model.result import CheckResult, RunResult
from prodwatch.model.spec import ProbeSpec
from prodwatch.probes import registry
from prodwatch.probes.base import Probe
from prodwatch.runner import Runner, RunOptions
from prodwatch.testing.aws import ScriptedAws
from prodwatch.testing.clock import FakeClock
from prodwatch.testing.definitions import environment, spec
from prodwatch.testing.probes import ScriptedProbe
from prodwatch.text.redact import Redactor


class Bench:
    """A runner on a clock that obeys, with scripted probes by type."""

    def __init__(self, journal_dir: Path, root: Path) -> None:
        self.journal_dir = journal_dir
        self.root = root
        self.clock = FakeClock(auto=True)
        self.aws = ScriptedAws()
        self.redactor = Redactor()
        self.environ: dict[str, str] = {}
        self.probes: dict[str, Probe] = {}
        self.specs: dict[str, ProbeSpec] = {}
        self.events: list[RunEvent] = []
        self.environment: Environment = environment()

    def script(self, type_: str = "scripted", *answers: Any, takes_s: float = 0.0, **keys: Any) -> ScriptedProbe:
        probe = ScriptedProbe(*answers, takes_s=takes_s)
        self.probes[type_] = probe
        self.specs.setdefault(type_, spec(type_, **keys))
        return probe

    def _probe(self, type_: str) -> Probe:
        return self.probes[type_] if type_ in self.probes else registry.probe(type_)

    def _spec(self, type_: str) -> ProbeSpec | None:
        return self.specs.get(type_) or registry.spec(type_)

    def runner(self, definitions: Sequence[CheckDefinition]) -> Runner:
        return Runner(
            self.environment,
            definitions,
            root=str(self.root),
            clock=self.clock,
            random=random.Random(7),
            http=None,  # type: ignore[arg-type]
            aws=self.aws,
            redactor=self.redactor,
            journal_dir=self.journal_dir,
            version="0.0.0",
            environ=self.environ,
            listener=self.events.append,
            probes=self._probe,
            specs=self._spec,
        )

    async def run(
        self,
        *definitions: CheckDefinition,
        others: Sequence[CheckDefinition] = (),
        options: RunOptions | None = None,
        **keys: Any,
    ) -> RunResult:
        runner = self.runner([*definitions, *others])
        return await runner.run(definitions, options or RunOptions(**keys))

    async def one(self, definition: CheckDefinition, **keys: Any) -> CheckResult:
        result = await self.run(definition, **keys)
        return result.checks[0]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    root = tmp_path / "project"
    root.mkdir()
    return Bench(tmp_path / "state", root)


def by_id(result: RunResult) -> Mapping[str, CheckResult]:
    return {each.id: each for each in result.checks}
