"""Cancelled, stopped or crashed after every single step: nothing is left, nothing is lost, nobody waits for ever.

A step is one turn of one task in Trio's loop. k goes up until a run comes to its end undisturbed, so every checkpoint
of every task that takes part is met. Trio shuffles the tasks that can run at the same time; `orders` runs each test
under several such shuffles, which Hypothesis can repeat.
"""

import logging
from collections.abc import Callable, Iterator

import pytest
import trio
from hypothesis import event, given, settings
from hypothesis import strategies as st

from supervisors import Admission, Backoff, Child, Permits, SupervisionError, Supervisor
from tests.supervisors.lab import Boom, CrashAt, Diary, Script, Scripted, Steps, run_mock

AT_ONCE = Backoff(first=0, max=0)


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def orders(test: Callable[..., None]) -> Callable[..., None]:
    return settings(max_examples=3, deadline=None)(given(shuffle=st.random_module())(test))


def until_undisturbed(run: Callable[[int], bool], at_least: int) -> None:
    """`run(k)` says whether step k came; there must be enough steps for the test to mean something."""
    k = 1
    while run(k):
        k += 1
    assert k > at_least, k
    event(f"{k - 1} steps")


class Visitors:
    """Requests of all kinds that come, wait, hold a permit for a moment and go."""

    def __init__(self) -> None:
        self.permits = Permits("lane", 2, 1)
        self.admission = Admission("lane", self.permits, 10)
        self.served = 0

    async def visit(self, number: int, scope: trio.CancelScope | None = None) -> None:
        kind = ("live", "live", "canary", "late")[number % 4]
        with scope or trio.CancelScope():
            async with self.admission.request(kind=kind, key=str(number % 3)):  # type: ignore[arg-type]
                await trio.lowlevel.checkpoint()
                await trio.sleep(0.1)
            self.served += 1

    def assert_nothing_is_held(self) -> None:
        seen = self.admission.statistics()
        assert (seen.depth, seen.live_in_use, seen.late_in_use) == (0, 0, 0)
        assert (self.permits.free("live"), self.permits.free("late")) == (2, 1)
        assert not self.admission._running


@pytest.mark.parametrize("actor_too", [True, False], ids=["with the actor", "without the actor"])
@orders
def test_admission_all_visitors_cancelled_after_step_k(actor_too: bool, shuffle: object) -> None:
    def run(k: int) -> bool:
        visitors, scope = Visitors(), trio.CancelScope()

        async def main() -> None:
            async with trio.open_nursery() as outer:
                if not actor_too:
                    await outer.start(visitors.admission.run)
                with scope:
                    async with trio.open_nursery() as nursery:
                        if actor_too:
                            await nursery.start(visitors.admission.run)
                        async with trio.open_nursery() as visits:
                            for number in range(8):
                                visits.start_soon(visitors.visit, number)
                        nursery.cancel_scope.cancel()
                outer.cancel_scope.cancel()

        steps = Steps(k, scope.cancel)
        run_mock(main, steps)
        visitors.assert_nothing_is_held()
        if not steps.reached:
            assert visitors.served == 8
        return steps.reached

    until_undisturbed(run, at_least=40)


@pytest.mark.parametrize("victim", range(8))
@orders
def test_admission_one_visitor_cancelled_after_step_k_and_all_others_are_served(victim: int, shuffle: object) -> None:
    def run(k: int) -> bool:
        visitors, scope = Visitors(), trio.CancelScope()

        async def main() -> None:
            async with trio.open_nursery() as nursery:
                await nursery.start(visitors.admission.run)
                with trio.fail_after(100):
                    async with trio.open_nursery() as visits:
                        for number in range(8):
                            visits.start_soon(visitors.visit, number, scope if number == victim else None)
                nursery.cancel_scope.cancel()

        steps = Steps(k, scope.cancel)
        run_mock(main, steps)
        visitors.assert_nothing_is_held()
        assert visitors.served >= 7
        return steps.reached

    until_undisturbed(run, at_least=40)


@pytest.mark.parametrize("down", [0.0, 3.0], ids=["restarted at once", "down for a while"])
@orders
def test_admission_actor_crashing_at_checkpoint_k_is_restarted_and_everybody_is_served(
    down: float, shuffle: object
) -> None:
    def run(k: int) -> bool:
        visitors = Visitors()
        crashes: list[CrashAt] = []

        async def actor(*, task_status: trio.TaskStatus[None]) -> None:
            crash = CrashAt(k if not crashes else -1, visitors.admission.run(task_status=task_status))
            crashes.append(crash)
            await crash

        root = Supervisor("root", [Child("actor", actor)], backoff=Backoff(first=down, max=down, jitter=0))

        async def main() -> None:
            async with trio.open_nursery() as nursery:
                await nursery.start(root.run)
                with trio.fail_after(100):
                    async with trio.open_nursery() as visits:
                        for number in range(12):
                            visits.start_soon(visitors.visit, number)
                            await trio.sleep(0.03)
                root.request_stop()

        run_mock(main)
        visitors.assert_nothing_is_held()
        assert visitors.served == 12
        return crashes[0].crashed

    until_undisturbed(run, at_least=10)


class Grove:
    """A tree in which everything happens: nesting, crashes, restarts, an escalation, add, remove, slow leavers."""

    def __init__(self) -> None:
        self.diary = diary = Diary()
        self.sub = Supervisor(
            "sub",
            [
                Scripted("b", diary, [Script(start=0.1)]).child(),
                Scripted("c", diary, [Script(up=1), Script(up=1), Script(cleanup=0.5)]).child(),
            ],
            strategy="one_for_all",
            intensity=1,
            backoff=AT_ONCE,
        )
        polite = Scripted("d", diary)
        self.root = Supervisor(
            "root",
            [
                Scripted("a", diary, [Script(cleanup=0.2)]).child(),
                Child("sub", self.sub.run, request_stop=self.sub.request_stop, supervisor=self.sub),
                polite.child(request_stop=polite.leave_now, grace=1),
                Scripted("e", diary, [Script(up=0.5)]).child(park=True),
            ],
            intensity=2,
            backoff=AT_ONCE,
            park_backoff=Backoff(first=0.2, max=0.2),
        )

    async def live(self) -> None:
        """Two seconds in which all of that happens."""
        await trio.sleep(0.7)
        await self.sub.add(Scripted("added", self.diary, [Script(start=0.1)]).child())
        await self.root.add(Scripted("more", self.diary, [Script(start=0.1)]).child())
        await self.sub.remove("added")
        await self.root.remove("more")
        self.root.request_restart("sub")
        await trio.sleep(1)
        self.root.request_stop()

    def assert_nothing_is_left(self, steps: Steps, before: int) -> None:
        assert len(steps.tasks) == before
        assert not self.diary.running
        assert len(self.diary.who("begin")) == len(self.diary.who("end"))
        ends = [who for who in self.diary.who("end") if who in "ad"]
        assert ends in ([], ["a"], ["d", "a"])


@pytest.mark.parametrize("how", ["cancel", "request_stop", "both"])
@orders
def test_supervisor_ended_after_step_k(how: str, shuffle: object) -> None:
    def run(k: int) -> bool:
        grove, scope = Grove(), trio.CancelScope()

        def end() -> None:
            if how != "request_stop":
                scope.cancel()
            if how != "cancel":
                grove.root.request_stop()

        async def main() -> None:
            before = len(steps.tasks)
            with scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(live, nursery.cancel_scope)
                    await grove.root.run()
                    nursery.cancel_scope.cancel()
            grove.assert_nothing_is_left(steps, before)
            assert trio.current_time() < 10

        async def live(scope: trio.CancelScope) -> None:
            try:
                await grove.live()
            except (SupervisionError, KeyError):
                assert steps.reached  # what it wanted to change was already being stopped

        steps = Steps(k, end)
        run_mock(main, steps)
        return steps.reached

    until_undisturbed(run, at_least=120)


@orders
def test_supervisor_interrupted_after_step_k_by_a_child(shuffle: object) -> None:
    """A child raises KeyboardInterrupt at any time: the tree is stopped and the interrupt comes out."""

    def run(k: int) -> bool:
        grove, now = Grove(), trio.Event()
        raised = came_out = False

        async def interrupted(*, task_status: trio.TaskStatus[None]) -> None:
            task_status.started()
            await now.wait()
            nonlocal raised
            raised = True
            raise KeyboardInterrupt

        async def main() -> None:
            before = len(steps.tasks)
            children = [
                Child("interrupted", interrupted),
                Child("grove", grove.root.run, request_stop=grove.root.request_stop, restart="temporary"),
            ]
            root = Supervisor("over it", children)
            nonlocal came_out
            async with trio.open_nursery() as nursery:
                nursery.start_soon(live, root)
                try:
                    await root.run()
                except KeyboardInterrupt:
                    came_out = True
                nursery.cancel_scope.cancel()
            grove.assert_nothing_is_left(steps, before)
            assert came_out == raised

        async def live(root: Supervisor) -> None:
            try:
                await grove.live()
            except (SupervisionError, KeyError):
                assert steps.reached
            await trio.sleep(1)
            root.request_stop()

        steps = Steps(k, now.set)
        run_mock(main, steps)
        return steps.reached

    until_undisturbed(run, at_least=120)


@pytest.mark.parametrize("what", ["add", "remove"])
@orders
def test_add_and_remove_cancelled_after_step_k(what: str, shuffle: object) -> None:
    """A cancelled add takes the child back, a cancelled remove goes on: afterwards the child is gone or there whole."""

    def run(k: int) -> bool:
        diary, scope = Diary(), trio.CancelScope()
        root = Supervisor("root", [Scripted("a", diary).child()])
        script = Script(start=0.1, cleanup=0.1)
        done = False

        async def main() -> None:
            nonlocal done
            async with trio.open_nursery() as nursery:
                await nursery.start(root.run)
                if what == "remove":
                    await root.add(Scripted("b", diary, [script]).child())
                with scope:
                    if what == "add":
                        await root.add(Scripted("b", diary, [script]).child())
                    else:
                        await root.remove("b")
                    done = True
                await trio.sleep(1)
                names = [child.name for child in root.snapshot().children]
                if what == "add":
                    assert names == (["a", "b"] if done else ["a"])
                else:
                    assert names in (["a"], ["a", "b"])
                    if names == ["a", "b"]:  # cancelled before it came to remove at all
                        assert scope.cancel_called
                        assert not done
                root.request_stop()
            assert not diary.running

        steps = Steps(k, scope.cancel)
        run_mock(main, steps)
        return steps.reached

    k = 1
    while run(k):
        k += 1
    assert k > 20


async def test_a_child_that_crashes_at_any_checkpoint_of_its_start_fails_the_boot_and_leaves_nothing() -> None:
    for k in range(3):
        diary = Diary()

        async def run(*, task_status: trio.TaskStatus[None], k: int = k) -> None:
            async def start() -> None:
                for _ in range(3):
                    await trio.lowlevel.checkpoint()
                task_status.started()
                await trio.sleep_forever()

            await CrashAt(k, start())

        with pytest.raises(SupervisionError) as caught:
            await Supervisor("root", [Scripted("a", diary).child(), Child("b", run)]).run()
        assert isinstance(caught.value.__cause__, Boom)
        assert diary.who("end") == ["a"]
