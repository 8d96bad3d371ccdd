"""Answers that go wrong: another status, HTML, half of it, nothing at all."""

from typing import Final

import trio

from photochanger.providers.simulator import Answer
from photochanger.providers.turbotext.simulator.plan import Fault

HTML: Final = b"<!DOCTYPE html>\n<html><title>502 Bad Gateway</title><p>nginx</html>"
JSON: Final = "application/json; charset=UTF-8"
_PIECE: Final = bytes(1_000_000)


async def play(fault: Fault, answer: Answer, body: bytes, content_type: str = JSON) -> bool:
    """Answer wrongly. False when `fault` only delays, or is not a matter of the answer, so that one must follow."""
    kind = fault.kind
    if fault.status is not None:
        await answer.json(fault.status, {"success": False, "error": f"status {fault.status}"})
    elif kind == "html":
        await answer.whole(200, HTML, "text/html; charset=UTF-8")
    elif kind == "half":
        await answer.whole(200, body[: len(body) // 2], content_type)
    elif kind == "cut":
        await answer.start(200, {"Content-Type": content_type})
        await answer.send(body[: int(len(body) * fault.number(0.5))])
        await answer.cut()
    elif kind in ("close", "reset"):
        await answer.cut(reset=kind == "reset")
    elif kind == "hang":
        await trio.sleep_forever()
    elif kind == "large":
        await answer.start(200, {"Content-Type": content_type})
        for _ in range(int(fault.number(2))):
            await answer.send(_PIECE)
        await answer.end()
    elif kind == "redirect":
        await answer.whole(307, b"moved", "text/plain", {"Location": fault.arg or "https://example.com/"})
    elif kind == "empty":
        await answer.whole(200, b"", content_type)
    else:
        if kind == "slow":
            await trio.sleep(fault.number(3))
        return False
    return True
