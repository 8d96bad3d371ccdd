"""What the statistics routes answer."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from photochanger.web.providers import ProviderView

Percent = Annotated[float, Meta(ge=0, le=100)]
Milliseconds = Annotated[int, Meta(ge=0)]


class Stamp(msgspec.Struct):
    """`as_of` is when this was read; what ended before `fresh_to` is counted, null while nothing was counted yet."""

    as_of: datetime
    fresh_to: datetime | None


class RangeStamp(msgspec.Struct):
    """`from` and `to` are days of UTC, both included. What ended before `fresh_to` is counted."""

    as_of: datetime
    fresh_to: datetime | None
    first: date = msgspec.field(name="from")
    last: date = msgspec.field(name="to")
    group: str = "day"
    time_zone: str = "UTC"


class Targets(msgspec.Struct):
    """What is promised: at least, at most, at least; in percent."""

    answered_percent: float = 95.0
    timeout_percent: float = 5.0
    availability_percent: float = 99.0


class Kpis(msgspec.Struct):
    """The promises, measured; null where there is nothing to measure.

    `answered_percent`: of the photos that were sent properly, how many were answered with a picture inside the window.
    `timeout_percent`: how many got 504. Sent properly are photos that were taken in and those that were turned away
    for want of room or by a failure of ours, not those with a wrong password or an unusable file. `answer_*` is how
    long a booth waited for its picture, `overhead_*` what of that was this service's own work.
    """

    answered_percent: Percent | None
    timeout_percent: Percent | None
    answer_p50_ms: Milliseconds | None
    answer_p95_ms: Milliseconds | None
    overhead_p50_ms: Milliseconds | None
    overhead_p95_ms: Milliseconds | None


class Counts(msgspec.Struct):
    """Photos of booths. `photos` were taken in: `answered` with a picture, `timeouts` with 504, `errors` otherwise;
    `nobody_waited` had been left by then.

    `ai`, `fallback`, `local` and `original` are what the pictures were. `late` pictures came when nobody waited any
    more. `retries` are further calls for the same photo, to whichever provider, that ran beside no other. `joined`
    repeats got the answer to a photo at work. `turned_away` is for want of room or a failure of ours, `mistaken` are
    requests that could not have worked (password, size, format).
    """

    photos: int
    answered: int
    timeouts: int
    errors: int
    nobody_waited: int
    ai: int
    fallback: int
    local: int
    original: int
    late: int
    retries: int
    joined: int
    turned_away: int
    mistaken: int


class Money(msgspec.Struct):
    """What the providers' calls cost, in microusd: for booths, and for test runs and re-runs."""

    cost_microusd: int
    tests_microusd: int


class Availability(msgspec.Struct):
    """Of the minutes since the service was first seen, how many it was up and ready: at all hours, and from 08:00 to
    22:00 Moscow time.
    """

    percent: Percent | None
    working_hours_percent: Percent | None


class Named(msgspec.Struct):
    """How often something was."""

    name: str
    count: int


class PeriodView(msgspec.Struct):
    """A day, or a week from Monday on (cut off where the range begins or ends); of UTC, both days included."""

    first: date = msgspec.field(name="from")
    last: date = msgspec.field(name="to")
    counts: Counts
    kpis: Kpis
    money: Money
    availability: Availability | None


class TotalView(msgspec.Struct):
    """The whole range. `failures` are photos by reason, `refusals` requests that became no photo by reason."""

    counts: Counts
    kpis: Kpis
    money: Money
    availability: Availability | None
    failures: list[Named]
    refusals: list[Named]


class GlobalStats(msgspec.Struct):
    """The house, period by period; periods in which nothing was are there, too."""

    data: list[PeriodView]
    total: TotalView
    targets: Targets
    meta: RangeStamp


class SlotStats(msgspec.Struct):
    """One slot, day by day."""

    slot_id: str
    name: str
    data: list[PeriodView]
    total: TotalView
    targets: Targets
    meta: RangeStamp


class LastJob(msgspec.Struct):
    """The newest photo of a slot, whatever it was made for."""

    job_id: UUID
    source: str
    status: str
    failure_reason: str | None
    reply_status: int | None
    created_at: datetime


class LastError(msgspec.Struct):
    """A photo that came to nothing; `provider_error_code` is what its last call was told."""

    job_id: UUID
    failure_reason: str | None
    provider: str | None
    provider_error_code: str | None
    http_status: int | None
    created_at: datetime


class Budget(msgspec.Struct):
    """Today's money (UTC) in microusd; `reserved` is held back for calls that run. No `cap`: there is none."""

    spent_microusd: int
    reserved_microusd: int
    cap_microusd: int | None


class SlotNow(msgspec.Struct):
    """A slot now and today (UTC). `at_work` photos have their place, `waiting` ones wait for it."""

    slot_id: str
    name: str
    provider: str
    is_active: bool
    at_work: int
    waiting: int
    counts: Counts
    kpis: Kpis
    refusals: list[Named]
    budget: Budget
    last_job: LastJob | None
    last_errors: list[LastError]


class SlotsNow(msgspec.Struct):
    """All slots now and today. `unknown_slot` counts today's requests for slots that do not exist."""

    data: list[SlotNow]
    unknown_slot: list[Named]
    meta: Stamp


class LaneNow(msgspec.Struct):
    """A slot's room."""

    slot_id: str
    at_work: int
    waiting: int


class LastDay(msgspec.Struct):
    """The last 24 hours: this hour and the 24 before it."""

    counts: Counts
    kpis: Kpis
    money: Money
    availability: Availability
    failures: list[Named]
    refusals: list[Named]


class SystemStats(msgspec.Struct):
    """The house now. `in_flight` photos are taken in and not finished, `late` ones of them nobody waits for.

    `journal` changes wait for the database. `last_day` is null while the database is away.
    """

    in_flight: int
    late: int
    waiting: int
    draining: bool
    database_available: bool
    journal: int
    budget: Budget
    data: list[LaneNow]
    providers: list[ProviderView]
    last_day: LastDay | None
    targets: Targets
    meta: Stamp


class ProviderStats(msgspec.Struct):
    """One model of one provider. Calls by what they came to; `other` are answers that could not be used, our own disk,
    and bugs.

    `no_image_percent` is of the calls that brought a picture or NO_IMAGE. `latency_*` is service time of calls that
    brought a picture, without queueing. `retries` repeat a call to the same provider for the same photo, `hedged` ones
    ran beside a slow one. `possibly_billed` calls were cut off: they are booked at their estimate.
    """

    provider: str
    model: str
    calls: int
    pictures: int
    no_image: int
    refused: int
    rejected: int
    quota: int
    overloaded: int
    transport: int
    timeouts: int
    cancelled: int
    other: int
    no_image_percent: Percent | None
    latency_p50_ms: Milliseconds | None
    latency_p95_ms: Milliseconds | None
    retries: int
    hedged: int
    possibly_billed: int
    cost_microusd: int
    tests_microusd: int
    finish_reasons: list[Named]
    errors: list[Named]


class ProvidersStats(msgspec.Struct):
    """All models that were called in the range."""

    data: list[ProviderStats]
    meta: RangeStamp


class RecentResult(msgspec.Struct):
    """A picture that a photo became. `url` is null once it has expired or was rejected."""

    job_id: UUID
    reply_kind: str | None
    late: bool
    provider: str
    mime: str
    width: int
    height: int
    bytes: int
    created_at: datetime
    finished_at: datetime | None
    answer_ms: int | None
    cost_microusd: int
    expires_at: datetime
    url: str | None


class RecentResults(msgspec.Struct):
    """At most ten pictures of the last 72 hours, the newest first; not counted but read, so always fresh."""

    slot_id: str
    data: list[RecentResult]
    meta: Stamp
