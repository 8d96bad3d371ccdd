"""`GET /openapi.json`, what this service answers, made from its own routes; `GET /docs`, pages to try it on."""

from collections.abc import Mapping
from typing import Final

import msgspec
import trio
from quart import Blueprint, Response, request
from quart_trio.wrappers import TrioResponse
from werkzeug.http import parse_etags, quote_etag

from photochanger.domain.reasons import Reason
from photochanger.errors import Refusal
from photochanger.web.access import Access
from photochanger.web.app import App
from photochanger.web.contract import Body, contract, json_body
from photochanger.web.docs.files import BUNDLED, HTML, PNG, SCRIPT, STYLE, File, read_files
from photochanger.web.docs.older import in_3_0
from photochanger.web.openapi import document

JSON: Final = "application/json"
OPENAPI, OLDER, INDEX = "openapi.json", "openapi-3.0.json", "index.html"
NAMES: Final = ("start.js", OLDER, *BUNDLED)
"""What the page asks for under `/docs/`."""

GUARDS: Final = {
    # Scripts and styles are files of ours and nothing else; what is tried goes to this service and nowhere else.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}
"""Headers of the page itself."""

CACHING: Final = {"Cache-Control": "no-cache"}
"""Kept by browsers, and asked about each time: an update of the service shows at once."""

_TOLD: Final = {200: {"ETag": "Changes with the content."}, 304: {"ETag": "What the caller has."}}


def blueprint(app: App) -> Blueprint:
    """The contract of `app` itself, and the pages that show it."""
    routes = Blueprint("contract", __name__)
    made: dict[str, File] = {}
    making = trio.Lock()

    def make() -> Mapping[str, File]:
        told = document(app)
        return {
            **read_files(),
            OPENAPI: File(JSON, msgspec.json.encode(told)),
            OLDER: File(JSON, msgspec.json.encode(in_3_0(told))),
        }

    async def answer(name: str, headers: Mapping[str, str] = CACHING) -> Response:
        async with making:
            if not made:  # once, when every route is there
                made.update(await trio.to_thread.run_sync(make))
        return _sent(made[name], headers)

    @routes.get("/openapi.json")
    @contract(
        "This document.",
        tag="contract",
        access=Access.PUBLIC,
        database=False,
        responses={200: [json_body({"type": "object"})], 304: []},
        headers=_TOLD,
    )
    async def openapi() -> Response:
        return await answer(OPENAPI)

    @routes.get("/docs")
    @contract(
        "Pages to read the contract and to try it.",
        tag="contract",
        access=Access.PUBLIC,
        database=False,
        responses={200: [Body(HTML, {"type": "string"})], 304: []},
        headers=_TOLD,
    )
    async def docs() -> Response:
        return await answer(INDEX, CACHING | GUARDS)

    @routes.get("/docs/<name>")
    @contract(
        "The files of those pages.",
        tag="contract",
        access=Access.PUBLIC,
        database=False,
        responses={
            200: [
                json_body({"type": "object"}),
                Body(SCRIPT, {"type": "string"}),
                Body(STYLE, {"type": "string"}),
                Body(PNG, {"type": "string", "contentMediaType": PNG}),
            ],
            304: [],
        },
        headers=_TOLD,
        problems=(Reason.NOT_FOUND,),
    )
    async def docs_file(name: str) -> Response:
        if name not in NAMES:
            raise Refusal(Reason.NOT_FOUND)
        return await answer(name)

    return routes


def _sent(file: File, headers: Mapping[str, str]) -> Response:
    kind = file.mime if file.mime in (PNG, JSON) else f"{file.mime}; charset=utf-8"
    told = {**headers, "ETag": quote_etag(file.etag)}
    if parse_etags(request.headers.get("If-None-Match")).contains_weak(file.etag):
        return TrioResponse(None, status=304, headers=told, content_type=kind)
    return TrioResponse(file.data, headers=told, content_type=kind)
