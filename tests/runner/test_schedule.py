"""Order, limits, serial groups, prerequisites, composites, diagnostics."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from prodwatch.model.check import CheckDefinition, Poll
from prodwatch.model.environment import Limits
from prodwatch.model.event import CheckFinished, CheckStarted, RunProgress
from prodwatch.testing.check_runner import Bench, by_id
from prodwatch.testing.definitions import composite, environment, flow, plain, step
from prodwatch.testing.probes import denied, refused


def ok(id_: str, **check: Any) -> CheckDefinition:
    return plain(id_, expect=["ok == true"], check=check)


def red(id_: str, **check: Any) -> CheckDefinition:
    return plain(id_, type="red", expect=["ok == true"], check=check)


@pytest.fixture
def both(bench: Bench) -> Bench:
    bench.script("scripted", {"ok": True})
    bench.script("red", {"ok": False})
    return bench


def holding(lock: Path) -> subprocess.Popen[str]:
    """Return a process that holds a lock file until something is written to it."""
    program = textwrap.dedent(
        """
        import fcntl, sys
        file = open(sys.argv[1], "r+")
        fcntl.flock(file, fcntl.LOCK_EX)
        print("held", flush=True)
        sys.stdin.read()
        """
    )
    command = [sys.executable, "-c", program, str(lock)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


class TestLimits:
    async def test_no_more_than_concurrency_at_once(self, bench: Bench) -> None:
        probe = bench.script("scripted", {"ok": True}, takes_s=1)
        bench.environment = environment(limits=Limits(concurrency=3))
        await bench.run(*(ok(f"c{n}") for n in range(10)))
        assert probe.most_at_once == 3
        assert bench.clock.monotonic_s() == pytest.approx(4)

    async def test_jobs_overrides_concurrency(self, bench: Bench) -> None:
        probe = bench.script("scripted", {"ok": True}, takes_s=1)
        await bench.run(*(ok(f"c{n}") for n in range(10)), jobs=2)
        assert probe.most_at_once == 2

    @pytest.mark.parametrize(
        ("keys", "most"),
        [
            ({"url": "https://one.example/a"}, 2),
            ({"host": "ONE.example", "port": 5432}, 2),
            ({"url": "https://user:pw@one.example:8443/x?y#z"}, 2),
        ],
    )
    async def test_per_host(self, bench: Bench, keys: Any, most: Any) -> None:
        probe = bench.script("scripted", {"ok": True}, takes_s=1)
        bench.environment = environment(limits=Limits(per_host=2))
        checks = (plain(f"c{n}", expect=["ok == true"], **keys) for n in range(6))
        await bench.run(*checks)
        assert probe.most_at_once == most

    async def test_per_service(self, bench: Bench) -> None:
        probe = bench.script("table", {"ok": True}, takes_s=1, service="dynamodb")
        bench.environment = environment(limits=Limits(per_service=2))
        await bench.run(*(plain(f"c{n}", type="table", expect=["ok == true"]) for n in range(6)))
        assert probe.most_at_once == 2

    async def test_a_hung_host_holds_up_nobody_else(self, bench: Bench) -> None:
        bench.script("scripted", {"ok": True}, takes_s=1000)
        quick = bench.script("quick", {"ok": True}, takes_s=0.01)
        bench.environment = environment(limits=Limits(concurrency=4, per_host=2))
        hung = (plain(f"h{n}", url="https://hung.example/", expect=["ok == true"], timeout_s=5.0) for n in range(8))
        others = [plain(f"q{n}", type="quick", url="https://quick.example/", expect=["ok == true"]) for n in range(20)]
        result = await bench.run(*hung, *others)
        assert max(request.at_s for request in quick.requests) < 1
        assert result.summary.passed == 20
        assert bench.clock.monotonic_s() < 8 / 2 * 5.2

    async def test_a_runs_wall_time_is_its_slowest_chain(self, bench: Bench) -> None:
        bench.script("scripted", {"ok": True}, takes_s=2)
        chain = [ok("a"), ok("b", needs=("a",)), ok("c", needs=("b",))]
        await bench.run(*chain, *(ok(f"c{n}") for n in range(20)))
        assert bench.clock.monotonic_s() <= 6 * 1.05


class TestSerial:
    async def test_one_at_a_time_cleanup_included(self, bench: Bench) -> None:
        probe = bench.script("scripted", {"ok": True}, takes_s=1)
        flows = [flow(f"f{n}", step("a"), cleanup=(step("z"),), serial="queue") for n in range(3)]
        await bench.run(*flows, ok("free"))
        assert probe.most_at_once == 2
        assert bench.clock.monotonic_s() == pytest.approx(6)

    async def test_a_group_may_be_named_by_reference(self, bench: Bench) -> None:
        probe = bench.script("scripted", {"ok": True}, takes_s=1)
        bench.environment = environment(vars={"queue": "inbox"})
        await bench.run(*(ok(f"c{n}", serial="${vars.queue}") for n in range(3)))
        assert probe.most_at_once == 1

    async def test_other_groups_run_at_the_same_time(self, bench: Bench) -> None:
        probe = bench.script("scripted", {"ok": True}, takes_s=1)
        await bench.run(ok("a", serial="one"), ok("b", serial="two"))
        assert probe.most_at_once == 2

    async def test_another_process_on_this_machine_waits_too(self, bench: Bench) -> None:
        """While another process holds the group's lock file, the check here does not begin."""
        bench.script("scripted", {"ok": True})
        await bench.run(ok("a", serial="queue"))
        (lock,) = (bench.journal_dir / "locks").glob("*.lock")
        holder = holding(lock)
        result = await bench.run(ok("a", serial="queue"), ok("free"), deadline_s=30)
        assert [each.status for each in result.checks] == ["inconclusive", "pass"]
        holder.communicate("")
        assert (await bench.run(ok("a", serial="queue"))).verdict.exit_code == 0

    async def test_without_a_lock_file_the_check_is_not_run(self, bench: Bench) -> None:
        probe = bench.script("scripted", {"ok": True})
        bench.journal_dir.write_text("in the way")
        check = await bench.one(ok("a", serial="queue"))
        assert (check.status, check.reason_code) == ("error", "unavailable")
        assert probe.requests == []


class TestNeeds:
    async def test_blocked_by_what_did_not_pass(self, both: Any) -> None:
        result = await both.run(red("a"), ok("b", needs=("a",)), ok("c", needs=("b",)))
        _, b, c = result.checks
        assert (b.status, b.reason_code) == ("skipped", "prerequisite")
        assert (b.message or "").startswith("blocked by a (fail)")
        assert (c.message or "").startswith("blocked by b (skipped)")

    async def test_what_is_needed_runs_though_nobody_selected_it_and_counts_through_the_other(self, both: Any) -> None:
        result = await both.run(ok("b", needs=("a",)), others=[red("a")])
        assert [(each.id, each.flags) for each in result.checks] == [("b", ()), ("a", ("supporting",))]
        assert result.summary.total == 1
        assert result.verdict.exit_code == 4

    async def test_a_circle_is_an_error_not_a_hang(self, both: Any) -> None:
        result = await both.run(ok("a", needs=("b",)), ok("b", needs=("a",)), ok("c"))
        assert [each.status for each in result.checks] == ["error", "error", "pass"]

    async def test_a_needed_check_that_does_not_exist_blocks(self, both: Bench) -> None:
        check = await both.one(ok("b", needs=("gone",)))
        assert (check.status, check.reason_code) == ("skipped", "prerequisite")
        assert check.message == "blocked by gone: no check has this id"

    async def test_a_needed_check_of_another_environment_blocks(self, both: Any) -> None:
        result = await both.run(ok("b", needs=("a",)), others=[ok("a", environments=("prod",))])
        assert result.checks[0].status == "skipped"
        assert "it is for prod only" in (result.checks[0].message or "")


class TestComposites:
    async def test_composites_of_each_other_are_refused_and_end(self, both: Bench) -> None:
        result = await both.run(composite("a", "all", "b"), composite("b", "any", "a"))
        assert [(each.status, each.reason_code) for each in result.checks] == [("error", "invalid")] * 2

    async def test_none_of_a_member_that_proved_nothing_is_not_green(self, both: Bench) -> None:
        both.script("empty", {"items": []})
        unproven = plain("unproven", type="empty", expect=["all items[*] == 1"])
        result = await both.run(composite("whole", "none", "unproven"), others=[unproven])
        assert by_id(result)["whole"].status == "inconclusive"

    async def test_an_own_assertion_that_is_true_hides_no_degraded_member(self, both: Bench) -> None:
        warned = plain("warned", expect=["ok == true"], warn=["ok == false"])
        whole = composite("whole", "all", "warned", expect=("passed == 1",))
        result = await both.run(whole, others=[warned])
        assert by_id(result)["whole"].status == "degraded"

    @pytest.mark.parametrize(
        ("type_", "members", "status"),
        [
            ("all", ("ok", "ok"), "pass"),
            ("all", ("ok", "warned"), "degraded"),
            ("all", ("ok", "red"), "fail"),
            ("all", ("ok", "denied"), "error"),
            ("all", ("denied", "red"), "fail"),
            ("all", ("ok", "off"), "inconclusive"),
            ("any", ("red", "ok"), "pass"),
            ("any", ("red", "warned"), "degraded"),
            ("any", ("red", "red"), "fail"),
            ("any", ("red", "denied"), "fail"),
            ("any", ("off", "denied"), "error"),
            ("any", ("off",), "inconclusive"),
            ("none", ("red", "red"), "pass"),
            ("none", ("red", "ok"), "fail"),
            ("none", ("red", "denied"), "error"),
            ("none", ("red", "off"), "inconclusive"),
            ("all", (), "inconclusive"),
            ("none", (), "inconclusive"),
        ],
    )
    async def test_what_members_say_together(self, both: Any, type_: Any, members: Any, status: Any) -> None:
        both.script("denied", denied())
        kinds: dict[str, Callable[[str], CheckDefinition]] = {
            "ok": ok,
            "red": red,
            "warned": lambda id_: plain(id_, expect=["ok == true"], warn=["ok == false"]),
            "denied": lambda id_: plain(id_, type="denied", expect=["ok == true"]),
            "off": lambda id_: ok(id_, enabled=False),
        }
        others = [kinds[kind](f"m{n}") for n, kind in enumerate(members)]
        check = (await both.run(composite("both", type_, *(each.id for each in others)), others=others)).checks[0]
        assert check.status == status
        assert check.members == tuple(each.id for each in others)
        assert (check.reason_code is None) == (status == "pass")

    @pytest.mark.parametrize(
        ("type_", "members", "message"),
        [
            ("all", ("ok", "red", "red"), "2 of 3 members not green, first m1: `ok` is false, not true"),
            ("all", ("ok", "warned"), "1 of 2 members degraded, first m1: `ok` is true, not false"),
            ("any", ("red", "denied"), "1 of 2 members not green, first m0: `ok` is false, not true"),
            ("none", ("red", "ok"), "1 of 2 members green, and none may be, first m1"),
            ("none", ("red", "denied"), "1 of 2 members not green, first m1: the identity lacks dynamodb:GetItem"),
        ],
    )
    async def test_the_message_names_the_first_member_to_blame_and_quotes_it(
        self, both: Bench, type_: str, members: tuple[str, ...], message: str
    ) -> None:
        both.script("denied", denied())
        kinds: dict[str, Callable[[str], CheckDefinition]] = {
            "ok": ok,
            "red": red,
            "warned": lambda id_: plain(id_, expect=["ok == true"], warn=["ok == false"]),
            "denied": lambda id_: plain(id_, type="denied", expect=["ok == true"]),
        }
        others = [kinds[kind](f"m{n}") for n, kind in enumerate(members)]
        result = await both.run(composite("c", type_, *(member.id for member in others)), others=others)
        assert result.checks[0].message == message

    async def test_members_count_through_the_composite_alone(self, both: Any) -> None:
        result = await both.run(composite("any", "any", "a", "b"), others=[red("a"), ok("b")])
        assert result.verdict.exit_code == 0
        assert [each.id for each in result.checks] == ["any", "a", "b"]

    async def test_a_composite_that_requires_a_missing_value_is_skipped_and_starts_no_member(self, both: Bench) -> None:
        check = composite("c", "all", "a", requires=("env.NOWHERE",))
        result = await both.run(check, others=[ok("a")])
        assert [(result.id, result.status, result.reason_code) for result in result.checks] == [
            ("c", "skipped", "prerequisite")
        ]

    async def test_a_composite_may_expect_more(self, both: Any) -> None:
        others = [ok("a"), red("b"), ok("c")]
        two = composite("two", "any", "a", "b", "c", expect=("passed >= 2",))
        three = composite("three", "any", "a", "b", "c", expect=("passed >= 3",))
        result = await both.run(two, three, others=others)
        assert [each.status for each in result.checks[:2]] == ["pass", "fail"]


class TestDiagnostics:
    async def test_they_run_by_themselves_under_a_red_smoke_check_and_change_nothing(self, both: Any) -> None:
        smoke = red("smoke", diagnose=("db", "dns"))
        others = [red("db", kind="diagnostic"), ok("dns", kind="diagnostic")]
        result = await both.run(smoke, ok("fine", diagnose=("db",)), others=others)
        assert [each.id for each in result.checks] == ["smoke", "fine"]
        assert [(each.id, each.status) for each in result.checks[0].diagnosed_by] == [("db", "fail"), ("dns", "pass")]
        assert result.checks[1].diagnosed_by == ()
        assert result.summary.total == 2

    async def test_a_green_smoke_check_needs_none(self, both: Any) -> None:
        result = await both.run(ok("smoke", diagnose=("db",)), others=[red("db", kind="diagnostic")])
        assert result.verdict.exit_code == 0
        assert result.checks[0].diagnosed_by == ()

    async def test_each_runs_once_however_many_name_it(self, both: Any) -> None:
        probe = both.script("db", {"ok": False})
        db = plain("db", type="db", expect=["ok == true"], check={"kind": "diagnostic"})
        result = await both.run(*(red(f"s{n}", diagnose=("db",)) for n in range(3)), others=[db])
        assert len(probe.requests) == 1
        assert all(each.diagnosed_by for each in result.checks)

    async def test_no_diagnose(self, both: Any) -> None:
        probe = both.script("db", {"ok": False})
        db = plain("db", type="db", expect=["ok == true"], check={"kind": "diagnostic"})
        await both.run(red("s", diagnose=("db",)), others=[db], no_diagnose=True)
        assert probe.requests == []

    async def test_selected_they_count(self, both: Any) -> None:
        result = await both.run(red("db", kind="diagnostic"))
        assert result.verdict.exit_code == 1

    async def test_checks_that_diagnose_each_other_do_not_wait_for_each_other(self, both: Any) -> None:
        result = await both.run(red("a", diagnose=("b",)), red("b", diagnose=("a",)))
        assert [each.diagnosed_by[0].id for each in result.checks] == ["b", "a"]


class TestFailFast:
    async def test_nothing_more_begins_after_the_first_red(self, both: Any) -> None:
        probe = both.script("scripted", {"ok": True}, takes_s=1)
        result = await both.run(red("a"), *(ok(f"c{n}") for n in range(10)), fail_fast=True, jobs=2)
        assert len(probe.requests) <= 2
        skipped = [each for each in result.checks if each.status == "skipped"]
        assert len(skipped) >= 8
        assert {each.reason_code for each in skipped} == {"limit"}
        assert "after a" in (skipped[0].message or "")
        assert result.verdict.exit_code == 1

    async def test_no_diagnostics_start_after_the_stop(self, both: Bench) -> None:
        probe = both.script("db", {"ok": False})
        db = plain("db", type="db", expect=["ok == true"], check={"kind": "diagnostic"})
        result = await both.run(red("a", diagnose=("db",)), others=[db], deadline_s=5)
        assert len(probe.requests) == 1
        both.script("slow", {"ok": False}, takes_s=10)
        slow = plain("slow", type="slow", expect=["ok == true"], timeout_s=20.0, check={"diagnose": ("db",)})
        result = await both.run(slow, others=[db], deadline_s=5)
        assert (result.checks[0].reason_code, result.checks[0].diagnosed_by) == ("deadline", ())
        assert len(probe.requests) == 1

    async def test_nothing_starts_while_the_first_red_is_diagnosed(self, both: Bench) -> None:
        db = both.script("db", {"ok": True}, takes_s=5)
        queued = both.script("scripted", {"ok": True}, takes_s=1)
        why = plain("why", type="db", expect=["ok == true"], check={"kind": "diagnostic"})
        checks = (red("a", diagnose=("why",)), *(ok(f"c{n}") for n in range(10)))
        result = await both.run(*checks, others=[why], fail_fast=True, jobs=2)
        assert (len(db.requests), len(queued.requests)) == (0, 1)
        assert result.summary.skipped == 9

    async def test_advisory_checks_stop_nothing(self, both: Any) -> None:
        result = await both.run(red("a", advisory=True), *(ok(f"c{n}") for n in range(5)), fail_fast=True, jobs=1)
        assert result.summary.passed == 5


class TestChains:
    async def test_what_others_wait_for_goes_first_and_the_longest_row_before_all(self, bench: Bench) -> None:
        bench.script("scripted", {"ok": True}, takes_s=1)
        others = [ok(f"o{n}") for n in range(4)]
        chain = [ok("c", needs=("b",)), ok("b", needs=("a",)), ok("a"), ok("y", needs=("x",)), ok("x")]
        await bench.run(*others, *chain, jobs=1)
        begun = [event.id for event in bench.events if isinstance(event, CheckStarted)]
        assert begun == ["a", "x", "b", "y", "c", "o0", "o1", "o2", "o3"]

    async def test_a_run_lasts_as_long_as_its_slowest_chain(self, bench: Bench) -> None:
        bench.script("scripted", {"ok": True}, takes_s=1)
        chain = [ok(f"l{n}", needs=(f"l{n - 1}",) if n else ()) for n in range(10)]
        others = [ok(f"o{n}") for n in range(30)]
        await bench.run(*others, *reversed(chain), jobs=5)
        # It waits for a free place once, among requests that all take the same second.
        assert bench.clock.monotonic_s() <= 11

    async def test_nor_does_a_chain_queue_for_its_host(self, bench: Bench) -> None:
        bench.script("http", {"status": 200}, takes_s=1)
        bench.environment = environment(limits=Limits(concurrency=50, per_host=2))
        page: dict[str, Any] = {"type": "http", "url": "https://shop.example/", "expect": ["status == 200"]}
        chain = [plain(f"l{n}", check={"needs": (f"l{n - 1}",)} if n else None, **page) for n in range(5)]
        others = [plain(f"o{n}", **page) for n in range(10)]
        result = await bench.run(*others, *reversed(chain))
        assert result.summary.passed == 15
        # Fifteen seconds of requests, two at a time; the chain alone needs five of them.
        assert bench.clock.monotonic_s() == 8


class TestSwitches:
    @pytest.mark.parametrize(
        ("check", "reason", "says"),
        [
            ({"enabled": False}, "disabled", "enabled = false"),
            ({"muted_until": "2026-01-16"}, "muted", "muted until 2026-01-16"),
            ({"muted_until": "2026-01-15T12:00:01Z"}, "muted", "muted until"),
            ({"mutates": True}, "protected", "--allow-writes"),
            (
                {"vantage": ("a", "b")},
                "prerequisite",
                "from a or b only, and this place has no name: set PROD",
            ),
        ],
    )
    async def test_skipped_with_the_reason(self, bench: Bench, check: Any, reason: Any, says: Any) -> None:
        probe = bench.script("scripted", {"ok": True})
        bench.environment = environment(protected=True)
        result = await bench.one(ok("a", **check))
        assert (result.status, result.reason_code) == ("skipped", reason)
        assert says in (result.message or "")
        assert probe.requests == []

    @pytest.mark.parametrize(
        "check",
        [
            {"mutates": True},
            {"muted_until": "2026-01-16"},
            {"enabled": False},
            {"environments": ("prod",)},
            {"vantage": ("a",)},
        ],
        ids=lambda check: next(iter(check)),
    )
    async def test_a_green_prerequisite_never_runs_a_check_that_must_not_run(self, bench: Bench, check: Any) -> None:
        bench.script("green", {"ok": True})
        probe = bench.script("scripted", {"ok": True})
        bench.environment = environment(protected=True)
        needed = plain("needed", type="green", expect=["ok == true"])
        result = await bench.run(needed, ok("a", needs=("needed",), **check))
        assert by_id(result)["needed"].status == "pass"
        assert by_id(result)["a"].status == "skipped"
        assert probe.requests == []

    @pytest.mark.parametrize("check", [{"mutates": True}, {"enabled": False}], ids=["protected", "disabled"])
    async def test_a_check_that_must_not_run_does_not_start_the_checks_it_needs(self, bench: Bench, check: Any) -> None:
        probe = bench.script("scripted", {"ok": True})
        bench.environment = environment(protected=True)
        result = await bench.run(ok("a", needs=("needed",), **check), others=[ok("needed")])
        assert [(result.id, result.status) for result in result.checks] == [("a", "skipped")]
        assert probe.requests == []

    async def test_a_check_that_mutates_runs_where_writes_are_not_protected(self, bench: Bench) -> None:
        bench.script("scripted", {"ok": True})
        bench.environment = environment(protected=False)
        assert (await bench.one(ok("a", mutates=True))).status == "pass"

    @pytest.mark.parametrize("until", ["2026-01-15", "2026-01-15T12:00:00Z", "2026-01-15T11:59:59"])
    async def test_muting_ends_by_itself(self, bench: Bench, until: Any) -> None:
        bench.script("scripted", {"ok": True})
        assert (await bench.one(ok("a", muted_until=until))).status == "pass"

    async def test_a_check_runs_at_the_places_it_is_written_for(self, bench: Bench) -> None:
        bench.script("scripted", {"ok": True})
        bench.environ["PRODWATCH_VANTAGE"] = "b"
        assert (await bench.one(ok("a", vantage=("a", "b")))).status == "pass"
        other = await bench.one(ok("a", vantage=("a",)))
        assert (other.status, other.message) == (
            "skipped",
            "not run: it is to be run from a only, and this place is b",
        )

    async def test_allow_writes_runs_what_mutates(self, bench: Bench) -> None:
        bench.script("scripted", {"ok": True})
        bench.environment = environment(protected=True)
        result = await bench.one(ok("a", mutates=True), allow_writes=True)
        assert (result.status, result.flags) == ("pass", ("mutating",))

    async def test_a_protected_diagnostic_stays_unsent_too(self, bench: Bench) -> None:
        probe = bench.script("scripted", {"ok": False})
        bench.environment = environment(protected=True)
        writing = ok("d", kind="diagnostic", mutates=True)
        result = await bench.run(ok("a", diagnose=("d",)), others=[writing])
        assert result.checks[0].diagnosed_by[0].reason_code == "protected"
        assert len(probe.requests) == 1


@pytest.mark.parametrize(
    ("answer", "status", "diagnosed", "stops"),
    [
        ({"ok": True}, "pass", False, False),
        ({"ok": True, "warned": True}, "degraded", True, False),
        ({"ok": False}, "fail", True, True),
        (denied(), "error", True, True),
        ({"ok": []}, "inconclusive", True, False),
    ],
    ids=["pass", "degraded", "fail", "error", "inconclusive"],
)
async def test_which_results_are_diagnosed_and_which_end_a_run(
    both: Bench, answer: Any, status: str, diagnosed: bool, stops: bool
) -> None:
    both.script("first", answer)
    expect = ["all ok[*] == 1" if status == "inconclusive" else "ok == true"]
    first = plain("a", type="first", expect=expect, warn=["warned absent"], check={"diagnose": ("d",)})
    result = await both.run(first, others=[ok("d", kind="diagnostic")])
    assert by_id(result)["a"].status == status
    assert len(by_id(result)["a"].diagnosed_by) == diagnosed
    ended = await both.run(first, ok("z"), fail_fast=True, jobs=1, no_diagnose=True)
    assert by_id(ended)["z"].status == ("skipped" if stops else "pass")


class TestSelfCheck:
    @pytest.mark.parametrize(
        ("network", "status", "reason"),
        [(refused("no route"), "error", "network"), ({"status": 200}, "fail", "connect")],
        ids=["our network is down too", "only the target is"],
    )
    async def test_it_tells_our_network_from_the_target(
        self, bench: Bench, network: Any, status: Any, reason: Any
    ) -> None:
        neutral = bench.script("http", network)
        bench.script("scripted", refused())
        bench.environment = environment(limits=Limits(self_check="https://neutral.example/"))
        result = await bench.run(ok("a"), ok("b"))
        assert {(each.status, each.reason_code) for each in result.checks} == {(status, reason)}
        assert len(neutral.requests) == 1

    async def test_a_false_assertion_needs_none(self, bench: Bench) -> None:
        neutral = bench.script("http", refused())
        bench.script("scripted", {"ok": False})
        bench.environment = environment(limits=Limits(self_check="https://neutral.example/"))
        assert (await bench.one(ok("a"))).status == "fail"
        assert neutral.requests == []


class TestListener:
    async def test_it_hears_every_check_begin_and_end_and_how_far_the_run_is(self, both: Any) -> None:
        await both.run(ok("a"), red("b", diagnose=("d",)), others=[ok("d", kind="diagnostic")])
        begun = [each.id for each in both.events if isinstance(each, CheckStarted)]
        ended = [each.result.id for each in both.events if isinstance(each, CheckFinished)]
        progress = [(each.done, each.total) for each in both.events if isinstance(each, RunProgress)]
        assert sorted(begun) == sorted(ended) == ["a", "b", "d"]
        assert progress == [(1, 2), (2, 2)]

    async def test_B12_it_hears_the_trace_id_before_the_requests_that_carry_it(self, bench: Bench) -> None:
        known: list[set[str | None]] = []

        def respond(_params: Any) -> dict[str, Any]:
            known.append({each.trace_id for each in bench.events if isinstance(each, CheckStarted)})
            return {"ok": True}

        probe = bench.script("scripted", respond)
        await bench.run(ok("a"), ok("b"))
        sent = [each.context.trace_id for each in probe.requests]
        assert len(set(sent)) == 2
        assert all(trace_id in told for trace_id, told in zip(sent, known, strict=True))

    async def test_a_red_check_is_reported_with_its_diagnostics(self, both: Any) -> None:
        await both.run(red("b", diagnose=("d",)), others=[ok("d", kind="diagnostic")])
        last = [each.result for each in both.events if isinstance(each, CheckFinished)][-1]
        assert (last.id, [each.id for each in last.diagnosed_by]) == ("b", ["d"])


async def test_the_deadline_of_a_run_cuts_off_waits_and_cleans_up(bench: Bench) -> None:
    bench.script("scripted", {"ok": False})
    removing = bench.script("removing", {"deleted": True})
    waiting = flow(
        "waits",
        step("wait", expect=["ok == true"], poll=Poll(within_s=600, every_s=1)),
        cleanup=(step("remove", "removing"),),
        timeout_s=900.0,
    )
    result = await bench.run(waiting, deadline_s=10)
    assert by_id(result)["waits"].reason_code == "deadline"
    assert len(removing.requests) == 1
    assert bench.clock.monotonic_s() < 11


@pytest.mark.parametrize("by", ["needs", "serial"])
async def test_a_chain_does_not_queue_behind_everybody_again_and_again(bench: Bench, by: str) -> None:
    probe = bench.script("scripted", {"ok": True}, takes_s=1)
    if by == "serial":
        chain = [ok(f"a{n}", serial="queue") for n in range(4)]
    else:
        chain = [ok("a0"), *(ok(f"a{n}", needs=(f"a{n - 1}",)) for n in (1, 2, 3))]
    await bench.run(*chain, *(ok(f"c{n}") for n in range(20)), jobs=2)
    assert bench.clock.monotonic_s() == pytest.approx(12)
    assert probe.most_at_once == 2


async def test_diagnostics_do_not_wait_for_the_rest_of_the_queue(both: Bench) -> None:
    both.script("scripted", {"ok": True}, takes_s=1)
    diagnosing = both.script("db", {"ok": True})
    db = plain("db", type="db", expect=["ok == true"], check={"kind": "diagnostic"})
    await both.run(red("a", diagnose=("db",)), *(ok(f"c{n}") for n in range(20)), others=[db], jobs=1)
    assert diagnosing.requests[0].at_s <= 1
