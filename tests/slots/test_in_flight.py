"""Settings that change while a photo is at work: it keeps those that it came under, the next one has the new."""

from pathlib import Path
from typing import Any

import trio

from photochanger.demo.dslr import Shot
from tests.house.policy import FLASH, LITE, LOCAL
from tests.house.shared import without_hedges
from tests.lab import pictures
from tests.lab.house import running_house
from tests.lab.waiting import until
from tests.slots.asking import change, shown

SLOT = "slot-007"


def painted(prompt: str, model: str) -> dict[str, Any]:
    return {"provider": "gemini", "operation": "edit", "settings": {"prompt": prompt, "model": model}}


async def test_a_photo_keeps_the_settings_that_it_came_under(tmp_path: Path, postgres_url: str) -> None:
    async with running_house(tmp_path, postgres_url) as lab:
        await without_hedges(lab)
        assert (await change(lab, SLOT, painted("In oil", FLASH) | {"jpeg_quality": 90})).status_code == 200
        version, calls = (await shown(lab, SLOT))["version"], len(lab.simulator.calls)
        shots: list[Shot] = []

        async def one(number: int) -> None:
            shots.append(await lab.shoot(pictures.photo(64 + number, 48), slot=SLOT))

        lab.simulator.scenario("slow(3)", "slow(3)")
        async with trio.open_nursery() as booth:
            booth.start_soon(one, 0)
            await until(lambda: len(lab.simulator.calls) == calls + 1 and bool(lab.simulator.calls[-1].prompt))
            changed = await change(lab, SLOT, painted("In chalk", LITE) | {"permits": 3}, version=version)
            assert (changed.status_code, changed.json()["version"], shots) == (200, version + 1, [])
            booth.start_soon(one, 1)
            await until(lambda: len(lab.simulator.calls) == calls + 2 and bool(lab.simulator.calls[-1].prompt))
            assert (await change(lab, SLOT, LOCAL, version=version + 1)).json()["version"] == version + 2
            assert shots == []
            await one(2)
            assert len(shots) == 1, "it need not wait for those before it"
        assert [(shot.status, shot.header("x-photochanger-result")) for shot in shots] == [
            (200, "local"), (200, "ai"), (200, "ai")
        ]  # fmt: skip
        newest, *others = [await lab.job(shot.header("x-job-id")) for shot in shots]
        first, second = sorted(others, key=lambda job: job["created_at"])
        assert [job["slot_version"] for job in (first, second, newest)] == [version, version + 1, version + 2]
        models = [[each["model"] for each in await lab.attempts(job["id"])] for job in (first, second, newest)]
        assert models == [[FLASH], [LITE], ["sepia"]]
        assert [(call.prompt, call.model) for call in list(lab.simulator.calls)[calls:]] == [
            ("In oil", FLASH), ("In chalk", LITE)
        ]  # fmt: skip
        await lab.rest()
