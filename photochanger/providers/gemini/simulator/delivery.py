"""How a planned answer is sent: at once, dripped, cut off or reset."""

import math
from typing import Final

import trio

from photochanger.providers.gemini.simulator.plan import Plan
from photochanger.providers.simulator import Answer

DRIP_PIECES: Final = 50


async def deliver(plan: Plan, answer: Answer) -> None:
    """Send the plan's bytes the way it says."""
    body = plan.body
    if plan.cut is not None and plan.cut < 0:
        await answer.cut()
        return
    await answer.start(
        plan.http, {"Content-Type": plan.content_type, **plan.headers}, None if plan.chunked else len(body)
    )
    upto = len(body) if plan.cut is None else int(len(body) * min(plan.cut, 1.0))
    if plan.drip is None:
        await answer.send(memoryview(body)[:upto])
    else:
        step = max(1, math.ceil(len(body) / DRIP_PIECES))
        for start in range(0, upto, step):
            await answer.send(memoryview(body)[start : min(start + step, upto)])
            await trio.sleep(plan.drip / DRIP_PIECES)
    if plan.cut is None:
        await answer.end()
    else:
        await answer.cut(reset=plan.reset)
