"""Functions and aliases by name; an alias follows its scripted deployment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Lock

from prodwatch.demo.aws.codedeploy.store import DeploymentStore
from prodwatch.demo.aws.functions.model import AliasState, Function
from prodwatch.demo.workload import Invoker


class FunctionStore:
    """Functions of one region that are not in moto. Safe to use from any thread."""

    def __init__(self, *, region: str, account: str, wall: Callable[[], float], deployments: DeploymentStore) -> None:
        self.region = region
        self.account = account
        self.on_invoke: Invoker | None = None
        """Implementation of Invoke; moto's when it is None."""
        self._wall = wall
        self._deployments = deployments
        self._lock = Lock()
        self._functions: dict[str, Function] = {}
        self._aliases: dict[tuple[str, str], AliasState] = {}
        self._logging: dict[str, Mapping[str, str]] = {}

    def put(self, function: Function) -> None:
        """Add a function or replace it."""
        with self._lock:
            self._functions[function.name] = function

    def put_alias(
        self, function: str, alias: str, version: str, weights: Mapping[str, float] | None = None, description: str = ""
    ) -> None:
        """Point an alias at a version, with shares (0 to 1) of its traffic on others.

        A scripted deployment of this alias overrides it from its creation on.
        """
        with self._lock:
            self._aliases[function, alias] = AliasState(
                version=version, weights=dict(weights or {}), description=description
            )

    def remember_logging(self, function: str, logging: Mapping[str, str]) -> None:
        """Keep the LoggingConfig of a function in moto, which drops it."""
        with self._lock:
            self._logging[function] = dict(logging)

    def logging(self, function: str) -> Mapping[str, str] | None:
        """Return the kept LoggingConfig, None without one."""
        with self._lock:
            return self._logging.get(function)

    def get(self, name: str) -> Function | None:
        """Return a function, None when it is not stored here."""
        with self._lock:
            return self._functions.get(name)

    def all(self) -> list[Function]:
        """Return every function, by name."""
        with self._lock:
            return [self._functions[name] for name in sorted(self._functions)]

    def alias(self, function: str, alias: str) -> AliasState | None:
        """Return the current target of an alias, None when it does not exist."""
        with self._lock:
            state = self._aliases.get((function, alias))
        if state is None:
            return None
        routed = self._deployments.routing(function, alias, self._wall())
        if routed is None:
            return state
        return AliasState(version=routed[0], weights=routed[1], description=state.description)

    def aliases(self, function: str) -> dict[str, AliasState]:
        """Return a function's aliases by name."""
        with self._lock:
            names = sorted(alias for owner, alias in self._aliases if owner == function)
        return {name: state for name in names if (state := self.alias(function, name)) is not None}

    def arn(self, function: str, qualifier: str | None = None) -> str:
        """Return the ARN of a function, version or alias."""
        arn = f"arn:aws:lambda:{self.region}:{self.account}:function:{function}"
        return f"{arn}:{qualifier}" if qualifier else arn
