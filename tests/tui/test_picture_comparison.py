"""The comparison of pictures sees what changed and shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.app import App, ComposeResult
from textual.widgets import Static

from tests.support.pictures import difference, painted_lines, taken, write_report


class Words(App[str]):
    """Shows two lines."""

    def __init__(self, second: str, colour: str = "red") -> None:
        super().__init__()
        self._second = second
        self._colour = colour

    def compose(self) -> ComposeResult:
        yield Static("first < line")
        second = Static(self._second)
        second.styles.color = self._colour
        yield second


async def nothing(_pilot: Any) -> None:
    pass


def picture(*args: str) -> str:
    return taken(Words(*args), (30, 4), nothing)


def test_the_same_app_gives_the_same_picture() -> None:
    assert picture("second") == picture("second")
    assert [line.strip() for line in painted_lines(picture("second"))][:2] == ["first < line", "second"]


def test_another_word_is_a_difference_of_one_line() -> None:
    shown = difference(picture("second"), picture("changed"))
    assert [line.strip() for line in shown.splitlines()[-2:]] == ["-second", "+changed"]


def test_another_colour_is_a_difference_without_words() -> None:
    red, blue = picture("second", "red"), picture("second", "blue")
    assert red != blue
    assert difference(red, blue) == "the words are the same; colours, places or the scrollbar differ"


def test_a_missing_picture_says_how_to_keep_one() -> None:
    assert "--accept-pictures" in difference("", picture("second"))


def test_the_report_shows_each_differing_picture(tmp_path: Path) -> None:
    assert write_report(tmp_path) is None
    for name in ("test_a[80x24]", "test_b"):
        (tmp_path / f"{name}.now.svg").write_text("<svg/>", encoding="utf-8")
    report = write_report(tmp_path)
    assert report is not None
    page = report.read_text(encoding="utf-8")
    for name in ("test_a[80x24]", "test_b"):
        assert f'src="{name}.kept.svg"' in page
        assert f'src="{name}.now.svg"' in page
    assert "Differing pictures: 2" in page


@pytest.mark.parametrize("accept", [False, True], ids=["compare", "accept"])
def test_a_differing_picture_fails_until_it_is_accepted(
    accept: bool, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request.node, "path", tmp_path / "test_pictures.py")
    monkeypatch.setattr(type(request.config), "rootpath", tmp_path)
    monkeypatch.setattr(request.config.option, "accept_pictures", accept)
    compare = request.getfixturevalue("compare_picture")
    if accept:
        assert compare(Words("second"), (30, 4), nothing)
        monkeypatch.setattr(request.config.option, "accept_pictures", False)
        assert compare(Words("second"), (30, 4), nothing)
    with pytest.raises(pytest.fail.Exception, match="the picture differs"):
        compare(Words("changed"), (30, 4), nothing)
    assert len(list((tmp_path / ".pictures").glob("*.now.svg"))) == 1
