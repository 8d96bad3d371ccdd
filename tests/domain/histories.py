"""Generated histories of one photo: what its providers will do, who waits for it and until when.

Nothing here is random by itself; `tests.domain.photo_life` lives through one of these on a clock of its own.
"""

from dataclasses import dataclass

from hypothesis import strategies as st

from photochanger.domain.latency import Expected
from photochanger.domain.outcome import AttemptOutcome, Verdict

START = 100.0

Spans = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What one call comes to after `seconds`. A picture that is not `whole` is found out when it is looked at."""

    seconds: float
    outcome: AttemptOutcome
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Provider:
    """One plan's provider. The spans are when its permits are all taken, and when its breaker is open."""

    expected: Expected
    answers: tuple[Answer, ...]
    measured: bool
    full: Spans = ()
    ill: Spans = ()
    poor_from: float = float("inf")
    """When the budget leaves no call any more."""
    possible: bool = True


@dataclass(frozen=True, slots=True)
class Booth:
    """Sends the photo `after` seconds, waits for `window` seconds, or until it loses its patience."""

    after: float
    window: float
    patience: float

    @property
    def comes(self) -> float:
        """Its first byte."""
        return START + self.after

    @property
    def deadline(self) -> float:
        """The end of its window."""
        return self.comes + self.window

    @property
    def goes(self) -> float:
        """When nobody is there any more."""
        return min(self.deadline, self.comes + self.patience)


@dataclass(frozen=True, slots=True)
class History:
    """`booking` is the seconds from the permit to the first byte, `lag` by how much every wait ends too late.

    `stand_in` is when the last resort is ready, None where there is none.
    """

    providers: tuple[Provider, ...]
    booths: tuple[Booth, ...]
    late: float
    reserve: float
    booking: float
    lag: float
    stand_in: float | None
    lead: float


def _outcomes() -> st.SearchStrategy[AttemptOutcome]:
    told = [AttemptOutcome(verdict) for verdict in Verdict if verdict is not Verdict.CANCELLED]
    told += [AttemptOutcome(Verdict.PICTURE)] * 6
    told += [AttemptOutcome(Verdict.NO_IMAGE, again=again) for again in (0, 1, 2)]
    told += [AttemptOutcome(Verdict.REFUSED, again=1)]
    told += [
        AttemptOutcome(verdict, retry_after=delay)
        for verdict in (Verdict.QUOTA, Verdict.OVERLOADED)
        for delay in (0.0, 2.0, 11.0, 60.0)
    ]
    return st.sampled_from(told)


_seconds = st.sampled_from([0.0, 0.3, 2.0, 6.0, 12.5, 17.0, 24.0, 39.0, 47.0, 130.0])
_moments = st.sampled_from([0.0, 1.0, 4.0, 9.0, 16.0, 30.0, 41.0, 46.0]).map(lambda after: START + after)
_spans = st.lists(
    st.builds(lambda begin, length: (begin, begin + length), _moments, st.sampled_from([0.5, 5.0, 20.0, 200.0])),
    max_size=2,
).map(tuple)
_answers = st.builds(Answer, _seconds, _outcomes(), st.sampled_from([True, True, True, False]))
_expected = st.sampled_from(
    [Expected(0.3, 0.6, 1.0), Expected(5.0, 8.0, 9.0), Expected(12.5, 18.0, 22.0), Expected(30.0, 44.0, 60.0)]
)
_providers = st.builds(
    Provider,
    expected=_expected,
    answers=st.lists(_answers, min_size=1, max_size=5).map(tuple),
    measured=st.booleans(),
    full=st.just(()) | _spans,
    ill=st.just(()) | _spans,
    poor_from=st.just(float("inf")) | _moments,
    possible=st.sampled_from([True] * 7 + [False]),
)
_booths = st.builds(
    Booth,
    after=st.sampled_from([0.0, 3.0, 20.0, 45.0]),
    window=st.sampled_from([48.0, 10.0, 25.0, 60.0]),
    patience=st.sampled_from([1000.0, 1000.0, 7.0, 29.0]),
)
histories = st.builds(
    History,
    providers=st.lists(_providers, min_size=1, max_size=3).map(tuple),
    booths=st.builds(
        lambda first, others: (first, *others),
        st.builds(Booth, st.just(0.0), st.sampled_from([48.0, 10.0, 25.0]), st.sampled_from([1000.0, 1000.0, 20.0])),
        st.just([]) | st.lists(_booths, max_size=3),
    ),
    late=st.sampled_from([0.0, 30.0, 120.0]),
    reserve=st.sampled_from([1.5, 0.5, 4.0]),
    booking=st.sampled_from([0.0, 0.02, 0.5]),
    lag=st.sampled_from([0.0, 0.004]),
    stand_in=st.none() | _moments,
    lead=st.sampled_from([0.25, 2.0]),
)
