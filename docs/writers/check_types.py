"""Writes the reference page of every check type from its spec: `python -m docs.writers.check_types FOLDER`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from textwrap import fill

from prodwatch.model.spec import Field, Key, ProbeSpec
from prodwatch.probes import registry

WIDTH = 110
_KINDS = {
    "text": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "duration": "duration",
    "size": "size",
    "list": "list",
    "table": "table",
    "texts": "text or list of texts",
    "any": "any value",
    "time": "time",
}
_NOTE = "<!-- Written from the check type's spec by `python -m docs.writers.check_types`. -->\n"


def pages() -> dict[str, str]:
    """Return file name → Markdown: one page per built-in type, and the list of them as `README.md`."""
    specs = [spec for name in sorted(registry.BUILT_IN) if (spec := registry.spec(name)) is not None]
    return {"README.md": _list(specs)} | {f"{spec.type}.md": page(spec) for spec in specs}


def page(spec: ProbeSpec) -> str:
    """Return the Markdown of one check type's page."""
    parts = [f"# `{spec.type}`: {spec.title}\n", _NOTE, _wrapped(spec.doc), f"```toml\n{spec.example}```\n"]
    if spec.keys:
        parts += ["## Keys\n", _key_table(spec.keys), *_rules(spec)]
        parts += [_nested(key, f"`{key.name}`") for key in spec.keys if key.keys]
    if spec.fields:
        parts += ["## Document\n", "Fields for `expect`, `warn` and `capture`.\n", _field_table(spec.fields)]
    parts += ["## Defaults\n", _defaults(spec)]
    return "\n".join(parts)


def _wrapped(text: str) -> str:
    lines = (
        line if line.startswith("- ") else fill(line, WIDTH, break_long_words=False, break_on_hyphens=False)
        for line in text.splitlines()
    )
    return "\n".join([*lines, ""])


def _list(specs: Sequence[ProbeSpec]) -> str:
    rows = [(f"[`{spec.type}`]({spec.type}.md)", spec.title, _first_sentence(spec.doc)) for spec in specs]
    words = "Every type has its own keys in addition to the keys of all checks. To add a type, see"
    link = "[your own check type](../../guide/own-check-type.md)"
    return "\n".join(
        ("# Check types\n", _NOTE, f"{words} {link}.\n", _table(("type", "is", "does"), rows)),
    )


def _first_sentence(text: str) -> str:
    return text.replace("\n", " ").split(". ", maxsplit=1)[0].rstrip(".") + "."


def _key_table(keys: Iterable[Key]) -> str:
    return _table(
        ("key", "is", "meaning"),
        [(f"`{key.name}`" + (" (required)" if key.required else ""), _kind_of(key), _meaning(key)) for key in keys],
    )


def _kind_of(key: Key) -> str:
    return " ".join(f"`{choice}`" for choice in key.choices) if key.choices else _KINDS[key.kind]


def _meaning(key: Key) -> str:
    parts = [key.doc]
    if key.default is not None:
        parts.append(f"Default: `{_toml(key.default)}`.")
    if key.minimum is not None:
        parts.append(f"At least {key.minimum:g}.")
    return " ".join(parts)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else str(value)


def _nested(key: Key, path: str) -> str:
    parts = [f"### {path}\n", _key_table(key.keys)]
    parts += [_nested(each, f"{path} `{each.name}`") for each in key.keys if each.keys]
    return "\n".join(parts)


def _rules(spec: ProbeSpec) -> list[str]:
    rules = [f"One of {_names(group)} is required.\n" for group in spec.one_of]
    return rules + [f"At most one of {_names(group)} is allowed.\n" for group in spec.at_most_one]


def _names(group: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in group)


def _field_table(fields: Iterable[Field]) -> str:
    return _table(("field", "is", "meaning"), [(f"`{each.name}`", _KINDS[each.kind], each.doc) for each in fields])


def _defaults(spec: ProbeSpec) -> str:
    lines = []
    if spec.needs_probe:
        lines.append(f"- `timeout`: {_seconds(spec.timeout_s)}")
        if spec.smoke_timeout_s is not None:
            lines[-1] += f", {_seconds(spec.smoke_timeout_s)} for a smoke check"
        lines.append(f"- `poll.within`: {_seconds(spec.within_s)}")
    elif spec.type == "flow":
        lines.append(f"- `timeout`: {_seconds(spec.timeout_s)} for the whole flow")
    implicit = " and ".join(f"`{each}`" for each in spec.implicit_expect) or "nothing"
    lines.append(f"- implicit expectations: {implicit}")
    if spec.service is not None:
        service = "that of `service`" if spec.service == "*" else f"`{spec.service}`"
        lines.append(f"- AWS service: {service}; `account` and `region` of the check apply")
    return "\n".join([*lines, ""])


def _seconds(seconds: float) -> str:
    return f"{seconds:g} s"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def write(folder: Path) -> None:
    """Write every page into `folder`, and remove pages of removed types."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = pages()
    for old in folder.glob("*.md"):
        if old.name not in wanted:
            old.unlink()
    for name, text in wanted.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
