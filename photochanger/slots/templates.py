"""Templates: pictures that belong to slots and travel along with every photo. They never change once kept."""

import logging
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import trio

from photochanger.db.facade import Db
from photochanger.domain.reasons import Reason
from photochanger.errors import Problem, Refusal, SlotInvalid, StorageUnavailable
from photochanger.media.files import storage_error, write_new
from photochanger.media.formats.layout import Format, damaged
from photochanger.media.pixels import decoding, load, upright
from photochanger.media.prepare import as_it_came, to_jpeg
from photochanger.media.probe import MAX_PIXELS, Probe, probe
from photochanger.media.store import MediaStore, StoredFile
from photochanger.media.threads import PictureThreads, Priority
from photochanger.providers.base import PreparedPhoto
from photochanger.slots.change import Terms, change_held, hold
from photochanger.slots.fields import MOST_TEMPLATES, ROLE, TEMPLATES, document

log = logging.getLogger(__name__)

LONGEST_SIDE: Final = 3072
"""Pixels; a larger template is made smaller once, because every photo of its slot takes it along."""

LARGEST_FILE: Final = 50_000_000
"""Bytes of a file that is taken as a template."""

QUALITY: Final = 95
CLEANING: Final = 5.0
"""Seconds for marking the file of a template that was cut short."""

_NAME: Final = 120
"""Characters that are kept of a name."""

_INSERT: Final = """
INSERT INTO template_media (id, name, mime, bytes, sha256, width, height, path) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
RETURNING id, name, mime, bytes, encode(sha256, 'hex') AS sha256, width, height, path, created_at
"""
_EXISTS: Final = "SELECT id FROM template_media WHERE id = $1 FOR KEY SHARE"
UNCHECKED: Final = Terms(lambda _: [], 0, 0)
"""For commands that tell what is still wrong instead of refusing."""


async def add_template(
    db: Db, media: MediaStore, pictures: PictureThreads, path: Path, name: str, *, max_pixels: int = MAX_PIXELS
) -> dict[str, Any]:
    """Keep the picture at `path` as a template; its row. `name` is for people.

    It is decoded whole, and any complaint of the decoder counts as damage: whoever brings it has a better copy.
    A plain JPEG or PNG keeps its pixels as they are and loses its metadata; anything else becomes an upright sRGB
    JPEG, transparency on white, LONGEST_SIDE at most.

    Raises PictureError, StorageUnavailable and DatabaseUnavailable. Whether PostgreSQL has a row for it then, nobody
    knows: a file that was kept is marked, and the sweep of the library leaves both or neither.
    """
    template_id = uuid4()
    folder = media.temp_path("templates", str(template_id))
    stored: StoredFile | None = None
    try:
        try:
            clean = folder / "template"
            found = await pictures.run(Priority.NORMALISE, _clean, path, clean, max_pixels)
            stored = await media.keep_template(clean, str(template_id), found.mime)
        finally:
            await media.remove_temp("templates", str(template_id))
        shown = "".join(character for character in name if character.isprintable())[:_NAME]
        facts = (found.mime, stored.bytes, bytes.fromhex(stored.sha256), found.width, found.height, stored.path)
        row = await db.fetchrow(_INSERT, template_id, shown, *facts)
    except BaseException:
        if stored is not None:
            await _mark(media, stored.path)
        raise
    assert row is not None
    return dict(row)


async def _mark(media: MediaStore, path: str) -> None:
    with trio.move_on_after(CLEANING, shield=True):
        try:
            await media.mark_template(path)
        except StorageUnavailable:
            log.exception("%s may be left without a row", path)


async def bind(
    db: Db,
    slot_id: str,
    template_id: UUID,
    role: str,
    position: int | None = None,
    *,
    by: str,
    expected: int | None = None,
    terms: Terms = UNCHECKED,
) -> dict[str, Any]:
    """Make a template the slot's, in the place of what is at `position`; None means behind all others.

    The slot's row as it is then. It must be at version `expected`, where that is given, and the template may not break
    by `terms` what works. Raises Refusal (as `hold` does, and NOT_FOUND for the template), SlotInvalid and
    DatabaseUnavailable.
    """
    problems = []
    if not ROLE.fullmatch(role):
        problems.append(Problem("role", "must be a lower-case word, as in style, body or reference"))
    async with db.transaction() as transaction:
        row = await hold(transaction, slot_id, expected)
        if await transaction.fetchrow(_EXISTS, template_id) is None:
            raise Refusal(Reason.NOT_FOUND, f"there is no template {template_id}")
        bound = document(row)[TEMPLATES]
        place = max((each["position"] for each in bound), default=-1) + 1 if position is None else position
        if not 0 <= place < MOST_TEMPLATES:
            problems.append(Problem("position", f"must be from 0 to {MOST_TEMPLATES - 1}, not {place}"))
        if problems:
            raise SlotInvalid(slot_id, problems)
        new = {"template_id": str(template_id), "role": role, "position": place}
        templates = sorted([each for each in bound if each["position"] != place] + [new], key=_position)
        change = {TEMPLATES: templates}
        return await change_held(transaction, row, change, terms, by=by, action="template_bound", lenient=True)


async def unbind(
    db: Db, slot_id: str, position: int, *, by: str, expected: int | None = None, terms: Terms = UNCHECKED
) -> tuple[UUID, dict[str, Any]]:
    """Take the template at `position` from the slot; its id, and the slot's row as it is then. The template stays.

    Raises Refusal (as `hold` does, and NOT_FOUND when nothing is there), SlotInvalid when the slot needs it, and
    DatabaseUnavailable.
    """
    async with db.transaction() as transaction:
        row = await hold(transaction, slot_id, expected)
        bound = document(row)[TEMPLATES]
        found = next((each for each in bound if each["position"] == position), None)
        if found is None:
            raise Refusal(Reason.NOT_FOUND, f"there is no template at {position}")
        change = {TEMPLATES: [each for each in bound if each is not found]}
        after = await change_held(transaction, row, change, terms, by=by, action="template_unbound", lenient=True)
    return UUID(found["template_id"]), after


def _position(binding: dict[str, Any]) -> int:
    position: int = binding["position"]
    return position


# --- in a thread from here on ---


def _clean(path: Path, out_path: Path, max_pixels: int) -> Probe:
    found = probe(path, max_pixels=max_pixels)
    photo = as_it_came(path, found, longest_side=LONGEST_SIDE)
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise damaged(f"The file is larger than {LARGEST_FILE // 1_000_000} MB.")
        with decoding():
            if photo is not None and found.format is not Format.WEBP:
                load(path, found, "warning").avg()
                data = _bytes_of(photo)
            else:
                data = to_jpeg(upright(path, found, "warning", longest_side=LONGEST_SIDE), QUALITY)
        out_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(error, "A template cannot be made") from error
    write_new(out_path, data)
    return probe(out_path)


def _bytes_of(photo: PreparedPhoto) -> bytes:
    whole = photo.path.read_bytes()
    return b"".join(
        part if isinstance(part, bytes) else whole[part.offset : part.offset + part.length] for part in photo.parts
    )
