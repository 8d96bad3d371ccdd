"""Recent numbers: nine of ten, and what is forgotten."""

from photochanger.domain.recent import KEEP, Recent


def test_nine_of_ten_do_not_exceed_it() -> None:
    recent = Recent(7.0)
    assert recent.p90 == 7.0
    recent.add(1.0)
    assert recent.p90 == 1.0
    for value in range(2, 21):
        recent.add(float(value))
    assert recent.p90 == 19.0


def test_what_was_long_ago_is_forgotten() -> None:
    recent = Recent(7.0)
    recent.add(1000.0)
    for _ in range(KEEP - 1):
        recent.add(1000.0)
    for _ in range(KEEP):
        recent.add(1.0)
    assert recent.p90 == 1.0
