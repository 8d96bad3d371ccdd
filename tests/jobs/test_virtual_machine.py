"""Generated studios on the jumping clock, others in each run: the promises hold whatever providers and booths do."""

import logging
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given, settings

from tests.lab.virtual.timelines import Timeline, run, timelines

AT_LEAST = 2_000
"""Provider calls, each with a behaviour that was drawn for it."""


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_the_promises_hold_whatever_providers_do(capsys: pytest.CaptureFixture[str]) -> None:
    calls: Counter[str] = Counter()
    got: Counter[str] = Counter()

    @settings(max_examples=50, deadline=None)
    @given(timelines)
    def holds(timeline: Timeline) -> None:
        studio = run(timeline)
        calls.update(asked.behaviour.kind.name for asked in studio.asked)
        got.update(visit.reply.kind.value if visit.reply else "gone" for visit in studio.visits)

    while calls.total() < AT_LEAST:
        holds()
    with capsys.disabled():
        print(f"\n{calls.total()} calls: {dict(calls.most_common())}; {got.total()} photos: {dict(got)}")
