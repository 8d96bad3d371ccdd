"""Ordered start, start_timeout, fatal boot; reverse stop with grace, also under a cancellation from outside."""

import pytest
import trio
import trio.testing

from supervisors import Backoff, BootFailed, Child, NotStarted, StartTimeout, Stopped, Supervisor
from supervisors.backoff import Recovery, RestartWindow
from supervisors.life import Life
from tests.supervisors.lab import FOREVER, Boom, Diary, Script, Scripted

Clock = trio.testing.MockClock


async def test_children_start_in_order_each_when_the_one_before_is_up(autojump_clock: Clock) -> None:
    diary = Diary()
    children = [Scripted(name, diary, [Script(start=2)]).child() for name in "abc"]
    root = Supervisor("root", children)
    async with trio.open_nursery() as nursery:
        await nursery.start(root.run)
        assert trio.current_time() == 6
        assert diary.entries == [(what, who) for who in "abc" for what in ("begin", "up")]
        root.request_stop()
    assert diary.who("end") == ["c", "b", "a"]


async def test_a_silent_start_is_given_up_after_start_timeout_and_what_was_up_is_stopped(autojump_clock: Clock) -> None:
    diary = Diary()
    root = Supervisor(
        "root",
        [
            Scripted("a", diary).child(),
            Scripted("b", diary).child(),
            Scripted("c", diary, [Script(start=FOREVER)]).child(start_timeout=7),
            Scripted("d", diary).child(),
        ],
    )
    with pytest.raises(BootFailed, match="root: c did not start: StartTimeout") as caught:
        await root.run()
    assert trio.current_time() == 7
    assert caught.value.child == "c"
    assert isinstance(caught.value.__cause__, StartTimeout)
    assert diary.who("begin") == ["a", "b", "c"]
    assert diary.who("end") == ["c", "b", "a"]
    assert root.snapshot().state == "failed"


async def test_a_crash_in_the_first_start_is_fatal_with_its_cause(autojump_clock: Clock) -> None:
    diary = Diary()
    root = Supervisor(
        "root", [Scripted("a", diary).child(), Scripted("b", diary, [Script(start=1, start_ends="crash")]).child()]
    )
    with pytest.raises(BootFailed) as caught:
        await root.run()
    assert isinstance(caught.value.__cause__, Boom)
    assert diary.who("end") == ["b", "a"]


async def test_a_child_that_returns_before_it_says_started_has_failed_to_start(autojump_clock: Clock) -> None:
    root = Supervisor("root", [Scripted("a", Diary(), [Script(start_ends="return")]).child(restart="temporary")])
    with pytest.raises(BootFailed) as caught:
        await root.run()
    assert isinstance(caught.value.__cause__, NotStarted)


async def test_saying_started_twice_is_an_error_as_in_trio() -> None:
    async def run(*, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        with pytest.raises(RuntimeError, match="twice"):
            task_status.started()
        root.request_stop()

    root = Supervisor("root", [Child("a", run)])
    await root.run()


async def test_request_stop_interrupts_a_hanging_boot_at_once(autojump_clock: Clock) -> None:
    diary = Diary()
    root = Supervisor(
        "root", [Scripted("a", diary).child(), Scripted("b", diary, [Script(start=FOREVER)]).child(start_timeout=1000)]
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(root.run)
        await trio.sleep(3)
        root.request_stop()
    assert trio.current_time() == 3
    assert diary.who("end") == ["b", "a"]


async def test_started_said_too_late_does_not_count(autojump_clock: Clock) -> None:
    async def late(*, task_status: trio.TaskStatus[None]) -> None:
        try:
            await trio.sleep_forever()
        finally:
            task_status.started()

    root = Supervisor("root", [Child("late", late, start_timeout=3)])
    with pytest.raises(BootFailed) as caught:
        await root.run()
    assert isinstance(caught.value.__cause__, StartTimeout)


async def test_a_child_that_is_still_starting_is_cancelled_and_not_asked(autojump_clock: Clock) -> None:
    asked: list[str] = []
    child = Scripted("a", Diary(), [Script(start=FOREVER)]).child(request_stop=lambda: asked.append("a"), grace=100)
    root = Supervisor("root", [child])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(root.run)
        await trio.sleep(3)
        root.request_stop()
    assert trio.current_time() == 3
    assert asked == []


async def test_request_stop_before_run_makes_it_return_and_the_next_run_run(autojump_clock: Clock) -> None:
    diary = Diary()
    root = Supervisor("root", [Scripted("a", diary).child()])
    root.request_stop()
    await root.run()
    assert diary.entries == []
    async with trio.open_nursery() as nursery:
        await nursery.start(root.run)
        root.request_stop()
    assert diary.who("begin") == ["a"]


async def test_each_child_gets_its_grace_to_leave_by_itself_and_is_then_cancelled(
    autojump_clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    diary = Diary()
    polite, deaf = Scripted("polite", diary), Scripted("deaf", diary)

    def leave_in_two_seconds() -> None:
        nursery.start_soon(leave_later)

    async def leave_later() -> None:
        await trio.sleep(2)
        polite.leave.set()

    root = Supervisor(
        "root",
        [
            polite.child(request_stop=leave_in_two_seconds, grace=5),
            deaf.child(request_stop=lambda: None, grace=3),
            Scripted("plain", diary).child(grace=100),
        ],
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(root.run)
        root.request_stop()
        root.request_stop()
    assert trio.current_time() == 5
    assert diary.who("end") == ["plain", "deaf", "polite"]
    assert diary.times[-3:] == [0, 3, 5]
    assert [record.getMessage() for record in caplog.records] == ["deaf has not left within its grace of 3 s"]


async def test_a_broken_request_stop_cancels_instead(autojump_clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> None:
        raise Boom

    root = Supervisor("root", [Scripted("a", Diary()).child(request_stop=broken, grace=100)])
    async with trio.open_nursery() as nursery:
        await nursery.start(root.run)
        root.request_stop()
    assert trio.current_time() == 0
    assert "cannot be asked to leave" in caplog.text


async def test_a_cancellation_from_outside_stops_backwards_with_the_graces_and_then_propagates(
    autojump_clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    diary = Diary()
    root = Supervisor(
        "root",
        [Scripted(name, diary).child(request_stop=lambda: None, grace=grace) for name, grace in (("a", 2), ("b", 3))],
    )
    with trio.move_on_after(10) as scope:
        await root.run()
        raise AssertionError("the cancellation must go on outwards")
    assert scope.cancelled_caught
    assert diary.entries[-2:] == [("end", "b"), ("end", "a")]
    assert diary.times[-2:] == [13, 15]
    assert root.snapshot().state == "stopped"
    assert len(caplog.records) == 2


async def test_a_slow_leaver_is_waited_for_and_shown_as_overdue(autojump_clock: Clock) -> None:
    root = Supervisor("root", [Scripted("slow", Diary(), [Script(cleanup=30)]).child(grace=5)])
    async with trio.open_nursery() as nursery:
        await nursery.start(root.run)
        root.request_stop()
        await trio.sleep(4)
        assert [(c.state, c.overdue) for c in root.snapshot().children] == [("stopping", False)]
        await trio.sleep(4)
        assert [(c.state, c.overdue) for c in root.snapshot().children] == [("stopping", True)]
    assert trio.current_time() == 30


async def test_a_crash_while_being_stopped_is_recorded_and_not_restarted(
    autojump_clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async def sulky(*, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        try:
            await trio.sleep_forever()
        finally:
            raise Boom("not like this\nsecond line")

    root = Supervisor("root", [Child("sulky", sulky)])
    async with trio.open_nursery() as nursery:
        await nursery.start(root.run)
        root.request_stop()
    (child,) = root.snapshot().children
    assert (child.state, child.last_error, child.restarts) == ("stopped", "Boom: not like this", 0)


async def test_no_child_is_restarted_once_the_stop_has_begun(autojump_clock: Clock) -> None:
    diary = Diary()
    root = Supervisor(
        "root",
        [
            Scripted("crashing", diary, [Script(up=12)]).child(),
            Scripted("slow", diary, [Script(cleanup=10)]).child(grace=20),
        ],
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(root.run)
        await trio.sleep(10)
        root.request_stop()
        await trio.sleep(5)
        assert [child.state for child in root.snapshot().children] == ["failed", "stopping"]
    assert diary.who("begin") == ["crashing", "slow"]
    assert trio.current_time() == 20


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
async def test_an_interrupt_in_a_child_stops_the_tree_backwards_and_comes_out_bare(
    autojump_clock: Clock, interrupt: type[BaseException]
) -> None:
    diary = Diary()

    async def interrupted(*, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            await trio.sleep(1)
            raise interrupt

    sub = Supervisor("sub", [Child("interrupted", interrupted), Scripted("b", diary).child()])
    root = Supervisor(
        "root",
        [
            Scripted("a", diary).child(),
            Child("sub", sub.run, request_stop=sub.request_stop),
            Scripted("c", diary).child(),
        ],
    )
    with pytest.raises(interrupt):
        await root.run()
    assert diary.who("end") == ["b", "c", "a"]


async def test_an_interrupt_while_being_stopped_still_wins(autojump_clock: Clock) -> None:
    async def run(*, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        try:
            await trio.sleep_forever()
        finally:
            raise KeyboardInterrupt

    root = Supervisor("root", [Child("a", run)])

    async def stop_soon() -> None:
        await trio.sleep(1)
        root.request_stop()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop_soon)
        with pytest.raises(KeyboardInterrupt):
            await root.run()


async def rude(*, task_status: trio.TaskStatus[None]) -> None:
    """Answers its stop with an interrupt."""
    task_status.started()
    try:
        await trio.sleep_forever()
    finally:
        raise KeyboardInterrupt


async def test_an_interrupt_wins_over_a_cancellation_from_outside(autojump_clock: Clock) -> None:
    with pytest.raises(KeyboardInterrupt), trio.move_on_after(1):
        await Supervisor("root", [Child("rude", rude)]).run()


async def test_an_interrupt_wins_over_the_failure_that_led_to_the_stop(autojump_clock: Clock) -> None:
    crashing = Scripted("a", Diary(), [Script(up=1)]).child()
    with pytest.raises(KeyboardInterrupt):
        await Supervisor("root", [Child("rude", rude), crashing], intensity=0).run()


async def test_it_cannot_run_twice_at_once(autojump_clock: Clock) -> None:
    root = Supervisor("root", [])
    async with trio.open_nursery() as nursery:
        await nursery.start(root.run)
        with pytest.raises(RuntimeError, match="runs already"):
            await root.run()
        root.request_stop()


def test_nonsense_is_refused_when_it_is_said() -> None:
    child = Scripted("a", Diary()).child
    with pytest.raises(ValueError, match="a child named a already"):
        Supervisor("root", [child(), child()])
    with pytest.raises(ValueError, match="cannot be parked alone"):
        Supervisor("root", [child(park=True)], strategy="one_for_all")
    with pytest.raises(ValueError, match="unknown strategy"):
        Supervisor("root", [], strategy="all_for_one")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="intensity"):
        Supervisor("root", [], intensity=-1)
    for wrong in ({"start_timeout": 0}, {"grace": -1}, {"restart": "always"}):
        with pytest.raises(ValueError, match="a: "):
            child(**wrong)
    with pytest.raises(ValueError, match="name"):
        Child("", Scripted("", Diary()).run)


async def test_a_run_that_is_torn_down_from_around_passes_the_cancellation_on() -> None:
    """Only a defect of the library itself can do that; even then no Cancelled is swallowed."""
    life = Life(Scripted("a", Diary()).child(), Recovery(Backoff(), None, RestartWindow(1, 1)), lambda: None)
    async with trio.open_nursery() as nursery:
        life.begin(nursery)
        await life.settled.wait()
        nursery.cancel_scope.cancel()
    assert isinstance(life.exit, Stopped)
    assert isinstance(life.exit.error, trio.Cancelled)
    assert not life.alive
