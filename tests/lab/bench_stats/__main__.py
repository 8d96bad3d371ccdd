"""The command: python -m tests.lab.bench_stats [--quick]"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import trio

from photochanger.db.embedded import EmbeddedPostgres
from photochanger.db.facade import Db
from photochanger.db.loop import open_loop
from photochanger.db.migrate import upgrade_in_thread
from photochanger.db.target import Target
from tests.lab.bench.measure import machine
from tests.lab.bench.workers import worker
from tests.lab.bench_stats import __doc__ as manual
from tests.lab.bench_stats.ask import BARE, Times, measure
from tests.lab.bench_stats.bounds import RATIOS, Verdict, ratios
from tests.lab.bench_stats.counting import RATE, beside_photos, count_all, told
from tests.lab.bench_stats.fill import SETTINGS, add_backlog, fill

SIZES, QUICK_SIZES = (10_000, 100_000, 1_000_000, 5_000_000), (10_000, 100_000)
ROUNDS, QUICK_ROUNDS = 300, 100
BACKLOG = 50_000
"""Photos: enough for the roll-up to be at it for half a minute."""
Figures = dict[str, Times]


async def bench(work: Path, sizes: tuple[int, ...], rounds: int) -> bool:
    """Fill, count, ask, print; True when all bounds are kept."""
    found: dict[int, Figures] = {}
    for size in sizes:
        say(f"filling up to {size:,} calls")
        async with postgres(work, SETTINGS) as (db, _):
            await fill(db, size, partial(count_all, db, say), say)
            await db.execute("CHECKPOINT", timeout=600)
        # For every size a server and a process that are as new as those of the others, and as warm.
        async with postgres(work, {}) as (_, url):
            say(f"asking with {size:,} calls")
            log = work / "serve.log"
            async with worker("serve", url, log=log, environment=os.environ, package="bench_stats") as server:
                ask = partial(measure, int(server.ready["port"]), rounds)
                found[size] = await trio.to_thread.run_sync(ask)
        say("p95: " + ", ".join(f"{name} {times.p95:.1f}" for name, times in found[size].items()))
    verdicts = table(found)
    async with postgres(work, {}) as (db, _):
        verdicts += await speed(db, work, sizes[-1])
    print("\n".join(map(str, verdicts)))
    return all(verdict.holds for verdict in verdicts)


@asynccontextmanager
async def postgres(work: Path, settings: Mapping[str, str]) -> AsyncIterator[tuple[Db, str]]:
    """The bench's server for the block, as shipped but for `settings`; its data stay for the next time."""
    async with trio.open_nursery() as nursery, open_loop() as loop:
        url = await nursery.start(EmbeddedPostgres(work / "postgres", settings=settings).run)
        await upgrade_in_thread(Target.of(url))
        db = Db(loop)
        await db.connect(Target.of(url))
        yield db, url
        db.disconnect("the bench is over")
        nursery.cancel_scope.cancel()


def table(found: dict[int, Figures]) -> list[Verdict]:
    """Print p50 and p95 by route and size, with the ratios that are bounded; the worst of each bound."""
    head = ["p50 / p95 in ms, by calls in the table", *(f"{size:,}" for size in found), *RATIOS]
    print("\n| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    worst: dict[str, tuple[float, str]] = {}
    for name in next(iter(found.values())):
        times = [figures[name] for figures in found.values()]
        of_route = ratios(times)
        if name != BARE:
            worst = {bound: max(worst.get(bound, (0.0, "")), (ratio, name)) for bound, ratio in of_route.items()}
        cells = [f"{each.p50:.1f} / {each.p95:.1f}" for each in times]
        print("| " + " | ".join([name, *cells, *(f"{ratio:.2f}" for ratio in of_route.values())]) + " |")
    print(
        "\nflat: p95 against the smallest p95 of any smaller table, where it grew most. flat to bare: the same of p95"
        " divided by that of the bare route at the same size and time. to bare: that quotient, where it is largest.\n"
    )
    return [Verdict(bound, ratio, RATIOS[bound], name) for bound, (ratio, name) in worst.items()]


async def speed(db: Db, work: Path, size: int) -> list[Verdict]:
    """Print how the roll-up keeps up, and what photos feel of it."""
    say("writing photos, without the roll-up")
    alone = await beside_photos(db, work, counting=False)
    say(f"writing photos beside the roll-up, which has {BACKLOG:,} to count")
    await add_backlog(db, BACKLOG)
    both = await beside_photos(db, work, counting=True)
    print(
        f"The roll-up counted {both.photos:,} photos at {both.counted:.0f}/s with {size:,} calls in the table, resting"
        f" half of the time, while {both.written:.1f} photos/s were written beside it."
    )
    print(f"Writing a photo's end, {told('alone', alone.saves)}; {told('beside the roll-up', both.saves)}.")
    print(f"The loop's lag {told('alone', alone.lags)}; {told('beside the roll-up', both.lags)}.\n")
    return [
        Verdict("photos counted a second", both.counted, RATE, f"{size:,} calls", at_least=True),
        # Fewer would have left the roll-up alone with the machine; a tenth is for the beginning and the end.
        Verdict("photos written beside it", both.written, 0.9 * RATE, f"{size:,} calls", at_least=True),
    ]


def say(text: str) -> None:
    """What takes long is told on the way."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()


def main() -> int:
    """Run the command. Exit code 1 when a bound is missed."""
    parser = argparse.ArgumentParser(
        "python -m tests.lab.bench_stats", description=manual, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="only 10,000 and 100,000 calls")
    given = parser.parse_args()
    started = time.monotonic()
    work = Path(tempfile.mkdtemp(prefix="photochanger-bench-stats-", dir="/tmp"))
    work.chmod(0o755)  # the embedded database's own account must be able to enter
    try:
        sizes, rounds = (QUICK_SIZES, QUICK_ROUNDS) if given.quick else (SIZES, ROUNDS)
        kept = trio.run(bench, work, sizes, rounds)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(f"\n{machine()}; {time.monotonic() - started:.0f} s")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
