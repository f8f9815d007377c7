"""A notice on the user's desktop, asked of the terminal by an escape sequence; the text can never steer it."""

from __future__ import annotations

from collections.abc import Mapping

from prodwatch.tui.styled_line import clip, safe

MOST_CELLS = 200
_TERMS_777 = ("rxvt", "foot")
"""Terminals that know rxvt's sequence and not iTerm's."""


def desktop_notice(title: str, text: str, environ: Mapping[str, str]) -> str:
    """Return the bytes that make a terminal show a notice: OSC 9, or OSC 777 where that is the one known.

    A terminal that knows neither shows nothing. Inside tmux the sequence is wrapped to pass through, which tmux does
    when `allow-passthrough` is on.
    """
    head, body = (clip(safe(part), MOST_CELLS) for part in (title, text))
    if "VTE_VERSION" in environ or environ.get("TERM", "").startswith(_TERMS_777):
        # A semicolon would end the title.
        sequence = f"\x1b]777;notify;{head.replace(';', ',')};{body}\x1b\\"
    else:
        sequence = f"\x1b]9;{head}: {body}\x1b\\"
    if environ.get("TMUX"):
        return "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    return sequence
