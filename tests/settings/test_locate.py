"""Where a project is found, and which environment is meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from prodwatch.errors import ConfigurationError
from prodwatch.settings import demo_root, environments, find_project, project_lookup


def tree(root: Path, *files: str) -> Path:
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (root / "deep" / "er").mkdir(parents=True, exist_ok=True)
    return root


def found(start: Path, *, root: Path | None = None, env: str | None = None, **environ: str) -> tuple[Path, str]:
    located = find_project(start, root=root, env=env, environ=environ)
    return located.root, located.env


def refusal(start: Path, *, root: Path | None = None, env: str | None = None, **environ: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        find_project(start, root=root, env=env, environ=environ)
    return str(caught.value)


def test_here(tmp_path: Path) -> None:
    tree(tmp_path, "config/prod.toml", "config/staging.toml")
    assert found(tmp_path, env="prod") == (tmp_path, "prod")


def test_in_the_nearest_parent_that_has_it(tmp_path: Path) -> None:
    tree(tmp_path, "config/prod.toml", "deep/config/staging.toml")
    assert found(tmp_path / "deep/er", env="staging") == (tmp_path / "deep", "staging")
    assert found(tmp_path / "deep/er", env="prod") == (tmp_path, "prod")


def test_root_overrides(tmp_path: Path) -> None:
    tree(tmp_path, "config/prod.toml", "deep/config/prod.toml")
    assert found(tmp_path / "deep", root=tmp_path, env="prod") == (tmp_path, "prod")
    assert refusal(tmp_path, root=tmp_path / "deep/er", env="prod") == (
        f'there is no environment "prod": no config/*.toml in {tmp_path / "deep/er"}; create config/prod.toml '
        "(prodwatch schema environment prints its keys), or try prodwatch --env demo"
    )


def test_the_environment_variable_stands_in(tmp_path: Path) -> None:
    tree(tmp_path, "config/prod.toml", "config/staging.toml")
    assert found(tmp_path, PRODWATCH_ENV="staging") == (tmp_path, "staging")
    assert found(tmp_path, env="prod", PRODWATCH_ENV="staging") == (tmp_path, "prod")


def test_the_only_one_is_meant(tmp_path: Path) -> None:
    tree(tmp_path, "config/only.toml", "config/notes.txt", "config/.hidden.toml")
    assert found(tmp_path / "deep/er") == (tmp_path, "only")
    assert found(tmp_path / "deep/er", PRODWATCH_ENV="") == (tmp_path, "only")


def test_one_of_several_must_be_named(tmp_path: Path) -> None:
    tree(tmp_path, "config/prod.toml", "config/staging.toml")
    assert refusal(tmp_path) == (
        f"{tmp_path / 'config'} has several environments, prod, staging: choose one with --env or PRODWATCH_ENV"
    )


def test_an_unknown_one_names_the_candidates(tmp_path: Path) -> None:
    tree(tmp_path, "config/prod.toml", "config/staging.toml")
    assert refusal(tmp_path, env="prdo") == (
        f'there is no environment "prdo" (did you mean "prod"?); {tmp_path / "config"} has prod, staging'
    )


def test_no_project(tmp_path: Path) -> None:
    assert refusal(tmp_path) == (
        f"no config/*.toml in {tmp_path} or above it: "
        "create one (prodwatch schema environment prints its keys), or try prodwatch --env demo"
    )
    assert refusal(tmp_path, root=tmp_path) == (
        f"no config/*.toml in {tmp_path}: "
        "create one (prodwatch schema environment prints its keys), or try prodwatch --env demo"
    )


@pytest.mark.parametrize("name", ["../prod", "a/b", "/etc/passwd", "prod.toml", "."])
def test_a_name_is_a_name_and_no_path(tmp_path: Path, name: str) -> None:
    tree(tmp_path, "config/prod.toml", "prod.toml")
    assert "there is no environment" in refusal(tmp_path, env=name)


class TestDemo:
    """The shop that ships with prodwatch."""

    def test_it_is_found_everywhere(self, tmp_path: Path) -> None:
        assert found(tmp_path, env="demo") == (demo_root(), "demo")
        tree(tmp_path, "config/prod.toml")
        assert found(tmp_path, env="demo") == (demo_root(), "demo")

    def test_a_project_may_have_its_own(self, tmp_path: Path) -> None:
        tree(tmp_path, "config/demo.toml")
        assert found(tmp_path, env="demo") == (tmp_path, "demo")

    def test_but_not_under_a_root_that_was_named(self, tmp_path: Path) -> None:
        assert 'there is no environment "demo"' in refusal(tmp_path, root=tmp_path, env="demo")

    def test_in_a_wheel_it_lies_in_the_package(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        package = tmp_path / "site-packages" / "prodwatch"
        tree(package, "settings/locate.py", "demo/project/config/demo.toml")
        monkeypatch.setattr(project_lookup, "__file__", str(package / "settings" / "locate.py"))
        assert demo_root() == package / "demo" / "project"

    def test_in_a_checkout_it_is_the_repository(self) -> None:
        assert (demo_root() / "pyproject.toml").is_file()


def test_environments_of_a_folder_without_any(tmp_path: Path) -> None:
    assert environments(tmp_path) == []
