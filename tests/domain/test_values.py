"""Windows, prices and the closed list of reasons."""

from hypothesis import given
from hypothesis import strategies as st

from photochanger.domain.money import Price
from photochanger.domain.outcome import Usage
from photochanger.domain.reasons import REASONS, Reason
from photochanger.domain.window import Window

FLASH = Price(text_in=0.50, text_out=3.00, image_out=60.0, per_image=0.067)


def test_every_reason_has_a_status_and_both_languages() -> None:
    assert set(REASONS) == set(Reason)
    for info in REASONS.values():
        assert 400 <= info.status <= 504
        assert info.en.endswith(".")
        assert info.ru.endswith(".")
        assert any("а" <= letter <= "я" for letter in info.ru.lower())


def test_a_window_ends_for_the_work_before_it_ends_for_the_booth() -> None:
    window = Window.of(10.0, 48.0)
    assert window.deadline == 58.0
    assert window.remaining(10.0) == 46.5
    assert Window.of(0.0, 1.0).reserve == 0.5


def test_a_picture_costs_its_prompt_its_image_tokens_and_its_other_output() -> None:
    usage = Usage(prompt=615, candidates=1232, candidates_image=1120, thoughts=208, total=2055)
    assert FLASH.cost(usage) == round(615 * 0.5 + 1120 * 60 + (112 + 208) * 3)


def test_unknown_shares_are_charged_as_pictures_and_unknown_usage_as_one_picture() -> None:
    assert FLASH.cost(Usage(prompt=0, candidates=1120)) == 67_200
    assert FLASH.cost(Usage()) == 67_000


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(0, 10_000), st.integers(0, 10_000))
def test_money_is_never_negative(prompt: int, candidates: int, image: int, thoughts: int) -> None:
    assert FLASH.cost(Usage(prompt, candidates, image, thoughts)) >= 0
