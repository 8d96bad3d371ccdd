"""A provider's group: its permits, and the one place from which its driver is called."""

import logging
from collections.abc import Awaitable, Callable
from typing import Literal

import trio

from photochanger.domain.outcome import AttemptOutcome, Verdict
from photochanger.domain.reasons import Reason
from photochanger.errors import Refusal
from photochanger.providers.base import Call, Driver
from supervisors import Admission, Permits

log = logging.getLogger(__name__)

MAILBOX = 64
"""Calls that may wait for a permit. Lanes bound what reaches a group, so this is only a backstop."""


class ProviderGroup:
    """Admits attempts and runs them. A supervised child: `run` is its admission actor."""

    def __init__(self, driver: Driver, *, live: int, late: int) -> None:
        self.driver = driver
        self.permits = Permits(driver.name, live, late)
        self.admission = Admission(driver.name, self.permits, MAILBOX)

    @property
    def name(self) -> str:
        """The provider's name, as slots name it."""
        return self.driver.name

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Hand out permits until cancelled."""
        await self.admission.run(task_status=task_status)

    def on_parked(self, _crash: BaseException) -> None:
        """The actor fell too often and is started again only slowly: whoever waits for a permit is told at once."""
        self.admission.fail_waiting(Refusal(Reason.PROVIDER_UNAVAILABLE))

    async def attempt(
        self,
        call: Call,
        *,
        begin: Callable[[], Awaitable[None]],
        slot_id: str,
        kind: Literal["live", "late"] = "live",
    ) -> AttemptOutcome:
        """Run one call in the caller's task, so that the caller's cancellation ends it.

        `begin` books the attempt: it is awaited after the permit was granted and before the first byte leaves.
        A bug in a driver becomes an outcome; it never reaches the group or another photo. Raises what `begin`
        raises, and Refusal (provider_unavailable) when the group is parked meanwhile.
        """
        try:
            request = self.admission.request(kind=kind, key=slot_id, latest_start=call.deadline)
        except trio.WouldBlock:
            return AttemptOutcome(Verdict.OVERLOADED, message="too many calls wait for this provider")
        async with request:
            await begin()
            try:
                return await self.driver.call(call)
            except Exception:
                log.exception("the %s driver crashed", self.name)
                return AttemptOutcome(Verdict.CRASHED, possibly_billed=True)
