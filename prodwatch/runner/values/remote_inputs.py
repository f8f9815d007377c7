"""Remote values that checks refer to: stacks, secrets, the release, the account; each read once, on demand."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from prodwatch.aws.interface import AwsApi, AwsError
from prodwatch.aws.secrets import Secrets
from prodwatch.aws.stacks import MissingStackError, Stacks, missing_output
from prodwatch.clock import Clock
from prodwatch.errors import CannotVerifyError
from prodwatch.model.environment import Environment, SecretReference, StackReference
from prodwatch.model.release import first_release, responding_versions
from prodwatch.model.signal import ReleaseState
from prodwatch.model.status import Reason
from prodwatch.runner.bounds.time_limits import bounded
from prodwatch.runner.options import ReleaseOverride
from prodwatch.runner.values.read_releases import ReleaseReading, read_releases
from prodwatch.settings.suggestions import closest
from prodwatch.settings.template import Reference, UnresolvedError
from prodwatch.text.redact import MIN_LENGTH, Redactor

StackReader = Callable[[StackReference], Awaitable[Mapping[str, str]]]
"""Outputs or resources of one stack; raises AwsError, or LookupError when the stack does not exist."""
SecretReader = Callable[[SecretReference], Awaitable[str]]
"""Value of one secret; raises AwsError, or LookupError when the secret does not exist."""
ReleaseReader = Callable[[], Awaitable[ReleaseReading]]
"""Release state of every function; raises AwsError or LookupError when none could be read."""

VANTAGE = "PRODWATCH_VANTAGE"
"""Environment variable that names the place prodwatch runs at."""
_LOG = logging.getLogger("prodwatch.runner")

REMOTE = frozenset({"stack", "resource", "secret", "release", "account"})
"""Scopes whose values have to be fetched."""


class Unavailable(msgspec.Struct, frozen=True):
    """Why a remote value is not available."""

    message: str
    reason: Reason
    missing: bool
    """True when the value does not exist, False when it could not be read."""
    near: str | None = None
    """Name that exists and resembles the missing one."""


class MissingInputError(UnresolvedError):
    """A reference has no value; `why` lets `requires` tell a missing value from one that could not be read."""

    def __init__(self, reference: Reference, why: Unavailable) -> None:
        super().__init__(reference, why.message)
        self.why = why
        self.known_missing = why.missing
        self.reason = why.reason


_RELEASE = Reference("release", ("version",), (), "${release.version}")


class RemoteInputs:
    """Remote values shared by all checks of a run: stacks, secrets, the release, the account; each read once."""

    def __init__(
        self,
        environment: Environment,
        *,
        aws: AwsApi,
        env: Mapping[str, str],
        redactor: Redactor,
        read_stack: StackReader,
        read_resources: StackReader,
        read_secret: SecretReader,
        read_release: ReleaseReader,
    ) -> None:
        self.environment = environment
        self._aws = aws
        self._env = env
        self._redactor = redactor
        self._read_stack = read_stack
        self._read_resources = read_resources
        self._read_secret = read_secret
        self._read_release = read_release
        self._values: dict[tuple[str, str], Any] = {}
        self._learned: set[str] = set()
        """Names of the secrets that are masked."""
        self._tasks: dict[tuple[str, str], asyncio.Task[Any]] = {}

    @property
    def vantage(self) -> str | None:
        """Name of the place prodwatch runs at, None when it has no name."""
        return self._env.get(VANTAGE) or None

    def region_of(self, account: str | None) -> str | None:
        """Return the region of an account's calls, None for the own account; None when none is configured."""
        return self._aws.region_name(account)

    async def ensure(self, references: Iterable[Reference]) -> None:
        """Fetch the values that these references need and that are not fetched yet, concurrently; never raises."""
        keys = {key for reference in references if (key := _key(reference)) is not None}
        waiting = [self._task(key) for key in keys if key not in self._values]
        if waiting:
            await asyncio.wait(waiting)

    @property
    def knows_secrets(self) -> bool:
        """Whether every secret of the environment is masked."""
        return self.environment.secrets.keys() <= self._learned

    async def learn_secrets(self) -> None:
        """Read every secret of the environment, so that all of them are masked from then on; never raises."""
        if not self.knows_secrets:
            await self.ensure(Reference("secret", (name,)) for name in self.environment.secrets)

    def unmasked_secrets(self) -> tuple[Unavailable, ...]:
        """Return why each secret that was requested and has no value is not masked."""
        values = (self._values.get(("secret", name)) for name in self.environment.secrets)
        return tuple(value for value in values if isinstance(value, Unavailable))

    def start(self, references: Iterable[Reference]) -> None:
        """Start fetching without waiting."""
        for reference in references:
            key = _key(reference)
            if key is not None and key not in self._values:
                self._task(key)

    def start_release(self) -> None:
        """Start reading the release without waiting."""
        self.start((_RELEASE,))

    async def settle(self, clock: Clock, within_s: float) -> None:
        """Wait up to `within_s` for pending fetches."""
        pending = list(self._tasks.values())
        if pending:
            with contextlib.suppress(TimeoutError):
                await bounded(clock, within_s, asyncio.wait(pending))

    def forget(self, *scopes: str) -> None:
        """Fetch these scopes again when they are next needed; failures are always forgotten."""
        for key, value in list(self._values.items()):
            if key[0] in scopes or isinstance(value, Unavailable):
                del self._values[key]

    def abandon(self, reason: Reason) -> None:
        """Cancel pending fetches; their values are unavailable for this reason."""
        for key, task in self._tasks.items():
            task.cancel()
            self._values[key] = _unread(f"{_target(key)} was not read before the run ended", reason)

    async def close(self) -> None:
        """Cancel pending fetches."""
        pending = list(self._tasks.values())
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)

    async def releases(self) -> Sequence[ReleaseState]:
        """Return the release state of every function that could be read; empty without one."""
        await self.ensure((_RELEASE,))
        return self.known_releases().states

    def known_releases(self) -> ReleaseReading:
        """Return the releases as far as they have been read, without waiting."""
        reading = self._values.get(("release", ""))
        if isinstance(reading, Unavailable):
            return ReleaseReading(unread=(reading.message,), reason=reading.reason)
        return ReleaseReading() if reading is None else reading

    def _task(self, key: tuple[str, str]) -> asyncio.Task[Any]:
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.create_task(self._fetch(key))
        return task

    async def _fetch(self, key: tuple[str, str]) -> None:
        scope, name = key
        target = _target(key)
        try:
            value = await self._read(scope, name)
            self._values[key] = value if value is not None else _unread(f"{target} has no value")
        except (AwsError, CannotVerifyError) as error:
            self._values[key] = _unread(f"{target} could not be read: {error}", error.reason)
        except MissingStackError as error:
            # A default or a skipped check would hide that everything about this stack is misspelt or gone.
            self._values[key] = _unread(str(error))
        except LookupError as error:
            if type(error) is not LookupError:
                self._values[key] = _broken(target, error)
            else:
                self._values[key] = Unavailable(str(error), Reason.UNRESOLVED, missing=True)
        except Exception as error:  # noqa: BLE001 -- whatever went wrong, there is no value
            self._values[key] = _broken(target, error)
        finally:
            self._tasks.pop(key, None)

    async def _read(self, scope: str, name: str) -> Any:
        if scope in {"stack", "resource"}:
            stack = self.environment.stacks.get(name)
            if stack is None:
                raise LookupError(f'there is no stack "{name}" in [stacks] of environment {self.environment.name}')
            return await (self._read_stack if scope == "stack" else self._read_resources)(stack)
        if scope == "secret":
            return await self._secret(name)
        if scope == "account":
            return await self._aws.account_id()
        return await self._read_release()

    async def _secret(self, name: str) -> str:
        reference = self.environment.secrets.get(name)
        if reference is None:
            raise LookupError(f'there is no secret "{name}" in [secrets] of environment {self.environment.name}')
        value = await self._read_secret(reference)
        if len(value) < MIN_LENGTH:
            raise LookupError(f'secret "{name}" has under {MIN_LENGTH} characters and could not be masked safely')
        self._redactor.add(value)
        self._learned.add(name)
        return value

    def lookup(self, reference: Reference) -> Any:
        """Return the raw value of a run-wide reference; UnresolvedError when it has none."""
        scope, path = reference.scope, reference.path
        if scope == "env":
            return self._env_value(reference)
        if scope == "region":
            region = self._aws.region_name()
            if region is None:
                raise UnresolvedError(reference, "no region is configured; set `region` under [aws] or AWS_REGION")
            return region
        value = self._values.get(_key(reference) or ("", ""))
        if value is None:
            value = _unread(f"{reference.source or reference.dotted} was not read")
        if isinstance(value, Unavailable):
            raise MissingInputError(reference, value)
        if scope in {"stack", "resource"}:
            return self._output(reference, value, path)
        if scope == "release":
            return self._release_value(reference, value, path)
        return value

    def _env_value(self, reference: Reference) -> str:
        name = ".".join(reference.path)
        value = self._env.get(name)
        if value is None:
            raise UnresolvedError(reference, f"the environment variable {name} is not set")
        return value

    def _output(self, reference: Reference, outputs: Any, path: tuple[str, ...]) -> Any:
        if len(path) == 1:
            return dict(outputs)
        name = ".".join(path[1:])
        if name not in outputs:
            stack = self.environment.stacks[path[0]]
            noun = "output" if reference.scope == "stack" else "resource"
            why = missing_output(self._aws, stack, name, outputs, noun)
            near = closest(name, outputs)
            raise MissingInputError(reference, Unavailable(why, Reason.UNRESOLVED, missing=True, near=near))
        return outputs[name]

    @staticmethod
    def _release_value(reference: Reference, reading: ReleaseReading, path: tuple[str, ...]) -> Any:
        name = path[0] if path else ""
        if reading.problem is not None:
            why = f"release.{name} is not known: {reading.problem}"
            raise MissingInputError(reference, _unread(why, reading.reason or Reason.UNRESOLVED))
        release = first_release(reading.states)
        field = {"version": "version", "previous": "previous", "started_at": "started_at", "state": "phase"}.get(name)
        value = None if release is None or field is None else getattr(release, field)
        if name == "serving" and release is not None:
            value = next(iter(responding_versions(release)), None)
        if value is None:
            why = f"release.{name} is not known: no function under [[function]] provides it"
            raise MissingInputError(reference, Unavailable(why, Reason.UNRESOLVED, missing=True))
        return value


def run_inputs(
    environment: Environment,
    *,
    aws: AwsApi,
    env: Mapping[str, str],
    redactor: Redactor,
    override: ReleaseOverride | None,
    clock: Clock,
) -> RemoteInputs:
    """Return inputs that read AWS and this process's environment variables; `override` replaces the release."""
    stacks = Stacks(aws)
    return RemoteInputs(
        environment,
        aws=aws,
        env=env,
        redactor=redactor,
        read_stack=stacks.outputs,
        read_resources=stacks.resources,
        read_secret=Secrets(aws, env).value,
        read_release=lambda: read_releases(environment, aws, override, clock),
    )


def _target(key: tuple[str, str]) -> str:
    return " ".join(key).strip()


def _unread(message: str, reason: Reason = Reason.UNRESOLVED) -> Unavailable:
    return Unavailable(message, reason, missing=False)


def _broken(target: str, error: Exception) -> Unavailable:
    _LOG.error("%s could not be read", target, exc_info=error)
    detail = f"{type(error).__name__}: {error}"
    return _unread(f"{target} could not be read because of a bug in prodwatch ({detail})", Reason.INTERNAL)


def any_remote(references: Iterable[Reference]) -> bool:
    """Return whether one of these references has to be fetched."""
    return any(reference.scope in REMOTE for reference in references)


def _key(reference: Reference) -> tuple[str, str] | None:
    if reference.scope not in REMOTE:
        return None
    if reference.scope in {"release", "account"}:
        return reference.scope, ""
    return reference.scope, reference.path[0] if reference.path else ""
