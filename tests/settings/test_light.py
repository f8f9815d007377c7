"""Loading a project stays quick: nothing heavy is imported, neither for right files nor for wrong ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    "aiobotocore",
    "aiohttp",
    "asyncio",
    "boto3",
    "botocore",
    "cryptography",
    "importlib.metadata",
    "jsonschema",
    "rich",
    "textual",
)
LOAD = """
import sys
from pathlib import Path
from prodwatch.settings import check_schema, environment_schema, find_project, load_project
found = find_project(Path(sys.argv[1]), root=None, env=None, environ={})
try:
    project = load_project(root=found.root, env=found.env, environ={})
except Exception as error:
    print(type(error).__name__)
else:
    print(len(project.checks))
environment_schema()
print([name for name in sys.argv[2:] if name in sys.modules])
"""
CHECKS = """\
[[check]]
name = "a"
type = "http"
url = "${vars.api | join('health')}"
expect = ["status == 200", "json.ok == true"]

[[check]]
name = "b"
type = "flow"
[[check.step]]
type = "dynamodb"
operation = "get"
table = "t"
key = { id = "${uid}" }
poll = { until = ["item exists"] }
[[check.step]]
type = "logs"
group = "g"
expect = ["count > 0"]
"""


@pytest.mark.parametrize(
    ("config", "lines"),
    [("[vars]\napi = 'https://x'\n", ["2", "[]"]), ("", ["ConfigurationError", "[]"])],
    ids=["right", "wrong"],
)
def test_loading_imports_nothing_heavy(tmp_path: Path, config: str, lines: list[str]) -> None:
    for name, text in (("config/prod.toml", config), ("checks/a.toml", CHECKS)):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    found = subprocess.run(
        [sys.executable, "-c", LOAD, str(tmp_path), *HEAVY], capture_output=True, text=True, check=True
    )
    assert found.stdout.splitlines() == lines
