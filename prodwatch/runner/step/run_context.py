"""What every execution of a run works with; handed in once, shared by all."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import msgspec

from prodwatch.aws.api import AwsApi
from prodwatch.clock import Clock
from prodwatch.model.environment import Environment
from prodwatch.model.result import Notice
from prodwatch.probes.base import HttpPool, Probe
from prodwatch.runner.bounds.concurrency import ConcurrencyLimits
from prodwatch.runner.bounds.time_limits import TaskTimeouts
from prodwatch.runner.step.compiled import Specs
from prodwatch.runner.step.journal import Journal
from prodwatch.runner.step.json_schemas import JsonSchemas
from prodwatch.runner.values.remote_inputs import RemoteInputs
from prodwatch.text.redact import Redactor

Probes = Callable[[str], Probe]


class RunContext(msgspec.Struct, kw_only=True):
    """One run's shared means."""

    environment: Environment
    clock: Clock
    random: Random
    http: HttpPool
    aws: AwsApi
    probes: Probes
    specs: Specs
    gate: ConcurrencyLimits
    inputs: RemoteInputs
    redactor: Redactor
    journal: Journal
    schemas: JsonSchemas
    watch: TaskTimeouts | None
    """Ends what takes too long; None when the clock is not the machine's."""
    root: str
    run_id: str
    notices: dict[tuple[str, str], Notice] = msgspec.field(default_factory=dict)

    def notice(self, code: str, message: str) -> None:
        """Say something once that is not a check's result."""
        self.notices.setdefault((code, message), Notice(code=code, message=message))

    def fresh_ids(self) -> tuple[str, str]:
        """Return what no other execution has: sixteen hex digits, and a trace id in X-Ray's form `1-8hex-24hex`."""
        drawn = f"{self.random.getrandbits(160):040x}"
        return drawn[:16], f"1-{int(self.clock.now().timestamp()):08x}-{drawn[16:]}"
