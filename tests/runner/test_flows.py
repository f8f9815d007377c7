"""Steps in order: captures, repeats, elements, time."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest
from msgspec.structs import replace

from prodwatch.model.check import Capture, Poll, Repeat, Retry
from prodwatch.model.status import Reason, Status
from prodwatch.probes.base import Failure, Observation
from prodwatch.testing.check_runner import Bench
from prodwatch.testing.definitions import flow, plain, step
from prodwatch.testing.probes import refused


async def test_captures_and_documents_feed_later_steps(bench: Bench) -> None:
    probe = bench.script("scripted", {"id": 7, "deep": {"list": ["a", "b"]}}, {"ok": True})
    check = await bench.one(
        flow(
            "f",
            step("post", expect=["id exists"], capture={"order": Capture(path="id")}),
            step("read", id="${captured.order}", second="${steps.post.deep.list.1}", expect=["ok == true"]),
        )
    )
    assert check.status == "pass"
    assert probe.requests[1].params == {"id": 7, "second": "b"}
    assert check.captured == {"order": 7}
    assert [each.name for each in check.steps] == ["post", "read"]


async def test_the_first_step_that_is_not_green_ends_the_flow(bench: Bench) -> None:
    probe = bench.script("scripted", {"ok": True}, {"ok": False})
    steps = (step(name, expect=["ok == true"]) for name in ("a", "b", "c"))
    check = await bench.one(flow("f", *steps))
    assert [each.status for each in check.steps] == ["pass", "fail", "skipped"]
    assert (check.status, check.reason_code) == ("fail", "assertion")
    assert (check.message or "").startswith("step b: ")
    assert len(probe.requests) == 2


async def test_a_capture_that_is_not_there_fails_the_step(bench: Bench) -> None:
    bench.script("scripted", {"ok": True})
    check = await bench.one(flow("f", step("a", capture={"id": Capture(path="json.id")})))
    assert check.status == "fail"
    assert check.message == "step a: nothing to capture as id: `json` is missing: the document has `ok`"


async def test_nothing_is_captured_from_a_response_that_was_not_judged(bench: Bench) -> None:
    failure = Failure(status=Status.ERROR, reason=Reason.ACCESS_DENIED, message="denied")
    bench.script("scripted", Observation(document={"id": "partial"}, failure=failure))
    check = await bench.one(flow("f", step("a", capture={"id": Capture(path="id")})))
    assert (check.status, check.captured) == ("error", {})


@pytest.mark.parametrize(
    ("document", "expect", "status"),
    [
        ({"error": {"code": "Denied"}, "id": 7}, "error.code == 'Denied'", "pass"),
        ({"error": {"code": "Denied"}, "id": 7}, "id == 7", "error"),
        ({}, "error absent", "error"),
    ],
    ids=["mentioned", "not mentioned", "no document"],
)
async def test_a_failure_counts_unless_an_assertion_mentions_it(
    bench: Bench, document: dict[str, object], expect: str, status: str
) -> None:
    failure = Failure(status=Status.ERROR, reason=Reason.SERVICE, message="denied", answered_by=("error",))
    bench.script("scripted", Observation(document=document, failure=failure))
    assert (await bench.one(plain(expect=[expect]))).status == status


async def test_what_rests_on_a_field_that_no_element_has_is_not_captured(bench: Bench) -> None:
    bench.script("scripted", {"items": [{"id": 7}]})
    check = await bench.one(flow("f", step("a", capture={"n": Capture(path="length(items[?typo == 'x'])")})))
    assert check.status == "fail"
    assert check.message == (
        "step a: nothing to capture as n: no element of `items` has `typo`, so a selection by it proves nothing; "
        "if that is intended, write `none items[*].typo exists`"
    )


async def test_a_flow_claims_nothing_of_what_a_step_did_not_read_to_its_end(bench: Bench) -> None:
    cut = Observation(document={"count": 0, "latency": 5, "lines": []}, complete=False)
    bench.script("cut", cut)
    bench.script("scripted", {"count": 0})
    claims = {
        "steps.cut.count == 0": None,
        "steps.cut.latency == 5": True,
        "steps.whole.count == 0": True,
        "steps.*.count == [0, 0]": None,
        "(steps.whole.count == steps.cut.count) == true": None,
    }
    steps = (step("cut", "cut"), step("whole"))
    check = await bench.one(flow("f", *steps, expect=tuple(claims)))
    assert {each.expression: each.ok for each in check.assertions} == claims
    assert (check.status, check.reason_code) == ("inconclusive", "no_data")


async def test_running_per_element_of_a_list_that_was_cut_short_says_so(bench: Bench) -> None:
    bench.script("find", Observation(document={"items": [1, 2]}, complete=False))
    probe = bench.script("scripted", {"ok": True})
    check = await bench.one(
        flow("f", step("find", "find"), step("each", for_each="${steps.find.items}", expect=["ok == true"]))
    )
    assert len(probe.requests) == 2
    assert check.status == "inconclusive"
    assert "was not read to its end, so not every element was checked" in (check.message or "")


async def test_a_finding_of_the_probe_is_added_to_a_false_assertion(bench: Bench) -> None:
    gone = Failure(
        status=Status.FAIL, reason=Reason.DNS, message="x.example does not exist (NXDOMAIN)", answered_by=("answers",)
    )
    bench.script("scripted", Observation(document={"answers": []}, failure=gone))
    check = await bench.one(plain(expect=["answers contains 'y.example'"]))
    assert (check.status, check.message) == (
        "fail",
        '`answers` is [], which does not contain "y.example"; x.example does not exist (NXDOMAIN)',
    )
    expected = await bench.one(plain(expect=["answers == []"]))
    assert (expected.status, expected.message) == ("pass", None)


async def test_an_answer_in_doubt_proves_no_absence(bench: Bench) -> None:
    bench.script("scripted", Observation(document={"count": 0, "complete": True}, doubt="no line has the field `x`"))
    check = await bench.one(plain(expect=["count == 0"], warn=["complete == true"]))
    assert (check.status, check.message) == ("inconclusive", "no line has the field `x`")
    there = await bench.one(plain(expect=["count > 0"]))
    assert there.status == "fail"


async def test_a_flow_claims_nothing_of_a_step_whose_response_is_in_doubt(bench: Bench) -> None:
    in_doubt = Observation(document={"count": 0}, doubt="no line has the field `x`")
    bench.script("scripted", in_doubt)
    check = await bench.one(flow("f", step("a"), expect=("steps.a.count == 0",)))
    assert check.status == "inconclusive"


async def test_a_flow_may_expect_something_of_its_own(bench: Bench) -> None:
    bench.script("scripted", {"n": 1}, {"n": 3})
    steps = (step("a"), step("b"))
    check = await bench.one(flow("f", *steps, expect=("steps.a.n == 1", "steps.b.n == 2")))
    assert check.status == "fail"
    assert [each.ok for each in check.assertions] == [True, False]


@pytest.mark.parametrize("expect", [(), ("steps.b.n == 1",)], ids=["steps only", "expectation of its own"])
async def test_a_degraded_step_degrades_the_flow(bench: Bench, expect: tuple[str, ...]) -> None:
    bench.script("scripted", {"n": 1})
    warned = step("a", expect=["n == 1"], warn=["n > 1"])
    check = await bench.one(flow("f", warned, step("b", expect=["n == 1"]), expect=expect))
    assert (check.status, check.reason_code) == ("degraded", "warning")
    assert (check.message or "").startswith("step a: `n` is 1")


async def test_the_timeout_of_a_flow_is_that_of_the_whole(bench: Bench) -> None:
    bench.script("scripted", {"n": 0}, takes_s=1)
    check = await bench.one(
        flow("f", step("a"), step("b", expect=["n == 1"], poll=Poll(within_s=60, every_s=1)), timeout_s=10.0)
    )
    assert check.status == "fail"
    assert 10 <= bench.clock.monotonic_s() <= 10.2


async def test_a_request_never_outlives_its_flow(bench: Bench) -> None:
    bench.script("scripted", {"n": 0}, takes_s=100)
    check = await bench.one(flow("f", step("a", timeout_s=50.0), timeout_s=2.0))
    assert (check.status, check.reason_code) == ("fail", "timeout")
    assert bench.clock.monotonic_s() <= 2.2


async def test_a_flow_that_only_waits_proves_nothing(bench: Bench) -> None:
    check = await bench.one(flow("f", step("pause", "wait", **{"for": "1s"})))
    assert (check.status, check.reason_code) == ("inconclusive", "no_data")


async def test_wait_lets_time_pass(bench: Bench) -> None:
    bench.script("scripted", {"ok": True})
    pause = step("pause", "wait", **{"for": "90s"})
    check = await bench.one(flow("f", pause, step("a", expect=["ok == true"]), timeout_s=100.0))
    assert check.status == "pass"
    assert bench.clock.monotonic_s() == pytest.approx(90)
    cut = await bench.one(flow("f", pause, timeout_s=10.0))
    assert (cut.status, cut.reason_code) == ("fail", "timeout")


async def test_repeat_reads_afresh_and_tries_again(bench: Bench) -> None:
    probe = bench.script("scripted", {"version": 1}, {"status": 409}, {"version": 2}, {"status": 200})
    check = await bench.one(
        flow(
            "f",
            step("read", capture={"version": Capture(path="version")}),
            step(
                "write",
                version="${captured.version}",
                expect=["status == 200"],
                mutates=True,
                repeat=Repeat(when=("status == 409",), after="read"),
            ),
            mutates=True,
        )
    )
    assert check.status == "pass"
    assert [each.params.get("version") for each in probe.requests] == [None, 1, None, 2]
    assert [each.name for each in check.steps] == ["read", "read (again)", "write"]
    assert [each.n for each in check.steps[2].attempts] == [1, 2]


async def test_a_step_is_not_repeated_when_the_step_before_it_failed(bench: Bench) -> None:
    reading = bench.script("reading", {"version": 1}, {"version": 1, "gone": True})
    writing = bench.script("writing", {"status": 409})
    repeat = Repeat(when=("status == 409",), after="read", times=3)
    read = step("read", "reading", expect=["gone absent"])
    write = step("write", "writing", expect=["status == 200"], mutates=True, repeat=repeat)
    check = await bench.one(flow("f", read, write, mutates=True))
    assert check.status == "fail"
    assert (len(reading.requests), len(writing.requests)) == (2, 1)


async def test_repeat_ends_after_its_times(bench: Bench) -> None:
    probe = bench.script("scripted", {"status": 409})
    repeat = Repeat(when=("status == 409",), after="read", times=2)
    check = await bench.one(flow("f", step("read"), step("write", expect=["status == 200"], repeat=repeat)))
    assert check.status == "fail"
    assert len(probe.requests) == 6


class TestForEach:
    async def test_a_step_per_element(self, bench: Bench) -> None:
        probe = bench.script("scripted", {"items": [{"id": 1}, {"id": 2}]}, {"ok": True})
        check = await bench.one(
            flow("f", step("find"), step("ask", for_each="${steps.find.items}", id="${each.id}", expect=["ok == true"]))
        )
        assert check.status == "pass"
        assert [each.params.get("id") for each in probe.requests] == [None, 1, 2]
        assert [each.name for each in check.steps] == ["find", "ask[0]", "ask[1]"]

    async def test_an_empty_list_measures_nothing(self, bench: Bench) -> None:
        bench.script("scripted", {"items": []})
        check = await bench.one(flow("f", step("find"), step("ask", for_each="${steps.find.items}")))
        assert (check.status, check.reason_code) == ("inconclusive", "no_data")

    async def test_what_is_no_list_is_an_error(self, bench: Bench) -> None:
        bench.script("scripted", {"items": "many"})
        check = await bench.one(flow("f", step("find"), step("ask", for_each="${steps.find.items}")))
        assert (check.status, check.reason_code) == ("error", "invalid")

    async def test_cleanup_per_element_goes_on_after_a_failure_and_an_empty_list_is_done(self, bench: Bench) -> None:
        bench.script("scripted", {"items": [1, 2]})
        removing = bench.script("removing", refused(), {"ok": True})
        remove = step("remove", "removing", for_each="${steps.find.items}", id="${each}", mutates=True)
        check = await bench.one(flow("f", step("find"), cleanup=(remove,), mutates=True))
        assert [each.status for each in check.cleanup] == ["fail", "pass"]
        assert len(removing.requests) == 2
        bench.script("scripted", {"items": []})
        check = await bench.one(flow("f", step("find"), cleanup=(remove,), mutates=True))
        assert check.status == "pass"


async def test_a_check_that_expects_nothing_is_never_green(bench: Bench) -> None:
    bench.script("scripted", {"ok": True})
    assert (await bench.one(plain())).status == "inconclusive"
    assert (await bench.one(flow("empty"))).status == "inconclusive"


async def test_implicit_expectations_hold_unless_mentioned(bench: Bench) -> None:
    bench.script("kind", {"status": 500, "ok": True}, implicit_expect=("status < 400",))
    silent = await bench.one(plain(type="kind", expect=["ok == true"]))
    assert silent.status == "fail"
    assert [each.severity for each in silent.assertions] == ["expect", "implicit"]
    spoken = await bench.one(plain(type="kind", expect=["status == 500"]))
    assert spoken.status == "pass"
    assert len(spoken.assertions) == 1


# Parts of a text


@pytest.mark.parametrize(
    ("pattern", "document", "captured"),
    [
        (r"order-(\d+)", {"body": "see order-4711, thanks"}, "4711"),
        (r"order-\d+", {"body": "see order-4711, thanks"}, "order-4711"),
        (r"(?P<kind>[a-z]+)-(\d+)", {"body": "see order-4711"}, "order"),
        (r"${vars.kind}-(\d+)", {"body": "axb-1 a.b-2"}, "2"),
    ],
    ids=["group", "whole match", "first group", "a value matches itself"],
)
async def test_D_a_pattern_captures_a_part_of_a_text(
    bench: Bench, pattern: str, document: dict[str, str], captured: str
) -> None:
    probe = bench.script("scripted", document, {"ok": True})
    capture = {"order": Capture(path="body", pattern=pattern)}
    read = step("read", id="${captured.order}", expect=["ok == true"])
    check = await bench.one(flow("f", step("post", capture=capture), read, vars={"kind": "a.b"}))
    assert (check.status, check.captured) == ("pass", {"order": captured})
    assert probe.requests[1].params == {"id": captured}


@pytest.mark.parametrize(
    ("pattern", "answer", "status", "message"),
    [
        (r"order-(\d+)", {"body": "none"}, "fail", r"`body` does not match 'order-(\d+)'"),
        (r"(a)|b", {"body": "b"}, "fail", "`body` matches without the group of '(a)|b'"),
        (r"a", {"body": 7}, "fail", "`body` is a number, and a pattern needs a string"),
        (r"a", {}, "fail", "`body` is missing"),
        (r"order-(\d+)", Observation(document={"body": "no"}, complete=False), "inconclusive", "the rest may have it"),
        (r"order-(\d+)", Observation(document={"body": "order-47"}, complete=False), "inconclusive", "may go on"),
        (r"order-\d+(?!\d)", Observation(document={"body": "order-4 "}, complete=False), "inconclusive", "may go on"),
        (r"(x+x+)+y", {"body": "x" * 5_000}, "inconclusive", "was stopped"),
    ],
    ids=["no match", "no group", "no text", "missing", "cut, no match", "cut in the match", "looks ahead", "explosive"],
)
async def test_D_a_pattern_without_a_certain_match_captures_nothing(
    bench: Bench, pattern: str, answer: object, status: str, message: str
) -> None:
    bench.script("scripted", answer)
    check = await bench.one(flow("f", step("a", capture={"order": Capture(path="body", pattern=pattern)})))
    assert (check.status, check.captured) == (status, {})
    assert (check.message or "").startswith(("step a: nothing to capture as order", "step a: nothing certain"))
    assert message in (check.message or "")


async def test_D_what_a_pattern_captures_as_a_secret_is_masked_from_then_on(bench: Bench) -> None:
    probe = bench.script("scripted", {"body": "token=S3CR3T-9f8e; x"}, {"echo": "S3CR3T-9f8e"})
    capture = {"token": Capture(path="body", pattern=r"token=([^;]+)", secret=True)}
    read = step("read", token="${captured.token}", expect=["echo == 'wrong'"])
    check = await bench.one(flow("f", step("login", capture=capture), read))
    assert probe.requests[1].params == {"token": "S3CR3T-9f8e"}
    assert "S3CR3T" not in msgspec.json.encode(check).decode()


async def test_D_a_captured_number_is_an_index_in_a_path(bench: Bench) -> None:
    bench.script("scripted", {"place": 1}, {"items": ["a", "b"]}, {"items": ["a"]})
    find = step("find", capture={"i": Capture(path="place")})
    claim = "items[${captured.i}] == 'b'"
    assert (await bench.one(flow("f", find, step("read", expect=[claim])))).status == "pass"


# Preconditions


@pytest.mark.parametrize(
    ("answer", "status", "reason"),
    [
        ({"depth": 0}, "pass", None),
        ({"depth": 3}, "skipped", "prerequisite"),
        (Observation(document={"depth": 0}, complete=False), "inconclusive", "no_data"),
        (refused(), "fail", "connect"),
        (
            Observation(failure=Failure(status=Status.ERROR, reason=Reason.ACCESS_DENIED, message="denied")),
            "error",
            "access_denied",
        ),
    ],
    ids=["holds", "does not hold", "not read to its end", "refused", "not readable"],
)
async def test_D_a_precondition_that_is_false_skips_the_check_and_nothing_else_does(
    bench: Bench, answer: object, status: str, reason: str | None
) -> None:
    probe = bench.script("scripted", answer, {"ok": True})
    first = replace(step("empty", expect=["depth == 0"]), precondition=True, retry=Retry(times=0))
    check = await bench.one(flow("f", first, step("send", mutates=True, expect=["ok == true"]), mutates=True))
    assert (check.status, check.reason_code) == (status, reason)
    assert len(probe.requests) == (2 if status == "pass" else 1)
    if status == "skipped":
        assert check.message == "step empty: not run, its precondition does not hold: `depth` is 3, not 0"
        assert [each.status for each in check.steps] == ["skipped", "skipped"]


async def test_a_capture_that_is_missing_is_no_precondition(bench: Bench) -> None:
    bench.script("scripted", {"depth": 0})
    first = replace(step("empty", expect=["depth == 0"], capture={"id": Capture(path="id")}), precondition=True)
    assert (await bench.one(flow("f", first))).status == "fail"


async def test_D_growing_pauses_have_a_limit(bench: Bench) -> None:
    probe = bench.script("scripted", {"ok": False})
    poll = Poll(within_s=20, every_s=1, until=("ok == true",), backoff="exponential", max_every_s=4)
    await bench.one(flow("f", step("a", poll=poll)))
    sent = [request.at_s for request in probe.requests]
    assert [round(after - before) for before, after in pairwise(sent)] == [1, 2, 4, 4, 4, 4, 1]


async def test_D_the_documents_and_captures_of_a_step_per_element_are_lists(bench: Bench) -> None:
    answers = ({"ids": [7, 8]}, {"status": 200, "id": "a"}, {"status": 200, "id": "b"}, {"ok": True})
    probe = bench.script("scripted", *answers)
    each = step("read", for_each="${steps.list.ids}", id="${each}", capture={"id": Capture(path="id")})
    last = step("last", first="${captured.id.0}", second="${steps.read.1.id}", expect=["ok == true"])
    claims = ("length(steps.read) == 2", "all steps.read[*].status == 200", "steps.read[1].id == 'b'")
    check = await bench.one(flow("f", step("list"), each, last, expect=claims))
    assert (check.status, check.message) == ("pass", None)
    assert probe.requests[-1].params == {"first": "a", "second": "b"}


async def test_a_reference_in_a_value_of_a_matrix_is_not_filled(bench: Bench) -> None:
    probe = bench.script("scripted", {"ok": True})
    await bench.one(
        plain(url="${matrix.shop.url}", expect=["ok == true"], check={"matrix": {"shop": {"url": "${uid}"}}})
    )
    assert probe.requests[0].params == {"url": "${uid}"}
