"""The slots' templates, ready to travel along with photos."""

from pathlib import Path
from uuid import UUID

import trio

from photochanger.domain.slot import Slot, Template
from photochanger.errors import PictureError, StorageUnavailable
from photochanger.media.prepare import as_it_came
from photochanger.media.probe import probe
from photochanger.media.store import MediaStore
from photochanger.providers.base import PreparedPhoto, TemplateImage

_readers = trio.CapacityLimiter(4)


class TemplateShelf:
    """The templates that were needed so far, ready to travel: the file of each is looked at once."""

    def __init__(self, media: MediaStore) -> None:
        self._media = media
        self._ready: dict[UUID, PreparedPhoto] = {}

    async def load(self, slot: Slot) -> tuple[TemplateImage, ...]:
        """The templates of `slot` in their order. Raises StorageUnavailable naming one that is gone or damaged."""
        return tuple([TemplateImage(template.role, await self._photo(template)) for template in slot.templates])

    def forget(self, template_id: UUID) -> None:
        """The template's file is gone for good."""
        self._ready.pop(template_id, None)

    async def _photo(self, template: Template) -> PreparedPhoto:
        ready = self._ready.get(template.id)
        if ready is None:
            path = self._media.locate(template.path)
            ready = await trio.to_thread.run_sync(_look, template.id, path, limiter=_readers)
            self._ready[template.id] = ready
        return ready


# --- in a thread from here on ---


def _look(template_id: UUID, path: Path) -> PreparedPhoto:
    try:
        photo = as_it_came(path, probe(path))
    except (PictureError, StorageUnavailable) as error:
        raise StorageUnavailable(f"template {template_id}: {error}") from None
    if photo is None:
        raise StorageUnavailable(f"template {template_id}: the file is not the one that was kept")
    return photo
