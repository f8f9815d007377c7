"""Scripted deployments by id; their state depends on the time alone."""

from __future__ import annotations

from threading import Lock

from prodwatch.demo.aws.codedeploy.model import ENDED, Deployment, DeploymentState, state_at


class DeploymentStore:
    """All scripted deployments of one region. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._deployments: dict[str, Deployment] = {}
        self._stopped_s: dict[str, float] = {}

    def put(self, deployment: Deployment) -> None:
        """Add a deployment, or replace the script of the one with this id."""
        with self._lock:
            self._deployments[deployment.id] = deployment

    def get(self, deployment_id: str, now_s: float) -> Deployment | None:
        """Return a deployment that has been created by `now_s`."""
        with self._lock:
            deployment = self._deployments.get(deployment_id)
        return deployment if deployment is not None and deployment.created_s <= now_s else None

    def created(self, now_s: float) -> list[Deployment]:
        """Return the deployments created by `now_s`, newest first."""
        with self._lock:
            deployments = [deployment for deployment in self._deployments.values() if deployment.created_s <= now_s]
        return sorted(deployments, key=lambda deployment: (-deployment.created_s, deployment.id))

    def knows_application(self, name: str) -> bool:
        """Return whether any script, past or future, belongs to an application."""
        with self._lock:
            return any(deployment.application == name for deployment in self._deployments.values())

    def scripts(self) -> list[Deployment]:
        """Return every script, oldest first, future ones included."""
        with self._lock:
            return sorted(self._deployments.values(), key=lambda deployment: (deployment.created_s, deployment.id))

    def state(self, deployment: Deployment, now_s: float) -> DeploymentState:
        """Return the deployment's state at `now_s`."""
        with self._lock:
            stopped_s = self._stopped_s.get(deployment.id)
        return state_at(deployment, now_s, stopped_s)

    def stop(self, deployment: Deployment, now_s: float) -> bool:
        """Stop a running deployment; False when it has already ended."""
        if self.state(deployment, now_s).status in ENDED:
            return False
        with self._lock:
            self._stopped_s[deployment.id] = now_s
        return True

    def routing(self, function: str, alias: str, now_s: float) -> tuple[str, dict[str, float]] | None:
        """Return (version, additional weights) an alias has through its deployments, None without any.

        A target weight of 1 makes it the alias's version; a deployment that ends with less keeps the current version,
        and one that has not shifted traffic yet changes nothing.
        """
        routing: tuple[str, dict[str, float]] | None = None
        for deployment in self.scripts():
            if (deployment.function, deployment.alias) != (function, alias) or deployment.created_s > now_s:
                continue
            state = self.state(deployment, now_s)
            if state.weight >= 1.0:
                routing = (deployment.target, {})
            elif not state.shifted:
                continue
            elif state.weight <= 0.0 or state.status in ENDED:
                routing = (deployment.current, {})
            else:
                routing = (deployment.current, {deployment.target: state.weight})
        return routing
