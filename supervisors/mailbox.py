"""A bounded mailbox that outlives the child which reads it."""

import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

import trio

from supervisors.exits import describe, unwrap
from supervisors.snapshot import MailboxStatistics

log = logging.getLogger("supervisors")

T = TypeVar("T")

_NONE = object()


class Mailbox(Generic[T]):
    """Both ends of a bounded memory channel, owned by whoever builds the tree and never closed by a child.

    So a restart loses nothing that waits in it. What a child had already received when it fell is its own affair,
    unless it works through `take`.
    """

    def __init__(self, name: str, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"{name}: a mailbox needs a capacity of at least 1, not {capacity}")
        self.name = name
        self.capacity = capacity
        self._send, self._receive = trio.open_memory_channel[T](capacity)
        # Put back by take(), oldest first; not empty only while nobody waits to receive.
        self._returned: deque[T] = deque()
        self._suspect: object = _NONE  # the message during which a reader crashed last
        self._peak = 0

    def send_nowait(self, message: T) -> None:
        """Leave a message. Raises trio.WouldBlock when the mailbox is full: that is the back-pressure."""
        self._send.send_nowait(message)

    async def send(self, message: T) -> None:
        """Leave a message, waiting for room. Cancelled = not sent."""
        await self._send.send(message)

    def receive_nowait(self) -> T:
        """The oldest message. Raises trio.WouldBlock when there is none."""
        return self._returned.popleft() if self._returned else self._receive.receive_nowait()

    async def receive(self) -> T:
        """Wait for the oldest message. Cancelled = none was taken."""
        if not self._returned:
            return await self._receive.receive()
        await trio.lowlevel.checkpoint_if_cancelled()
        message = self._returned.popleft()
        await trio.lowlevel.cancel_shielded_checkpoint()
        return message

    @asynccontextmanager
    async def take(self) -> AsyncIterator[T]:
        """Receive a message and answer for it: when the block does not get to its end, the message goes back in front.

        A cancelled block puts it back always, a crashed one once: the message during which the reader crashed twice
        running is logged and dropped, so that one poisonous message cannot take the child down until it is parked.
        The message may thus be handled twice in part; where that costs something, use `receive`.
        """
        message = await self.receive()
        try:
            yield message
        except BaseException as raised:
            error = unwrap(raised)
            if isinstance(error, Exception) and self._suspect is message:
                log.error("%s: a message is dropped, its reader crashed twice: %s", self.name, describe(error))
                self._suspect = _NONE
            else:
                if isinstance(error, Exception):
                    self._suspect = message
                self._put_back(message)
            raise
        if self._suspect is message:
            self._suspect = _NONE

    def _put_back(self, message: T) -> None:
        if self._receive.statistics().tasks_waiting_receive:
            self._send.send_nowait(message)  # straight to the one who waits longest: nothing else is here
        else:
            self._returned.appendleft(message)
            self._peak = max(self._peak, self._depth())

    def _depth(self) -> int:
        return self._receive.statistics().current_buffer_used + len(self._returned)

    def statistics(self) -> MailboxStatistics:
        """Depth (which what was put back can raise above the capacity), capacity, peak, waiters."""
        channel = self._receive.statistics()
        return MailboxStatistics(
            name=self.name,
            depth=self._depth(),
            capacity=self.capacity,
            peak=max(self._peak, channel.peak_buffer_used),
            waiting_receivers=channel.tasks_waiting_receive,
            waiting_senders=channel.tasks_waiting_send,
        )
