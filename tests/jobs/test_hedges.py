"""Early second calls: a share of all photos, a few saved up, never more."""

import pytest

from photochanger.jobs.hedges import MOST_SAVED, EarlyHedges


def made_in(hedges: EarlyHedges, photos: int) -> int:
    made = 0
    for _ in range(photos):
        hedges.photo()
        if hedges.allowed:
            hedges.made()
            made += 1
    return made


@pytest.mark.parametrize(("share", "made"), [(0.1, 100), (0.25, 250), (0.05, 50), (1.0, 1000), (0.0, 0)])
def test_a_share_of_all_photos_and_no_more(share: float, made: int) -> None:
    assert made <= made_in(EarlyHedges(share), 1000) <= made + 1  # the first may come at once


def test_the_first_slow_photo_may_be_helped() -> None:
    hedges = EarlyHedges(0.1)
    hedges.photo()
    assert hedges.allowed


def test_every_tenth_photo_and_not_every_eleventh() -> None:
    hedges = EarlyHedges(0.1)
    hedges.photo()
    hedges.made()
    for _ in range(100):
        for _ in range(9):
            hedges.photo()
        if not hedges.allowed:
            hedges.photo()
        assert hedges.allowed
        hedges.made()


def test_a_quiet_day_saves_up_only_a_few() -> None:
    hedges = EarlyHedges(0.1)
    for _ in range(1000):
        hedges.photo()
    made = 0
    while hedges.allowed:
        hedges.made()
        made += 1
    assert made == MOST_SAVED


def test_none_at_all() -> None:
    hedges = EarlyHedges(0.0)
    hedges.photo()
    assert not hedges.allowed


def test_a_share_that_is_changed() -> None:
    hedges = EarlyHedges(0.1)
    for _ in range(100):
        hedges.photo()
    hedges.share = 0.0
    hedges.photo()
    assert not hedges.allowed  # what was saved up is gone with it
    hedges.share = 0.5
    assert made_in(hedges, 100) == 50
