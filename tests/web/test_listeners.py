"""Where the server listens: literals, names, free ports, inherited sockets; and what its sockets are set to."""

import os
import socket
import sys
from functools import partial
from pathlib import Path

import pytest
import trio

from photochanger.web.listeners import open_listeners
from photochanger.web.serving import Server
from tests.web.client import Client, get
from tests.web.holding import Holding


@pytest.mark.parametrize(
    ("host", "ask"), [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("localhost", None), ("", "127.0.0.1")]
)
async def test_hosts(host: str, ask: str | None) -> None:
    server = Server(Holding().app, host=host, port=0)
    async with trio.open_nursery() as nursery:
        await nursery.start(server.run)
        client = Client(await trio.open_tcp_stream(ask or host, server.port))
        assert (await client.ask(get("/hi"))).body == b"hi"
        client.close()
        nursery.cancel_scope.cancel()


async def test_every_interface_is_both_families() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    listeners = await open_listeners("", port)
    families = {listener.socket.family for listener in listeners}
    for listener in listeners:
        await listener.aclose()
    assert families == {socket.AF_INET, socket.AF_INET6}


async def test_a_taken_port_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        await open_listeners("127.0.0.1", taken.getsockname()[1])


async def test_vanished_peers_are_noticed_by_the_kernel() -> None:
    (listener,) = await open_listeners("127.0.0.1", 0, user_timeout=12.5)
    client = await trio.open_tcp_stream("127.0.0.1", listener.socket.getsockname()[1])
    stream = await listener.accept()
    try:
        options = [
            (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 12_500),
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
            (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10),
        ]
        for level, option, value in options:
            assert stream.socket.getsockopt(level, option) == value
    finally:
        for end in (client, stream, listener):
            await end.aclose()


async def test_a_named_descriptor_survives_a_restart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as inherited:
        server = Server(Holding().app, host=f"fd://{inherited.fileno()}")
        for _ in range(2):
            async with trio.open_nursery() as nursery:
                await nursery.start(server.run)
                assert server.port == inherited.getsockname()[1]
                client = Client(await trio.open_tcp_stream("127.0.0.1", server.port))
                assert (await client.ask(get("/hi"))).body == b"hi"
                client.close()
                nursery.cancel_scope.cancel()


async def test_a_descriptor_that_does_not_listen_is_an_error(tmp_path: Path) -> None:
    with socket.socket() as plain, pytest.raises(OSError, match="not a listening"):
        await open_listeners(f"fd://{plain.fileno()}", 0)


async def test_sockets_meant_for_another_process_are_left_alone() -> None:
    listeners = await open_listeners("127.0.0.1", 0, environ={"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid() + 1)})
    assert len(listeners) == 1
    await listeners[0].aclose()


CHILD = """
import os, sys
assert os.dup2(int(sys.argv[1]), 3) == 3
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
import trio
from photochanger.web.app import create_app
from photochanger.web.serving import Server

async def main():
    app = create_app()
    @app.get("/hi")
    async def hi():
        server.request_stop()
        return "inherited"
    server = Server(app, port=1)
    await server.run()

trio.run(main)
"""


async def test_socket_activation() -> None:
    with socket.create_server(("127.0.0.1", 0)) as inherited:
        port = inherited.getsockname()[1]
        client = Client(await trio.open_tcp_stream("127.0.0.1", port))  # before anybody serves it
        await client.send(get("/hi"))
        descriptor = inherited.fileno()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(
                partial(
                    trio.run_process,
                    [sys.executable, "-c", CHILD, str(descriptor)],
                    pass_fds=[descriptor],
                    cwd=Path(__file__).parents[2],
                )
            )
            assert (await client.answer()).body == b"inherited"
        client.close()
