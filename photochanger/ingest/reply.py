"""What the booth gets: the picture as the whole body, or a description of it for clients that ask for JSON."""

from uuid import UUID

from quart import Request, Response, jsonify

from photochanger.errors import Refusal
from photochanger.jobs.reply import ErrorReply, PictureReply, Reply
from photochanger.jobs.told import picture_url
from photochanger.web.files import stream_file


async def respond(reply: Reply, job_id: UUID, request: Request) -> Response:
    """The HTTP response for `reply`. Raises Refusal when it is not a picture."""
    if isinstance(reply, ErrorReply):
        raise Refusal(reply.reason, retry_after=reply.retry_after, job_id=job_id, result_url=reply.result_url)
    response = describe(reply, job_id) if wants_json(request) else await picture(reply)
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Job-Id"] = str(job_id)
    response.headers["X-PhotoChanger-Result"] = reply.kind.value
    response.headers["Link"] = f'<{picture_url(job_id)}>; rel="alternate"'
    return response


def wants_json(request: Request) -> bool:
    """True only for a client that prefers JSON to a picture in so many words; a booth sends no Accept at all."""
    best = request.accept_mimetypes.best_match(["image/jpeg", "application/json"], default="image/jpeg")
    return best == "application/json"


async def picture(reply: PictureReply) -> Response:
    """The picture itself, with its exact length: what booth programs expect."""
    if reply.data is not None:
        return Response(reply.data, mimetype=reply.mime)
    return await stream_file(reply.path, mime=reply.mime, size=reply.size)


def describe(reply: PictureReply, job_id: UUID) -> Response:
    """The same as JSON."""
    return jsonify(
        {
            "job_id": str(job_id),
            "result": reply.kind.value,
            "mime": reply.mime,
            "bytes": reply.size,
            "width": reply.width,
            "height": reply.height,
            "url": picture_url(job_id),
        }
    )
