"""Pictures of a Textual app, compared with the ones kept beside the test: a pytest plug-in.

A picture is the SVG that Textual exports, without the random id that Rich gives each one. A run that finds differences
writes them side by side into `.pictures/report.html`; `--accept-pictures` keeps the new ones instead of comparing.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Awaitable, Callable
from difflib import unified_diff
from html import escape, unescape
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from textual.app import App
from textual.pilot import Pilot

ACCEPTED_WITH = (3, 11)
"""The Python that pictures are accepted with, so that accepting elsewhere changes nothing by accident."""
FOLDER = ".pictures"
"""Where differing pictures and their report go, under pytest's root folder."""

_ID = re.compile(r"\bterminal-\d+-([\w-]+)")
_TEXT = re.compile(r'<text[^>]* x="([\d.]+)" y="([\d.]+)" textLength[^>]*>([^<]*)</text>')

Drive = Callable[[Pilot[Any]], Awaitable[None]]
Compare = Callable[[App[Any], tuple[int, int], Drive], bool]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--accept-pictures", action="store_true", help="keep the pictures as they are now")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--accept-pictures") and sys.version_info[:2] != ACCEPTED_WITH:
        raise pytest.UsageError(f"accept pictures with Python {'.'.join(map(str, ACCEPTED_WITH))}")
    if not _is_worker(config):
        shutil.rmtree(config.rootpath / FOLDER, ignore_errors=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if _is_worker(config):
        return
    report = write_report(config.rootpath / FOLDER)
    if report is not None:
        terminalreporter.section("pictures")
        terminalreporter.line(f"differing pictures: {report}")
        terminalreporter.line("If the new ones are right: run these tests again with --accept-pictures.")


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


@pytest.fixture
def compare_picture(request: pytest.FixtureRequest) -> Compare:
    """Return `compare(app, size, drive)`: whether `app`, driven so, looks as in the picture kept for this test."""
    path = Path(str(request.node.path))
    kept = path.parent / "__snapshots__" / path.stem / f"{request.node.name}.svg"

    def compare(app: App[Any], size: tuple[int, int], drive: Drive) -> bool:
        picture = taken(app, size, drive)
        if request.config.getoption("--accept-pictures"):
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(picture, encoding="utf-8", newline="\n")
            return True
        before = kept.read_text(encoding="utf-8") if kept.exists() else ""
        if picture == before:
            return True
        folder = request.config.rootpath / FOLDER
        folder.mkdir(exist_ok=True)
        (folder / f"{kept.stem}.kept.svg").write_text(before, encoding="utf-8")
        (folder / f"{kept.stem}.now.svg").write_text(picture, encoding="utf-8")
        pytest.fail(f"the picture differs from {kept}\n{difference(before, picture)}", pytrace=False)

    return compare


def taken(app: App[Any], size: tuple[int, int], drive: Drive) -> str:
    """Run `app` without a terminal, let `drive` use it, and return its picture."""

    async def pilot_of(pilot: Pilot[Any]) -> None:
        await drive(pilot)
        await pilot.wait_for_scheduled_animations()
        app.exit(app.export_screenshot(simplify=True))

    svg = app.run(headless=True, auto_pilot=pilot_of, size=size)
    assert isinstance(svg, str)
    return _ID.sub(r"terminal-\1", svg)


def painted_lines(svg: str) -> list[str]:
    """Return the text of a picture, line by line."""
    pieces = sorted((float(y), float(x), unescape(text).replace("\xa0", " ")) for x, y, text in _TEXT.findall(svg))
    return [
        "".join(text for _, _, text in line).rstrip("\n") for _, line in groupby(pieces, key=lambda piece: piece[0])
    ]


def difference(kept: str, now: str) -> str:
    """Return the lines that differ, or a sentence where only colours or places do."""
    if not kept:
        return "no picture is kept; look at the new one and run the test with --accept-pictures"
    lines = list(unified_diff(painted_lines(kept), painted_lines(now), "kept", "now", lineterm="", n=0))
    return "\n".join(lines) or "the words are the same; colours, places or the scrollbar differ"


def write_report(folder: Path) -> Path | None:
    """Write a page that shows every differing picture next to the kept one; None when none differs."""
    names = sorted(path.name.removesuffix(".now.svg") for path in folder.glob("*.now.svg"))
    if not names:
        return None
    rows = "".join(
        f"<h2>{escape(name)}</h2><div>"
        f'<figure><img src="{escape(name)}.kept.svg"><figcaption>kept</figcaption></figure>'
        f'<figure><img src="{escape(name)}.now.svg"><figcaption>now</figcaption></figure></div>'
        for name in names
    )
    report = folder / "report.html"
    report.write_text(
        '<!doctype html><meta charset="utf-8"><title>Differing pictures</title>'
        "<style>body{font-family:sans-serif}div{display:flex;gap:1em}figure{margin:0;flex:1}img{width:100%}</style>"
        f"<h1>Differing pictures: {len(names)}</h1>{rows}\n",
        encoding="utf-8",
    )
    return report
