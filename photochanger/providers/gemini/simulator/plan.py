"""The plan of one answer: its bytes and the way they are sent, and the modifiers that change either."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from photochanger.providers.simulator import Step


@dataclass(frozen=True, slots=True)
class Context:
    """What a plan is made from. `draw(png)` makes the picture, in the thread that builds the plan."""

    model: str
    response_id: str
    usage: Callable[[int], dict[str, Any]]
    draw: Callable[[bool], bytes]


@dataclass(slots=True)
class Plan:
    """`value` becomes JSON unless `raw` is set. `delay` precedes the answer, `drip` is the time its body takes, both
    in seconds; `cut` is the share of the body that is sent before the connection ends.
    """

    http: int = 200
    value: Any = None
    raw: bytes | None = None
    content_type: str = "application/json; charset=UTF-8"
    headers: dict[str, str] = field(default_factory=dict)
    verdict: str = "ok"
    delay: float = 0.0
    drip: float | None = None
    cut: float | None = None
    reset: bool = False
    chunked: bool = False

    @property
    def body(self) -> bytes:
        return msgspec.json.encode(self.value) if self.raw is None else self.raw

    @property
    def usage(self) -> dict[str, Any]:
        """usageMetadata of the reply, or nothing."""
        found = self.value.get("usageMetadata") if isinstance(self.value, dict) else None
        return found or {}


def google_error(http: int, status: str, message: str, details: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """An error body as Google writes it."""
    error: dict[str, Any] = {"code": http, "message": message, "status": status}
    if details:
        error["details"] = details
    return {"error": error}


def _list(plan: Plan, step: Step) -> None:
    plan.value = [plan.value]


def _slow(plan: Plan, step: Step) -> None:
    plan.delay += step.number(3)


def _hang(plan: Plan, step: Step) -> None:
    plan.delay = float("inf")


def _drip(plan: Plan, step: Step) -> None:
    plan.drip = step.number(10)


def _cut(plan: Plan, step: Step) -> None:
    """cut(share) and reset(share): the connection ends after that share of the body; `close` is before any answer."""
    plan.cut = -1.0 if step.name == "close" else step.number(0.5)
    plan.reset = step.name == "reset"


def _truncated(plan: Plan, step: Step) -> None:
    """JSON that ends too early, in a reply that is whole as HTTP."""
    body = plan.body
    plan.raw = body[: len(body) // 2]


def _chunked(plan: Plan, step: Step) -> None:
    plan.chunked = True


def _no_usage(plan: Plan, step: Step) -> None:
    if isinstance(plan.value, dict):
        plan.value.pop("usageMetadata", None)


def _model_version(plan: Plan, step: Step) -> None:
    if isinstance(plan.value, dict) and step.args:
        plan.value["modelVersion"] = step.args[0]


def _message(plan: Plan, step: Step) -> None:
    """message(text): what an error says."""
    if isinstance(plan.value, dict) and "error" in plan.value:
        plan.value["error"]["message"] = ", ".join(step.args)


MODIFIERS: Final[dict[str, Callable[[Plan, Step], None]]] = {
    "list": _list,
    "slow": _slow,
    "hang": _hang,
    "drip": _drip,
    "cut": _cut,
    "reset": _cut,
    "close": _cut,
    "truncated": _truncated,
    "chunked": _chunked,
    "no_usage": _no_usage,
    "model_version": _model_version,
    "message": _message,
}
