"""No input makes the loader do anything but load or say what is wrong."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prodwatch.errors import ConfigurationError, Problem
from prodwatch.probes import registry
from prodwatch.settings import load_project
from prodwatch.settings.check_keys import CAPTURE, CHECK, HOLD, POLL, REPEAT, RETRY, STEP
from prodwatch.settings.environment_keys import ACCOUNT, SECRET, SECTIONS, STACK, TOP

TABLES = (CHECK, STEP, POLL, RETRY, HOLD, REPEAT, CAPTURE, TOP, ACCOUNT, SECRET, STACK)
NAMES = sorted(
    {key.name for keys in (*TABLES, *(section.keys for section in SECTIONS)) for key in keys}
    | {section.name for section in SECTIONS}
    | {"check", "defaults", "step", "cleanup", "url", "host", "port", "of", "query", "operation", "x"}
)
TEXTS = [
    "",
    "x",
    "5s",
    "status == 200",
    "status = 1",
    "json.",
    "${",
    "${vars.x}",
    "${vars.x | default('y')}",
    "${env.E}",
    "${env.NIX}",
    "${stack.a.B}",
    "${matrix.x}",
    "${steps.x.status}",
    "${captured.x}",
    "${each}",
    "$${",
    "stack.a.B",
    "prod",
    "2026-01-01",
    "\u202e",
    "a.b",
    "'",
    '"',
    "\n",
]


class Raw:
    """TOML as it is written."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __str__(self) -> str:
        return self.text

    __repr__ = __str__


def literal(value: Any) -> str:
    if isinstance(value, str):
        escaped = "".join(f"\\U{ord(each):08x}" if each in '"\\' or not each.isprintable() else each for each in value)
        return f'"{escaped}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(key)} = {literal(each)}" for key, each in value.items()) + "}"
    return str(value)


names = st.sampled_from(NAMES)
texts = st.sampled_from([*TEXTS, *registry.BUILT_IN]) | st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
scalars = st.one_of(
    texts,
    st.integers(-3, 10**20),
    st.booleans(),
    st.sampled_from(["1.5", "nan", "-inf"]).map(float),
    st.sampled_from(["2026-01-01", "08:00:00", "2026-01-01T08:00:00Z"]).map(Raw),
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | texts, inner, max_size=3),
    max_leaves=6,
)


def table(header: str, data: dict[str, Any]) -> str:
    return f"{header}\n" + "".join(f"{literal(key)} = {literal(value)}\n" for key, value in data.items())


tables = st.dictionaries(names, values, max_size=6)
checks = st.builds(
    lambda type_, name, more: {"type": type_, "name": name} | more,
    st.sampled_from([*registry.BUILT_IN, "nix"]),
    st.sampled_from(["a", "b", "c ${matrix.x}", "✅"]),
    tables,
)


@st.composite
def check_files(draw: Any) -> str:
    parts = [table("", draw(tables))] if draw(st.integers(0, 9)) == 0 else []
    if draw(st.booleans()):
        parts.append(table("[defaults]", draw(tables)))
    for _ in range(draw(st.integers(0, 3))):
        parts.append(table("[[check]]", draw(checks)))
        steps = draw(st.lists(st.tuples(st.sampled_from(["step", "cleanup"]), checks), max_size=2))
        parts += [table(f"[[check.{kind}]]", step) for kind, step in steps]
    return "".join(parts)


@st.composite
def environment_files(draw: Any) -> str:
    headers = [f"[[{each.name}]]" if each.shape == "tables" else f"[{each.name}]" for each in SECTIONS]
    chosen = draw(st.lists(st.sampled_from([*headers, "[aws.accounts.x]"]), max_size=4, unique=True))
    return "".join(table(header, draw(tables)) for header in chosen)


def loads_or_says_why(config: str, check_file: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, text in (("config/prod.toml", config), ("checks/a.toml", check_file)):
            (root / name).parent.mkdir()
            (root / name).write_text(text, encoding="utf-8")
        problems: tuple[Problem, ...] = ()
        try:
            load_project(root=root, env="prod", environ={"E": "1"})
        except ConfigurationError as error:
            problems = error.problems or (Problem(None, ""),)
        for problem in problems:
            assert problem.message
            assert "\n" not in str(problem)


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(environment_files(), check_files())
def test_files_of_the_right_shape(config: str, check_file: str) -> None:
    loads_or_says_why(config, check_file)


@settings(deadline=None)
@given(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.text(st.sampled_from('[]{}=",.\'"\n #check$1'), max_size=60),
)
def test_any_text(config: str, check_file: str) -> None:
    loads_or_says_why(config, check_file)
