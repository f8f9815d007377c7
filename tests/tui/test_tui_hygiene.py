"""What the dashboard loads before its first paint, and what it must never load."""

from __future__ import annotations

import subprocess
import sys

FIRST_PAINT = "import sys; import prodwatch.tui.app, prodwatch.tui.screens.overview; print(*sys.modules)"
NEVER = (
    "botocore",
    "boto3",
    "aiobotocore",
    "aiohttp",
    "yaml",
    "jmespath",
    "tomli",
    "prodwatch.aws",
    "prodwatch.sources",
)
LATER = (
    "prodwatch.tui.screens.logs",
    "prodwatch.tui.screens.traces",
    "prodwatch.tui.screens.metrics",
    "prodwatch.tui.screens.check",
    "prodwatch.tui.command_palette",
    "prodwatch.tui.widgets.filter_bar",
    "textual.widgets._data_table",
    "textual.widgets._markdown",
)


def loaded(code: str) -> set[str]:
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(answer.stdout.split())


def test_the_first_paint_loads_no_aws_and_no_screen_but_its_own() -> None:
    modules = loaded(FIRST_PAINT)
    assert not modules & set(NEVER)
    assert not modules & set(LATER)


def test_the_command_loads_neither_runner_nor_sources_before_the_first_paint() -> None:
    modules = loaded(
        "import sys; import prodwatch.cli.dashboard, prodwatch.session.protocol, prodwatch.session.reload; "
        "import prodwatch.tui.app, prodwatch.tui.preferences, prodwatch.tui.screens.overview; print(*sys.modules)"
    )
    later = {
        "prodwatch.session.live",
        "prodwatch.runner",
        "prodwatch.sources",
        "prodwatch.aws",
        "prodwatch.probes.http",
    }
    assert not modules & (later | set(NEVER) - {"tomli", "jmespath"})


def test_the_session_protocol_needs_no_textual() -> None:
    modules = loaded("import sys; import prodwatch.session.protocol, prodwatch.tui.widget_context; print(*sys.modules)")
    assert "textual" not in modules


def test_store_and_views_need_neither_textual_nor_rich_nor_asyncio() -> None:
    code = (
        "import sys; import prodwatch.store, prodwatch.views.verdict, prodwatch.views.log_filter; print(*sys.modules)"
    )
    modules = loaded(code)
    assert not modules & {"textual", "rich", "asyncio"}
