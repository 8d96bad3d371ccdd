"""What becomes of one job, read from a scenario: `reconnect(2)+nested`, `poll(502,3)+ok`, `download(once)`.

A scenario is one ending, "ok" if there is none, and any of the steps below.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from photochanger.providers.simulator import ScenarioError, Step

ENDINGS: Final = (
    "ok",  # uploaded_image at the top
    "nested",  # uploaded_image inside data
    "relative",  # data.image only, relative
    "absolute",  # data.image only, absolute
    "null_image",  # uploaded_image is null, data.image is relative
    "no_image",  # neither
    "forbidden",  # a picture, and forbidden_content
    "failed",  # failed(text): success is false
    "stray",  # the documented reply that is no JSON: a bracket too many
    "bare",  # success and nothing else
    "other_host",  # other_host(url): uploaded_image is there
)
PICTURES: Final = ("png", "jpeg", "half_picture")

_ANYWHERE: Final = ("html", "half", "cut", "close", "reset", "hang", "large", "redirect", "slow")
FAULTS: Final = {
    "create": (*_ANYWHERE, "no_id", "asyncid", "text_id"),
    "poll": _ANYWHERE,
    "download": (*_ANYWHERE, "empty", "once", "key", "moved"),
}
"""Also any status from 201 to 599 in each of them."""


@dataclass(frozen=True, slots=True)
class Fault:
    """How one answer goes wrong: `kind(arg)`. Of a job's answers of this sort the first `times` do."""

    kind: str
    arg: str | None = None
    times: int = 1

    @property
    def status(self) -> int | None:
        return int(self.kind) if self.kind.isdecimal() else None

    def number(self, default: float) -> float:
        """`arg` as a number. Raises ScenarioError when it is something else."""
        try:
            return default if self.arg is None else float(self.arg)
        except ValueError:
            raise ScenarioError(f"{self.kind}: {self.arg!r} is not a number") from None


@dataclass(slots=True)
class Plan:
    """`reconnects` answers say to come again, with `success` as `reconnect_success` (None: without that key), and
    for `seconds` at least. `hold` is how many seconds each get_result is held open.
    """

    ending: str = "ok"
    text: str | None = None
    picture: str = "png"
    typed: str | None = None
    reconnects: int = 0
    reconnect_success: bool | None = None
    seconds: float = 0.0
    hold: float = 0.0
    faults: dict[str, Fault] = field(default_factory=dict)


def build(steps: tuple[Step, ...]) -> Plan:
    """Raises ScenarioError for a step that is not known or not understood."""
    plan = Plan()
    endings = [step for step in steps if step.name in ENDINGS]
    if len(endings) > 1:
        raise ScenarioError(f"{endings[0].name} and {endings[1].name}: one ending only")
    for step in steps:
        if step.name in ENDINGS:
            plan.ending, plan.text = step.name, ", ".join(step.args) or None
        elif step.name in PICTURES:
            plan.picture = step.name
        elif step.name in FAULTS:
            plan.faults[step.name] = _fault(step)
        elif step.name in _STEPS:
            _STEPS[step.name](plan, step)
        else:
            raise ScenarioError(f"no such scenario: {step.name}")
    if plan.ending == "other_host" and plan.text is None:
        raise ScenarioError("other_host: which address?")
    return plan


def check(steps: tuple[Step, ...]) -> None:
    """Raises ScenarioError for steps that cannot be played."""
    build(steps)


def _fault(step: Step) -> Fault:
    """create(kind, arg), poll(kind, times) and download(kind, arg, times); a status has no arg, only times."""
    if not step.args:
        raise ScenarioError(f"{step.name}: which fault?")
    kind, rest = step.args[0], list(step.args[1:])
    if not (kind in FAULTS[step.name] or (kind.isdecimal() and 201 <= int(kind) <= 599)):
        raise ScenarioError(f"{step.name}: no such fault: {kind}")
    with_arg = kind in ("large", "redirect", "slow", "cut")
    arg = rest.pop(0) if with_arg and rest else None
    times = rest.pop(0) if rest else "1"
    if rest or not times.isdecimal():
        raise ScenarioError(f"{step.name}: {', '.join(step.args[1:])!r} is not understood")
    fault = Fault(kind, arg, int(times))
    if kind in ("large", "slow", "cut"):
        fault.number(1)
    return fault


def _reconnect(plan: Plan, step: Step) -> None:
    """reconnect(n), reconnect(n, true), reconnect(n, false)"""
    plan.reconnects = int(step.number(1))
    word = step.args[1] if len(step.args) > 1 else None
    if word not in (None, "true", "false"):
        raise ScenarioError(f"reconnect: {word!r} is neither true nor false")
    plan.reconnect_success = None if word is None else word == "true"


def _slow(plan: Plan, step: Step) -> None:
    plan.seconds = step.number(3)


def _hold(plan: Plan, step: Step) -> None:
    plan.hold = step.number(1)


def _typed(plan: Plan, step: Step) -> None:
    """The download says which format it is, instead of application/octet-stream; typed(mime): that it is this one."""
    plan.typed = step.args[0] if step.args else ("image/jpeg" if plan.picture == "jpeg" else "image/png")


_STEPS: Final[dict[str, Callable[[Plan, Step], None]]] = {
    "reconnect": _reconnect,
    "slow": _slow,
    "hold": _hold,
    "typed": _typed,
}
