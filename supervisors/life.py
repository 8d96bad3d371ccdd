"""The life of one child under its supervisor: at most one run of it at a time, its state, its end."""

import logging
from collections.abc import Callable

import trio

from supervisors.backoff import Recovery
from supervisors.child import Child
from supervisors.errors import NotStarted, StartTimeout, StrayCancellation
from supervisors.exits import Crashed, Exit, Finished, Stopped, describe, unwrap
from supervisors.snapshot import Snapshot, State

log = logging.getLogger("supervisors")


class Life:
    """Runs a child when its group says so and tells the group (`changed`) when it is up and when it has gone.

    The state is only ever changed without a checkpoint in between, so whoever looks sees a true one.
    """

    def __init__(self, child: Child, recovery: Recovery, changed: Callable[[], None]) -> None:
        self.child = child
        self.recovery = recovery
        self._changed = changed
        self.state: State = "waiting"
        self._since: float | None = None
        self._starts = 0
        self._last_error = ""
        # of the run that is on, or was the last one
        self.exit: Exit | None = None  # left here for the group to judge
        self.start_deadline = 0.0
        self.uptime = 0.0
        self._up_at: float | None = None
        self._scope: trio.CancelScope | None = None
        self._gone = trio.Event()
        self._stop_asked = False
        self._stop_due = 0.0
        # of its first start
        self.up_once = False
        self.first_error: BaseException | None = None
        self.settled = trio.Event()
        # what the group or the supervisor has decided
        self.must_stop = False  # because of a sibling
        self.added = False  # at run time: its first start failing is the affair of whoever added it
        self.leaving = False  # to be stopped and forgotten
        self.over = trio.Event()  # forgotten

    @property
    def alive(self) -> bool:
        """A task of the child exists."""
        return self._scope is not None

    def enter(self, state: State) -> None:
        """Note the state and when it began."""
        self.state = state
        self._since = trio.current_time()

    def begin(self, nursery: trio.Nursery) -> None:
        """Start a run of the child in `nursery`; it has until `start_deadline` to say started."""
        assert not self.alive, f"{self.child.name} runs already"
        self._scope = trio.CancelScope()
        self._gone = trio.Event()
        self.exit = self._up_at = None
        self._stop_asked = self.must_stop = False
        self._starts += 1
        self.start_deadline = trio.current_time() + self.child.start_timeout
        self.enter("starting")
        nursery.start_soon(self._run, self._scope, name=self.child.name)

    def give_up_start(self) -> None:
        """The start took too long: cancel it. The end of the run is then a crash (StartTimeout)."""
        assert self._scope is not None
        self._enter_stopping()
        self._scope.cancel()

    async def stop(self) -> None:
        """Have the child leave, and wait until it has; at once when it is not there."""
        scope = self._scope
        if scope is None:
            return
        up = self.state == "running"
        self._stop_asked = True
        if self.state != "stopping":
            self._enter_stopping()
        if not (up and self._ask_to_leave()):
            scope.cancel()
        with trio.move_on_at(self._stop_due):
            await self._gone.wait()
            return
        log.warning("%s has not left within its grace of %g s", self.child.name, self.child.grace)
        scope.cancel()
        await self._gone.wait()

    def _enter_stopping(self) -> None:
        self.enter("stopping")
        self._stop_due = trio.current_time() + self.child.grace

    def _ask_to_leave(self) -> bool:
        if self.child.request_stop is None:
            return False
        try:
            self.child.request_stop()
        except Exception:
            log.exception("%s cannot be asked to leave and is cancelled", self.child.name)
            return False
        return True

    async def _run(self, scope: trio.CancelScope) -> None:
        error: BaseException | None = None
        try:
            with scope:
                await self.child.run(task_status=_Ready(self._started))
        except BaseException as raised:  # the border: what a child raises becomes a value here
            error = unwrap(raised)
            if isinstance(error, GeneratorExit) or trio.current_effective_deadline() == float("-inf"):
                self._end(Stopped(error))  # not the child's affair: everything around it is being torn down
                raise
        self._end(self._verdict(error))

    def _started(self) -> None:
        if self.state != "starting":
            return  # too late: told to leave meanwhile
        self._up_at = trio.current_time()
        self.up_once = True
        self.enter("running")
        self.settled.set()
        self._changed()

    def _verdict(self, error: BaseException | None) -> Exit:
        name = self.child.name
        if isinstance(error, trio.Cancelled):
            stray = StrayCancellation(f"{name} raised Cancelled, but nobody had cancelled it")
            stray.__cause__ = error
            error = stray
        if error is not None and not isinstance(error, Exception):
            return Crashed(error)  # an interrupt counts whatever else goes on
        if self._stop_asked:
            return Stopped(error)
        if self.state == "stopping":
            late = StartTimeout(f"{name} did not say started within {self.child.start_timeout:g} s")
            late.__cause__ = error
            return Crashed(late)
        if error is not None:
            return Crashed(error)
        if self._up_at is None:
            return Crashed(NotStarted(f"{name} returned before it said started"))
        return Finished()

    def _end(self, exit: Exit) -> None:
        self.uptime = 0.0 if self._up_at is None else trio.current_time() - self._up_at
        self.exit = exit
        self._scope = None
        match exit:
            case Finished():
                self.enter("finished")
            case Crashed(error) | Stopped(BaseException() as error):
                self.enter("failed" if isinstance(exit, Crashed) else "stopped")
                self._last_error = describe(error)
                if not self.up_once:
                    self.first_error = error
            case Stopped():
                self.enter("stopped")
        self._gone.set()
        self.settled.set()
        self._changed()

    def snapshot(self) -> Snapshot:
        """This child and, where it is a supervisor, what is beneath."""
        beneath = self.child.supervisor.snapshot() if self.child.supervisor is not None else None
        now = trio.current_time()
        return Snapshot(
            name=self.child.name,
            kind="worker" if beneath is None else "supervisor",
            state=self.state,
            since=self._since,
            age=0.0 if self._since is None else now - self._since,
            restarts=max(self._starts - 1, 0),
            last_error=self._last_error,
            parked=self.recovery.is_parked(
                now - self._up_at if self.state == "running" and self._up_at is not None else 0
            ),
            overdue=self.state == "stopping" and now > self._stop_due,
            mailboxes=tuple(mailbox.statistics() for mailbox in self.child.mailboxes),
            children=() if beneath is None else beneath.children,
        )


class _Ready(trio.TaskStatus[object]):
    """One run's task_status."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell: Callable[[], None] | None = tell

    def started(self, value: object = None) -> None:
        if self._tell is None:
            raise RuntimeError("called 'started' twice on the same task status")
        tell, self._tell = self._tell, None
        tell()
