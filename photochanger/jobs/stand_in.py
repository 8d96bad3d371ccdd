"""The last resort: what a booth prints when no picture comes in time. Made ready while the provider works."""

import logging
from functools import partial
from pathlib import Path

import trio

from photochanger.domain.job import ReplyKind
from photochanger.domain.slot import Slot
from photochanger.errors import ConfigError, PictureError, StorageUnavailable
from photochanger.jobs.reply import PictureReply
from photochanger.jobs.workshop import Workshop
from photochanger.media.fit import Fit
from photochanger.media.probe import Probe
from photochanger.media.threads import Priority
from photochanger.media.verify import verify
from photochanger.providers.local.driver import render
from photochanger.providers.local.settings import parse

log = logging.getLogger(__name__)


async def stand_in(
    workshop: Workshop, slot: Slot, photo: Path, probe: Probe, size: int, fit: Fit | None
) -> PictureReply | None:
    """The slot's last resort for this photo; None where it has none, or where it cannot be made.

    `original` is the file exactly as it came. `local` is drawn in the slot's output shape. The file lies in the
    job's temp folder and goes with it.
    """
    if slot.last_resort == "original":
        return PictureReply(ReplyKind.ORIGINAL, photo, probe.mime, size, probe.width, probe.height, stand_in=True)
    if slot.last_resort != "local":
        return None
    drawn = photo.with_name("stand-in")
    try:
        settings = parse(slot.last_resort_settings)
        run = workshop.pictures.run
        await run(Priority.LAST_RESORT, render, photo, drawn, settings, slot.jpeg_quality)
        check = partial(
            verify,
            drawn,
            drawn.with_suffix(".reply"),
            max_pixels=workshop.max_pixels,
            quality=slot.jpeg_quality,
            fit=fit,
        )
        ready = await run(Priority.LAST_RESORT, check)
        weight = (await trio.to_thread.run_sync(ready.path.stat)).st_size
    except (ConfigError, PictureError, StorageUnavailable, OSError) as error:
        log.error("slot %s: its last resort could not be made: %s", slot.id, error)
        return None
    return PictureReply(ReplyKind.LOCAL, ready.path, ready.mime, weight, ready.width, ready.height, stand_in=True)
