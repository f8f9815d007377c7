from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from prodwatch.text.cell_width import clip
from prodwatch.text.cell_width import width as text_width
from prodwatch.tui.rendering.waterfall_bars import bar_text
from prodwatch.tui.styled_line import Column, clip_line, fit, pad, row, safe, spread, text_of, width_of, wrap_line
from prodwatch.views.status_style import Tone
from prodwatch.views.waterfall import EIGHTHS

TEXT = st.text(max_size=60)
WIDTH = st.integers(0, 80)
LINE = st.lists(st.tuples(TEXT.map(safe), st.sampled_from(list(Tone))), max_size=5)


@given(TEXT, WIDTH)
def test_clip_and_pad_never_exceed_their_width(text: str, width: int) -> None:
    assert text_width(clip(safe(text), width)) <= width
    assert text_width(pad(text, width)) == width
    assert text_width(pad(text, width, right=True)) == width


@given(LINE, WIDTH)
def test_a_clipped_line_fits(line: list[tuple[str, Tone]], width: int) -> None:
    assert width_of(clip_line(line, width)) <= width


@given(LINE, LINE, st.integers(1, 80))
def test_spread_fills_the_width_and_keeps_the_right_end(
    left: list[tuple[str, Tone]], right: list[tuple[str, Tone]], width: int
) -> None:
    line = spread(left, right, width)
    assert width_of(line) <= width
    if width_of(right) < width:
        assert width_of(line) == width
        assert text_of(line).endswith(text_of(right))


@given(LINE, st.integers(2, 40))
def test_wrapping_loses_nothing_but_spaces(line: list[tuple[str, Tone]], width: int) -> None:
    wrapped = wrap_line(line, width)
    assert all(width_of(part) <= width for part in wrapped)
    assert "".join(map(text_of, wrapped)).replace(" ", "") == text_of(line).replace(" ", "")


COLUMNS = st.lists(
    st.builds(
        Column,
        st.text("abc", min_size=1, max_size=3),
        st.just("t"),
        st.integers(1, 20),
        st.integers(0, 3),
        st.booleans(),
        st.integers(0, 9),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda column: column.name,
)


@given(COLUMNS, st.integers(1, 120))
def test_columns_fill_the_width_and_only_optional_ones_give_way(columns: list[Column], width: int) -> None:
    fitted = fit(columns, width)
    kept = [each.column for each in fitted]
    assert [column for column in columns if column in kept] == kept
    assert all(column in kept for column in columns if not column.drop)
    needed = sum(column.width for column in kept) + len(kept) - 1
    if fitted and needed <= width:
        assert all(each.width >= each.column.width for each in fitted)
        if any(column.grow for column in kept):
            assert sum(each.width for each in fitted) + len(fitted) - 1 == width
    drawn = row(fitted, {column.name: ("x" * 50, Tone.PLAIN) for column in columns})
    assert width_of(drawn) == sum(each.width for each in fitted) + max(0, len(fitted) - 1)


@given(st.integers(1, 60), st.data())
def test_bars_are_exactly_as_wide_as_their_picture(width: int, data: st.DataObject) -> None:
    x0 = data.draw(st.integers(0, width * EIGHTHS - 1))
    x1 = data.draw(st.integers(x0 + 1, width * EIGHTHS))
    for ascii_only in (False, True):
        text = bar_text(x0, x1, width, ascii_only=ascii_only)
        assert len(text) == width
        assert text.strip()
        assert not text[: x0 // EIGHTHS].strip()
        assert not text[-(-x1 // EIGHTHS) :].strip()
