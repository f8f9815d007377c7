"""A runner on a clock that obeys, with scripted probes and a scripted AWS: checks run without any target."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from prodwatch.model.check import CheckDefinition
from prodwatch.model.environment import Environment
from prodwatch.model.event import RunEvent
from prodwatch.model.result import CheckResult, Notice, RunResult
from prodwatch.model.spec import ProbeSpec
from prodwatch.probes import registry
from prodwatch.probes.base import HttpPool, Probe
from prodwatch.runner import Runner, RunOptions
from prodwatch.runner.bounds.loop_lag import LoopLag
from prodwatch.testing.aws import ScriptedAws
from prodwatch.testing.clock import FakeClock
from prodwatch.testing.definitions import environment, spec
from prodwatch.testing.probes import ScriptedProbe
from prodwatch.text.redact import Redactor


class Bench:
    """Everything a `Runner` needs, each part open to scripting."""

    def __init__(self, folder: Path) -> None:
        """Lay out a project root and a journal folder inside `folder`."""
        self.root = folder / "project"
        self.root.mkdir(parents=True, exist_ok=True)
        self.journal_dir = folder / "state"
        self.clock = FakeClock(auto=True)
        self.lag = LoopLag(self.clock)
        """Stalls of the machine, as a test records them."""
        self.aws = ScriptedAws()
        self.redactor = Redactor()
        self.environ: dict[str, str] = {}
        self.environment: Environment = environment()
        self.events: list[RunEvent] = []
        """All events the listener received."""
        self.notices: list[Notice] = []
        """All notices of rounds."""
        self._probes: dict[str, Probe] = {}
        self._specs: dict[str, ProbeSpec] = {}

    def script(self, type_: str, *answers: Any, takes_s: float = 0.0, **keys: Any) -> ScriptedProbe:
        """Have checks of `type_` answered by script; `keys` are those of a `ProbeSpec`."""
        probe = ScriptedProbe(*answers, takes_s=takes_s)
        self._probes[type_] = probe
        if keys or registry.spec(type_) is None:
            self._specs[type_] = spec(type_, **keys)
        return probe

    def runner(self, definitions: Sequence[CheckDefinition], *, memory: dict[str, Any] | None = None) -> Runner:
        """Return a runner that knows these checks; `memory` is that of an earlier runner."""
        return Runner(
            self.environment,
            definitions,
            root=str(self.root),
            clock=self.clock,
            random=random.Random(7),  # noqa: S311 -- deterministic on purpose
            http=cast("HttpPool", None),  # scripted probes send nothing
            aws=self.aws,
            redactor=self.redactor,
            journal_dir=self.journal_dir,
            version="0.0.0",
            environ=self.environ,
            listener=self.events.append,
            on_notice=self.notices.append,
            probes=self._probe,
            specs=self._spec,
            memory=memory,
            lag=self.lag,
        )

    async def run(
        self,
        *selected: CheckDefinition,
        others: Sequence[CheckDefinition] = (),
        options: RunOptions | None = None,
        **keys: Any,
    ) -> RunResult:
        """Run the selected checks once; `others` are loaded too. `keys` are those of `RunOptions`."""
        return await self.runner([*selected, *others]).run(selected, options or RunOptions(**keys))

    async def one(self, definition: CheckDefinition, **keys: Any) -> CheckResult:
        """Run one check and return its result."""
        return (await self.run(definition, **keys)).checks[0]

    def _probe(self, type_: str) -> Probe:
        return self._probes[type_] if type_ in self._probes else registry.probe(type_)

    def _spec(self, type_: str) -> ProbeSpec | None:
        return self._specs.get(type_) or registry.spec(type_)


def by_id(result: RunResult) -> Mapping[str, CheckResult]:
    """Return a run's results by id."""
    return {each.id: each for each in result.checks}
