"""Errors with their stack traces: the chain of error types, and the first frame of the user's own code."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec


class StackTrace(msgspec.Struct, frozen=True, kw_only=True):
    """One logged error, as far as its text tells."""

    types: tuple[str, ...]
    """Error types in the order of the text: causes before (Python) or after (Java, .NET) what they led to."""
    message: str
    """Message of the error that the program reported, without its type."""
    frame: str | None = None
    """`file:function` or `class.method` of the innermost frame of the user's code, without a line number."""


_TYPE = r"[A-Za-z_][\w.$:\\]*"
_ERROR = re.compile(
    rf"(?:\S+\s+[0-9a-f-]{{36}}\s+[A-Z]+\s+)?"  # Lambda's prefix for Node
    rf"(?:Caused by: |Suppressed: |Uncaught |Unhandled exception\. |Exception in thread \"[^\"]*\" |"
    rf"-+> |\[?(?:ERROR|FATAL)\]? )?({_TYPE}(?:Error|Exception|Fault|Failure|Timeout|Warning|Interrupt|Exit|Panic))"
    rf"(?: \[\w+\])?(?:: (.*)|$)"
)
_PANIC = re.compile(
    r"panic: (.*)|thread '[^']*' (?:\(\d+\) )?panicked at (?:'(.*)', )?\S+$|thread '[^']*'.* panicked at (.*)"
)
_PHP = re.compile(rf"PHP (?:Fatal error|Warning|Parse error):\s+(?:Uncaught ({_TYPE}): )?(.*?)(?: in \S+:\d+)?$")
_RUBY = re.compile(rf"\S+:\d+:in [`'][^']*': (.*) \(({_TYPE})\)$")
_FRAMES = (
    re.compile(r"\s*File \"(?P<file>[^\"]+)\", line \d+(?:, in (?P<function>.+))?"),
    re.compile(
        r"\s+at (?:async )?(?P<function>[^\s(]+(?: \[as \S+\])?) \((?P<file>(?:file://)?/[^):]+):\d+(?::\d+)?\)"
    ),
    re.compile(r"\s+at (?P<file>(?:file://)?/[^):]+):\d+:\d+()$"),
    re.compile(
        r"\s+at (?P<function>(?:[\w$.]+/)?[\w$.]+\.[\w$<>]+)"
        r"\((?P<file>[\w$]+\.(?:java|kt|scala|groovy|clj):\d+|Native Method|Unknown Source)\)"
    ),
    re.compile(r"\s+at (?P<function>[\w.`<>+|$]+\.[\w<>.|$]+)\([^)]*\)(?: in (?P<file>\S+):line \d+)?"),
    re.compile(r"(?:\s*from )?(?P<file>/\S+\.rb):\d+:in [`'](?P<function>[^']*)'"),
    re.compile(r"#\d+ (?P<file>/\S+)\(\d+\): (?P<function>[\w\\:>-]+)"),
    re.compile(r"(?P<function>[\w./*()]+)\((?:0x|\.\.\.|\{|\))[^)]*\)?$(?P<file>)"),
)
_FOREIGN_FILES = re.compile(
    r"site-packages|dist-packages|node_modules|/opt/|/var/runtime|/var/lang|/usr/lib|^node:|<frozen|/vendor/"
)
_FOREIGN_FUNCTIONS = re.compile(
    r"(?:java|javax|jdk|sun|kotlin|scala|lambdainternal|com\.amazonaws|software\.amazon)\.|java\.base/|"
    r"(?:System|Microsoft|Amazon)\.|runtime\.|panic$|reflect\.|github\.com/aws/|Object\.<anonymous>|Module\.|process\."
)
_OUTERMOST_FIRST = "Traceback (most recent call last)"
_PARTS = re.compile(r"⏎|\r?\n")


def parse_stack_trace(message: str) -> StackTrace | None:
    """Return the error in a message of several lines, None when it holds none that is recognised.

    Lines are separated by newlines or by `⏎`, their form in sanitised text.
    """
    lines = _PARTS.split(message)
    errors = [found for index in range(len(lines)) if (found := _error(lines, index)) is not None]
    frames = [frame for line in lines if (frame := _frame(line)) is not None]
    if not errors:
        return None
    python = any(_OUTERMOST_FIRST in line for line in lines)
    reported = errors[-1] if python else errors[0]
    own = [each for each in frames if each is not _FOREIGN]
    innermost = -1 if python else 0
    types = [name for name, _ in errors if name]
    return StackTrace(types=tuple(_without_repeats(types)), message=reported[1], frame=own[innermost] if own else None)


def _error(lines: Sequence[str], index: int) -> tuple[str, str] | None:
    """Return type and message of a line that states an error; Rust's message is on the next one."""
    line = lines[index]
    found = _ERROR.match(line)
    if found is not None:
        return found[1], (found[2] or "").strip()
    found = _PANIC.match(line)
    if found is not None:
        message = next((each for each in found.groups() if each), None)
        return "panic", (message or "".join(lines[index + 1 : index + 2])).strip()
    found = _PHP.match(line)
    if found is not None:
        return found[1] or "PHP error", found[2].strip()
    found = _RUBY.match(line)
    if found is not None:
        return found[2], found[1]
    return None


_FOREIGN = ""
"""A frame of a runtime or of a library."""


def _frame(line: str) -> str | None:
    for form in _FRAMES:
        found = form.match(line)
        if found is None:
            continue
        groups = found.groupdict()
        file, function = groups.get("file") or "", groups.get("function") or ""
        if _FOREIGN_FILES.search(file) or _FOREIGN_FUNCTIONS.match(function):
            return _FOREIGN
        name = file.rsplit("/", 1)[-1].rsplit("\\", 1)[-1].split(":", 1)[0]
        return ":".join(filter(None, (name, function.strip())))
    return None


def _without_repeats(names: Sequence[str]) -> list[str]:
    return [name for index, name in enumerate(names) if index == 0 or name != names[index - 1]]
