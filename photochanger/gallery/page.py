"""Galleries as a page: pictures that lead to pictures. Plain on purpose, and without a script."""

import hashlib
from collections.abc import Sequence
from html import escape
from typing import Final

import msgspec
from quart import Request, Response
from werkzeug.http import parse_etags, quote_etag

from photochanger.gallery.items import Picture

HEADERS: Final = {"Content-Security-Policy": "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'"}
_HEAD: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex"><title>Pictures</title>
<style>body{font-family:sans-serif;margin:1rem;text-align:center}img{width:16rem;max-width:100%;margin:.3rem}</style>
</head><body>
"""


def wants_page(request: Request) -> bool:
    """Whether the client would rather read HTML than JSON, as browsers do."""
    accepted = request.accept_mimetypes
    return bool(accepted.quality("text/html") > accepted.quality("application/json"))


def page(groups: Sequence[tuple[str, Sequence[Picture]]]) -> bytes:
    """The page of some galleries: each a heading (may be empty) and its pictures."""
    parts = [_HEAD]
    for heading, pictures in groups:
        if heading:
            parts.append(f"<h2>{escape(heading)}</h2>\n")
        parts += [
            f'<a href="{escape(p.url)}"><img src="{escape(p.preview_url)}" alt="" loading="lazy"></a>\n'
            for p in pictures
        ]
        if not pictures:
            parts.append("<p>&hellip;</p>\n")
    return "".join([*parts, "</body></html>\n"]).encode()


def shown(request: Request, view: msgspec.Struct, groups: Sequence[tuple[str, Sequence[Picture]]]) -> tuple[bytes, str]:
    """The body in the form that the client prefers, and its media type."""
    if wants_page(request):
        return page(groups), "text/html"
    return msgspec.json.encode(view), "application/json"


def cacheable(request: Request, body: bytes, mime: str, *, cache_control: str) -> Response:
    """`body` with an ETag of its content; 304 for who has it already."""
    tag = hashlib.sha256(body).hexdigest()[:32]
    known = parse_etags(request.headers.get("If-None-Match")).contains_weak(tag)
    response = Response(b"" if known else body, status=304 if known else 200, mimetype=mime)
    if mime == "text/html":
        response.headers.extend(HEADERS)
    response.headers["ETag"] = quote_etag(tag)
    response.headers["Cache-Control"] = cache_control
    response.headers["Vary"] = "Accept"
    return response
