"""What must be true of every route, also of those to come: they are taken from the application itself."""

import re
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import msgspec
import pytest
from msgspec import inspect

from photochanger.domain.reasons import REASONS, Reason
from photochanger.web.contract import contract_of
from tests.house.shared import SharedHouse
from tests.lab.house import ADMIN, Lab
from tests.lab.pictures import photo
from tests.security.routes import RouteOf, routes

INNER = re.compile(
    r"Traceback|File \"|site-packages|asyncpg|msgspec|werkzeug|quart|hypercorn|\btrio\b|sqlalchemy|psycopg"
    r"|SELECT |INSERT |relation |column |/tmp/|\.py\b|object at 0x|Exception|[a-z]Error\b",
    re.IGNORECASE,
)
"""What an answer would say if a failure's own text got into it."""

TRAVERSALS = [
    "..", ".", "../../../../etc/passwd", "..\\..\\windows\\win.ini", "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "..%252f..%252fetc%252fpasswd", "....//....//etc/passwd",
    "/etc/passwd", "//etc/passwd", "file:///etc/passwd",
    "slot-001/../slot-002", "slot-001\0.jpg", "~root", "C:\\", "\\\\host\\share", "%c0%ae%c0%ae%c0%af",
    "\u2025\u2215etc",
    "a" * 4000, "null", "-1", "9" * 40, "1e309", "0x10", "{{7*7}}", "'; DROP TABLE job; --",
    "00000000-0000-0000-0000-000000000000",
    "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"), "\r\nX-Evil: 1", "slot-001\r\nX-Evil: 1\r\n\r\n<html>",
]  # fmt: skip
ENCODED = ["%00", "%ff%fe", "%0d%0aX-Evil:%201", "%2e%2e/%2e%2e/etc/passwd", "..%2f..%2fetc%2fpasswd", "%zz", "%"]
EVIL = "evil.example"


def looked_at(route: RouteOf, response: httpx.Response) -> Iterator[str]:
    """What is wrong with an answer, whatever was asked."""
    where = f"{route} → {response.status_code}"
    if response.status_code >= 500 and response.status_code != 503:
        yield f"{where}: {response.text[:300]}"
    if response.headers.get("x-content-type-options") != "nosniff":
        yield f"{where}: no nosniff"
    if response.content and "content-type" not in response.headers:
        yield f"{where}: no Content-Type"
    for name in ("x-evil", "server", "x-powered-by", "access-control-allow-origin"):
        if name in response.headers:
            yield f"{where}: {name}: {response.headers[name]}"
    if 300 <= response.status_code < 400 and response.status_code != 304:
        yield f"{where}: leads to {response.headers.get('location')}"
    for cookie in response.headers.get_list("set-cookie"):
        if not {"httponly", "samesite=strict"} <= {part.strip().lower() for part in cookie.split(";")}:
            yield f"{where}: {cookie.partition('=')[0]} is open to scripts or to foreign pages"
    if response.status_code >= 400 and response.content:
        yield from _problem(where, response)


def _problem(where: str, response: httpx.Response) -> Iterator[str]:
    if response.headers["content-type"] != "application/problem+json":
        if response.status_code != 503:  # /readyz
            yield f"{where}: an error as {response.headers['content-type']}"
        return
    problem = response.json()
    if problem["status"] != response.status_code or problem["title"] not in _TITLES:
        yield f"{where}: {problem}"
    told = str(problem.get("detail", "")) + str([each["message"] for each in problem.get("errors", [])])
    if found := INNER.search(told):
        yield f"{where}: tells of its inside ({found[0]}): {told[:300]}"
    if "no-store" not in response.headers.get("cache-control", ""):
        yield f"{where}: an error may be kept"


_TITLES = {REASONS[reason].en for reason in Reason}


async def ask(client: httpx.AsyncClient, route: RouteOf, path: str, **options: Any) -> httpx.Response:
    """One request, with a body where the route takes one that means nothing."""
    if route.contract.request is not None and "content" not in options:
        options |= {
            "content": b"{}",
            "headers": {"content-type": "application/json"} | dict(options.get("headers", {})),
        }
    return await client.request(route.method, httpx.URL(path), **options)


def each_route(house: SharedHouse, conversation: Callable[[Lab, RouteOf], Awaitable[list[str]]]) -> list[str]:
    """What is wrong with any of them; each has its own time."""

    async def find(lab: Lab) -> list[RouteOf]:
        return list(routes(lab))

    return [wrong for route in house.run(find) for wrong in house.run(conversation, route)]


@pytest.mark.parametrize("username", [ADMIN, None])
def test_paths_lead_nowhere_else(house: SharedHouse, username: str | None) -> None:
    async def conversation(lab: Lab, route: RouteOf) -> list[str]:
        wrong = []
        if route.has_parameters:
            async with lab.api(username) as client:
                # A stranger is let in nowhere or finds the same: a few will do.
                tried = TRAVERSALS if username else TRAVERSALS[:4]
                paths = [route.path(value) for value in tried] + [route.path(each, encoded=True) for each in ENCODED]
                for path in paths:
                    response = await ask(client, route, lab.base_url + path)
                    wrong += [f"{each} ({path[-60:]!r})" for each in looked_at(route, response)]
                    if b"root:" in response.content or b"[fonts]" in response.content:
                        wrong.append(f"{route}: {path} leads to a file of the system")
        return wrong

    wrong = each_route(house, conversation)
    assert not wrong, "\n".join(dict.fromkeys(wrong))


def test_queries_and_headers_stay_what_they_are(house: SharedHouse) -> None:
    queries = [
        "a=%0d%0aX-Evil:%201", "%0d%0aX-Evil:%201=1", "cursor=%00", "sort=%0aX-Evil:1",
        "limit=99999999999999999999", "sort=" + "x" * 3000, "lang=%f0%28%8c%bc", "&&&===", "limit=1&limit=2",
    ]  # fmt: skip
    headers = [
        {"Accept-Language": "ru\tX-Evil: 1"},
        {"Accept-Language": "x" * 4000},
        {"If-None-Match": '"' + "\xe9" * 20 + '"'},
        {"If-Match": "*, W/x"},
        {"Range": "bytes=0-0,-1,5-"},
        {"Idempotency-Key": "x y"},
        {"Cookie": "photochanger_session=%0d%0aX-Evil:1; =; a"},
        {"Authorization": "Bearer " + "e30." * 900},
        {"Content-Type": "application/json; charset=\xe9; x=%0d%0a"},
        {"X-Forwarded-Host": EVIL, "X-Forwarded-For": EVIL, "Forwarded": f"host={EVIL}"},
        {"Accept": "text/html;q=x, */*;q=\xe9"},
    ]

    async def conversation(lab: Lab, route: RouteOf) -> list[str]:
        wrong: list[str] = []
        path = lab.base_url + route.path()
        async with lab.api() as client:
            for query in queries:
                wrong += looked_at(route, await ask(client, route, f"{path}?{query}"))
            for each in headers:
                raw = {name: value.encode("latin-1") for name, value in each.items()}
                response = await ask(client, route, path, headers=raw)
                wrong += [f"{told} ({each})" for told in looked_at(route, response)]
                if EVIL in response.text or EVIL in str(response.headers):
                    wrong.append(f"{route}: tells what {each} says")
        return wrong

    wrong = each_route(house, conversation)
    assert not wrong, "\n".join(dict.fromkeys(wrong))


def test_no_answer_believes_the_host_header(house: SharedHouse) -> None:
    """Links that are given to guests and pages must not lead where a request says."""

    async def conversation(lab: Lab) -> list[str]:
        shot = await lab.shoot(photo(64, 48))
        job_id = shot.header("x-job-id") or ""
        await lab.rest()
        wrong = []
        async with lab.api() as client:
            for route in routes(lab):
                if route.method != "GET":
                    continue
                for value in ("slot-001", job_id):
                    response = await ask(client, route, lab.base_url + route.path(value), headers={"Host": EVIL})
                    if EVIL in str(response.headers) or EVIL.encode() in response.content:
                        wrong.append(f"{route} tells {EVIL}")
        return wrong

    wrong = house.run(conversation)
    assert not wrong, "\n".join(dict.fromkeys(wrong))


def test_every_route_is_described_and_guarded(house: SharedHouse) -> None:
    async def conversation(lab: Lab) -> int:
        return len(list(routes(lab)))

    assert house.run(conversation) >= 12  # each of them has a contract, or this would have raised


def test_no_body_sets_what_it_should_not(house: SharedHouse) -> None:
    """Mass assignment: each JSON body, and all that is inside of it, refuses fields that it does not know."""

    async def conversation(lab: Lab) -> list[str]:
        wrong, kinds = [], 0
        for route in routes(lab):
            body = route.contract.request
            if body is not None and body.media_type == "application/json":
                assert not isinstance(body.schema, dict), f"{route} reads a body of no type"
                kinds += 1
                wrong += [f"{route}: {name} takes unknown fields" for name in _open_structs(body.schema)]
            if route.contract.query is not None:
                for each in msgspec.structs.fields(route.contract.query):
                    assert each.name.islower(), f"{route}: {each.name}"
        assert kinds
        return wrong

    wrong = house.run(conversation)
    assert not wrong, "\n".join(dict.fromkeys(wrong))


def _open_structs(kind: type) -> set[str]:
    """The structs in a type that take any field."""
    found: set[str] = set()
    seen: set[type] = set()

    def walk(info: inspect.Type) -> None:
        match info:
            case inspect.StructType():
                if info.cls in seen:
                    return
                seen.add(info.cls)
                if not info.forbid_unknown_fields:
                    found.add(info.cls.__name__)
                for field in info.fields:
                    walk(field.type)
            case inspect.UnionType():
                for each in info.types:
                    walk(each)
            case inspect.ListType() | inspect.SetType() | inspect.FrozenSetType() | inspect.VarTupleType():
                walk(info.item_type)
            case inspect.DictType():
                walk(info.value_type)
            case inspect.TupleType():
                for each in info.item_types:
                    walk(each)

    walk(inspect.type_info(kind))
    return found


def test_an_unknown_field_is_refused_by_name(house: SharedHouse) -> None:
    async def conversation(lab: Lab) -> list[str]:
        wrong = []
        async with lab.api() as client:
            for route in routes(lab):
                body = route.contract.request
                if body is None or body.media_type != "application/json" or route.contract.versioned:
                    continue
                response = await ask(client, route, lab.base_url + route.path(), content=b'{"is_admin_": true}',
                                     headers={"content-type": "application/json"})  # fmt: skip
                if response.status_code not in (404, 422) or "is_admin_" not in response.text + "is_admin_" * (
                    response.status_code == 404
                ):
                    wrong.append(f"{route}: {response.status_code} {response.text[:200]}")
        return wrong

    wrong = house.run(conversation)
    assert not wrong, "\n".join(dict.fromkeys(wrong))


def test_contracts_can_be_missing() -> None:
    """The test above can fail."""

    async def bare() -> str:
        return ""

    with pytest.raises(LookupError):
        contract_of(bare)
