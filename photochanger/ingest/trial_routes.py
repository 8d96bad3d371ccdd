"""`POST /api/slots/{slot_id}/test-run` and `POST /api/jobs/{job_id}/rerun`."""

from quart import Blueprint, Response, request

from photochanger.domain.permission import Permission
from photochanger.domain.reasons import Reason
from photochanger.ingest.trial_views import FORM_SCHEMA, RerunIn, RerunView, TestRunView
from photochanger.ingest.trials import Trials
from photochanger.web.contract import Body, contract, json_body
from photochanger.web.guard import caller
from photochanger.web.inputs import read_id, read_json
from photochanger.web.outputs import answer

RETRY_AFTER = {"Retry-After": "Whole seconds after which it is worth trying again, where that is known."}
ROOM = (
    Reason.RATE_LIMITED, Reason.SLOT_BUSY, Reason.QUEUE_FULL, Reason.BUDGET_EXHAUSTED,
    Reason.STORAGE_UNAVAILABLE, Reason.DATABASE_UNAVAILABLE, Reason.DRAINING, Reason.VALIDATION_FAILED,
)  # fmt: skip


def blueprint(trials: Trials) -> Blueprint:
    """The routes by which administrators try a slot."""
    routes = Blueprint("trials", __name__)

    @routes.post("/api/slots/<slot_id>/test-run")
    @contract(
        "Try a photo in a slot, in up to four ways side by side; answered when all of them are.",
        tag="slots",
        access=Permission.SLOTS_WRITE,
        request=Body("multipart/form-data", FORM_SCHEMA),
        responses={200: [json_body(TestRunView)]},
        headers={429: RETRY_AFTER, 503: RETRY_AFTER},
        problems=(
            Reason.SLOT_NOT_FOUND, Reason.UPLOAD_TIMEOUT, Reason.UNSUPPORTED_MEDIA_TYPE, Reason.UNDECODABLE_IMAGE, *ROOM
        ),
    )  # fmt: skip
    async def test_run(slot_id: str) -> Response:
        return answer(await trials.test_run(slot_id, request, caller().username))

    @routes.post("/api/jobs/<job_id>/rerun")
    @contract(
        "Work on a job's photo once more, as the slot is now; the new job is told at once.",
        tag="jobs",
        access=Permission.SLOTS_WRITE,
        request=json_body(RerunIn),
        responses={202: [json_body(RerunView)]},
        headers={202: {"Location": "The new job."}, 429: RETRY_AFTER, 503: RETRY_AFTER},
        problems=(Reason.NOT_FOUND, Reason.NOT_POSSIBLE_NOW, *ROOM),
    )
    async def rerun(job_id: str) -> Response:
        wanted = await read_json(request, RerunIn)
        made = await trials.rerun(read_id(job_id), request, wanted.overrides, caller().username)
        return answer(made, status=202, headers={"Location": made.job_url})

    return routes
