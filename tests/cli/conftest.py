"""A project on disk, the command that reads it, and a server for its checks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import CommandLine, Target, target
from tests.support.warm_command_line import Control, WarmCommandLine, warm_process

ENVIRONMENT = """\
title = "Shop"
protected = false
[vars]
api = "{url}"
"""


@pytest.fixture(scope="session")
def warm() -> Iterator[Control]:
    """The socket of the process that forks; it is started when the first command is run."""
    with warm_process() as control:
        yield control


@pytest.fixture
def server() -> Iterator[Target]:
    with target() as here:
        yield here


@pytest.fixture
def commands(tmp_path: Path, warm: Control) -> CommandLine:
    """The command in an empty project."""
    return WarmCommandLine(tmp_path, warm)


@pytest.fixture
def shop(commands: CommandLine, server: Target) -> CommandLine:
    """The command in a project whose only environment points to the server."""
    commands.write("config/shop.toml", ENVIRONMENT.format(url=server.url))
    return commands
