"""What nobody waits for is done in pauses, one at a time."""

from itertools import pairwise

import trio
import trio.testing

from photochanger.jobs.activity import PAUSE, Activity

Clock = trio.testing.MockClock


async def test_after_a_pause_there_is_time(autojump_clock: Clock) -> None:
    activity = Activity()
    started = trio.current_time()
    async with activity.spare_time():
        assert trio.current_time() >= started + PAUSE
    assert activity.waiting == 0


async def test_in_a_rush_there_is_none(autojump_clock: Clock) -> None:
    activity = Activity()
    entered: list[float] = []

    async def background() -> None:
        async with activity.spare_time():
            entered.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(background)
        for _ in range(100):  # short stretches of work, with breaks shorter than a pause
            with activity.working():
                await trio.sleep(0.02)
            await trio.sleep(PAUSE * 0.8)
        assert not entered
        rush_over = trio.current_time()
    assert len(entered) == 1
    assert entered[0] <= rush_over + 2 * PAUSE


async def test_one_at_a_time_and_each_in_a_pause_of_its_own(autojump_clock: Clock) -> None:
    activity = Activity()
    inside = 0
    done: list[float] = []

    async def background() -> None:
        nonlocal inside
        async with activity.spare_time():
            inside += 1
            assert inside == 1
            await trio.sleep(0.01)
            inside -= 1
            done.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(background)
        await trio.testing.wait_all_tasks_blocked()
        assert activity.waiting == 3
    assert len(done) == 3
    assert min(later - earlier for earlier, later in pairwise(done)) >= PAUSE


async def test_a_cancelled_one_lets_the_next_go(autojump_clock: Clock) -> None:
    activity = Activity()
    done: list[bool] = []

    async def patient() -> None:
        async with activity.spare_time():
            done.append(True)

    async with trio.open_nursery() as nursery:
        with activity.working():
            nursery.start_soon(patient)
            with trio.move_on_after(1):
                async with activity.spare_time():
                    raise AssertionError("there was no pause")
    assert done
    assert activity.waiting == 0
