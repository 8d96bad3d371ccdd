"""What nobody waits for waits for a quiet moment, one at a time, and not for ever."""

import trio
import trio.testing

from photochanger.jobs.activity import Activity


async def test_in_a_quiet_moment_nobody_waits() -> None:
    activity = Activity(quiet_below=2)
    with activity.working():
        async with activity.spare_time():
            assert activity.waiting == 0


async def test_those_who_wait_are_let_go_one_by_one() -> None:
    activity = Activity(quiet_below=1)
    gone = 0

    async def one() -> None:
        nonlocal gone
        async with activity.spare_time():
            gone += 1

    async with trio.open_nursery() as nursery:
        with activity.working():
            for _ in range(3):
                nursery.start_soon(one)
            await trio.testing.wait_all_tasks_blocked()
            assert (gone, activity.waiting) == (0, 3)
        await trio.testing.wait_all_tasks_blocked()
        assert (gone, activity.waiting) == (3, 0)


async def test_a_waiter_that_is_cancelled_is_forgotten_and_wakes_the_next() -> None:
    activity = Activity(quiet_below=1)
    done = []

    async def patient() -> None:
        async with activity.spare_time():
            done.append(True)

    async with trio.open_nursery() as nursery:
        with activity.working():
            with trio.move_on_after(0):
                async with activity.spare_time():
                    raise AssertionError("it was not quiet")
            nursery.start_soon(patient)
            await trio.testing.wait_all_tasks_blocked()
            assert activity.waiting == 1
    assert done


async def test_a_crash_in_a_stretch_of_work_ends_it() -> None:
    activity = Activity(quiet_below=1)
    try:
        with activity.working():
            raise RuntimeError
    except RuntimeError:
        pass
    assert activity.is_quiet
