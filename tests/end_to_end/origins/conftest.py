"""The origins' pages as projects on disk, an AWS on a port of this machine, and the real command line in quick time.

A page of `docs/guide/origins/` contains a project's files, each block headed by its path, and a table of failures and
messages. The tests write those blocks to disk, break the staged sample as a row describes, and compare the message with
the row, so that every statement of a page is tested.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from prodwatch.cli.main import run
from prodwatch.clock import SystemClock
from prodwatch.demo.aws import EmbeddedAws
from prodwatch.runner.check.cleanup import clean_up

PAGES = Path(__file__).parents[3] / "docs/guide/origins"
FAST_ROWS = 3
"""Rows of a page's table that are not slow."""
PACE = 10.0
"""Ratio of a run's time to real time while the run waits for work under way; requests keep their real time limits."""
IDLE_PACE = 1_000.0
"""The same ratio while no work is under way that could still change the awaited result."""
SLICE_S = 0.002
"""Real time between two checks of whether work is under way."""

EXIT = {"degraded": 0, "fail": 1, "error": 3, "inconclusive": 4, "skipped": 4}
"""Status of the only check → exit code."""


class PacedClock(SystemClock):
    """Sleeps shorter than asked and then counts the time as if it had not; the wall clock stays the machine's.

    Between sleeps time passes as it does, so no request seems slower than it is; and a sleep is never counted longer
    than it was asked to be because the machine was busy.
    """

    under_way: Sequence[Callable[[], bool]] = ()
    """Each reports whether work is under way that the run waits for."""
    made = 0
    """Number of clocks made so far."""

    def __init__(self) -> None:
        PacedClock.made += 1
        self._skipped_s = 0.0

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self._skipped_s

    async def sleep(self, seconds: float) -> None:
        wake_s = self.monotonic_s() + seconds
        await super().sleep(0)
        while (left_s := wake_s - self.monotonic_s()) > 0:
            pace = PACE if any(is_so() for is_so in self.under_way) else IDLE_PACE
            # All who sleep at the same time wake in the order of their moments: each moves time to one of its own.
            look_s = self.monotonic_s() + min(left_s, SLICE_S * pace)
            await super().sleep((look_s - self.monotonic_s()) / pace)
            self._skipped_s += max(0.0, look_s - self.monotonic_s())


@dataclass(frozen=True)
class Row:
    """One line of a page's table of failures."""

    check: str
    """What `-k` selects."""
    mode: str
    """The sample's fault."""
    status: str
    sentence: str
    """`…` represents text that differs from run to run."""

    def judge(self, outcome: Outcome) -> None:
        """Hold the outcome of the row's one check against the row."""
        check = outcome.only
        pattern = ".*".join(re.escape(part) for part in self.sentence.split("…"))
        assert (check["status"], outcome.code) == (self.status, EXIT[self.status]), check["message"]
        assert re.fullmatch(pattern, check["message"], re.DOTALL), check["message"]


class Page:
    """One page of the guide."""

    def __init__(self, name: str) -> None:
        self.text = (PAGES / f"{name}.md").read_text(encoding="utf-8")

    def write(self, root: Path) -> None:
        """Write every file of the page below `root`."""
        for block in re.findall(r"^```toml\n(.*?)^```$", self.text, re.DOTALL | re.MULTILINE):
            heading, _, body = block.partition("\n")
            path = root / heading.removeprefix("# ")
            assert path.suffix == ".toml", f"a block without a path: {heading}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(body, encoding="utf-8")

    def rows(self) -> list[Row]:
        """Return the page's failures: -k | failure | status | message."""
        rows = []
        for line in self.text.splitlines():
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            if len(cells) == 4 and cells[2] in EXIT:
                rows.append(Row(cells[0], cells[1], cells[2], cells[3].replace("\\|", "|")))
        return rows


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "row" in metafunc.fixturenames:
        rows = Page(metafunc.module.PAGE).rows()
        assert rows, "the page has no table of failures"
        # A row is a deployment and a run: the first failures of a page show that its table is true of its checks.
        metafunc.parametrize(
            "row",
            [
                pytest.param(row, id=f"{row.check}: {row.mode}", marks=() if number < FAST_ROWS else pytest.mark.slow)
                for number, row in enumerate(rows)
            ],
        )


@dataclass(frozen=True)
class Outcome:
    """Result of one command."""

    code: int
    document: Mapping[str, Any]

    @property
    def run_id(self) -> str:
        return str(self.document["run"]["id"])

    @property
    def statuses(self) -> dict[str, str]:
        """Name of each check → its status."""
        return {check["name"]: check["status"] for check in self.document["checks"]}

    @property
    def only(self) -> Mapping[str, Any]:
        (check,) = self.document["checks"]
        return check  # type: ignore[no-any-return]

    def leftovers(self) -> list[str]:
        return [
            text for check in self.document["checks"] for step in check["cleanup"] for text in step.get("leftovers", ())
        ]


class CommandLine:
    """`prodwatch` in this process, over the page's project."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(self, *arguments: str) -> Outcome:
        place = self.root / "result.json"
        code = run([*arguments, "--root", str(self.root), "--json", str(place), "--no-color"])
        document = json.loads(place.read_bytes())
        assert document["verdict"]["exit_code"] == code
        return Outcome(code, document)

    def check(self, name: str | None = None) -> Outcome:
        """Run one check, or all."""
        chosen = [] if name is None else ["-k", f'"{name}"']
        clocks = PacedClock.made
        outcome = self("check", *chosen)
        assert PacedClock.made > clocks, "the run waited in real time"
        return outcome


@pytest.fixture
def project(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The page's files on disk."""
    Page(request.module.PAGE).write(tmp_path)
    return tmp_path


@pytest.fixture
def cleaning() -> threading.Event:
    """Set when a check has its verdict and begins to clean up: later results come too late."""
    return threading.Event()


@pytest.fixture
def under_way(monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], bool]]:
    """Conditions that slow a run's clock; a sample that works in the background adds its own."""
    requests = 0
    send = aiohttp.ClientSession._request

    async def counted(*arguments: Any, **options: Any) -> Any:
        nonlocal requests
        requests += 1
        try:
            return await send(*arguments, **options)
        finally:
            requests -= 1

    asked: list[Callable[[], bool]] = [lambda: requests > 0]
    monkeypatch.setattr(aiohttp.ClientSession, "_request", counted)
    monkeypatch.setattr(PacedClock, "under_way", asked)
    return asked


@pytest.fixture
def prodwatch(
    project: Path, cleaning: threading.Event, under_way: object, monkeypatch: pytest.MonkeyPatch
) -> CommandLine:
    async def clean_up_noticed(*arguments: Any) -> bool:
        cleaning.set()
        return await clean_up(*arguments)

    monkeypatch.setattr("prodwatch.runner.check.run_check.clean_up", clean_up_noticed)
    for place in ("prodwatch.cli.run_with_signals", "prodwatch.session.engine"):
        monkeypatch.setattr(f"{place}.AwsClock", PacedClock)
    monkeypatch.setenv("PRODWATCH_STATE_DIR", str(project / "state"))
    return CommandLine(project)


@pytest.fixture
def pace() -> float:
    """Pace of a sample's own time: that of a run while the sample works."""
    return PACE


class Loop:
    """An event loop in a thread of its own, so that commands may bring theirs."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Do work there and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def start(self, work: Coroutine[Any, Any, Any]) -> Callable[[], None]:
        """Begin work there; return a function that ends it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)

        def end() -> None:
            future.cancel()
            if future.done() and not future.cancelled():
                future.result()

        return end

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@pytest.fixture(scope="session")
def loop() -> Iterator[Loop]:
    running = Loop()
    yield running
    running.close()


@pytest.fixture(scope="session")
def embedded(loop: Loop) -> Iterator[EmbeddedAws]:
    server = EmbeddedAws()
    loop.do(server.start())
    yield server
    loop.do(server.stop())


@pytest.fixture(scope="session")
def clients(embedded: EmbeddedAws) -> Callable[[str], Any]:
    """`clients("sqs")`: a boto3 client of the embedded AWS, as the sample's own code would make it."""
    import boto3

    made: dict[str, Any] = {}

    def client(service: Any) -> Any:
        if service not in made:
            made[service] = boto3.client(
                service,
                endpoint_url=embedded.url,
                region_name="eu-west-1",
                aws_access_key_id="sample",
                aws_secret_access_key="sample",
            )
        return made[service]

    return client


@pytest.fixture
def aim(embedded: EmbeddedAws, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """`aim(stack)`: from here on prodwatch uses this stack, as the sample's own tests would."""

    def to(stack: str) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", embedded.url)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        monkeypatch.setenv("AWS_SAM_STACK_NAME", stack)

    return to
