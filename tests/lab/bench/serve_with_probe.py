"""The service as `photochanger serve` runs it, with a lag probe beside it and a line to the bench."""

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

import trio

from photochanger.app import House
from photochanger.config import Config
from photochanger.observability import logs
from photochanger.service import serve
from tests.lab.bench.lines import async_questions, say
from tests.lab.bench.probe import probe_lag

PERMITS = 16
"""Provider calls at once: the 15 slots of the bench shall not queue for a permit."""
RATE = 10_000
"""Photos per second, and at once: they come as fast as they can."""


async def run(config: Config, probe: Path) -> None:
    """Serve until the bench closes stdin; then held photos finish."""
    async with trio.open_nursery() as nursery, async_questions() as questions:
        house: House = await nursery.start(partial(serve, config))
        await house.db.execute("UPDATE slot SET dedupe_seconds = 0, version = version + 1")  # one photo, many times
        await house.slots.refresh()
        nursery.start_soon(probe_lag, probe)
        say(port=house.server.port)
        async for question in questions:
            await _set_longest_side(house, question["longest_side"])
            say(ok=True)
        house.begin_drain()
        await house.ended.wait()
        nursery.cancel_scope.cancel()


async def _set_longest_side(house: House, pixels: int | None) -> None:
    await house.db.execute("UPDATE slot SET longest_side = $1, version = version + 1", pixels)
    await house.slots.refresh()


def main() -> None:
    """Run the service; its settings come from the environment."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--probe", type=Path, required=True)
    given = parser.parse_args()
    config = replace(Config.from_env(), provider_permits_live=PERMITS, rate_per_second=RATE, rate_burst=RATE)
    logs.setup(config.log_level, as_json=config.log_json)
    trio.run(run, config, given.probe)


if __name__ == "__main__":
    main()
