"""Picture threads: never more than there are, the waiting booth first, and no turn ever lost."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from photochanger.media.threads import PictureThreads, Priority


@dataclass
class Work:
    """Counts how many of its calls are in threads at once; optionally holds them until `go` is set."""

    go: threading.Event = field(default_factory=threading.Event)
    now: int = 0
    most: int = 0
    order: list[object] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, name: object = None) -> object:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
            self.order.append(name)
        assert self.go.wait(30)
        with self.lock:
            self.now -= 1
        return name


async def until(condition: Callable[[], bool]) -> None:
    """Give other tasks and threads turns until `condition` holds."""
    with trio.fail_after(30):
        while not condition():  # noqa: ASYNC110 - threads are looked at, which set no trio.Event
            await trio.sleep(0.001)


async def test_the_result_and_the_failure_of_the_function_come_back() -> None:
    threads = PictureThreads(1)
    assert await threads.run(Priority.VERIFY, divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await threads.run(Priority.VERIFY, divmod, 7, 0)
    assert threads.state().running == 0


async def test_equal_priorities_keep_their_order_and_higher_ones_go_first() -> None:
    threads, work = PictureThreads(1), Work()
    asked = [
        Priority.PREVIEW,
        Priority.NORMALISE,
        Priority.VERIFY,
        Priority.PREVIEW,
        Priority.LATE,
        Priority.LAST_RESORT,
        Priority.VERIFY,
        Priority.NORMALISE,
    ]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(threads.run, Priority.PREVIEW, work, "first")
        await until(lambda: work.now == 1)
        for number, priority in enumerate(asked):
            nursery.start_soon(threads.run, priority, work, (priority, number))
            await until(partial(_are_queued, threads, number + 1))
        assert threads.state().queued == {
            Priority.VERIFY: 2,
            Priority.LAST_RESORT: 1,
            Priority.NORMALISE: 2,
            Priority.LATE: 1,
            Priority.PREVIEW: 2,
        }
        work.go.set()
    assert work.order[1:] == sorted((priority, number) for number, priority in enumerate(asked))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(list(Priority)), st.booleans()), min_size=3, max_size=12))
def test_those_who_leave_do_not_disturb_the_order_of_the_others(queued: list[tuple[Priority, bool]]) -> None:
    threads, work = PictureThreads(1), Work()

    async def leaver(priority: Priority, number: int, scope: trio.CancelScope) -> None:
        with scope:
            await threads.run(priority, work, (priority, number))

    async def main() -> None:
        scopes = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(threads.run, Priority.VERIFY, work, "first")
            await until(lambda: work.now == 1)
            for number, (priority, leaves) in enumerate(queued):
                scope = trio.CancelScope()
                nursery.start_soon(leaver, priority, number, scope)
                await trio.testing.wait_all_tasks_blocked()
                if leaves:
                    scopes.append(scope)
            for scope in scopes:
                scope.cancel()
            await trio.testing.wait_all_tasks_blocked()
            work.go.set()

    trio.run(main)
    assert work.order[1:] == sorted((p, n) for n, (p, leaves) in enumerate(queued) if not leaves)


async def test_no_kind_of_work_takes_all_threads() -> None:
    threads, work = PictureThreads(3), Work()
    async with trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(threads.run, Priority.NORMALISE, work, f"large photo {number}")
        await until(lambda: work.now == 2)
        assert threads.state().queued[Priority.NORMALISE] == 3
        nursery.start_soon(threads.run, Priority.VERIFY, work, "picture")
        await until(lambda: work.now == 3)
        assert work.order[-1] == "picture"
        nursery.start_soon(threads.run, Priority.PREVIEW, work, "preview")
        await until(lambda: threads.state().queued[Priority.PREVIEW] == 1)
        work.go.set()
    assert work.most == 3
    assert len(work.order) == 7


async def test_a_queued_task_that_is_cancelled_leaves_at_once_and_does_nothing() -> None:
    threads, work = PictureThreads(1), Work()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(threads.run, Priority.VERIFY, work, "running")
        await until(lambda: work.now == 1)
        with trio.CancelScope() as scope:
            nursery.start_soon(_cancel_when, scope, lambda: threads.state().queued[Priority.VERIFY] == 1)
            await threads.run(Priority.VERIFY, work, "queued")
        assert scope.cancelled_caught
        assert work.now == 1
        assert threads.state().queued[Priority.VERIFY] == 0
        work.go.set()
    assert work.order == ["running"]


async def test_a_running_function_is_waited_for_when_its_task_is_cancelled() -> None:
    threads, work = PictureThreads(1), Work()
    left = trio.Event()

    async def task(scope: trio.CancelScope) -> None:
        with scope:
            await threads.run(Priority.VERIFY, work)
        left.set()

    scope = trio.CancelScope()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(task, scope)
        await until(lambda: work.now == 1)
        scope.cancel()
        for _ in range(20):
            await trio.lowlevel.checkpoint()
        assert not left.is_set()
        assert threads.state().running == 1
        work.go.set()
    assert left.is_set()
    assert work.now == 0
    assert threads.state().running == 0


async def test_a_turn_handed_to_a_task_in_the_moment_of_its_cancellation_is_passed_on() -> None:
    threads, work = PictureThreads(1), Work()
    scope = trio.CancelScope()

    async def doomed() -> None:
        with scope:
            await threads.run(Priority.VERIFY, work, "doomed")

    async with trio.open_nursery() as nursery:
        await threads._take_turn(Priority.VERIFY)
        nursery.start_soon(doomed)
        await until(lambda: threads.state().queued[Priority.VERIFY] == 1)
        nursery.start_soon(threads.run, Priority.PREVIEW, work, "next")
        await until(lambda: threads.state().queued[Priority.PREVIEW] == 1)
        threads._pass_on(Priority.VERIFY)  # doomed is scheduled to go on ...
        scope.cancel()  # ... and cancelled before it does
        work.go.set()
    assert work.order == ["next"]
    assert threads.state().running == 0


job = st.tuples(
    st.sampled_from(list(Priority)),
    st.integers(0, 12),  # turns of the scheduler before it asks
    st.one_of(st.none(), st.integers(0, 25)),  # turns before it is cancelled
    st.booleans(),  # its function fails
)


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 4), st.lists(job, max_size=14))
def test_no_turn_is_lost_and_none_is_given_twice(
    workers: int, jobs: list[tuple[Priority, int, int | None, bool]]
) -> None:
    threads, work = PictureThreads(workers), Work()
    work.go.set()
    finished = 0

    def function(fails: bool) -> None:
        work()
        if fails:
            raise LookupError

    async def one(priority: Priority, delay: int, cancel_after: int | None, fails: bool) -> None:
        nonlocal finished
        async with trio.open_nursery() as nursery:
            with trio.CancelScope() as scope:
                if cancel_after is not None:
                    nursery.start_soon(_cancel_after, scope, cancel_after)
                for _ in range(delay):
                    await trio.lowlevel.checkpoint()
                try:
                    await threads.run(priority, function, fails)
                except LookupError:
                    assert fails
                state = threads.state()
                assert 0 <= state.running <= workers
            finished += 1

    async def main() -> None:
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                for each in jobs:
                    nursery.start_soon(one, *each)
            state = threads.state()
            assert state.running == 0
            assert not any(state.queued.values())
            for _ in range(threads.per_kind):  # all turns are still there
                await threads._take_turn(Priority.VERIFY)
            for _ in range(workers - threads.per_kind):
                await threads._take_turn(Priority.NORMALISE)
            assert threads.state().running == workers
            assert not any(threads.state().queued.values())

    trio.run(main)
    assert finished == len(jobs)
    assert work.most <= workers
    assert work.now == 0


def _are_queued(threads: PictureThreads, count: int) -> bool:
    return sum(threads.state().queued.values()) == count


async def _cancel_when(scope: trio.CancelScope, condition: Callable[[], bool]) -> None:
    await until(condition)
    scope.cancel()


async def _cancel_after(scope: trio.CancelScope, turns: int) -> None:
    for _ in range(turns):
        await trio.lowlevel.checkpoint()
    scope.cancel()
