"""`/api/slot-presets`, and applying one to a slot."""

import msgspec
from quart import Blueprint, Response, request

from photochanger.domain.permission import Permission
from photochanger.domain.reasons import Reason
from photochanger.slots.desk import SlotDesk
from photochanger.slots.presets import Presets, PresetView
from photochanger.slots.showing import Showing
from photochanger.slots.views import (
    ApplyPresetIn,
    CountMeta,
    PresetBody,
    PresetChangeBody,
    PresetChangeIn,
    PresetIn,
    SlotPresetList,
    SlotView,
)
from photochanger.web.contract import contract, json_body
from photochanger.web.guard import caller
from photochanger.web.inputs import read_id, read_json, required_version
from photochanger.web.outputs import answer, nothing

TAG = "presets"
ACCESS = Permission.SLOTS_WRITE
ETAG = {"ETag": "The version that this is."}
READING = (Reason.NOT_FOUND, Reason.DATABASE_UNAVAILABLE)


def blueprint(presets: Presets, desk: SlotDesk, showing: Showing) -> Blueprint:
    """The routes of presets. All need `slots:write`."""
    routes = Blueprint("presets", __name__)

    async def done(action: str, preset: PresetView) -> None:
        detail = {"name": preset.name, "version": preset.version}
        await desk.record(action, actor=caller().username, subject=str(preset.id), detail=detail)

    @routes.get("/api/slot-presets")
    @contract(
        "The presets: parts of a slot's settings under a name.",
        tag=TAG,
        access=ACCESS,
        responses={200: [json_body(SlotPresetList)]},
        problems=(Reason.DATABASE_UNAVAILABLE,),
    )
    async def list_presets() -> Response:
        found = await presets.all()
        return answer(SlotPresetList(found, CountMeta(len(found))))

    @routes.post("/api/slot-presets")
    @contract(
        "A new preset. It carries no secrets, no templates, and nothing that belongs to one slot alone.",
        tag=TAG,
        access=ACCESS,
        request=json_body(PresetIn),
        responses={201: [json_body(PresetView)]},
        headers={201: ETAG | {"Location": "Where it is now."}},
        problems=(Reason.NOT_POSSIBLE_NOW, Reason.DATABASE_UNAVAILABLE),
    )
    async def create_preset() -> Response:
        given = await read_json(request, PresetBody)
        made = await presets.create(given.name, given.document, by=caller().username)
        await done("preset.created", made)
        headers = {"Location": f"/api/slot-presets/{made.id}"}
        return answer(made, status=201, version=made.version, headers=headers)

    @routes.get("/api/slot-presets/<preset_id>")
    @contract(
        "A preset.",
        tag=TAG,
        access=ACCESS,
        responses={200: [json_body(PresetView)]},
        headers={200: ETAG},
        problems=READING,
    )
    async def get_preset(preset_id: str) -> Response:
        found = await presets.one(read_id(preset_id))
        return answer(found, version=found.version)

    @routes.put("/api/slot-presets/<preset_id>")
    @contract(
        "Change a preset. Slots that it was applied to stay as they are.",
        tag=TAG,
        access=ACCESS,
        request=json_body(PresetChangeIn),
        responses={200: [json_body(PresetView)]},
        headers={200: ETAG},
        problems=READING,
        versioned=True,
    )
    async def change_preset(preset_id: str) -> Response:
        found, expected = read_id(preset_id), required_version(request)
        given = await read_json(request, PresetChangeBody)
        name = None if given.name is msgspec.UNSET else given.name
        document = None if given.document is msgspec.UNSET else given.document
        changed = await presets.change(found, name, document, expected, by=caller().username)
        await done("preset.changed", changed)
        return answer(changed, version=changed.version)

    @routes.delete("/api/slot-presets/<preset_id>")
    @contract(
        "Delete a preset. Slots that it was applied to stay as they are.",
        tag=TAG,
        access=ACCESS,
        responses={204: []},
        problems=READING,
        versioned=True,
    )
    async def delete_preset(preset_id: str) -> Response:
        found = read_id(preset_id)
        await done("preset.deleted", await presets.delete(found, required_version(request)))
        return nothing()

    @routes.post("/api/slots/<slot_id>/apply-preset")
    @contract(
        "Put the fields of a preset into a slot; the others stay. Refused where the slot could not work then.",
        tag=TAG,
        access=ACCESS,
        request=json_body(ApplyPresetIn),
        responses={200: [json_body(SlotView)]},
        headers={200: ETAG},
        problems=(*READING, Reason.SLOT_NOT_FOUND, Reason.VALIDATION_FAILED, Reason.NOT_POSSIBLE_NOW),
        versioned=True,
    )
    async def apply_preset(slot_id: str) -> Response:
        expected = required_version(request)
        preset = await presets.one((await read_json(request, ApplyPresetIn)).preset_id)
        row = await desk.apply_preset(slot_id, preset.name, preset.document, expected, by=caller().username)
        return answer(showing.view(row, desk.terms(), request.host_url), version=row["version"])

    return routes
