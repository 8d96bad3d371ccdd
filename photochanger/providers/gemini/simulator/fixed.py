"""One answer for every call, made once: for benchmarks, which want to measure the house and not the imitation."""

import secrets
from pathlib import Path

import msgspec

from photochanger.providers.gemini.simulator.plan import Context
from photochanger.providers.gemini.simulator.replies import build
from photochanger.providers.gemini.simulator.usage import usage_metadata
from photochanger.providers.simulator import parse_steps


class FixedAnswer:
    """The prepared answer: its long tail is encoded once, `head` differs from call to call."""

    def __init__(self, answer: bytes | Path) -> None:
        data = answer if isinstance(answer, bytes) else answer.read_bytes()
        context = Context("gemini-3.1-flash-image", "", lambda pictures: {}, lambda png: data)
        candidates = msgspec.json.encode(build(parse_steps("ok"), context).value["candidates"])
        self.tail = b',"candidates":' + candidates + b"}"

    def head(self, model: str) -> bytes:
        usage = usage_metadata(
            model if model.startswith("gemini-3-pro") else "gemini-3.1-flash-image", "", 1, "1K", None, 1
        )
        names = {"modelVersion": model, "responseId": secrets.token_urlsafe(16), "usageMetadata": usage}
        return msgspec.json.encode(names)[:-1]
