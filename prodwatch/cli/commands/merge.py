"""`prodwatch merge`: combines the results of several shards into one result with one verdict."""

from __future__ import annotations

from pathlib import Path

import click

from prodwatch.cli.options import ArgumentsCommand
from prodwatch.cli.result_outputs import Outputs, output_options
from prodwatch.errors import ConfigurationError


@click.command(cls=ArgumentsCommand)
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@output_options
def command(results: tuple[Path, ...], *, outputs: Outputs) -> int:
    """Merge the results of several shards into one and exit by its verdict.

    RESULTS are the files that `check --shard I/N --json FILE` wrote; a missing or repeated shard never passes.
    Run all shards from one commit: shards of different files, environments, selections, options or releases, and a
    result that contradicts itself, are refused. Before RESULTS write --json=FILE, with the equals sign.
    """
    import msgspec

    outputs.keep(results)
    from prodwatch.report.json import decode
    from prodwatch.runner import merge_results

    loaded = []
    for path in results:
        try:
            loaded.append(decode(path.read_bytes()))
        except (msgspec.DecodeError, UnicodeDecodeError) as caught:
            raise ConfigurationError(f"{path}: not a result of prodwatch check --json: {caught}") from None
    outputs.prepare()
    return outputs.deliver(merge_results(loaded))
