"""One project is the same after a move and in every checkout; two projects are never one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from prodwatch.settings import demo_root
from prodwatch.settings.project_identity import ID_FILE, ProjectIdentity, project_identity

REMOTE = (
    '[core]\n\tbare = false\n[remote "upstream"]\n\turl = https://example.com/up.git\n[remote "origin"]\n\turl = {}\n'
)


def project(folder: Path, remote: str | None = None) -> Path:
    folder.mkdir(parents=True)
    if remote is not None:
        (folder / ".git").mkdir()
        (folder / ".git" / "config").write_text(REMOTE.format(remote))
    return folder


def identity(root: Path, name: str | None = None) -> ProjectIdentity:
    return project_identity(root, name, create=True)


def test_a_moved_project_without_git_is_the_same(tmp_path: Path) -> None:
    before = identity(project(tmp_path / "old" / "shop"))
    (tmp_path / "old" / "shop").rename(tmp_path / "new")
    assert identity(tmp_path / "new").key == before.key


def test_two_projects_in_folders_of_one_name_are_two(tmp_path: Path) -> None:
    one, two = project(tmp_path / "a" / "shop"), project(tmp_path / "b" / "shop")
    assert identity(one).key != identity(two).key
    assert identity(one) == identity(one)
    assert identity(one).name == "shop"


def test_a_new_id_ignores_itself_in_git(tmp_path: Path) -> None:
    identity(tmp_path)
    assert (tmp_path / ".prodwatch" / ".gitignore").read_text().splitlines()[-1] == "*"
    assert len((tmp_path / ID_FILE).read_text().strip()) == 32
    assert len(list((tmp_path / ".prodwatch").iterdir())) == 2


def test_reading_creates_nothing(tmp_path: Path) -> None:
    project_identity(tmp_path, None, create=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "remote",
    [
        "git@github.com:acme/shop.git",
        "https://github.com/acme/shop",
        "https://user:token@GitHub.com/acme/shop.git/",
        "ssh://git@github.com:22/acme/shop.git",
    ],
)
def test_every_checkout_of_a_remote_is_one_project(remote: str, tmp_path: Path) -> None:
    found = identity(project(tmp_path / "clone", remote))
    assert found.name == "github.com/acme/shop"
    assert found == identity(project(tmp_path / "other", "https://github.com/acme/shop.git"))
    assert not (tmp_path / "clone" / ".prodwatch").exists()
    assert "token" not in repr(found)


def test_a_worktree_and_a_submodule_have_the_remote_of_their_repository(tmp_path: Path) -> None:
    main = project(tmp_path / "main", "git@github.com:acme/shop.git")
    state = main / ".git" / "worktrees" / "w"
    state.mkdir(parents=True)
    (state / "commondir").write_text("../..\n")
    worktree = project(tmp_path / "w")
    (worktree / ".git").write_text(f"gitdir: {state}\n")
    assert identity(worktree) == identity(main)
    module = main / ".git" / "modules" / "m"
    module.mkdir(parents=True)
    (module / "config").write_text(REMOTE.format("git@github.com:acme/m.git"))
    (project(main / "m") / ".git").write_text("gitdir: ../.git/modules/m\n")
    assert identity(main / "m").name == "github.com/acme/m"


def test_two_projects_in_one_repository_are_two(tmp_path: Path) -> None:
    root = project(tmp_path / "mono", "git@github.com:acme/mono.git")
    one, two = project(root / "services" / "a"), project(root / "services" / "b")
    assert identity(one).name == "github.com/acme/mono/services/a"
    assert len({identity(each).key for each in (root, one, two)}) == 3


@pytest.mark.parametrize("config", ["", '[remote "origin"]\n', '[remote "upstream"]\nurl = x\n', "\xff\x00"])
def test_a_repository_without_a_remote_gets_an_id(config: str, tmp_path: Path) -> None:
    root = project(tmp_path / "shop", "x")
    (root / ".git" / "config").write_bytes(config.encode("latin-1"))
    assert identity(root) == identity(root)
    assert (root / ID_FILE).exists()


def test_an_id_stays_when_a_remote_is_added(tmp_path: Path) -> None:
    root = project(tmp_path / "shop")
    before = identity(root)
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text(REMOTE.format("git@github.com:acme/shop.git"))
    assert identity(root) == before


def test_a_name_wins_over_everything(tmp_path: Path) -> None:
    root = project(tmp_path / "clone", "git@github.com:acme/shop.git")
    assert identity(root, "Shop") == identity(project(tmp_path / "elsewhere"), "Shop")
    assert identity(root, "Shop").name == "Shop"
    assert identity(root, "Shop") != identity(root, "shop")
    assert identity(root, "") == identity(root)


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "ü" * 300, "\ud800", ".", "x" * 1000])
def test_a_key_is_the_name_of_a_file(name: str, tmp_path: Path) -> None:
    key = identity(tmp_path, name).key
    (tmp_path / f"{key}.db").touch()
    assert {each.name for each in tmp_path.iterdir()} == {f"{key}.db"}
    identity(tmp_path, name).name.encode()


def test_a_project_that_cannot_be_written_is_its_path(tmp_path: Path) -> None:
    root = project(tmp_path / "shop")
    (root / ".prodwatch").write_text("not a folder")
    found = identity(root)
    assert found == identity(root)
    root.rename(tmp_path / "moved")
    assert identity(tmp_path / "moved").key != found.key


def test_a_damaged_id_is_not_used(tmp_path: Path) -> None:
    root = project(tmp_path / "shop", "git@github.com:acme/shop.git")
    (root / ".prodwatch").mkdir()
    (root / ID_FILE).write_text("../../etc/passwd")
    assert identity(root).name == "github.com/acme/shop"


def test_a_copy_keeps_the_id(tmp_path: Path) -> None:
    root = project(tmp_path / "shop")
    before = identity(root)
    shutil.copytree(root, tmp_path / "copy")
    assert identity(tmp_path / "copy").key == before.key


def test_the_shipped_demo_is_one_project_and_nothing_is_written_to_it() -> None:
    assert identity(demo_root()) == ProjectIdentity(key="demo", name="demo")
    assert not (demo_root() / ".prodwatch").exists()
