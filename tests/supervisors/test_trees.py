"""Supervisors as children of supervisors, children added and removed at run time, and what the snapshot shows."""

import dataclasses
import json

import pytest
import trio
import trio.testing

from supervisors import (
    Backoff,
    BootFailed,
    Child,
    Mailbox,
    Snapshot,
    StartFailed,
    Strategy,
    Supervisor,
    SupervisorFailed,
)
from tests.supervisors.lab import FOREVER, STEADY, Boom, Diary, Script, Scripted

Clock = trio.testing.MockClock


def nested(sub: Supervisor, grace: float = 5) -> Child:
    return Child(sub.name, sub.run, request_stop=sub.request_stop, supervisor=sub, grace=grace)


def states(snapshot: Snapshot) -> dict[str, str]:
    return {child.name: child.state for child in snapshot.children}


async def test_a_tree_starts_and_stops_in_order_through_all_levels(autojump_clock: Clock) -> None:
    diary = Diary()
    sub = Supervisor("sub", [Scripted(name, diary, [Script(start=1, cleanup=1)]).child() for name in "bc"])
    root = Supervisor("root", [Scripted("a", diary).child(), nested(sub), Scripted("d", diary).child()])
    async with trio.open_nursery() as nursery:
        await nursery.start(root.run)
        assert diary.who("up") == ["a", "b", "c", "d"]
        assert trio.current_time() == 2
        nursery.cancel_scope.cancel()
    assert diary.who("end") == ["d", "c", "b", "a"]
    assert trio.current_time() == 4


async def test_a_failing_subtree_is_restarted_as_a_whole_and_its_boot_failing_then_is_a_crash(
    autojump_clock: Clock,
) -> None:
    diary = Diary()
    b = Scripted("b", diary, [Script(up=1), Script(up=1), Script(start_ends="crash"), Script()])
    sub = Supervisor("sub", [Scripted("a", diary).child(), b.child()], intensity=1, backoff=STEADY)
    root = Supervisor("root", [nested(sub)], intensity=2, backoff=STEADY)
    async with trio.open_nursery() as nursery:
        await nursery.start(root.run)
        await trio.sleep(3.5)
        (seen,) = root.snapshot().children
        assert (seen.state, seen.restarts) == ("backoff", 0)
        assert seen.last_error == "SupervisorFailed: sub: too many restarts, the last one asked for by b: Boom: b"
        await trio.sleep(1)
        (seen,) = root.snapshot().children
        assert seen.last_error == "BootFailed: sub: b did not start: Boom: b"
        await trio.sleep(10)
        (seen,) = root.snapshot().children
        assert (seen.state, seen.restarts) == ("running", 2)
        root.request_stop()
    assert diary.begins("a") == [0, 4, 6]
    assert diary.begins("b") == [0, 2, 4, 6]


async def test_a_restarted_supervisor_counts_its_restarts_anew(autojump_clock: Clock) -> None:
    b = Scripted("b", Diary(), [Script(up=1)] * 4 + [Script()])
    sub = Supervisor("sub", [b.child()], intensity=1, backoff=STEADY)
    root = Supervisor("root", [nested(sub)], backoff=STEADY)
    async with trio.open_nursery() as nursery:
        await nursery.start(root.run)
        await trio.sleep(20)
        root.request_stop()
    assert b.diary.begins("b") == [0, 2, 4, 6, 9]  # sub failed at 3 and at 7


async def test_a_boot_failing_deep_down_comes_out_with_all_its_causes(autojump_clock: Clock) -> None:
    sub = Supervisor("sub", [Scripted("a", Diary(), [Script(start_ends="crash")]).child()])
    with pytest.raises(BootFailed) as caught:
        await Supervisor("root", [nested(sub)]).run()
    inner = caught.value.__cause__
    assert isinstance(inner, BootFailed)
    assert (caught.value.child, inner.child) == ("sub", "a")
    assert isinstance(inner.__cause__, Boom)


async def test_added_children_are_started_kept_up_and_stopped_like_the_others(autojump_clock: Clock) -> None:
    diary = Diary()
    root = Supervisor("root", [Scripted("a", diary).child()], backoff=STEADY)
    async with trio.open_nursery() as nursery:
        await nursery.start(root.run)
        await root.add(Scripted("b", diary, [Script(start=2, up=3), Script()]).child())
        assert trio.current_time() == 2
        with pytest.raises(ValueError, match="named b"):
            await root.add(Scripted("b", diary).child())
        await trio.sleep(10)
        assert diary.begins("b") == [0, 6]
        root.request_stop()
    assert diary.who("end")[-2:] == ["b", "a"]


@pytest.mark.parametrize("strategy", ["one_for_one", "rest_for_one", "one_for_all"])
async def test_an_added_child_that_does_not_start_is_off_the_list_and_harms_nobody(
    autojump_clock: Clock, strategy: Strategy
) -> None:
    diary = Diary()
    root = Supervisor("root", [Scripted("a", diary).child()], strategy=strategy)
    async with trio.open_nursery() as nursery:
        await nursery.start(root.run)
        with pytest.raises(StartFailed) as caught:
            await root.add(Scripted("b", diary, [Script(start=1, start_ends="crash")]).child())
        assert isinstance(caught.value.__cause__, Boom)
        assert not isinstance(caught.value, BootFailed)
        await trio.sleep(1)
        assert states(root.snapshot()) == {"a": "running"}
        await root.add(Scripted("b", diary).child())
        assert states(root.snapshot()) == {"a": "running", "b": "running"}
        root.request_stop()
    assert len(diary.begins("a")) == 1


async def test_a_cancelled_add_takes_the_child_back(autojump_clock: Clock) -> None:
    root = Supervisor("root", [])
    async with trio.open_nursery() as nursery:
        await nursery.start(root.run)
        with trio.move_on_after(3):
            await root.add(Scripted("b", Diary(), [Script(start=FOREVER)]).child(start_timeout=1000))
        await trio.sleep(1)
        assert root.snapshot().children == ()
        root.request_stop()
    assert trio.current_time() == 4


async def test_a_stop_during_add_ends_it_with_start_failed(autojump_clock: Clock) -> None:
    root = Supervisor("root", [])
    async with trio.open_nursery() as nursery:
        await nursery.start(root.run)
        nursery.start_soon(stop_after, 3, root)
        with pytest.raises(StartFailed, match="stopped"):
            await root.add(Scripted("b", Diary(), [Script(start=FOREVER)]).child())
    assert trio.current_time() == 3


async def stop_after(seconds: float, root: Supervisor) -> None:
    await trio.sleep(seconds)
    root.request_stop()


async def test_added_children_stay_when_their_supervisor_is_restarted(autojump_clock: Clock) -> None:
    diary = Diary()
    sub = Supervisor("sub", [Scripted("a", diary, [Script(up=5), Script()]).child()], intensity=0)
    root = Supervisor("root", [nested(sub)], backoff=STEADY)
    async with trio.open_nursery() as nursery:
        await nursery.start(root.run)
        await sub.add(Scripted("b", diary).child())
        await trio.sleep(5.5)
        await sub.add(Scripted("c", diary).child())  # sub is down: c is started with the others
        await trio.sleep(10)
        root.request_stop()
    assert diary.begins("a") == diary.begins("b") == [0, 6]
    assert diary.begins("c") == [6]


@pytest.mark.parametrize("strategy", ["one_for_one", "rest_for_one", "one_for_all"])
async def test_a_removed_child_is_stopped_and_forgotten_and_its_siblings_run_on(
    autojump_clock: Clock, strategy: Strategy
) -> None:
    diary = Diary()
    root = Supervisor(
        "root",
        [
            Scripted("a", diary).child(),
            Scripted("b", diary, [Script(cleanup=2)]).child(),
            Scripted("c", diary).child(),
        ],
        strategy=strategy,
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(root.run)
        await root.remove("b")
        assert trio.current_time() == 2
        assert states(root.snapshot()) == {"a": "running", "c": "running"}
        with pytest.raises(KeyError):
            await root.remove("b")
        await root.add(Scripted("b", diary).child())
        assert states(root.snapshot()) == {"a": "running", "c": "running", "b": "running"}
        root.request_stop()
    assert diary.who("end") == ["b", "b", "c", "a"]


async def test_a_child_in_backoff_or_not_yet_begun_can_be_removed(autojump_clock: Clock) -> None:
    diary = Diary()
    root = Supervisor(
        "root",
        [
            Scripted("a", diary, [Script(up=1)]).child(),
            Scripted("slow", diary, [Script(start=5)]).child(),
            Scripted("c", diary).child(),
        ],
        backoff=Backoff(first=100, max=100),
    )
    await root.add(Scripted("d", diary).child())
    await root.remove("d")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(root.run)
        await trio.sleep(2)
        await root.remove("a")
        await root.remove("c")
        await root.add(Scripted("e", diary).child())
        assert trio.current_time() == 2
        await trio.sleep(4)
        assert states(root.snapshot()) == {"slow": "running", "e": "running"}
        root.request_stop()
        await root.remove("slow")
    assert diary.who("begin") == ["a", "slow", "e"]
    await root.remove("e")
    assert root.snapshot().children == ()


@pytest.mark.parametrize("strategy", ["one_for_one", "rest_for_one", "one_for_all"])
async def test_removing_the_child_that_hangs_in_its_start_lets_the_boot_go_on(
    autojump_clock: Clock, strategy: Strategy
) -> None:
    diary = Diary()
    hanging = Scripted("hanging", diary, [Script(start=FOREVER)]).child(start_timeout=1000)
    for after in ([], [Scripted("c", diary).child()]):
        root = Supervisor("root", [Scripted("a", diary).child(), hanging, *after], strategy=strategy)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(root.run)
            await trio.sleep(1)
            await root.remove("hanging")
            await trio.sleep(1)
            assert root.snapshot().state == "running"
            assert set(states(root.snapshot()).values()) == {"running"}
            root.request_stop()


async def test_a_child_that_the_stop_has_passed_already_can_be_removed(autojump_clock: Clock) -> None:
    diary = Diary()
    root = Supervisor("root", [Scripted("slow", diary, [Script(cleanup=10)]).child(), Scripted("b", diary).child()])
    async with trio.open_nursery() as nursery:
        await nursery.start(root.run)
        root.request_stop()
        await trio.sleep(1)
        with trio.fail_after(1):
            await root.remove("b")
        assert states(root.snapshot()) == {"slow": "stopping"}


async def test_a_crash_of_a_child_that_is_being_removed_counts_nothing(autojump_clock: Clock) -> None:
    for _ in range(20):  # which of the two comes first is Trio's choice
        crash = trio.Event()

        async def run(*, task_status: trio.TaskStatus[None], crash: trio.Event = crash) -> None:
            task_status.started()
            await crash.wait()
            raise Boom

        root = Supervisor("root", [Child("a", run)], intensity=0)
        async with trio.open_nursery() as nursery:
            await nursery.start(root.run)
            crash.set()
            await root.remove("a")
            assert root.snapshot().children == ()
            root.request_stop()


async def test_a_child_can_remove_itself(autojump_clock: Clock) -> None:
    async def run(*, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        await root.remove("a")

    root = Supervisor("root", [Child("a", run)])
    async with trio.open_nursery() as nursery:
        await nursery.start(root.run)
        await trio.sleep(1)
        assert root.snapshot().children == ()
        root.request_stop()


async def test_a_restart_on_request_counts_nothing_and_ends_backoff_and_parking(autojump_clock: Clock) -> None:
    diary = Diary()
    sick = Scripted("sick", diary, [Script(up=1), Script(), Script()])
    root = Supervisor(
        "root",
        [sick.child(park=True), Scripted("well", diary).child()],
        intensity=0,
        park_backoff=Backoff(first=1000, max=1000),
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(root.run)
        await trio.sleep(2)
        assert states(root.snapshot()) == {"sick": "parked", "well": "running"}
        root.request_restart("sick")
        root.request_restart("well")
        await trio.sleep(1)
        assert states(root.snapshot()) == {"sick": "running", "well": "running"}
        assert [(child.restarts, child.parked) for child in root.snapshot().children] == [(1, False), (1, False)]
        root.request_stop()
        with pytest.raises(KeyError):
            root.request_restart("nobody")
    assert diary.begins("sick") == [0, 2]
    assert diary.begins("well") == [0, 2]


async def test_the_snapshot_is_the_live_tree_as_json(autojump_clock: Clock) -> None:
    mailbox = Mailbox[str]("letters", 3)
    mailbox.send_nowait("hello")
    sub = Supervisor(
        "sub", [Scripted("a", Diary(), [Script(up=5), Script()]).child(mailboxes=[mailbox])], backoff=STEADY
    )
    root = Supervisor("root", [nested(sub)])
    assert states(root.snapshot()) == {"sub": "waiting"}
    async with trio.open_nursery() as nursery:
        await nursery.start(root.run)
        await trio.sleep(5.25)
        assert json.loads(json.dumps(dataclasses.asdict(root.snapshot()))) == {
            "name": "root",
            "kind": "supervisor",
            "state": "running",
            "since": 0,
            "age": 5.25,
            "restarts": 0,
            "last_error": "",
            "parked": False,
            "overdue": False,
            "mailboxes": [],
            "children": [
                {
                    "name": "sub",
                    "kind": "supervisor",
                    "state": "running",
                    "since": 0,
                    "age": 5.25,
                    "restarts": 0,
                    "last_error": "",
                    "parked": False,
                    "overdue": False,
                    "mailboxes": [],
                    "children": [
                        {
                            "name": "a",
                            "kind": "worker",
                            "state": "backoff",
                            "since": 5,
                            "age": 0.25,
                            "restarts": 0,
                            "last_error": "Boom: a",
                            "parked": False,
                            "overdue": False,
                            "mailboxes": [
                                {
                                    "name": "letters",
                                    "depth": 1,
                                    "capacity": 3,
                                    "peak": 1,
                                    "waiting_receivers": 0,
                                    "waiting_senders": 0,
                                }
                            ],
                            "children": [],
                        }
                    ],
                }
            ],
        }
        root.request_stop()
    assert states(root.snapshot()) == {"sub": "stopped"}


async def test_the_supervisors_failure_shows_after_the_run(autojump_clock: Clock) -> None:
    root = Supervisor("root", [Scripted("a", Diary(), [Script(up=1)]).child()], intensity=0)
    with pytest.raises(SupervisorFailed):
        await root.run()
    seen = root.snapshot()
    assert seen.state == "failed"
    assert seen.last_error.startswith("SupervisorFailed: root")
    assert states(seen) == {"a": "failed"}
