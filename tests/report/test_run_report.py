"""The HTML page and the hand-over note: every fact is in them, no text acts as markup, and both are bounded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from prodwatch.model.result import AssertionResult, Blocking, RunResult, Verdict
from prodwatch.model.status import Status
from prodwatch.report.hand_over import MAX_CHARS, hand_over
from prodwatch.report.page import MAX_BYTES, render
from prodwatch.report.run_report import RunReport
from prodwatch.session.run_report import report_of_recording
from prodwatch.store.recording.reader import SessionFile
from prodwatch.store.recording.redaction import masked
from prodwatch.text.redact import Redactor
from tests.report.conftest import check, run
from tests.support.chromium import PROGRAM, chromium
from tests.support.recorded import RecordedScene

HOSTILE = (
    "\"'></style><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7*7 }}&lt;`](javascript:alert(1))"
    "\x1b]0;x\x07\u202e"
)
SECRET = "s3cr3t-t0ken/42+x"


class Parsed(HTMLParser):
    """Elements, attributes and text of a page."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.words: list[str] = []
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def values(self, name: str) -> list[str]:
        return [value for _, each, value in self.attributes if each == name]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> RunReport:
    """The report of a recorded bad release, with a secret in its events."""
    path = tmp_path_factory.mktemp("recorded") / "bad.pw"
    scene = RecordedScene(path, redactor=Redactor([SECRET]))
    scene.judged()
    scene.store.mark(f"the token is {SECRET}")
    scene.recorder.flush()
    scene.close()
    with SessionFile(path) as file:
        return report_of_recording(file)


def report(result: RunResult) -> RunReport:
    return RunReport(source="result.json", result=result)


def assert_contained(page: bytes) -> None:
    """Fail for anything that a browser would run or load, and for an id that several elements have."""
    parsed = Parsed(page)
    assert {"script", "link", "img", "iframe", "object", "embed", "base", "form", "image", "use"}.isdisjoint(
        parsed.tags
    )
    names = {name for _, name, _ in parsed.attributes}
    assert {"src", "srcset", "style", "action", "xlink:href", "data"}.isdisjoint(names)
    assert not [name for name in names if name.startswith("on")]
    assert all(value.startswith(("#", "https://", "http://")) for value in parsed.values("href"))
    ids = parsed.values("id")
    assert len(ids) == len(set(ids))
    assert {value[1:] for value in parsed.values("href") if value.startswith("#")} <= set(ids)
    style = re.search(rb"<style>(.*?)</style>", page, re.DOTALL)
    assert style is not None
    assert b"url(" not in style[1]
    assert b"@import" not in style[1]
    assert page.count(b"<style") == 1


def test_a_page_of_a_recording_has_all_its_evidence(recorded: RunReport) -> None:
    page = render(recorded)
    assert_contained(page)
    text = Parsed(page).text
    for expected in (
        "✘ FAIL",
        "2 of 15 checks failed",
        "evidence of harm > 9,999",
        "release v42",
        "Verdict since 2026-01-15 12:00:00 UTC",
        "difference +5.0 points, 2.9 to 7.2",
        "KeyError: 'tenant'",
        "json.currency == 'EUR'",
        "(nothing)",
        "DynamoDB: self time 367 ms, 57 %",
        "4 attempts",
        "Diagnosed by",
        "Time line 19 events",
        "ALARM(shop-orders-errors) OR ALARM(shop-orders-latency)",
    ):
        assert expected in text, expected
    assert page.count(b"<polyline") == 11
    assert page.count(b'<circle class="dot"') == 4


def test_the_verdict_of_a_result_is_that_of_its_page_and_note(silent_red: RunResult) -> None:
    page = Parsed(render(report(silent_red))).text
    assert silent_red.verdict.status.upper() in page
    assert silent_red.verdict.reason in page
    assert "PASS ·" not in page
    assert hand_over(report(silent_red)).splitlines()[0].startswith(("**?", "**✖", "**!"))


def test_a_page_of_a_result_names_each_kind_of_evidence(red: RunResult, green: RunResult) -> None:
    page = render(report(red))
    assert_contained(page)
    text = Parsed(page).text
    for each in red.checks:
        assert each.title in text
    for expected in ("✔ holds:", "✘ false:", "left behind: TEST-1", "2 attempts", "120 log lines were sampled away"):
        assert expected in text
    assert "shop-\u241b]0;x\u2407" in text
    assert 'href="https://eu-west-1.console.aws.amazon.com/cloudwatch/home' in page.decode()
    assert "--record FILE" in text
    calm = Parsed(render(report(green))).text
    assert "✔ PASS 1 check passed" in calm
    assert "1 look each: too early to be sure" in calm
    assert "Why" not in calm


def test_an_empty_result_has_a_page_and_a_note() -> None:
    empty = report(run((), Verdict(status="empty", exit_code=5, reason="no check is selected")))
    page = render(empty)
    assert_contained(page)
    assert "EMPTY no check is selected" in Parsed(page).text
    assert "none finished" in Parsed(page).text
    assert "checks: none finished" in hand_over(empty)


def hostile(recorded: RunReport, red: RunResult) -> Iterator[RunReport]:
    links = {"runbook": "https://wiki.example/a", "bad": "javascript:alert(1)"}
    checks = tuple(msgspec.structs.replace(each, links=links) for each in red.checks)
    yield masked(recorded, lambda text: text + HOSTILE)
    yield masked(report(msgspec.structs.replace(red, checks=checks)), lambda text: text + HOSTILE)


def test_no_text_of_a_run_is_markup_in_its_page(recorded: RunReport, red: RunResult) -> None:
    for each in hostile(recorded, red):
        page = render(each)
        assert_contained(page)
        assert "<script>alert(1)</script>" in Parsed(page).text
        assert b"49&amp;lt;" not in page
        assert not re.search(rb"[\x00-\x08\x0b-\x1f\x7f]|\xe2\x80\xae", page)


def test_no_text_of_a_run_is_markup_in_its_note(recorded: RunReport, red: RunResult) -> None:
    for each in hostile(recorded, red):
        note = hand_over(each)
        prose = re.sub(r"`[^`\n]*`", "", note.replace("\\`", "'"))
        assert not re.search(r"(?<!\\)<", prose), prose[prose.index("<") - 300 : prose.index("<") + 100]
        assert not re.search(r"\]\((?!https?://)", prose.replace("\\]", ""))
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", note)
        assert len(note) <= MAX_CHARS


def test_a_planted_secret_is_in_neither(recorded: RunReport) -> None:
    redactor = Redactor([SECRET])
    for document in (render(recorded).decode(), hand_over(recorded)):
        assert redactor.text(document) == document
        assert "•••" in document


def test_a_page_has_at_most_five_megabytes_and_counts_what_is_left_out(red: RunResult) -> None:
    worst = AssertionResult(
        expression="x == 1", ok=False, actual="a" * 9_000, message="m" * 9_000, facts=("f" * 9_000,) * 12
    )
    checks = tuple(
        check(f"c{number}", Status.FAIL, message="m" * 9_000, assertions=(worst,) * 45) for number in range(70)
    )
    blocking = tuple(Blocking(kind="check", id=each.id, status=Status.FAIL, message=each.id) for each in checks)
    verdict = msgspec.structs.replace(red.verdict, blocking=blocking)
    large = report(msgspec.structs.replace(red, checks=checks, verdict=verdict))
    page = render(large)
    assert len(page) <= MAX_BYTES
    assert_contained(page)
    text = Parsed(page).text
    shown = page.count(b'<article class="card bad-edge stack"')
    assert f"{70 - shown:,} × check that is not green" in text
    assert "× assertion" in text
    assert re.search(r"the ends of [\d,]+ texts", text)
    assert "… (+" in text
    note = hand_over(large)
    assert len(note) <= MAX_CHARS
    assert re.search(r"^- … \d+ more$", note, re.MULTILINE)


def test_a_note_has_what_on_call_needs(recorded: RunReport) -> None:
    note = hand_over(recorded)
    assert len(note) <= MAX_CHARS
    for expected in (
        "**✘ FAIL** Test (test)",
        "since 2026-01-15 12:00:00 UTC; as of",
        "release v42, before it v41, began 2026-01-15 11:56:48 UTC, shifting (v41 90 %, v42 10 %)",
        "**Why**",
        "- ✘ FAIL check orders/order-in-euros: ",
        "- ✘ FAIL shop-orders:live errors: errors 5.1 % against 0.1 %",
        "**What changed**",
        "deploy d-8F2C1A9QX: Created → InProgress",
        "request `8f2c41d7-52be-4b1e-9d5e-0c7a3e1b6f42`",
        "`orders/inbox-to-table`: 4 requests in",
        "**Missing**",
        "188 more warm requests",
    ):
        assert expected in note, expected


def test_a_note_links_traces_and_alarms_where_the_region_is_known(red: RunResult) -> None:
    note = hand_over(report(red))
    trace = "1-67891233-abcdef012345678912345678"
    assert f"trace [{trace}](https://eu-west-1.console.aws.amazon.com/" in note
    assert "#xray:traces/1-67891233" in note


@pytest.mark.slow  # a browser
@pytest.mark.skipif(PROGRAM is None, reason="Chromium is not installed")
def test_no_width_scrolls_sideways_in_a_browser(recorded: RunReport, red: RunResult, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    with chromium() as browser:
        for each in (recorded, report(red), *hostile(recorded, red)):
            path.write_bytes(render(each))
            for width, dark in ((390, False), (390, True), (1280, False), (1280, True)):
                browser.open(path, width, dark=dark)
                assert browser.evaluate("document.documentElement.scrollWidth") <= width
                paper = browser.evaluate("getComputedStyle(document.body).backgroundColor")
                assert paper == ("rgb(20, 23, 27)" if dark else "rgb(255, 255, 255)")
                assert browser.evaluate("document.scripts.length") == 0
