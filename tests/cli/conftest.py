"""A project on disk, the command that reads it, and a server for its checks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from prodwatch.testing.commandline import CommandLine, Target, target

ENVIRONMENT = """\
title = "Shop"
protected = false
[vars]
api = "{url}"
"""


@pytest.fixture
def server() -> Iterator[Target]:
    with target() as here:
        yield here


@pytest.fixture
def commands(tmp_path: Path) -> CommandLine:
    """The command in an empty project."""
    return CommandLine(tmp_path)


@pytest.fixture
def shop(commands: CommandLine, server: Target) -> CommandLine:
    """The command in a project whose only environment points to the server."""
    commands.write("config/shop.toml", ENVIRONMENT.format(url=server.url))
    return commands
