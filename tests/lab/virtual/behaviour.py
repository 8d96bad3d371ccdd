"""What a provider may do with one call, and what the driver makes of it."""

from dataclasses import dataclass
from enum import Enum
from functools import cache

from photochanger.domain.outcome import AttemptOutcome, Usage, Verdict
from tests.lab.pictures import photo

PRICE = 67_000
"""Microusd for a picture; the estimate, too."""
PROMPT_PRICE = 700
"""Microusd for an answer without a picture: what was read is charged."""


class Kind(Enum):
    """One row per behaviour: what the driver says of it, or None where it never comes back by itself."""

    PICTURE = AttemptOutcome(Verdict.PICTURE, http_status=200, finish_reason="STOP", cost_microusd=PRICE)
    BAD_PICTURE = AttemptOutcome(Verdict.PICTURE, http_status=200, finish_reason="STOP", cost_microusd=PRICE + 1)
    NO_IMAGE = AttemptOutcome(Verdict.NO_IMAGE, http_status=200, finish_reason="NO_IMAGE", cost_microusd=PROMPT_PRICE)
    IMAGE_OTHER = AttemptOutcome(
        Verdict.NO_IMAGE, http_status=200, finish_reason="IMAGE_OTHER", cost_microusd=PROMPT_PRICE, again=2
    )
    STOP = AttemptOutcome(Verdict.NO_IMAGE, http_status=200, finish_reason="STOP", cost_microusd=PROMPT_PRICE, again=1)
    IMAGE_SAFETY = AttemptOutcome(
        Verdict.REFUSED, http_status=200, finish_reason="IMAGE_SAFETY", cost_microusd=PROMPT_PRICE, again=1
    )
    REFUSED = AttemptOutcome(Verdict.REFUSED, http_status=200, finish_reason="PROHIBITED_CONTENT")
    BAD_REQUEST = AttemptOutcome(Verdict.REJECTED, http_status=400, error_code="INVALID_ARGUMENT")
    FORBIDDEN = AttemptOutcome(Verdict.REJECTED, http_status=403, error_code="PERMISSION_DENIED")
    NO_MODEL = AttemptOutcome(Verdict.REJECTED, http_status=404, error_code="NOT_FOUND")
    RATE_LIMITED = AttemptOutcome(Verdict.QUOTA, http_status=429, error_code="RESOURCE_EXHAUSTED", retry_after=3.0)
    LIMIT_ZERO = AttemptOutcome(Verdict.QUOTA, http_status=429, error_code="LIMIT_ZERO")
    BROKEN = AttemptOutcome(Verdict.OVERLOADED, http_status=500, error_code="INTERNAL")
    UNAVAILABLE = AttemptOutcome(Verdict.OVERLOADED, http_status=503, error_code="UNAVAILABLE", retry_after=2.0)
    NOT_SENT = AttemptOutcome(Verdict.TRANSPORT, message="no connection")
    RESET = AttemptOutcome(Verdict.TRANSPORT, message="connection reset", possibly_billed=True)
    BAD_ANSWER = AttemptOutcome(Verdict.BAD_ANSWER, http_status=200, message="not the protocol", possibly_billed=True)
    TIMEOUT = AttemptOutcome(Verdict.TIMEOUT, message="gave up by itself", possibly_billed=True)
    CRASH = AttemptOutcome(Verdict.CRASHED, possibly_billed=True)
    HANG = AttemptOutcome(Verdict.CANCELLED, possibly_billed=True)
    DRIP = AttemptOutcome(Verdict.CANCELLED, possibly_billed=True, usage=Usage(prompt=1))

    def __repr__(self) -> str:
        return f"Kind.{self.name}"

    @property
    def told(self) -> AttemptOutcome:
        """What the driver returns; of CRASH, HANG and DRIP, what the house must make of them."""
        outcome: AttemptOutcome = self.value
        return outcome


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One call: `seconds` until the provider is done. `charges` = what ended without an amount was charged all the
    same: the call was cut off, or its answer was."""

    kind: Kind = Kind.PICTURE
    seconds: float = 5.0
    charges: bool = True


@cache
def answer_bytes() -> bytes:
    """A small picture, whole."""
    return photo(64, 48, seed=3)
