"""A change of a slot is taken whole or not at all, by a real PostgreSQL."""

import json
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pytest
import trio

from photochanger.config import Config
from photochanger.db.facade import Db
from photochanger.domain.reasons import Reason
from photochanger.domain.slot import Plan, Slot
from photochanger.errors import Problem, Refusal, SlotInvalid
from photochanger.media.threads import PictureThreads
from photochanger.providers.drivers import make_drivers
from photochanger.slots.change import apply_change, read_slot
from photochanger.slots.check import check_slot
from photochanger.slots.fields import FIELDS
from photochanger.slots.snapshot import SlotBook
from tests.db.rest import count_becomes
from tests.lab.waiting import until

HASH = "$2b$04$never-to-be-shown"
HOUSE: Any = {"t_sync": 40.0, "t_late": 90.0}
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
LOCAL: dict[str, Any] = {"provider": "local", "operation": "look", "settings": {"look": "mono"}}


def checking() -> Callable[[Slot], list[Problem]]:
    made = make_drivers(Config(gemini_api_key="key"), PictureThreads())
    drivers = {name: made[name] for name in ("gemini", "local")}
    return partial(check_slot, drivers=drivers, public_base_url=None, max_pixels=100_000_000)


CHECK = checking()


@pytest.fixture
async def rows(db: Db) -> Db:
    """A database whose slot-001 works as it is."""
    await db.execute(
        "UPDATE slot SET provider = 'gemini', operation = 'edit', settings = $2, secret_hash = $3 WHERE id = $1",
        "slot-001",
        {"prompt": "Paint it"},
        HASH,
    )
    return db


async def change(db: Db, document: Any, slot_id: str = "slot-001") -> Slot:
    return await apply_change(db, slot_id, document, CHECK, **HOUSE, by="serg")


async def refused(db: Db, document: Any) -> list[str]:
    """What is told of a change that cannot be; nothing of it may be in the row."""
    before = await read_slot(db, "slot-001")
    with pytest.raises(SlotInvalid) as refusal:
        await change(db, document)
    assert await read_slot(db, "slot-001") == before
    assert refusal.value.slot_id == "slot-001"
    return [str(problem) for problem in refusal.value.problems]


async def test_fields_are_merged_into_the_row(rows: Db) -> None:
    before = await read_slot(rows, "slot-001")
    slot = await change(rows, {"fallbacks": [LOCAL], "t_sync": 30, "output": "crop", "budget_day_microusd": 5_000_000})
    after = await read_slot(rows, "slot-001")
    assert after == before | {
        "version": before["version"] + 1,
        "fallbacks": [LOCAL],
        "t_sync": 30,
        "output": "crop",
        "budget_day_microusd": 5_000_000,
    }
    assert (slot.version, slot.t_sync, slot.t_late, slot.output) == (after["version"], 30.0, 90.0, "crop")
    assert slot.fallbacks == (Plan("local", "look", {"look": "mono"}),)
    book = SlotBook(rows, **HOUSE)
    await book.refresh()
    assert book.find("slot-001") == slot


async def test_only_the_one_slot_is_changed_and_its_time_with_it(rows: Db) -> None:
    before = await rows.fetch("SELECT * FROM slot ORDER BY id")
    await change(rows, {"permits": 5})
    after = await rows.fetch("SELECT * FROM slot ORDER BY id")
    assert after[1:] == before[1:]
    assert after[0]["updated_at"] > before[0]["updated_at"]
    assert (after[0]["permits"], after[0]["secret_hash"]) == (5, HASH)


async def test_null_leaves_it_to_the_house(rows: Db) -> None:
    assert (await change(rows, {"t_sync": 20, "t_late": 0})).t_sync == 20
    slot = await change(rows, {"t_sync": None, "t_late": None})
    assert (slot.t_sync, slot.t_late) == (40.0, 90.0)
    assert (await read_slot(rows, "slot-001"))["t_sync"] is None


async def test_what_is_shown_can_be_edited_and_given_back(rows: Db) -> None:
    document = json.loads(json.dumps(await read_slot(rows, "slot-001")))
    assert set(FIELDS) < set(document)
    assert HASH not in json.dumps(document)
    assert document["has_password"] is True
    same = await change(rows, document)
    assert same.version == document["version"]  # nothing was changed, so this is no new version
    assert (await change(rows, document | {"permits": 3})).version == document["version"] + 1
    assert await refused(rows, document | {"permits": 4}) == [
        f"version: the slot was changed meanwhile, it is at version {document['version'] + 1} now: look again"
    ]


async def test_what_cannot_be_changed_here(rows: Db) -> None:
    for field, value in (("id", "slot-002"), ("has_password", False)):
        assert await refused(rows, {field: value}) == [f"{field}: cannot be changed here"]
    for field in ("secret_hash", "archived_at", "colour", "t_sync_seconds", "", "permits = 9, version", "x" * 5000):
        assert await refused(rows, {field: "x"}) == [f"{field[:60]}: there is no such field"]


async def test_the_signing_generation_may_only_rise(rows: Db) -> None:
    version = (await read_slot(rows, "slot-001"))["version"]
    slot = await change(rows, {"signing_generation": 3})
    assert (slot.signing_generation, slot.version) == (3, version + 1)
    assert (await change(rows, {"signing_generation": 3})).version == version + 1
    for older in (2, 0, -1):
        assert await refused(rows, {"signing_generation": older}) == [
            "signing_generation: may only rise, it is 3 now: a key that was replaced stays worthless"
        ]
    assert await refused(rows, {"signing_generation": 2**31}) == [
        "signing_generation: must be from 1 to 2000000000, not 2147483648"
    ]


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"permits": "3"}, "permits: must be a whole number, not text"),
        ({"permits": None}, "permits: must be a whole number, not null"),
        ({"permits": 2.5}, "permits: must be a whole number, not a number"),
        ({"permits": True}, "permits: must be a whole number, not true or false"),
        ({"permits": 10**30}, "permits: must be from 1 to 100, not " + "1" + "0" * 30),
        ({"hedge": 1}, "hedge: must be true or false, not a whole number"),
        ({"t_sync": "48"}, "t_sync: must be a whole number or null, not text"),
        ({"t_sync": 9}, "t_sync: must be from 10 to 60, not 9"),
        ({"settings": []}, "settings: must be an object in braces, not a list in brackets"),
        ({"settings": {"prompt": "a\0b"}}, "settings: contains the character NUL, which cannot be stored"),
        ({"settings": {"prompt": "\ud800"}}, "settings: is not valid Unicode text"),
        ({"on_timeout": "never"}, "on_timeout: must be one of drop, store, poll, not 'never'"),
        ({"output": 1}, "output: must be text, not a whole number"),
        ({"provider": "a b"}, "provider: must be a plain name: letters, digits and . _ : / -"),
        ({"operation": "edit\0"}, "operation: must be a plain name: letters, digits and . _ : / -"),
        ({"provider": "nobody"}, "provider: there is no provider 'nobody' (gemini, local)"),
        ({"fallbacks": {}}, "fallbacks: must be a list in brackets, not an object in braces"),
        ({"fallbacks": [LOCAL, 1]}, "fallbacks[1]: must be an object in braces, not a whole number"),
        ({"fallbacks": [{"provider": "local"}]}, "fallbacks[0].operation: is missing"),
        ({"fallbacks": [LOCAL | {"x": 1}]}, "fallbacks[0].x: there is no such field"),
        ({"fallbacks": [LOCAL, LOCAL]}, "fallbacks[1]: this plan is there already: asking the same again helps nobody"),
        (
            {"output": "fit", "output_width": 900},
            "output_height: give both sides, or neither for the shape of the photo that was sent",
        ),
    ],
)
async def test_a_wrong_field_is_told_and_nothing_is_changed(rows: Db, document: Any, problem: str) -> None:
    assert await refused(rows, {"mailbox": 4} | document) == [problem]


async def test_all_that_is_wrong_is_told_at_once(rows: Db) -> None:
    found = await refused(rows, {"colour": 1, "hedge": 1, "permits": 0, "fallbacks": [LOCAL | {"provider": "nobody"}]})
    assert [text.split(":")[0] for text in found] == ["colour", "hedge", "fallbacks[0].provider", "permits"]


async def test_a_wrong_value_is_not_judged_by_the_old_one(rows: Db) -> None:
    """The row holds a plan that cannot work; a change that would mend it but is mistyped is told of the typing only."""
    await rows.execute("UPDATE slot SET settings = '{}' WHERE id = 'slot-001'")
    assert await refused(rows, {"settings": 1}) == ["settings: must be an object in braces, not a whole number"]
    assert (await change(rows, {"settings": {"prompt": "Paint it"}})).settings == {"prompt": "Paint it"}


async def test_text_that_only_looks_like_nul_is_kept(rows: Db) -> None:
    slot = await change(rows, {"settings": {"prompt": "a\\u0000b \\\\u0000 \u2603"}})
    assert slot.settings["prompt"] == "a\\u0000b \\\\u0000 \u2603"
    assert (await read_slot(rows, "slot-001"))["settings"] == dict(slot.settings)


async def test_a_slot_that_is_not_there(rows: Db) -> None:
    await rows.execute("UPDATE slot SET archived_at = now() WHERE id = 'slot-002'")
    for slot_id in ("slot-002", "slot-999", "", "' OR 1=1 --", "slot-001\0"):
        with pytest.raises(Refusal) as refusal:
            await change(rows, {"permits": 3}, slot_id)
        expected = Reason.NOT_POSSIBLE_NOW if slot_id == "slot-002" else Reason.SLOT_NOT_FOUND
        assert refusal.value.reason is expected
        with pytest.raises(Refusal):
            await read_slot(rows, slot_id)


async def test_changes_at_the_same_time_lose_nothing(rows: Db) -> None:
    """Each is made of what the one before has left, also where one field is made of several changes' parts."""
    before = (await read_slot(rows, "slot-001"))["version"]
    documents: list[dict[str, Any]] = [
        {"permits": 7},
        {"mailbox": 9},
        {"jpeg_quality": 80},
        {"t_sync": 33},
        {"output": "fit"},
        {"hedge": False},
    ]
    async with trio.open_nursery() as nursery:
        for document in documents:
            nursery.start_soon(change, rows, document)
    after = await read_slot(rows, "slot-001")
    assert after["version"] == before + len(documents)
    for document in documents:
        assert after.items() >= document.items()


async def test_of_two_who_looked_at_the_same_version_one_is_told(rows: Db) -> None:
    """Both are under way before either is through: the row is held until both wait for it."""
    version = (await read_slot(rows, "slot-001"))["version"]
    told: list[str] = []

    async def try_to(document: dict[str, Any]) -> None:
        try:
            await change(rows, document | {"version": version})
        except SlotInvalid as refusal:
            told.append(str(refusal.problems[0]))

    async with trio.open_nursery() as nursery, rows.transaction() as holding:
        await holding.execute("SELECT id FROM slot WHERE id = 'slot-001' FOR UPDATE")
        nursery.start_soon(try_to, {"permits": 7})
        nursery.start_soon(try_to, {"mailbox": 9})
        await count_becomes(rows, 2, WAITING)
    assert told == [f"version: the slot was changed meanwhile, it is at version {version + 1} now: look again"]
    after = await read_slot(rows, "slot-001")
    assert after["version"] == version + 1
    assert (after["permits"] == 7) is not (after["mailbox"] == 9)


async def test_a_running_service_hears_of_it(rows: Db, nursery: trio.Nursery) -> None:
    book = SlotBook(rows, **HOUSE)
    await nursery.start(book.run)
    heard = trio.Event()

    async def listen(slots: Iterable[Slot]) -> None:
        if next(iter(slots)).permits == 11:
            heard.set()

    book.on_change = listen
    await change(rows, {"permits": 11})
    with trio.fail_after(20):  # long before the half minute after which it would look by itself
        await heard.wait()
    nursery.cancel_scope.cancel()


async def test_who_follows_the_slots_hears_of_a_change_although_telling_was_cut_short(rows: Db) -> None:
    book = SlotBook(rows, **HOUSE)
    await book.refresh()
    heard: list[int] = []
    trouble: Exception | None = None

    async def listen(slots: Iterable[Slot]) -> None:
        if not heard:
            heard.append(0)
            if trouble is not None:
                raise trouble
            await trio.sleep_forever()
        heard.append(next(iter(slots)).permits)

    book.on_change = listen
    await change(rows, {"permits": 11})
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(book.refresh)
            await until(lambda: bool(heard))
            scope.cancel()
    assert heard == [0]
    await book.refresh()
    await book.refresh()
    assert heard == [0, 11]
    heard, trouble = [], RuntimeError("a lane cannot be opened")
    await change(rows, {"permits": 12})
    with pytest.raises(RuntimeError):
        await book.refresh()
    await book.use(t_sync=HOUSE["t_sync"], t_late=HOUSE["t_late"])
    assert heard == [0, 12]


async def test_a_change_is_in_the_journal_with_who_made_it(rows: Db) -> None:
    version = (await change(rows, {"permits": 5, "t_sync": 30})).version
    await change(rows, {"permits": 5})
    journal = await rows.fetch("SELECT * FROM slot_change")
    assert [(row["slot_id"], row["version"], row["action"], row["changed_by"]) for row in journal] == [
        ("slot-001", version, "changed", "serg")
    ]
    assert (journal[0]["before"], journal[0]["after"]) == ({"permits": 2, "t_sync": None}, {"permits": 5, "t_sync": 30})
    await refused(rows, {"permits": 0})
    assert len(await rows.fetch("SELECT * FROM slot_change")) == 1
