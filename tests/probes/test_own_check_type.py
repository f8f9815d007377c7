"""The guide to own check types is a working package: written to disk as printed, installed, and its own tests run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[2] / "docs/guide/own-check-type.md"

LOAD = """
import sys
from pathlib import Path
from prodwatch.errors import ConfigurationError
from prodwatch.probes import registry
from prodwatch.settings import load_project

assert registry.names()[-1] == "memcached"
root = Path(sys.argv[1])
(check,) = load_project(root=root, env="prod", environ={}).checks
print(check.type, check.steps[0].params, check.steps[0].expect)
(root / "checks/shop.toml").write_text((root / "checks/shop.toml").read_text().replace("host =", "hots ="))
try:
    load_project(root=root, env="prod", environ={})
except ConfigurationError as error:
    print(error)
"""


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Install the guide's package as pip would, without pip: files and metadata in a folder that is on the path."""
    site = tmp_path / "site"
    text = GUIDE.read_text(encoding="utf-8")
    for language, block in re.findall(r"^```(python|toml)\n# (.*?)^```", text, re.DOTALL | re.MULTILINE):
        name, _, body = block.partition("\n")
        assert language == {"py": "python", "toml": "toml"}[name.rpartition(".")[2]]
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(body, encoding="utf-8")
    (site / "prodwatch_memcached/__init__.py").touch()
    metadata = site / "prodwatch_memcached-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: prodwatch-memcached\nVersion: 1.0\n")
    entries = re.search(r'\[project\.entry-points\."(.*?)"\]\n(\w+) = "(\w+)"', text)
    assert entries is not None
    (metadata / "entry_points.txt").write_text(f"[{entries[1]}]\n{entries[2]} = {entries[3]}\n")
    return site


def run(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=environment, cwd=site)


def test_its_check_loads_and_its_mistakes_are_found(installed: Path, tmp_path: Path) -> None:
    check = re.search(r"```toml\n(\[\[check\]\].*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert check is not None
    for name, text in (("config/prod.toml", ""), ("checks/shop.toml", check[1])):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    done = run(installed, "-c", LOAD, str(tmp_path))
    assert done.returncode == 0, done.stderr
    loaded, *problems = done.stdout.splitlines()
    assert loaded == ("memcached {'host': 'cache.shop.internal'} ('stats.evictions == 0', 'latency < 50ms')")
    assert any('unknown key "hots" (did you mean "host"?)' in problem for problem in problems)


@pytest.mark.slow  # a test run of its own
def test_its_own_tests_pass(installed: Path) -> None:
    done = run(
        installed,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        os.devnull,
        "--rootdir",
        str(installed),
        "-o",
        "asyncio_mode=auto",
        "-o",
        "asyncio_default_fixture_loop_scope=function",
        "-W",
        "error",
        "tests",
    )
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_the_example_of_the_spec_is_that_of_the_guide(installed: Path) -> None:
    code = "from prodwatch.probes.registry import spec; print(spec('memcached').example, end='')"
    done = run(installed, "-c", code)
    assert f"```toml\n{done.stdout}```" in GUIDE.read_text(encoding="utf-8")
