"""A mailbox keeps its order and its messages, whatever becomes of those who read it."""

from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from supervisors import Mailbox, MailboxStatistics
from tests.supervisors.lab import Boom, Steps, run_mock


async def crash_with(mailbox: Mailbox[str], meanwhile: Callable[[], Awaitable[object]] | None = None) -> str:
    """Take a message and crash in the block; returns the message."""
    with pytest.raises(Boom) as caught:
        await _take_and_crash(mailbox, meanwhile)
    return str(caught.value)


async def _take_and_crash(mailbox: Mailbox[str], meanwhile: Callable[[], Awaitable[object]] | None) -> None:
    async with mailbox.take() as letter:
        if meanwhile is not None:
            await meanwhile()
        raise Boom(letter)


async def test_a_full_mailbox_says_so() -> None:
    mailbox = Mailbox[int]("numbers", 2)
    mailbox.send_nowait(1)
    mailbox.send_nowait(2)
    with pytest.raises(trio.WouldBlock):
        mailbox.send_nowait(3)
    assert [mailbox.receive_nowait(), await mailbox.receive()] == [1, 2]
    with pytest.raises(trio.WouldBlock):
        mailbox.receive_nowait()


async def test_statistics_show_depth_peak_and_waiters() -> None:
    mailbox = Mailbox[int]("numbers", 1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(mailbox.receive)
        await trio.testing.wait_all_tasks_blocked()
        assert mailbox.statistics().waiting_receivers == 1
        for number in range(3):
            nursery.start_soon(mailbox.send, number)
        await trio.testing.wait_all_tasks_blocked()
        assert mailbox.statistics() == MailboxStatistics(
            name="numbers", depth=1, capacity=1, peak=1, waiting_receivers=0, waiting_senders=1
        )
        mailbox.receive_nowait()
        mailbox.receive_nowait()


async def test_a_crash_puts_the_message_back_in_front_once() -> None:
    mailbox = Mailbox[str]("letters", 3)
    for letter in ("poison", "good"):
        mailbox.send_nowait(letter)
    for _ in range(2):
        assert await crash_with(mailbox) == "poison"
    async with mailbox.take() as letter:
        assert letter == "good"
    assert mailbox.statistics().depth == 0


async def test_a_second_chance_that_goes_well_clears_the_message() -> None:
    mailbox = Mailbox[str]("letters", 1)
    for _ in range(2):
        mailbox.send_nowait("shaky")
        assert await crash_with(mailbox) == "shaky"
        async with mailbox.take() as letter:
            assert letter == "shaky"
    assert mailbox.statistics().depth == 0


async def test_a_cancelled_block_always_puts_it_back() -> None:
    mailbox = Mailbox[str]("letters", 2)
    mailbox.send_nowait("first")
    mailbox.send_nowait("second")
    for _ in range(5):
        with trio.CancelScope() as scope:
            async with mailbox.take(), trio.open_nursery():
                scope.cancel()
                await trio.sleep_forever()
    assert [await mailbox.receive(), await mailbox.receive()] == ["first", "second"]


async def test_two_messages_in_hand_go_back_in_their_order() -> None:
    mailbox = Mailbox[str]("letters", 3)
    for letter in ("first", "second", "third"):
        mailbox.send_nowait(letter)
    with trio.CancelScope() as scope:
        async with mailbox.take(), mailbox.take():
            scope.cancel()
            await trio.sleep_forever()
    assert [mailbox.receive_nowait() for _ in range(3)] == ["first", "second", "third"]


async def test_what_is_put_back_goes_to_the_one_who_waits() -> None:
    mailbox = Mailbox[str]("letters", 1)
    mailbox.send_nowait("first")
    got: list[str] = []

    async def other() -> None:
        got.append(await mailbox.receive())

    async with trio.open_nursery() as nursery:

        async def meanwhile() -> None:
            nursery.start_soon(other)
            await trio.testing.wait_all_tasks_blocked()

        await crash_with(mailbox, meanwhile)
    assert got == ["first"]


async def test_what_is_put_back_comes_before_what_waits_even_above_the_capacity() -> None:
    mailbox = Mailbox[str]("letters", 1)
    mailbox.send_nowait("first")

    async def meanwhile() -> None:
        mailbox.send_nowait("second")

    await crash_with(mailbox, meanwhile)
    assert mailbox.statistics().depth == mailbox.statistics().peak == 2
    assert [mailbox.receive_nowait(), mailbox.receive_nowait()] == ["first", "second"]


def test_no_message_is_lost_or_doubled_by_a_cancellation_at_any_step() -> None:
    """Two senders, two takers; the whole is cancelled after step k, for every k until a run comes to its end."""
    k = 0
    while True:
        k += 1
        mailbox = Mailbox[int]("numbers", 2)
        sent: list[int] = []
        got: list[int] = []

        async def sender(first: int, mailbox: Mailbox[int] = mailbox, sent: list[int] = sent) -> None:
            for number in range(first, first + 4):
                await mailbox.send(number)
                sent.append(number)

        async def taker(mailbox: Mailbox[int] = mailbox, got: list[int] = got) -> None:
            for _ in range(4):
                async with mailbox.take() as number:
                    await trio.lowlevel.checkpoint()
                    got.append(number)

        scope = trio.CancelScope()

        async def main(scope: trio.CancelScope = scope) -> None:
            with scope:
                async with trio.open_nursery() as nursery:
                    for first in (0, 10):
                        nursery.start_soon(sender, first)
                        nursery.start_soon(taker)

        steps = Steps(k, scope.cancel)
        run_mock(main, steps)
        left = []
        while mailbox.statistics().depth:
            left.append(mailbox.receive_nowait())
        assert sorted(got + left) == sorted(sent)
        if not steps.reached:
            break
    assert k > 20
    assert len(got) == 8


def test_a_mailbox_needs_room() -> None:
    with pytest.raises(ValueError, match="capacity"):
        Mailbox[int]("numbers", 0)
