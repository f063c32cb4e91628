"""The queue's server: found, started, replaced when it dies, gone when we are; and hints that never hurt."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from app.config import Settings, SettingsError
from workers import queue as queue_module
from workers.queue import EmbeddedServer, Queue, found_programs, open_queue

ROOT = Path(__file__).resolve().parents[2]


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.01)


def lives(process_id: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{process_id}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.fixture(params=found_programs(), ids=lambda program: Path(program).parent.name)
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EmbeddedServer]:
    started = EmbeddedServer(request.param, tmp_path)
    assert await started.start()
    yield started
    await started.stop()


async def jobs(queue: Queue) -> list[tuple[str, list[str]]]:
    redis = queue.connect(1.0)
    try:
        return sorted((job.function, list(job.args)) for job in await redis.queued_jobs())
    finally:
        await redis.aclose()


async def test_a_task_is_queued_once_however_often_it_is_asked_for(server: EmbeddedServer) -> None:
    queue = Queue(server.url)
    for _ in range(3):
        await until(lambda: queue.enqueue("make_thumbnail", "a"))
    await until(lambda: queue.enqueue_again("make_thumbnail", "a"))
    await until(lambda: queue.enqueue_again("make_thumbnail", "b"))
    assert await jobs(queue) == [("make_thumbnail", ["a", "job"]), ("make_thumbnail", ["b", "sweep"])]
    await queue.close()


async def test_a_server_that_answers_late_is_waited_for_and_one_that_never_does_only_so_long(tmp_path: Path) -> None:
    late = EmbeddedServer(found_programs()[0], tmp_path)
    queue = Queue(late.url)
    await asyncio.wait_for(queue.wait_heard(0.2), 5)
    waiting = asyncio.create_task(queue.wait_heard(30))
    assert await late.start()
    await asyncio.wait_for(waiting, 10)
    assert await queue.enqueue("make_thumbnail", "a")
    await queue.close()
    await late.stop()


async def test_ctrl_c_does_not_reach_the_server(server: EmbeddedServer) -> None:
    assert server.process_id is not None
    assert os.getpgid(server.process_id) == server.process_id


async def test_a_killed_server_is_replaced_and_takes_tasks_again(server: EmbeddedServer) -> None:
    queue = Queue(server.url)
    await until(lambda: queue.enqueue("make_thumbnail", "a"))
    killed = server.process_id
    assert killed is not None
    os.kill(killed, signal.SIGKILL)

    async def is_back() -> bool:
        return server.process_id not in (None, killed) and await queue.enqueue("make_thumbnail", "b")

    await until(is_back)
    assert await jobs(queue) == [("make_thumbnail", ["b", "job"])]
    await queue.close()


async def test_a_server_that_hangs_or_is_away_costs_a_caller_a_quarter_of_a_second_at_most(
    server: EmbeddedServer,
) -> None:
    queue = Queue(server.url)
    assert server.process_id is not None
    os.kill(server.process_id, signal.SIGSTOP)
    started = time.monotonic()
    results = await asyncio.gather(*(queue.enqueue("make_thumbnail", str(n)) for n in range(50)))
    assert time.monotonic() - started < 0.5
    assert results == [False] * 50
    started = time.monotonic()
    assert not await queue.enqueue("make_thumbnail", "later")
    assert time.monotonic() - started < 0.05
    os.kill(server.process_id, signal.SIGCONT)
    await queue.close()


async def test_a_queue_nobody_answers_is_only_a_lost_hint(tmp_path: Path) -> None:
    queue = Queue(f"unix://{tmp_path}/nobody.sock")
    assert not await queue.enqueue("make_thumbnail", "a")
    await queue.close()


async def test_a_stopped_server_leaves_neither_process_nor_socket(tmp_path: Path) -> None:
    async with open_queue(Settings(data=tmp_path)) as queue:
        await until(lambda: queue.enqueue("make_thumbnail", "a"))
        assert (tmp_path / "queue" / "redis.sock").exists()
    assert not (tmp_path / "queue" / "redis.sock").exists()
    assert not await queue.enqueue("make_thumbnail", "b")


async def test_a_data_folder_with_a_long_name_is_no_obstacle(tmp_path: Path) -> None:
    async with open_queue(Settings(data=tmp_path / ("x" * 120))) as queue:
        await until(lambda: queue.enqueue("make_thumbnail", "a"))


async def test_a_data_folder_with_an_odd_name_is_no_obstacle(tmp_path: Path) -> None:
    async with open_queue(Settings(data=tmp_path / "a b%20ü?#")) as queue:
        await until(lambda: queue.enqueue("make_thumbnail", "a"))


async def test_a_program_that_does_not_start_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    working = found_programs()[0]
    monkeypatch.setattr(queue_module, "found_programs", lambda: ["/bin/false", working])
    async with open_queue(Settings(data=tmp_path)) as queue:
        await until(lambda: queue.enqueue("make_thumbnail", "a"))
    monkeypatch.setattr(queue_module, "found_programs", lambda: ["/bin/false"])
    with pytest.raises(SettingsError, match="Install redis-server"):
        async with open_queue(Settings(data=tmp_path)):
            pass


async def test_a_named_server_is_used_and_none_is_started(server: EmbeddedServer, tmp_path: Path) -> None:
    async with open_queue(Settings(data=tmp_path / "data", redis_url=server.url)) as queue:
        await until(lambda: queue.enqueue("make_thumbnail", "a"))
    assert not (tmp_path / "data").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="the death signal of a parent is Linux's")
@pytest.mark.parametrize("program", found_programs(), ids=lambda program: Path(program).parent.name)
async def test_the_server_dies_with_us_even_when_we_are_killed(tmp_path: Path, program: str) -> None:
    main = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom workers.queue import EmbeddedServer\n"
        "async def main():\n"
        "    server = EmbeddedServer(sys.argv[1], Path(sys.argv[2]))\n"
        "    assert await server.start()\n"
        "    print(server.process_id, flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", main, program, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert lives(child)
    parent.kill()
    parent.wait()

    async def is_gone() -> bool:
        return not lives(child)

    await until(is_gone)
