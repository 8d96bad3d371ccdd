"""Histories of photos: made up, written through the real store, and counted again in Python."""

import random
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from photochanger.domain.histogram import BOUNDS
from photochanger.domain.job import JobStatus, ReplyKind, Source
from photochanger.domain.outcome import AttemptOutcome, Verdict
from photochanger.domain.reasons import REASONS, Reason
from photochanger.domain.records import AttemptRow, Change, JobRow

BEGUN = datetime(2026, 11, 20, 0, 0, tzinfo=UTC)
MODELS = (("gemini", "gemini-3.1-flash-image"), ("gemini", "gemini-3-pro-image"), ("turbotext", "turbotext"))


def at_random(dice: random.Random, around: datetime = BEGUN) -> list[Change]:
    """The changes of one photo's life, in order: queued, at work, settled, corrected, and what came after."""
    created = around + timedelta(seconds=dice.uniform(-5400, 5400))
    job = JobRow(
        id=uuid4(),
        slot_id=f"slot-{dice.randint(1, 3):03}",
        slot_version=1,
        provider="gemini",
        deadline=created + timedelta(seconds=48),
        settle_by=created + timedelta(seconds=168),
        request_bytes=1,
        request_sha256=b"\x00" * 32,
        photo_name=None,
        created_at=created,
        received_at=dice.choice([None, created - timedelta(seconds=dice.uniform(0.05, 3))]),
        source=dice.choice([Source.INGEST] * 4 + list(Source)),
    )
    changes = [Change(job)]
    job = replace(job, status=JobStatus.PROCESSING, started_at=created + timedelta(seconds=dice.uniform(0, 2)))
    attempts: list[AttemptRow] = []
    for number in range(1, dice.choice([1, 1, 1, 2, 3]) + 1):
        provider, model = dice.choice(MODELS)
        begun = created + timedelta(seconds=dice.uniform(2, 20))
        attempts.append(
            AttemptRow(
                uuid4(),
                job.id,
                number,
                provider,
                model,
                begun,
                estimate_microusd=60_000,
                hedged=number > 1 and dice.random() < 0.5,
            )
        )
        changes.append(Change(job, tuple(attempts)))
        if dice.random() < 0.8:
            attempts[-1] = _ended(attempts[-1], dice)
    own_dice = random.Random(created.isoformat())
    if is_told := own_dice.random() < 0.4:
        # The booth was told 504, the work goes on; a repeat may get the picture.
        job = replace(
            job,
            told_504=True,
            reply_kind=ReplyKind.ERROR,
            reply_status=504,
            replied_at=created + timedelta(seconds=own_dice.uniform(10, 20)),
        )
        changes.append(Change(job, tuple(attempts)))
    seconds = dice.lognormvariate(2.3, 0.6)
    finished = created + timedelta(seconds=20 + seconds)
    settled = replace(
        job,
        **_end(dice),
        finished_at=finished,
        retries=max(sum(not each.hedged for each in attempts) - 1, 0),
        joined=dice.choice([0, 0, 0, 1, 2]),
    )
    if is_told and settled.reply_kind is ReplyKind.NONE:
        settled = replace(settled, reply_kind=ReplyKind.ERROR)
    elif settled.reply_kind is not ReplyKind.NONE:
        settled = replace(settled, replied_at=finished)
    changes.append(Change(settled, tuple(attempts)))
    if dice.random() < 0.2 and settled.status is JobStatus.DONE:
        # The booth was told 504 while the rows were being written.
        settled = replace(settled, reply_kind=ReplyKind.ERROR, reply_status=504, replied_at=settled.deadline, late=True)
        changes.append(Change(settled))
    ended = tuple(each if each.outcome else _ended(each, dice) for each in attempts)
    if ended != tuple(attempts):
        changes.append(Change(replace(settled, cost_microusd=1), ended))
    return changes


def _end(dice: random.Random) -> dict[str, Any]:
    match dice.randint(0, 9):
        case 0:
            return {"status": JobStatus.FAILED, "failure_reason": Reason.PROVIDER_REFUSED} | _error(
                Reason.PROVIDER_REFUSED
            )
        case 1:
            return {"status": JobStatus.TIMEOUT, "failure_reason": Reason.PROVIDER_TIMEOUT} | _error(
                Reason.PROVIDER_TIMEOUT
            )
        case 2:
            status = {"status": JobStatus.FAILED, "failure_reason": Reason.PROVIDER_NO_IMAGE}
            return status | {"reply_kind": ReplyKind.ORIGINAL, "reply_status": 200}
        case 3:
            return {"status": JobStatus.DONE, "reply_kind": ReplyKind.NONE, "late": True}
        case _:
            kind = dice.choice([ReplyKind.AI, ReplyKind.AI, ReplyKind.FALLBACK, ReplyKind.LOCAL])
            return {"status": JobStatus.DONE, "reply_kind": kind, "reply_status": 200}


def _error(reason: Reason) -> dict[str, Any]:
    return {"reply_kind": ReplyKind.ERROR, "reply_status": REASONS[reason].status}


def _ended(row: AttemptRow, dice: random.Random) -> AttemptRow:
    seconds = dice.lognormvariate(2.3, 0.6)
    verdict = dice.choice([Verdict.PICTURE] * 6 + list(Verdict))
    outcome = AttemptOutcome(
        verdict,
        finish_reason="NO_IMAGE" if verdict is Verdict.NO_IMAGE else dice.choice([None, "STOP"]),
        error_code="RESOURCE_EXHAUSTED" if verdict is Verdict.QUOTA else None,
        cost_microusd=dice.randint(0, 70_000),
        possibly_billed=verdict in (Verdict.TIMEOUT, Verdict.CANCELLED),
    )
    return row.ended(outcome, row.begun_at + timedelta(seconds=seconds), seconds)


@dataclass
class Counted:
    """What the cells must hold, by (slot, span, source, at, …)."""

    slots: dict[tuple[Any, ...], Counter[str]]
    answer: dict[tuple[Any, ...], list[int]]
    overhead: dict[tuple[Any, ...], list[int]]
    providers: dict[tuple[Any, ...], Counter[str]]
    latency: dict[tuple[Any, ...], list[int]]
    tally: Counter[tuple[Any, ...]]


def counted_again(jobs: list[dict[str, Any]], attempts: list[dict[str, Any]]) -> Counted:
    """The plain way: row by row, from all of `job` and `attempt`, as README.md of stats says it."""
    it = Counted(defaultdict(Counter), {}, {}, defaultdict(Counter), {}, Counter())
    by_job: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for row in attempts:
        by_job[row["job_id"]].append(row)
    for job in jobs:
        if job["finished_at"] is None:
            continue
        calls = by_job[job["id"]]
        for key in _keys(job["slot_id"], job["source"], job["created_at"]):
            _count_job(it, key, job, calls)
            for call in calls:
                if call["outcome"] is None:
                    continue
                for at in _keys(job["slot_id"], job["source"], call["begun_at"]):
                    if at[:3] == key[:3]:
                        _count_call(it, at, call, calls)
    return it


def _keys(slot_id: str, source: str, moment: datetime) -> list[tuple[str, str, str, datetime]]:
    hour = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    day = hour.replace(hour=0)
    return [(slot_id, "day", source, day), ("", "day", source, day), ("", "hour", source, hour)]


def _count_job(it: Counted, key: tuple[Any, ...], job: dict[str, Any], calls: list[dict[str, Any]]) -> None:
    cell = it.slots[key]
    cell["jobs"] += 1
    status, kind = (504, "error") if job["told_504"] else (job["reply_status"], job["reply_kind"])
    if status is not None:
        cell[{200: "replied_ok", 504: "replied_timeout"}.get(status, "replied_other")] += 1
    cell[f"kind_{kind}"] += 1
    cell[{"timeout": "timed_out"}.get(job["status"], job["status"])] += 1
    cell["late"] += job["late"]
    cell["retries"] += job["retries"]
    cell["joined"] += job["joined"] or 0
    if job["failure_reason"]:
        it.tally[(*key, "failure_reason", "", "", job["failure_reason"])] += 1
    if status != 200:
        return
    answered = min(job["replied_at"], job["deadline"])
    _hit(it.answer, key, _ms(answered - (job["received_at"] or job["created_at"])))
    pictures = [call["latency_ms"] for call in calls if call["outcome"] == "picture"]
    if job["status"] == "done" and not job["late"] and len(calls) == 1 and pictures:
        _hit(it.overhead, key, _ms(answered - job["started_at"]) - pictures[0])


def _count_call(it: Counted, key: tuple[Any, ...], call: dict[str, Any], calls: list[dict[str, Any]]) -> None:
    key = (*key, call["provider"], call["model"])
    cell = it.providers[key]
    cell["calls"] += 1
    named = {"picture": "pictures", "timeout": "timeouts"} | {
        each: each for each in ("no_image", "refused", "rejected", "quota", "overloaded", "transport", "cancelled")
    }
    cell[named.get(call["outcome"], "other")] += 1
    again = any(one["provider"] == call["provider"] and one["number"] < call["number"] for one in calls)
    cell["retries"] += again and not call["hedged"]
    cell["hedged"] += call["hedged"]
    cell["possibly_billed"] += call["possibly_billed"]
    cell["cost_microusd"] += call["cost_microusd"]
    if call["outcome"] == "picture":
        _hit(it.latency, key, call["latency_ms"])
    for subject, name in (("finish_reason", call["finish_reason"]), ("provider_error", call["provider_error_code"])):
        if name is not None:
            it.tally[(*key[:4], subject, *key[4:], name)] += 1


def _ms(time: timedelta) -> float:
    return time.total_seconds() * 1000


def _hit(histograms: dict[tuple[Any, ...], list[int]], key: tuple[Any, ...], milliseconds: float) -> None:
    counts = histograms.setdefault(key, [0] * (len(BOUNDS) + 1))
    counts[sum(bound <= milliseconds for bound in BOUNDS)] += 1
