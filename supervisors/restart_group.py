"""Children whose restarts are bound together: one of them under one_for_one, all under the other strategies."""

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

import trio

from supervisors.exits import Crashed, Exit, Finished, Stopped, describe
from supervisors.life import Life

log = logging.getLogger("supervisors")


class Owner(Protocol):
    """The supervisor, as far as a group needs it. All of it is without a checkpoint."""

    @property
    def stopping(self) -> bool:
        """Nothing is to be started any more."""

    def give_up(self, life: Life, error: BaseException) -> None:
        """`life` crashed in a way that restarts cannot mend: stop everything."""

    def forget(self, group: "RestartGroup") -> None:
        """`group` has lost a child, perhaps its last."""


class RestartGroup:
    """Keeps its children up, in their order.

    The keeper is one loop that looks at the true state of all children and does the first thing that is due, so it does
    not matter what happened in which order while it was busy or asleep; whoever changes something calls `wake`.
    """

    def __init__(self, owner: Owner, affected: Callable[[Sequence[Life], Life], Sequence[Life]]) -> None:
        self.lives: list[Life] = []
        self.up = trio.Event()  # every child was up once, or the keeper is done
        self._owner = owner
        self._affected = affected
        self._changed = trio.Event()
        self._not_before = 0.0
        self._kept: trio.Event | None = None

    def wake(self) -> None:
        """Have the loop look again."""
        if all(life.up_once for life in self.lives):
            self.up.set()
        self._changed.set()

    def drop(self, life: Life) -> None:
        """Forget a child that is down for good; idempotent."""
        if life.over.is_set():
            return
        self.lives.remove(life)
        self._owner.forget(self)
        life.over.set()
        self.wake()  # it may have been the one that the boot waits for

    def restart(self, life: Life) -> None:
        """Have the child, and those that its restart affects, started again without any delay; nothing is counted."""
        life.recovery.release()
        self._not_before = 0.0
        if life.alive or life.exit is not None:
            life.must_stop = True
        else:
            life.enter("waiting")
        self._take_along(life)
        self.wake()

    @property
    def begun(self) -> bool:
        """`begin` was called."""
        return self._kept is not None

    def begin(self, nursery: trio.Nursery) -> None:
        """Keep the children up, in `nursery`, until the owner is stopping or the last child was removed."""
        self._kept = trio.Event()
        nursery.start_soon(self._keep, nursery, self._kept, name=f"keeper of {self.lives[0].child.name}")

    async def _keep(self, nursery: trio.Nursery, kept: trio.Event) -> None:
        try:
            while self.lives and not self._owner.stopping:
                self._changed = trio.Event()
                look_again = await self._step(nursery)
                with trio.move_on_at(look_again):
                    await self._changed.wait()
        finally:
            kept.set()
            self.up.set()

    async def stop(self) -> None:
        """Stop the children backwards, once the keeper is done. The owner must be stopping."""
        if self._kept is not None:
            await self._kept.wait()
        for life in self.lives[::-1]:
            await life.stop()
            if life.state in ("waiting", "backoff", "parked"):
                life.enter("stopped")
            if (fatal := _interrupt(life.exit)) is not None:
                self._owner.give_up(life, fatal)
            life.settled.set()
            if life.leaving:
                self.drop(life)

    async def _step(self, nursery: trio.Nursery) -> float:
        """Do the first thing that is due. Returns when to look again at the latest."""
        now = trio.current_time()
        for life in self.lives:
            if (exit := life.exit) is not None:
                life.exit = None
                self._judge(life, exit, now)
                return now
        for life in reversed(self.lives):
            if life.leaving:
                await life.stop()
                self.drop(life)
                return now
            if life.must_stop and life.alive:
                await life.stop()
                return now
        if now < self._not_before:
            return self._not_before
        for life in self.lives:
            if life.state == "starting":
                if now < life.start_deadline:
                    return life.start_deadline
                life.give_up_start()
            if life.state == "stopping":
                return float("inf")  # until it has gone
            if life.state in ("waiting", "backoff", "parked"):
                life.begin(nursery)
                return now
        return float("inf")

    def _judge(self, life: Life, exit: Exit, now: float) -> None:
        """Decide what follows from the end of a run."""
        restart = life.child.restart
        if (fatal := _interrupt(exit)) is not None:
            self._owner.give_up(life, fatal)
            return
        if life.leaving:
            return
        if life.must_stop and not isinstance(exit, Stopped):
            exit = Stopped()  # it was to be stopped because of a sibling and fell first: the same fall, counted once
        match exit:
            case Stopped():
                if restart != "temporary":
                    life.enter("waiting")
            case Crashed(error) if not life.up_once:
                # A failed boot is raised, cause and all, to whoever runs the tree: it needs no traceback here.
                told = error if life.added else None
                log.error("%s did not start: %s", life.child.name, describe(error), exc_info=told)
                if life.added:
                    life.leaving = True
                else:
                    self._owner.give_up(life, error)
            case Crashed(error):
                log.error("%s crashed: %s", life.child.name, describe(error), exc_info=error)
                if restart != "temporary":
                    self._restart(life, error, now)
            case Finished() if restart == "permanent":
                log.error("%s returned, but it is a permanent child", life.child.name)
                self._restart(life, RuntimeError(f"{life.child.name} returned, but it is a permanent child"), now)

    def _restart(self, life: Life, error: BaseException, now: float) -> None:
        """Have the child, and those that its restart affects, started again after the backoff."""
        was_parked = life.recovery.is_parked()
        delay = life.recovery.after_crash(life.uptime, now)
        if delay is None:
            self._owner.give_up(life, error)
            return
        parked = life.recovery.is_parked()
        life.enter("parked" if parked else "backoff")
        self._not_before = max(self._not_before, now + delay)
        self._take_along(life)
        log.warning("%s is started again in %.2f s%s", life.child.name, delay, " (parked)" if parked else "")
        if parked and not was_parked and life.child.on_parked is not None:
            try:
                life.child.on_parked(error)
            except Exception:
                log.exception("%s: on_parked failed", life.child.name)

    def _take_along(self, life: Life) -> None:
        """Mark the others that the strategy has restarted with `life`."""
        for other in self._affected(self.lives, life):
            if other is life:
                continue
            if other.alive or other.exit is not None:
                other.must_stop = True
            elif other.state == "finished" and other.child.restart == "transient":
                other.enter("waiting")


def _interrupt(exit: Exit | None) -> BaseException | None:
    """What must end the whole tree: KeyboardInterrupt, SystemExit and their like."""
    match exit:
        case Crashed(error) if not isinstance(error, Exception):
            return error
    return None
