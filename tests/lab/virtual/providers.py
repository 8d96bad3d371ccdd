"""A driver that keeps to a script, and keeps the provider's books."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import trio

from photochanger.domain.latency import Expected
from photochanger.domain.outcome import AttemptOutcome, Picture, Verdict
from photochanger.providers.base import Call
from tests.lab.virtual.behaviour import PRICE, Behaviour, Kind, answer_bytes

Script = Callable[[], Behaviour]


@dataclass(slots=True)
class Asked:
    """One call as the provider saw it. `told` is None while it runs, and stays None when it was cut off."""

    provider: str
    job_id: str
    slot_id: str
    behaviour: Behaviour
    at: float
    ended: float | None = None
    told: AttemptOutcome | None = None
    charged: int = 0

    @property
    def paid_picture(self) -> bool:
        """A whole picture was handed over."""
        return self.told is not None and self.behaviour.kind is Kind.PICTURE


class ScriptedDriver:
    """`script` is asked for every call's behaviour. `asked` are all calls so far."""

    accepts = frozenset({"image/jpeg", "image/png", "image/webp"})
    needs_public_address = False
    on_this_machine = True
    missing: str | None = None

    def __init__(self, name: str, script: Script, *, expected: Expected | None = None, cap: float = 170.0) -> None:
        self.name = name
        self.script = script
        self.cap = cap
        self.asked: list[Asked] = []
        self.most_at_once = 0
        self._running = 0
        self._expected = expected or Expected(5.0, 9.0, 11.0)

    def check(self, operation: str, settings: Any, roles: Sequence[str]) -> None:
        """Anything works."""

    def expects(self, settings: Any) -> Expected:
        """What the test said."""
        return self._expected

    def parse_settings(self, settings: Mapping[str, Any]) -> Any:
        """As they are."""
        return dict(settings)

    def model_of(self, settings: Any) -> str:
        """There is one."""
        return "scripted"

    def estimate_microusd(self, settings: Any) -> int:
        """The price of a picture."""
        return PRICE

    async def call(self, call: Call) -> AttemptOutcome:
        """Do what the script says, and write down what it costs, also when the call is cut off."""
        folder = call.out_path.parent
        asked = Asked(self.name, folder.name, folder.parent.name, self.script(), trio.current_time())
        self.asked.append(asked)
        self._running += 1
        self.most_at_once = max(self.most_at_once, self._running)
        try:
            await self._take_time(asked.behaviour)
            asked.told = self._answer(asked.behaviour.kind, call)
        finally:
            self._running -= 1
            asked.ended = trio.current_time()
            asked.charged = _charge(asked)
        return asked.told

    async def _take_time(self, behaviour: Behaviour) -> None:
        if behaviour.kind is Kind.HANG:
            await trio.sleep_forever()
        if behaviour.kind is Kind.DRIP:
            for pause in itertools.repeat(2.0):  # a byte now and then: no timeout of a single read would fire
                await trio.sleep(pause)
        await trio.sleep(behaviour.seconds)

    def _answer(self, kind: Kind, call: Call) -> AttemptOutcome:
        if kind is Kind.CRASH:
            raise RuntimeError("a bug in a driver")
        told = kind.told
        if told.verdict is not Verdict.PICTURE:
            return told
        data = answer_bytes()
        call.out_path.write_bytes(data if kind is Kind.PICTURE else data[: len(data) // 2])
        return AttemptOutcome(
            told.verdict,
            picture=Picture(call.out_path, "image/jpeg"),
            http_status=told.http_status,
            finish_reason=told.finish_reason,
            cost_microusd=told.cost_microusd,
        )


def _charge(asked: Asked) -> int:
    if asked.told is not None and not asked.told.possibly_billed:
        return asked.told.cost_microusd
    return PRICE if asked.behaviour.charges else 0
