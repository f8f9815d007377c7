"""Output options of a result: one format on stdout, any number of formats to files."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from prodwatch.cli import stdout
from prodwatch.cli.stderr import error, note, say
from prodwatch.errors import ConfigurationError
from prodwatch.model.exit_code import ExitCode
from prodwatch.model.status import Status
from prodwatch.text.sanitize import sanitize_document

if TYPE_CHECKING:
    from prodwatch.model.result import CheckResult, RunResult
    from prodwatch.session.engine import Engine
    from prodwatch.settings import Project

PAST_SHOWN = 5
"""Outcomes of earlier runs that are shown per check."""
F = TypeVar("F", bound=Callable[..., Any])

_RENDER = {
    "json": ("prodwatch.report.json", "encode"),
    "junit": ("prodwatch.report.junit", "render"),
    "ctrf": ("prodwatch.report.ctrf", "render"),
    "tap": ("prodwatch.report.tap", "render"),
    "nagios": ("prodwatch.report.nagios", "render"),
}
"""Format → module and function that render a result as bytes."""

_BEGINS = {
    "json": re.compile(rb'\s*\{(?s:.*)(?:"schema":\s*"prodwatch\.(?:result|plan)/|"verdict":)'),
    "junit": re.compile(rb"(?:\s*<\?xml[^>]*>)?\s*<testsuites?\b"),
    "ctrf": re.compile(rb'\s*\{[^{]*"reportFormat":\s*"CTRF"'),
}
"""Format → beginning of a file that a new result may replace."""
_CALLED = {"json": "a result of prodwatch", "junit": "a JUnit report", "ctrf": "a CTRF report"}

_OPTIONS = (
    click.option(
        "--json", "json_", is_flag=False, flag_value="-", metavar="[FILE]", help="Write JSON to stdout or FILE."
    ),
    click.option("--ndjson", is_flag=True, help="Write one JSON line per finished check to stdout, the verdict last."),
    click.option(
        "--junit", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write JUnit XML to FILE."
    ),
    click.option(
        "--ctrf", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write CTRF JSON to FILE."
    ),
    click.option("--github-summary", is_flag=True, help="Write a job summary and annotations for GitHub Actions."),
    click.option("--tap", is_flag=True, help="Write TAP 14 to stdout."),
    click.option(
        "--nagios", is_flag=True, help="Write the line of a monitoring plug-in and exit with its codes 0 to 3."
    ),
)


class Outputs(msgspec.Struct, kw_only=True):
    """The chosen formats; call `prepare` before the run and `deliver` after it."""

    stdout_format: str | None = None
    """`json`, `ndjson`, `tap` or `nagios`; None means text."""
    files: dict[str, list[Path]] = msgspec.field(default_factory=dict)
    github_summary: bool = False
    color: bool | None = None
    past: Mapping[str, tuple[Status, ...]] = {}
    """Outcomes of earlier runs by check id, oldest first, shown in the text for people."""
    exceptions: Mapping[str, str] = {}
    """Exception in the trace of a red check by check id, shown in the text for people."""
    lost: OSError | None = None
    """First failed write of a streaming format; streaming ends there."""

    @property
    def chosen(self) -> bool:
        """Whether any format was asked for."""
        return self.stdout_format is not None or bool(self.files) or self.github_summary

    def keep(self, inputs: Sequence[Path]) -> None:
        """Raise ConfigurationError when a target is one of the files that the command reads."""
        read = {path.resolve() for path in inputs}
        for path in self._targets():
            if path.resolve() in read:
                raise ConfigurationError(f"{path}: it is one of the files to read; write the result to another file")

    def _targets(self) -> list[Path]:
        return [path for paths in self.files.values() for path in paths]

    def _check_kinds(self) -> None:
        """Raise ConfigurationError before a file of another kind would be replaced, or one file be written twice."""
        seen: set[Path] = set()
        for name, paths in self.files.items():
            for path in paths:
                if path.resolve() in seen:
                    raise ConfigurationError(
                        f"{path}: two formats are to be written to it; name another file for --{name}"
                    )
                seen.add(path.resolve())
                try:
                    head = stdout.head(path)
                except OSError as caught:
                    raise ConfigurationError(f"{path}: cannot be written: {caught.strerror}") from None
                if head and not _BEGINS[name].match(head):
                    raise ConfigurationError(
                        f"{path}: it holds something else than {_CALLED[name]}, which --{name} would replace; "
                        "name another file, or remove this one"
                    )

    def prepare(self) -> None:
        """Check that all targets can be written, before anything runs. Raises ConfigurationError."""
        self._check_kinds()
        try:
            stdout.check_open()
        except OSError as caught:
            raise ConfigurationError(f"stdout cannot be written: {caught.strerror}") from None
        for paths in self.files.values():
            for path in paths:
                try:
                    stdout.check_writable(path)
                except OSError as caught:
                    raise ConfigurationError(f"{path}: cannot be written: {caught.strerror}") from None
        if self.github_summary and not os.environ.get("GITHUB_STEP_SUMMARY"):
            raise ConfigurationError("--github-summary: GITHUB_STEP_SUMMARY is not set; this is not a GitHub job")

    def finished(self, check: CheckResult) -> None:
        """Write one finished check if the format streams."""
        if self.stdout_format == "ndjson":
            from prodwatch.report.json import check_line

            self.stream(check_line(check))

    def stream(self, line: bytes) -> None:
        """Write one line of a streaming format; a failed write does not end the run."""
        if self.lost is None:
            try:
                stdout.write(line)
            except OSError as caught:
                self.lost = caught

    def show_past(self, project: Project, *, kept: bool) -> None:
        """Read the outcomes of earlier runs where the result is shown as text and runs are kept."""
        if kept and self.stdout_format is None:
            from prodwatch.session.history import last_outcomes_of

            self.past = last_outcomes_of(project, PAST_SHOWN, warn=note)

    async def read_exceptions(self, engine: Engine, result: RunResult) -> None:
        """Read the exceptions in the traces of red checks."""
        from prodwatch.session.trace_exceptions import trace_exceptions

        self.exceptions = await trace_exceptions(engine, result.checks)

    def deliver(self, result: RunResult) -> int:
        """Write every format; return the exit code, which is not 0 when a write failed."""
        code = result.verdict.exit_code
        if self.stdout_format == "nagios":
            from prodwatch.report.nagios import exit_code

            code = exit_code(result)
        for write in self._writers(result):
            try:
                write()
            except OSError as caught:
                error(f"the result could not be written: {caught.filename or 'stdout'}: {caught.strerror or caught}")
                code = code or ExitCode.ERROR
        return code

    def _writers(self, result: RunResult) -> Iterator[Callable[[], None]]:
        """Yield the writer of each target; a target that cannot be written costs no other one."""
        for name, paths in self.files.items():
            document = _render(name, result)
            for path in paths:
                yield partial(stdout.write_file, path, document)
        if self.github_summary:
            yield partial(self._github, result)
        yield partial(self._stdout, result)

    def _github(self, result: RunResult) -> None:
        from prodwatch.report import github

        with Path(os.environ["GITHUB_STEP_SUMMARY"]).open("ab") as summary:
            summary.write(sanitize_document(github.summary(result)))
        for command in github.workflow_commands(result):
            say(command)

    def _stdout(self, result: RunResult) -> None:
        if self.lost is not None:
            raise self.lost
        match self.stdout_format:
            case None:
                from prodwatch.report.console import write

                try:
                    write(result, sys.stdout, color=self.color, past=self.past, exceptions=self.exceptions)
                    sys.stdout.flush()
                except BrokenPipeError:
                    stdout.discard_rest()
                except OSError as caught:
                    stdout.discard_rest()
                    raise OSError(caught.errno, caught.strerror or str(caught), "stdout") from None
            case "ndjson":
                from prodwatch.report.json import result_line

                stdout.write(result_line(result))
            case name:
                stdout.write(_render(name, result))


def _render(name: str, result: RunResult) -> bytes:
    module, function = _RENDER[name]
    document: bytes = getattr(import_module(module), function)(result)
    return document


def output_options(command: F) -> F:
    """Add the output options to a command; it receives them as `outputs`."""

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        outputs = _outputs(**{name: kwargs.pop(name) for name in _NAMES})
        return command(*args, outputs=outputs, **kwargs)

    wrapper.__name__ = command.__name__
    wrapper.__doc__ = command.__doc__
    wrapper.__click_params__ = list(getattr(command, "__click_params__", []))  # type: ignore[attr-defined]
    decorated: Any = wrapper
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


_NAMES = ("json_", "ndjson", "junit", "ctrf", "github_summary", "tap", "nagios")


def _outputs(
    *,
    json_: str | None,
    ndjson: bool,
    junit: Path | None,
    ctrf: Path | None,
    github_summary: bool,
    tap: bool,
    nagios: bool,
) -> Outputs:
    formats = [
        name for name, on in (("json", json_ == "-"), ("ndjson", ndjson), ("tap", tap), ("nagios", nagios)) if on
    ]
    if len(formats) > 1:
        raise click.UsageError(f"only one format can go to stdout: --{' or --'.join(formats)}")
    files: dict[str, list[Path]] = {}
    if json_ not in {None, "-"}:
        files["json"] = [Path(str(json_))]
    if junit:
        files["junit"] = [junit]
    if ctrf:
        files["ctrf"] = [ctrf]
    return Outputs(stdout_format=formats[0] if formats else None, files=files, github_summary=github_summary)
