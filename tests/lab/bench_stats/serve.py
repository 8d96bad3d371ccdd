"""The statistics routes in a process of their own, with a bare route beside them."""

import sys
from datetime import UTC, date, datetime
from uuid import uuid4

import trio
from quart import Blueprint, Request, Response

from photochanger.db.facade import Db
from photochanger.db.loop import open_loop
from photochanger.db.target import Target
from photochanger.domain.budget import Level
from photochanger.domain.permission import Permission
from photochanger.slots.snapshot import SlotBook
from photochanger.stats import routes
from photochanger.stats.answers import Answers, Now
from photochanger.stats.queries import Reader
from photochanger.web import guard
from photochanger.web.app import create_app
from photochanger.web.contract import contract, json_body
from photochanger.web.guard import Identity
from photochanger.web.outputs import answer
from photochanger.web.providers import BreakerView, LatencyView, PermitsView, ProviderView
from photochanger.web.serving import Server
from tests.lab.bench.lines import async_questions, say


class Everybody:
    """Lets everybody read statistics: what a token costs is no matter of this bench."""

    def identify(self, _request: Request) -> Identity | None:
        """The same account for all."""
        return Identity("bench", frozenset({Permission.STATS_READ}), uuid4(), 2**31)


def bare(db: Db) -> Blueprint:
    """One round trip to PostgreSQL and back over the socket."""
    blueprint = Blueprint("bare", __name__)

    @blueprint.get("/bare")
    @contract("Bare.", tag="bench", access=Permission.STATS_READ, responses={200: [json_body(dict)]})
    async def get() -> Response:
        return answer({"one": await db.fetchval("SELECT 1")})

    return blueprint


def providers() -> list[ProviderView]:
    """As many as a house has, with as much to tell of each."""
    breaker = BreakerView("closed", None, None, None, forced=False)
    latency = {model: LatencyView(11.5, 17.0, 20.5) for model in ("gemini-3.1-flash-image", "gemini-3-pro-image")}
    live, late = PermitsView(30, 12), PermitsView(10, 1)
    return [
        ProviderView(name, None, breaker, live, late, 4, latency, date(2026, 11, 1))
        for name in ("gemini", "turbotext", "local")
    ]


async def run(url: str) -> None:
    """Serve until the bench closes stdin."""
    async with open_loop() as loop, trio.open_nursery() as nursery, async_questions() as questions:
        db = Db(loop)
        await db.connect(Target.of(url))
        book = SlotBook(db, t_sync=48.0, t_late=120.0)
        await book.refresh()
        now = Now(
            slots=book.all,
            lanes=lambda: {slot.id: (2, 3) for slot in book.all()},
            in_flight=lambda: 30,
            late=lambda: 0,
            draining=lambda: False,
            database_available=lambda: True,
            journal=lambda: 0,
            level=lambda _slot: Level(50_000_000, 12_000_000, 134_000),
            providers=providers,
            clock=lambda: datetime.now(UTC),
        )
        app = create_app()
        guard.install(app, Everybody())
        app.register_blueprint(bare(db))
        app.register_blueprint(routes.blueprint(Answers(Reader(db), now)))
        server = Server(app)
        await nursery.start(server.run)
        say(port=server.port)
        async for _ in questions:
            pass
        server.request_stop()
        db.disconnect("the bench is over")
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(run, sys.argv[1])
