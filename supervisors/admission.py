"""The actor that hands out permits, and the requests that wait for them."""

import itertools
from collections import Counter
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal

import trio

from supervisors.permits import Permit, Permits, TokenKind
from supervisors.snapshot import MailboxStatistics

RequestKind = Literal["live", "late", "canary"]

_RANK: dict[RequestKind, int] = {"live": 0, "late": 1, "canary": 2}
_TOKEN: dict[RequestKind, TokenKind] = {"live": "live", "late": "late", "canary": "live"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionStatistics(MailboxStatistics):
    """The waiting requests as a mailbox, with the tokens that they wait for."""

    waiting_live: int
    waiting_late: int
    waiting_canary: int
    live_total: int
    live_in_use: int
    late_total: int
    late_in_use: int


class Request:
    """A place in the queue, then a permit. `async with request as permit:` waits, and gives the permit back.

    A request holds its place (or already its permit) from the moment it is made. Whoever will not enter it must
    `withdraw` it.
    """

    def __init__(self, admission: "Admission", kind: RequestKind, key: str, latest_start: float, number: int) -> None:
        self.kind: RequestKind = kind
        self.key = key
        self.latest_start = latest_start
        self.number = number
        self.permit: Permit | None = None
        self.error: BaseException | None = None
        self.decided = trio.Event()
        self._admission = admission
        self._entered = False

    async def __aenter__(self) -> Permit:
        """Wait for the permit. Cancelled = nothing is held. Raises what `Admission.fail_waiting` was given."""
        if self._entered:
            raise RuntimeError("a request can be entered only once")
        self._entered = True
        try:
            await self.decided.wait()
        except BaseException:
            self.withdraw()
            raise
        if self.error is not None:
            raise self.error
        if self.permit is None:
            raise RuntimeError("this request was withdrawn")
        return self.permit

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.withdraw()

    def withdraw(self) -> None:
        """Leave the queue, or give the permit back. Sync, idempotent."""
        self._admission.close(self)

    def become(self, kind: TokenKind) -> bool:
        """Change the permit for a free one of the other kind; False when there is none, and nothing has changed.

        For work whose importance changes while it runs. Nobody is overtaken who waits for that kind.
        """
        return self._admission.exchange(self, kind)

    @property
    def granted(self) -> bool:
        """The permit is there, so entering will not wait."""
        return self.permit is not None


class Admission:
    """Grants `permits` to at most `capacity` waiting requests; to those that are no canaries, these are not there.

    Order: live before late before canary; then the key with the fewest running; then the smallest `latest_start`; then
    first come. A canary gets a live token, and only when no live or late request waits.

    Everything that is known lives in this object and is only changed without a checkpoint in between. So `run`, the
    actor, can crash anywhere and be started again: requests then wait a little longer, none is lost. A free token that
    nobody waits for is granted at once, whether the actor is up or not.
    """

    def __init__(self, name: str, permits: Permits, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"{name}: an admission needs a capacity of at least 1, not {capacity}")
        self.name = name
        self.capacity = capacity
        self.permits = permits
        self._waiting: list[Request] = []
        self._running: Counter[str] = Counter()
        self._numbers = itertools.count()
        self._peak = 0
        self._changed = trio.Event()
        permits.on_free(self._wake)

    def request(self, *, kind: RequestKind, key: str = "", latest_start: float = float("inf")) -> Request:
        """Queue for a permit. Sync: it is in the queue (or granted) when this returns.

        `key` is whose request it is (a slot), `latest_start` the time on Trio's clock after which a start is useless.
        Raises trio.WouldBlock when `capacity` requests wait already; for other requests, canaries do not count.
        """
        request = Request(self, kind, key, latest_start, next(self._numbers))
        if not self._is_awaited(kind) and self._grant(request):
            return request
        if sum(kind == "canary" or other.kind != "canary" for other in self._waiting) >= self.capacity:
            raise trio.WouldBlock
        self._waiting.append(request)
        self._peak = max(self._peak, len(self._waiting))
        return request

    def request_now(self, *, kind: RequestKind, key: str = "") -> Request | None:
        """A granted request if a token is free that nobody waits for, else None: for hedges, which never queue.

        A waiting canary counts as somebody only for another one.
        """
        if not self.has_room(kind):
            return None
        request = Request(self, kind, key, float("inf"), next(self._numbers))
        return request if self._grant(request) else None

    def has_room(self, kind: RequestKind) -> bool:
        """A token is free, and nobody waits who would have it first; a waiting canary only goes before another one."""
        return self.permits.free(_TOKEN[kind]) > 0 and not self._is_awaited(kind)

    async def run(self, *, task_status: trio.TaskStatus[Any] = trio.TASK_STATUS_IGNORED) -> None:
        """The actor: grants whenever something has changed, until cancelled."""
        task_status.started()
        while True:
            self._changed = trio.Event()
            self._hand_out()
            await self._changed.wait()

    def fail_waiting(self, error: BaseException) -> None:
        """Have `error` raised in everyone who waits now, for instance because the owner was parked."""
        for request in self._waiting:
            request.error = error
            request.decided.set()
        self._waiting.clear()

    def close(self, request: Request) -> None:
        """What `Request.withdraw` does."""
        if request in self._waiting:
            self._waiting.remove(request)
            request.decided.set()
            self._wake()
        permit, request.permit = request.permit, None
        if permit is not None:
            self._running[request.key] -= 1
            if not self._running[request.key]:
                del self._running[request.key]
            permit.release()

    def exchange(self, request: Request, kind: TokenKind) -> bool:
        """What `Request.become` does."""
        held = request.permit
        if held is None:
            return False
        if held.kind == kind:
            return True
        if not self.has_room(kind):
            return False
        request.permit = self.permits.take_nowait(kind)
        held.release()
        return True

    def statistics(self) -> AdmissionStatistics:
        """Depth and peak of the queue, and the tokens."""
        kinds = Counter(request.kind for request in self._waiting)
        return AdmissionStatistics(
            name=self.name,
            depth=len(self._waiting),
            capacity=self.capacity,
            peak=self._peak,
            waiting_receivers=0,
            waiting_senders=0,
            waiting_live=kinds["live"],
            waiting_late=kinds["late"],
            waiting_canary=kinds["canary"],
            live_total=self.permits.total("live"),
            live_in_use=self.permits.in_use("live"),
            late_total=self.permits.total("late"),
            late_in_use=self.permits.in_use("late"),
        )

    def _wake(self) -> None:
        self._changed.set()

    def _is_awaited(self, kind: RequestKind) -> bool:
        """Somebody waits whom a new request of this kind must not overtake."""
        return any(kind in ("canary", request.kind) for request in self._waiting)

    def _hand_out(self) -> None:
        while (request := min(filter(self._may_start, self._waiting), key=self._order, default=None)) is not None:
            self._waiting.remove(request)
            self._grant(request)

    def _may_start(self, request: Request) -> bool:
        if request.kind == "canary" and any(other.kind != "canary" for other in self._waiting):
            return False
        return self.permits.free(_TOKEN[request.kind]) > 0

    def _order(self, request: Request) -> tuple[int, int, float, int]:
        return _RANK[request.kind], self._running[request.key], request.latest_start, request.number

    def _grant(self, request: Request) -> bool:
        try:
            request.permit = self.permits.take_nowait(_TOKEN[request.kind])
        except trio.WouldBlock:
            return False
        self._running[request.key] += 1
        request.decided.set()
        return True
