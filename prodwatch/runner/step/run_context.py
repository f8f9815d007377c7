"""Shared context of a run: everything its executions use, created once."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any

import msgspec

from prodwatch.aws.interface import AwsApi
from prodwatch.clock import Clock
from prodwatch.errors import UnusableError
from prodwatch.model.environment import Environment
from prodwatch.model.result import Notice
from prodwatch.probes.base import HttpPool, Probe
from prodwatch.probes.project_files import file_inside
from prodwatch.runner.bounds.concurrency import ConcurrencyLimits
from prodwatch.runner.bounds.loop_lag import LoopLag
from prodwatch.runner.bounds.time_limits import TaskTimeouts
from prodwatch.runner.step.compiled import Specs
from prodwatch.runner.step.journal import Journal
from prodwatch.runner.values.remote_inputs import RemoteInputs
from prodwatch.text.redact import Redactor

Probes = Callable[[str], Probe]
"""Check type → probe; raises KeyError or ImportError for a type that cannot be loaded."""


REMEMBERED_NOTICES = 1000
"""Notices of a session of rounds that are remembered, so that none is passed on twice in a row."""


class JsonSchemas:
    """JSON Schema files that `satisfies` names: inside the project only, each read once."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._loaded: dict[str, Any] = {}

    def load(self, name: str) -> Any:
        """Return the parsed file `name`, a path from the project root; raises OSError or ValueError."""
        if name not in self._loaded:
            try:
                path = file_inside(self._root, name)
            except UnusableError as error:
                raise ValueError(str(error)) from error
            self._loaded[name] = json.loads(path.read_bytes(), parse_float=Decimal)
        return self._loaded[name]


class RunContext(msgspec.Struct, kw_only=True):
    """Shared context of one run, or of a session of rounds."""

    environment: Environment
    clock: Clock
    random: Random
    http: HttpPool
    aws: AwsApi
    probes: Probes
    specs: Specs
    concurrency: ConcurrencyLimits
    inputs: RemoteInputs
    redactor: Redactor
    journal: Journal
    schemas: JsonSchemas
    timeouts: TaskTimeouts | None
    """Cancels requests that exceed their time limit; None when the clock is not the machine's."""
    lag: LoopLag
    root: str
    run_id: str
    captured_secrets: set[str] | None = None
    """Secrets that the checks of one run captured; None in a session of rounds, which would collect them for ever."""
    memory: dict[str, Any] = msgspec.field(default_factory=dict)
    """`ProbeContext.memory` of all requests."""
    notices: dict[tuple[str, str], Notice] = msgspec.field(default_factory=dict)
    on_notice: Callable[[Notice], None] | None = None
    """Receives each notice of a session of rounds, which has no result; None in a single run."""

    def notice(self, code: str, message: str) -> None:
        """Record a message that belongs to no check's result; equal notices are kept once."""
        if (code, message) in self.notices:
            return
        notice = self.notices[code, message] = Notice(code=code, message=message)
        if self.on_notice is not None:
            self.on_notice(notice)
            while len(self.notices) > REMEMBERED_NOTICES:
                del self.notices[next(iter(self.notices))]

    def fresh_ids(self) -> tuple[str, str]:
        """Return ids unique to one execution: sixteen hex digits, and a trace id in X-Ray's form `1-8hex-24hex`."""
        digits = f"{self.random.getrandbits(160):040x}"
        return digits[:16], f"1-{int(self.clock.now().timestamp()):08x}-{digits[16:]}"
