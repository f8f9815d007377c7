"""Options of `prodwatch logs`, and the stream built from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from prodwatch.cli.live.colour import style
from prodwatch.cli.live.line_writer import LineWriter
from prodwatch.cli.live.log_output import HOLD_S, HOLD_TO_END_S, LogStream, Render, ShortLines, TextLines, ndjson, raw
from prodwatch.cli.live.stream_runner import Live
from prodwatch.cli.live.time_options import zone_of
from prodwatch.cli.stderr import error
from prodwatch.errors import ConfigurationError
from prodwatch.model.environment import Environment, LogTarget
from prodwatch.model.identity import LAMBDA_GROUPS, GroupId, unique_name
from prodwatch.session.engine import Engine
from prodwatch.session.function_log_groups import find_function_groups
from prodwatch.session.live_sources import log_source
from prodwatch.session.log_groups import LOG_TABLES, expand, functions_named, source_key, targets_of
from prodwatch.session.resolve_window import selects_version_under_release, window_of
from prodwatch.session.stream_completion import StreamCompletion
from prodwatch.sources.build_sources import unfilled_sources
from prodwatch.text.parse_user_times import Moment
from prodwatch.views.log_filter import LogFilter


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRequest:
    """Options of one call of `prodwatch logs`."""

    groups: Sequence[str]
    """Names, ARNs, prefixes or functions; empty for the groups that the environment watches."""
    pattern: str | None
    """CloudWatch filter pattern, applied by AWS."""
    since: Moment
    until: Moment | None
    idle_s: float | None
    counts_news: bool
    """Whether new lines postpone the end; false for --no-follow, which reads up to its start."""
    only_errors: bool
    version: str | None
    """A version, `function:version`, or `release` for each function's version under release."""
    chosen_by: LogFilter | None
    form: str
    """`text`, `short`, `raw` or `json`."""
    utc: bool
    no_color: bool

    async def stream(self, engine: Engine, sink: LineWriter) -> Live:
        """Build the stream. Raises ConfigurationError, and CannotVerifyError when AWS cannot be read."""
        environment = await find_function_groups(engine, warn=error, only=functions_named(self.groups))
        engine = replace(engine, environment=environment)
        start, end = await window_of(self.since, self.until, engine)
        requested = self._targets(engine)
        named = self._named(engine.environment)
        targets, unknown, empty = await expand(engine, requested)
        for prefix in empty:
            error(f"no log group begins with {unique_name(prefix.name.rstrip('*'), prefix.place)} yet")
        follows = self.idle_s is None and end is None
        if not follows:
            # Live Tail is billed per minute and only speeds up following.
            targets = [replace(target, live_tail=False) for target in targets]
        keys = {source_key(target): target.id for target in targets if not target.group.endswith("*")}
        source = log_source(engine, targets, start, end)
        unfilled = [] if self.groups else unfilled_sources(engine.environment, engine.redactor, *LOG_TABLES)
        unread = frozenset(each.name for each in unfilled)
        if self.idle_s is not None:
            source.pin({key.removeprefix("logs:") for key in keys})
        return Live(
            sources=[source, *unfilled],
            stream=LogStream(
                sink,
                self._render(engine, list(keys.values())),
                clock=engine.clock,
                until=end,
                hold_s=HOLD_S if follows else HOLD_TO_END_S,
                only_errors=self.only_errors,
                selects_version=await self._selects_version(engine, targets),
                chosen_by=self.chosen_by,
            ),
            completion=StreamCompletion(
                [*keys, *unknown, *unread],
                clock=engine.clock,
                idle_s=self.idle_s,
                until=end,
                counts_news=self.counts_news,
                sweep=source.sweep,
            ),
            must_exist=frozenset(key for key, group in keys.items() if group in named) | unknown | unread,
            absent=tuple(prefix.key for prefix in empty if self.groups and prefix in named),
        )

    async def _selects_version(
        self, engine: Engine, targets: Sequence[LogTarget]
    ) -> Callable[[GroupId, str | None], bool] | None:
        """Return what decides from a line's group and version whether it is shown; None to show lines of all versions.

        Raises ConfigurationError for a function whose lines are not among the targets'.
        """
        if self.version is None:
            return None
        if self.version == "release":
            return await selects_version_under_release(engine, error)
        function, colon, version = self.version.rpartition(":")
        version = version.removeprefix("v")
        if not colon:
            return lambda _, written: written == version
        group = f"{LAMBDA_GROUPS}{function}"
        watched = [each for each in engine.environment.functions if each.name == function]
        groups = (target.group for target in targets)
        read = any(group == each or (each.endswith("*") and group.startswith(each[:-1])) for each in groups)
        if not watched and not read:
            raise ConfigurationError(
                f"--version {self.version}: {function} is not a function whose lines are read here; "
                "name a [[function]] or a group /aws/lambda/<function>"
            )
        writers = {writer for each in watched for writer in each.writers}
        return lambda writer, written: written == version and (writer in writers or writer.name == group)

    def _named(self, environment: Environment) -> frozenset[GroupId]:
        """Return the groups that were named, on the command line or in the file.

        That of a function may be absent until its first invocation.
        """
        functions = {function.name for function in environment.functions}
        if not self.groups:
            return frozenset(target.id for target in environment.logs)
        texts = [text for text in self.groups if text not in functions]
        return frozenset(target.id for target in targets_of(environment, texts)) if texts else frozenset()

    def _targets(self, engine: Engine) -> list[LogTarget]:
        targets = targets_of(engine.environment, self.groups)
        return targets if self.pattern is None else [replace(target, filter=self.pattern) for target in targets]

    def _render(self, engine: Engine, groups: Sequence[GroupId]) -> Render:
        paint, now, zone = style(no_color=self.no_color), engine.clock.now(), zone_of({"utc": self.utc})
        renders: dict[str, Render] = {
            "json": ndjson,
            "raw": raw,
            "short": ShortLines(paint, today=now, zone=zone),
            "text": TextLines(paint, today=now, groups=groups, zone=zone),
        }
        return renders[self.form]
