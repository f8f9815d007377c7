"""The user's own file: theme, pace, keys. A mistake in it is one sentence, and nothing in it is needed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import msgspec
import tomli

from prodwatch.errors import ConfigurationError, Problem
from prodwatch.model.check import SourcePosition
from prodwatch.tui.widget_context import Preferences

_DEFAULTS = Preferences()


class _File(msgspec.Struct, forbid_unknown_fields=True):
    theme: str = _DEFAULTS.theme
    ascii: bool = False
    fps: float = _DEFAULTS.fps
    local_time: bool = False
    notify: Literal["bell", "desktop", "off"] = _DEFAULTS.notify
    keys: dict[str, str] = {}


_NAMES = tuple(field.name for field in msgspec.structs.fields(_File))
FASTEST_FPS = 30.0


def load_preferences(path: Path) -> Preferences:
    """Return what `path` says, defaults when there is no such file; ConfigurationError names every mistake."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Preferences()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}; correct it or remove it") from None
    try:
        document = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not TOML: {error}") from None
    unknown = [name for name in document if name not in _NAMES]
    if unknown:
        raise ConfigurationError([_problem(path, text, name) for name in unknown])
    return _built(path, document)


def _built(path: Path, document: dict[str, Any]) -> Preferences:
    try:
        found = msgspec.convert(document, _File)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{path}: {error}") from None
    if not 0 < found.fps <= FASTEST_FPS:
        raise ConfigurationError(f"{path}: fps is {found.fps:g}; write a number above 0 and at most {FASTEST_FPS:g}")
    return Preferences(
        theme=found.theme,
        ascii=found.ascii,
        fps=found.fps,
        local_time=found.local_time,
        notify=found.notify,
        keymap=found.keys,
    )


def _problem(path: Path, text: str, name: str) -> Problem:
    message = f'unknown key "{name}"{nearest(name, _NAMES)}'
    lines = (number for number, line in enumerate(text.splitlines(), 1) if line.lstrip().strip("[").startswith(name))
    return Problem(SourcePosition(str(path), next(lines, 1)), message)


def nearest(name: str, names: Iterable[str]) -> str:
    """Return ` (did you mean "…"?)`, or nothing when no name is near."""
    import difflib

    found = difflib.get_close_matches(name, list(names), n=1)
    return f' (did you mean "{found[0]}"?)' if found else ""
