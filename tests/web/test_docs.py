"""The pages of the contract: files of this service alone, a strict policy, a form that the bundled UI can read."""

import re
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV30SpecValidator, OpenAPIV31SpecValidator

from photochanger.web import guard
from photochanger.web.app import App, create_app
from photochanger.web.docs.files import BUNDLED, read_files
from photochanger.web.docs.older import in_3_0
from photochanger.web.docs.routes import NAMES, blueprint
from tests.contracts.files import whole_contract
from tests.web.client import Answer, get
from tests.web.conftest import House

MIME = {
    "start.js": "text/javascript; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "favicon-32x32.png": "image/png",
    "openapi-3.0.json": "application/json",
}


class _Stranger:
    def identify(self, request: object) -> None:
        return None


def docs_app() -> App:
    app = create_app()
    guard.install(app, _Stranger())
    app.register_blueprint(blueprint(app))
    return app


async def ask(house: House, path: str, *headers: str) -> Answer:
    return await (await house.connect()).ask(get(path, *headers))


async def test_the_page_asks_for_files_of_this_service_and_nothing_else(house: House) -> None:
    await house.serve(docs_app())
    page = await ask(house, "/docs")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    asked = re.findall(r'(?:href|src)="([^"]+)"', page.body.decode())
    assert sorted(asked) == sorted({"/openapi.json", *(f"/docs/{name}" for name in {*BUNDLED, "start.js"})})
    assert re.findall(r"https?:|<script>|style=|onload", page.body.decode()) == []
    start = read_files()["start.js"].data.decode()
    assert "/docs/openapi-3.0.json" in start
    assert "http" not in start


async def test_the_policy_of_the_page(house: House) -> None:
    await house.serve(docs_app())
    headers = (await ask(house, "/docs")).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == policy["form-action"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("name", NAMES)
async def test_each_file_has_its_type_and_is_kept_by_browsers(house: House, name: str) -> None:
    await house.serve(docs_app())
    answer = await ask(house, f"/docs/{name}")
    assert (answer.status, answer.headers["content-type"]) == (200, MIME[name])
    assert answer.headers["cache-control"] == "no-cache"
    assert b"sourceMappingURL" not in answer.body
    assert len(answer.body) == int(answer.headers["content-length"]) > 0
    again = await ask(house, f"/docs/{name}", f"If-None-Match: {answer.headers['etag']}")
    assert (again.status, again.body) == (304, b"")
    other = await ask(house, f"/docs/{name}", 'If-None-Match: "another"')
    assert other.status == 200


@pytest.mark.parametrize(
    "name",
    ["", "index.html", "openapi.json", "swagger-ui.css.map", "..", "%2e%2e%2fstart.js", "start.js%00"],
)
async def test_nothing_else_is_there(house: House, name: str) -> None:
    await house.serve(docs_app())
    answer = await ask(house, f"/docs/{name}")
    assert (answer.status, answer.json["failure_reason"]) == (404, "not_found")


async def test_both_forms_of_the_document_are_valid(house: House) -> None:
    await house.serve(docs_app())
    now, older = (await ask(house, "/openapi.json")).json, (await ask(house, "/docs/openapi-3.0.json")).json
    OpenAPIV31SpecValidator(now).validate()
    OpenAPIV30SpecValidator(older).validate()
    assert now["paths"].keys() == older["paths"].keys() == {"/openapi.json", "/docs", "/docs/{name}"}


def test_the_older_form_tells_the_whole_contract() -> None:
    now = whole_contract()
    older = in_3_0(now)
    OpenAPIV30SpecValidator(older).validate()
    assert older["openapi"] == "3.0.3"
    assert {path: item.keys() for path, item in older["paths"].items()} == {
        path: item.keys() for path, item in now["paths"].items()
    }
    assert older["components"]["schemas"].keys() == now["components"]["schemas"].keys()


@pytest.mark.parametrize(
    ("now", "older"),
    [
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"anyOf": [{"type": "string"}], "nullable": True}),
        ({"type": ["string", "null"]}, {"type": "string", "nullable": True}),
        ({"type": "integer", "exclusiveMinimum": 0}, {"type": "integer", "minimum": 0, "exclusiveMinimum": True}),
        ({"const": "a"}, {"enum": ["a"]}),
        ({"type": "object", "required": []}, {"type": "object"}),
        ({"type": "string", "examples": ["a", "b"]}, {"type": "string", "example": "a"}),
        ({"type": "string", "contentMediaType": "image/png"}, {"type": "string", "format": "binary"}),
        ({"$ref": "#/x", "description": "y"}, {"allOf": [{"$ref": "#/x"}], "description": "y"}),
        ({"$ref": "#/x"}, {"$ref": "#/x"}),
        ({"properties": {"type": {"type": "string"}, "const": {"type": "null"}}}, ...),
    ],
)
def test_schemas(now: dict[str, Any], older: Any) -> None:
    told = in_3_0({"components": {"schemas": {"A": now}}})["components"]["schemas"]["A"]
    assert told == (now if older is ... else older)
