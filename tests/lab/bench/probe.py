"""Event-loop lag, measured inside the process that is judged: how late a task is woken that asked for 5 ms."""

import json
import time
from pathlib import Path

import trio

INTERVAL = 0.005
SAMPLES_PER_LINE = 50


async def probe_lag(path: Path) -> None:
    """Append lines of [[moment, lag], ...] to `path` for ever; seconds, moments of CLOCK_MONOTONIC."""
    with path.open("a") as file:
        while True:
            samples = []
            for _ in range(SAMPLES_PER_LINE):
                due = time.monotonic() + INTERVAL
                await trio.sleep(INTERVAL)
                now = time.monotonic()
                samples.append((round(now, 6), round(now - due, 6)))
            file.write(json.dumps(samples) + "\n")
            file.flush()


def lags_between(path: Path, start: float, end: float) -> list[float]:
    """The lags measured from `start` to `end`, moments of CLOCK_MONOTONIC."""
    lines = path.read_text().splitlines()
    return [lag for line in lines for moment, lag in json.loads(line) if start <= moment <= end]
