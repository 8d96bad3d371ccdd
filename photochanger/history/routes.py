"""Jobs: `/api/jobs`, one of them, its result's description, its photo, and the work stopped."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

from quart import Blueprint, Response, request

from photochanger.db.facade import Db
from photochanger.domain.permission import Permission
from photochanger.domain.reasons import Reason
from photochanger.domain.records import JobRow
from photochanger.errors import Refusal
from photochanger.history.cancel import stop
from photochanger.history.listing import JobsQuery, list_jobs
from photochanger.history.queries import find_attempts, find_job, find_result
from photochanger.history.views import (
    JobsMeta,
    JobsView,
    JobView,
    ResultView,
    StoppedView,
    job_row_view,
    job_view,
    result_view,
)
from photochanger.jobs.lanes import Lanes
from photochanger.jobs.originals import find_original
from photochanger.media.store import MediaStore, mime_of
from photochanger.web.access import Access
from photochanger.web.contract import binary, contract, json_body
from photochanger.web.files import send_file
from photochanger.web.guard import caller, may
from photochanger.web.inputs import read_id, read_query
from photochanger.web.outputs import answer


def blueprint(
    db: Db,
    media: MediaStore,
    lanes: Lanes,
    *,
    result_ttl: Callable[[], timedelta],
    record: Callable[..., Awaitable[None]],
    resumed: Callable[[UUID], bool],
) -> Blueprint:
    """The routes. `result_ttl` is how long strangers are told of a job without a result; `record` is the audit;
    `resumed` knows the jobs that were taken up after a restart.
    """
    routes = Blueprint("history", __name__)

    @routes.get("/api/jobs")
    @contract(
        "Jobs, the newest first. Go on while there is a `next_cursor`: a page may be short before the end.",
        tag="jobs",
        access=Permission.STATS_READ,
        query=JobsQuery,
        responses={200: [json_body(JobsView)]},
        problems=(Reason.DATABASE_UNAVAILABLE,),
    )
    async def get_jobs() -> Response:
        query = read_query(request, JobsQuery)
        page = await list_jobs(db, query)
        return answer(JobsView([job_row_view(row) for row in page.rows], JobsMeta(query.limit, page.next)))

    @routes.get("/api/jobs/<job_id>")
    @contract(
        "How a photo's work stands; with `stats:read` also its calls and its cost, and for ever.",
        tag="jobs",
        access=Access.OPTIONAL,
        responses={200: [json_body(JobView)]},
        problems=(Reason.NOT_FOUND, Reason.DATABASE_UNAVAILABLE),
    )
    async def get_job(job_id: str) -> Response:
        row = await find_job(db, read_id(job_id), result_ttl())
        knows = may(Permission.STATS_READ)
        if row is None or (row["over"] and not knows):
            raise Refusal(Reason.NOT_FOUND)
        return answer(job_view(row, await find_attempts(db, row["job_id"]) if knows else None))

    @routes.get("/api/results/<job_id>")
    @contract(
        "What the result is, and where; 404 while there is none, and when it has expired or was rejected. With "
        "`stats:read` also who made it, its calls and its cost, and for ever.",
        tag="jobs",
        access=Access.OPTIONAL,
        responses={200: [json_body(ResultView)]},
        problems=(Reason.NOT_FOUND, Reason.DATABASE_UNAVAILABLE),
    )
    async def get_result(job_id: str) -> Response:
        row = await find_result(db, read_id(job_id))
        knows = may(Permission.STATS_READ)
        if row is None or not (row["shown"] or knows):
            raise Refusal(Reason.NOT_FOUND)
        return answer(result_view(row, await find_attempts(db, row["job_id"]) if knows else None))

    @routes.get("/api/jobs/<job_id>/original")
    @contract(
        "The guest's photo as it came, while it is kept.",
        tag="jobs",
        access=Permission.SLOTS_WRITE,
        responses={
            200: binary("image/jpeg", "image/png", "image/webp"),
            206: binary("image/jpeg", "image/png", "image/webp"),
            304: [],
        },
        problems=(Reason.NOT_FOUND, Reason.STORAGE_UNAVAILABLE, Reason.DATABASE_UNAVAILABLE),
    )
    async def get_original(job_id: str) -> Response:
        found = await find_original(db, read_id(job_id))
        if found is None or found.path is None:
            raise Refusal(Reason.NOT_FOUND)
        return await send_file(
            media.locate(found.path),
            mime=mime_of(found.path),
            etag=found.sha256.hex(),
            request=request,
            download_name=found.photo_name,
        )

    @routes.post("/api/jobs/<job_id>/cancel")
    @contract(
        "Stop the work on a photo: its booth is answered at once, calls under way are booked as possibly billed.",
        tag="jobs",
        access=Permission.SLOTS_WRITE,
        responses={200: [json_body(StoppedView)]},
        problems=(Reason.NOT_FOUND, Reason.NOT_POSSIBLE_NOW, Reason.DATABASE_UNAVAILABLE),
    )
    async def cancel(job_id: str) -> Response:
        by = caller().username

        async def told(row: JobRow) -> None:
            await record("job.cancel", actor=by, subject=str(row.id), detail={"slot_id": row.slot_id})

        row = await stop(lanes, db, read_id(job_id), told, resumed)
        return answer(
            StoppedView(
                row.id,
                row.slot_id,
                row.status,
                row.failure_reason,
                row.reply_kind,
                row.reply_status,
                row.cost_microusd,
            )
        )

    return routes
