"""The web application of a house: which routes there are, and what each of them works with."""

from collections.abc import Iterator

from quart import Blueprint

from photochanger.accounts import routes as account_routes
from photochanger.accounts.authenticator import TokenAuthenticator
from photochanger.accounts.login import Logins
from photochanger.gallery import archives, cleanup, guests, moderation, pictures, public, share
from photochanger.gallery import links as link_routes
from photochanger.gallery.addresses import Addresses
from photochanger.gallery.previews import Previews
from photochanger.gallery.results import Results
from photochanger.history import routes as history
from photochanger.ingest import routes as ingest_routes
from photochanger.ingest import trial_routes
from photochanger.ingest.admission import Admission
from photochanger.ingest.service import Ingest
from photochanger.ingest.trials import Trials
from photochanger.jobs.twins import Twins
from photochanger.media.room import Room
from photochanger.parts import Parts
from photochanger.settings import routes as settings_routes
from photochanger.settings.provider_keys import ProviderKeys
from photochanger.slots import preset_routes, template_routes
from photochanger.slots import routes as slot_routes
from photochanger.slots.desk import SlotDesk
from photochanger.slots.presets import Presets
from photochanger.slots.showing import Showing
from photochanger.stats import routes as stats_routes
from photochanger.stats.answers import Answers, Now
from photochanger.stats.queries import Reader
from photochanger.web import address, guard, health, providers
from photochanger.web.app import App, create_app
from photochanger.web.docs import routes as contract_routes


def site(house: Parts) -> App:
    """All routes over the parts of `house`."""
    app = create_app()
    address.trust(app, house.config.trusted_proxies)
    guard.install(app, TokenAuthenticator(house.tokens))
    for routes in (
        *_booths(house),
        *_history(house),
        *_gallery(house),
        *_slots(house),
        _settings(house),
        stats_routes.blueprint(_statistics(house)),
        _accounts(house),
        providers.blueprint(house.provider_views),
        health.blueprint(house.health, house.metrics),
        contract_routes.blueprint(app),
    ):
        app.register_blueprint(routes)
    return app


def _booths(house: Parts) -> Iterator[Blueprint]:
    """Photos in, and tests of how a slot is set up: through the same admission."""
    config, room = house.config, Room(house.media)
    admission = Admission(house.rates, house.ledger, house.lanes)
    ingest = Ingest(
        find_slot=house.slots.find,
        admission=admission,
        workshop=house.workshop,
        room=room,
        twins=Twins(house.db, house.media),
        signatures=house.signatures,
        upload_timeout=config.upload_timeout,
        reserve=config.reserve,
        draining=lambda: house.draining,
    )
    trials = Trials(
        house.db,
        house.slots.find,
        admission,
        house.workshop,
        room,
        house.check_slot,
        house.audit.record_request,
        upload_timeout=config.upload_timeout,
        reserve=config.reserve,
        draining=lambda: house.draining,
    )
    yield ingest_routes.blueprint(ingest)
    yield trial_routes.blueprint(trials)
    yield link_routes.blueprint(house.links)


def _history(house: Parts) -> Iterator[Blueprint]:
    yield history.blueprint(
        house.db,
        house.media,
        house.lanes,
        result_ttl=lambda: house.workshop.result_ttl,
        record=house.audit.record_request,
        resumed=house.resumption.follows,
    )


def _gallery(house: Parts) -> Iterator[Blueprint]:
    db, media, find_slot, record = house.db, house.media, house.slots.find, house.audit.record_request
    results = Results(db, house.retention, cleaning=lambda: house.settings.now.cleanup)
    addresses = Addresses(house.config.public_base_url)
    yield pictures.blueprint(results, Previews(db, media, house.pictures), media)
    yield public.blueprint(db, find_slot, house.seals)
    yield share.blueprint(db, find_slot, house.slots.all, house.seals, addresses, record)
    yield guests.blueprint(db, results, media, house.seals, addresses)
    yield moderation.blueprint(db, record)
    yield archives.blueprint(db, media)
    yield cleanup.blueprint(db, house.retention, record)


def _slots(house: Parts) -> Iterator[Blueprint]:
    desk = SlotDesk(
        db=house.db,
        check=house.check_slot,
        defaults=lambda: (house.settings.now.t_sync, house.settings.now.t_late),
        default_password=house.ingest_password.for_slots,
        record=house.audit.record_request,
        refresh=house.slots.refresh,
        secret=house.secret,
    )
    showing = Showing(house.drivers, house.config.public_base_url)
    yield slot_routes.blueprint(desk, showing)
    yield preset_routes.blueprint(Presets(house.db, house.check_slot), desk, showing)
    yield template_routes.blueprint(house.templates, desk, showing)


def _settings(house: Parts) -> Blueprint:
    keys = ProviderKeys(house.db, house.provider_keys)
    return settings_routes.blueprint(house.db, house.settings, keys, house.ingest_password, house.audit.record_request)


def _statistics(house: Parts) -> Answers:
    now = Now(
        slots=house.slots.all,
        lanes=house.lanes.statistics,
        in_flight=lambda: house.lanes.in_flight,
        late=lambda: house.lanes.late,
        draining=lambda: house.draining,
        database_available=lambda: house.db.state.available,
        journal=lambda: house.journal.depth,
        level=house.ledger.level,
        providers=house.provider_views,
    )
    return Answers(Reader(house.db), now)


def _accounts(house: Parts) -> Blueprint:
    https = (house.config.public_base_url or "").startswith("https:")
    logins = Logins(house.accounts, house.throttle, house.audit)
    return account_routes.blueprint(house.accounts, house.tokens, logins, house.revoked, house.audit, https=https)
