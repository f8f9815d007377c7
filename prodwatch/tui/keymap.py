"""Key bindings of the app and its screens, each with an id that users can remap."""

from __future__ import annotations

from textual.binding import Binding

SCREENS = ("overview", "logs", "traces", "metrics", "timeline")

APP_BINDINGS = [
    *(
        Binding(str(number), f"show('{name}')", name, show=False, id=f"screen.{name}")
        for number, name in enumerate(SCREENS, 1)
    ),
    Binding("question_mark", "help", "help", id="app.help", key_display="?"),
    Binding("colon,ctrl+p", "command_palette", "commands", id="app.palette", key_display=":"),
    Binding("q,ctrl+c", "quit", "quit", id="app.quit", key_display="q"),
    Binding("space", "pause", "pause", id="view.pause"),
    Binding("t", "switch_zone", "UTC or local time", show=False, id="view.zone"),
    Binding("ctrl+z", "suspend_process", "suspend", show=False, id="app.suspend"),
    Binding("m", "mark", "mark this moment", show=False, id="timeline.mark"),
    Binding("S", "service_map", "service map", show=False, id="traces.map"),
    Binding("C", "release", "release and comparisons", show=False, id="release.view"),
    Binding("T", "switch_theme", "dark or light", show=False, id="view.theme"),
]

SCREEN_BINDINGS = [
    Binding("escape", "back", "back", show=False, id="view.back", key_display="esc"),
    Binding("slash", "filter", "filter", id="view.filter", key_display="/"),
    Binding("y", "copy", "copy", show=False, id="view.copy"),
    Binding("Y", "copy('json')", "copy as JSON", show=False, id="view.copy-json"),
    Binding("o", "console", "AWS console link", show=False, id="view.console"),
]

CHECK_LIST_BINDINGS = [
    Binding("r", "rerun", "re-run", id="check.rerun"),
    Binding("R", "rerun_failed", "re-run failed", show=False, id="check.rerun-failed"),
    Binding("s", "sort", "sort", show=False, id="list.sort"),
]

CHECK_BINDINGS = [
    Binding("escape", "back", "back", id="view.back", key_display="esc"),
    Binding("r", "rerun", "re-run", id="check.rerun"),
    Binding("R", "rerun_failed", "re-run failed", show=False, id="check.rerun-failed"),
    Binding("right_square_bracket", "facet(1)", "next part", id="check.next-part", key_display="]"),
    Binding("left_square_bracket", "facet(-1)", "previous part", show=False, id="check.previous-part", key_display="["),
    Binding("x", "trace", "open its trace", show=False, id="check.trace"),
    Binding("L", "lines", "log lines", show=False, id="check.lines"),
    Binding("c", "copy('curl')", "copy as curl", show=False, id="check.copy-curl"),
    Binding("a", "copy('aws')", "copy as aws", show=False, id="check.copy-aws"),
]
