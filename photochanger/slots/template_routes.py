"""`/api/templates`, and which of them travel with the photos of a slot."""

import re

import msgspec
from quart import Blueprint, Response, request

from photochanger.domain.permission import Permission
from photochanger.domain.reasons import Reason
from photochanger.errors import Refusal
from photochanger.slots.desk import Row, SlotDesk
from photochanger.slots.incoming import FILE_FIELD, NAME_FIELD
from photochanger.slots.library import Shown, TemplateLibrary, TemplateView
from photochanger.slots.showing import Showing
from photochanger.slots.templates import bind, unbind
from photochanger.slots.views import BindTemplateIn, CountMeta, SlotView
from photochanger.web.contract import Body, binary, contract, json_body
from photochanger.web.files import send_file
from photochanger.web.guard import caller
from photochanger.web.inputs import read_id, read_json, required_version
from photochanger.web.outputs import answer, nothing

TAG = "templates"
ACCESS = Permission.SLOTS_WRITE
ETAG = {"ETag": "The version that this is."}
FORM = Body(
    "multipart/form-data",
    {
        "type": "object",
        "required": [FILE_FIELD],
        "properties": {
            FILE_FIELD: {"type": "string", "contentMediaType": "image/jpeg", "description": "JPEG, PNG or WebP."},
            NAME_FIELD: {"type": "string", "description": "For people; else the file's own name."},
        },
    },
)
READING = (Reason.NOT_FOUND, Reason.DATABASE_UNAVAILABLE)
SENDING = (*READING, Reason.STORAGE_UNAVAILABLE, Reason.INVALID_REQUEST)
BINDING = (
    Reason.SLOT_NOT_FOUND, Reason.NOT_FOUND, Reason.VALIDATION_FAILED, Reason.NOT_POSSIBLE_NOW,
    Reason.DATABASE_UNAVAILABLE,
)  # fmt: skip


class TemplateList(msgspec.Struct):
    """Templates, the newest first."""

    data: list[TemplateView]
    meta: CountMeta


def blueprint(library: TemplateLibrary, desk: SlotDesk, showing: Showing) -> Blueprint:
    """The routes of templates. All need `slots:write`."""
    routes = Blueprint("templates", __name__)

    def shown(row: Row) -> Response:
        return answer(showing.view(row, desk.terms(), request.host_url), version=row["version"])

    @routes.get("/api/templates")
    @contract(
        "The templates, and which slots have each.",
        tag=TAG,
        access=ACCESS,
        responses={200: [json_body(TemplateList)]},
        problems=(Reason.DATABASE_UNAVAILABLE,),
    )
    async def list_templates() -> Response:
        found = await library.all()
        return answer(TemplateList(found, CountMeta(len(found))))

    @routes.post("/api/templates")
    @contract(
        "Keep a picture as a template. It is decoded whole, and loses its metadata.",
        tag=TAG,
        access=ACCESS,
        request=FORM,
        responses={201: [json_body(TemplateView)]},
        headers={201: {"Location": "Where it is now."}},
        problems=(
            Reason.UPLOAD_TIMEOUT, Reason.UNSUPPORTED_MEDIA_TYPE, Reason.UNDECODABLE_IMAGE, Reason.NOT_POSSIBLE_NOW,
            Reason.STORAGE_UNAVAILABLE, Reason.DATABASE_UNAVAILABLE,
        ),
    )  # fmt: skip
    async def add_template() -> Response:
        content_type = request.headers.get("Content-Type", "")
        view = await library.add(request.body, content_type, request.content_length, by=caller().username)
        return answer(view, status=201, headers={"Location": f"/api/templates/{view.id}"})

    @routes.get("/api/templates/<template_id>")
    @contract(
        "A template, and which slots have it.",
        tag=TAG,
        access=ACCESS,
        responses={200: [json_body(TemplateView)]},
        problems=READING,
    )
    async def get_template(template_id: str) -> Response:
        return answer(await library.one(read_id(template_id)))

    @routes.get("/api/templates/<template_id>/picture")
    @contract(
        "The picture as it travels with photos.",
        tag=TAG,
        access=ACCESS,
        responses={200: binary("image/jpeg", "image/png"), 206: binary("image/jpeg", "image/png"), 304: []},
        problems=SENDING,
    )
    async def get_template_picture(template_id: str) -> Response:
        return await sent(await library.picture(read_id(template_id)))

    @routes.get("/api/templates/<template_id>/preview")
    @contract(
        "A small one; while guests' photos keep all threads busy the picture itself.",
        tag=TAG,
        access=ACCESS,
        responses={
            200: binary("image/webp", "image/jpeg", "image/png"),
            206: binary("image/webp", "image/jpeg", "image/png"),
            304: [],
        },
        problems=SENDING,
    )
    async def get_template_preview(template_id: str) -> Response:
        return await sent(await library.preview(read_id(template_id)))

    @routes.delete("/api/templates/<template_id>")
    @contract(
        "Delete a template that no slot has, archived ones included.",
        tag=TAG,
        access=ACCESS,
        responses={204: []},
        problems=(*READING, Reason.TEMPLATE_IN_USE, Reason.STORAGE_UNAVAILABLE),
    )
    async def delete_template(template_id: str) -> Response:
        await library.delete(read_id(template_id), by=caller().username)
        return nothing()

    @routes.put("/api/slots/<slot_id>/templates/<position>")
    @contract(
        "Have a template travel with a slot's photos, in the place of what is at this position (0 to 19).",
        tag=TAG,
        access=ACCESS,
        request=json_body(BindTemplateIn),
        responses={200: [json_body(SlotView)]},
        headers={200: ETAG},
        problems=BINDING,
        versioned=True,
    )
    async def bind_template(slot_id: str, position: str) -> Response:
        expected, given, by = required_version(request), await read_json(request, BindTemplateIn), caller().username
        place = _place(position)
        row = await bind(
            desk.db, slot_id, given.template_id, given.role, place, by=by, expected=expected, terms=desk.terms()
        )
        await desk.after_templates(row, "slot.template_bound", by=by)
        return shown(row)

    @routes.delete("/api/slots/<slot_id>/templates/<position>")
    @contract(
        "Have a template travel no more; the template itself stays. Refused where the slot needs it.",
        tag=TAG,
        access=ACCESS,
        responses={200: [json_body(SlotView)]},
        headers={200: ETAG},
        problems=BINDING,
        versioned=True,
    )
    async def unbind_template(slot_id: str, position: str) -> Response:
        expected, by = required_version(request), caller().username
        _, row = await unbind(desk.db, slot_id, _place(position), by=by, expected=expected, terms=desk.terms())
        await desk.after_templates(row, "slot.template_unbound", by=by)
        return shown(row)

    return routes


async def sent(file: Shown) -> Response:
    """The file, which whoever has it may keep as long as it asks again."""
    return await send_file(
        file.path, mime=file.mime, etag=file.etag, request=request, cache_control="private, no-cache"
    )


def _place(position: str) -> int:
    if not re.fullmatch(r"[0-9]{1,3}", position, re.ASCII):
        raise Refusal(Reason.NOT_FOUND)
    return int(position)
