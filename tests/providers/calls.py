"""A group of the test's own, and calls through it."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import trio
import trio.testing

from photochanger.domain.latency import Expected
from photochanger.domain.outcome import AttemptOutcome, Verdict
from photochanger.providers.base import Call, PreparedPhoto
from photochanger.providers.group import ProviderGroup
from supervisors import Request
from tests.jobs.workbench import Doing, SaidDriver

COLD = Expected(5.0, 8.0, 9.0)
PHOTO = PreparedPhoto(Path("photo"), "image/jpeg", 1, 1, (), 0)
PICTURE = AttemptOutcome(Verdict.PICTURE)
OVERLOADED = AttemptOutcome(Verdict.OVERLOADED)


def taking(seconds: float, outcome: AttemptOutcome = PICTURE) -> Doing:
    async def take(_call: Call) -> AttemptOutcome:
        await trio.sleep(seconds)
        return outcome

    return take


def a_group(doing: Doing, *, live: int = 2, late: int = 2) -> ProviderGroup:
    return ProviderGroup(SaidDriver(doing), live=live, late=late)


def call(settings: Any = None) -> Call:
    return Call(PHOTO, "edit", settings or {}, Path("out"), trio.current_time() + 30)


async def nothing() -> None:
    """What `begin` does where nothing is to be booked."""


def asked(group: ProviderGroup, *, hedge: bool = False, live: bool = True) -> Request:
    request = group.ask("slot-001", float("inf"), hedge=hedge, live=live)
    assert request is not None
    return request


async def once(
    group: ProviderGroup,
    *,
    settings: Any = None,
    begin: Callable[[], Awaitable[None]] = nothing,
    live: bool = True,
) -> AttemptOutcome:
    return await group.attempt(call(settings), asked(group, live=live), begin=begin)
