"""The last step before the lane: rate limit, budget, room. The same for a booth's photo, a test and a re-run."""

from dataclasses import dataclass

import trio

from photochanger.domain.reasons import Reason
from photochanger.errors import Refusal
from photochanger.ingest.ratelimit import RateLimits
from photochanger.jobs.job import Job
from photochanger.jobs.lanes import Lanes
from photochanger.jobs.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Admission:
    """What bounds the photos that are taken in."""

    rates: RateLimits
    ledger: Ledger
    lanes: Lanes

    def submit(self, job: Job) -> None:
        """Hand the job over; whoever waits for its answer has joined it before. Synchronous: no checkpoint inside.

        Raises Refusal: rate_limited, budget_exhausted, slot_busy, queue_full, draining. Then nothing was handed over.
        """
        self.rates.take(job.slot, trio.current_time())
        if job.slot.at_budget == "refuse" and not job.affordable:
            raise Refusal(Reason.BUDGET_EXHAUSTED, retry_after=self.ledger.seconds_until_tomorrow())
        self.lanes.submit(job, job.window.deadline, latest_start=job.latest_start)
