"""One readable example per rule of OTP's table: who is restarted, with whom, how often, how soon."""

import pytest
import trio
import trio.testing

from supervisors import Backoff, Child, Strategy, StrayCancellation, Supervisor, SupervisorFailed
from supervisors.child import Restart
from tests.supervisors.lab import STEADY, Boom, Diary, Script, Scripted

Clock = trio.testing.MockClock

CRASHES = Script(up=10, ends="crash")
FINISHES = Script(up=10, ends="finish")
STAYS = Script()


async def run_for(root: Supervisor, seconds: float) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(root.run)
        await trio.sleep(seconds)
        root.request_stop()


@pytest.mark.parametrize(
    ("restart", "ends", "runs", "state"),
    [
        ("permanent", CRASHES, 2, "running"),
        ("permanent", FINISHES, 2, "running"),
        ("transient", CRASHES, 2, "running"),
        ("transient", FINISHES, 1, "finished"),
        ("temporary", CRASHES, 1, "failed"),
        ("temporary", FINISHES, 1, "finished"),
    ],
)
async def test_which_ends_lead_to_a_restart(
    autojump_clock: Clock, restart: Restart, ends: Script, runs: int, state: str
) -> None:
    child = Scripted("a", Diary(), [ends, STAYS])
    root = Supervisor("root", [child.child(restart=restart)])
    async with trio.open_nursery() as nursery:
        await nursery.start(root.run)
        await trio.sleep(15)
        (seen,) = root.snapshot().children
        root.request_stop()
    assert (child.runs, seen.state, seen.restarts) == (runs, state, runs - 1)


@pytest.mark.parametrize(
    ("strategy", "restarted"), [("one_for_one", ["b"]), ("rest_for_one", ["b", "c"]), ("one_for_all", ["a", "b", "c"])]
)
async def test_who_is_restarted_together(autojump_clock: Clock, strategy: Strategy, restarted: list[str]) -> None:
    diary = Diary()
    root = Supervisor(
        "root",
        [
            Scripted("a", diary).child(),
            Scripted("b", diary, [CRASHES, STAYS]).child(),
            Scripted("c", diary).child(),
        ],
        strategy=strategy,
        backoff=STEADY,
    )
    await run_for(root, 15)
    stopped_with_b = [who for who in reversed(restarted) if who != "b"]
    assert diary.entries[6:-3] == [
        ("end", "b"),
        *[("end", who) for who in stopped_with_b],
        *[(what, who) for who in restarted for what in ("begin", "up")],
    ]
    assert diary.who("end")[-3:] == ["c", "b", "a"]
    assert diary.begins("b") == [0, 11]


@pytest.mark.parametrize(
    ("restart", "script", "runs"),
    [
        ("permanent", STAYS, 2),
        ("transient", STAYS, 2),
        ("transient", Script(up=5, ends="finish"), 2),
        ("temporary", STAYS, 1),
        ("temporary", Script(up=5, ends="finish"), 1),
        ("temporary", Script(up=5, ends="crash"), 1),
    ],
)
async def test_which_siblings_come_back_with_a_crash(
    autojump_clock: Clock, restart: Restart, script: Script, runs: int
) -> None:
    sibling = Scripted("sibling", Diary(), [script, STAYS])
    root = Supervisor(
        "root",
        [sibling.child(restart=restart), Scripted("b", Diary(), [CRASHES, STAYS]).child()],
        strategy="one_for_all",
    )
    await run_for(root, 15)
    assert sibling.runs == runs


async def test_a_sibling_that_falls_with_the_first_is_one_fall_not_two(autojump_clock: Clock) -> None:
    diary = Diary()
    children = [Scripted(name, diary, [CRASHES, STAYS]).child() for name in "abc"]
    root = Supervisor("root", children, strategy="one_for_all", intensity=1, backoff=STEADY)
    await run_for(root, 15)
    assert diary.begins("a") == diary.begins("b") == diary.begins("c") == [0, 11]


async def test_more_restarts_than_the_intensity_stop_the_rest_backwards_and_fail_the_supervisor(
    autojump_clock: Clock,
) -> None:
    diary = Diary()
    root = Supervisor(
        "root",
        [Scripted("a", diary).child(), Scripted("b", diary, [Script(up=1)]).child(), Scripted("c", diary).child()],
        intensity=2,
        period=60,
        backoff=STEADY,
    )
    with pytest.raises(
        SupervisorFailed, match="root: too many restarts, the last one asked for by b: Boom: b"
    ) as caught:
        await root.run()
    assert isinstance(caught.value.__cause__, Boom)
    assert caught.value.child == "b"
    assert diary.begins("b") == [0, 2, 5]  # up 1, wait 1, up 1, wait 2, up 1
    assert trio.current_time() == 6
    assert diary.who("end")[-2:] == ["c", "a"]


async def test_restarts_older_than_the_period_no_longer_count(autojump_clock: Clock) -> None:
    child = Scripted("a", Diary(), [Script(up=9)])
    root = Supervisor("root", [child.child()], intensity=2, period=20, backoff=Backoff(first=1, factor=1, jitter=0))
    await run_for(root, 995)
    assert child.runs == 100


async def test_the_intensity_counts_all_children_together(autojump_clock: Clock) -> None:
    scripts = [Script(up=1), STAYS]
    root = Supervisor("root", [Scripted(name, Diary(), scripts).child() for name in "abc"], intensity=2)
    with pytest.raises(SupervisorFailed):
        await root.run()


async def test_the_backoff_grows_to_its_limit_and_begins_anew_after_a_healthy_run(autojump_clock: Clock) -> None:
    child = Scripted("a", Diary(), [*[Script(up=1)] * 5, Script(up=20), Script(up=1), STAYS])
    root = Supervisor("root", [child.child()], intensity=100, backoff=STEADY)
    await run_for(root, 200)
    begins = child.diary.begins("a")
    ups = [1, 1, 1, 1, 1, 20, 1]
    delays = [after - before - up for before, after, up in zip(begins, begins[1:], ups, strict=False)]
    assert delays == [1, 2, 4, 8, 8, 1, 2]


async def test_a_failing_restart_counts_as_a_crash(autojump_clock: Clock) -> None:
    child = Scripted("a", Diary(), [Script(up=1), Script(start=0.5, start_ends="crash"), Script(start=1000), STAYS])
    root = Supervisor("root", [child.child(start_timeout=4)], intensity=3, backoff=STEADY)
    await run_for(root, 50)
    # up 1, wait 1; crash in start after 0.5, wait 2; hang for 4, wait 4; there
    assert child.diary.begins("a") == [0, 2, 4.5, 12.5]
    child.runs = 0
    with pytest.raises(SupervisorFailed):
        await Supervisor("root", [child.child(start_timeout=4)], intensity=2, backoff=STEADY).run()


async def test_while_one_backs_off_the_others_run_crash_and_come_back(autojump_clock: Clock) -> None:
    diary = Diary()
    root = Supervisor(
        "root",
        [Scripted("a", diary, [Script(up=1), STAYS]).child(), Scripted("b", diary, [Script(up=3), STAYS]).child()],
        backoff=Backoff(first=10, jitter=0),
    )
    await run_for(root, 20)
    assert diary.begins("a") == [0, 11]
    assert diary.begins("b") == [0, 13]


async def test_a_hanging_restart_does_not_hold_up_the_others(autojump_clock: Clock) -> None:
    diary = Diary()
    root = Supervisor(
        "root",
        [
            Scripted("a", diary, [Script(up=1), Script(start=1000)]).child(start_timeout=500),
            Scripted("b", diary, [Script(up=3), STAYS]).child(),
        ],
        backoff=STEADY,
    )
    await run_for(root, 20)
    assert diary.begins("b") == [0, 4]


async def test_rest_for_one_a_crash_further_up_during_a_backoff_takes_it_over(autojump_clock: Clock) -> None:
    diary = Diary()
    root = Supervisor(
        "root",
        [
            Scripted("a", diary, [Script(up=12), STAYS]).child(),
            Scripted("b", diary).child(),
            Scripted("c", diary, [Script(up=10), STAYS]).child(),
        ],
        strategy="rest_for_one",
        backoff=Backoff(first=5, jitter=0),
    )
    await run_for(root, 30)
    assert diary.begins("a") == diary.begins("b") == diary.begins("c") == [0, 17]
    assert diary.entries[6:9] == [("end", "c"), ("end", "a"), ("end", "b")]


async def test_rest_for_one_a_shorter_delay_does_not_cut_a_longer_one_short(autojump_clock: Clock) -> None:
    diary = Diary()
    root = Supervisor(
        "root",
        [
            Scripted("a", diary, [Script(up=5), STAYS]).child(),
            Scripted("b", diary, [Script(up=1), Script(up=1), STAYS]).child(),
        ],
        strategy="rest_for_one",
        backoff=Backoff(first=2, factor=5, jitter=0),
    )
    await run_for(root, 30)
    assert diary.begins("b") == [0, 3, 14]  # crashed at 1 and at 4
    assert diary.begins("a") == [0, 14]  # crashed at 5


async def test_a_stop_ends_a_backoff_at_once(autojump_clock: Clock) -> None:
    root = Supervisor("root", [Scripted("a", Diary(), [Script(up=1)]).child()], backoff=Backoff(first=1000, max=1000))
    await run_for(root, 2)
    assert trio.current_time() == 2
    assert [child.state for child in root.snapshot().children] == ["stopped"]


async def test_a_stop_in_the_midst_of_a_restart_asks_nobody_twice_and_keeps_the_order(autojump_clock: Clock) -> None:
    diary = Diary()
    asked: list[str] = []
    root = Supervisor(
        "root",
        [
            Scripted("a", diary).child(request_stop=lambda: asked.append("a"), grace=1),
            Scripted("b", diary, [Script(up=1)]).child(),
            Scripted("c", diary).child(request_stop=lambda: asked.append("c"), grace=4),
        ],
        strategy="rest_for_one",
    )
    await run_for(root, 3)
    assert asked == ["c", "a"]
    assert diary.who("begin") == ["a", "b", "c"]
    assert diary.who("end") == ["b", "c", "a"]
    assert trio.current_time() == 6


async def test_a_stray_cancelled_is_a_crash_of_that_child_only(autojump_clock: Clock) -> None:
    """Such a Cancelled comes, for instance, out of another event loop; it must not unwind the tree."""
    kept: list[trio.Cancelled] = []

    async def stray(*, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        if kept:
            await trio.sleep_forever()
        with trio.CancelScope() as scope:
            scope.cancel()
            try:
                await trio.lowlevel.checkpoint()
            except trio.Cancelled as error:
                kept.append(error)
        raise kept[0]

    sibling = Scripted("sibling", Diary())
    root = Supervisor("root", [sibling.child(), Child("stray", stray)])
    async with trio.open_nursery() as nursery:
        await nursery.start(root.run)
        await trio.sleep(5)
        seen = root.snapshot().children[1]
        assert (seen.state, seen.restarts) == ("running", 1)
        assert seen.last_error.startswith(StrayCancellation.__name__)
        root.request_stop()
    assert sibling.runs == 1


async def test_a_crash_in_a_nursery_of_the_child_is_recorded_as_what_it_is(autojump_clock: Clock) -> None:
    async def grouped(*, task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            raise Boom("the one reason")

    root = Supervisor("root", [Child("a", grouped, restart="temporary")])
    async with trio.open_nursery() as nursery:
        await nursery.start(root.run)
        await trio.sleep(1)
        assert root.snapshot().children[0].last_error == "Boom: the one reason"
        root.request_stop()
