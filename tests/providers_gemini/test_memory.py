"""Memory does not grow with the photo. Measured as RSS of a fresh process that does nothing but call."""

import json
import os
import sys
from pathlib import Path

import trio

from photochanger.providers.gemini.driver import INLINE_LIMIT
from photochanger.providers.gemini.simulator import GeminiSimulator

CALLER = """
import json, sys, trio
from pathlib import Path
from photochanger.domain.outcome import Verdict
from photochanger.providers.base import Call, FileSlice, PreparedPhoto, TemplateImage
from photochanger.providers.gemini.driver import GeminiDriver
from photochanger.providers.http import tls_context

url, small, large, together = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
templates, limit = int(sys.argv[5]), int(sys.argv[6])
driver = GeminiDriver(None, ssl_context=tls_context(), base_url=url, inline_limit=limit)
settings = driver.parse_settings({"prompt": "x"})

def peak():
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024

async def call(path, number):
    size = path.stat().st_size
    photo = PreparedPhoto(path, "image/jpeg", 1, 1, [FileSlice(0, size)], size)
    out = path.with_name(f"out-{number}")
    beside = (TemplateImage("style", photo),) * templates
    outcome = await driver.call(Call(photo, "edit", settings, out, trio.current_time() + 60, beside))
    assert outcome.verdict is Verdict.PICTURE, outcome

async def main():
    for number in range(3):
        await call(small, number)
    before = peak()
    async with trio.open_nursery() as nursery:
        for number in range(together):
            nursery.start_soon(call, large, number)
    print(json.dumps({"megabytes": peak() - before}))

trio.run(main)
"""


async def _growth(
    nursery: trio.Nursery,
    tmp_path: Path,
    megabytes: int,
    together: int,
    templates: int = 0,
    limit: int = INLINE_LIMIT,
) -> float:
    """MB by which the peak grew over that of small calls made before."""
    simulator = GeminiSimulator(fixed_answer=os.urandom(1_000_000), delay=0.05)
    await nursery.start(simulator.run)
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(b"\xff\xd8\xff" + os.urandom(10_000))
    large.write_bytes(b"\xff\xd8\xff" + os.urandom(1_000_000) * megabytes)
    done = await trio.run_process(
        [sys.executable, "-c", CALLER, simulator.base_url, small, large, str(together), str(templates), str(limit)],
        capture_stdout=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    pictures = 1 + templates
    if limit == INLINE_LIMIT:
        assert simulator.calls[-1].request_bytes > pictures * megabytes * 1_300_000
    else:
        assert simulator.file_requests.count("upload") == pictures * (3 + together)
        assert simulator.files == {}
    return float(json.loads(done.stdout)["megabytes"])


async def test_one_photo_of_50_mb(nursery: trio.Nursery, tmp_path: Path) -> None:
    assert await _growth(nursery, tmp_path, 50, 1) < 4


async def test_ten_photos_of_15_mb_at_once(nursery: trio.Nursery, tmp_path: Path) -> None:
    assert await _growth(nursery, tmp_path, 15, 10) < 10 * 2.5


async def test_one_photo_with_three_templates(nursery: trio.Nursery, tmp_path: Path) -> None:
    assert await _growth(nursery, tmp_path, 15, 1, templates=3) < 4


async def test_one_photo_with_three_templates_by_file(nursery: trio.Nursery, tmp_path: Path) -> None:
    assert await _growth(nursery, tmp_path, 15, 1, templates=3, limit=1) < 4
