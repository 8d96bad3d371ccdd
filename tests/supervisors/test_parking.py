"""A child with park=True that crashes too often is parked alone: slow retries, siblings untouched, until it is well."""

import pytest
import trio
import trio.testing

from supervisors import Backoff, BootFailed, Supervisor
from tests.supervisors.lab import Boom, Diary, Script, Scripted

Clock = trio.testing.MockClock

BACKOFF = Backoff(first=1, factor=1, jitter=0, reset_after=20)
PARK = Backoff(first=60, factor=2, max=100, jitter=0, reset_after=50)


async def test_it_is_parked_alone_retried_slowly_shown_and_released_after_a_healthy_spell(
    autojump_clock: Clock,
) -> None:
    diary = Diary()
    told: list[tuple[float, BaseException]] = []
    sick = Scripted("sick", diary, [*[Script(up=1)] * 5, Script(up=200), Script()])
    sibling = Scripted("sibling", diary)
    root = Supervisor(
        "root",
        [
            sick.child(park=True, on_parked=lambda error: told.append((trio.current_time(), error))),
            sibling.child(),
        ],
        intensity=2,
        backoff=BACKOFF,
        park_backoff=PARK,
    )

    def seen() -> tuple[str, bool]:
        child = root.snapshot().children[0]
        return child.state, child.parked

    async with trio.open_nursery() as nursery:
        await nursery.start(root.run)
        await trio.sleep(1.5)
        assert seen() == ("backoff", False)
        await trio.sleep_until(6)  # crashes at 1, 3 and, once too often, at 5
        assert seen() == ("parked", True)
        assert [(at, type(error)) for at, error in told] == [(5, Boom)]
        await trio.sleep_until(65.5)  # the first trial, which crashes at 66
        assert seen() == ("running", True)
        await trio.sleep_until(170)  # the second one from 166, crashes at 167; the third from 267 is the good one
        assert seen() == ("parked", True)
        await trio.sleep_until(316)
        assert seen() == ("running", True)
        await trio.sleep_until(318)
        assert seen() == ("running", False)
        await trio.sleep_until(467.5)  # crashed at 467: a first crash again
        assert seen() == ("backoff", False)
        await trio.sleep_until(470)
        assert diary.begins("sick") == [0, 2, 4, 65, 166, 267, 468]
        assert len(told) == 1
        assert root.snapshot().children[0].restarts == 6
        root.request_stop()
    assert sibling.runs == 1


async def test_its_restarts_do_not_use_up_what_its_siblings_may(autojump_clock: Clock) -> None:
    diary = Diary()
    root = Supervisor(
        "root",
        [
            Scripted("sick", diary, [Script(up=1)]).child(park=True),
            Scripted("other", diary, [Script(up=7), Script()]).child(),
        ],
        intensity=1,
        period=1000,
        backoff=BACKOFF,
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(root.run)
        await trio.sleep(30)
        root.request_stop()
    assert diary.begins("other") == [0, 8]


async def test_a_broken_on_parked_does_no_harm(autojump_clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    def broken(error: BaseException) -> None:
        raise Boom

    sick = Scripted("sick", Diary(), [Script(up=1), Script()])
    root = Supervisor("root", [sick.child(park=True, on_parked=broken)], intensity=0, park_backoff=PARK)
    async with trio.open_nursery() as nursery:
        await nursery.start(root.run)
        await trio.sleep(62)
        root.request_stop()
    assert sick.runs == 2
    assert "on_parked failed" in caplog.text


async def test_a_stop_ends_parking_at_once(autojump_clock: Clock) -> None:
    root = Supervisor("root", [Scripted("a", Diary(), [Script(up=1)]).child(park=True)], intensity=0, park_backoff=PARK)
    async with trio.open_nursery() as nursery:
        await nursery.start(root.run)
        await trio.sleep(5)
        root.request_stop()
    assert trio.current_time() == 5


async def test_a_failing_boot_is_fatal_for_it_too(autojump_clock: Clock) -> None:
    root = Supervisor("root", [Scripted("a", Diary(), [Script(start_ends="crash")]).child(park=True)])
    with pytest.raises(BootFailed):
        await root.run()
