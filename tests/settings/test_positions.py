"""The key scanner against tomli: same keys, same values, and each where it says it stands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
import tomli
from hypothesis import given, settings
from hypothesis import strategies as st

from prodwatch.settings.toml_document import Document, parse_document
from prodwatch.settings.toml_positions import inside_string, scan

Draw = Any

names = st.one_of(
    st.sampled_from(
        ["check", "step", "a", "b-1", "c_d", "1", "défi", "dotted.key", "sp ace", "", "'", '"', "#", "=", "\\", "]"]
    ),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=4),
)
texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8),
    st.sampled_from(["", "#", "[x]", "a\nb", 'say "hi"', "'", '"', '""', "''", "\\", "\t", "a = 1", "]", "}", ","]),
)
scalars = st.one_of(
    texts,
    st.integers(-(10**12), 10**12),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.datetimes(min_value=datetime(1900, 1, 1), timezones=st.sampled_from([None, UTC])),  # noqa: DTZ001 -- as TOML has it
    st.dates(min_value=date(1900, 1, 1)),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3)),
    max_leaves=8,
)
tables = st.dictionaries(names, values, max_size=4)


class Writer:
    """Writes data as TOML in whichever of the many ways hypothesis likes."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.lines: list[str] = []

    def pick(self, *options: str) -> str:
        return str(self.draw(st.sampled_from(options)))

    def key(self, name: str) -> str:
        styles = [json.dumps(name, ensure_ascii=False).replace("\x7f", "\\u007f")]
        if "'" not in name and "\n" not in name:
            styles.append(f"'{name}'")
        if re.fullmatch(r"[A-Za-z0-9_-]+", name):
            styles.append(name)
        return self.pick(*styles)

    def dotted(self, path: tuple[str, ...]) -> str:
        return self.pick(".", " . ").join(self.key(name) for name in path)

    def text(self, value: str) -> str:
        basic = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        escaped = "".join(f"\\u{ord(each):04x}" if ord(each) < 0x10000 else f"\\U{ord(each):08x}" for each in value)
        styles = [basic, f'"{escaped}"', f'"""{basic[1:-1]}"""', f'"""\n{basic[1:-1]}"""', f'"""\\\n  {basic[1:-1]}"""']
        if value != value.lstrip():
            styles.pop()
        if "'" not in value and "\n" not in value:
            styles.append(f"'{value}'")
        if "'''" not in value and not value.endswith("'"):
            styles.append(f"'''\n{value}'''")
        return self.pick(*styles)

    def blank(self) -> str:
        return self.pick("", " ", "\n", "\t", " # note ]}\"'\n", "\n\n  # [x]\n")

    def value(self, value: Any) -> str:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            inside = "".join(f"{self.blank()}{self.value(each)}{self.blank()}," for each in value)
            return f"[{inside if value and self.draw(st.booleans()) else inside.removesuffix(',')}{self.blank()}]"
        if isinstance(value, dict):
            pairs = [
                f"{self.blank()}{self.key(name)} = {self.value(each)}{self.blank()}" for name, each in value.items()
            ]
            return "{" + ",".join(pairs) + "}"
        if isinstance(value, bool):
            return str(value).lower()
        return str(value.isoformat()) if isinstance(value, date) else repr(value)

    def table(self, path: tuple[str, ...], data: dict[str, Any]) -> None:
        later: list[tuple[str, Any]] = []
        for name, value in data.items():
            if isinstance(value, dict) and value and self.draw(st.booleans()):
                if self.draw(st.booleans()):
                    later.append((name, value))
                else:
                    self.pairs((name,), value)
            elif (
                isinstance(value, list)
                and value
                and all(isinstance(each, dict) for each in value)
                and self.draw(st.booleans())
            ):
                later.append((name, value))
            else:
                self.line(f"{self.key(name)}{self.pick('=', ' = ')}{self.value(value)}")
        for name, value in later:
            for each in value if isinstance(value, list) else [value]:
                opening, closing = ("[[", "]]") if isinstance(value, list) else ("[", "]")
                space = self.pick("", " ")
                self.line(f"{opening}{space}{self.dotted((*path, name))}{space}{closing}")
                self.table((*path, name), each)

    def pairs(self, path: tuple[str, ...], data: dict[str, Any]) -> None:
        for name, value in data.items():
            if isinstance(value, dict) and value and self.draw(st.booleans()):
                self.pairs((*path, name), value)
            else:
                self.line(f"{self.dotted((*path, name))} = {self.value(value)}")

    def line(self, text: str) -> None:
        self.lines.append(self.pick("", "  ", "\n", "# note\n") + text + self.pick("", " ", " # [[x]] = 'y'"))


@st.composite
def documents(draw: Draw) -> str:
    writer = Writer(draw)
    writer.table((), draw(tables))
    return "\n".join(writer.lines) + writer.pick("", "\n")


def paths(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if path:
        yield path, value
    if isinstance(value, dict | list):
        for name, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from paths(each, (*path, name))


@settings(deadline=None)
@given(documents())
def test_every_key_and_value_stands_where_the_scanner_says(text: str) -> None:
    data = tomli.loads(text)
    spans = scan(text)
    expected = dict(paths(data))
    assert set(spans.keys) == set(expected)
    for path, (start, end) in spans.values.items():
        assert tomli.loads(f"x = {text[start:end]}")["x"] == expected[path]
    for path, value in expected.items():
        assert path in spans.values or isinstance(value, dict | list), path
        rest = text[spans.keys[path] :]
        if isinstance(path[-1], str) and not rest.startswith("["):
            key = re.match(r"""'[^']*'|"(?:[^"\\]|\\.)*"|[^\s.=]+""", rest)
            assert key is not None
            assert tomli.loads(f"{key[0]} = 1") == {path[-1]: 1}


@settings(deadline=None)
@given(texts, st.data())
def test_a_character_of_a_text_is_found_in_its_raw_form(value: str, data: Any) -> None:
    raw = Writer(data.draw).text(value)
    found = tomli.loads(f"x = {raw}")["x"]
    for index, character in enumerate(found):
        rest = raw[inside_string(raw, index) :]
        shown = rest[:1]
        assert shown == character or rest.startswith("\\"), (raw, index)


@pytest.mark.parametrize(
    ("text", "path", "line", "column"),
    [
        pytest.param("a = 1\n  b = 2", ("b",), 2, 3, id="an indented key"),
        pytest.param("[a]\nb = 1", ("a",), 1, 1, id="a table's header"),
        pytest.param("[[a]]\n[[a]]\nb=1", ("a", 1), 2, 1, id="the second of a list of tables"),
        pytest.param("[[a]]\n[a.b]\n[[a.c]]\nd=1", ("a", 0, "c", 0, "d"), 4, 1, id="a table inside a list of tables"),
        pytest.param("a.b.c = 1", ("a", "b", "c"), 1, 5, id="the last part of a dotted key"),
        pytest.param("a = {\n  b = 1,\n  c = 2\n}", ("a", "c"), 3, 3, id="an inline table over lines"),
        pytest.param("a = [\n  1,\n  # two\n  2,\n]", ("a", 1), 4, 3, id="an element of a list over lines"),
        pytest.param("a = 1\r\n\r\nb = 2", ("b",), 3, 1, id="Windows line ends"),
        pytest.param("a = 1", ("a", "b", 3), 1, 1, id="what is not written: the nearest above"),
        pytest.param("", ("a",), 1, 1, id="an empty file"),
    ],
)
def test_positions_people_read(text: str, path: tuple[str | int, ...], line: int, column: int) -> None:
    document = parse_document(text, "f.toml")
    assert isinstance(document, Document)
    position = document.position(path)
    assert (position.line, position.column) == (line, column)


@pytest.mark.parametrize(
    ("text", "index", "line", "column"),
    [
        pytest.param('a = "xyz"', 2, 1, 8, id="plain"),
        pytest.param("a = 'xyz'", 0, 1, 6, id="literal"),
        pytest.param(r'a = "\"\u00e9z"', 2, 1, 14, id="behind escapes"),
        pytest.param('a = """\nx\nyz"""', 3, 3, 2, id="on the second line of a long text"),
        pytest.param('a = """x\\\n   y"""', 1, 2, 4, id="behind a joined line end"),
        pytest.param("a = [1, 'x']", 0, 1, 5, id="no text: its start"),
    ],
)
def test_positions_inside_texts(text: str, index: int, line: int, column: int) -> None:
    document = parse_document(text, "f.toml")
    assert isinstance(document, Document)
    position = document.position_inside(("a",), index)
    assert (position.line, position.column) == (line, column)
