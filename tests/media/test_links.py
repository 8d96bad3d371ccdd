"""A link works inside its block and nowhere else; what was ours once is told from what never was."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photochanger.errors import ConfigError
from photochanger.media.links import PATH, Gone, PublicLinks
from photochanger.providers.base import PreparedPhoto, Publisher

BASE = "https://booth.example/studio"
SECRET = bytes(range(32))


def photo(mime: str = "image/jpeg") -> PreparedPhoto:
    return PreparedPhoto(Path("/nowhere/photo"), mime, 3, 2, (b"parts",), 5)


def name_of(url: str) -> str:
    return url.removeprefix(BASE + PATH)


@pytest.fixture
def links() -> PublicLinks:
    return PublicLinks(BASE, SECRET)


def test_it_is_a_publisher(links: PublicLinks) -> None:
    publisher: Publisher = links
    with publisher.publish(photo()) as url:
        assert url.startswith("https://booth.example/studio/public/media/")


def test_a_link_is_good_inside_its_block(links: PublicLinks) -> None:
    one = photo()
    with links.publish(one) as url:
        assert links.find(name_of(url)) is one
        assert len(links) == 1
    assert links.find(name_of(url)) is Gone.GONE
    assert len(links) == 0


def test_it_is_retired_however_the_block_ends(links: PublicLinks) -> None:
    names = []

    def interrupted() -> None:
        with links.publish(photo()) as url:
            names.append(name_of(url))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert links.find(names[0]) is Gone.GONE
    assert len(links) == 0


def test_two_links_to_one_photo_live_apart(links: PublicLinks) -> None:
    one = photo()
    with links.publish(one) as first:
        with links.publish(one) as second:
            assert first != second
        assert links.find(name_of(second)) is Gone.GONE
        assert links.find(name_of(first)) is one


@pytest.mark.parametrize(
    ("mime", "extension"), [("image/jpeg", ".jpg"), ("image/png", ".png"), ("image/webp", ".webp")]
)
def test_the_name_says_the_format_and_is_random(mime: str, extension: str, links: PublicLinks) -> None:
    with links.publish(photo(mime)) as url, links.publish(photo(mime)) as other:
        assert re.fullmatch(rf"[0-9a-f]{{64}}\{extension}", name_of(url))
        assert name_of(url)[:32] != name_of(other)[:32]


def test_after_a_restart_an_old_link_is_still_known_to_be_old(links: PublicLinks) -> None:
    with links.publish(photo()) as url:
        name = name_of(url)
        assert PublicLinks(BASE, SECRET).find(name) is Gone.GONE
        assert PublicLinks(BASE, bytes(32)).find(name) is None


def test_one_changed_character_makes_it_a_stranger(links: PublicLinks) -> None:
    with links.publish(photo()) as url:
        name = name_of(url)
        for place, character in enumerate(name):
            other = "0" if character != "0" else "1"
            assert links.find(name[:place] + other + name[place + 1 :]) is None
        for other in (name.upper(), name.replace(".jpg", ".png"), name[1:], name + "x", name + "\n", " " + name):
            assert links.find(other) is None


@given(st.text(max_size=80))
def test_anything_else_never_was_ours(text: str) -> None:
    links = PublicLinks(BASE, SECRET)
    assert links.find(text) is None
    assert links.find(text + ".jpg") is None


def test_a_house_without_an_address_says_what_to_set() -> None:
    with pytest.raises(ConfigError, match="PUBLIC_BASE_URL is not set"):
        PublicLinks(None, SECRET).publish(photo())


def test_neither_the_secret_nor_the_links_are_shown(links: PublicLinks) -> None:
    with links.publish(photo()) as url:
        shown = repr(links) + str(links)
    assert SECRET.hex() not in shown
    assert name_of(url) not in shown
