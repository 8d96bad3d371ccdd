"""A supervisor: starts its children in order, keeps them up by its rules, stops them backwards."""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import trio

from supervisors.backoff import Backoff, Recovery, RestartWindow
from supervisors.child import Child
from supervisors.errors import BootFailed, StartFailed, SupervisionError, SupervisorFailed
from supervisors.exits import describe, unwrap
from supervisors.life import Life
from supervisors.restart_group import RestartGroup
from supervisors.snapshot import Snapshot, State

log = logging.getLogger("supervisors")

Strategy = Literal["one_for_one", "rest_for_one", "one_for_all"]

_AFFECTED: dict[Strategy, Callable[[Sequence[Life], Life], Sequence[Life]]] = {
    "one_for_one": lambda lives, life: [life],
    "rest_for_one": lambda lives, life: lives[lives.index(life) :],
    "one_for_all": lambda lives, life: lives,
}


class Supervisor:
    """Runs `children` under one strategy.

    `intensity` restarts within `period` seconds are allowed, over all children together (a child with `park` counts
    for itself); one more and the supervisor stops everything and fails. `backoff` delays restarts, `park_backoff` those
    of parked children.

    `run` is itself a child's body, so trees nest:
    `Child(name, sub.run, request_stop=sub.request_stop, supervisor=sub)`, its grace being at least the sum of the
    graces beneath.
    """

    def __init__(
        self,
        name: str,
        children: Iterable[Child],
        *,
        strategy: Strategy = "one_for_one",
        intensity: int = 5,
        period: float = 30.0,
        backoff: Backoff = Backoff(),  # noqa: B008 - an immutable value
        park_backoff: Backoff = Backoff(first=5.0, max=60.0),  # noqa: B008
    ) -> None:
        if strategy not in _AFFECTED:
            raise ValueError(f"{name}: unknown strategy {strategy!r}")
        if intensity < 0 or not period > 0:
            raise ValueError(f"{name}: intensity must not be negative, period must be positive")
        self.name = name
        self._strategy: Strategy = strategy
        self._intensity = intensity
        self._period = period
        self._backoff = backoff
        self._park_backoff = park_backoff
        self._children: list[Child] = []
        self._state: State = "waiting"
        self._since: float | None = None
        self._last_error = ""
        self._nursery: trio.Nursery | None = None
        self._stop = trio.Event()
        self._failure: BaseException | None = None
        self._groups: list[RestartGroup] = []
        for child in children:
            self._enlist(child)
        self._lay_out()

    async def run(self, *, task_status: trio.TaskStatus[Any] = trio.TASK_STATUS_IGNORED) -> None:
        """Start the children, say started when all are up, keep them up until told to stop.

        Returns after `request_stop`; a cancellation from outside has the same orderly stop first (shielded, so at most
        the sum of the graces if the children keep to them). Can be run again afterwards.

        Raises BootFailed when a child's first start fails, SupervisorFailed when children crash too often, and
        whatever interrupt (KeyboardInterrupt, SystemExit) a child raised; always after everything has been stopped.
        """
        if self._nursery is not None or self._state in ("starting", "running", "stopping"):
            raise RuntimeError(f"{self.name} runs already")
        self._lay_out()
        self._failure = None
        over = trio.Event()
        error: BaseException | None = None
        self._enter("starting")
        try:
            # The tree lives under a shield, so that only this task meets a cancellation and turns it into a stop.
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._shielded, task_status, over, name=self.name)
                try:
                    await over.wait()
                finally:
                    self.request_stop()
        except BaseExceptionGroup as group:
            error = unwrap(group)
        finally:
            self._nursery = None
            self._stop = trio.Event()
        if error is None or not isinstance(self._failure, Exception | None):
            error = self._failure or error
        if error is None or isinstance(error, trio.Cancelled):
            self._enter("stopped")
        else:
            self._enter("failed")
            self._last_error = describe(error)
        if error is not None:
            raise error

    def request_stop(self) -> None:
        """Ask for the orderly stop. Interrupts backoffs at once, and starts when their turn in the stop has come.

        Before `run` it makes the next run return at once.
        """
        self._stop.set()
        for group in self._groups:
            group.wake()

    async def add(self, child: Child) -> None:
        """Add a child after the others and wait until it has said started.

        While the supervisor is not up, the child is only put on the list and started in its turn. Added children stay
        when the supervisor itself is restarted. A cancelled `add` takes the child back; the supervisor stops it.

        Raises ValueError when the name is taken, StartFailed when it does not come up (it is then off the list).
        """
        self._enlist(child)
        life, group = self._lay_out_one(child)
        if self._nursery is None or self._state != "running" or self.stopping:
            group.wake()
            return
        life.added = True
        if not group.begun:
            group.begin(self._nursery)
        group.wake()
        try:
            await life.settled.wait()
        finally:
            if not life.up_once:
                self._dismiss(life, group)
        if not life.up_once:
            reason = life.first_error or SupervisionError("the supervisor was stopped")
            raise StartFailed(self.name, child.name, describe(reason)) from reason

    async def remove(self, name: str) -> None:
        """Stop a child and forget it; its siblings are not touched. If this is cancelled, that still happens.

        Raises KeyError when there is no such child.
        """
        life, group = self._find(name)
        self._dismiss(life, group)
        await life.over.wait()

    def request_restart(self, name: str) -> None:
        """Have a child started again now: stopped first if it runs, taken out of its backoff or parking if it waits.

        Nothing is counted against it, and the strategy's siblings are restarted with it. While the supervisor is not
        up, nothing happens. Raises KeyError when there is no such child.
        """
        life, group = self._find(name)
        if self._state == "running":
            group.restart(life)

    def snapshot(self) -> Snapshot:
        """The live tree from here down, as values. Must be called inside a Trio run."""
        return Snapshot(
            name=self.name,
            kind="supervisor",
            state=self._state,
            since=self._since,
            age=0.0 if self._since is None else trio.current_time() - self._since,
            restarts=0,
            last_error=self._last_error,
            parked=False,
            overdue=False,
            mailboxes=(),
            children=tuple(life.snapshot() for group in self._groups for life in group.lives),
        )

    # What the groups call.

    @property
    def stopping(self) -> bool:
        """A stop was asked for."""
        return self._stop.is_set()

    def give_up(self, life: Life, error: BaseException) -> None:
        """Stop everything because of this crash; the first reason stays, but an interrupt wins."""
        interrupt = not isinstance(error, Exception)
        if self._failure is None or (interrupt and isinstance(self._failure, Exception)):
            if interrupt:
                self._failure = error
            else:
                kind = SupervisorFailed if life.up_once else BootFailed
                self._failure = kind(self.name, life.child.name, describe(error))
                self._failure.__cause__ = error
            log.error("%s gives up: %s", self.name, describe(self._failure))
        self.request_stop()

    def forget(self, group: RestartGroup) -> None:
        """The group has lost a child; without any it goes, except the one group of the other strategies."""
        if self._strategy == "one_for_one" and not group.lives:
            self._groups.remove(group)

    async def _shielded(self, task_status: trio.TaskStatus[Any], over: trio.Event) -> None:
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                # looked up anew each time: children can be added and removed meanwhile
                while not self.stopping and (group := next((g for g in self._groups if not g.begun), None)):
                    group.begin(nursery)
                    await group.up.wait()
                if not self.stopping:
                    self._enter("running")
                    task_status.started()
                await self._stop.wait()
                self._enter("stopping")
                for group in self._groups[::-1]:
                    await group.stop()
        over.set()

    def _enter(self, state: State) -> None:
        self._state = state
        self._since = trio.current_time()

    def _enlist(self, child: Child) -> None:
        if any(child.name == other.name for other in self._children):
            raise ValueError(f"{self.name}: there is a child named {child.name} already")
        if child.park and self._strategy != "one_for_one":
            raise ValueError(f"{self.name}: {child.name} cannot be parked alone under {self._strategy}")
        self._children.append(child)

    def _dismiss(self, life: Life, group: RestartGroup) -> None:
        """Take the child off the list; its keeper stops it and drops it."""
        self._children = [child for child in self._children if child.name != life.child.name]
        life.leaving = True
        if self._nursery is None or not group.begun or (self.stopping and not life.alive):
            group.drop(life)  # no keeper looks after it
        else:
            group.wake()

    def _lay_out(self) -> None:
        """Fresh groups of fresh lives for a run."""
        self._window = RestartWindow(self._intensity, self._period)
        self._groups = []
        for child in self._children:
            self._lay_out_one(child)

    def _lay_out_one(self, child: Child) -> tuple[Life, RestartGroup]:
        if self._strategy == "one_for_one" or not self._groups:
            self._groups.append(RestartGroup(self, _AFFECTED[self._strategy]))
        group = self._groups[-1]
        recovery = (
            Recovery(self._backoff, self._park_backoff, RestartWindow(self._intensity, self._period))
            if child.park
            else Recovery(self._backoff, None, self._window)
        )
        life = Life(child, recovery, group.wake)
        group.lives.append(life)
        return life, group

    def _find(self, name: str) -> tuple[Life, RestartGroup]:
        for group in self._groups:
            for life in group.lives:
                if life.child.name == name and not life.leaving:
                    return life, group
        raise KeyError(name)
