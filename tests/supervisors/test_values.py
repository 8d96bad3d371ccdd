"""The plain values: exits and unwrapping, backoff, restart window."""

import pytest
import trio

from supervisors import Backoff, describe, unwrap
from supervisors.backoff import Recovery, RestartWindow
from tests.supervisors.lab import Boom


def cancelled() -> trio.Cancelled:
    async def main() -> trio.Cancelled:
        with trio.CancelScope() as scope:
            scope.cancel()
            try:
                await trio.lowlevel.checkpoint()
            except trio.Cancelled as error:
                kept = error
                raise
        return kept

    return trio.run(main)


def test_a_bare_exception_is_itself() -> None:
    error = Boom()
    assert unwrap(error) is error


def test_a_single_exception_comes_out_of_nested_groups() -> None:
    error = Boom()
    assert unwrap(ExceptionGroup("", [ExceptionGroup("", [error])])) is error


def test_cancelled_beside_an_error_is_only_its_echo() -> None:
    error = Boom()
    assert unwrap(BaseExceptionGroup("", [cancelled(), BaseExceptionGroup("", [error, cancelled()])])) is error


def test_only_cancelled_is_a_cancellation() -> None:
    group = BaseExceptionGroup("", [cancelled(), BaseExceptionGroup("", [cancelled()])])
    assert isinstance(unwrap(group), trio.Cancelled)


def test_several_errors_stay_a_group_without_the_cancelled() -> None:
    first, second = Boom(), ValueError()
    rest = unwrap(BaseExceptionGroup("", [first, cancelled(), second]))
    assert isinstance(rest, ExceptionGroup)
    assert rest.exceptions == (first, second)


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt(), SystemExit(3)])
def test_an_interrupt_wins(interrupt: BaseException) -> None:
    assert unwrap(BaseExceptionGroup("", [Boom(), cancelled(), BaseExceptionGroup("", [interrupt])])) is interrupt


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (Boom("first\nsecond"), "Boom: first"),
        (Boom(), "Boom"),
        (Boom("\n"), "Boom"),
        (Boom("x" * 500), "Boom: " + "x" * 193 + "…"),
    ],
)
def test_describe_is_type_and_first_line_and_short(error: Exception, text: str) -> None:
    assert describe(error) == text


def test_delays_grow_to_the_limit_and_jitter_only_shortens_them() -> None:
    steady = Backoff(first=0.5, factor=3, max=10, jitter=0)
    assert [steady.delay(n) for n in (0, 1, 2, 3, 4, 10_000)] == [0.5, 1.5, 4.5, 10, 10, 10]
    spread = [Backoff(first=8, max=8, jitter=0.25).delay(0) for _ in range(500)]
    assert 6 <= min(spread) < 6.5 < 7.5 < max(spread) <= 8


@pytest.mark.parametrize("wrong", [{"first": 11}, {"first": -1}, {"factor": 0.5}, {"jitter": 1.5}, {"reset_after": -1}])
def test_a_backoff_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="backoff"):
        Backoff(**wrong)


def test_a_restart_exactly_as_old_as_the_period_no_longer_counts() -> None:
    window = RestartWindow(2, 10)
    assert [window.add(now) for now in (0, 1, 10, 10.5, 11, 20.5)] == [True, True, True, False, False, True]
    window.clear()
    assert [window.add(now) for now in (21, 22, 23)] == [True, True, False]


def test_too_many_restarts_are_the_supervisors_affair_without_parking() -> None:
    recovery = Recovery(Backoff(first=1, factor=2, jitter=0), None, RestartWindow(2, 1000))
    assert [recovery.after_crash(0, now) for now in (1, 2, 3)] == [1, 2, None]
    assert not recovery.is_parked()


def test_parking_has_delays_of_its_own_and_ends_as_if_nothing_had_been() -> None:
    backoff = Backoff(first=1, factor=2, jitter=0, reset_after=20)
    park = Backoff(first=10, factor=2, max=40, jitter=0, reset_after=50)
    recovery = Recovery(backoff, park, RestartWindow(2, 1000))
    assert [recovery.after_crash(0, now) for now in (1, 2)] == [1, 2]
    assert not recovery.is_parked()
    assert [recovery.after_crash(30 if now == 3 else 0, now) for now in (3, 4, 5, 6)] == [10, 20, 40, 40]
    assert recovery.is_parked()
    assert recovery.is_parked(49)
    assert not recovery.is_parked(50)
    assert [recovery.after_crash(50, 7), recovery.after_crash(0, 8)] == [1, 2]
    assert not recovery.is_parked()
    assert recovery.after_crash(0, 9) == 10
    recovery.release()
    assert not recovery.is_parked()
    assert recovery.after_crash(0, 10) == 1
