"""The composition root: the only place where the parts are tied together. Read top to bottom: it is the tree.

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
from datetime import timedelta
from functools import partial

import trio
from quart import Blueprint

from photochanger.accounts import routes as account_routes
from photochanger.accounts.audit import Audit
from photochanger.accounts.authenticator import TokenAuthenticator
from photochanger.accounts.credentials import AccountBook
from photochanger.accounts.login import Logins
from photochanger.accounts.revoked import RevokedTokens
from photochanger.accounts.sweep import Sweeper
from photochanger.accounts.throttle import Throttle
from photochanger.accounts.tokens import Tokens
from photochanger.config import Config
from photochanger.db.facade import Db
from photochanger.db.service import DatabaseService
from photochanger.domain.breaker import Position
from photochanger.domain.budget import Level
from photochanger.gallery import archives, cleanup, guests, moderation, pictures, public, share
from photochanger.gallery import links as link_routes
from photochanger.gallery import routes as gallery
from photochanger.gallery.addresses import Addresses
from photochanger.gallery.previews import Previews
from photochanger.gallery.results import Results
from photochanger.gallery.seals import Seals
from photochanger.ingest import routes as ingest_routes
from photochanger.ingest.nonces import Nonces
from photochanger.ingest.ratelimit import RateLimits
from photochanger.ingest.service import Ingest
from photochanger.ingest.signature_check import SignatureCheck
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
from photochanger.jobs.workshop import Lifetimes, Workshop, utc_now
from photochanger.media.caretaker import Caretaker
from photochanger.media.filesystem import FilesystemStore
from photochanger.media.links import PublicLinks
from photochanger.media.retention import Retention
from photochanger.media.room import Room
from photochanger.media.threads import PictureThreads
from photochanger.observability.metrics import Metrics
from photochanger.providers.drivers import make_drivers
from photochanger.providers.group import ProviderGroup
from photochanger.providers.overrides import Overrides
from photochanger.providers.prices import load_prices
from photochanger.settings import routes as settings_routes
from photochanger.settings.book import SettingsBook
from photochanger.settings.house import HouseSettings
from photochanger.settings.ingest_password import IngestPassword
from photochanger.settings.provider_keys import ProviderKeys
from photochanger.slots import preset_routes, template_routes
from photochanger.slots import routes as slot_routes
from photochanger.slots.check import check_slot
from photochanger.slots.desk import SlotDesk
from photochanger.slots.house_key import derived, house_secret
from photochanger.slots.library import TemplateLibrary
from photochanger.slots.passwords import fill_missing
from photochanger.slots.presets import Presets
from photochanger.slots.provider_keys import stored_keys
from photochanger.slots.showing import Showing
from photochanger.slots.snapshot import SlotBook
from photochanger.stats import routes as stats_routes
from photochanger.stats.answers import Answers, Now
from photochanger.stats.queries import Reader
from photochanger.stats.rollup import Rollup
from photochanger.web import address, guard, health, providers
from photochanger.web.app import App, create_app
from photochanger.web.docs import routes as contract_routes
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
        self.retention = Retention(db, self.media, self.metrics, rows_are_whole=lambda: self.journal.depth == 0)
        self.caretaker = Caretaker(self.retention, enabled=lambda: self.settings.now.cleanup)
        self.prices = load_prices(config.prices_file)
        self.groups = {
            name: ProviderGroup(driver, live=config.provider_permits_live, late=config.provider_permits_late)
            for name, driver in make_drivers(config, self.pictures, self.prices).items()
        }
        self._secret = secret = house_secret(config.secrets_dir)
        self.settings = SettingsBook(db, HouseSettings.of(config))
        drivers = {name: group.driver for name, group in self.groups.items()}
        self.provider_keys = stored_keys(config, drivers, secret)
        self.settings.watch(self.provider_keys.apply)
        self.settings.subscribe(self._use_settings)
        self.ingest_password = IngestPassword(db, config.ingest_password)
        self.accounts = AccountBook(config.secrets_dir)
        signing_keys = [key.encode() for key in config.jwt_signing_keys] or [derived(secret, "tokens")]
        self.tokens = Tokens(self.accounts, signing_keys, life=config.jwt_life_hours * 3600)
        self.revoked = RevokedTokens(db)
        self.tokens.revoked = self.revoked.__contains__
        self.audit = Audit(db)
        self.accounts.on_change = self.audit.account_changed
        self.throttle = Throttle(db, derived(secret, "throttle"))
        self.links = PublicLinks(config.public_base_url, secret)
        self.seals = Seals(secret)
        now = self.settings.now
        self.ledger = Ledger(cap_day_microusd=now.budget_day_microusd)
        self.workshop = Workshop(
            store=self.store,
            media=self.media,
            pictures=self.pictures,
            groups=self.groups,
            metrics=self.metrics,
            activity=Activity(),
            ledger=self.ledger,
            hedges=EarlyHedges(now.early_hedges),
            reserve=Reserve(self.pictures, config.reserve),
            templates=TemplateShelf(self.media),
            publisher=self.links,
            has_public_address=config.public_base_url is not None,
            lifetimes=Lifetimes(timedelta(hours=now.result_ttl_hours)),
            max_pixels=config.max_pixels,
        )
        self.slots = SlotBook(db, t_sync=now.t_sync, t_late=now.t_late)
        self.rates = RateLimits(now.rate_per_second, now.rate_burst)
        self.nonces = Nonces(db)
        self.signatures = SignatureCheck(secret, self.nonces)
        self.overrides = Overrides(db, {name: group.breaker for name, group in self.groups.items()})
        self.lanes = Lanes(room=now.queue_max_in_flight_jobs)
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
        self.rollup = Rollup(db, ready=self._is_ready, waiting=lambda: self.journal.depth)
        self.metrics.on_refusal = self.rollup.refusals.add
        self.templates = TemplateLibrary(
            db,
            self.media,
            self.pictures,
            max_pixels=config.max_pixels,
            record=self.audit.record,
            on_removed=self.workshop.templates.forget,
        )
        self.app = self._web()
        self.server = Server(self.app, host=config.host, port=config.port, drain_grace=4.0)

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

    def _web(self) -> App:
        app = create_app()
        address.trust(app, self.config.trusted_proxies)
        guard.install(app, TokenAuthenticator(self.tokens))
        ingest = Ingest(
            find_slot=self.slots.find,
            lanes=self.lanes,
            workshop=self.workshop,
            room=Room(self.media),
            twins=Twins(self.db, self.media),
            rates=self.rates,
            signatures=self.signatures,
            upload_timeout=self.config.upload_timeout,
            reserve=self.config.reserve,
            draining=lambda: self.draining,
        )
        app.register_blueprint(ingest_routes.blueprint(ingest))
        self._register_slots(app)
        app.register_blueprint(gallery.blueprint(self.db))
        self._register_gallery(app)
        app.register_blueprint(self._account_routes())
        app.register_blueprint(link_routes.blueprint(self.links))
        app.register_blueprint(providers.blueprint(self._providers))
        app.register_blueprint(stats_routes.blueprint(self._statistics()))
        app.register_blueprint(health.blueprint(self.health, self.metrics))
        keys = ProviderKeys(self.db, self.provider_keys)
        app.register_blueprint(
            settings_routes.blueprint(self.db, self.settings, keys, self.ingest_password, self.audit.record)
        )
        app.register_blueprint(contract_routes.blueprint(app))
        return app

    async def _use_settings(self, now: HouseSettings) -> None:
        """Have every part work by these settings. What is under way keeps those with which it began."""
        self.workshop.lifetimes.result = timedelta(hours=now.result_ttl_hours)
        self.workshop.hedges.share = now.early_hedges
        self.ledger.cap_day_microusd = now.budget_day_microusd
        self.rates.set_house(now.rate_per_second, now.rate_burst)
        self.lanes.room = now.queue_max_in_flight_jobs
        for group in self.groups.values():
            group.permits.resize(now.provider_permits_live, now.provider_permits_late)
        await self.slots.use(t_sync=now.t_sync, t_late=now.t_late)

    def _register_slots(self, app: App) -> None:
        drivers = {name: group.driver for name, group in self.groups.items()}
        base_url = self.config.public_base_url
        check = partial(check_slot, drivers=drivers, public_base_url=base_url, max_pixels=self.config.max_pixels)
        desk = SlotDesk(
            db=self.db,
            check=check,
            defaults=lambda: (self.settings.now.t_sync, self.settings.now.t_late),
            default_password_hash=self.ingest_password.for_new_slots,
            record=self.audit.record,
            refresh=self.slots.refresh,
            secret=self._secret,
        )
        showing = Showing(drivers, base_url)
        app.register_blueprint(slot_routes.blueprint(desk, showing))
        app.register_blueprint(preset_routes.blueprint(Presets(self.db, check), desk, showing))
        app.register_blueprint(template_routes.blueprint(self.templates, desk, showing))

    def _statistics(self) -> Answers:
        now = Now(
            slots=self.slots.all,
            lanes=self.lanes.statistics,
            in_flight=lambda: self.lanes.in_flight,
            late=lambda: self.lanes.late,
            draining=lambda: self.draining,
            database_available=lambda: self.db.state.available,
            journal=lambda: self.journal.depth,
            level=self.ledger.level,
            providers=self._providers,
        )
        return Answers(Reader(self.db), now)

    def _is_ready(self) -> bool:
        return self.ready.is_set() and self.health.look().ready

    def _register_gallery(self, app: App) -> None:
        db, media, find_slot = self.db, self.media, self.slots.find
        results, addresses = Results(db, self.retention), Addresses(self.config.public_base_url)
        for routes in (
            pictures.blueprint(results, Previews(db, media, self.pictures), media),
            public.blueprint(db, find_slot, self.seals),
            share.blueprint(db, find_slot, self.slots.all, self.seals, addresses, self.audit.record),
            guests.blueprint(db, results, media, self.seals, addresses),
            moderation.blueprint(db, self.audit.record),
            archives.blueprint(db, media),
            cleanup.blueprint(db, self.retention, self.audit.record),
        ):
            app.register_blueprint(routes)

    def _account_routes(self) -> Blueprint:
        https = (self.config.public_base_url or "").startswith("https:")
        logins = Logins(self.accounts, self.throttle, self.audit)
        return account_routes.blueprint(self.accounts, self.tokens, logins, self.revoked, self.audit, https=https)

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
