"""The bench measures what it says: the floor does its work, the load sends what it claims, the numbers are right."""

import base64
import json
import os
from pathlib import Path

import pytest
import trio

from photochanger.media.vips import Image
from tests.demo.server import Wire, serving
from tests.lab.bench import load, measure
from tests.lab.bench.photos import SALT
from tests.lab.bench.probe import lags_between
from tests.lab.bench.report import Figure, ratio_figure, stage_table, table, value_figure
from tests.lab.bench.targets import start_floor
from tests.lab.bench.workers import WorkerDied, worker
from tests.lab.pictures import photo, salted


@pytest.fixture
def shot(tmp_path: Path) -> dict[str, object]:
    data = salted(photo(300, 200), SALT.decode())
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    return {"photo": str(path), "salt_at": data.index(SALT)}


def goal(port: int) -> dict[str, object]:
    return {"port": port, "path": "/api/ingest/{slot}", "password": "geheim"}


async def test_every_posted_photo_is_whole_and_another_one(shot: dict[str, object]) -> None:
    seen: list[bytes] = []

    async def handle(wire: Wire) -> None:
        head, body = await wire.request()
        assert head.startswith(b"POST /api/ingest/slot-0")
        assert b'name="password"\r\n\r\ngeheim\r\n' in body
        assert not wire.data
        seen.append(body[body.index(b"\xff\xd8\xff") : body.rindex(b"\r\n--")])
        await wire.reply("200 OK", seen[-1])

    async with serving(handle) as base:
        targets = [goal(int(base.rpartition(":")[2]))]
        turns = await trio.to_thread.run_sync(load.answer, {"kind": "in_turn", "targets": targets, "rounds": 3, **shot})
        crowd = await trio.to_thread.run_sync(
            load.answer, {"kind": "crowd", "targets": targets, "booths": 4, "duration": 0.2, **shot}
        )
    assert turns["targets"][0]["failures"] == crowd["failures"] == []
    assert len(turns["targets"][0]["seconds"]) == 3
    assert 4 <= len(crowd["seconds"]) == len(crowd["ends"]) == len(seen) - 3
    assert len(set(seen)) == len(seen)
    original = salted(photo(300, 200), SALT.decode())
    for data in seen[:3]:
        Image.jpegload_buffer(data, fail_on="warning").avg()
        assert sum(one != other for one, other in zip(data, original, strict=True)) <= 32


@pytest.mark.parametrize("status", ["401 Unauthorized", "500 Oops"])
async def test_failures_are_told(status: str, shot: dict[str, object]) -> None:
    async def handle(wire: Wire) -> None:
        await wire.request()
        await wire.reply(status, b"")

    async with serving(handle) as base:
        question = {"kind": "in_turn", "targets": [goal(int(base.rpartition(":")[2]))], "rounds": 1, **shot}
        told = await trio.to_thread.run_sync(load.answer, question)
    assert told["targets"][0]["failures"] == [f"status {status[:3]}"]
    assert told["targets"][0]["seconds"] == []


async def test_the_floor_posts_what_it_received_and_returns_what_it_got(
    shot: dict[str, object], tmp_path: Path
) -> None:
    picture = photo(200, 300)
    posted: list[bytes] = []

    async def provider(wire: Wire) -> None:
        body = json.loads(await wire.body(await wire.head()))
        posted.append(base64.b64decode(body["contents"][0]["parts"][0]["inlineData"]["data"]))
        answer = {
            "candidates": [{"content": {"parts": [{"inlineData": {"data": base64.b64encode(picture).decode()}}]}}]
        }
        await wire.reply("200 OK", json.dumps(answer).encode())

    async with (
        serving(provider) as base,
        start_floor("floor", int(base.rpartition(":")[2]), tmp_path) as floor,
        worker("load", log=tmp_path / "load.log", environment=os.environ) as loader,
    ):
        told = await loader.ask(kind="in_turn", targets=[floor.goal], rounds=2, **shot)
        gets = await loader.ask(kind="gets", port=floor.port, path="/healthz", seconds=0.1, interval=0.01)
        await floor.worker.ask(longest_side=100)
        small = await loader.ask(kind="in_turn", targets=[floor.goal], rounds=1, **shot)
        stages = await floor.stages()
    assert told["targets"][0]["failures"] == small["targets"][0]["failures"] == gets["failures"] == []
    assert len(gets["seconds"]) > 1
    assert stages == {}
    first, second, shrunk = posted
    assert first != second
    assert b'name="password"' in first
    assert first.count(b"\xff\xd8\xff") == 1
    assert Image.jpegload_buffer(shrunk).width == 100
    assert not list((tmp_path / "floor-spool").iterdir())
    assert len(lags_between(floor.probe, 0, float("inf"))) % 50 == 0


async def test_the_provider_counts_and_changes_its_delay(tmp_path: Path, shot: dict[str, object]) -> None:
    picture = tmp_path / "answer.jpg"
    picture.write_bytes(photo(200, 300))
    arguments = ["--picture", str(picture), "--delay", "0"]
    async with (
        worker("provider", *arguments, log=tmp_path / "provider.log", environment=os.environ) as provider,
        start_floor("floor", provider.ready["port"], tmp_path) as floor,
    ):
        question = {"kind": "in_turn", "targets": [floor.goal], "rounds": 2, **shot}
        await trio.to_thread.run_sync(load.answer, dict(question))
        slower = await provider.ask(delay=0.3)
        told = await trio.to_thread.run_sync(load.answer, dict(question))
        assert (await provider.ask())["requests"] == slower["requests"] + 2 == 4
    assert min(told["targets"][0]["seconds"]) >= 0.3


async def test_a_dead_process_says_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(WorkerDied, match="required"):
        async with worker("provider", log=tmp_path / "provider.log", environment=os.environ):
            raise AssertionError("it cannot start")


def test_percentiles_are_of_the_sorted_values() -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert measure.percentile(values, 50) == 51
    assert measure.percentile(values, 99) == 100
    assert measure.percentile([7.0], 99) == 7
    with pytest.raises(ValueError, match="nothing"):
        measure.percentile([], 50)


def test_memory_peak_is_kept_by_the_kernel() -> None:
    pid = os.getpid()
    measure.forget_memory_peak(pid)
    before = measure.memory_now(pid)
    block = bytearray(b"x" * 60_000_000)
    del block
    assert measure.memory_peak(pid) - before > 50
    measure.forget_memory_peak(pid)
    assert measure.memory_peak(pid) - measure.memory_now(pid) < 20


def test_stages_are_differences_of_sums() -> None:
    text = (
        'photochanger_stage_seconds_bucket{le="0.1",stage="verify"} 3.0\n'
        'photochanger_stage_seconds_count{stage="verify"} %s\nphotochanger_stage_seconds_sum{stage="verify"} %s\n'
    )
    before, after = measure.stages(text % (2.0, 0.5)), measure.stages(text % (6.0, 0.9))
    assert after == {"verify": (0.9, 6.0)}
    assert measure.stage_means(before, after)["verify"] == pytest.approx(0.1)
    assert measure.stage_means(after, after) == {}
    assert "verify" in stage_table({"1 MB": {"verify": 0.1}})
    assert "no stage times" in stage_table({"1 MB": {}})


def test_a_bound_is_kept_or_missed() -> None:
    assert ratio_figure("a", "ms", 14, 10, at_most=1.4).kept is True
    assert ratio_figure("b", "ms", 15, 10, at_most=1.4).kept is False
    assert ratio_figure("c", "/s", 8, 10, at_least=0.85).kept is False
    assert value_figure("d", "ms", 21, 50, at_most=20).kept is False
    assert Figure("e", "MB", 1, 0).kept is None
    text = table([ratio_figure("b", "ms", 15, 10, at_most=1.4), Figure("e", "MB", 1, 0)], ("service", "floor"))
    assert "1.50  ≤ 1.4  MISS  b" in text
    assert text.splitlines()[2].split() == ["-", "e", "1.00", "0.00", "MB"]
