"""Durations against the quantiles that the old version had before."""

from __future__ import annotations

import pytest

from prodwatch.judge.comparison.latency import LatencyProcess


@pytest.mark.parametrize(("durations", "judged"), [(499, False), (500, True)])
def test_a_batch_is_judged_from_500_durations_of_the_old_version_on(durations: int, judged: bool) -> None:
    process = LatencyProcess(1.1, 20.0)
    process.calibrate([100.0 + number % 50 for number in range(durations)])
    slow = [1000.0] * 100
    assert process.add(slow, [120.0] * 900) is judged
    assert (process.log_evidence() > 0.0) is judged


def test_a_batch_that_only_calibrates_counts_for_those_after_it() -> None:
    process = LatencyProcess(1.1, 20.0)
    assert not process.add([120.0] * 60, [120.0] * 500)
    assert process.add([120.0] * 60, [120.0] * 500)
