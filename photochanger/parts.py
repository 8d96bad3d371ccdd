"""What a house is made of: every part once, tied to those that it works with. The tree that runs is `app.py`."""

import logging
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import trio

from photochanger.accounts import throttle
from photochanger.accounts.audit import Audit
from photochanger.accounts.credentials import AccountBook
from photochanger.accounts.revoked import RevokedTokens
from photochanger.accounts.throttle import Throttle
from photochanger.accounts.tokens import Tokens
from photochanger.config import Config
from photochanger.db.facade import Db
from photochanger.db.service import DatabaseService
from photochanger.domain.breaker import Position
from photochanger.domain.budget import Level
from photochanger.domain.slot import Slot
from photochanger.errors import Problem
from photochanger.gallery.seals import Seals
from photochanger.ingest.nonces import Nonces
from photochanger.ingest.ratelimit import RateLimits
from photochanger.ingest.signature_check import SignatureCheck
from photochanger.jobs.activity import Activity
from photochanger.jobs.hedges import EarlyHedges
from photochanger.jobs.journal import Journal
from photochanger.jobs.lanes import Lanes
from photochanger.jobs.ledger import Ledger
from photochanger.jobs.reserve import Reserve
from photochanger.jobs.resume import Resumption
from photochanger.jobs.shelf import TemplateShelf
from photochanger.jobs.store import JobStore
from photochanger.jobs.workshop import Lifetimes, Workshop
from photochanger.media.caretaker import Caretaker
from photochanger.media.entries import rows_are_whole
from photochanger.media.filesystem import FilesystemStore
from photochanger.media.links import PublicLinks
from photochanger.media.retention import Retention
from photochanger.media.threads import PictureThreads
from photochanger.observability.metrics import Metrics
from photochanger.observability.state import HOUSE_SCOPE
from photochanger.providers.drivers import make_drivers
from photochanger.providers.group import ProviderGroup
from photochanger.providers.overrides import Overrides
from photochanger.providers.prices import load_prices
from photochanger.settings.book import SettingsBook
from photochanger.settings.house import HouseSettings
from photochanger.settings.ingest_password import IngestPassword
from photochanger.slots.check import check_slot
from photochanger.slots.house_key import derived, house_secret
from photochanger.slots.library import TemplateLibrary
from photochanger.slots.provider_keys import stored_keys
from photochanger.slots.snapshot import SlotBook
from photochanger.stats.rollup import Rollup
from photochanger.web import health, providers
from supervisors import Snapshot

log = logging.getLogger(__name__)


class Parts:
    """The parts of one house. What another part needs to know of them is handed over as a function."""

    def __init__(self, config: Config, db: Db, *, on_progress: Callable[[str], None] = log.info) -> None:
        self.config = config
        self.tree: Callable[[], Snapshot]
        """The live tree, told by whoever grows it from these parts."""
        self.draining = False
        self.ready = trio.Event()
        """Set once photos are taken."""

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
        whole = partial(rows_are_whole, config.journal_folder)
        self.retention = Retention(db, self.media, self.metrics, rows_are_whole=whole)
        self.caretaker = Caretaker(self.retention, enabled=lambda: self.settings.now.cleanup)
        self.prices = load_prices(config.prices_file)
        self.groups = {
            name: ProviderGroup(driver, live=config.provider_permits_live, late=config.provider_permits_late)
            for name, driver in make_drivers(config, self.pictures, self.prices).items()
        }
        self.secret = secret = house_secret(config.secrets_dir)
        self.settings = SettingsBook(db, HouseSettings.of(config))
        self.drivers = {name: group.driver for name, group in self.groups.items()}
        self.provider_keys = stored_keys(config, self.drivers, secret)
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
        self.throttle = Throttle(db, derived(secret, throttle.PURPOSE))
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
            lifetimes=Lifetimes(timedelta(hours=now.result_ttl_hours), now.original_ttl),
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
        self.metrics.watch(lambda: self.tree(), lambda: self.lanes.in_flight, lambda: self.journal.depth)
        self.metrics.watch_state(self.breakers, self.budgets)
        self.health = health.HealthCheck(
            db,
            self.media,
            lambda: self.tree(),
            lambda: self.draining,
            lambda: self.journal.depth,
            self.provider_views,
            self.providers_in_use,
            self.budgets,
        )
        self.rollup = Rollup(db, ready=self.is_ready, waiting=lambda: self.journal.depth)
        self.metrics.on_refusal = self.rollup.refusals.add
        self.templates = TemplateLibrary(
            db,
            self.media,
            self.pictures,
            max_pixels=config.max_pixels,
            record=self.audit.record_request,
            on_removed=self.workshop.templates.forget,
        )

    async def _use_settings(self, now: HouseSettings) -> None:
        """Have every part work by these settings. What is under way keeps those with which it began."""
        self.workshop.lifetimes.result = timedelta(hours=now.result_ttl_hours)
        self.workshop.lifetimes.original = now.original_ttl
        self.workshop.hedges.share = now.early_hedges
        self.ledger.cap_day_microusd = now.budget_day_microusd
        self.rates.set_house(now.rate_per_second, now.rate_burst)
        self.lanes.room = now.queue_max_in_flight_jobs
        for group in self.groups.values():
            group.permits.resize(now.provider_permits_live, now.provider_permits_late)
        await self.slots.use(t_sync=now.t_sync, t_late=now.t_late)

    def is_ready(self) -> bool:
        """Photos may be sent here."""
        return self.ready.is_set() and self.health.look().ready

    def check_slot(self, slot: Slot) -> list[Problem]:
        """Everything that keeps a slot from working in this house."""
        base_url, max_pixels = self.config.public_base_url, self.config.max_pixels
        return check_slot(slot, self.drivers, public_base_url=base_url, max_pixels=max_pixels)

    def provider_views(self) -> list[providers.ProviderView]:
        """How the providers are."""
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

    def breakers(self) -> dict[str, Position]:
        """Of each provider."""
        now = trio.current_time()
        return {name: group.breaker.state(now).state for name, group in self.groups.items()}

    def providers_in_use(self) -> set[str]:
        """Those that slots ask."""
        return {plan.provider for slot in self.slots.all() if slot.is_active for plan in slot.plans}

    def budgets(self) -> dict[str, Level]:
        """Today's money by slot id, HOUSE_SCOPE for the whole house."""
        return {HOUSE_SCOPE: self.ledger.level(None)} | {slot.id: self.ledger.level(slot) for slot in self.slots.all()}
