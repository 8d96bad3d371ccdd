"""The search for secrets finds them: wherever they stand, however they are written, in a real run."""

import base64
import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.lab.leaks.finder import SHORTEST, Finder, forms
from tests.lab.process import ROOT

SECRET = "correct horse battery staple"
KEY = bytes(range(200, 232))

HEAD = """
import base64
import logging

import httpx

from photochanger.accounts.credentials import Account, AccountBook
from photochanger.accounts.tokens import Tokens
from photochanger.config import Config
from photochanger.domain.passwords import hash_password
from photochanger.slots.house_key import house_secret
from tests.lab.leaks.sink import written

log = logging.getLogger("photochanger.planted")
SWORDFISH, HORSE, AIZA = "swordfish" * 2, "horse-battery", "AIza-not-a-real-one"


def token(folder):
    tokens = Tokens(AccountBook(folder), [b"0123456789abcdef" * 2], life=60)
    return tokens.give(Account("anna", hash_password("another password", rounds=4), frozenset()))[0]


def get(answer):
    with httpx.Client(transport=httpx.MockTransport(lambda request: answer)) as client:
        client.get("http://x/y")


def test_innocent(tmp_path):
    token(tmp_path)
    log.info("the token was given")
"""

PLACES = {
    "password_in_a_debug_record": ("a password", "hash_password(SWORDFISH, rounds=4); log.debug('%s', SWORDFISH)"),
    "token_in_a_warning": ("a token", "log.warning('who is %s', token(tmp_path))"),
    "token_cut": ("a token", "log.info('…%s', token(tmp_path)[-43:])"),
    "house_key_in_hex": ("the house's key", "log.info(house_secret(tmp_path).hex())"),
    "house_key_in_base64": ("the house's key", "log.info(base64.b64encode(house_secret(tmp_path)).decode())"),
    "configured": ("a secret of the configuration", "Config(gemini_api_key=AIZA); log.error(AIZA)"),
    "address": (
        "a secret of the configuration",
        "Config(database_url=f'postgresql://u:{HORSE}@h/d'); log.info(HORSE)",
    ),
    "traceback": (
        "a token",
        "try:\n        raise ValueError(token(tmp_path))\n    except ValueError:\n        log.exception('failed')",
    ),
    "row": ("a token", "written('row of ' + token(tmp_path), 'a row of audit_event')"),
    "error_body": (
        "a token",
        "kind = {'content-type': 'application/problem+json'}\n"
        "    get(httpx.Response(400, json={'detail': token(tmp_path)}, headers=kind))",
    ),
    "metrics": ("a token", "get(httpx.Response(200, text=token(tmp_path)))"),
}
"""What a test may let slip: its kind as it is told at the end, and the code."""


@pytest.mark.parametrize("secret", [SECRET, "пароль-пароль", KEY, b"key-of-ascii-bytes"], ids=repr)
def test_every_form_is_found_at_every_place(secret: str | bytes) -> None:
    finder = Finder()
    for number in range(300):
        finder.add(f"another secret {number:05}", "another")
    finder.add(secret, "it")
    assert len(forms(secret)) >= 3
    for form in forms(secret):
        if len(form) < SHORTEST:
            continue
        for before in range(20):
            assert finder.find("x" * before + form + "yz") == {"it"}, (form, before)
            assert finder.find("x" * before + form[:-1]) == set()


def test_what_is_looked_for() -> None:
    raw = "пароль, пароль".encode()
    assert {raw.decode(), json.dumps(raw.decode())[1:-1], quote(raw), repr(raw)[2:-1]} <= forms(raw.decode())
    assert any(base64.b64encode(raw + b" and more").decode().startswith(form) for form in forms(raw.decode()))
    assert {KEY.hex(), KEY.hex().upper()} <= forms(KEY)


def test_short_ones_are_left_out() -> None:
    finder = Finder()
    finder.add("secret", "it")
    assert finder.find("no secret here") == set()


@pytest.mark.parametrize("processes", [0, 2])
def test_planted_secrets_fail_the_run_and_name_their_tests(tmp_path: Path, processes: int) -> None:
    tests = [f"\ndef test_{name}(tmp_path):\n    {code}\n" for name, (_, code) in PLACES.items()]
    status, output = run(tmp_path, *tests, processes=processes)
    assert f"{len(PLACES) + 1} passed" in output, output
    assert status == 1, output
    found = [line for line in output.splitlines() if line.startswith("SECRET ")]
    told = [re.match(r"SECRET \S+::test_(\w+): (.+) stands in ", line) for line in found]
    assert sorted(each.groups() for each in told if each) == sorted((name, kind) for name, (kind, _) in PLACES.items())
    assert all(told)
    for secret in ("swordfish", "AIza", "eyJ", "horse"):
        assert secret not in "".join(found)


def test_without_one_the_run_is_fine(tmp_path: Path) -> None:
    status, output = run(tmp_path)
    assert (status, "SECRET" in output) == (0, False), output


def run(folder: Path, *tests: str, processes: int = 0) -> tuple[int, str]:
    """A run of pytest over such tests, with the search as in every run."""
    path = folder / "test_of_the_search.py"
    path.write_text(HEAD + "\n".join(tests), encoding="utf-8")
    options = ["-q", "-p", "tests.conftest", f"--rootdir={folder}", "-c/dev/null"]
    options += [each for name in ("cacheprovider", "schemathesis", "hypothesispytest") for each in ("-p", f"no:{name}")]
    command = [sys.executable, "-m", "pytest", f"-n{processes}", *options, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr
