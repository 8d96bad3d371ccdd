"""What the library raises. Everything else that comes out of it is a bug or was raised by a child."""


class SupervisionError(Exception):
    """Base of the library's own errors."""


class StartFailed(SupervisionError):
    """A child did not come up: it crashed, returned or stayed silent before it said started.

    `child` is its name; the reason is the `__cause__`.
    """

    def __init__(self, supervisor: str, child: str, reason: str) -> None:
        super().__init__(f"{supervisor}: {child} did not start: {reason}")
        self.supervisor = supervisor
        self.child = child


class BootFailed(StartFailed):
    """The first start of a child failed, so the whole supervisor gave up; what was up has been stopped backwards."""


class SupervisorFailed(SupervisionError):
    """More restarts than the intensity allows; all children have been stopped backwards.

    `child` is the name of the one whose crash was too many; that crash is the `__cause__`.
    """

    def __init__(self, supervisor: str, child: str, reason: str) -> None:
        super().__init__(f"{supervisor}: too many restarts, the last one asked for by {child}: {reason}")
        self.supervisor = supervisor
        self.child = child


class StartTimeout(SupervisionError):
    """A child did not say started within its start_timeout."""


class NotStarted(SupervisionError):
    """A child returned before it said started."""


class StrayCancellation(SupervisionError):
    """A child raised Cancelled although nobody had cancelled it (a Cancelled kept from elsewhere and raised again)."""
