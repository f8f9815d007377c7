"""Textual's private names are used in one module, and that module was checked with the installed version."""

from __future__ import annotations

import ast
import inspect
from importlib.metadata import version
from pathlib import Path

import pytest
from textual import _context
from textual.app import App
from textual.drivers.linux_driver import LinuxDriver
from textual.message_pump import MessagePump
from textual.screen import Screen
from textual.widget import Widget

import prodwatch.tui
from prodwatch.tui import textual_private

CHECKED_WITH = "8.2.8"
FOLDER = Path(prodwatch.tui.__file__).parent
MODULE = Path(textual_private.__file__)
USED = (
    (_context, "active_message_pump"),
    (MessagePump, "_dispatch_message"),
    (App, "_handle_exception"),
    (App, "_exception"),
    (App, "_exception_event"),
    (App, "_return_code"),
    (App, "_driver"),
    (LinuxDriver, "_file"),
    (LinuxDriver, "_loop"),
    (LinuxDriver, "_app"),
    (LinuxDriver, "_must_signal_resume"),
    (LinuxDriver, "_sigcont_application"),
)


def test_the_module_was_checked_with_the_installed_version() -> None:
    installed = version("textual")
    assert installed == CHECKED_WITH, (
        f"Textual {installed} is installed, but prodwatch/tui/textual_private.py was checked with {CHECKED_WITH}: "
        f"compare each name in USED with the source of {installed}, then set CHECKED_WITH"
    )


@pytest.mark.parametrize(("owner", "name"), USED, ids=[name for _, name in USED])
def test_every_private_name_still_exists(owner: type, name: str) -> None:
    bases = owner.__mro__[:-1] if inspect.isclass(owner) else ()
    assigned = any(f"self.{name}" in inspect.getsource(base) for base in bases)
    assert hasattr(owner, name) or assigned, f"{owner} no longer has {name}"


def _textual_names() -> set[str]:
    """Return the private names of Textual's classes that ours derive from."""
    names: set[str] = set()
    for owner in (MessagePump, App, Screen, Widget, LinuxDriver):
        for base in owner.__mro__[:-1]:
            names |= {name for name in vars(base) if name.startswith("_") and not name.startswith("__")}
    return names


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.py")), ids=lambda path: str(path.relative_to(FOLDER)))
def test_no_other_module_uses_a_private_name_of_textual(path: Path) -> None:
    if path == MODULE:
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = [
        f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("textual")
        for alias in node.names
    ]
    assert not [name for name in imported if any(part.startswith("_") for part in name.split("."))]
    private = _textual_names()
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    found = (used | defined) & private
    assert not found
