"""`GET /openapi.json`: what this service answers, made from its own routes."""

from functools import cache
from typing import Any

from quart import Blueprint, Response, jsonify

from photochanger.web.access import Access
from photochanger.web.app import App
from photochanger.web.contract import contract, json_body
from photochanger.web.openapi import document


def blueprint(app: App) -> Blueprint:
    """The contract as a route of `app` itself."""
    routes = Blueprint("contract", __name__)

    @cache
    def whole() -> dict[str, Any]:
        return document(app)

    @routes.get("/openapi.json")
    @contract("This document.", tag="contract", access=Access.PUBLIC, responses={200: [json_body({"type": "object"})]})
    async def openapi() -> Response:
        return jsonify(whole())

    return routes
