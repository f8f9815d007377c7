"""What a result document counts."""

from __future__ import annotations

from prodwatch.model.result import CheckResult
from prodwatch.model.status import Status
from prodwatch.runner.run_result_document import summarize
from prodwatch.testing.definitions import HERE


def result(status: str, *flags: str) -> CheckResult:
    return CheckResult(
        id="c", name="c", title="c", kind="smoke", type="http", status=Status(status), flags=flags, source=HERE
    )


def test_the_summary_counts_what_was_selected() -> None:
    found = summarize([result("pass", "flaky"), result("fail"), result("pass", "supporting"), result("skipped")])
    assert (found.passed, found.fail, found.skipped, found.flaky, found.total) == (1, 1, 1, 1, 3)
