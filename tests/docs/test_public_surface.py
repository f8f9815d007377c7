"""The page of the public surface and the code name the same modules and names."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import prodwatch.testing
from prodwatch.probes.registry import GROUP

PAGE = Path(__file__).parents[2] / "docs/reference/public-surface.md"
ROW = re.compile(r"^\| `(prodwatch[\w.]*)` \| (.+?) \|", re.MULTILINE)
SECTIONS = dict(re.findall(r"^## (.+)\n((?:(?!## ).*\n)*)", PAGE.read_text(encoding="utf-8"), re.MULTILINE))


def rows(section: str) -> dict[str, list[str]]:
    return {module: re.findall(r"`([\w.]+)`", names) for module, names in ROW.findall(SECTIONS[section])}


WHOLE, PARTS, FORMER = rows("Whole modules"), rows("Names of further modules"), rows("Former names")


def defined_in(module: str) -> set[str]:
    """Return the public names that a module's own source defines, and those it exports by `__all__`."""
    loaded = importlib.import_module(module)
    assert loaded.__file__ is not None
    names: set[str] = set(getattr(loaded, "__all__", ()))
    for node in ast.parse(Path(loaded.__file__).read_text(encoding="utf-8")).body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
            case ast.Assign(targets=targets):
                names.update(target.id for target in targets if isinstance(target, ast.Name))
    return {name for name in names if not name.startswith("_")} | (names & {"__version__"})


@pytest.mark.parametrize("module", WHOLE)
def test_a_whole_module_is_listed_name_by_name(module: str) -> None:
    assert defined_in(module) == set(WHOLE[module])


@pytest.mark.parametrize(("module", "name"), [(module, name) for module in PARTS for name in PARTS[module]])
def test_a_name_of_a_further_module_is_there(module: str, name: str) -> None:
    assert name in defined_in(module)


def test_every_module_for_users_tests_is_listed() -> None:
    folder = Path(prodwatch.testing.__path__[0])
    modules = {f"prodwatch.testing.{path.stem}" for path in folder.glob("*.py") if path.stem != "__init__"}
    assert modules == {name for name in (*WHOLE, *FORMER) if name.startswith("prodwatch.testing.")}
    assert not defined_in("prodwatch.testing")


@pytest.mark.parametrize("former", FORMER)
def test_a_former_name_works_and_warns(former: str) -> None:
    (now,) = FORMER[former]
    code = (
        "import importlib, warnings\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always')\n"
        f"    old = importlib.import_module({former!r})\n"
        f"new = importlib.import_module({now!r})\n"
        "assert all(getattr(old, name) is getattr(new, name) for name in old.__all__)\n"
        "print(old.__all__, [(each.category.__name__, str(each.message)) for each in caught])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (f"{sorted(WHOLE[now])} [('DeprecationWarning', '{former} is now {now}')]")


def test_the_names_outside_python_are_there() -> None:
    assert f"`{GROUP}`" in SECTIONS["Commands and documents"]
    (command,) = entry_points(group="console_scripts", name="prodwatch")
    assert command.value == "prodwatch.cli:entry"


@pytest.mark.parametrize("guide", ["own-check-type.md", "testing-checks.md"])
def test_the_guides_use_public_names_only(guide: str) -> None:
    text = (PAGE.parents[1] / "guide" / guide).read_text(encoding="utf-8")
    public = {**WHOLE, **PARTS}
    imports = re.findall(r"^from (prodwatch[\w.]*) import (.+)$", text, re.MULTILINE)
    assert imports
    for module, names in imports:
        assert set(re.split(r",\s*", names)) <= set(public.get(module, [])), module


def test_the_old_name_of_a_talk_still_works_and_warns() -> None:
    from prodwatch.testing import targets

    with pytest.warns(DeprecationWarning, match="`responding`"):
        assert targets.saying is targets.responding
