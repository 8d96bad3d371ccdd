"""The tree of a house, and its life. Read top to bottom: `parts.py` makes the parts, `site.py` the routes.

root                 one_for_one, started in this order, stopped backwards
├─ accounts          who may administrate, from a file that is watched
├─ database          embedded PostgreSQL (when DATABASE_URL is empty) → migrations → pool
├─ journal           rows that PostgreSQL could not take
├─ settings          what administrators have set, and providers' keys; refreshed on change
├─ recovery          what a crash left behind; once
├─ revoked           tokens that were given back, on whatever process
├─ accounts sweep    old failed logins, expired tokens, old events: removed
├─ slots             snapshots of the slots, refreshed on change
├─ overrides         breakers that an operator keeps open or closed
├─ nonces            signed requests that were used
├─ providers         one group per provider
├─ resumption        what a provider went on with while we were gone; once
├─ lanes             one lane per slot; jobs run beneath
├─ health            looks at the disk now and then
├─ statistics        counts what has ended, every few seconds
├─ caretaker         removes what has expired
├─ templates         removes the files of deleted ones
└─ web               Hypercorn + Quart-Trio
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import trio

from photochanger.accounts.sweep import Sweeper
from photochanger.config import Config
from photochanger.db.facade import Db
from photochanger.jobs.recover import recover
from photochanger.jobs.workshop import utc_now
from photochanger.parts import Parts
from photochanger.site import site
from photochanger.slots.passwords import fill_missing
from photochanger.web.serving import Server
from supervisors import Child, Supervisor

log = logging.getLogger(__name__)

DRAIN_MARGIN = 5.0
"""Seconds beyond the longest window that held photos get to leave before the tree is stopped."""


class House(Parts):
    """One running service. `run` is its life; `begin_drain` is how it ends well."""

    def __init__(self, config: Config, db: Db, *, on_progress: Callable[[str], None] = log.info) -> None:
        super().__init__(config, db, on_progress=on_progress)
        self.ended = trio.Event()
        self._drain = trio.Event()
        self._patience = trio.CancelScope()
        started = utc_now()
        self.app = site(self)
        self.server = Server(self.app, host=config.host, port=config.port, drain_grace=4.0)

        async def run_recovery(*, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
            await self.media.open()
            self.resumption.left = await recover(db, self.workshop, before=started)
            await self.ledger.load(db)
            await fill_missing(db, self.ingest_password.for_slots)
            task_status.started()

        groups = Supervisor(
            "providers",
            [
                Child(name, group.run, park=True, on_parked=group.on_parked, mailboxes=(group.admission,))
                for name, group in self.groups.items()
            ],
        )
        lanes = self.lanes.supervisor
        self.providers = groups
        self.root = Supervisor(
            "root",
            [
                Child("accounts", self.accounts.run),
                Child("database", self.database.run, start_timeout=300.0, grace=25.0),
                Child("journal", self.store.run, start_timeout=300.0),
                Child("settings", self.settings.run),
                Child("recovery", run_recovery, restart="transient", start_timeout=300.0),
                Child("revoked", self.revoked.run),
                Child("accounts sweep", Sweeper([self.throttle.sweep, self.revoked.sweep, self.audit.sweep]).run),
                Child("slots", self.slots.run),
                Child("overrides", self.overrides.run),
                Child("nonces", self.nonces.run),
                Child("providers", groups.run, request_stop=groups.request_stop, supervisor=groups),
                Child("resumption", self.resumption.run, restart="transient", park=True),
                Child("lanes", lanes.run, request_stop=lanes.request_stop, supervisor=lanes, grace=10.0),
                Child("health", self.health.run),
                Child("statistics", self.rollup.run, park=True),
                Child("caretaker", self.caretaker.run),
                Child("templates", self.templates.run),
                Child("web", self.server.run, request_stop=self.server.request_stop, grace=15.0),
            ],
        )
        self.tree = self.root.snapshot

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Start the tree, serve until `begin_drain` (or cancellation), let held photos finish, stop backwards."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._drain_then_stop)
            try:
                await self.root.run(task_status=_Ready(self.ready, task_status))
            finally:
                self.ended.set()
            nursery.cancel_scope.cancel()
        if not self.ready.is_set():
            task_status.started()  # told to stop while it was starting: that is an end, not a failure

    def begin_drain(self) -> None:
        """Take no new photos, finish those that are held, then stop. Synchronous; a second call changes nothing."""
        self.draining = True
        self._drain.set()

    def cut_short(self) -> None:
        """Give up the held photos too: they settle as `timeout`, possibly billed, and their booths hear so."""
        self.begin_drain()
        self._patience.cancel()

    async def _drain_then_stop(self) -> None:
        await self._drain.wait()
        log.info("draining: %d photos in flight", self.lanes.in_flight)
        self.server.begin_drain()
        longest = max((slot.t_sync for slot in self.slots.all()), default=self.settings.now.t_sync)
        # A photo may have been taken in when windows were longer.
        last = max(trio.current_time() + longest, self.slots.held_until)
        self._patience.deadline = last + DRAIN_MARGIN
        with self._patience:
            await self.lanes.wait_idle()
        if self._patience.cancelled_caught:
            log.warning("%d photos are given up", self.lanes.in_flight)
            self.lanes.cancel_all()
            with trio.move_on_after(DRAIN_MARGIN):
                await self.lanes.wait_idle()
        self.root.request_stop()


@dataclass(frozen=True, slots=True)
class _Ready:
    """Passes "started" on and remembers it."""

    event: trio.Event
    task_status: trio.TaskStatus[None]

    def started(self, value: object = None) -> None:
        self.event.set()
        self.task_status.started()
