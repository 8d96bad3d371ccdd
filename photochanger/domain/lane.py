"""When a newcomer to a lane would have its place: a pure estimate, from when those before it will be done."""

import heapq
from collections.abc import Sequence


def expected_start(now: float, permits: int, ends: Sequence[float], waiting: int, service: float) -> float:
    """The moment at which a place is free for one who comes after `waiting` others.

    `ends` are when the photos at work give their places back, `service` (seconds) is how long each of those that
    wait will hold its own.
    """
    places = sorted(max(end, now) for end in ends)[-permits:]  # of a lane made smaller, the first ones retire
    places += [now] * (permits - len(places))
    heapq.heapify(places)
    for _ in range(waiting):
        heapq.heapreplace(places, places[0] + service)
    return places[0]
