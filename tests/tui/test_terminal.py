"""What is written to a terminal that goes away."""

from __future__ import annotations

from typing import Any, cast

import pytest

from prodwatch.tui.textual_private import DetachableFile


class Line:
    """A terminal that breaks after some writes."""

    def __init__(self, good: int, error: Exception) -> None:
        self.written: list[str] = []
        self._good = good
        self._error = error

    def write(self, text: str) -> int:
        if len(self.written) == self._good:
            raise self._error
        self.written.append(text)
        return len(text)

    def flush(self) -> None:
        if len(self.written) == self._good:
            raise self._error

    def fileno(self) -> int:
        return 7


@pytest.mark.parametrize(
    "error", [OSError(5, "Input/output error"), BrokenPipeError(), ValueError("I/O operation on closed file")], ids=repr
)
def test_what_is_written_to_a_lost_terminal_goes_nowhere_and_that_is_said_once(error: Exception) -> None:
    lost: list[str] = []
    line = Line(2, error)
    file = DetachableFile(cast("Any", line), lambda: lost.append("lost"))
    for text in ("a", "b", "c", "d"):
        assert file.write(text) == 1
        file.flush()
    assert (line.written, lost, file.fileno()) == (["a", "b"], ["lost"], 7)
