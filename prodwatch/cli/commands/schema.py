"""`prodwatch schema`: JSON Schema of check files, environment files and the result."""

from __future__ import annotations

import click

from prodwatch.cli import stdout


@click.command()
@click.argument("what", type=click.Choice(["checks", "environment", "result"]), default="checks")
def command(what: str) -> None:
    """Print the JSON Schema of check files, environment files or the result.

    Put `#:schema ./checks.schema.json` on the first line of a file to get completion in your editor.
    """
    import msgspec

    if what == "result":
        from prodwatch.report.json import result_schema

        schema = result_schema()
    else:
        from prodwatch.settings import check_schema, environment_schema

        schema = check_schema() if what == "checks" else environment_schema()
    stdout.write(msgspec.json.format(msgspec.json.encode(schema), indent=2) + b"\n")
