"""What one provider call came to, as a value. Drivers return it; the policy, the rows and the metrics read it."""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class Verdict(StrEnum):
    """The kinds of outcome that are treated differently."""

    PICTURE = "picture"  # a file was written; it counts only after it was verified
    NO_IMAGE = "no_image"  # answered properly, drew nothing, another try can help (NO_IMAGE, IMAGE_OTHER, STOP)
    REFUSED = "refused"  # safety or policy; the same request will be refused again
    REJECTED = "rejected"  # the request, the key or the model is wrong (400, 403, 404): an operator must act
    QUOTA = "quota"  # 429; `retry_after` is None where waiting cannot help ("limit: 0", per day)
    OVERLOADED = "overloaded"  # 500, 502, 503, 504, 408: the provider is ill
    TRANSPORT = "transport"  # no or broken connection, TLS failure, answer cut off
    BAD_ANSWER = "bad_answer"  # 200 with something that is not the protocol (HTML, half a JSON, over the cap)
    BAD_PICTURE = "bad_picture"  # a picture came, but it does not decode whole
    STORAGE = "storage"  # our disk: the photo could not be read or the picture not be written
    TIMEOUT = "timeout"  # the attempt's own time ran out
    CANCELLED = "cancelled"  # nobody waited any more, or another provider was first
    UNAVAILABLE = "unavailable"  # not made: the breaker opened, or nobody hands out permits
    UNAFFORDABLE = "unaffordable"  # not made: a budget cap would have been passed
    CRASHED = "crashed"  # a bug in a driver


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider counted them; None where it did not say."""

    prompt: int | None = None
    candidates: int | None = None
    candidates_image: int | None = None
    thoughts: int | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture file that a provider gave; not yet verified. `mime` is what the provider said."""

    path: Path
    mime: str


@dataclass(frozen=True, slots=True)
class AttemptOutcome:
    """One provider call, finished.

    `picture` is set exactly when `verdict` is PICTURE. `message` is upstream text, shortened to 500
    characters: it is kept with the attempt and never sent to a client. `retry_after` is in seconds.
    `possibly_billed` is True when money may have been spent without our knowing how much. `again` is how many more
    tries of the same request this provider's answer leaves sense in; None = as the verdict's own rule says.
    """

    verdict: Verdict
    picture: Picture | None = None
    http_status: int | None = None
    finish_reason: str | None = None
    error_code: str | None = None
    message: str | None = None
    response_id: str | None = None
    model_version: str | None = None
    usage: Usage = field(default_factory=Usage)
    cost_microusd: int = 0
    possibly_billed: bool = False
    retry_after: float | None = None
    again: int | None = None
