"""A house as a process: started, settled, drained on a signal."""

import gc
import logging
import signal
from collections.abc import Callable

import trio

from photochanger.app import House
from photochanger.config import Config
from photochanger.db.facade import Db
from photochanger.db.loop import open_loop

log = logging.getLogger(__name__)


async def serve(
    config: Config,
    *,
    on_progress: Callable[[str], None] = log.info,
    task_status: trio.TaskStatus[House] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run one house until SIGTERM or SIGINT has drained it. Started with the House once it takes photos.

    A second signal gives the held photos up. Raises BootFailed when it could not be started.
    """
    async with open_loop() as loop, trio.open_nursery() as nursery:
        if config.gemini_api_key is None and config.gemini_base_url is None:
            log.warning(
                "GEMINI_API_KEY is not set: unless a key is stored in the settings, "
                "photos of slots that use gemini will be answered with an error"
            )
        house = House(config, Db(loop), on_progress=on_progress)
        await nursery.start(_drain_on_signal, house)
        await nursery.start(house.run)
        _settle_down()
        task_status.started(house)
        await house.ended.wait()
        nursery.cancel_scope.cancel()


def _settle_down() -> None:
    """Take what was made at the start out of the garbage collector's sight, and have it look less often.

    Modules, tables and routes live as long as the process; looking through them again and again cost a tenth of
    the event loop's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


async def _drain_on_signal(house: House, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        task_status.started()
        async for number in signals:
            if house.draining:
                log.warning("%s again: stopping now", signal.Signals(number).name)
                house.cut_short()
            else:
                log.info("%s: finishing held photos", signal.Signals(number).name)
                house.begin_drain()
