"""First stage: parts of a line that are variable whatever the rest says, by their form alone."""

from __future__ import annotations

import re

MASK = "\x00"
"""Placeholder of a variable part; a control character, so that no sanitised line holds one."""

_WEEKDAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*"
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*"
_CLOCK = r"\d{1,2}:\d{2}(?::\d{2})?(?:[.,:]\d{1,9})?(?:\s?[AP]M\b)?"
_ZONE = r"(?:\s?(?:Z|UTC|GMT|[A-Z]{2,4}T|[+-]\d{2}:?\d{2})\b)?"
_TIMES = (
    rf"\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}(?:[T ,_-]{{1,2}}{_CLOCK}{_ZONE})?",
    rf"(?:{_WEEKDAY},?\s+)?{_MONTH}\s+\d{{1,2}},?\s+(?:{_CLOCK}{_ZONE})?(?:\s+\d{{4}})?",
    rf"(?:{_WEEKDAY},?\s+)?\d{{1,2}}[-\s/]{_MONTH}[-\s/]\d{{4}}(?:[:\s]{_CLOCK}{_ZONE})?",
    rf"\d{{1,2}}[/.]\d{{1,2}}[/.]\d{{4}}(?:\s{_CLOCK}{_ZONE})?",
    rf"(?<![\w:.]){_CLOCK}(?![\w:])",
)
_TOP_LEVEL = (
    "com|net|org|edu|gov|mil|int|info|biz|io|dev|app|cloud|local|internal|lan|home|corp|eu|us|uk|de|fr|it|es|nl|be|ch|at|"
    "se|no|dk|fi|pl|cz|sk|hu|ro|bg|gr|pt|ie|ru|ua|by|tr|il|ir|in|pk|cn|tw|hk|jp|kr|sg|my|th|vn|id|ph|au|nz|za|eg|ng|ke|br|"
    "mx|ar|cl|pe|ve|ca"
)
_SOURCE_FILES = "java|py|js|mjs|ts|tsx|go|rs|cs|rb|php|kt|scala|cpp|cc|c|h|swift|sql|xml|yaml|yml|json"
_UNITS = "bytes?|[KMGTP]i?B|B|ns|[uµ]s|ms|secs?|seconds?|mins?|minutes?|hours?|hrs?|days?|s|m|h|d|%|[kKMG]?bps|[KMG]?Hz"

_ALTERNATIVES = (
    *_TIMES,
    r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}",
    r"\b[01]-[0-9a-f]{8}-[0-9a-f]{24}\b",
    r"\barn:aws[\w-]*:[^\s,;\"'<>()\]}]+",
    r"\b[a-zA-Z][a-zA-Z0-9+.-]*://[^\s,;\"'<>()\]}]+",
    r"\b[\w.+-]+@(?:[\w-]+\.)+[a-zA-Z]{2,}\b",
    r"(?<![\w.])/?(?:\d{1,3}\.){3}\d{1,3}(?:[:/]\d{1,5})?(?![\w.])",
    r"(?<![\w:])(?:[0-9a-fA-F]{2}[:-]){5,}[0-9a-fA-F]{2}(?![\w:])",
    r"(?<!\w)(?:[0-9a-fA-F]{1,4}:){3,7}:?[0-9a-fA-F]{1,4}(?![\w:])",
    r"(?<![\w:])(?:[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){0,6})?::(?:[0-9a-fA-F]{1,4}:){0,6}[0-9a-fA-F]{1,4}(?![\w:])",
    rf"(?<![\w./@-])(?:[A-Za-z0-9](?:[\w-]*[A-Za-z0-9])?\.)+(?:{_TOP_LEVEL})\.?(?::\d{{1,5}})?(?![\w.-]*\w)",
    rf"(?<![\w./@-])(?:[A-Za-z0-9][\w-]*\.)+(?!(?:{_SOURCE_FILES}):)[a-z]{{2,}}:\d{{2,5}}(?![\w:])",
    r"(?<![\w.])(?:[A-Za-z]:)?(?:[/\\][\w.$@+~%=-]+){2,}[/\\]?(?::\d+)*",
    r"\b0[xX][0-9a-fA-F]+\b",
    r"\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{6,}\b|\b(?=[0-9A-F]*[A-F])(?=[0-9A-F]*\d)[0-9A-F]{6,}\b",
    rf"(?<![\w.])(?:[<>~]=?)?#?[-+]?\d+#?(?:[.,]\d+)*(?:\s?(?:{_UNITS})\b|%)?(?![\w])",
)
_MASKED = re.compile("|".join(f"(?:{each})" for each in _ALTERNATIVES))


def masked(text: str) -> str:
    """Return `text` with dates, ids, addresses, host names, paths and numbers with their units as `MASK`."""
    return _MASKED.sub(MASK, text)
