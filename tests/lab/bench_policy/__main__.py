"""The command: python -m tests.lab.bench_policy [--quick]"""

import argparse
import logging
import sys
import time

from tests.lab.bench_policy import __doc__ as manual
from tests.lab.bench_policy.measure import Cell, Way, measure
from tests.lab.bench_policy.troubles import TROUBLES

FULL, QUICK = 1000, 200
ENOUGH, FEW = 64, 8


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        "python -m tests.lab.bench_policy", description=manual, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} photos per figure instead of {FULL}")
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)  # every hang is logged, and there are thousands
    started = time.monotonic()
    for permits, photos in ((ENOUGH, QUICK if given.quick else FULL), (FEW, QUICK)):
        print(f"\n{permits} live permits per provider, {photos} photos per figure, 3.75 photos a second:\n")
        print(header())
        for trouble in TROUBLES:
            cells = {way: measure(trouble, way, permits=permits, photos=photos) for way in Way}
            print(line(trouble.name, cells), flush=True)
    print(f"\n{time.monotonic() - started:.0f} s")
    return 0


def header() -> str:
    """The first two lines of the table."""
    names = [
        "answered with an AI picture in the window",
        *(way.value for way in Way),
        "extra calls",
        "most at once",
        "policy, CPU",
    ]
    return "\n".join(["| " + " | ".join(names) + " |", "|---" * len(names) + "|"])


def line(name: str, cells: dict[Way, Cell]) -> str:
    """One row; extra calls are those of two providers under the policy."""
    both = cells[Way.TWO_PROVIDERS]
    shares = [f"{cells[way].share:.1f} %" for way in Way]
    figures = [name, *shares, f"{both.extra_calls:+.1f} %", str(both.most_at_once), f"{both.cpu:.2f} ms"]
    return "| " + " | ".join(figures) + " |"


if __name__ == "__main__":
    sys.exit(main())
