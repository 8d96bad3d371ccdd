"""Templates: clean and durable once kept, bound in their order, ready to travel with every photo."""

import hashlib
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
import trio

from photochanger.db.facade import Db
from photochanger.db.target import Target
from photochanger.domain.reasons import Reason
from photochanger.domain.slot import Slot
from photochanger.errors import DatabaseUnavailable, PictureError, Refusal, SlotInvalid, StorageUnavailable
from photochanger.jobs.shelf import TemplateShelf
from photochanger.media.filesystem import FilesystemStore
from photochanger.media.probe import probe
from photochanger.media.threads import PictureThreads
from photochanger.slots.fields import MOST_TEMPLATES
from photochanger.slots.library import TemplateLibrary
from photochanger.slots.snapshot import SlotBook
from photochanger.slots.templates import LONGEST_SIDE, add_template, bind, unbind
from tests.lab import pictures
from tests.lab.waiting import until
from tests.media.reading import decoded, difference, sent
from tests.media.test_probe import BAD


@pytest.fixture
async def media(tmp_path: Path) -> FilesystemStore:
    made = FilesystemStore(tmp_path / "media")
    await made.open()
    return made


def files(media: FilesystemStore) -> list[Path]:
    return [path for path in media.root.rglob("*") if path.is_file()]


async def add(
    db: Db, media: FilesystemStore, tmp_path: Path, data: bytes, name: str = "a style", **options: Any
) -> UUID:
    path = tmp_path / "upload"
    path.write_bytes(data)
    template_id: UUID = (await add_template(db, media, PictureThreads(), path, name, **options))["id"]
    return template_id


def library_of(db: Db, media: FilesystemStore, record: Any = None) -> TemplateLibrary:
    return TemplateLibrary(
        db, media, PictureThreads(), max_pixels=10**8, record=record or AsyncRecord(), on_removed=lambda _: None
    )


class AsyncRecord:
    """What was told to the audit log: actions."""

    def __init__(self) -> None:
        self.actions: list[str] = []

    async def __call__(self, action: str, **_options: Any) -> None:
        self.actions.append(action)


async def file_or_row(db: Db, media: FilesystemStore) -> list[str]:
    """The paths of all templates once those that were cut short are swept; each has its file, no other is left."""

    async def nobody_writes() -> bool:
        # A statement whose answer nobody awaits is carried out all the same.
        others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        pool = db.pool_state
        assert pool is not None
        return bool(await db.fetchval(others) < pool.open)

    await until(nobody_writes)
    await library_of(db, media).sweep(grace=0)
    rows = [row["path"] for row in await db.fetch("SELECT path FROM template_media ORDER BY created_at")]
    assert sorted(path.relative_to(media.root).as_posix() for path in files(media)) == sorted(rows)
    return rows


async def row_of(db: Db, template_id: UUID) -> dict[str, Any]:
    row = await db.fetchrow("SELECT * FROM template_media WHERE id = $1", template_id)
    assert row is not None
    return dict(row)


async def slot_now(db: Db, slot_id: str = "slot-001") -> Slot:
    book = SlotBook(db, t_sync=48, t_late=120)
    await book.refresh()
    slot = book.find(slot_id)
    assert slot is not None
    return slot


async def test_a_plain_photo_keeps_its_pixels_and_loses_its_metadata(
    db: Db, media: FilesystemStore, tmp_path: Path
) -> None:
    data = pictures.turned(1)
    template_id = await add(db, media, tmp_path, data, "Ван Гог.jpg")
    row = await row_of(db, template_id)
    assert row["path"] == f"templates/{template_id}.jpg"
    kept = media.locate(row["path"]).read_bytes()
    assert pictures.GPS_MARK in data
    assert pictures.GPS_MARK not in kept
    assert difference(decoded(kept), decoded(data)) == 0
    assert (row["name"], row["mime"], row["width"], row["height"]) == ("Ван Гог.jpg", "image/jpeg", 300, 200)
    assert (row["bytes"], row["sha256"]) == (len(kept), hashlib.sha256(kept).digest())
    assert files(media) == [media.locate(row["path"])]
    assert media.locate(row["path"]).stat().st_mode & 0o777 == 0o600


KINDS: dict[str, tuple[Callable[[], bytes], str, tuple[int, int]]] = {
    "PNG": (pictures.png, "image/png", (300, 200)),
    "turned": (lambda: pictures.turned(6), "image/jpeg", (300, 200)),
    "WebP": (pictures.webp, "image/jpeg", (300, 200)),
    "PNG with alpha": (pictures.png_alpha, "image/jpeg", (300, 200)),
    "P3": (pictures.jpeg_with_profile, "image/jpeg", (300, 200)),
    "CMYK": (pictures.cmyk, "image/jpeg", (300, 200)),
    "large": (lambda: pictures.photo(4608, 1536), "image/jpeg", (LONGEST_SIDE, 1024)),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_every_kind_can_travel_as_it_is_kept(kind: str, db: Db, media: FilesystemStore, tmp_path: Path) -> None:
    make, mime, size = KINDS[kind]
    template_id = await add(db, media, tmp_path, make())
    row = await row_of(db, template_id)
    found = probe(media.locate(row["path"]))
    assert (row["mime"], row["width"], row["height"]) == (mime, *size) == (found.mime, found.width, found.height)
    assert not found.needs_normalising
    await bind(db, "slot-001", template_id, "style", by="serg")
    (image,) = await TemplateShelf(media).load(await slot_now(db))
    assert (image.role, image.photo.mime, image.photo.width, image.photo.height) == ("style", mime, *size)
    assert (decoded(sent(image.photo)).width, len(sent(image.photo))) == (size[0], image.photo.size)


@pytest.mark.parametrize("case", BAD)
async def test_what_is_no_whole_picture_is_not_kept(case: str, db: Db, media: FilesystemStore, tmp_path: Path) -> None:
    with pytest.raises(PictureError):
        await add(db, media, tmp_path, BAD[case][0]())
    assert files(media) == []
    assert await db.fetchval("SELECT count(*) FROM template_media") == 0


async def test_pixels_are_decoded_and_counted(db: Db, media: FilesystemStore, tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="too large"):
        await add(db, media, tmp_path, pictures.photo(), max_pixels=1_000_000)
    data = pictures.progressive(640, 400)
    with pytest.raises(PictureError, match="decoded whole"):  # closed properly, so only decoding finds it
        await add(db, media, tmp_path, data[: len(data) // 2] + b"\xff\xd9")
    assert files(media) == []


async def test_a_file_that_cannot_be_read(db: Db, media: FilesystemStore, tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable):
        await add_template(db, media, PictureThreads(), tmp_path / "nothing", "x")


async def test_without_a_database_no_file_is_left(
    db: Db, postgres_url: str, media: FilesystemStore, tmp_path: Path
) -> None:
    db.disconnect("gone for the test")
    with pytest.raises(DatabaseUnavailable):
        await add(db, media, tmp_path, pictures.photo())
    await db.connect(Target.of(postgres_url))
    assert await file_or_row(db, media) == []


async def test_a_row_that_was_written_although_nobody_heard_of_it_keeps_its_file(
    db: Db, media: FilesystemStore, tmp_path: Path
) -> None:
    """The connection is lost while the INSERT is on its way back."""
    deaf = _Deaf(db)
    with pytest.raises(DatabaseUnavailable):
        await add(cast(Db, deaf), media, tmp_path, pictures.photo())
    assert len(await file_or_row(db, media)) == 1


async def test_a_temp_folder_that_stays_leaves_no_file_behind(db: Db, tmp_path: Path) -> None:
    """Whatever is told: a template that is kept is told as one, of another one nothing is left."""
    path = tmp_path / "upload"
    path.write_bytes(pictures.photo(64, 48))
    media = _Sticky(tmp_path / "media", "template")
    await media.open()
    with pytest.raises(StorageUnavailable):
        await add_template(db, media, PictureThreads(), path, "x")
    assert await file_or_row(db, media) == []


@pytest.mark.parametrize("trouble", ["temp folder", "database"])
async def test_what_is_kept_is_told_as_kept(db: Db, tmp_path: Path, trouble: str) -> None:
    """Trouble that comes only when the template is there, with its row, makes no failure of it."""
    media = _Sticky(tmp_path / "media", "upload" if trouble == "temp folder" else None)
    await media.open()
    if trouble == "database":
        media.on_removed = partial(db.disconnect, "gone for the test")
    record = AsyncRecord()
    content_type, body = multipart(pictures.photo(64, 48))

    async def stream() -> AsyncIterator[bytes]:
        yield body

    view = await library_of(db, media, record).add(stream(), content_type, len(body), by="serg")
    assert (view.width, view.height, view.used_by, record.actions) == (64, 48, [], ["template.added"])
    if trouble == "temp folder":
        assert view == await library_of(db, media).one(view.id)


def multipart(picture: bytes) -> tuple[str, bytes]:
    """A form with a picture: its media type and its bytes."""
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
    return "multipart/form-data; boundary=x", head + picture + b"\r\n--x--\r\n"


class _Deaf:
    """A database that carries out a statement, and is lost before it can say so."""

    def __init__(self, db: Db) -> None:
        self._db = db

    async def fetchrow(self, sql: str, *args: Any) -> Any:
        await self._db.fetchrow(sql, *args)
        raise DatabaseUnavailable("lost on the way")

    async def execute(self, sql: str, *args: Any) -> str:
        await self._db.execute(sql, *args)
        raise DatabaseUnavailable("lost on the way")


class _Sticky(FilesystemStore):
    """A disk on which the temp folder of an upload or of a template cannot be removed."""

    def __init__(self, root: Path, stays: str | None) -> None:
        super().__init__(root)
        self.on_removed: Callable[[], object] = lambda: None
        self._stays = stays

    async def remove_temp(self, slot_id: str, job_id: str) -> None:
        is_upload = any(path.name != "template" for path in self.temp_path(slot_id, job_id).glob("*"))
        await super().remove_temp(slot_id, job_id)
        if is_upload:
            self.on_removed()
        if self._stays == ("upload" if is_upload else "template"):
            raise StorageUnavailable("for the test")


async def test_a_cancelled_one_leaves_file_and_row_or_neither(db: Db, media: FilesystemStore, tmp_path: Path) -> None:
    """Cancelled at every moment there is, one checkpoint later each time, until it gets through."""
    for moment in range(200):
        scope = trio.CancelScope()
        watch = _CancelAtCheckpoint(scope, moment)
        trio.lowlevel.add_instrument(watch)
        try:
            with scope:
                watch.task = trio.lowlevel.current_task()
                await add(db, media, tmp_path, pictures.photo(64, 48))
        finally:
            trio.lowlevel.remove_instrument(watch)
        rows = await file_or_row(db, media)
        if not scope.cancelled_caught:
            break
    assert moment > 3
    assert rows


class _CancelAtCheckpoint(trio.abc.Instrument):
    def __init__(self, scope: trio.CancelScope, moment: int) -> None:
        self.task: trio.lowlevel.Task | None = None
        self._scope = scope
        self._left = moment

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task is self.task:
            self._left -= 1
            if self._left < 0:
                self._scope.cancel()


# --- binding ----------------------------------------------------------------------------------------------------


async def test_templates_travel_in_their_order_and_make_a_new_version(
    db: Db, media: FilesystemStore, tmp_path: Path
) -> None:
    ids = [await add(db, media, tmp_path, pictures.photo(64, 48, seed=seed)) for seed in (1, 2, 3)]
    before = (await slot_now(db)).version
    await bind(db, "slot-001", ids[0], "style", by="serg")
    await bind(db, "slot-001", ids[1], "body", by="serg")
    await bind(db, "slot-001", ids[2], "reference", position=0, by="serg")
    await bind(db, "slot-002", ids[0], "style", by="serg")
    slot = await slot_now(db)
    assert [(template.id, template.role) for template in slot.templates] == [(ids[2], "reference"), (ids[1], "body")]
    assert slot.version == before + 3
    loaded = await TemplateShelf(media).load(slot)
    assert [image.role for image in loaded] == ["reference", "body"]
    assert difference(decoded(sent(loaded[0].photo)), decoded(pictures.photo(64, 48, seed=3))) == 0
    assert await TemplateShelf(media).load(await slot_now(db, "slot-003")) == ()


async def test_what_is_unbound_stays_kept(db: Db, media: FilesystemStore, tmp_path: Path) -> None:
    first, second = [await add(db, media, tmp_path, pictures.photo(64, 48, seed=seed)) for seed in (1, 2)]
    for template_id in (first, second):
        await bind(db, "slot-001", template_id, "style", by="serg")
    await bind(db, "slot-002", first, "style", by="serg")
    before, kept = await slot_now(db), files(media)
    assert (await unbind(db, "slot-001", 0, by="serg"))[0] == first
    slot = await slot_now(db)
    assert ([template.id for template in slot.templates], slot.version) == ([second], before.version + 1)
    assert [template.id for template in (await slot_now(db, "slot-002")).templates] == [first]
    assert files(media) == kept
    assert await db.fetchval("SELECT count(*) FROM template_media") == 2
    with pytest.raises(Refusal, match="there is no template at 0") as nothing:
        await unbind(db, "slot-001", 0, by="serg")
    assert nothing.value.reason is Reason.NOT_FOUND
    with pytest.raises(Refusal):
        await unbind(db, "slot-999", 0, by="serg")
    assert await slot_now(db) == slot


async def test_what_cannot_be_bound(db: Db, media: FilesystemStore, tmp_path: Path) -> None:
    template_id = await add(db, media, tmp_path, pictures.photo(64, 48))
    before = await slot_now(db)
    with pytest.raises(Refusal) as refusal:
        await bind(db, "slot-999", template_id, "style", by="serg")
    assert refusal.value.reason is Reason.SLOT_NOT_FOUND
    with pytest.raises(Refusal) as refusal:
        await bind(db, "slot-001", uuid4(), "style", by="serg")
    assert refusal.value.reason is Reason.NOT_FOUND
    for role in ("", "Style", "a b", "x" * 41, "стиль", "a\0"):
        with pytest.raises(SlotInvalid, match="role: must be a lower-case word"):
            await bind(db, "slot-001", template_id, role, by="serg")
    for position in (-1, MOST_TEMPLATES, 2**40):
        with pytest.raises(SlotInvalid, match="position: must be from 0 to 19"):
            await bind(db, "slot-001", template_id, "style", position, by="serg")
    assert await slot_now(db) == before


async def test_a_slot_takes_no_more_than_any_provider(db: Db, media: FilesystemStore, tmp_path: Path) -> None:
    template_id = await add(db, media, tmp_path, pictures.photo(64, 48))
    for _ in range(MOST_TEMPLATES):
        await bind(db, "slot-001", template_id, "style", by="serg")
    with pytest.raises(SlotInvalid, match="not 20"):
        await bind(db, "slot-001", template_id, "style", by="serg")
    assert len(await TemplateShelf(media).load(await slot_now(db))) == MOST_TEMPLATES


# --- loading ----------------------------------------------------------------------------------------------------


async def test_a_file_is_looked_at_once(db: Db, media: FilesystemStore, tmp_path: Path) -> None:
    template_id = await add(db, media, tmp_path, pictures.photo(64, 48))
    await bind(db, "slot-001", template_id, "style", by="serg")
    slot, shelf = await slot_now(db), TemplateShelf(media)
    first = await shelf.load(slot)
    media.locate(slot.templates[0].path).unlink()
    assert (await shelf.load(slot))[0].photo is first[0].photo


async def test_one_that_is_gone_or_damaged_is_named(db: Db, media: FilesystemStore, tmp_path: Path) -> None:
    template_id = await add(db, media, tmp_path, pictures.photo(64, 48))
    await bind(db, "slot-001", template_id, "style", by="serg")
    slot = await slot_now(db)
    path = media.locate(slot.templates[0].path)
    whole = path.read_bytes()
    for content in (whole[:100], pictures.turned(6)):
        path.write_bytes(content)
        with pytest.raises(StorageUnavailable, match=f"template {template_id}: "):
            await TemplateShelf(media).load(slot)
    path.unlink()
    shelf = TemplateShelf(media)
    with pytest.raises(StorageUnavailable, match=f"template {template_id}: ") as refusal:
        await shelf.load(slot)
    assert str(tmp_path) not in str(refusal.value)
    path.write_bytes(whole)  # restored from a backup: the next photo has it
    assert len(await shelf.load(slot)) == 1
