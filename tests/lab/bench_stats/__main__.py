"""The command: python -m tests.lab.bench_stats [--quick]"""

import argparse
import os
import shutil
import sys
import tempfile
import time
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
from tests.lab.bench_stats.ask import BARE, measure
from tests.lab.bench_stats.counting import RATE, beside_photos, count_all, told
from tests.lab.bench_stats.fill import add_backlog, fill

SIZES, QUICK_SIZES = (10_000, 100_000, 1_000_000, 5_000_000), (10_000, 100_000)
ROUNDS, QUICK_ROUNDS = 400, 100
BACKLOG = 10_000
FLAT, BARES = 1.5, 10.0
Figures = dict[str, tuple[float, float]]


async def bench(work: Path, sizes: tuple[int, ...], rounds: int) -> bool:
    """Fill, count, ask, print; True when all bounds are kept."""
    async with trio.open_nursery() as nursery, open_loop() as loop:
        url = await nursery.start(EmbeddedPostgres(work / "postgres").run)
        await upgrade_in_thread(Target.of(url))
        db = Db(loop)
        await db.connect(Target.of(url))
        found: dict[int, Figures] = {}
        log = work / "serve.log"
        async with worker("serve", url, log=log, environment=os.environ, package="bench_stats") as server:
            for size in sizes:
                await fill(db, size, partial(count_all, db, say), say)
                ask = partial(measure, int(server.ready["port"]), rounds)
                found[size] = await trio.to_thread.run_sync(ask)
                say(f"{size:,} calls, p95: " + ", ".join(f"{name} {p95:.1f}" for name, (_, p95) in found[size].items()))
        kept = table(found)
        await speed(db, work, sizes[-1])
        db.disconnect("the bench is over")
        nursery.cancel_scope.cancel()
    return kept


def table(found: dict[int, Figures]) -> bool:
    """Print p95 by route and size, with the two ratios that are bounded."""
    sizes = list(found)
    head = ["p50 / p95 in ms, by calls in the table", *(f"{size:,}" for size in sizes), "flat", "to bare", ""]
    print("\n| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    kept = True
    for name in found[sizes[0]]:
        p95 = [found[size][name][1] for size in sizes]
        flat = max(p95) / p95[0]
        bare = max(found[size][name][1] / found[size][BARE][1] for size in sizes)
        fine = name == BARE or (flat <= FLAT and bare <= BARES)
        kept = kept and fine
        cells = [f"{found[size][name][0]:.1f} / {found[size][name][1]:.1f}" for size in sizes]
        print("| " + " | ".join([name, *cells, f"{flat:.2f}", f"{bare:.1f}", "" if fine else "MISS"]) + " |")
    print(
        f"\nflat: the slowest p95 against that of the smallest table, at most {FLAT}. to bare: p95, at most {BARES:g}."
    )
    return kept


async def speed(db: Db, work: Path, size: int) -> None:
    """Print how the roll-up keeps up."""
    alone = await beside_photos(db, work, counting=False, seconds=10)
    await add_backlog(db, BACKLOG)
    both = await beside_photos(db, work, counting=True, seconds=10)
    print(
        f"\nThe roll-up counts {both.per_second:.0f} photos/s with {size:,} calls in the table, resting half of the"
        f" time: {both.per_second / RATE:.0f} times the {RATE:g} photos/s that are written beside it."
    )
    print(f"Writing a photo's end, {told('alone', alone.saves)}; {told('beside the roll-up', both.saves)}.")
    print(f"The loop's lag {told('alone', alone.lags)}; {told('beside the roll-up', both.lags)}.")


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
