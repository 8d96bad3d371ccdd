"""The composition root: the only place where the parts are tied together. Read top to bottom: it is the tree.

root                 one_for_one, started in this order, stopped backwards
├─ accounts          who may administrate, from a file that is watched
├─ database          embedded PostgreSQL (when DATABASE_URL is empty) → migrations → pool
├─ journal           rows that PostgreSQL could not take
├─ recovery          what a crash left behind; once
├─ slots             snapshots of the slots, refreshed on change
├─ overrides         breakers that an operator keeps open or closed
├─ nonces            signed requests that were used
├─ providers         one group per provider
├─ resumption        what a provider went on with while we were gone; once
├─ lanes             one lane per slot; jobs run beneath
├─ health            looks at the disk now and then
└─ web               Hypercorn + Quart-Trio
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import trio

from photochanger.accounts.authenticator import TokenAuthenticator
from photochanger.accounts.credentials import AccountBook
from photochanger.accounts.tokens import Tokens
from photochanger.config import Config
from photochanger.db.facade import Db
from photochanger.db.service import DatabaseService
from photochanger.domain.breaker import Position
from photochanger.domain.budget import Level
from photochanger.domain.slot import Slot
from photochanger.errors import Problem
from photochanger.gallery import links as link_routes
from photochanger.gallery import routes as gallery
from photochanger.history import routes as history
from photochanger.ingest import routes as ingest_routes
from photochanger.ingest import trial_routes
from photochanger.ingest.admission import Admission
from photochanger.ingest.nonces import Nonces
from photochanger.ingest.ratelimit import RateLimits
from photochanger.ingest.service import Ingest
from photochanger.ingest.signature_check import SignatureCheck
from photochanger.ingest.trials import Trials
from photochanger.jobs.activity import Activity
from photochanger.jobs.hedges import EarlyHedges
from photochanger.jobs.journal import Journal
from photochanger.jobs.lanes import Lanes
from photochanger.jobs.ledger import Ledger
from photochanger.jobs.recover import recover
from photochanger.jobs.reserve import Reserve
from photochanger.jobs.resume import Resumption
from photochanger.jobs.shelf import TemplateShelf
from photochanger.jobs.store import JobStore
from photochanger.jobs.twins import Twins
from photochanger.jobs.workshop import Workshop, utc_now
from photochanger.media.filesystem import FilesystemStore
from photochanger.media.links import PublicLinks
from photochanger.media.room import Room
from photochanger.media.threads import PictureThreads
from photochanger.observability.metrics import Metrics
from photochanger.providers.drivers import make_drivers
from photochanger.providers.group import ProviderGroup
from photochanger.providers.overrides import Overrides
from photochanger.providers.prices import load_prices
from photochanger.slots.check import check_slot
from photochanger.slots.house_key import derived, house_secret
from photochanger.slots.passwords import fill_missing
from photochanger.slots.snapshot import SlotBook
from photochanger.web import contract_routes, guard, health, providers
from photochanger.web.app import App, create_app
from photochanger.web.serving import Server
from supervisors import Child, Supervisor

log = logging.getLogger(__name__)

DRAIN_MARGIN = 5.0
"""Seconds beyond the longest window that held photos get to leave before the tree is stopped."""


class House:
    """One running service. `run` is its life; `begin_drain` is how it ends well."""

    def __init__(self, config: Config, db: Db, *, on_progress: Callable[[str], None] = log.info) -> None:
        self.config = config
        self.draining = False
        self.ready = trio.Event()
        self.ended = trio.Event()
        self._drain = trio.Event()
        self._patience = trio.CancelScope()
        started = utc_now()

        self.db = db
        self.database = DatabaseService(
            db,
            url=config.database_url,
            schema=config.database_schema,
            embedded_folder=config.database_folder,
            progress=on_progress,
        )
        self.metrics = Metrics()
        self.media = FilesystemStore(config.media_root)
        self.pictures = PictureThreads()
        self.journal = Journal(config.journal_folder)
        self.store = JobStore(db, self.journal)
        self.prices = load_prices(config.prices_file)
        self.groups = {
            name: ProviderGroup(driver, live=config.provider_permits_live, late=config.provider_permits_late)
            for name, driver in make_drivers(config, self.pictures, self.prices).items()
        }
        secret = house_secret(config.secrets_dir)
        self.accounts = AccountBook(config.secrets_dir)
        signing_keys = [key.encode() for key in config.jwt_signing_keys] or [derived(secret, "tokens")]
        self.tokens = Tokens(self.accounts, signing_keys, life=config.jwt_life_hours * 3600)
        self.links = PublicLinks(config.public_base_url, secret)
        cap = config.budget_day_usd
        self.ledger = Ledger(cap_day_microusd=None if cap is None else round(cap * 1_000_000))
        self.workshop = Workshop(
            store=self.store,
            media=self.media,
            pictures=self.pictures,
            groups=self.groups,
            metrics=self.metrics,
            activity=Activity(),
            ledger=self.ledger,
            hedges=EarlyHedges(config.early_hedges),
            reserve=Reserve(self.pictures, config.reserve),
            templates=TemplateShelf(self.media),
            publisher=self.links,
            has_public_address=config.public_base_url is not None,
            result_ttl=timedelta(hours=config.result_ttl_hours),
            max_pixels=config.max_pixels,
            original_ttl=lambda: timedelta(hours=config.original_ttl_hours),
        )
        self.slots = SlotBook(db, t_sync=config.t_sync, t_late=config.t_late)
        self.nonces = Nonces(db)
        self.signatures = SignatureCheck(secret, self.nonces)
        self.overrides = Overrides(db, {name: group.breaker for name, group in self.groups.items()})
        self.lanes = Lanes(room=config.queue_max_in_flight_jobs)
        self.slots.on_change = self.lanes.update
        self.resumption = Resumption(db, self.workshop, self.slots.find)
        self.metrics.watch(lambda: self.root.snapshot(), lambda: self.lanes.in_flight, lambda: self.journal.depth)
        self.metrics.watch_state(self._breakers, self._budgets)
        self.health = health.HealthCheck(
            db,
            self.media,
            lambda: self.root.snapshot(),
            lambda: self.draining,
            lambda: self.journal.depth,
            self._providers,
            self._providers_in_use,
            self._budgets,
        )
        self.server = Server(self._web(), host=config.host, port=config.port, drain_grace=4.0)

        async def run_recovery(*, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
            await self.media.open()
            self.resumption.left = await recover(db, self.workshop, before=started)
            await self.ledger.load(db)
            if config.ingest_password:
                await fill_missing(db, config.ingest_password)
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
                Child("recovery", run_recovery, restart="transient", start_timeout=300.0),
                Child("slots", self.slots.run),
                Child("overrides", self.overrides.run),
                Child("nonces", self.nonces.run),
                Child("providers", groups.run, request_stop=groups.request_stop, supervisor=groups),
                Child("resumption", self.resumption.run, restart="transient", park=True),
                Child("lanes", lanes.run, request_stop=lanes.request_stop, supervisor=lanes, grace=10.0),
                Child("health", self.health.run),
                Child("web", self.server.run, request_stop=self.server.request_stop, grace=15.0),
            ],
        )

    def _web(self) -> App:
        app = create_app()
        guard.install(app, TokenAuthenticator(self.tokens))
        room = Room(self.media)
        rates = RateLimits(self.config.rate_per_second, self.config.rate_burst)
        admission = Admission(rates, self.ledger, self.lanes)
        ingest = Ingest(
            find_slot=self.slots.find,
            admission=admission,
            workshop=self.workshop,
            room=room,
            twins=Twins(self.db, self.media),
            signatures=self.signatures,
            upload_timeout=self.config.upload_timeout,
            reserve=self.config.reserve,
            draining=lambda: self.draining,
        )
        app.register_blueprint(ingest_routes.blueprint(ingest))
        trials = Trials(
            self.db,
            self.slots.find,
            admission,
            self.workshop,
            room,
            self._check_slot,
            self._record,
            upload_timeout=self.config.upload_timeout,
            reserve=self.config.reserve,
            draining=lambda: self.draining,
        )
        app.register_blueprint(trial_routes.blueprint(trials))
        app.register_blueprint(
            history.blueprint(
                self.db,
                self.media,
                self.lanes,
                result_ttl=lambda: self.workshop.result_ttl,
                record=self._record,
            )
        )
        app.register_blueprint(gallery.blueprint(self.db, self.media))
        app.register_blueprint(link_routes.blueprint(self.links))
        app.register_blueprint(providers.blueprint(self._providers))
        app.register_blueprint(health.blueprint(self.health, self.metrics))
        app.register_blueprint(contract_routes.blueprint(app))
        return app

    def _providers(self) -> list[providers.ProviderView]:
        now = trio.current_time()
        return [
            providers.provider_view(
                name,
                group.breaker.state(now),
                group.admission.statistics(),
                group.latencies(),
                now=now,
                missing=group.driver.missing,
                prices_as_of=self.prices.as_of if name != "local" else None,
            )
            for name, group in self.groups.items()
        ]

    def _check_slot(self, slot: Slot) -> list[Problem]:
        drivers = {name: group.driver for name, group in self.groups.items()}
        return check_slot(slot, drivers, public_base_url=self.config.public_base_url, max_pixels=self.config.max_pixels)

    async def _record(self, action: str, **details: object) -> None:
        log.info("%s %s", action, details)

    def _breakers(self) -> dict[str, Position]:
        now = trio.current_time()
        return {name: group.breaker.state(now).state for name, group in self.groups.items()}

    def _providers_in_use(self) -> set[str]:
        return {plan.provider for slot in self.slots.all() if slot.is_active for plan in slot.plans}

    def _budgets(self) -> dict[str, Level]:
        return {"house": self.ledger.level(None)} | {slot.id: self.ledger.level(slot) for slot in self.slots.all()}

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
        longest = max((slot.t_sync for slot in self.slots.all()), default=self.config.t_sync)
        self._patience.deadline = trio.current_time() + longest + DRAIN_MARGIN
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
