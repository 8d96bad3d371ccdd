"""The command: python -m tests.lab.bench [--quick] [--self]"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import trio

from supervisors import unwrap
from tests.lab.bench import __doc__ as manual
from tests.lab.bench.measure import machine
from tests.lab.bench.photos import PhotoFile, answer_file, photo_file
from tests.lab.bench.report import stage_table, table
from tests.lab.bench.scenarios import FULL, QUICK, Bench, Scale
from tests.lab.bench.targets import start_floor, start_service
from tests.lab.bench.workers import WorkerDied, worker


async def bench(
    work: Path, photos: tuple[PhotoFile, PhotoFile, PhotoFile], scale: Scale, *, against_itself: bool
) -> Bench:
    """Start all processes, measure, stop them."""
    picture = str(answer_file())
    async with (
        worker("provider", "--picture", picture, log=work / "provider.log", environment=os.environ) as provider,
        worker("load", log=work / "load.log", environment=os.environ) as load,
        worker("load", log=work / "gets.log", environment=os.environ) as gets,
        start_floor("floor", provider.ready["port"], work) as floor,
    ):
        start_other = start_floor if against_itself else start_service
        async with start_other("floor too" if against_itself else "service", provider.ready["port"], work) as other:
            run = Bench(load, gets, provider, (other, floor), photos, scale)
            await run.run()
            return run


def main() -> int:
    """Run the command. Exit code 1 when a photo failed or a process died; a missed bound is only printed."""
    parser = argparse.ArgumentParser(
        "python -m tests.lab.bench", description=manual, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a look, a minute and a half")
    parser.add_argument("--self", action="store_true", dest="against_itself", help="floor against floor")
    given = parser.parse_args()
    started = time.monotonic()
    photos = photo_file(1), photo_file(15), photo_file(48)
    work = Path(tempfile.mkdtemp(prefix="photochanger-bench-"))
    work.chmod(0o755)  # the embedded database's own account must be able to enter
    try:
        run = trio.run(lambda: bench(work, photos, QUICK if given.quick else FULL, against_itself=given.against_itself))
    except BaseException as raised:
        error = unwrap(raised)
        if not isinstance(error, WorkerDied):
            raise
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        shutil.rmtree(work, ignore_errors=True)
    names = ("floor too", "floor") if given.against_itself else ("service", "floor")
    print(f"\n{table(run.figures, names)}\n\n{stage_table(run.stages)}\n")
    for failure, times in run.failures.most_common():
        print(f"FAILED {times} x {failure}")
    print(f"{machine()}; {'quick run' if given.quick else 'full run'}, {time.monotonic() - started:.0f} s")
    return 1 if run.failures else 0


if __name__ == "__main__":
    sys.exit(main())
