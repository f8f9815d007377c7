"""Commands that need no network load nothing that does: tested on modules, not on wall time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    *("asyncio", "aiohttp", "botocore", "boto3", "aiobotocore", "textual", "rich", "jsonschema", "httpx", "moto"),
    *("platformdirs", "wcwidth", "sqlite3", "jinja2"),
)

PROBE = """
import json, sys
from prodwatch.cli.main import run
code = run(sys.argv[1:])
sys.stderr.write("\\n" + json.dumps([code, sorted(name for name in sys.modules if "." not in name)]))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    (tmp_path / "checks").mkdir()
    (tmp_path / "config" / "prod.toml").write_text('title = "Prod"\n[vars]\napi = "http://127.0.0.1:9"\n')
    (tmp_path / "checks" / "a.toml").write_text(
        '[[check]]\nname = "a"\ntype = "http"\nurl = "${vars.api}"\nexpect = ["status == 200", "latency < 1s"]\n'
    )
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [["--help"], ["--version"], ["check", "--help"], ["validate"], ["list"], ["schema"], ["schema", "result"]],
    ids=" ".join,
)
def test_a_light_command_loads_nothing_heavy(command: list[str], project: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *command], cwd=project, capture_output=True, text=True, check=True
    )
    code, loaded = json.loads(done.stderr.rpartition("\n")[2])
    assert code == 0
    assert not [name for name in HEAVY if name in loaded]


def test_a_run_without_aws_creates_no_session(project: Path) -> None:
    probe = PROBE.replace('if "." not in name', 'if name.startswith(("prodwatch.aws", "prodwatch.store", "sqlite3"))')
    data = project / "data"
    done = subprocess.run(
        [sys.executable, "-c", probe, "check", "--json"],
        cwd=project,
        env=os.environ | {"PRODWATCH_HISTORY": "on", "PRODWATCH_DATA_DIR": str(data)},
        capture_output=True,
        text=True,
        check=True,
    )
    code, loaded = json.loads(done.stderr.rpartition("\n")[2])
    assert code == 1  # nothing listens there
    assert "prodwatch.aws.lazy_aws_calls" in loaded
    assert not {"prodwatch.aws.aws_calls", "prodwatch.aws.clients", "prodwatch.aws.usage_meter"} & set(loaded)
    # The run is in the history without the database and the live state.
    assert len(list(data.rglob("*.json"))) == 1
    assert [name for name in loaded if not name.startswith("prodwatch.aws")] == [
        "prodwatch.store",
        "prodwatch.store.history",
        "prodwatch.store.history.pending",
    ]
    usage = json.loads(done.stdout)["usage"]
    assert usage == {"calls": {}, "throttles": 0, "cost_usd": 0, "unpriced": []}


def test_importing_the_package_loads_nothing_of_it() -> None:
    code = "import sys, prodwatch; print(sorted(name for name in sys.modules if name.startswith('prodwatch')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['prodwatch']"


def test_on_windows_one_sentence_names_wsl() -> None:
    code = "import sys; sys.platform = 'win32'; from prodwatch.cli import entry; entry()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "prodwatch: Windows is supported through WSL only; install and run prodwatch inside WSL\n"
