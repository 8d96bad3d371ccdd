"""Slot passwords: bcrypt once, then a digest; nothing is let in without one."""

from dataclasses import replace

import bcrypt
import pytest
import trio

from photochanger.domain.passwords import hash_password
from photochanger.domain.slot import Slot
from photochanger.ingest.access import CAPACITY, REMEMBER, REMEMBER_WRONG, PasswordCheck


@pytest.fixture
def slot() -> Slot:
    return Slot("slot-001", 1, "gemini", "edit", secret_hash=hash_password("верно", rounds=4))


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every real bcrypt check that is made."""
    made: list[bytes] = []
    real = bcrypt.checkpw

    def counted(password: bytes, stored: bytes) -> bool:
        made.append(stored)
        return real(password, stored)

    monkeypatch.setattr("photochanger.domain.passwords.bcrypt.checkpw", counted)
    return made


async def test_a_right_password_is_hashed_once(slot: Slot, checks: list[bytes], autojump_clock: None) -> None:
    access = PasswordCheck()
    for _ in range(20):
        assert await access.allows(slot, "верно")
    assert len(checks) == 1
    await trio.sleep(REMEMBER + 1)
    assert await access.allows(slot, "верно")
    assert len(checks) == 2


async def test_a_wrong_one_is_remembered_for_a_shorter_time(
    slot: Slot, checks: list[bytes], autojump_clock: None
) -> None:
    access = PasswordCheck()
    for _ in range(20):
        assert not await access.allows(slot, "мимо")
    assert len(checks) == 1
    await trio.sleep(REMEMBER_WRONG + 1)
    assert not await access.allows(slot, "мимо")
    assert len(checks) == 2


async def test_a_rotated_password_is_unknown_at_once(slot: Slot, checks: list[bytes]) -> None:
    access = PasswordCheck()
    assert await access.allows(slot, "верно")
    rotated = replace(slot, version=2, secret_hash=hash_password("новый", rounds=4))
    assert not await access.allows(rotated, "верно")
    assert await access.allows(rotated, "новый")


async def test_no_password_on_either_side_lets_nobody_in(slot: Slot, checks: list[bytes]) -> None:
    access = PasswordCheck()
    assert not await access.allows(slot, None)
    assert not await access.allows(slot, "")
    assert not await access.allows(replace(slot, secret_hash=None), "")
    assert not await access.allows(replace(slot, secret_hash="not bcrypt"), "верно")


async def test_long_passwords_differ_in_every_byte(checks: list[bytes]) -> None:
    slot = Slot("slot-001", 1, "gemini", "edit", secret_hash=hash_password("x" * 100 + "a", rounds=4))
    access = PasswordCheck()
    assert not await access.allows(slot, "x" * 100 + "b")
    assert await access.allows(slot, "x" * 100 + "a")


async def test_what_is_remembered_is_bounded(slot: Slot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("photochanger.ingest.access.check_password", lambda *_: False)
    access = PasswordCheck()
    for number in range(CAPACITY + 10):
        await access.allows(slot, str(number))
    assert len(access._known) == CAPACITY
