"""Parsing what most files hold costs no import that start-up could notice."""

from __future__ import annotations

import subprocess
import sys

import pytest

PLAIN = "'status == 200', \"json.items[0].name == 'tea'\", 'latency < 1s', 'json.error absent', 'a in [1, 2]'"
HEAVY = ("asyncio", "aiohttp", "jsonschema", "jmespath", "regex", "difflib")


def modules_after(code: str) -> set[str]:
    program = f"import sys\n{code}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("code", "not_loaded"),
    [
        (f"from prodwatch.assertions import parse\nfor each in ({PLAIN}): parse(each)", HEAVY),
        ("from prodwatch.assertions import parse\nparse('length(a) == 1')", tuple(set(HEAVY) - {"jmespath"})),
        ("from prodwatch.assertions import parse\nparse(\"a satisfies 'x.json'\")", HEAVY),
    ],
)
def test_what_is_not_imported(code: str, not_loaded: tuple[str, ...]) -> None:
    assert not set(not_loaded) & modules_after(code)
