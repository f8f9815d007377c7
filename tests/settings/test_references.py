"""References between checks: how they are found, and what cannot be meant."""

from __future__ import annotations

import os
from typing import Any

import pytest


def check(name: str, more: str = "") -> str:
    return f'[[check]]\nname = "{name}"\ntype = "pass"\n{more}\n'


@pytest.mark.parametrize(
    ("files", "needs"),
    [
        pytest.param({"a.toml": check("x"), "b.toml": check("y", 'needs = ["a/x"]')}, ("a/x",), id="by id"),
        pytest.param(
            {"a.toml": check("x"), "b.toml": check("x") + check("y", 'needs = ["x"]')},
            ("b/x",),
            id="by name, same file first",
        ),
        pytest.param({"a.toml": check("x"), "b.toml": check("y", 'needs = "x"')}, ("a/x",), id="by a unique name"),
        pytest.param(
            {"a.toml": check("b/x", 'id = "q"') + check("x"), "b.toml": check("x") + check("y", 'needs = ["b/x"]')},
            ("b/x",),
            id="an id before a name",
        ),
        pytest.param(
            {"a.toml": check("x", "matrix = { n = [1, 2] }"), "b.toml": check("y", 'needs = ["x"]')},
            ("a/x.1", "a/x.2"),
            id="all cases of a matrix",
        ),
        pytest.param(
            {"a.toml": check("x", "matrix = { n = [1, 2] }"), "b.toml": check("y", 'needs = ["x [2]"]')},
            ("a/x.2",),
            id="one case by its name",
        ),
        pytest.param(
            {"a.toml": check("x"), "b.toml": check("y", 'needs = ["x", "a/x"]')}, ("a/x",), id="twice the same is once"
        ),
    ],
)
def test_found(shop: Any, files: dict[str, str], needs: tuple[str, ...]) -> None:
    checks = {each.name: each for each in shop.load(files).checks}
    assert checks["y"].needs == needs


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param(
            {"a.toml": check("x"), "b.toml": check("x"), "c.toml": check("y", 'needs = ["x"]')},
            'checks/c.toml:4:10: check "y": needs: several checks are named "x"; use an id: a/x, b/x',
            id="a name of several",
        ),
        pytest.param(
            {"a.toml": check("orders"), "c.toml": check("y", 'diagnose = ["ordres"]')},
            'checks/c.toml:4:13: check "y": diagnose: there is no check "ordres" (did you mean "orders"?)',
            id="a name of none",
        ),
        pytest.param(
            {"c.toml": check("y", 'needs = ["y"]')},
            'checks/c.toml:4:10: check "y": needs: "y" is this check itself',
            id="itself",
        ),
        pytest.param(
            {"c.toml": check("x", 'needs = ["z"]') + check("y", 'needs = ["x"]') + check("z", 'needs = ["y"]')},
            'checks/c.toml:4:1: check "x": circular dependency: c/x → c/z → c/y → c/x',
            id="a circle",
        ),
        pytest.param(
            {"c.toml": check("x", 'needs = ["z"]') + '[[check]]\nname = "z"\ntype = "all"\nof = ["x"]\n'},
            'checks/c.toml:4:1: check "x": circular dependency: c/x → c/z → c/x',
            id="a circle through a composite",
        ),
        pytest.param(
            {"c.toml": check("A b") + check("a-B")},
            'checks/c.toml:6:1: check "a-B": id "c/a-b" is already used by checks/c.toml:1:1, check "A b"; '
            "choose another name or id",
            id="colliding slugs",
        ),
        pytest.param(
            {"c.toml": check("x") + check("y", 'id = "c/x"')},
            'checks/c.toml:8:1: check "y": id "c/x" is already used by checks/c.toml:1:1, check "x"; '
            "choose another name or id",
            id="an id taken by a slug",
        ),
        pytest.param(
            {"a.toml": check("x"), "A.toml": check("x")},
            'checks/a.toml:2:1: check "x": id "a/x" is already used by checks/A.toml:1:1, check "x"; '
            "choose another name or id",
            id="colliding files",
        ),
    ],
)
def test_not_found(shop: Any, files: dict[str, str], message: str) -> None:
    assert shop.mistake(files) == message


def test_diagnoses_may_go_in_circles(shop: Any) -> None:
    shop.load(check("x", 'diagnose = ["y"]') + check("y", 'diagnose = ["x"]'))


def test_a_broken_check_can_still_be_meant(shop: Any) -> None:
    text = check("y", 'needs = ["x"]') + '[[check]]\nname = "x"\ntype = "htpp"\n'
    assert shop.mistake(text) == 'checks/shop.toml:7:1: check "x": unknown type "htpp" (did you mean "http"?)'


def test_a_type_nobody_knows_hides_no_mistake_in_an_assertion(shop: Any) -> None:
    broken = 'type = "htpp"\nexpect = ["status = 200"]\nwarn = ["latency < 1sec"]\n'
    step = '[[check]]\nname = "f"\ntype = "flow"\n[[check.step]]\nname = "s"\n'
    said = shop.mistakes('[[check]]\nname = "x"\n' + broken + step + broken)
    assert [line.split(":")[1] for line in said] == ["3", "4", "5", "11", "12", "13"]


def test_a_broken_file_may_hold_what_is_meant(shop: Any) -> None:
    files = {"a.toml": "[[check]\n", "b.toml": check("y", 'needs = ["x"]')}
    assert shop.mistake(files).startswith("checks/a.toml:1:")


def test_a_long_chain_is_no_problem(shop: Any) -> None:
    text = check("0") + "".join(check(str(number), f'needs = ["{number - 1}"]') for number in range(1, 1500))
    assert len(shop.load(text).checks) == 1500


def test_checks_of_other_environments_are_left_out(shop: Any) -> None:
    shop.write("config/staging.toml", "")
    text = check("x", 'environments = ["staging"]') + check("y", 'needs = ["x"]\ndiagnose = ["x", "z"]') + check("z")
    project = shop.load(text)
    assert [(each.id, each.needs, each.diagnose) for each in project.checks] == [
        ("shop/y", (), ("shop/z",)),
        ("shop/z", (), ()),
    ]
    assert project.notices == (
        'check "shop/y": needs ignores shop/x, which is not in environment "prod"',
        'check "shop/y": diagnose ignores shop/x, which is not in environment "prod"',
    )


def test_python_checks_can_be_meant(shop: Any) -> None:
    project = shop.load(check("y", 'needs = ["cache answers"]'), other_checks={"cache/answers": "cache answers"})
    assert project.checks[0].needs == ("cache/answers",)


FILES = {
    "a.toml": check("x") + check("unrelated"),
    "deep/b.toml": check("y", 'needs = ["x"]') + check("z", 'diagnose = ["c/far"]'),
    "c.toml": check("far", 'needs = ["w"]'),
    "d.toml": check("w") + "[[check]]\nname = 5\n",
    ".hidden/e.toml": "broken",
}


class TestNarrowing:
    """`--checks PATH`."""

    def test_a_file(self, shop: Any) -> None:
        project = shop.load(FILES | {"d.toml": check("w")}, checks=[shop.root / "checks/deep/b.toml"])
        assert [each.id for each in project.checks] == ["deep/b/y", "deep/b/z"]
        assert [each.id for each in project.referenced] == ["a/x", "c/far", "d/w"]

    def test_a_folder(self, shop: Any) -> None:
        project = shop.load(FILES | {"d.toml": check("w")}, checks=[shop.root / "checks/deep"])
        assert [each.id for each in project.checks] == ["deep/b/y", "deep/b/z"]

    def test_a_file_that_refers_to_nothing_reads_no_other(self, shop: Any) -> None:
        project = shop.load(FILES | {"e.toml": "broken"}, checks=[shop.root / "checks/a.toml"])
        assert [each.id for each in project.checks] == ["a/x", "a/unrelated"]
        assert project.referenced == ()

    def test_mistakes_of_a_file_matter_when_it_is_referred_to(self, shop: Any) -> None:
        lines = shop.mistakes(FILES, checks=[shop.root / "checks/deep"])
        assert {line.split(":")[0] for line in lines} == {"checks/d.toml"}

    def test_mistakes_of_other_files_do_not(self, shop: Any) -> None:
        files = {**FILES, "d.toml": check("w"), "e.toml": "[[check]]\nname = 5\n"}
        assert len(shop.load(files, checks=[shop.root / "checks/deep"]).checks) == 2

    def test_files_outside_the_project(self, shop: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
        elsewhere = tmp_path_factory.mktemp("elsewhere")
        (elsewhere / "sub").mkdir()
        (elsewhere / "sub" / "f.toml").write_text(check("x"))
        project = shop.load("", checks=[elsewhere])
        assert [each.id for each in project.checks] == ["sub/f/x"]
        assert project.checks[0].source.file == str(elsewhere / "sub" / "f.toml")

    def test_what_is_not_there(self, shop: Any) -> None:
        assert shop.mistake("", checks=[shop.root / "nix"]) == f"--checks {shop.root / 'nix'}: no such file or folder"

    def test_a_folder_that_cannot_be_read_is_no_empty_one(self, shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        (shop.root / "checks").mkdir(exist_ok=True)
        real = os.scandir

        def scandir(path: Any) -> Any:
            if str(path).endswith("checks"):
                raise PermissionError(13, "Permission denied", str(path))
            return real(path)

        monkeypatch.setattr(os, "scandir", scandir)
        assert shop.mistake({}) == f"{shop.root / 'checks'} cannot be read: Permission denied"

    def test_links_are_followed_and_circles_left(self, shop: Any) -> None:
        shop.write("elsewhere/f.toml", check("x"))
        shop.write("checks/a.toml", check("x"))
        (shop.root / "checks/linked").symlink_to(shop.root / "elsewhere")
        (shop.root / "checks/up").symlink_to(shop.root / "checks")
        (shop.root / "checks/dangling.toml").symlink_to(shop.root / "nix.toml")
        assert shop.mistake({}) == "checks/dangling.toml:1:1: cannot be read: No such file or directory"
        (shop.root / "checks/dangling.toml").unlink()
        assert [each.id for each in shop.load({}).checks] == ["a/x", "linked/f/x"]

    def test_what_is_no_check_file(self, shop: Any) -> None:
        readme = shop.write("README.md", "")
        assert (
            shop.mistake("", checks=[readme]) == f"--checks {readme}: not a check file; check files end in .toml or .py"
        )

    def test_python_is_refused_rather_than_left_out(self, shop: Any) -> None:
        shop.write("checks/deep/own.py", "def f(")
        shop.write("checks/.hidden.py", "")
        found = shop.mistake(check("x"))
        assert found.startswith("checks/deep/own.py: this version does not run checks written in Python")


def test_files_are_read_in_a_stable_order_and_hidden_ones_not(shop: Any) -> None:
    files = {
        "b.toml": check("x"),
        "a/z.toml": check("x"),
        "a/.b.toml": "broken",
        ".c/d.toml": "broken",
        "A.toml": check("y"),
    }
    assert [each.id for each in shop.load(files).checks] == ["a/y", "a/z/x", "b/x"]


def test_no_checks_at_all(shop: Any) -> None:
    assert shop.load({}).checks == ()
