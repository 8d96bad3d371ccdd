"""The driver of the local provider: costs nothing, needs no network, answers in about a quarter of a second."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import trio

from photochanger.domain.latency import Expected
from photochanger.domain.outcome import AttemptOutcome, Picture, Verdict
from photochanger.errors import PictureError, StorageUnavailable
from photochanger.media.files import write_new
from photochanger.media.pixels import decoding, upright
from photochanger.media.prepare import to_jpeg
from photochanger.media.probe import probe
from photochanger.media.threads import PictureThreads, Priority
from photochanger.providers.base import Call
from photochanger.providers.local import looks
from photochanger.providers.local.settings import LocalSettings, parse


class LocalDriver:
    """`Driver` whose pictures are made by libvips in `threads`."""

    name = "local"
    accepts = frozenset({"image/jpeg", "image/png", "image/webp"})
    needs_public_address = False
    on_this_machine = True
    cap = 30.0
    missing = None

    def __init__(self, threads: PictureThreads, *, quality: int = 92) -> None:
        self._threads = threads
        self._quality = quality

    def check(self, operation: str, settings: LocalSettings, roles: Sequence[str]) -> None:
        """Anything goes: the operation's name says nothing, templates are not used."""

    def expects(self, settings: LocalSettings) -> Expected:
        """Measured for 24 megapixels on two cores."""
        return Expected(0.3, 0.6, 1.0)

    def parse_settings(self, settings: Mapping[str, Any]) -> LocalSettings:
        """Raises ConfigError."""
        return parse(settings)

    def model_of(self, settings: LocalSettings) -> str:
        """The look's name stands where other providers have a model."""
        return settings.look

    def estimate_microusd(self, settings: LocalSettings) -> int:
        """Nothing."""
        return 0

    async def call(self, call: Call) -> AttemptOutcome:
        """The look of `call.settings`; the name of the operation says nothing more.

        Leaves a queue of other pictures at the deadline; a look that is being made then is still delivered.
        """
        settings: LocalSettings = call.settings
        with trio.move_on_at(call.deadline):
            try:
                await self._threads.run(
                    Priority.LAST_RESORT, render, call.photo.path, call.out_path, settings, self._quality
                )
            except PictureError as error:
                return AttemptOutcome(Verdict.BAD_PICTURE, message=error.detail)
            except StorageUnavailable as error:
                return AttemptOutcome(Verdict.STORAGE, message=str(error))
            return AttemptOutcome(Verdict.PICTURE, picture=Picture(call.out_path, "image/jpeg"))
        return AttemptOutcome(Verdict.TIMEOUT)


def render(path: Path, out_path: Path, settings: LocalSettings, quality: int) -> None:
    """Write the photo at `path` with its look to `out_path`, as a baseline sRGB JPEG. Blocks.

    Raises PictureError and StorageUnavailable; then nothing is left at `out_path`.
    """
    found = probe(path)
    with decoding():
        photo = upright(path, found, "truncated", longest_side=settings.longest_side).copy_memory()
        data = to_jpeg(looks.apply(photo, settings.look, settings.strength), quality)
    write_new(out_path, data)
