"""Options that every command accepts, before or after its name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from prodwatch.errors import ConfigurationError

F = TypeVar("F", bound=Callable[..., Any])


class ArgumentsCommand(click.Command):
    """A command with arguments: where one may follow, an option takes an optional value only as `--name=VALUE`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse; an option that could take an argument for its optional value gets its default value."""
        return super().parse_args(ctx, self._with_values(args))

    def _with_values(self, args: Sequence[str]) -> list[str]:
        options = [each for each in self.params if isinstance(each, click.Option) and not each.is_flag]
        flagged = [each for each in options if isinstance(each.flag_value, str)]
        optional = {name: each.flag_value for each in flagged for name in each.opts}
        takes_next = {name for each in options if not each.count for name in each.opts}
        places = [each.nargs for each in self.params if isinstance(each, click.Argument)]
        open_places = float("inf") if min(places, default=0) < 0 else sum(places)
        written: list[str] = []
        is_value = False
        for position, argument in enumerate(args):
            if argument == "--":
                return [*written, *args[position:]]
            if is_value or not argument.startswith("-") or argument == "-":
                open_places -= not is_value
                is_value = False
            elif argument in optional and open_places > 0:
                written.append(f"{argument}={optional[argument]}")
                continue
            else:
                is_value = argument in takes_next and not (argument in optional and _is_option(args, position + 1))
            written.append(argument)
        return written


def _is_option(args: Sequence[str], position: int) -> bool:
    """Return whether the argument at this position is another option or missing, instead of a value."""
    return position >= len(args) or (args[position].startswith("-") and len(args[position]) > 1)


class Common(msgspec.Struct, frozen=True, kw_only=True):
    """Values of the common options; an option after the command wins over the same one before it."""

    env: str | None = None
    root: Path | None = None
    checks: tuple[Path, ...] = ()
    region: str | None = None
    profile: str | None = None
    var: tuple[str, ...] = ()
    at: str | None = None
    scenario: str | None = None
    no_color: bool = False
    debug: bool = False

    def over(self, earlier: Common) -> Common:
        """Return these options completed by `earlier` ones; lists are concatenated."""
        return Common(
            env=self.env or earlier.env,
            root=self.root or earlier.root,
            checks=earlier.checks + self.checks,
            region=self.region or earlier.region,
            profile=earlier.profile if self.profile is None else self.profile,
            var=earlier.var + self.var,
            at=self.at or earlier.at,
            scenario=self.scenario or earlier.scenario,
            no_color=self.no_color or earlier.no_color,
            debug=self.debug or earlier.debug,
        )

    def arguments(self) -> list[str]:
        """Return these options as a command line."""
        arguments = [
            f"--{name}={value}"
            for name in ("env", "root", "region", "profile", "at", "scenario")
            if (value := getattr(self, name)) is not None
        ]
        arguments += [f"--checks={path}" for path in self.checks]
        arguments += [f"--var={variable}" for variable in self.var]
        return arguments + [f"--{name.replace('_', '-')}" for name in ("no_color", "debug") if getattr(self, name)]

    def overrides(self) -> dict[str, str]:
        """Return `--var` as a mapping; ConfigurationError for one without `=`."""
        pairs = [variable.partition("=") for variable in self.var]
        wrong = [key for key, equals, _ in pairs if not equals or not key]
        if wrong:
            raise ConfigurationError(f'--var takes name=value, but "{wrong[0]}" has no "="')
        return {key: value for key, _, value in pairs}


_OPTIONS = (
    click.option("--env", metavar="ENV", help="Environment: name of a file in config/ (default: PRODWATCH_ENV)."),
    click.option(
        "--root", type=click.Path(path_type=Path), metavar="DIR", help="Folder that contains config/ and checks/."
    ),
    click.option(
        "--checks",
        type=click.Path(path_type=Path),
        multiple=True,
        metavar="PATH",
        help="Load only these check files or folders; repeatable.",
    ),
    click.option("--region", metavar="REGION", help="AWS region, instead of the environment's."),
    click.option("--profile", metavar="PROFILE", help='AWS profile, instead of the environment\'s; "" means none.'),
    click.option(
        "--var", multiple=True, metavar="K=V", help="Set ${vars.K}, instead of the environment's value; repeatable."
    ),
    click.option(
        "--at", metavar="WHEN", help="Demo only: start before, during, after, or e.g. +90s into the staged release."
    ),
    click.option("--scenario", metavar="NAME", help="Demo only: the staged release, such as good or slow-burn."),
    click.option("--no-color", is_flag=True, help="Disable colours (like NO_COLOR)."),
    click.option("--debug", is_flag=True, help="Show tracebacks."),
)
_NAMES = frozenset(Common.__struct_fields__)


def common_options(command: F) -> F:
    """Add the common options to a command; it receives their merged values as `common`."""

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        here = Common(**{name: kwargs.pop(name) for name in _NAMES if name in kwargs})
        context = click.get_current_context()
        earlier = context.obj if isinstance(context.obj, Common) else Common()
        common = here.over(earlier)
        context.obj = common
        return command(*args, common=common, **kwargs)

    wrapper.__name__ = command.__name__
    wrapper.__doc__ = command.__doc__
    wrapper.__click_params__ = list(getattr(command, "__click_params__", []))  # type: ignore[attr-defined]
    decorated: Any = wrapper
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]
