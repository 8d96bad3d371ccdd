"""How libvips is set up: what it may load, what it keeps."""

import pytest
import pyvips

from photochanger.media import vips
from tests.lab import pictures


def test_one_thread_per_picture_and_nothing_cached() -> None:
    assert pyvips.concurrency_get() == 1
    assert pyvips.cache_get_max() == 0


@pytest.mark.parametrize("make", [pictures.gif, pictures.svg, pictures.pdf, pictures.heic])
def test_other_formats_cannot_be_loaded_even_by_mistake(make: object) -> None:
    with pytest.raises(vips.Error):
        vips.Image.new_from_buffer(make(), "").avg()  # type: ignore[operator]


@pytest.mark.parametrize("suffix", [".tif", ".gif"])
def test_what_libvips_itself_writes_is_blocked_too(suffix: str) -> None:
    data = pictures.scene(16, 16).write_to_buffer(suffix)
    with pytest.raises(vips.Error):
        vips.Image.new_from_buffer(data, "").avg()
