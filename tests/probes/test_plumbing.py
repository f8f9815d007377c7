"""What probes share: deadlines, look-ups, the connection pool, files under the root."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from prodwatch.clock import SystemClock
from prodwatch.errors import UnusableError
from prodwatch.probes.connect import Timings, open_socket
from prodwatch.probes.deadline import Deadline
from prodwatch.probes.http.probe import probe
from prodwatch.probes.http.request import max_body_bytes
from prodwatch.probes.http_pool import Pool
from prodwatch.probes.name_resolution import Lookups, is_address, resolve
from prodwatch.probes.project_files import inside, read_inside
from prodwatch.testing.targets import answering, http_answer, probe_context, read_request, serving
from tests.support.waiting import turn


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


class TestDeadline:
    async def test_ends_what_takes_too_long(self) -> None:
        with pytest.raises(TimeoutError), Deadline(0.01) as deadline:
            await forever()
        assert deadline.expired

    async def test_leaves_alone_what_is_in_time(self) -> None:
        with Deadline(60) as deadline:
            await turn()
        assert not deadline.expired

    async def test_the_earliest_of_many_rings_first(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rung: list[float] = []
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        # Time stands still but for the test: a machine that halts for a moment would let several be due at once.
        monkeypatch.setattr(loop, "time", lambda: now_s)

        async def wait(seconds: float) -> None:
            try:
                with Deadline(seconds):
                    await forever()
            except TimeoutError:
                rung.append(seconds)

        waiting = asyncio.gather(*(wait(seconds) for seconds in (30.0, 10.0, 20.0)))
        while not waiting.done():
            await turn(5)
            now_s += 5.0
        await waiting
        assert rung == [10.0, 20.0, 30.0]

    async def test_inside_another(self) -> None:
        with Deadline(60) as outer:
            with pytest.raises(TimeoutError), Deadline(0.01) as inner:
                await forever()
            assert inner.expired
        assert not outer.expired

    async def test_the_outer_one_first(self) -> None:
        with pytest.raises(TimeoutError), Deadline(0.01) as outer, Deadline(60) as inner:
            await forever()
        assert (outer.expired, inner.expired) == (True, False)

    async def test_a_cancellation_stays_one(self) -> None:
        begun = asyncio.Event()

        async def work() -> None:
            with Deadline(60):
                begun.set()
                await forever()

        task = asyncio.ensure_future(work())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def test_a_cancellation_at_the_same_moment_stays_one(self) -> None:
        async def work() -> None:
            with Deadline(60) as deadline:
                deadline.expire()
                task.cancel()
                await forever()

        task = asyncio.ensure_future(work())
        with pytest.raises(asyncio.CancelledError):
            await task

    async def test_another_error_is_not_hidden(self) -> None:
        with pytest.raises(KeyError), Deadline(60):
            raise KeyError


class TestResolve:
    @pytest.mark.parametrize(
        ("host", "expected"),
        [
            ("127.0.0.1", True),
            ("::1", True),
            ("fe80::1%eth0", True),
            ("localhost", False),
            ("1.2.3", False),
            ("", False),
        ],
    )
    def test_addresses(self, host: str, expected: bool) -> None:
        assert is_address(host) is expected

    async def test_a_hanging_look_up_can_be_cancelled_and_forgotten(self, monkeypatch: pytest.MonkeyPatch) -> None:
        over = threading.Event()

        def hangs(*_rest: Any, **_options: Any) -> Any:
            over.wait(10)
            return []

        monkeypatch.setattr(socket, "getaddrinfo", hangs)
        task = asyncio.ensure_future(resolve("slow.example", 80))
        await turn()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        over.set()

    async def test_one_question_for_all_who_wait(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[str] = []
        answer = threading.Event()

        def look_up(host: str, port: int, *_rest: Any, **_options: Any) -> Any:
            asked.append(host)
            answer.wait(5)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        lookups = Lookups()
        waiting = [asyncio.ensure_future(lookups.resolve("shop.example", 80)) for _ in range(5)]
        await turn()
        waiting[0].cancel()
        answer.set()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(found[0], asyncio.CancelledError)
        assert [each[0][4] for each in found[1:] if isinstance(each, list)] == [("127.0.0.1", 80)] * 4
        assert asked == ["shop.example"]
        await lookups.resolve("shop.example", 80)
        assert len(asked) == 2  # answers are not kept: each new connection asks anew

    async def test_closing_gives_up_what_is_under_way(self, monkeypatch: pytest.MonkeyPatch) -> None:
        over = threading.Event()
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_rest, **_options: over.wait(10))
        lookups = Lookups()
        waiting = asyncio.ensure_future(lookups.resolve("slow.example", 80))
        await turn()
        await lookups.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        over.set()


class TestPool:
    async def test_a_connection_nobody_needs_any_more_is_closed(self) -> None:
        talk, _ = answering(http_answer())
        async with serving(talk) as server, Pool() as pool:
            timings = Timings(SystemClock().monotonic_s)
            connection = await pool.connection("127.0.0.1", server.port, timings, tls=False)
            connection.release()
            again = await pool.connection("127.0.0.1", server.port, timings, tls=False)
            assert again.reused
            again.close()
            assert not (await pool.connection("127.0.0.1", server.port, timings, tls=False)).reused
        gc.collect()  # an unclosed transport would warn now

    async def test_one_that_idled_too_long_is_not_used_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("prodwatch.probes.http_pool.KEPT_S", -1.0)
        talk, _ = answering(http_answer())
        async with serving(talk) as server, Pool() as pool:
            timings = Timings(SystemClock().monotonic_s)
            (await pool.connection("127.0.0.1", server.port, timings, tls=False)).release()
            assert not (await pool.connection("127.0.0.1", server.port, timings, tls=False)).reused

    async def test_N11_one_that_nobody_uses_again_is_closed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("prodwatch.probes.http_pool.KEPT_S", 0.0)
        left = asyncio.Event()

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(http_answer())
            assert await reader.read() == b""
            left.set()

        async with serving(talk) as server, probe_context() as context:
            await probe({"url": server.url}, context)
            await left.wait()  # the pool itself is still open

    async def test_N11_one_for_a_single_request_is_closed_after_it(self) -> None:
        talk, _ = answering(http_answer())
        async with serving(talk) as server, Pool() as pool:
            timings = Timings(SystemClock().monotonic_s)
            connection = await pool.connection("127.0.0.1", server.port, timings, tls=False, fresh=True)
            connection.release()
            assert not connection.protocol.is_connected()

    async def test_released_after_closing_it_is_closed(self) -> None:
        talk, _ = answering(http_answer())
        async with serving(talk) as server:
            pool = Pool()
            connection = await pool.connection("127.0.0.1", server.port, Timings(SystemClock().monotonic_s), tls=False)
            await pool.close()
            connection.release()
            assert not connection.protocol.is_connected()

    async def test_sessions_for_those_who_want_one(self) -> None:
        talk, requests = answering(http_answer(b"ok", Set_Cookie="a=1"))
        async with serving(talk) as server, Pool() as pool:
            assert pool.session() is pool.session()
            assert pool.session(verify_tls=False) is not pool.session()
            for _ in range(2):
                async with pool.session().get(server.url) as response:
                    assert await response.text() == "ok"
        assert b"cookie" not in requests[1].lower()
        assert b"User-Agent: prodwatch/" in requests[0]


async def test_every_address_is_tried(monkeypatch: pytest.MonkeyPatch, closed_port: int) -> None:
    async with serving(answering(b"")[0]) as server:

        async def both(_host: str, _port: int) -> Any:
            tcp = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
            return [(*tcp, ("127.0.0.1", closed_port)), (*tcp, ("127.0.0.1", server.port))]

        connected = await open_socket("shop.example", 80, Timings(SystemClock().monotonic_s), both)
        assert connected.getpeername()[1] == server.port
        connected.close()


class TestFiles:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        root = tmp_path / "root"
        (root / "sub").mkdir(parents=True)
        (root / "sub/event.json").write_bytes(b"{}")
        (tmp_path / "secret").write_text("hunter2")
        (root / "link").symlink_to(tmp_path / "secret")
        return root

    async def test_inside(self, root: Path) -> None:
        assert await read_inside(str(root), "sub/../sub/event.json") == b"{}"

    @pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "link", "sub/../../secret", "\0"])
    async def test_outside(self, root: Path, path: str) -> None:
        with pytest.raises(UnusableError) as caught:
            await read_inside(str(root), path)
        assert "hunter2" not in str(caught.value)

    @pytest.mark.parametrize("path", ["missing", "sub"])
    async def test_unreadable(self, root: Path, path: str) -> None:
        with pytest.raises(UnusableError, match=r"cannot be read|is not a file"):
            await read_inside(str(root), path)

    def test_the_root_itself(self, root: Path) -> None:
        assert inside(str(root), ".") == root.resolve()


@pytest.mark.parametrize(("written", "expected"), [("1MiB", 1 << 20), ("10kB", 10_000), (512, 512), ("0B", 0)])
def test_sizes(written: str | int, expected: int) -> None:
    assert max_body_bytes(written) == expected
