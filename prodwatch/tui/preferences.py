"""The user's `dashboard.toml`: theme, frame rate, notifications and keys, every one of them optional."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from prodwatch.errors import ConfigurationError, Problem
from prodwatch.model.check import SourcePosition


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """One user's settings for the dashboard."""

    theme: str = "prodwatch-dark"
    ascii: bool = False
    """Draw with ASCII only."""
    fps: float = 10.0
    """Frames per second; lower values save bandwidth on a slow link. 0: the caller asks for each frame."""
    local_time: bool = False
    """Show times in this machine's time zone instead of UTC; `t` switches."""
    notify: Literal["bell", "desktop", "off"] = "bell"
    """Signal for a changed verdict, besides the toast: terminal bell, desktop notification or none."""
    keymap: Mapping[str, str] = field(default_factory=dict)
    """Binding id → keys, separated by commas."""


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
    """Return the settings in `path`, the defaults without such a file; ConfigurationError names every mistake."""
    import tomli  # the first paint needs the defaults only

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
        settings = msgspec.convert(document, _File)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{path}: {error}") from None
    if not 0 < settings.fps <= FASTEST_FPS:
        raise ConfigurationError(f"{path}: fps is {settings.fps:g}; write a number above 0 and at most {FASTEST_FPS:g}")
    return Preferences(
        theme=settings.theme,
        ascii=settings.ascii,
        fps=settings.fps,
        local_time=settings.local_time,
        notify=settings.notify,
        keymap=settings.keys,
    )


def _problem(path: Path, text: str, name: str) -> Problem:
    message = f'unknown key "{name}"{did_you_mean(name, _NAMES)}'
    lines = (number for number, line in enumerate(text.splitlines(), 1) if line.lstrip().strip("[").startswith(name))
    return Problem(SourcePosition(str(path), next(lines, 1)), message)


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return ` (did you mean "…"?)`, or nothing when no name is near."""
    import difflib

    matches = difflib.get_close_matches(name, list(names), n=1)
    return f' (did you mean "{matches[0]}"?)' if matches else ""
