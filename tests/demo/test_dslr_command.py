"""The command for operators, run as they run it."""

import subprocess
import sys
from pathlib import Path

import trio

from tests.demo.server import Wire, serving


async def run(*arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "photochanger.demo.dslr", *map(str, arguments)]
    return await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False)


async def test_a_good_slot_and_a_refusing_one(jpeg: bytes, tmp_path: Path) -> None:
    photo, secret, saved = tmp_path / "in.jpg", tmp_path / "secret", tmp_path / "out.jpg"
    photo.write_bytes(jpeg)
    secret.write_text("пароль\n", "utf-8")

    async def handle(wire: Wire) -> None:
        _, body = await wire.request()
        if 'name="password"\r\n\r\nпароль\r\n'.encode() in body and b'name="survey1"\r\n\r\na=b\r\n' in body:
            await wire.reply("200 OK", jpeg, "X-Job-Id: 7", "X-PhotoChanger-Result: ai")
        else:
            await wire.reply("401 No", b'{"failure_reason": "invalid_credentials"}', "Content-Type: application/json")

    async with serving(handle) as base:
        good = await run(base, photo, "--password-file", secret, "--save", saved, "--field", "survey1=a=b")
        bad = await run(base, photo, "--save", tmp_path / "none.jpg")
    assert good.returncode == 0, good.stderr
    assert saved.read_bytes() == jpeg
    for word in (b"modified", b"200", b"elapsed", str(saved).encode(), b"ai", b"job      7"):
        assert word in good.stdout
    assert bad.returncode == 1
    assert b"original" in bad.stdout
    assert b"invalid_credentials" in bad.stdout
    assert not (tmp_path / "none.jpg").exists()


async def test_what_cannot_be_run(tmp_path: Path) -> None:
    missing = await run("http://127.0.0.1:1/", tmp_path / "none.jpg")
    assert (missing.returncode, missing.stdout) == (2, b"")
    assert b"none.jpg" in missing.stderr
    wrong = await run("ftp://127.0.0.1/", __file__)
    assert wrong.returncode == 2
    assert b"Traceback" not in wrong.stderr
