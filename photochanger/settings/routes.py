"""`/api/settings`: what applies in the house, providers' keys, the default ingest password, the journal."""

from collections.abc import Awaitable, Callable
from typing import Any

from quart import Blueprint, Response, request

from photochanger.db.facade import Db
from photochanger.domain.permission import Permission
from photochanger.domain.reasons import Reason
from photochanger.settings.book import SettingsBook
from photochanger.settings.change import change_house, wish_of
from photochanger.settings.ingest_password import IngestPassword
from photochanger.settings.journal import ChangePlace, place_of, read_changes
from photochanger.settings.provider_keys import ProviderKeys
from photochanger.settings.views import (
    KeyCheckIn,
    KeyCheckView,
    NewIngestPasswordView,
    ProviderKeyIn,
    ProviderKeyView,
    SettingsChangesQuery,
    SettingsChangesView,
    SettingsIn,
    SettingsView,
    change_view,
    key_view,
    plain,
    settings_view,
)
from photochanger.web.contract import contract, json_body
from photochanger.web.guard import caller
from photochanger.web.inputs import read_json, read_query, required_version
from photochanger.web.outputs import answer
from photochanger.web.paging import page_of, read_cursor
from photochanger.web.problems import here

Record = Callable[..., Awaitable[None]]
"""Writes a security event down, whoever has gone meanwhile: `record(action, actor=, subject=, detail=)`."""

_ETAG = {"ETag": "The version of the settings."}


def blueprint(db: Db, book: SettingsBook, keys: ProviderKeys, password: IngestPassword, record: Record) -> Blueprint:
    """The routes of the settings."""
    routes = Blueprint("settings", __name__)

    def view() -> SettingsView:
        return settings_view(book, {name: keys.stored.in_use(name) for name in keys.stored.drivers})

    async def note(action: str, subject: str | None = None, **detail: Any) -> None:
        await record(f"settings.{action}", actor=caller().username, subject=subject, detail=detail or None)

    @routes.get("/api/settings")
    @contract(
        "The settings: what applies, what the environment says, what may be set.",
        tag="settings",
        access=Permission.SETTINGS_READ,
        responses={200: [json_body(SettingsView)]},
        problems=(Reason.DATABASE_UNAVAILABLE,),
        headers={200: _ETAG},
    )
    async def get_settings() -> Response:
        await book.refresh()  # the rows, not what another process may have changed a moment ago
        return answer(view(), version=book.row("house").version)

    @routes.put("/api/settings")
    @contract(
        "Change settings, in every process at once; photos in flight keep those under which they were taken in.",
        tag="settings",
        access=Permission.SETTINGS_WRITE,
        request=json_body(SettingsIn),
        responses={200: [json_body(SettingsView)]},
        problems=(Reason.DATABASE_UNAVAILABLE,),
        headers={200: _ETAG},
        versioned=True,
    )
    async def put_settings() -> Response:
        seen = required_version(request)
        wish = wish_of(await read_json(request, dict[str, Any]))
        row, changed = await change_house(db, wish, book.defaults, by=caller().username, version=seen)
        if changed:
            await note("changed", fields=sorted(wish.values.keys() | wish.reset), version=row.version)
        await book.took(row)
        return answer(view(), version=row.version)

    @routes.get("/api/settings/changes")
    @contract(
        "Who has changed what, newest first.",
        tag="settings",
        access=Permission.SETTINGS_READ,
        query=SettingsChangesQuery,
        responses={200: [json_body(SettingsChangesView)]},
        problems=(Reason.DATABASE_UNAVAILABLE,),
    )
    async def get_changes() -> Response:
        query = read_query(request, SettingsChangesQuery)
        after = read_cursor(query.cursor, ChangePlace)
        found = await read_changes(db, key=query.key, after=after, limit=query.limit + 1)
        rows, meta = page_of(found, query.limit, place_of)
        return answer(SettingsChangesView([change_view(row) for row in rows], meta))

    @routes.put("/api/settings/provider-keys/<provider>")
    @contract(
        "Store a provider's key; calls that begin from now on show it.",
        tag="settings",
        access=Permission.SETTINGS_WRITE,
        request=json_body(ProviderKeyIn),
        responses={200: [json_body(ProviderKeyView)]},
        problems=(Reason.NOT_FOUND, Reason.DATABASE_UNAVAILABLE),
    )
    async def put_provider_key(provider: str) -> Response:
        given = await read_json(request, ProviderKeyIn)
        row = await keys.store(provider, plain(given.key), by=caller().username)
        await note("provider_key_stored", provider)
        await book.took(row)
        return answer(key_view(row, keys.stored.in_use(provider)))

    @routes.delete("/api/settings/provider-keys/<provider>")
    @contract(
        "Forget a provider's stored key; the environment's is used again.",
        tag="settings",
        access=Permission.SETTINGS_WRITE,
        responses={200: [json_body(ProviderKeyView)]},
        problems=(Reason.NOT_FOUND, Reason.DATABASE_UNAVAILABLE),
    )
    async def delete_provider_key(provider: str) -> Response:
        row, removed = await keys.remove(provider, by=caller().username)
        if removed:
            await note("provider_key_removed", provider)
        await book.took(row)
        return answer(key_view(row, keys.stored.in_use(provider)))

    @routes.post("/api/settings/provider-keys/<provider>/check")
    @contract(
        "Try a provider's key: the given one, or that in use. It costs nothing.",
        tag="settings",
        access=Permission.SETTINGS_WRITE,
        request=json_body(KeyCheckIn, required=False),
        responses={200: [json_body(KeyCheckView)]},
        problems=(Reason.NOT_FOUND,),
    )
    async def check_provider_key(provider: str) -> Response:
        given = await read_json(request, KeyCheckIn) if await request.get_data() else KeyCheckIn()
        key = plain(given.key) if isinstance(given.key, str) else None
        found, took = await keys.check(provider, key)
        await note("provider_key_checked", provider, verdict=found.verdict, given=key is not None)
        return answer(KeyCheckView(found.verdict == "accepted", found.verdict, here(found.detail), took))

    @routes.post("/api/settings/ingest-password")
    @contract(
        "Make a new default ingest password. Slots without one get it, no other changes; it is shown this once.",
        tag="settings",
        access=Permission.SETTINGS_WRITE,
        responses={200: [json_body(NewIngestPasswordView)]},
        problems=(Reason.DATABASE_UNAVAILABLE,),
    )
    async def renew_ingest_password() -> Response:
        made, row, filled = await password.renew(by=caller().username)
        await note("ingest_password_made", filled=filled)
        await book.took(row)
        return answer(NewIngestPasswordView(made, filled, row.updated_at, row.updated_by))

    return routes
