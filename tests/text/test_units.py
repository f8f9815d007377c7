"""Durations and sizes are parsed as users write them and formatted in a steady width."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prodwatch.model.quantity import Duration
from prodwatch.text.units import format_age, format_bytes, format_ms, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("300ms", 300_000_000),
        ("5s", 5_000_000_000),
        ("0.5s", 500_000_000),
        ("1h30m", 5_400_000_000_000),
        ("-5m", -300_000_000_000),
        ("3d", 259_200_000_000_000),
        ("1us", 1_000),
    ],
)
def test_durations_are_read_exactly(text: str, ns: int) -> None:
    assert parse_duration(text) == Duration(ns)


@pytest.mark.parametrize("text", ["", "5", "5 s", "s", "5x", "1,5s", "5s ", "--5s", "٥s5"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write one like 300ms"):
        parse_duration(text)


@given(st.integers(min_value=-(10**18), max_value=10**18))
def test_a_printed_duration_reads_back_as_itself(ns: int) -> None:
    assert parse_duration(str(Duration(ns))) == Duration(ns)


@pytest.mark.parametrize(("text", "count"), [("512B", 512), ("10kB", 10_000), ("5MiB", 5 * 2**20), ("1.5GB", 1.5e9)])
def test_sizes_are_read_as_bytes(text: str, count: int) -> None:
    assert parse_size(text) == count


@pytest.mark.parametrize("text", ["10", "10KB", "kB", "10 kB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0.44, "0.4 ms"),
        (9.96, "10 ms"),
        (212, "212 ms"),
        (999.6, "1.00 s"),
        (1840, "1.84 s"),
        (12_340, "12.3 s"),
        (192_000, "3 m 12 s"),
        (7_500_000, "2 h 05 m"),
        (6_134_400_000, "71 d"),
    ],
)
def test_durations_are_shown_with_three_digits(ms: float, text: str) -> None:
    assert format_ms(ms) == text


def test_ages_and_sizes_are_shown_in_their_largest_unit() -> None:
    assert [format_age(each) for each in (-1, 2, 61, 7300, 200_000)] == ["0s", "2s", "1m", "2h", "2d"]
    assert [format_age(each) for each in (59.9, 60, 3599, 3600, 86399, 86400)] == [
        "59s",
        "1m",
        "59m",
        "1h",
        "23h",
        "1d",
    ]
    assert [format_bytes(each) for each in (512, 1400, 3.2e6, 5e9)] == ["512 B", "1.4 kB", "3.2 MB", "5.0 GB"]
