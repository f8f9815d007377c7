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

OVERVIEW_BINDINGS = [
    Binding("Y", "hand_over", "copy a hand-over note", show=False, id="verdict.hand-over"),
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

REPLAY_BINDINGS = [
    Binding("space", "play", "play or pause", id="replay.play"),
    Binding("left", "skip(-10)", "10 s back", show=False, priority=True, id="replay.back"),
    Binding("right", "skip(10)", "10 s on", show=False, priority=True, id="replay.on"),
    Binding("shift+left,less_than_sign", "skip(-60)", "1 min back", show=False, id="replay.back-minute"),
    Binding("shift+right,greater_than_sign", "skip(60)", "1 min on", show=False, id="replay.on-minute"),
    Binding("right_square_bracket,ctrl+right", "jump(1)", "next event", id="replay.next-event", key_display="]"),
    Binding("left_square_bracket,ctrl+left", "jump(-1)", "event before", show=False, id="replay.previous-event"),
    Binding("plus", "speed(1)", "faster", show=False, id="replay.faster"),
    Binding("minus", "speed(-1)", "slower", show=False, id="replay.slower"),
    Binding("b", "reverse", "backwards or forwards", show=False, id="replay.reverse"),
    Binding("ctrl+home", "seek_edge(0)", "beginning", show=False, id="replay.beginning"),
    Binding("ctrl+end", "seek_edge(1)", "end", show=False, id="replay.end"),
]
"""Keys of a replay, on every screen; a panel with a key of its own keeps it while it has the focus."""
