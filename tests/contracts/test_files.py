"""The files of ops/contracts say what the code does, and keep what was promised."""

import json
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from photochanger.web.openapi import TAGS, VERSION
from tests.contracts import files
from tests.contracts.compare import METHODS, allows, breaking_changes


@pytest.fixture(scope="module")
def contract() -> dict[str, Any]:
    """The contract of the code."""
    return files.whole_contract()


def operations(contract: dict[str, Any]) -> list[dict[str, Any]]:
    return [item[method] for item in contract["paths"].values() for method in METHODS if method in item]


def test_the_files_are_those_of_the_code(contract: dict[str, Any]) -> None:
    again = "ops/contracts is not what the code does: run `make contract` and look at the difference"
    assert files.CONTRACT.read_text(encoding="utf-8") == files.as_yaml(contract), again
    assert files.VERSION_FILE.read_text(encoding="utf-8") == files.as_version(contract), again
    assert json.loads(files.VERSION_FILE.read_text())["version"] == VERSION == contract["info"]["version"]


def test_the_text_is_the_document(contract: dict[str, Any]) -> None:
    assert files.load(files.CONTRACT) == json.loads(json.dumps(contract))
    assert files.as_yaml(files.whole_contract()) == files.as_yaml(contract)


def test_no_client_of_the_last_release_breaks(contract: dict[str, Any]) -> None:
    """Unless the version says so."""
    kept = files.released()
    assert kept, "nothing was ever released"
    last, now = max(kept), files.version_of(VERSION)
    assert now >= last, "the version goes forward"
    old = files.load(kept[last])
    assert old["info"]["version"] == ".".join(map(str, last))
    if now == last:
        changed = f"{VERSION} was released and is another now: set VERSION in photochanger/web/openapi.py"
        assert old == json.loads(json.dumps(contract)), changed
    broken = breaking_changes(old, contract)
    assert not broken or allows(last, now), "clients break without a major version:\n" + "\n".join(broken)


@pytest.mark.parametrize("path", sorted(files.released().values()), ids=lambda path: str(path.stem))
def test_what_was_released_is_valid(path: Any) -> None:
    OpenAPIV31SpecValidator(files.load(path)).validate()


def test_the_contract_is_valid(contract: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(contract).validate()


def test_everything_is_told(contract: dict[str, Any]) -> None:
    found = operations(contract)
    names = [each["operationId"] for each in found]
    assert sorted(names) == sorted(set(names))
    tags = {tag for each in found for tag in each["tags"]}
    assert tags <= TAGS.keys(), "web/openapi.py describes what each group of routes is for"
    assert [each["name"] for each in contract["tags"]] == [name for name in TAGS if name in tags]
    for each in found:
        assert each["summary"].endswith((".", "?")), each["operationId"]
        assert {"400", "429", "431", "500"} <= each["responses"].keys()


def test_nothing_refers_to_nothing_and_nothing_is_left_over(contract: dict[str, Any]) -> None:
    refs: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                refs.add(value["$ref"])
            for each in value.values():
                walk(each)
        elif isinstance(value, list):
            for each in value:
                walk(each)

    walk(contract)
    components = contract["components"]
    there = {f"#/components/{kind}/{name}" for kind in ("schemas", "responses") for name in components[kind]}
    assert refs == there
