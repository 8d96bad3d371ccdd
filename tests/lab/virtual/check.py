"""What must be true of a studio at rest, whatever its providers did."""

from collections import Counter
from collections.abc import Sequence

import trio

from photochanger.domain.job import JobStatus, ReplyKind
from photochanger.domain.outcome import Verdict
from photochanger.domain.records import AttemptRow, JobRow
from photochanger.jobs import attempt as attempt_module
from photochanger.jobs import job as job_module
from photochanger.jobs.reply import ErrorReply, PictureReply, Reply
from tests.lab.virtual.rows import OPEN
from tests.lab.virtual.studio import Studio, late_of

GRACE = 0.5
"""Seconds after the window at which the last 504 must have left."""


def check(studio: Studio) -> None:
    """All of it. Call it once `studio.rest()` has returned."""
    replies_in_time(studio)
    everything_settled(studio)
    money_booked(studio)
    nothing_lost(studio)
    replies_told(studio)
    nothing_held(studio)


def replies_in_time(studio: Studio) -> None:
    """Nobody waited longer than the window and its grace."""
    for visit in studio.visits:
        assert visit.ended <= visit.started + visit.slot.t_sync + GRACE, visit
        if isinstance(visit.reply, PictureReply):
            assert visit.reply.stand_in or visit.reply.path.is_file(), visit


def everything_settled(studio: Studio) -> None:
    """One end per job, and rows that say what happened."""
    rows = studio.rows
    for visit in studio.visits:
        assert visit.job_id is None or visit.job_id in rows.jobs, visit
    for job in rows.jobs.values():
        assert len(rows.ends[job.id]) == 1, (job, rows.ends[job.id])
        assert job.status not in OPEN, job
        assert job.finished_at is not None, job
        assert job.status is not JobStatus.CANCELLED or job.id in studio.stopped, job
        assert (job.status is JobStatus.DONE) == (job.id in rows.results), job
        assert job.cost_microusd == sum(attempt.cost_microusd for attempt in rows.attempts_of(job.id)), job
    for attempt in rows.attempts.values():
        assert attempt.outcome is not None, attempt


def money_booked(studio: Studio) -> None:
    """What providers told is booked to the unit; what they may have charged without telling, at least that."""
    for job in studio.rows.jobs.values():
        attempts = studio.rows.attempts_of(job.id)
        asked = [asked for asked in studio.asked if asked.job_id == str(job.id)]
        assert len(asked) <= len(attempts), (job, asked, attempts)
        told = sum(each.told.cost_microusd for each in asked if each.told and not each.told.possibly_billed)
        booked = sum(attempt.cost_microusd for attempt in attempts if not attempt.possibly_billed)
        assert booked == told, (booked, told, attempts, asked)
        assert sum(attempt.cost_microusd for attempt in attempts) >= sum(each.charged for each in asked), (job, asked)


def nothing_lost(studio: Studio) -> None:
    """Every whole picture that was paid for is a result or a spare, or its row says why it was let go."""
    rows = studio.rows
    by_id = {str(job.id): job for job in rows.jobs.values()}
    pictures = Counter(asked.job_id for asked in studio.asked if asked.paid_picture)
    for job_id, paid in pictures.items():
        job = by_id[job_id]
        known = [row for row in rows.attempts_of(job.id) if row.outcome == Verdict.PICTURE]
        assert len(known) >= paid, (job, known)  # half a picture that nobody looked at to the end is one, too
        unexplained = [row for row in known if row.message is None]
        if job.status is JobStatus.DONE:
            assert studio.media.locate(rows.results[job.id].path).is_file(), job
        spares = [row for row in rows.media.values() if row.job_id == job.id and row.scope == "provider"]
        assert all(studio.media.locate(spare.path).is_file() for spare in spares), spares
        assert len(unexplained) <= (job.status is JobStatus.DONE) + len(spares), (job, known, spares)
        for row in known:
            _was_let_go_rightly(studio, job, row)


def _was_let_go_rightly(studio: Studio, job: JobRow, row: AttemptRow) -> None:
    slot, ended = studio.slots[job.slot_id], studio.rows.ended_at[job.id]
    visits = [visit for visit in studio.visits if visit.job_id == job.id and visit.waited]
    left = max(visit.ended for visit in visits) - GRACE
    match row.message:
        case None:
            pass
        case attempt_module.NOT_NEEDED:
            assert job.status is JobStatus.DONE, (job, row)
        case attempt_module.NO_LATE_ROOM:
            assert ended >= left, (job, row, visits)
        case job_module.NOBODY_WAITS:
            assert slot.on_timeout == "drop", (job, row)
            assert ended >= left, (job, row, visits)
        case job_module.BY_HAND:
            assert job.id in studio.stopped, (job, row)
        case job_module.TIME_IS_OVER:
            by = max(visit.started for visit in visits) + slot.t_sync + late_of(slot)
            assert ended >= by, (job, row, visits)
        case other:
            raise AssertionError(other)


def replies_told(studio: Studio) -> None:
    """The row says the best that any booth got; of one that went in the moment of its answer either may be said."""
    for job in studio.rows.jobs.values():
        visits = [visit for visit in studio.visits if visit.job_id == job.id and visit.waited]
        got, left = [visit.reply for visit in visits], [visit.reply or visit.left for visit in visits]
        assert _tells(job, got) or _tells(job, left), (job, got, left)


def _tells(job: JobRow, got: Sequence[Reply | None]) -> bool:
    worth = max((_worth(reply) for reply in got), default=0)
    best: list[tuple[ReplyKind, int | None]] = [
        (reply.kind, reply.status) for reply in got if reply is not None and _worth(reply) == worth
    ]
    told = (job.reply_kind, job.reply_status) in (best or [(ReplyKind.NONE, None)])
    return told and job.late == (job.status is JobStatus.DONE and worth < 3)


def _worth(reply: Reply | None) -> int:
    match reply:
        case None:
            return 0
        case ErrorReply():
            return 1
        case PictureReply():
            return 2 if reply.stand_in else 3


def nothing_held(studio: Studio) -> None:
    """Permits, queues, threads, temp folders and tasks are as before the first photo."""
    assert studio.lanes.in_flight == 0
    assert all(numbers == (0, 0) for numbers in studio.lanes.statistics().values()), studio.lanes.statistics()
    for group in studio.groups.values():
        state = group.admission.statistics()
        assert (state.depth, state.live_in_use, state.late_in_use) == (0, 0, 0), (group.name, state)
    threads = studio.pictures.state()
    assert threads.running == 0, threads
    assert not any(threads.queued.values()), threads
    assert studio.workshop.activity.waiting == 0
    assert list((studio.media.root / "temp").glob("*/*")) == []
    assert not [name for name in tasks() if name.startswith("job in ")], tasks()


def tasks() -> list[str]:
    """The names of all tasks of this run."""
    return list(_below(trio.lowlevel.current_root_task()))


def _below(task: trio.lowlevel.Task | None) -> list[str]:
    if task is None:
        return []
    children = [child for nursery in task.child_nurseries for child in nursery.child_tasks]
    return [task.name, *(name for child in children for name in _below(child))]
