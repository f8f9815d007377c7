"""A gate over a recording gives the verdict that the live gate gave; with other thresholds it gives another."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from prodwatch.demo.shop.functions import ORDERS
from prodwatch.errors import ConfigurationError
from prodwatch.model.environment import Environment, FunctionTarget
from prodwatch.model.event import CheckFinished
from prodwatch.model.evidence import FunctionsWatched, GateLooked, Looked, Opened
from prodwatch.model.result import CheckResult, RunResult, StepResult, Verdict
from prodwatch.model.signal import Batch, SourcePhase, SourceStatus
from prodwatch.model.status import Reason, Status
from prodwatch.session.gate import Gate, GateOptions
from prodwatch.session.gate_replay import ReplayOptions, replay_gate
from prodwatch.session.protocol import facts_of
from prodwatch.session.recorder import Recorder, open_recorder
from prodwatch.session.rejudge import judge_again
from prodwatch.session.replay import Player, ReplayClock
from prodwatch.settings.set_values import with_values
from prodwatch.store.recording.reader import SessionFile
from prodwatch.store.recording.redaction import Redaction
from prodwatch.store.store import Store
from prodwatch.testing.clock import FakeClock
from prodwatch.testing.definitions import environment, plain
from prodwatch.text.redact import Redactor
from prodwatch.tui.preferences import Preferences
from prodwatch.tui.widget_context import WidgetContext
from prodwatch.views.verdict import judge_session
from tests.demo_shop.test_verdicts import GROUP, Watched
from tests.support.gate_world import result_of
from tests.support.recorded import RecordedScene
from tests.support.replays import Replayed

READ_EVERY_S = 10
CHECK = plain("orders answer")


class ShopSession:
    """The lines of a staged release and a passing check, in virtual time."""

    def __init__(self, watched: Watched, clock: FakeClock, of: Environment, recorder: Recorder) -> None:
        self._watched = watched
        self._recorder = recorder
        self._clock = clock
        self._environment = of
        self._tasks: list[asyncio.Task[None]] = []
        self.cleaned: tuple[CheckResult, ...] = ()

    async def start(self) -> None:
        store = self._watched.store
        store.define((CHECK,))
        store.note(Opened(environment=self._environment))
        store.note(FunctionsWatched(functions=self._environment.functions))
        self._watched.comparisons.watch(self._environment.functions)
        state = next(iter(store.release.states.values()))
        status = SourceStatus(source="release", phase=SourcePhase.LIVE, fresh_at=self._clock.now())
        store.apply(Batch(source="release", records=(state,), status=status))
        self._watched.read(-60, 0)
        self._tasks.append(asyncio.create_task(self._reading()))

    def begin_rounds(self) -> None:
        self._tasks.append(asyncio.create_task(self._rounds()))

    async def stop(self) -> tuple[CheckResult, ...]:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for result in self.cleaned:
            self._watched.store.apply_event(CheckFinished(result=result))
        return self.cleaned

    async def _reading(self) -> None:
        at_s = 0
        while True:
            await self._clock.sleep(READ_EVERY_S)
            self._watched.read(at_s, at_s + READ_EVERY_S)
            fresh = SourceStatus(source="release", phase=SourcePhase.LIVE, fresh_at=self._clock.now())
            self._watched.store.apply(Batch(source="release", status=fresh))
            self._recorder.flush()
            at_s += READ_EVERY_S

    async def _rounds(self) -> None:
        while True:
            self._watched.store.apply_event(CheckFinished(result=result_of(CHECK, Status.PASS, self._clock.now())))
            await self._clock.sleep(30)


class ShopGate:
    """A recorded gate over a staged release."""

    def __init__(self, scenario: str, path: Path) -> None:
        self.path = path
        self.watched = Watched(scenario, auto=True)
        self.clock = self.watched.clock
        self.environment = environment(functions=(FunctionTarget(name=ORDERS, alias="live", log_group=GROUP),))
        redaction = Redaction(Redactor())
        self.recorder: Recorder = open_recorder(path, redaction, self.clock, mode="gate", environment=self.environment)
        self.recorder.subscribe(self.watched.store)
        self.session = ShopSession(self.watched, self.clock, self.environment, self.recorder)

    async def run(self, bake_s: float) -> RunResult:
        gate = Gate(self.environment, self.watched.store, self.session, self.clock, GateOptions(bake_s=bake_s))
        await gate.run()
        self.recorder.close()
        return gate.result("live")


async def replayed(path: Path, **options: object) -> RunResult:
    with SessionFile(path) as file:
        gate = replay_gate(file, ReplayOptions(**options))  # type: ignore[arg-type]
        await gate.run()
        return gate.result("replay")


async def shown_at_its_end(path: Path) -> Verdict:
    """Return the verdict that the dashboard shows at the end of a recorded gate, after it was moved back and on."""
    replay = Replayed(path, playing=False)
    await replay.session.start()
    for share in (0.5, 1.0, 0.25, 1.0):
        replay.session.seek(round(share * replay.session.to_us))
        await replay.after()
    given, facts = replay.session.given, facts_of(environment(), mode="replay")
    context = WidgetContext(
        store=replay.store, clock=replay.clock, facts=facts, preferences=Preferences(), replay=replay.session
    )
    await replay.session.stop()
    assert isinstance(given, GateLooked)
    assert context.take_snapshot().verdict.status == given.verdict.status
    assert context.snapshot.verdict.reasons[0] == given.verdict.reason
    return given.verdict


def without_clock(result: RunResult) -> RunResult:
    run = replace(result.run, id="", host=None, ci=None, started_at=result.run.ended_at, duration_ms=0)
    return replace(result, run=run)


SCENARIOS = [
    ("bad", 300, "fail"),
    pytest.param("outage", 300, "fail", marks=pytest.mark.slow),
    pytest.param("config-only", 300, "fail", marks=pytest.mark.slow),
    pytest.param("no-traffic", 300, "inconclusive", marks=pytest.mark.slow),
    pytest.param("slow-burn", 600, "fail", marks=pytest.mark.slow),
    pytest.param("good", 600, "pass", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("scenario", "bake_s", "status"), SCENARIOS)
async def test_a_replayed_gate_gives_the_verdict_of_the_live_one(
    scenario: str, bake_s: int, status: str, tmp_path: Path
) -> None:
    live = await ShopGate(scenario, tmp_path / "f.pw").run(bake_s)
    assert live.verdict.status == status
    again = await replayed(tmp_path / "f.pw")
    assert again.verdict == live.verdict
    assert await shown_at_its_end(tmp_path / "f.pw") == live.verdict
    assert without_clock(again) == without_clock(live)


class Recorded:
    """A recorded gate that has failed a release, and its result."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.live = asyncio.run(ShopGate("bad", path).run(600))


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    return Recorded(tmp_path_factory.mktemp("recorded") / "f.pw")


def setting(*values: str) -> dict[str, object]:
    return {"change": lambda environment: with_values(environment, values)}


async def test_a_gate_that_failed_early_and_passes_by_other_thresholds_is_inconclusive(failed: Recorded) -> None:
    """The rest of the bake was not recorded, so that nothing proves the release harmless."""
    assert failed.live.verdict.status == "fail"
    values = ("compare.errors=false", "compare.latency=false", "compare.signatures=false")
    again = await replayed(failed.path, **setting(*values))
    assert (again.verdict.status, again.verdict.reason_code) == ("inconclusive", Reason.NO_DATA)
    assert "the recorded gate ended at" in again.verdict.reason.lower()


async def test_the_thresholds_of_a_replay_are_those_of_its_options(failed: Recorded) -> None:
    again = await replayed(failed.path, **setting("compare.errors.min_bad=100000", "compare.errors.gate=false"))
    errors = next(each for each in again.comparisons if each.kind == "errors")
    recorded = next(each for each in failed.live.comparisons if each.kind == "errors")
    assert (recorded.gate, errors.gate) == (True, False)


async def test_a_cut_recording_is_never_green(failed: Recorded, tmp_path: Path) -> None:
    cut = tmp_path / "cut.pw"
    whole = failed.path.read_bytes()
    cut.write_bytes(whole[: len(whole) * 9 // 10])
    again = await replayed(cut)
    assert again.verdict.status == "inconclusive"
    assert "the file is damaged" in again.verdict.reason.lower()


async def test_a_recording_of_a_dashboard_is_judged_at_the_looks_of_its_session(tmp_path: Path) -> None:
    shop = ShopGate("bad", tmp_path / "f.pw")
    await shop.session.start()
    shop.session.begin_rounds()
    await shop.clock.sleep(110)
    await shop.session.stop()
    shop.recorder.close()
    again = await replayed(shop.path, bake_s=600.0)
    assert again.verdict.status == "fail"
    assert again.comparisons[0].status is Status.FAIL
    assert await judged_by_the_dashboard(shop) == judged_again(shop.path)


def judged_again(path: Path) -> Verdict | None:
    with SessionFile(path) as file:
        return judge_again(file).judged


async def judged_by_the_dashboard(shop: ShopGate) -> Verdict:
    """Return the verdict that a replay works out where the session looked for the last time."""
    with SessionFile(shop.path) as file:
        looks = [each for each in file.entries() if isinstance(each.event, Looked)]
    replay = Replayed(shop.path, playing=False)
    await replay.session.start()
    for target_us in (replay.session.to_us, 0, looks[-1].elapsed_us):
        replay.session.seek(target_us)
        await replay.after()
    judged = judge_session(replay.store, looks[-1].at, every_s=shop.environment.rounds.every_s)
    await replay.session.stop()
    return judged.decision.verdict


async def test_a_recording_without_any_environment_cannot_be_judged(tmp_path: Path) -> None:
    clock = FakeClock()
    recorder = open_recorder(tmp_path / "f.pw", Redaction(Redactor()), clock, mode="record", environment=environment())
    recorder.subscribe(Store(clock))
    recorder.close()
    with pytest.raises(ConfigurationError, match="no event names the environment"):
        await replayed(tmp_path / "f.pw")


async def test_a_recording_without_looks_is_judged_every_second(tmp_path: Path) -> None:
    recorded = RecordedScene(tmp_path / "f.pw")
    for _ in range(70):
        recorded.lines(1)
    recorded.close()
    result = await replayed(tmp_path / "f.pw", bake_s=60.0)
    assert result.verdict.status != "pass"
    assert result.run.duration_ms >= 60_000


async def test_what_a_replay_compares_again_is_what_was_recorded(failed: Recorded) -> None:
    """The dashboard shows the recorded comparisons, the gate those that it makes again."""
    with SessionFile(failed.path) as file:
        clock = ReplayClock(file.header.started_at)
        shown = Store(clock)
        Player(file, clock, shown).play(file.duration_us)
    again = await replayed(failed.path)
    assert shown.comparisons == again.comparisons == failed.live.comparisons
    assert shown.compared_signatures == again.signatures
    assert shown.coverage == again.coverage
    assert shown.compared_releases


async def test_a_replay_knows_what_a_cleanup_at_the_end_left_behind(tmp_path: Path) -> None:
    shop = ShopGate("bad", tmp_path / "f.pw")
    cleanup = StepResult(name="undo", type="http", status=Status.ERROR, leftovers=("orders/1",))
    shop.session.cleaned = (result_of(CHECK, Status.PASS, shop.clock.now(), cleanup=(cleanup,)),)
    live = await shop.run(300)
    assert live.checks[0].cleanup == (cleanup,)
    again = await replayed(shop.path)
    assert again.verdict == live.verdict
    assert without_clock(again) == without_clock(live)
