"""The templates that are kept: taken in, shown, previewed, and removed once nobody needs them."""

import logging
from collections.abc import AsyncIterable, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, Final
from uuid import UUID, uuid4

import msgspec
import trio

from photochanger.db.facade import Db
from photochanger.domain.reasons import Reason
from photochanger.errors import DatabaseUnavailable, PictureError, Refusal, StorageUnavailable
from photochanger.media.files import make_private
from photochanger.media.room import Room
from photochanger.media.store import MediaStore, preview_path
from photochanger.media.threads import PictureThreads, Priority
from photochanger.media.verify import write_preview
from photochanger.slots.incoming import LARGEST_BODY, Incoming, receive
from photochanger.slots.templates import LARGEST_FILE, add_template

log = logging.getLogger(__name__)

MOST_KEPT: Final = 1000
FOLDER: Final = "templates"
"""Of the temp folders: those of uploads and previews."""

GRACE: Final = 900.0
"""Seconds for which the file of a deleted template stays: no photo that began with it is at work any longer."""
PAUSE: Final = 300.0
"""Seconds between looks for files whose time has come."""
PREVIEW_PATIENCE: Final = 10.0
"""Seconds that a preview may wait for a picture thread; guests' photos go first."""

_SELECT: Final = """
SELECT id, name, mime, bytes, encode(sha256, 'hex') AS sha256, width, height, path, created_at,
       (SELECT coalesce(jsonb_agg(jsonb_build_object('slot_id', bound.slot_id, 'position', bound.position,
                                                     'role', bound.role, 'archived', slot.archived_at IS NOT NULL)
                                  ORDER BY bound.slot_id, bound.position), '[]'::jsonb)
        FROM slot_template AS bound JOIN slot ON slot.id = bound.slot_id
        WHERE bound.template_id = template_media.id) AS used_by
FROM template_media
"""
_ALL: Final = _SELECT + " ORDER BY created_at DESC, id"
_ONE: Final = _SELECT + " WHERE id = $1"
# Whoever binds it holds it too: so either the slot is seen below, or the slot's change finds no template.
_HOLD: Final = "SELECT path FROM template_media WHERE id = $1 FOR UPDATE"
_DELETE: Final = "DELETE FROM template_media WHERE id = $1"


class TemplateUse(msgspec.Struct):
    """A slot that has it. An archived one keeps its templates, to be brought back with them."""

    slot_id: str
    position: int
    role: str
    archived: bool


class TemplateView(msgspec.Struct):
    """A picture that slots can send along with every photo."""

    id: UUID
    name: str
    mime: str
    bytes: int
    sha256: str
    width: int
    height: int
    created_at: datetime
    picture_url: str
    preview_url: str
    used_by: list[TemplateUse]


@dataclass(frozen=True, slots=True)
class Shown:
    """A file to be sent: where it lies, its media type, and a tag that changes with its bytes."""

    path: Path
    mime: str
    etag: str


class TemplateLibrary:
    """All templates. `run` removes the files of those that were deleted; `on_removed` hears of each.

    `record(action, actor=, subject=, detail=)` keeps what was done, as `Audit.record` does: it raises nothing.
    """

    def __init__(
        self,
        db: Db,
        media: MediaStore,
        pictures: PictureThreads,
        *,
        max_pixels: int,
        record: Callable[..., Awaitable[None]],
        on_removed: Callable[[UUID], object],
    ) -> None:
        self._db = db
        self._media = media
        self._pictures = pictures
        self._room = Room(media)
        self._max_pixels = max_pixels
        self._record = record
        self._on_removed = on_removed

    async def all(self) -> list[TemplateView]:
        """All of them, the newest first. Raises DatabaseUnavailable."""
        return [_view(row) for row in await self._db.fetch(_ALL)]

    async def one(self, template_id: UUID) -> TemplateView:
        """One of them. Raises Refusal (not_found) and DatabaseUnavailable."""
        return _view(await self._row(template_id))

    async def add(
        self, body: AsyncIterable[bytes], content_type: str, content_length: int | None, *, by: str
    ) -> TemplateView:
        """Take in the picture of a form. Cut short at any moment, it is kept whole or, after a sweep, not at all.

        Raises Refusal, PictureError, StorageUnavailable and DatabaseUnavailable.
        """
        if (content_length or 0) > LARGEST_BODY:
            raise Refusal(Reason.PAYLOAD_TOO_LARGE)
        if await self._db.fetchval("SELECT count(*) FROM template_media") >= MOST_KEPT:
            raise Refusal(Reason.NOT_POSSIBLE_NOW, f"There are {MOST_KEPT} templates: delete some first.")
        await self._room.require(content_length or LARGEST_FILE)
        upload = str(uuid4())
        incoming = Incoming(content_type, self._media.temp_path(FOLDER, upload))
        try:
            path = await receive(body, incoming)
            made = await add_template(
                self._db, self._media, self._pictures, path, incoming.name, max_pixels=self._max_pixels
            )
            view = _view(made | {"used_by": []})
            await self._tell("template.added", by, view)
            return view
        finally:
            await self._forget(upload)

    async def picture(self, template_id: UUID) -> Shown:
        """The picture itself. Raises Refusal (not_found) and DatabaseUnavailable."""
        return self._whole(await self._row(template_id))

    async def preview(self, template_id: UUID) -> Shown:
        """A small one, made when it is first looked at; while guests' photos keep all threads busy the picture itself.

        Raises Refusal (not_found), StorageUnavailable and DatabaseUnavailable.
        """
        row = await self._row(template_id)
        place = self._media.locate(preview_path(row["path"]))
        if not await trio.Path(place).is_file():
            made = False
            with trio.move_on_after(PREVIEW_PATIENCE):
                await self._make_preview(row["path"])
                made = True
            if not made:
                return self._whole(row)
        return Shown(place, "image/webp", row["sha256"] + "-preview")

    async def delete(self, template_id: UUID, *, by: str) -> None:
        """Forget a template that no slot has; its file goes once no photo can be at work with it.

        Raises Refusal: `not_found`, `template_in_use` naming the slots. StorageUnavailable, DatabaseUnavailable.
        """
        async with self._db.transaction() as transaction:
            held = await transaction.fetchrow(_HOLD, template_id)
            row = await transaction.fetchrow(_ONE, template_id) if held is not None else None
            if row is None:
                raise Refusal(Reason.NOT_FOUND, "There is no such template.")
            view = _view(row)
            if view.used_by:
                slots = sorted({f"{each.slot_id}{' (archived)' * each.archived}" for each in view.used_by})
                raise Refusal(Reason.TEMPLATE_IN_USE, f"It belongs to {', '.join(slots)}.")
            await self._media.mark_template(row["path"])  # before the row goes: a file without either would stay
            await transaction.execute(_DELETE, template_id)
        await self._tell("template.deleted", by, view)

    async def sweep(self, grace: float = GRACE) -> int:
        """Remove the files of templates that were deleted more than `grace` seconds ago; how many.

        Raises StorageUnavailable and DatabaseUnavailable.
        """
        removed = 0
        for marked in await self._media.marked_templates():
            template_id = _id_of(marked.path)
            if template_id is None or marked.age < grace:
                continue
            if await self._db.fetchrow("SELECT id FROM template_media WHERE id = $1", template_id) is not None:
                await self._media.unmark_template(marked.path)  # it was not deleted after all
                continue
            await self._media.remove_template(marked.path)
            self._on_removed(template_id)
            removed += 1
        return removed

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Look for such files now and then. A child of the tree."""
        task_status.started()
        while True:
            try:
                if count := await self.sweep():
                    log.info("the files of %d deleted templates were removed", count)
            except (DatabaseUnavailable, StorageUnavailable) as error:
                log.warning("deleted templates are looked for later: %s", error)
            await trio.sleep(PAUSE)

    async def _row(self, template_id: UUID) -> Any:
        row = await self._db.fetchrow(_ONE, template_id)
        if row is None:
            raise Refusal(Reason.NOT_FOUND, "There is no such template.")
        return row

    def _whole(self, row: Any) -> Shown:
        return Shown(self._media.locate(row["path"]), row["mime"], row["sha256"])

    async def _forget(self, upload: str) -> None:
        try:
            await self._media.remove_temp(FOLDER, upload)  # shields itself
        except StorageUnavailable:  # whatever the upload came to; the folder is swept at the next start
            log.exception("a temp folder of templates is left behind")

    async def _make_preview(self, path: str) -> None:
        work = str(uuid4())
        folder = self._media.temp_path(FOLDER, work)
        try:
            await self._pictures.run(Priority.PREVIEW, _draw, self._media.locate(path), folder)
            await self._media.keep_preview(folder / "preview", path)
        except PictureError as error:
            raise StorageUnavailable(f"a template cannot be read: {error}") from error
        finally:
            await self._media.remove_temp(FOLDER, work)

    async def _tell(self, action: str, by: str, view: TemplateView) -> None:
        await self._record(action, actor=by, subject=str(view.id), detail={"name": view.name})


def _view(row: Any) -> TemplateView:
    values = {name: value for name, value in row.items() if name not in ("path", "used_by")}
    used_by = [TemplateUse(**each) for each in row["used_by"]]
    address = f"/api/templates/{row['id']}"
    return TemplateView(**values, picture_url=f"{address}/picture", preview_url=f"{address}/preview", used_by=used_by)


def _id_of(path: str) -> UUID | None:
    try:
        return UUID(PurePosixPath(path).stem)
    except ValueError:
        return None


# --- in a thread from here on ---


def _draw(picture: Path, folder: Path) -> None:
    if not picture.is_file():
        raise StorageUnavailable(f"{picture.name} is gone")
    make_private(folder)
    write_preview(picture, folder / "preview")
