"""The generateContent request: JSON around the pictures, which are read and encoded piece by piece while it is sent."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import pybase64
import trio

from photochanger.providers.base import PreparedPhoto
from photochanger.providers.gemini.reading import ReadingBody, bytes_of
from photochanger.providers.gemini.settings import GeminiSettings


@dataclass(frozen=True, slots=True)
class FileReference:
    """A picture that lies at Gemini's already."""

    uri: str
    mime: str


def envelope(
    settings: GeminiSettings, pictures: Sequence[PreparedPhoto | FileReference]
) -> list[bytes | PreparedPhoto]:
    """The body in order, a picture standing for its base64: the pictures first, the prompt last, the configuration.

    camelCase, as Google writes its replies; an unknown name would be answered with 400.
    """
    image: dict[str, Any] = {}
    if settings.aspect_ratio is not None:
        image["aspectRatio"] = settings.aspect_ratio
    if settings.image_size is not None:
        image["imageSize"] = settings.image_size
    config: dict[str, Any] = {"responseModalities": list(settings.response_modalities)}
    if image:
        config["imageConfig"] = image
    if settings.thinking_level is not None:
        config["thinkingConfig"] = {"thinkingLevel": settings.thinking_level}
    rest: dict[str, Any] = {"generationConfig": config}
    if settings.safety_thresholds:
        rest["safetySettings"] = [
            {"category": category, "threshold": threshold}
            for category, threshold in sorted(settings.safety_thresholds.items())
        ]
    encode = msgspec.json.encode
    segments: list[bytes | PreparedPhoto] = []
    text = b'{"contents":[{"role":"user","parts":['
    for picture in pictures:
        if isinstance(picture, FileReference):
            text += encode({"fileData": {"mimeType": picture.mime, "fileUri": picture.uri}}) + b","
        else:
            segments += (text + b'{"inlineData":{"mimeType":' + encode(picture.mime) + b',"data":"', picture)
            text = b'"}},'
    segments.append(text + encode({"text": settings.prompt}) + b"]}]," + encode(rest)[1:])
    return segments


def encoded(photo: PreparedPhoto) -> int:
    """Characters of a picture's base64; each is padded for itself."""
    return 4 * ((bytes_of(photo) + 2) // 3)


def length_of(segments: Sequence[bytes | PreparedPhoto]) -> int:
    """Bytes of the body that `segments` become."""
    return sum(len(item) if isinstance(item, bytes) else encoded(item) for item in segments)


def to_upload(settings: GeminiSettings, pictures: Sequence[PreparedPhoto], limit: int) -> list[int]:
    """The pictures, by number, that must be uploaded so that the rest fits: the largest first, no more than needed."""
    length, chosen = length_of(envelope(settings, pictures)), []
    for number in sorted(range(len(pictures)), key=lambda number: -encoded(pictures[number])):
        if length <= limit:
            break
        # A reference takes some bytes instead; they are within the limit's margin.
        length -= encoded(pictures[number])
        chosen.append(number)
    return sorted(chosen)


class PhotoBody(ReadingBody):
    """Segments as `envelope` makes them: bytes as they are, pictures as base64. Holds one piece of one picture."""

    def __init__(self, segments: Sequence[bytes | PreparedPhoto], limiter: trio.CapacityLimiter) -> None:
        super().__init__(limiter)
        self.length = length_of(segments)
        self._left = deque(segments)

    async def __anext__(self) -> bytes:
        while True:
            if (piece := await self._read()) is not None:
                # Encoded here, not in the thread: it takes microseconds, and memory allocated in threads stays in
                # their arenas (measured for 15 photos at once: 60 MB in threads, 14 MB here).
                return pybase64.b64encode(piece)
            if not self._left:
                raise StopAsyncIteration
            segment = self._left.popleft()
            if isinstance(segment, bytes):
                self.finished = not self._left
                return segment
            self._open(segment)
