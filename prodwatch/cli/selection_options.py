"""The options that choose checks, shared by the commands that run or list them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from prodwatch.model.check import CheckDefinition
    from prodwatch.runner.schedule.selection import Selection

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("-k", "expression", metavar="EXPR", help='Names that match: "orders and not slow".'),
    click.option("-t", "--tag", "tags", multiple=True, metavar="TAG", help='Any of these tags; "!TAG" excludes.'),
    click.option(
        "--kind",
        type=click.Choice(["smoke", "diagnostic", "all"]),
        help="Which kind; smoke checks unless told otherwise.",
    ),
    click.option("--shard", metavar="I/N", help="Only part I of N; merge puts the results together."),
)


def selection_options(command: F) -> F:
    """Give a command -k, -t, --kind and --shard."""
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
    """Build the selection the options describe; click.BadParameter for a shard that is none."""
    from prodwatch.runner.schedule.selection import Selection

    return Selection(expression=expression, tags=tags, kind=kind, shard=parse_shard(shard), failed_first=failed_first)


def matcher(chosen_by: Selection) -> Callable[[CheckDefinition], bool]:
    """Return whether a check is one of those asked for, whatever its environment, order and shard."""
    from msgspec.structs import replace

    from prodwatch.runner.schedule.selection import select

    wanted = replace(chosen_by, shard=None, failed_first=frozenset())
    return lambda check: bool(select([check], wanted, None))


def parse_shard(text: str | None) -> tuple[int, int] | None:
    """Read `2/5`; click.BadParameter otherwise."""
    if text is None:
        return None
    part, slash, total = text.partition("/")
    if not (slash and part.isdecimal() and total.isdecimal() and 1 <= int(part) <= int(total)):
        raise click.BadParameter(f'"{text}" is not I/N with 1 ≤ I ≤ N, such as 1/3', param_hint="--shard")
    return int(part), int(total)
