"""The guest's photo as it travels: as it came where that is good enough, turned, shrunk and converted where not."""

from functools import partial

import trio

from photochanger.domain.slot import Slot
from photochanger.errors import PictureError, Refusal
from photochanger.jobs.upload import Upload
from photochanger.jobs.workshop import Workshop
from photochanger.media.prepare import ANY, as_it_came, prepare
from photochanger.media.threads import Priority
from photochanger.providers.base import PreparedPhoto
from photochanger.providers.group import ProviderGroup


class Photo:
    """Prepared once per set of formats that providers take; most photos need no preparing at all."""

    def __init__(self, workshop: Workshop, upload: Upload, slot: Slot) -> None:
        self._workshop = workshop
        self._upload = upload
        self._slot = slot
        self._ready: dict[frozenset[str], PreparedPhoto] = {}
        self._lock = trio.Lock()

    async def prepare(self) -> None:
        """Make it ready for providers that take any format. Raises Refusal: its pixels may be damaged."""
        await self._for(ANY)

    async def for_group(self, group: ProviderGroup) -> PreparedPhoto:
        """The photo as this provider takes it. Raises Refusal and StorageUnavailable."""
        whole = await self._for(ANY)
        return whole if whole.mime in group.driver.accepts else await self._for(group.driver.accepts)

    async def _for(self, accepts: frozenset[str]) -> PreparedPhoto:
        if photo := self._ready.get(accepts):
            return photo
        upload, slot = self._upload, self._slot
        async with self._lock:
            photo = self._ready.get(accepts) or as_it_came(
                upload.path, upload.probe, longest_side=slot.longest_side, accepts=accepts
            )
            if photo is None:
                out = upload.folder / f"prepared-{len(self._ready)}"
                work = partial(
                    prepare,
                    upload.path,
                    out,
                    upload.probe,
                    longest_side=slot.longest_side,
                    quality=slot.send_quality,
                    accepts=accepts,
                )
                try:
                    with self._workshop.metrics.stage("prepare"), self._workshop.activity.working():
                        photo = await self._workshop.pictures.run(Priority.NORMALISE, work)
                except PictureError as error:
                    raise Refusal(error.reason, error.detail) from error
            self._ready[accepts] = photo
            return photo
