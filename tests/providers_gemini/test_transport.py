"""The connection: addresses, TLS, proxies, cancellation at any moment, and a key that shows nowhere."""

import logging
import os
import random
import ssl
import threading
from dataclasses import replace
from pathlib import Path

import httpcore
import pytest
import trio

from photochanger.domain.outcome import AttemptOutcome, Verdict
from photochanger.errors import ConfigError
from photochanger.providers.gemini.driver import BASE_URL, GeminiDriver
from photochanger.providers.gemini.simulator import GeminiSimulator
from photochanger.providers.http import tls_context
from tests.providers_gemini.conftest import HANG_GUARD, KEY, MakeCall, photo_of
from tests.providers_gemini.leaks import CancelAt, open_files, settle


@pytest.mark.parametrize("url", [BASE_URL, "http://127.0.0.1:9", "http://localhost", "http://[::1]:80", "https://a/b/"])
def test_addresses_that_pass(context: ssl.SSLContext, url: str) -> None:
    GeminiDriver(KEY, ssl_context=context, base_url=url)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "http://127.0.0.1.example.com",
        "http://10.0.0.1",
        "ftp://localhost",
        "localhost:80",
        "",
        "https://",
        "https://user:secret@host",
        "https://host?key=secret",
        "http://[::1",
    ],
)
def test_addresses_that_do_not(context: ssl.SSLContext, url: str) -> None:
    with pytest.raises(ConfigError, match=r"^GEMINI_BASE_URL: ") as error:
        GeminiDriver(KEY, ssl_context=context, base_url=url)
    assert "secret" not in str(error.value)


def test_a_key_that_cannot_be_one_is_refused_unseen(context: ssl.SSLContext) -> None:
    with pytest.raises(ConfigError, match="GEMINI_API_KEY") as error:
        GeminiDriver("two\nlines", ssl_context=context)
    assert "lines" not in str(error.value)


def test_a_proxy_address_is_refused_unseen(context: ssl.SSLContext) -> None:
    with pytest.raises(ConfigError, match="GEMINI_PROXY") as error:
        GeminiDriver(KEY, ssl_context=context, proxy="gopher://user:secret@host")
    assert "secret" not in str(error.value)


async def test_without_a_key_only_loopback_is_called(context: ssl.SSLContext, make_call: MakeCall) -> None:
    outcome = await GeminiDriver(None, ssl_context=context).call(make_call())
    assert (outcome.verdict, outcome.error_code) == (Verdict.REJECTED, "API_KEY_MISSING")


async def test_loopback_needs_no_key(nursery: trio.Nursery, context: ssl.SSLContext, make_call: MakeCall) -> None:
    simulator = GeminiSimulator()
    await nursery.start(simulator.run)
    driver = GeminiDriver(None, ssl_context=context, base_url=simulator.base_url)
    assert (await driver.call(make_call())).verdict is Verdict.PICTURE


async def test_a_wrong_key_is_a_rejection(
    simulator: GeminiSimulator, context: ssl.SSLContext, make_call: MakeCall
) -> None:
    outcome = await GeminiDriver("wrong", ssl_context=context, base_url=simulator.base_url).call(make_call())
    assert (outcome.verdict, outcome.http_status, outcome.error_code) == (Verdict.REJECTED, 400, "API_KEY_INVALID")


async def test_an_unknown_operation_is_a_rejection(driver: GeminiDriver, make_call: MakeCall) -> None:
    outcome = await driver.call(replace(make_call(), operation="sing"))
    assert (outcome.verdict, outcome.error_code) == (Verdict.REJECTED, "OPERATION")


async def test_nobody_listens(context: ssl.SSLContext, make_call: MakeCall) -> None:
    with trio.socket.socket() as free:
        await free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    outcome = await GeminiDriver(KEY, ssl_context=context, base_url=f"http://127.0.0.1:{port}").call(make_call())
    assert (outcome.verdict, outcome.possibly_billed) == (Verdict.TRANSPORT, False)
    assert "refused" in (outcome.message or "")


async def test_the_environment_is_not_asked_for_a_proxy(
    monkeypatch: pytest.MonkeyPatch, driver: GeminiDriver, make_call: MakeCall
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert (await driver.call(make_call())).verdict is Verdict.PICTURE


# --- TLS ------------------------------------------------------------------------------------------------------------


@pytest.fixture
async def tls_simulator(nursery: trio.Nursery, certificate: Path) -> GeminiSimulator:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate)
    simulator = GeminiSimulator(api_key=KEY, ssl_context=server)
    await nursery.start(simulator.run)
    return simulator


def _trusting(certificate: Path) -> ssl.SSLContext:
    context = tls_context()
    context.load_verify_locations(certificate)
    return context


async def test_a_self_signed_server_gets_nothing(
    tls_simulator: GeminiSimulator, context: ssl.SSLContext, make_call: MakeCall
) -> None:
    outcome = await GeminiDriver(KEY, ssl_context=context, base_url=tls_simulator.base_url).call(make_call())
    assert (outcome.verdict, outcome.possibly_billed) == (Verdict.TRANSPORT, False)
    assert "CERTIFICATE_VERIFY_FAILED" in (outcome.message or "")
    assert not tls_simulator.calls


async def test_a_trusted_server_is_called(
    tls_simulator: GeminiSimulator, certificate: Path, make_call: MakeCall
) -> None:
    driver = GeminiDriver(KEY, ssl_context=_trusting(certificate), base_url=tls_simulator.base_url)
    assert (await driver.call(make_call())).verdict is Verdict.PICTURE


async def test_a_certificate_for_another_name_is_refused(
    tls_simulator: GeminiSimulator, certificate: Path, make_call: MakeCall
) -> None:
    url = tls_simulator.base_url.replace("127.0.0.1", "localhost")
    outcome = await GeminiDriver(KEY, ssl_context=_trusting(certificate), base_url=url).call(make_call())
    assert outcome.verdict is Verdict.TRANSPORT
    assert "localhost" in (outcome.message or "")


class Tunnel:
    """An HTTP proxy that knows CONNECT."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    async def serve(self, client: trio.SocketStream) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += await client.receive_some()
        self.asked.append(head)
        host, port = head.split()[1].decode().split(":")
        await client.send_all(b"HTTP/1.1 200 OK\r\n\r\n")
        async with await trio.open_tcp_stream(host, int(port)) as server, trio.open_nursery() as nursery:
            nursery.start_soon(self._copy, server, client, nursery.cancel_scope)
            await self._copy(client, server, nursery.cancel_scope)

    async def _copy(self, source: trio.SocketStream, sink: trio.SocketStream, scope: trio.CancelScope) -> None:
        try:
            async for data in source:
                await sink.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        scope.cancel()


async def test_a_configured_proxy_is_used_and_sees_no_key(
    nursery: trio.Nursery, tls_simulator: GeminiSimulator, certificate: Path, make_call: MakeCall
) -> None:
    tunnel = Tunnel()
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    nursery.start_soon(trio.serve_listeners, tunnel.serve, [listener])
    port = listener.socket.getsockname()[1]
    driver = GeminiDriver(
        KEY,
        ssl_context=_trusting(certificate),
        base_url=tls_simulator.base_url,
        proxy=f"http://booth:pass-word@127.0.0.1:{port}",
    )
    assert "pass-word" not in repr(driver) + repr(vars(driver)["_outbound"])
    assert (await driver.call(make_call())).verdict is Verdict.PICTURE
    (head,) = tunnel.asked
    assert head.startswith(b"CONNECT 127.0.0.1:")
    assert KEY.encode() not in head


# --- cancellation ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
async def test_cancelling_at_any_moment_leaves_nothing(
    nursery: trio.Nursery,
    make_call: MakeCall,
    tmp_path: Path,
    secure: bool,
    certificate: Path,
) -> None:
    server = None
    if secure:
        server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        server.load_cert_chain(certificate)
    simulator = GeminiSimulator(fixed_answer=os.urandom(1_000_000), delay=0.005, ssl_context=server)
    await nursery.start(simulator.run)
    limiter = trio.CapacityLimiter(2)
    driver = GeminiDriver(KEY, ssl_context=_trusting(certificate), base_url=simulator.base_url, limiter=limiter)
    path = tmp_path / "large"
    path.write_bytes(os.urandom(2_000_000))
    photo = photo_of(path)
    started = trio.current_time()
    assert (await driver.call(make_call(photo=photo))).verdict is Verdict.PICTURE
    usual = trio.current_time() - started
    await settle(simulator)
    files, threads = open_files(), threading.active_count()
    chance = random.Random(7)
    endings = {"cancelled": 0, "done": 0}
    for _ in range(120):
        with trio.move_on_after(chance.random() * usual) as scope:
            await driver.call(make_call(photo=photo))
        endings["cancelled" if scope.cancelled_caught else "done"] += 1
        assert limiter.borrowed_tokens == 0
    await settle(simulator)
    assert open_files() == files
    assert threading.active_count() <= threads + 2  # idle ones that Trio keeps for later
    assert endings["cancelled"] > 20
    assert (await driver.call(make_call(photo=photo))).verdict is Verdict.PICTURE


async def test_cancelling_at_every_step_leaves_nothing(
    nursery: trio.Nursery, context: ssl.SSLContext, make_call: MakeCall, tmp_path: Path
) -> None:
    simulator = GeminiSimulator(fixed_answer=os.urandom(200_000))
    await nursery.start(simulator.run)
    limiter = trio.CapacityLimiter(1)
    driver = GeminiDriver(KEY, ssl_context=context, base_url=simulator.base_url, limiter=limiter)
    await driver.call(make_call())
    await settle(simulator)
    files = open_files()
    step, outcome = 0, None
    while outcome is None:
        step += 1
        with trio.CancelScope() as scope:
            instrument = CancelAt(trio.lowlevel.current_task(), scope, step)
            trio.lowlevel.add_instrument(instrument)
            try:
                outcome = await driver.call(make_call())
            finally:
                trio.lowlevel.remove_instrument(instrument)
        assert limiter.borrowed_tokens == 0
        assert step < 500
    await settle(simulator)
    assert open_files() == files
    assert step > 10
    assert outcome.verdict is Verdict.PICTURE


async def test_an_abandoned_call_is_seen_by_the_provider(
    simulator: GeminiSimulator, driver: GeminiDriver, make_call: MakeCall
) -> None:
    simulator.scenario("hang")
    with trio.fail_after(HANG_GUARD):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(driver.call, make_call())
            while not simulator.calls:  # noqa: ASYNC110
                await trio.sleep(0.002)
            nursery.cancel_scope.cancel()
    await settle(simulator)
    assert [(call.verdict, call.client_gone) for call in simulator.calls] == [("abandoned", True)]


# --- the key --------------------------------------------------------------------------------------------------------


async def test_the_key_shows_nowhere(
    simulator: GeminiSimulator,
    driver: GeminiDriver,
    make_call: MakeCall,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.WARNING, "pyvips")  # otherwise it logs whole pictures
    outcomes: list[AttemptOutcome] = []
    for scenario in ("ok", "safety", f"error(400)+message(the key {KEY} is wrong)", "cut", "close", "refuse", "hang"):
        simulator.scenario(scenario)
        outcomes.append(await driver.call(make_call(seconds=3 if scenario != "hang" else 0.3)))
    assert outcomes[2].message == "the key *** is wrong"
    shown = caplog.text + repr(outcomes) + repr(driver) + str(driver) + "".join(capfd.readouterr())
    assert KEY not in shown
    assert KEY not in repr(vars(driver)["_outbound"])


async def test_the_key_is_not_in_a_crash(
    monkeypatch: pytest.MonkeyPatch, driver: GeminiDriver, make_call: MakeCall
) -> None:
    """A bug below the driver is raised, not hidden; its traceback must not tell the key either."""

    async def broken(*_: object) -> httpcore.Response:
        raise ZeroDivisionError

    monkeypatch.setattr(httpcore.AsyncConnectionPool, "handle_async_request", broken)
    with pytest.raises(ZeroDivisionError) as error:
        await driver.call(make_call())
    assert KEY not in str(error.getrepr(style="long", showlocals=False))
