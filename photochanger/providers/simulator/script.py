"""What a simulator shall do next: steps written as text, queued, mixed by chance, or named in a prompt."""

import random
import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_STEP = re.compile(r"\s*([a-z][a-z0-9_]*)\s*(?:\(([^()]*)\))?\s*")
_TAG = re.compile(r"\[sim:([^\]]*)\]")


class ScenarioError(ValueError):
    """A scenario's text is not understood; the message says which part."""


@dataclass(frozen=True, slots=True)
class Step:
    """`name(arg, arg)`."""

    name: str
    args: tuple[str, ...] = ()

    def number(self, default: float) -> float:
        """The first argument as a number. Raises ScenarioError when it is something else."""
        if not self.args:
            return default
        try:
            return float(self.args[0])
        except ValueError:
            raise ScenarioError(f"{self.name}: {self.args[0]!r} is not a number") from None


def parse_steps(text: str) -> tuple[Step, ...]:
    """`slow(3)+no_image` as steps. Raises ScenarioError."""
    steps = []
    for piece in text.split("+"):
        found = _STEP.fullmatch(piece)
        if found is None:
            raise ScenarioError(f"not a scenario: {piece.strip()!r}")
        args = tuple(arg.strip() for arg in (found[2] or "").split(",") if arg.strip())
        steps.append(Step(found[1], args))
    return tuple(steps)


def steps_in(prompt: str) -> tuple[Step, ...]:
    """The steps of all tags like `[sim:slow(3)]` in a prompt, in order. Raises ScenarioError."""
    return tuple(step for tag in _TAG.findall(prompt) for step in parse_steps(tag))


class Script:
    """The scenario of each next call: from the queue, else by the mix, else the default.

    `check` raises ScenarioError for steps that the simulator does not know, so that a typing error is told to the
    one who made it. A mix is drawn from a generator with a seed: the same seed, the same run.
    """

    def __init__(self, check: Callable[[tuple[Step, ...]], None], default: str = "ok") -> None:
        self._check = check
        self._initial = default
        self.reset()

    def reset(self) -> None:
        """Forget queue, mix and default."""
        self._queue: deque[str] = deque()
        self._mix: dict[str, float] = {}
        self._random = random.Random(0)  # noqa: S311  # chance for tests, nothing secret
        self._default = self._initial

    def queue(self, *scenarios: str) -> None:
        """One scenario per call to come, after those queued before."""
        for text in scenarios:
            self._check(parse_steps(text))
        self._queue.extend(scenarios)

    def mix(self, shares: Mapping[str, float], seed: int = 0) -> None:
        """Each call without a queued scenario takes one with its share of chance; what is left is the default."""
        for text, share in shares.items():
            self._check(parse_steps(text))
            if share < 0:
                raise ScenarioError(f"{text}: a share must not be negative")
        if sum(shares.values()) > 1:
            raise ScenarioError("the shares add up to more than 1")
        self._mix = dict(shares)
        self._random = random.Random(seed)  # noqa: S311

    def default(self, scenario: str) -> None:
        """What a call does when nothing else says."""
        self._check(parse_steps(scenario))
        self._default = scenario

    def next(self) -> str:
        """The scenario of the call at hand."""
        if self._queue:
            return self._queue.popleft()
        drawn = self._random.random() if self._mix else 1.0
        for text, share in self._mix.items():
            if drawn < share:
                return text
            drawn -= share
        return self._default

    def peek(self) -> str:
        """What is queued next, else the default; nothing is taken or drawn."""
        return self._queue[0] if self._queue else self._default

    def state(self) -> dict[str, object]:
        """What is set, for the control address."""
        return {"queue": list(self._queue), "mix": dict(self._mix), "default": self._default}
