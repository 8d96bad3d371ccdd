"""QR codes. Drawing one takes ten milliseconds of pure Python, so it is done in a thread."""

import io
from typing import Any, Final, Literal

import segno
import trio
from quart import Response

from photochanger.web.contract import Body

Kind = Literal["svg", "png"]
MIME: Final = {"svg": "image/svg+xml", "png": "image/png"}
SCALE: Final = {"svg": 8, "png": 12}
"""Pixels of a module; an SVG's can be enlarged."""

_drawers = trio.CapacityLimiter(2)


async def draw(text: str, kind: Kind) -> bytes:
    """The code of `text`, with the quiet border that readers need and error level M: a fifth may be covered."""
    return await trio.to_thread.run_sync(_draw, text, kind, limiter=_drawers)


async def respond(text: str, kind: Kind, *, cached: bool) -> Response:
    """The response with the code of `text`. `cached` lets anybody keep it for a day."""
    response = Response(await draw(text, kind), mimetype=MIME[kind])
    response.headers["Cache-Control"] = "public, max-age=86400" if cached else "no-store"
    if kind == "svg":
        response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
    return response


def body(kind: Kind) -> list[Body]:
    """The contract's word for a code."""
    schema: dict[str, Any] = {"type": "string", "contentMediaType": MIME[kind]}
    return [Body(MIME[kind], schema)]


def _draw(text: str, kind: Kind) -> bytes:
    out = io.BytesIO()
    segno.make(text, error="m", micro=False, boost_error=False).save(out, kind=kind, scale=SCALE[kind])
    return out.getvalue()
