"""The last resort: what a booth prints when no picture comes in time. Made ready while the provider works."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import trio

from photochanger.domain.job import ReplyKind
from photochanger.domain.slot import Slot
from photochanger.errors import ConfigError, PictureError, StorageUnavailable
from photochanger.jobs.reply import PictureReply, ReplyCell
from photochanger.jobs.upload import Upload
from photochanger.jobs.workshop import Workshop
from photochanger.media.fit import Fit
from photochanger.media.prepare import prepare
from photochanger.media.threads import Priority
from photochanger.media.verify import Verified, verify
from photochanger.providers.local.driver import render
from photochanger.providers.local.settings import parse

log = logging.getLogger(__name__)

SEND_LEAD = 0.25
"""Seconds before a deadline at which the last resort leaves, beside what its bytes need on the client's line."""


LOOK_ROUND = 0.1
"""Seconds between two looks, before there is a pursuit, for booths whose time is over."""


class StandIn:
    """The last resort of one photo. `reply` is None until it is ready, and for ever where the slot has none.

    `original` is the file exactly as it came, but a PNG that the slot does not allow, and a WebP, are made baseline
    JPEG: printers read no others. `local` is drawn in the slot's output shape. The file lies in the job's
    temp folder and goes with it.
    """

    def __init__(
        self, workshop: Workshop, slot: Slot, upload: Upload, cell: ReplyCell, fit: Fit | None, *, counts: bool = True
    ) -> None:
        self.reply: PictureReply | None = None
        self._workshop = workshop
        self._slot = slot
        self._upload = upload
        self._cell = cell
        self._fit = fit
        self._counts = counts
        self._decided = trio.Event()
        self._drawing = trio.CancelScope()

    @property
    def lead(self) -> float | None:
        """Seconds before a deadline at which it has to leave; None while there is none."""
        if self.reply is None:
            return None
        sending = self._workshop.reserve.sending(self.reply.size, self._upload.rate)
        return min(SEND_LEAD + sending, self._slot.t_sync / 4)

    def give(self, deadline: float) -> None:
        """Answer everybody with it whose deadline is not after this moment. Synchronous."""
        if self.reply is not None:
            self.count(self.reply, self._cell.answer_due(deadline, self.reply))

    def count(self, reply: PictureReply, answers: int) -> None:
        """So many booths got it. Tests are no booths."""
        for _ in range(answers if self._counts else 0):
            self._workshop.metrics.last_resort(reply.kind)

    @contextmanager
    def looking_round(self, calls: trio.Nursery) -> Iterator[None]:
        """Inside, those whose time is over get it: nothing else looks before the pursuit has begun."""
        if self._slot.last_resort == "error":
            yield
            return
        scope = trio.CancelScope()
        calls.start_soon(self._look_round, scope)
        try:
            yield
        finally:
            scope.cancel()

    async def make(self) -> None:
        """Make it ready. Never raises: a booth without a last resort gets an error, which is what it gets then."""
        try:
            with self._drawing:
                self.reply = await self._made()
        except Exception:
            log.exception("slot %s: its last resort could not be made", self._slot.id)
        finally:
            self._decided.set()

    async def wait_for(self) -> None:
        """Return when it is known whether there is one, or when those who wait must be answered."""
        deadlines = self._cell.deadlines
        if self._slot.last_resort != "error" and deadlines:
            with trio.move_on_at(deadlines[0] - SEND_LEAD):
                await self._decided.wait()

    def not_needed(self) -> None:
        """The photo is answered: drawing that has not begun need not begin. Synchronous."""
        self._drawing.cancel()

    async def _look_round(self, scope: trio.CancelScope) -> None:
        with scope:
            while True:
                self.give_to_those_due()
                await trio.sleep(LOOK_ROUND)

    def give_to_those_due(self) -> None:
        """Answer those for whom it is time. Synchronous."""
        deadlines = self._cell.deadlines
        if self.lead is not None and deadlines and trio.current_time() >= deadlines[0] - self.lead:
            self.give(deadlines[0])

    async def _made(self) -> PictureReply | None:
        upload = self._upload
        seen = upload.probe
        as_it_came = seen.mime == "image/jpeg" or (seen.mime == "image/png" and self._slot.allow_png)
        if self._slot.last_resort == "original" and as_it_came:
            return PictureReply(
                ReplyKind.ORIGINAL, upload.path, seen.mime, upload.size, seen.width, seen.height, stand_in=True
            )
        if self._slot.last_resort == "error":
            return None
        try:
            if self._slot.last_resort == "original":
                return await self._workshop.pictures.run(Priority.LAST_RESORT, self._as_jpeg)
            drawn, size = await self._workshop.pictures.run(Priority.LAST_RESORT, self._draw)
        except (ConfigError, PictureError, StorageUnavailable, OSError) as error:
            log.error("slot %s: its last resort could not be made: %s", self._slot.id, error)
            return None
        return PictureReply(ReplyKind.LOCAL, drawn.path, drawn.mime, size, drawn.width, drawn.height, stand_in=True)

    def _as_jpeg(self) -> PictureReply:
        out, quality = self._upload.folder / "stand-in", self._slot.jpeg_quality
        made = prepare(self._upload.path, out, self._upload.probe, quality=quality, accepts={"image/jpeg"})
        return PictureReply(ReplyKind.ORIGINAL, made.path, made.mime, made.size, made.width, made.height, stand_in=True)

    def _draw(self) -> tuple[Verified, int]:
        slot = self._slot
        path = self._upload.folder / "stand-in"
        render(self._upload.path, path, parse(slot.last_resort_settings), slot.jpeg_quality)
        check = partial(verify, max_pixels=self._workshop.max_pixels, quality=slot.jpeg_quality, fit=self._fit)
        drawn = check(path, path.with_suffix(".reply"))
        return drawn, drawn.path.stat().st_size
