"""Permits: tokens are neither lost nor made, whatever the order of taking, releasing and resizing."""

from typing import Literal

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from supervisors import Permit, Permits

Kind = Literal["live", "late"]


def test_take_and_release() -> None:
    permits = Permits("lane", 2, 1)
    first, second = permits.take_nowait("live"), permits.take_nowait("live")
    assert (first.kind, permits.free("live"), permits.in_use("live"), permits.total("live")) == ("live", 0, 2, 2)
    with pytest.raises(trio.WouldBlock):
        permits.take_nowait("live")
    assert permits.take_nowait("late").kind == "late"
    first.release()
    first.release()
    assert (permits.free("live"), permits.in_use("live")) == (1, 1)
    assert repr(first) == "<live permit, released>"
    assert repr(second) == "<live permit, in use>"


def test_a_released_permit_has_no_power_over_the_next_holder() -> None:
    permits = Permits("lane", 1)
    first = permits.take_nowait("live")
    first.release()
    permits.take_nowait("live")
    first.release()
    assert permits.free("live") == 0


def test_resizing_below_the_number_in_use_retires_tokens_as_they_come_back() -> None:
    permits = Permits("lane", 3)
    held = [permits.take_nowait("live") for _ in range(3)]
    permits.resize(1, 0)
    assert (permits.free("live"), permits.in_use("live")) == (0, 3)
    held[0].release()
    held[1].release()
    assert (permits.free("live"), permits.in_use("live")) == (0, 1)
    held[2].release()
    assert (permits.free("live"), permits.in_use("live")) == (1, 0)


def test_the_listener_hears_of_every_token_that_becomes_free() -> None:
    heard: list[int] = []
    permits = Permits("lane", 1, 1)
    permits.on_free(lambda: heard.append(permits.free("live")))
    permit = permits.take_nowait("live")
    permits.resize(2, 1)
    assert heard == [1]
    permit.release()
    assert heard == [1, 2]


@pytest.mark.parametrize("wrong", [(-1, 0), (0, -1), (10_001, 0)])
def test_a_size_that_makes_no_sense_changes_nothing(wrong: tuple[int, int]) -> None:
    permits = Permits("lane", 2, 2)
    with pytest.raises(ValueError, match="lane: permits"):
        permits.resize(*wrong)
    assert (permits.total("live"), permits.total("late")) == (2, 2)


@given(
    st.lists(
        st.tuples(st.just("take"), st.sampled_from(["live", "late"]))
        | st.tuples(st.just("release"), st.integers(0, 20))
        | st.tuples(st.just("resize"), st.tuples(st.integers(0, 6), st.integers(0, 6))),
        max_size=60,
    )
)
def test_tokens_in_use_and_free_always_add_up(actions: list[tuple[str, object]]) -> None:
    permits = Permits("lane", 2, 1)
    every: list[Permit] = []
    held: dict[Kind, set[Permit]] = {"live": set(), "late": set()}
    for action, what in actions:
        match action, what:
            case "take", ("live" | "late") as kind:
                before = permits.free(kind)
                try:
                    permit = permits.take_nowait(kind)
                except trio.WouldBlock:
                    assert before == 0
                else:
                    every.append(permit)
                    held[kind].add(permit)
            case "release", int(number) if every:
                permit = every[number % len(every)]  # often one that is released already
                permit.release()
                held[permit.kind].discard(permit)
            case "resize", (int(live), int(late)):
                permits.resize(live, late)
        for kind, holders in held.items():
            assert permits.in_use(kind) == len(holders)
            assert permits.free(kind) == max(permits.total(kind) - len(holders), 0)
