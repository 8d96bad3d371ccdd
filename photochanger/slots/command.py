"""`photochanger slot` and `photochanger template`: looking at slots and changing them from a terminal.

Each function does one command and returns what to print. What can be expected to fail is raised, in sentences for
people; of a slot that cannot work all problems are told (SlotInvalid).
"""

import json
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn

import trio

from photochanger.config import Config
from photochanger.db.facade import Db
from photochanger.db.running import running_db
from photochanger.errors import ConfigError, PictureError
from photochanger.media.filesystem import FilesystemStore
from photochanger.media.threads import PictureThreads
from photochanger.providers.drivers import make_drivers
from photochanger.slots.change import Check, apply_change, read_slot
from photochanger.slots.check import check_slot
from photochanger.slots.house_key import house_secret
from photochanger.slots.provider_keys import stored_keys
from photochanger.slots.rows import SELECT, slot_of
from photochanger.slots.templates import add_template, bind, unbind

BY: Final = "command line"
"""Who the journal says it was: a terminal asks for no name."""


async def show_slot(config: Config, slot_id: str) -> str:
    """The slot as a JSON document that can be edited and given back."""
    async with _database(config) as db:
        return json.dumps(await read_slot(db, slot_id), ensure_ascii=False, indent=2)


async def set_slot(config: Config, slot_id: str, path: Path) -> str:
    """Change the slot as the JSON document at `path` says, whole or not at all."""
    change = await trio.to_thread.run_sync(_read_document, path)
    async with _database(config) as db:
        check = await _check(config, db)
        t_sync, t_late = config.t_sync, config.t_late
        slot = await apply_change(db, slot_id, change, check, t_sync=t_sync, t_late=t_late, by=BY)
    return f"{slot_id} is at version {slot.version}; a running service knows it at once."


async def generation_of(config: Config, slot_id: str) -> int:
    """The slot's signing_generation. Raises Refusal(SLOT_NOT_FOUND), and DatabaseUnavailable when nobody answers."""
    async with _database(config) as db:
        generation: int = (await read_slot(db, slot_id))["signing_generation"]
        return generation


async def add_slot_template(config: Config, path: Path, slot_id: str, role: str, position: int | None) -> str:
    """Keep the picture at `path` and bind it to the slot; also says what keeps the slot from working then."""
    async with _database(config) as db:
        await read_slot(db, slot_id)  # before anything is kept for a slot that is not there
        media = FilesystemStore(config.media_root)
        try:
            made = await add_template(db, media, PictureThreads(), path, path.name, max_pixels=config.max_pixels)
        except PictureError as error:
            raise ConfigError(f"{path.name}: {error.detail}") from None
        await bind(db, slot_id, made["id"], role, position, by=BY)
        row = await db.fetchrow(SELECT + " AND id = $1", slot_id)
        check = await _check(config, db)
    return _said(config, check, row, f"template {made['id']} travels with every photo of {slot_id} now, as {role}.")


async def remove_slot_template(config: Config, slot_id: str, position: int) -> str:
    """Unbind what is at `position`; also says what keeps the slot from working then."""
    async with _database(config) as db:
        template_id, _ = await unbind(db, slot_id, position, by=BY)
        row = await db.fetchrow(SELECT + " AND id = $1", slot_id)
        check = await _check(config, db)
    return _said(config, check, row, f"template {template_id} travels with {slot_id} no more.")


def _said(config: Config, check: Check, row: Mapping[str, Any] | None, said: str) -> str:
    problems = check(slot_of(row, t_sync=config.t_sync, t_late=config.t_late)) if row else []
    return "\n".join([said, *(f"Still wrong in {row['id']}: {problem}" for problem in problems if row)])


def _database(config: Config) -> AbstractAsyncContextManager[Db]:
    return running_db(config.database_url, config.database_schema, config.database_folder)


async def _check(config: Config, db: Db) -> Check:
    """`check_slot` with the drivers that a service with this configuration has, and the keys that they are shown."""
    drivers = make_drivers(config, PictureThreads())
    secret = await trio.to_thread.run_sync(house_secret, config.secrets_dir)
    await stored_keys(config, drivers, secret).load(db)
    return partial(
        check_slot,
        drivers=drivers,
        public_base_url=config.public_base_url,
        max_pixels=config.max_pixels,
    )


def _read_document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number)
    except OSError as error:
        raise ConfigError(f"{path.name} cannot be read: {error.strerror}") from None
    except ValueError as error:  # of JSON, and of bytes that are no UTF-8
        raise ConfigError(f"{path.name} is not a JSON document: {error}") from None
    if not isinstance(document, dict):
        raise ConfigError(f'{path.name} must be an object, as in {{"permits": 3}}')
    return document


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON's")
