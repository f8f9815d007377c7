"""Level words and numbers: what the value of a level's key means."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from prodwatch.model.signal import Level

_UNKNOWN, _TRACE, _DEBUG, _INFO = Level.UNKNOWN, Level.TRACE, Level.DEBUG, Level.INFO
_WARN, _ERROR, _FATAL = Level.WARN, Level.ERROR, Level.FATAL
"""Shortcuts: access to an enumeration's members is slow in Python 3.11."""
SEVERITY = {level: rank for rank, level in enumerate((_UNKNOWN, _TRACE, _DEBUG, _INFO, _WARN, _ERROR, _FATAL))}
"""Level → rank; lines of Lambda itself have none."""

TEXT_WORDS = {
    **dict.fromkeys(("critical", "crit", "fatal", "fata", "ftl", "panic", "pani", "pnc", "dpanic"), _FATAL),
    **dict.fromkeys(("emergency", "emerg", "alert"), _FATAL),
    **dict.fromkeys(("error", "erro", "eror", "err", "severe", "fail"), _ERROR),
    **dict.fromkeys(("warning", "warn", "wrn"), _WARN),
    **dict.fromkeys(("notice", "information", "informational", "info", "inf", "success"), _INFO),
    **dict.fromkeys(("debug", "dbug", "debu", "dbg", "verbose", "vrb", "config", "fine"), _DEBUG),
    **dict.fromkeys(("trace", "trce", "trac", "trc", "silly", "finer", "finest"), _TRACE),
}
"""Level words in a line of text, in lower case."""
_WORDS = TEXT_WORDS | {
    **dict.fromkeys(("exception", "failure", "failed"), _ERROR),
    "f": _FATAL,
    "c": _FATAL,
    "a": _FATAL,
    "e": _ERROR,
    "w": _WARN,
    "n": _INFO,
    "i": _INFO,
    "d": _DEBUG,
    "v": _DEBUG,
    "t": _TRACE,
    "http": _DEBUG,
}
"""Words as the value of a level's key, in lower case."""
UPPER_CASE = frozenset(
    (
        *("CRITICAL", "CRIT", "FATAL", "FATA", "FTL", "PANI", "PNC", "ERROR", "ERRO", "EROR", "ERR", "SEVERE"),
        *("WARNING", "WARN", "WRN", "NOTICE", "INFO", "INF", "DEBUG", "DEBU", "DBG", "VRB", "TRACE", "TRAC", "TRC"),
    )
)
"""Words that are a level wherever they appear in upper case near the start of a line."""
_AFTER_TIME = frozenset(
    ("error", "err", "fatal", "critical", "crit", "severe", "warning", "warn", "info", "debug", "trace")
)
"""Words that are a level in lower case, too, directly after a time or brackets."""
LEVELS = {name: level for word, level in TEXT_WORDS.items() for name in (word, word.upper(), word.capitalize())}
"""Level words in the usual cases."""

_AS_WRITTEN: dict[str, Level] = {
    name: level for word, level in _WORDS.items() for name in (word, word.upper(), word.capitalize())
}
"""Values of level keys that were seen → level."""
_MAX_VALUES = 4096
"""Values remembered, because free-form values must not fill the memory."""
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
"""A terminal's sequence for colour and weight."""

_PLAIN_SCALE = (
    *((5000.0, _TRACE), (10000.0, _DEBUG), (20000.0, _INFO), (30000.0, _WARN), (40000.0, _ERROR), (50000.0, _FATAL)),
    *((700.0, _DEBUG), (800.0, _INFO), (900.0, _WARN), (1000.0, _ERROR)),
    *((100.0, _DEBUG), (200.0, _INFO), (300.0, _WARN), (400.0, _ERROR), (500.0, _FATAL)),
    *((9.0, _TRACE), (20.0, _DEBUG), (30.0, _INFO), (40.0, _WARN), (50.0, _ERROR), (60.0, _FATAL)),
    *((0.0, _FATAL), (3.0, _ERROR), (4.0, _WARN), (5.0, _INFO), (7.0, _DEBUG), (8.0, _ERROR)),
    (float("-inf"), _DEBUG),
)
"""Log4j's and Logback's, java.util.logging's, Monolog's, pino's and bunyan's, syslog's and GELF's numbers, slog's."""
_SCALES = {
    "levelno": ((0.0, _TRACE), (10.0, _DEBUG), (20.0, _INFO), (30.0, _WARN), (40.0, _ERROR), (50.0, _FATAL)),
    "severitynumber": (
        *((0.0, _UNKNOWN), (1.0, _TRACE), (5.0, _DEBUG), (9.0, _INFO), (13.0, _WARN), (17.0, _ERROR), (21.0, _FATAL)),
    ),
    "loglevel": (
        *((0.0, _TRACE), (1.0, _DEBUG), (2.0, _INFO), (3.0, _WARN), (4.0, _ERROR), (5.0, _FATAL), (7.0, _TRACE)),
        *((20.0, _DEBUG), (30.0, _INFO), (40.0, _WARN), (50.0, _ERROR), (60.0, _FATAL)),
    ),
    "severitylevel": ((0.0, _DEBUG), (1.0, _INFO), (2.0, _WARN), (3.0, _ERROR), (4.0, _FATAL)),
}
"""Key → scale of Python, OpenTelemetry, .NET, Application Insights: (lowest number, level)."""
_SCALES["levelnumber"] = _SCALES["levelno"]
_NUMBER = re.compile(r"-?[0-9]{1,6}(?:\.[0-9]{1,6})?")


def without_colours(text: str) -> str:
    """Return `text` without the terminal sequences for colours that loggers write around levels."""
    return _COLOUR.sub("", text) if "\x1b" in text else text


def level_of_value(value: Any, key: str = "level") -> Level:
    """Return the level that `value` names under a level's key (lower case, without separators)."""
    if isinstance(value, str):
        known = _AS_WRITTEN.get(value)
        return _level_of_word(value, key) if known is None else known
    if isinstance(value, int | float):
        return _UNKNOWN if isinstance(value, bool) else _level_of_number(value, key)
    if isinstance(value, dict):
        # log4js, loguru and older JSON layouts of log4j describe a level by an object.
        return most_severe(level_of_value(item) for item in value.values() if isinstance(item, str))
    return _UNKNOWN


def most_severe(levels: Iterable[Level]) -> Level:
    """Return the most severe level, UNKNOWN without one."""
    return max(levels, key=SEVERITY.__getitem__, default=_UNKNOWN)


def _level_of_word(value: str, key: str) -> Level:
    word = without_colours(value[:64]).strip(" \t\r\n[](){}<>|:\"'!*").rpartition(".")[2].casefold()
    if _NUMBER.fullmatch(value.strip()):
        return _level_of_number(float(value), key)
    level = _WORDS.get(word) or _WORDS.get(word.rstrip("0123456789"), _UNKNOWN)
    if len(_AS_WRITTEN) < _MAX_VALUES:
        _AS_WRITTEN[value] = level
    return level


def _level_of_number(number: float, key: str) -> Level:
    reached = [(lowest, level) for lowest, level in _SCALES.get(key, _PLAIN_SCALE) if number >= lowest]
    return max(reached, key=lambda step: step[0])[1] if reached else _UNKNOWN
