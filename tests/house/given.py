"""A provider that answers generateContent with exactly what it was given, and keeps what it was asked."""

import base64
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from photochanger.providers.simulator import Answer, Request, SimulatorServer
from tests.lab.process import free_port

Play = Callable[[Answer], Awaitable[None]]


@dataclass(slots=True)
class GivenAnswers:
    """`play` sends the answer to each call. Start `server.run` in the house's own loop; `base_url` is known before."""

    play: Play | None = None
    calls: int = 0
    """Requests of any kind."""
    asked: list[dict[str, Any]] = field(default_factory=list)
    server: SimulatorServer = field(init=False)

    def __post_init__(self) -> None:
        self.server = SimulatorServer(self._answer, port=free_port())

    @property
    def base_url(self) -> str:
        """Where it listens, or will."""
        return self.server.base_url

    def pictures(self) -> list[bytes]:
        """The pictures of the last call, in the order in which they came."""
        [content] = self.asked[-1]["contents"]
        found = [part["inlineData"]["data"] for part in content["parts"] if "inlineData" in part]
        return [base64.b64decode(data) for data in found]

    async def _answer(self, request: Request, answer: Answer) -> None:
        self.calls += 1
        self.asked.append(msgspec.json.decode(bytes(request.body)))
        assert self.play is not None
        await self.play(answer)


def body_of(picture: bytes, mime: str = "image/jpeg") -> dict[str, Any]:
    """A reply that is all right but for what its picture may be."""
    inline = {"inlineData": {"mimeType": mime, "data": base64.b64encode(picture).decode()}}
    return {
        "candidates": [{"content": {"role": "model", "parts": [inline]}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {
            "promptTokenCount": 600,
            "candidatesTokenCount": 1232,
            "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1120}],
            "totalTokenCount": 1832,
        },
        "modelVersion": "gemini-3.1-flash-image",
        "responseId": "given",
    }


CHARGED = round(600 * 0.5 + 1120 * 60 + 112 * 3)
"""Microusd for such a reply."""


def with_picture(picture: bytes, mime: str = "image/jpeg") -> Play:
    """Answer with this picture."""

    async def play(answer: Answer) -> None:
        await answer.json(200, body_of(picture, mime))

    return play


def with_bytes(
    body: bytes, content_type: str = "application/json", status: int = 200, headers: Mapping[str, str] | None = None
) -> Play:
    """Answer with these bytes."""

    async def play(answer: Answer) -> None:
        await answer.whole(status, body, content_type, headers)

    return play
