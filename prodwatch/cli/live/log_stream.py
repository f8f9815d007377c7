"""What somebody asked of `prodwatch logs`, and the stream that answers it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from prodwatch.cli.live.colour import style
from prodwatch.cli.live.line_writer import LineWriter
from prodwatch.cli.live.log_output import HOLD_S, HOLD_TO_END_S, LogStream, Render, ShortLines, TextLines, ndjson, raw
from prodwatch.cli.live.stream_runner import Live
from prodwatch.cli.live.time_options import zone_of
from prodwatch.cli.stderr import error
from prodwatch.model.environment import LogTarget
from prodwatch.session.engine import Engine
from prodwatch.session.live_sources import log_source
from prodwatch.session.log_groups import expand, source_key, targets_of
from prodwatch.session.resolve_window import release_of, window_of
from prodwatch.session.stream_completion import StreamCompletion
from prodwatch.text.timestamps import Moment
from prodwatch.views.log_filter import LogFilter


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRequest:
    """One call of `prodwatch logs`."""

    groups: Sequence[str]
    """By name, ARN, prefix or function; empty for what the environment watches."""
    pattern: str | None
    """For AWS to judge."""
    since: Moment
    until: Moment | None
    idle_s: float | None
    counts_news: bool
    """Whether new lines put the end off: --no-follow reads up to when it was called."""
    only_errors: bool
    version: str | None
    """A version, or `release`."""
    chosen_by: LogFilter | None
    form: str
    """`text short raw json`."""
    utc: bool
    no_color: bool

    async def stream(self, engine: Engine, sink: LineWriter) -> Live:
        """Return what to run; ConfigurationError or CannotVerifyError when it cannot be said what that is."""
        start, end = await window_of(self.since, self.until, engine)
        version = (await release_of(engine)).version if self.version == "release" else self.version
        wanted = self._targets(engine)
        functions = {each.name for each in engine.environment.functions}
        named = {each.group for told, each in zip(self.groups, wanted, strict=False) if told not in functions}
        targets, unknown, empty = await expand(engine, wanted)
        for prefix in empty:
            error(f"no log group begins with {prefix.rstrip('*')} yet")
        follows = self.idle_s is None and end is None
        if not follows:
            # Live Tail is billed by the minute and speeds up only what is followed.
            targets = [replace(target, live_tail=False) for target in targets]
        keys = {source_key(target): target.group for target in targets if not target.group.endswith("*")}
        source = log_source(engine, targets, start, end)
        if self.idle_s is not None:
            source.pin({key.removeprefix("logs:") for key in keys})
        return Live(
            sources=[source],
            stream=LogStream(
                sink,
                self._render(engine, list(keys.values())),
                clock=engine.clock,
                until=end,
                hold_s=HOLD_S if follows else HOLD_TO_END_S,
                only_errors=self.only_errors,
                version=version and version.removeprefix("v"),
                chosen_by=self.chosen_by,
            ),
            ending=StreamCompletion(
                [*keys, *unknown],
                clock=engine.clock,
                idle_s=self.idle_s,
                until=end,
                counts_news=self.counts_news,
                sweep=source.sweep,
            ),
            must_exist=frozenset(key for key, group in keys.items() if group in named) | unknown,
            absent=tuple(each for each in empty if each in named),
        )

    def _targets(self, engine: Engine) -> list[LogTarget]:
        found = targets_of(engine.environment, self.groups)
        return found if self.pattern is None else [replace(target, filter=self.pattern) for target in found]

    def _render(self, engine: Engine, groups: Sequence[str]) -> Render:
        paint, now, zone = style(no_color=self.no_color), engine.clock.now(), zone_of({"utc": self.utc})
        renders: dict[str, Render] = {
            "json": ndjson,
            "raw": raw,
            "short": ShortLines(paint, today=now, zone=zone),
            "text": TextLines(paint, today=now, groups=groups, zone=zone),
        }
        return renders[self.form]
