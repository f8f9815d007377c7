"""Lines with given ids are found behind empty pages, once each, and what was not read is named."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from prodwatch.aws.interface import AwsError
from prodwatch.model.environment import LogTarget
from prodwatch.model.status import Reason
from prodwatch.sources.log_search import MAX_CALLS, MAX_LINES, find_lines
from prodwatch.testing.aws import ScriptedAws
from prodwatch.testing.clock import START
from prodwatch.text.redact import Redactor


class PagedAws(ScriptedAws):
    """Yields every page up to the one without a token."""

    async def pages(
        self, service: str, operation: str, params: Mapping[str, Any] | None = None, **_: Any
    ) -> AsyncIterator[dict[str, Any]]:
        asked = dict(params or {})
        while True:
            page = await self.call(service, operation, asked)
            yield page
            if "nextToken" not in page:
                return
            asked["nextToken"] = page["nextToken"]


@pytest.fixture
def aws() -> PagedAws:
    return PagedAws()


def event(text: str, number: int = 1, **more: Any) -> dict[str, Any]:
    return {"timestamp": number, "message": text, "logStreamName": "s", **more}


def serve(aws: ScriptedAws, *pages: list[dict[str, Any]], endless: bool = False) -> None:
    """Serve these pages, each named by its token; the last one for ever if `endless`."""

    def answer(params: Mapping[str, Any]) -> dict[str, Any]:
        number = int(params.get("nextToken", 0))
        page = {"events": pages[min(number, len(pages) - 1)]}
        more = endless or number + 1 < len(pages)
        return page | ({"nextToken": f"{number + 1}"} if more else {})

    aws.answers["logs:FilterLogEvents"] = answer


async def search(aws: ScriptedAws, *targets: LogTarget) -> tuple[list[str], list[str]]:
    lines, problems = await find_lines(
        aws, targets or (LogTarget(group="g"),), ["id"], since=START, redactor=Redactor()
    )
    return [line.message for line in lines], problems


async def test_K31_empty_pages_do_not_end_the_search(aws: ScriptedAws) -> None:
    serve(aws, *([] for _ in range(50)), [event("the line", eventId="e")], [])
    assert await search(aws) == (["the line"], [])


async def test_K31_lines_without_an_id_are_all_found(aws: ScriptedAws) -> None:
    serve(aws, [event("equal"), event("equal")], [event("equal"), event("other")])
    assert await search(aws) == (["equal", "equal", "equal", "other"], [])


async def test_K31_overlapping_targets_and_equal_groups_of_two_regions(aws: ScriptedAws) -> None:
    serve(aws, [event("equal")])
    elsewhere = LogTarget(group="g", region="us-east-1")
    found, problems = await search(aws, LogTarget(group="g"), LogTarget(group="g"), elsewhere)
    assert (found, problems) == (["equal", "equal"], [])


async def test_K31_the_bounds_are_reported_as_they_are(aws: ScriptedAws) -> None:
    serve(aws, [event("x", number, eventId=f"{number}") for number in range(MAX_LINES)], [event("y")])
    found, problems = await search(aws)
    assert len(found) == MAX_LINES
    assert problems == [f"g: more than {MAX_LINES:,} lines have these ids; the rest was not read"]
    serve(aws, [], endless=True)
    assert await search(aws) == (
        [],
        [f"g: {MAX_CALLS} calls found 0 lines with these ids and did not reach the end; the rest was not read"],
    )


@pytest.mark.parametrize(("code", "problems"), [("ResourceNotFoundException", 0), ("InvalidOperationException", 1)])
async def test_a_group_that_cannot_be_searched_is_a_problem_unless_it_does_not_exist(
    code: str, problems: int, aws: ScriptedAws
) -> None:
    error = AwsError("refused", code=code, reason=Reason.API_ERROR, service="logs", operation="FilterLogEvents")
    aws.answers["logs:FilterLogEvents"] = lambda _: (_ for _ in ()).throw(error)
    assert len((await search(aws))[1]) == problems
