"""Options every command takes, before or after its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from prodwatch.errors import ConfigurationError

F = TypeVar("F", bound=Callable[..., Any])


class Common(msgspec.Struct, frozen=True, kw_only=True):
    """What the common options say; later places (after the command) win over earlier ones."""

    env: str | None = None
    root: Path | None = None
    checks: tuple[Path, ...] = ()
    region: str | None = None
    profile: str | None = None
    var: tuple[str, ...] = ()
    at: str | None = None
    no_color: bool = False
    debug: bool = False

    def over(self, earlier: Common) -> Common:
        """Return these options completed by `earlier` ones; lists add up."""
        return Common(
            env=self.env or earlier.env,
            root=self.root or earlier.root,
            checks=earlier.checks + self.checks,
            region=self.region or earlier.region,
            profile=earlier.profile if self.profile is None else self.profile,
            var=earlier.var + self.var,
            at=self.at or earlier.at,
            no_color=self.no_color or earlier.no_color,
            debug=self.debug or earlier.debug,
        )

    def arguments(self) -> list[str]:
        """Return these options as a command line."""
        given = [
            f"--{name}={value}"
            for name in ("env", "root", "region", "profile", "at")
            if (value := getattr(self, name)) is not None
        ]
        given += [f"--checks={path}" for path in self.checks]
        given += [f"--var={each}" for each in self.var]
        return given + [f"--{name.replace('_', '-')}" for name in ("no_color", "debug") if getattr(self, name)]

    def overrides(self) -> dict[str, str]:
        """Return `--var` as a mapping; ConfigurationError for one without `=`."""
        pairs = [each.partition("=") for each in self.var]
        wrong = [key for key, equals, _ in pairs if not equals or not key]
        if wrong:
            raise ConfigurationError(f'--var takes name=value, "{wrong[0]}" has no "="')
        return {key: value for key, _, value in pairs}


_OPTIONS = (
    click.option("--env", metavar="ENV", help="Environment: the name of a file in config/ (or PRODWATCH_ENV)."),
    click.option(
        "--root", type=click.Path(path_type=Path), metavar="DIR", help="Folder that holds config/ and checks/."
    ),
    click.option(
        "--checks",
        type=click.Path(path_type=Path),
        multiple=True,
        metavar="PATH",
        help="Only these check files or folders.",
    ),
    click.option("--region", metavar="REGION", help="AWS region, over the environment's."),
    click.option("--profile", metavar="PROFILE", help='AWS profile, over the environment\'s; "" for none.'),
    click.option("--var", multiple=True, metavar="K=V", help="Set ${vars.K}, over the environment's; repeatable."),
    click.option("--at", metavar="WHEN", help="Demo only: before, during, after, or +90s into the staged release."),
    click.option("--no-color", is_flag=True, help="No colours (as NO_COLOR does)."),
    click.option("--debug", is_flag=True, help="Show tracebacks."),
)
_NAMES = frozenset(Common.__struct_fields__)


def common_options(command: F) -> F:
    """Give a command every common option; it receives them merged as `common`."""

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
