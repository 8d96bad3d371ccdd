"""A house for many small tests of accounts, and the questions that they ask it."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from photochanger.web.openapi import CSRF_HEADER, SESSION_COOKIE
from tests.lab import http
from tests.lab.house import ADMIN, ADMIN_PASSWORD, Lab

_PLACES: Iterator[int] = itertools.count(1)


def somewhere() -> str:
    """An address that no other test has used."""
    number = next(_PLACES)
    return f"198.18.{number // 250}.{number % 250 + 1}"


@dataclass(slots=True)
class Visitor:
    """Somebody who asks from an address of his own; the house must trust 127.0.0.1."""

    lab: Lab
    address: str = field(default_factory=somewhere)

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request without any cookie jar: what is sent is what a test says."""
        headers = {"X-Forwarded-For": self.address} | options.pop("headers", {})
        async with http.client(base_url=self.lab.base_url, timeout=60) as client:
            return await client.request(method, path, headers=headers, **options)

    async def log_in(
        self, username: str = ADMIN, password: str = ADMIN_PASSWORD, path: str = "/api/login", **options: Any
    ) -> httpx.Response:
        """Try a name and a password."""
        return await self.ask("POST", path, json={"username": username, "password": password}, **options)

    async def page(self, username: str = ADMIN, password: str = ADMIN_PASSWORD) -> "Page":
        """Log a page in."""
        answer = await self.log_in(username, password, "/api/session")
        assert answer.status_code == 200, answer.text
        return Page(self, answer.cookies[SESSION_COOKIE], answer.json()["csrf_token"])


@dataclass(slots=True)
class Page:
    """A page that was logged in: its cookie, and its token against foreign pages."""

    visitor: Visitor
    cookie: str
    csrf: str

    async def ask(self, method: str, path: str, *, csrf: str | None = None, **options: Any) -> httpx.Response:
        """As a browser asks for the page; with `csrf` as the page itself does."""
        headers = options.pop("headers", {}) | {"Cookie": f"{SESSION_COOKIE}={self.cookie}"}
        if csrf is not None:
            headers[CSRF_HEADER] = csrf
        return await self.visitor.ask(method, path, headers=headers, **options)


def reason(answer: httpx.Response) -> tuple[int, str]:
    """Status and reason of a problem."""
    return answer.status_code, json.loads(answer.content).get("failure_reason", "")
