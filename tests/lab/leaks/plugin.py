"""The part of pytest that looks for secrets: after every test, in everything that was written during it."""

import logging
import time
from collections.abc import Iterator
from typing import Any, Final

import httpx
import pytest

from tests.lab.leaks.finder import Finder
from tests.lab.leaks.sink import TOLD, listeners, written
from tests.lab.leaks.sources import watch

CLIENTS: Final = ("urllib3", "httpx")
"""Loggers of clients that only tests use: they tell what a test asked for."""
NOISY: Final = ("pyvips", "hypothesis", "asyncio")
"""Loggers of others that write pictures and the like; of theirs is seen what they show anyway."""


class _Watch:
    """What was written since the last look, and what was found in it."""

    def __init__(self) -> None:
        self.finder = Finder()
        self.test = "before the first test"
        self.hits: dict[tuple[str, str, str], None] = {}
        self.seconds = 0.0
        self.seen = 0
        self.elsewhere = 0  # secrets that other processes of this run looked for
        self._written: list[tuple[str, str]] = []
        self._format = logging.Formatter("%(message)s")

    def log(self, record: logging.LogRecord) -> None:
        """A record, whatever its level, and whoever else sees it."""
        if record.name.startswith(CLIENTS):
            return
        if record.name.startswith("httpcore") and "headers.complete" in str(record.msg):
            return  # what a client was answered, cookies included, in the client's own log
        self.take(self._format.format(record), f"a log record of {record.name}")

    def take(self, text: str, where: str) -> None:
        """To be looked through after the present test."""
        self._written.append((text, where))

    def look(self) -> None:
        """Look through what was written; whatever is found is kept for the end of the run."""
        began = time.perf_counter()
        written, self._written = self._written, []
        whole = "\n".join(text for text, _ in written)
        self.seen += len(whole)
        if self.finder.find(whole):
            for text, where in written:
                for name in self.finder.find(text):
                    self.hits[self.test, where, name] = None
        self.seconds += time.perf_counter() - began


_watch = _Watch()


def secret(value: str | bytes, name: str) -> None:
    """Tell of a secret that a test uses; those that the service makes or is given are known by themselves."""
    _watch.finder.add(value, name)


def _hear_loggers() -> None:
    """Every record of every level is looked through. What levels and handlers there are makes no difference."""
    enabled, call = logging.Logger.isEnabledFor, logging.Logger.callHandlers

    def always(self: logging.Logger, level: int) -> bool:
        return not self.name.startswith(NOISY) or enabled(self, level)

    def hear(self: logging.Logger, record: logging.LogRecord) -> None:
        _watch.log(record)
        if enabled(self, record.levelno):
            call(self, record)

    logging.Logger.isEnabledFor = always  # type: ignore[method-assign]
    logging.Logger.callHandlers = hear  # type: ignore[method-assign]


def _hear_clients() -> None:
    """Every error and every metric that a client of httpx gets is looked through."""
    send, send_async = httpx.Client.send, httpx.AsyncClient.send

    def heard(response: httpx.Response) -> httpx.Response:
        kind = response.headers.get("content-type", "")
        if kind.startswith(TOLD) and response.is_stream_consumed:
            written(response.text, f"the answer to {response.request.method} {response.request.url.path}")
        return response

    def hear(self: httpx.Client, request: httpx.Request, **options: object) -> httpx.Response:
        return heard(send(self, request, **options))  # type: ignore[arg-type]

    async def hear_async(self: httpx.AsyncClient, request: httpx.Request, **options: object) -> httpx.Response:
        return heard(await send_async(self, request, **options))  # type: ignore[arg-type]

    httpx.Client.send = hear  # type: ignore[method-assign]
    httpx.AsyncClient.send = hear_async  # type: ignore[method-assign]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    _watch.test = item.nodeid
    try:
        return (yield)
    finally:
        _watch.look()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """One of several processes is done; what it has found is told at the end of the whole run."""
    hits, seen, secrets, seconds = getattr(node, "workeroutput", {}).get("leaks", ((), 0, 0, 0.0))
    _watch.hits |= dict.fromkeys(map(tuple, hits))
    _watch.seen += seen
    _watch.elsewhere += secrets
    _watch.seconds += seconds


def pytest_sessionfinish(session: pytest.Session) -> None:
    _watch.look()
    if (told := getattr(session.config, "workeroutput", None)) is not None:
        told["leaks"] = (list(_watch.hits), _watch.seen, len(_watch.finder), _watch.seconds)
    if _watch.hits and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for test, where, name in _watch.hits:
        terminalreporter.write_line(f"SECRET {test}: {name} stands in {where}", red=True)
    terminalreporter.write_line(
        f"{len(_watch.hits)} secrets in {_watch.seen / 1e6:.1f} MB of output, "
        f"{len(_watch.finder) + _watch.elsewhere} looked for in {_watch.seconds:.1f} s"
    )


listeners.append(_watch.take)
watch(secret)
_hear_loggers()
_hear_clients()
