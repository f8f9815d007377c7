"""Start-up beside bare Python, a bare aiohttp script and a minimal Textual app."""

from __future__ import annotations

from functools import partial

from _common import PRODWATCH, PYTHON, Table, first_paint_s, http_server, project, wall_s

BARE = [PYTHON, "-c", "pass"]

AIOHTTP = """
import asyncio, json, sys, aiohttp

async def main():
    async with aiohttp.ClientSession() as session, session.get(sys.argv[1]) as answer:
        body = await answer.json()
        print(json.dumps({"ok": answer.status == 200 and body["status"] == "ok"}))

asyncio.run(main())
"""

TEXTUAL = """
from textual.app import App
from textual.widgets import Static

class Minimal(App):
    def compose(self):
        yield Static("READY-MARK")

Minimal().run()
"""


def main() -> None:
    table = Table("Start-up, wall time")
    table.row(
        "--help", partial(wall_s, [*PRODWATCH, "--help"]), partial(wall_s, BARE), "bare Python", budget="≤ 100 ms"
    )
    with http_server() as url, project(url, 100) as hundred, project(url, 1000) as thousand, project(url, 1) as single:
        validate = [*PRODWATCH, "validate", "--env", "bench"]
        bare = partial(wall_s, BARE)
        table.row(
            "validate, 100 checks", partial(wall_s, validate, cwd=hundred), bare, "bare Python", budget="≤ 150 ms"
        )
        table.row("validate, 1,000 checks", partial(wall_s, validate, cwd=thousand), bare, "bare Python")
        table.row(
            "check --json, one HTTP check",
            partial(wall_s, [*PRODWATCH, "check", "--env", "bench", "--json"], cwd=single),
            partial(wall_s, [PYTHON, "-c", AIOHTTP, f"{url}/item/0"]),
            "bare aiohttp, same GET",
            budget="≤ 1.4×",
        )
        table.row(
            "dashboard, first paint in a pty",
            partial(first_paint_s, [*PRODWATCH, "--env", "bench"], cwd=single, until=b"Checks"),
            partial(first_paint_s, [PYTHON, "-c", TEXTUAL], until=b"READY-MARK"),
            "minimal Textual app",
            budget="≤ 400 ms",
        )


if __name__ == "__main__":
    main()
