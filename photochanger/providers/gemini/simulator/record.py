"""What the simulator remembers of a call."""

from dataclasses import dataclass


@dataclass(slots=True)
class CallRecord:
    """One generateContent call. `verdict` is "running" until it has been answered, then what it came to.

    `pictures` tells of each picture how it came, "inline" or "file"; `photo_bytes` is all of them together, and
    `photo_size` the first one's. `charged_microusd` is what the simulated bill grew by. `client_gone` is an abandoned
    call: the client left before it had the whole answer.
    """

    at: str
    model: str
    request_bytes: int
    server_timeout: str | None
    scenario: str = ""
    verdict: str = "running"
    status: int | None = None
    prompt: str = ""
    pictures: tuple[str, ...] = ()
    photo_bytes: int = 0
    photo_size: tuple[int, int] | None = None
    reply_bytes: int = 0
    charged_microusd: int = 0
    client_gone: bool = False
    seconds: float = 0.0
