"""The options that select checks, shared by the commands that run or list them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from prodwatch.model.check import CheckDefinition
    from prodwatch.runner.schedule.selection import Selection

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("-k", "expression", metavar="EXPR", help='Only checks whose name matches: "orders and not slow".'),
    click.option(
        "-t",
        "--tag",
        "tags",
        multiple=True,
        metavar="TAG",
        help='Only checks with one of these tags; "!TAG" excludes. Repeatable.',
    ),
    click.option(
        "--kind",
        type=click.Choice(["smoke", "diagnostic", "all"]),
        help="Only checks of this kind. Default: smoke.",
    ),
    click.option("--shard", metavar="I/N", help="Run only part I of N; prodwatch merge combines the results."),
)


def selection_options(command: F) -> F:
    """Add -k, -t, --kind and --shard to a command."""
    decorated: Any = command
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


def selection(
    expression: str | None,
    tags: tuple[str, ...],
    kind: Any,
    shard: str | None,
    failed_first: frozenset[str] = frozenset(),
) -> Selection:
    """Build the selection that the options describe. Raises click.BadParameter for an invalid shard."""
    from prodwatch.runner.schedule.selection import Selection

    return Selection(expression=expression, tags=tags, kind=kind, shard=parse_shard(shard), failed_first=failed_first)


def matcher(chosen_by: Selection) -> Callable[[CheckDefinition], bool]:
    """Return a predicate for the selected checks that ignores environment, order and shard."""
    from msgspec.structs import replace

    from prodwatch.runner.schedule.selection import select

    criteria = replace(chosen_by, shard=None, failed_first=frozenset())
    return lambda check: bool(select([check], criteria, None))


def parse_shard(text: str | None) -> tuple[int, int] | None:
    """Parse `2/5`. Raises click.BadParameter."""
    if text is None:
        return None
    part, slash, total = text.partition("/")
    if not (slash and part.isdecimal() and total.isdecimal() and 1 <= int(part) <= int(total)):
        raise click.BadParameter(f'"{text}" is not I/N with 1 ≤ I ≤ N, for example 1/3', param_hint="--shard")
    return int(part), int(total)
