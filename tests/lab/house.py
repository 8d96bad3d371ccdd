"""The whole house inside a test: real sockets, real PostgreSQL, real files, the simulator as the provider."""

import inspect
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import httpx
import trio
from asyncpg import PostgresError

from photochanger.accounts.credentials import FILE, Account, write_accounts
from photochanger.app import House
from photochanger.config import Config
from photochanger.db.facade import Db
from photochanger.db.loop import open_loop
from photochanger.demo.dslr import Options, Shot, shoot
from photochanger.domain.passwords import hash_password
from photochanger.domain.permission import Permission
from photochanger.errors import DatabaseUnavailable
from photochanger.providers import drivers
from photochanger.providers.gemini.simulator import GeminiSimulator, picture
from photochanger.providers.http import tls_context
from tests.lab import http
from tests.lab.leaks.sink import written

# What would be most of the tests' time: every house shares the root certificates, the same drawing is drawn once, and
# passwords are hashed at bcrypt's lowest cost.
setattr(drivers, "tls_context", cache(tls_context))  # noqa: B010
setattr(picture, "transform", lru_cache(64)(picture.transform))  # noqa: B010
inspect.unwrap(hash_password).__kwdefaults__["rounds"] = 4

PASSWORD = "booth-Пароль-42"
_HASH = hash_password(PASSWORD, rounds=4)

ADMIN, ADMIN_PASSWORD = "serg", "admin-Пароль-42"
_ADMIN = Account(ADMIN, hash_password(ADMIN_PASSWORD, rounds=4), frozenset(Permission))
READER, READER_PASSWORD = "igor", "reader-Пароль-42"
_READER = Account(READER, hash_password(READER_PASSWORD, rounds=4), frozenset({Permission.STATS_READ}))


@dataclass(slots=True)
class Lab:
    """A running house and its simulator, with the questions that tests ask of them."""

    house: House
    simulator: GeminiSimulator
    var: Path
    background: trio.Nursery
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def base_url(self) -> str:
        """Where the house listens."""
        return f"http://127.0.0.1:{self.house.server.port}"

    def url(self, slot_id: str = "slot-001") -> str:
        """A slot's ingest URL."""
        return f"{self.base_url}/api/ingest/{slot_id}"

    async def shoot(
        self, photo: bytes | Path, *, slot: str = "slot-001", password: str | None = PASSWORD, **options: Any
    ) -> Shot:
        """Send a photo as the booth does."""
        shot = await shoot(self.url(slot), photo, password=password, options=Options(**options))
        if shot.problem is not None:
            written(str(shot.problem), f"the answer to a photo for {slot}")
        return shot

    def bearer(self, username: str = ADMIN) -> dict[str, str]:
        """The header that makes a request this account's: ADMIN may everything, READER read statistics."""
        account = self.house.accounts.find(username)
        assert account is not None, "there is no such account"
        return {"Authorization": f"Bearer {self.house.tokens.give(account)[0]}"}

    def api(self, username: str | None = ADMIN) -> httpx.AsyncClient:
        """A client for the house's routes; with None a stranger's."""
        return http.client(base_url=self.base_url, headers=self.bearer(username) if username else {}, timeout=30)

    async def set_slot(self, slot_id: str = "slot-001", **columns: Any) -> None:
        """Change a slot's row, and have the house know it."""
        names = ", ".join(f"{name} = ${place}" for place, name in enumerate(columns, 2))
        statement = f"UPDATE slot SET {names}, version = version + 1 WHERE id = $1"
        await self.house.db.execute(statement, slot_id, *columns.values())
        await self.house.slots.refresh()

    async def job(self, job_id: str | None = None) -> dict[str, Any]:
        """A job's row; without an id the newest one's."""
        if job_id is None:
            row = await self.house.db.fetchrow("SELECT * FROM job ORDER BY created_at DESC LIMIT 1")
        else:
            row = await self.house.db.fetchrow("SELECT * FROM job WHERE id = $1", uuid.UUID(job_id))
        assert row is not None, "there is no such job"
        return dict(row)

    async def attempts(self, job_id: Any) -> list[dict[str, Any]]:
        """A job's attempts, in order."""
        rows = await self.house.db.fetch("SELECT * FROM attempt WHERE job_id = $1 ORDER BY number", job_id)
        return [dict(row) for row in rows]

    async def count(self, table: str) -> int:
        """How many rows a table has."""
        return int(await self.house.db.fetchval(f"SELECT count(*) FROM {table}"))

    def temp_files(self) -> list[Path]:
        """What lies in the temp folders."""
        return [path for path in (self.var / "media" / "temp").rglob("*") if path.is_file()]

    async def rest(self) -> None:
        """Wait until nothing is in flight, then check that nothing is left behind."""
        with trio.move_on_after(20) as patience:
            await self.house.lanes.wait_idle()
            while self.house.server.connections or self.simulator.connections:
                await trio.testing.wait_all_tasks_blocked(0.01)
        assert not patience.cancelled_caught, (
            f"{self.house.lanes.in_flight} in flight, {self.house.server.connections} connections"
        )
        assert self.temp_files() == []
        for slot_id, (running, waiting) in self.house.lanes.statistics().items():
            assert (running, waiting) == (0, 0), slot_id
        for group in self.house.groups.values():
            assert group.permits.in_use("live") == 0, group.name
            assert group.admission.statistics().depth == 0, group.name
        pictures = self.house.pictures.state()
        assert pictures.running == 0
        assert not any(pictures.queued.values())
        unfinished = "SELECT count(*) FROM job WHERE status IN ('queued', 'processing')"
        assert await self.house.db.fetchval(unfinished) == 0
        assert await self.house.db.fetchval("SELECT count(*) FROM attempt WHERE outcome IS NULL") == 0
        orphans = (
            "SELECT count(*) FROM job LEFT JOIN result ON job.id = job_id WHERE (status = 'done') <> (path IS NOT NULL)"
        )
        assert await self.house.db.fetchval(orphans) == 0
        await self._no_photo_without_a_row()

    async def _no_photo_without_a_row(self) -> None:
        """Guests' photos are kept under rows that say until when; a row may lack its file, no file its row."""
        if self.house.journal.depth:
            return
        media = self.var / "media"
        kept = {path.relative_to(media).as_posix() for path in (media / "originals").rglob("*") if path.is_file()}
        known = "SELECT path FROM media_object WHERE scope = 'original' AND cleaned_at IS NULL"
        assert kept <= {row["path"] for row in await self.house.db.fetch(known)}


def config_for(var: Path, database_url: str | None, simulator: GeminiSimulator, **changes: Any) -> Config:
    """A configuration for tests: any free port, a short window."""
    values: dict[str, Any] = {
        "var": var,
        "port": 0,
        "database_url": database_url,
        "media_root": var / "media",
        "secrets_dir": var / "secrets",
        "t_sync": 10.0,
        "gemini_base_url": simulator.base_url,
    }
    return Config(**(values | changes))


@asynccontextmanager
async def running_simulator(**options: Any) -> AsyncIterator[GeminiSimulator]:
    """Gemini's imitation on loopback."""
    simulator = GeminiSimulator(**options)
    async with trio.open_nursery() as nursery:
        await nursery.start(simulator.run)
        yield simulator
        nursery.cancel_scope.cancel()


JOURNALS = ("audit_event", "slot_change", "settings_change", "attempt", "job")
"""Tables that tell what happened; no secret may stand there."""


async def _look_at_journals(house: House) -> None:
    """What the house wrote down is looked through for secrets, unless it is gone already."""
    with trio.move_on_after(5, shield=True):
        for table in JOURNALS:
            try:
                rows = await house.db.fetch(f"SELECT t::text AS told FROM {table} t LIMIT 5000")
            except (DatabaseUnavailable, PostgresError):
                return
            for row in rows:
                written(row["told"], f"a row of {table}")
    for path in house.config.journal_folder.rglob("*"):
        if path.is_file():
            written(path.read_text(errors="replace"), "the journal on the disk")


@asynccontextmanager
async def running_house(
    var: Path, database_url: str | None, *, answer: bytes | None = None, on_timeout: str = "drop", **changes: Any
) -> AsyncIterator[Lab]:
    """A house on `database_url` whose slots all ask for PASSWORD and join no repeats; stopped backwards at the end.

    With `answer` the simulator draws nothing: it gives that JPEG to every call.
    """
    async with running_simulator(fixed_answer=answer) as simulator, open_loop() as loop, trio.open_nursery() as nursery:
        await trio.to_thread.run_sync(write_accounts, var / "secrets" / FILE, [_ADMIN, _READER])
        house = House(config_for(var, database_url, simulator, **changes), Db(loop))
        await nursery.start(house.run)
        # Most tests send one photo many times, and mean a new one each time.
        await house.db.execute(
            "UPDATE slot SET secret_hash = $1, dedupe_seconds = 0, on_timeout = $2, version = version + 1",
            _HASH,
            on_timeout,
        )
        await house.slots.refresh()
        try:
            yield Lab(house, simulator, var, nursery)
        finally:
            await _look_at_journals(house)
            house.root.request_stop()
            with trio.move_on_after(20, shield=True) as patience:
                await house.ended.wait()
            nursery.cancel_scope.cancel()
        assert not patience.cancelled_caught, "the house did not stop"
