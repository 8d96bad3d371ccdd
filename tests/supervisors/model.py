"""What a supervisor has to do, worked out on paper: a simulation without tasks, written apart from the library.

It knows children that leave at once when stopped, and times no two of which fall together.
"""

from dataclasses import dataclass, field
from typing import Literal

from supervisors import Backoff
from supervisors.child import Restart
from supervisors.supervisor import Strategy
from tests.supervisors.lab import FOREVER, Script


@dataclass(frozen=True)
class Plan:
    """A child of the model."""

    name: str
    restart: Restart
    scripts: tuple[Script, ...]
    start_timeout: float
    park: bool = False


@dataclass
class Outcome:
    """When each child was begun; how and when the supervisor ended."""

    begins: dict[str, list[float]]
    ended: Literal["stopped", "boot failed", "too many restarts"]
    culprit: str
    at: float


@dataclass
class _State:
    plan: Plan
    runs: int = 0
    phase: Literal["down", "starting", "up"] = "down"
    wanted: bool = True
    finished: bool = False
    ever_up: bool = False
    event_at: float = FOREVER
    event: str = ""
    up_at: float = 0.0
    failures: int = 0
    parked: bool = False
    restarts: list[float] = field(default_factory=list)
    begins: list[float] = field(default_factory=list)

    def begin(self, now: float) -> None:
        script = self.plan.scripts[min(self.runs, len(self.plan.scripts) - 1)]
        self.runs += 1
        self.begins.append(now)
        self.phase = "starting"
        if script.start > self.plan.start_timeout:
            self.event, self.event_at = "crash", now + self.plan.start_timeout
        else:
            self.event, self.event_at = {"up": "up"}.get(script.start_ends, "crash"), now + script.start

    def come_up(self, now: float) -> None:
        script = self.plan.scripts[min(self.runs - 1, len(self.plan.scripts) - 1)]
        self.phase, self.ever_up, self.up_at = "up", True, now
        self.event, self.event_at = script.ends, now + script.up

    def go_down(self) -> None:
        self.phase, self.event_at = "down", FOREVER


def predict(
    plans: list[Plan],
    strategy: Strategy,
    intensity: int,
    period: float,
    backoff: Backoff,
    park: Backoff,
    stop_at: float,
) -> Outcome:
    children = [_State(plan) for plan in plans]
    groups = [[child] for child in children] if strategy == "one_for_one" else [children]
    groups = [group for group in groups if group]
    not_before = [0.0] * len(groups)
    shared: list[float] = []
    now = 0.0

    def outcome(ended: Literal["stopped", "boot failed", "too many restarts"], culprit: str = "") -> Outcome:
        return Outcome({child.plan.name: child.begins for child in children}, ended, culprit, now)

    while True:
        for number, group in enumerate(groups):
            if now >= not_before[number] and all(child.phase != "starting" for child in group):
                for member in group:
                    if member.phase == "down" and member.wanted:
                        member.begin(now)
                        break
            if not all(child.ever_up for child in group):
                break  # the next group is not begun before this one is up
        waits = [time for time in not_before if time > now]
        now = min([stop_at, *waits, *(child.event_at for child in children)])
        if now == stop_at:
            return outcome("stopped")
        child = next((child for child in children if child.event_at == now), None)
        if child is None:
            continue
        if child.event == "up":
            child.come_up(now)
            continue
        was_up = child.phase == "up"
        uptime = now - child.up_at if was_up else 0.0
        crashed = child.event == "crash"
        child.go_down()
        if not child.ever_up:
            return outcome("boot failed", child.plan.name)
        if child.plan.restart == "temporary" or (child.plan.restart == "transient" and not crashed):
            child.wanted = False
            child.finished = not crashed
            continue
        if child.parked and uptime >= park.reset_after:
            child.parked, child.failures = False, 0
            child.restarts.clear()
        elif not child.parked and uptime >= backoff.reset_after:
            child.failures = 0
        if not child.parked:
            restarts = child.restarts if child.plan.park else shared
            restarts.append(now)
            if sum(time > now - period for time in restarts) > intensity:
                if not child.plan.park:
                    return outcome("too many restarts", child.plan.name)
                child.parked, child.failures = True, 0
        rule = park if child.parked else backoff
        number = next(number for number, group in enumerate(groups) if child in group)
        not_before[number] = max(not_before[number], now + min(rule.max, rule.first * rule.factor**child.failures))
        child.failures += 1
        group = groups[number]
        for other in group if strategy == "one_for_all" else group[group.index(child) :]:
            if other is not child and other.phase != "down":
                other.go_down()
                other.wanted = other.plan.restart != "temporary"
            elif other.finished and other.plan.restart == "transient":
                other.wanted, other.finished = True, False
