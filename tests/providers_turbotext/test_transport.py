"""The connection: addresses, TLS, redirects, cancellation at any moment, and a key that shows nowhere."""

import logging
import os
import random
import ssl
import threading
from pathlib import Path

import httpcore
import pytest
import trio

from photochanger.domain.outcome import AttemptOutcome, Verdict
from photochanger.errors import ConfigError
from photochanger.providers.http import tls_context
from photochanger.providers.turbotext.driver import BASE_URL, TurbotextDriver
from photochanger.providers.turbotext.simulator import TurbotextSimulator
from tests.lab.checkpoints import cancelling
from tests.lab.tls import certificate
from tests.providers_turbotext.conftest import HANG_GUARD, KEY, MakeCall, Shelf, driver_for

__all__ = ["certificate"]


@pytest.mark.parametrize("url", [BASE_URL, "http://127.0.0.1:9/api_ai", "http://localhost", "https://a/b/"])
def test_addresses_that_pass(context: ssl.SSLContext, url: str) -> None:
    TurbotextDriver(KEY, ssl_context=context, base_url=url)


@pytest.mark.parametrize("url", ["http://www.turbotext.ru/api_ai", "ftp://localhost", "", "https://u:secret@host"])
def test_addresses_that_do_not(context: ssl.SSLContext, url: str) -> None:
    with pytest.raises(ConfigError, match=r"^TURBOTEXT_BASE_URL: ") as error:
        TurbotextDriver(KEY, ssl_context=context, base_url=url)
    assert "secret" not in str(error.value)


def test_a_key_that_cannot_be_one_is_refused_unseen(context: ssl.SSLContext) -> None:
    with pytest.raises(ConfigError, match="TURBOTEXT_API_KEY") as error:
        TurbotextDriver("two\nlines", ssl_context=context)
    assert "lines" not in str(error.value)


async def test_without_a_key_only_loopback_is_called(
    nursery: trio.Nursery, context: ssl.SSLContext, make_call: MakeCall, shelf: Shelf
) -> None:
    real = TurbotextDriver(None, ssl_context=context)
    outcome = await real.call(make_call())
    assert (outcome.verdict, outcome.error_code) == (Verdict.REJECTED, "API_KEY_MISSING")
    assert real.missing == "turbotext has no key: store one in the settings, or set TURBOTEXT_API_KEY"
    assert not shelf.published
    simulator = TurbotextSimulator()
    await nursery.start(simulator.run)
    local = TurbotextDriver(None, ssl_context=context, base_url=simulator.base_url)
    assert (local.missing, (await local.call(make_call())).verdict) == (None, Verdict.PICTURE)


async def test_a_wrong_key_is_a_rejection(
    simulator: TurbotextSimulator, context: ssl.SSLContext, make_call: MakeCall
) -> None:
    outcome = await TurbotextDriver("another-key", ssl_context=context, base_url=simulator.base_url).call(make_call())
    assert (outcome.verdict, outcome.http_status, outcome.message) == (Verdict.REJECTED, 401, "wrong api key")
    assert not outcome.possibly_billed


@pytest.mark.parametrize("status", ["301", "302", "307", "308"])
async def test_a_post_is_never_redirected(
    simulator: TurbotextSimulator, driver: TurbotextDriver, make_call: MakeCall, status: str
) -> None:
    simulator.scenario(f"create({status})", f"poll({status},9)")
    created, polled = await driver.call(make_call()), await driver.call(make_call())
    seen = (created.verdict, created.error_code, created.possibly_billed)
    assert seen == (Verdict.REJECTED, "REDIRECT", False)
    assert (polled.verdict, polled.error_code, polled.again, polled.possibly_billed) == (
        Verdict.REJECTED,
        "REDIRECT",
        0,
        True,
    )
    assert len(simulator.calls) == 2


async def test_nobody_listens(context: ssl.SSLContext, make_call: MakeCall) -> None:
    with trio.socket.socket() as free:
        await free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    outcome = await TurbotextDriver(KEY, ssl_context=context, base_url=f"http://127.0.0.1:{port}").call(make_call())
    assert (outcome.verdict, outcome.possibly_billed, outcome.again) == (Verdict.TRANSPORT, False, None)
    assert "refused" in (outcome.message or "")


async def test_a_provider_that_restarts_while_it_works(
    context: ssl.SSLContext, simulator: TurbotextSimulator, make_call: MakeCall
) -> None:
    """get_result is asked on while nobody listens, and finds the job again."""
    front = TurbotextSimulator(api_key=KEY)
    async with trio.open_nursery() as outer:
        async with trio.open_nursery() as first:
            await first.start(front.run)
            down = trio.Event()

            async def keep(_handle: str) -> None:
                first.cancel_scope.cancel()
                down.set()

            driver = driver_for(front, context)
            outcomes: list[AttemptOutcome] = []

            async def work() -> None:
                outcomes.append(await driver.call(make_call(change={"on_handle": keep})))

            outer.start_soon(work)
            await down.wait()
        await outer.start(front.run)
        with trio.fail_after(HANG_GUARD):
            while not outcomes:  # noqa: ASYNC110
                await trio.sleep(0.005)
        outer.cancel_scope.cancel()
    assert outcomes[0].verdict is Verdict.PICTURE
    assert len(front.calls) == 1


# --- TLS ------------------------------------------------------------------------------------------------------------


async def _secure(nursery: trio.Nursery, certificate: Path) -> tuple[TurbotextSimulator, ssl.SSLContext]:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificate)
    simulator = TurbotextSimulator(api_key=KEY, ssl_context=server)
    await nursery.start(simulator.run)
    trusting = tls_context()
    trusting.load_verify_locations(certificate)
    return simulator, trusting


async def test_a_self_signed_server_gets_nothing(
    nursery: trio.Nursery, certificate: Path, context: ssl.SSLContext, make_call: MakeCall
) -> None:
    simulator, _ = await _secure(nursery, certificate)
    outcome = await driver_for(simulator, context).call(make_call())
    assert (outcome.verdict, outcome.possibly_billed) == (Verdict.TRANSPORT, False)
    assert "CERTIFICATE_VERIFY_FAILED" in (outcome.message or "")
    assert not simulator.calls


async def test_all_of_it_over_tls(nursery: trio.Nursery, certificate: Path, make_call: MakeCall) -> None:
    simulator, trusting = await _secure(nursery, certificate)
    outcome = await driver_for(simulator, trusting).call(make_call())
    assert outcome.verdict is Verdict.PICTURE


# --- cancellation ---------------------------------------------------------------------------------------------------


def _open_files() -> set[str]:
    """What this process has open, besides what Trio and the test runner keep."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.add(f"{entry.name}:{entry.readlink()}")
        except OSError:
            continue  # the directory's own descriptor
    return found


async def _settle(simulator: TurbotextSimulator, shelf: Shelf) -> None:
    """Until the servers have noticed that their clients left."""
    with trio.fail_after(HANG_GUARD):
        while simulator.connections or shelf.server.connections:  # noqa: ASYNC110  # a count of sockets has no event
            await trio.sleep(0.002)


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
async def test_cancelling_at_any_moment_leaves_nothing(
    nursery: trio.Nursery, make_call: MakeCall, shelf: Shelf, certificate: Path, secure: bool
) -> None:
    server, trusting = None, tls_context()
    if secure:
        server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        server.load_cert_chain(certificate)
        trusting.load_verify_locations(certificate)
    simulator = TurbotextSimulator(fixed_answer=os.urandom(1_500_000), delay=0.002, ssl_context=server)
    await nursery.start(simulator.run)
    simulator.default("reconnect(1)+download(moved)")
    limiter = trio.CapacityLimiter(2)
    driver = driver_for(simulator, trusting, limiter=limiter)
    assert (await driver.call(make_call())).verdict is Verdict.PICTURE
    started = trio.current_time()
    assert (await driver.call(make_call())).verdict is Verdict.PICTURE
    usual = trio.current_time() - started
    await _settle(simulator, shelf)
    files, threads = _open_files(), threading.active_count()
    chance = random.Random(7)
    endings = {"cancelled": 0, "done": 0}
    for _ in range(80):
        with trio.move_on_after(chance.random() * usual) as scope:
            await driver.call(make_call())
        endings["cancelled" if scope.cancelled_caught else "done"] += 1
        assert limiter.borrowed_tokens == 0
        assert not shelf.photos
    await _settle(simulator, shelf)
    assert _open_files() == files
    assert threading.active_count() <= threads + 2  # idle ones that Trio keeps for later
    assert endings["cancelled"] > 15
    assert (await driver.call(make_call())).verdict is Verdict.PICTURE


async def test_cancelling_at_every_step_leaves_nothing(
    nursery: trio.Nursery, context: ssl.SSLContext, make_call: MakeCall, shelf: Shelf
) -> None:
    simulator = TurbotextSimulator(fixed_answer=os.urandom(900_000))
    await nursery.start(simulator.run)
    limiter = trio.CapacityLimiter(1)
    driver = driver_for(simulator, context, limiter=limiter, poll_pause=0.0)
    await driver.call(make_call())
    await _settle(simulator, shelf)
    files = _open_files()
    step, outcome = 0, None
    while outcome is None:
        step += 1
        with cancelling(step) as instrument, trio.CancelScope() as scope, instrument.watching(scope.cancel):
            outcome = await driver.call(make_call())
        assert limiter.borrowed_tokens == 0
        assert not shelf.photos
        assert step < 500
    await _settle(simulator, shelf)
    assert _open_files() == files
    assert step > 20
    assert outcome.verdict is Verdict.PICTURE


async def test_an_abandoned_call_is_seen_by_the_provider(
    simulator: TurbotextSimulator, driver: TurbotextDriver, make_call: MakeCall, shelf: Shelf
) -> None:
    simulator.scenario("hold(60)")
    with trio.fail_after(HANG_GUARD):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(driver.call, make_call())
            while not (simulator.calls and simulator.calls[0].polls):  # noqa: ASYNC110
                await trio.sleep(0.002)
            nursery.cancel_scope.cancel()
    await _settle(simulator, shelf)
    assert [call.client_gone for call in simulator.calls] == [True]


# --- the key --------------------------------------------------------------------------------------------------------


async def test_the_key_and_the_links_show_nowhere(
    simulator: TurbotextSimulator,
    context: ssl.SSLContext,
    make_call: MakeCall,
    shelf: Shelf,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.WARNING, "pyvips")  # otherwise it logs whole pictures
    driver = driver_for(simulator, context, poll_timeout=0.3)
    outcomes: list[AttemptOutcome] = []
    for scenario in (
        "ok",
        f"failed(the key {KEY} is wrong)",
        "create(close)",
        "create(html)",
        "poll(half,99)",
        "download(key)",
        "download(html)",
        "download(redirect)",
        "hold(9)",
    ):
        simulator.scenario(scenario)
        outcomes.append(await driver.call(make_call(seconds=3 if scenario != "hold(9)" else 0.5)))
    assert outcomes[1].message == "the key *** is wrong"
    shown = caplog.text + repr(outcomes) + repr(driver) + str(driver) + "".join(capfd.readouterr())
    shown += repr(vars(driver)["_access"])
    assert KEY not in shown
    assert "-secret-guest" not in shown
    assert len(shelf.published) == len(outcomes)


async def test_a_link_in_the_providers_words_is_blotted_out(
    simulator: TurbotextSimulator, driver: TurbotextDriver, make_call: MakeCall, shelf: Shelf
) -> None:
    simulator.scenario(f"failed(cannot load {shelf.server.base_url}/p/0-secret-guest.jpg)")
    assert (await driver.call(make_call())).message == "cannot load ***"


@pytest.mark.parametrize("where", ["POST", "GET"])
async def test_the_key_is_not_in_a_crash(
    monkeypatch: pytest.MonkeyPatch,
    simulator: TurbotextSimulator,
    driver: TurbotextDriver,
    make_call: MakeCall,
    where: str,
) -> None:
    """A bug below the driver is raised, not hidden; its traceback must not tell the key either."""
    simulator.default("download(401,9)")
    real = httpcore.AsyncConnectionPool.handle_async_request

    async def broken(self: httpcore.AsyncConnectionPool, request: httpcore.Request) -> httpcore.Response:
        named = {name for name, _ in request.headers}
        if request.method == where.encode() and named & {b"Authorization"}:
            raise ZeroDivisionError
        return await real(self, request)

    monkeypatch.setattr(httpcore.AsyncConnectionPool, "handle_async_request", broken)
    with pytest.raises(ZeroDivisionError) as error:
        await driver.call(make_call())
    text = str(error.getrepr(style="long", showlocals=True))
    assert "ZeroDivisionError" in text
    shown = [line for line in text.splitlines() if KEY in line and not line.startswith(("KEY", "driver"))]
    assert not shown
