"""The control address of a simulator: `/_sim/scenarios` and `/_sim/calls`, as JSON."""

from collections import deque
from dataclasses import asdict
from typing import Any

import msgspec

from photochanger.providers.simulator.script import Script
from photochanger.providers.simulator.server import Answer, Request

PREFIX = "/_sim/"


class _Orders(msgspec.Struct, forbid_unknown_fields=True):
    queue: list[str] = []
    mix: dict[str, float] | None = None
    seed: int = 0
    default: str | None = None


class Control:
    """Serves one simulator's script and its records of calls (dataclasses, newest last)."""

    def __init__(self, script: Script, calls: deque[Any]) -> None:
        self._script = script
        self._calls = calls

    async def __call__(self, request: Request, answer: Answer) -> None:
        """GET shows, DELETE forgets; POST scenarios takes {"queue": [..], "mix": {..}, "seed": 1, "default": ".."}."""
        what = request.path.removeprefix(PREFIX)
        if what == "calls" and request.method in ("GET", "DELETE"):
            if request.method == "DELETE":
                self._calls.clear()
            await answer.json(200, {"calls": [asdict(call) for call in self._calls]})
        elif what == "scenarios" and request.method in ("GET", "POST", "DELETE"):
            try:
                if request.method == "DELETE":
                    self._script.reset()
                elif request.method == "POST":
                    self._obey(msgspec.json.decode(request.body, type=_Orders))
            except (msgspec.MsgspecError, ValueError) as error:
                await answer.json(400, {"error": str(error)})
                return
            await answer.json(200, self._script.state())
        else:
            await answer.json(404, {"error": "there are /_sim/calls and /_sim/scenarios"})

    def _obey(self, orders: _Orders) -> None:
        self._script.queue(*orders.queue)
        if orders.mix is not None:
            self._script.mix(orders.mix, orders.seed)
        if orders.default is not None:
            self._script.default(orders.default)
