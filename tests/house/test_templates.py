"""A slot's templates travel behind the guest's photo, in their order; one that is gone is said, and nothing is paid."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from photochanger.media.prepare import as_it_came
from photochanger.media.probe import probe
from photochanger.slots.templates import add_template, bind
from tests.house.given import GivenAnswers, with_picture
from tests.house.shared import SharedHouse, shared_house
from tests.lab import pictures
from tests.lab.house import Lab
from tests.lab.process import ROOT, environment
from tests.postgres import PostgresServer


@pytest.fixture(scope="module")
def given() -> GivenAnswers:
    """A provider that keeps what it is asked."""
    return GivenAnswers(with_picture(pictures.photo(400, 300)))


@pytest.fixture(scope="module")
def house(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory, given: GivenAnswers
) -> Iterator[SharedHouse]:
    """A house with that provider."""

    async def furnish(lab: Lab) -> None:
        await lab.background.start(given.server.run)

    with shared_house(postgres_server, tmp_path_factory.mktemp("templates"), gemini_base_url=given.base_url) as house:
        house.run(furnish)
        yield house


async def keep(lab: Lab, folder: Path, picture: bytes, slot: str, role: str, position: int | None = None) -> Path:
    """Keep the picture as a template of the slot; the file in which it lies."""
    path = folder / "template"
    path.write_bytes(picture)
    template = await add_template(lab.house.db, lab.house.media, lab.house.pictures, path, "a template")
    await bind(lab.house.db, slot, template["id"], role, position, by="serg")
    await lab.house.slots.refresh()
    kept = await lab.house.db.fetchval("SELECT path FROM template_media WHERE id = $1", template["id"])
    return lab.house.media.locate(kept)


def as_sent(data: bytes, folder: Path) -> bytes:
    """The picture as it travels: without its metadata."""
    path = folder / "as-sent"
    path.write_bytes(data)
    photo = as_it_came(path, probe(path))
    assert photo is not None
    parts = (part if isinstance(part, bytes) else data[part.offset : part.offset + part.length] for part in photo.parts)
    return b"".join(parts)


def test_they_follow_the_photo_in_their_order(
    house: SharedHouse, given: GivenAnswers, small_photo: bytes, tmp_path: Path
) -> None:
    first, second, third = (pictures.photo(200, 200, seed=seed) for seed in (1, 2, 3))

    async def shoot(lab: Lab) -> list[bytes]:
        shot = await lab.shoot(small_photo, slot="slot-001")
        assert (shot.status, shot.header("x-photochanger-result")) == (200, "ai")
        await lab.rest()
        return given.pictures()

    async def furnish(lab: Lab) -> None:
        await keep(lab, tmp_path, second, "slot-001", "reference", 1)
        await keep(lab, tmp_path, pictures.with_all_metadata(first), "slot-001", "style", 0)

    async def replace(lab: Lab) -> None:
        await keep(lab, tmp_path, third, "slot-001", "style", 0)

    alone = house.run(shoot)
    house.run(furnish)
    photo, *templates = [as_sent(data, tmp_path) for data in (small_photo, first, second, third)]
    assert alone == [photo]
    assert house.run(shoot) == [photo, templates[0], templates[1]]
    house.run(replace)
    assert house.run(shoot) == [photo, templates[2], templates[1]]
    assert given.asked[-1]["contents"][0]["parts"][-1]["text"], "the prompt comes last"


@pytest.mark.parametrize("harm", ["gone", "damaged"])
def test_one_that_is_lost_is_said_and_nothing_is_paid(
    house: SharedHouse,
    given: GivenAnswers,
    small_photo: bytes,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    harm: str,
) -> None:
    slot = "slot-002" if harm == "gone" else "slot-003"

    async def shoot(lab: Lab) -> None:
        kept = await keep(lab, tmp_path, pictures.photo(200, 200, seed=4), slot, "style")
        whole = kept.read_bytes()
        kept.chmod(0o600)
        if harm == "gone":
            kept.unlink()
        else:
            kept.write_bytes(b"not a picture any more")
        calls = given.calls
        shot = await lab.shoot(small_photo, slot=slot)
        assert shot.problem is not None
        assert (shot.status, shot.problem["failure_reason"]) == (503, "storage_unavailable")
        assert str(lab.var) not in shot.body.decode()
        await lab.rest()
        job = await lab.job(shot.problem["job_id"])
        assert (job["status"], job["cost_microusd"], await lab.attempts(job["id"])) == ("failed", 0, [])
        assert given.calls == calls
        kept.write_bytes(whole)
        assert (await lab.shoot(small_photo, slot=slot)).status == 200
        assert len(given.pictures()) == 2
        await lab.rest()

    house.run(shoot)
    assert "template" in caplog.text


def test_the_command_binds_one_to_a_running_service(
    house: SharedHouse, given: GivenAnswers, small_photo: bytes, tmp_path: Path
) -> None:
    template = pictures.photo(250, 250, seed=5)
    (tmp_path / "template.jpg").write_bytes(template)

    async def where(lab: Lab) -> tuple[Path, str]:
        assert lab.house.config.database_url is not None
        return lab.var, lab.house.config.database_url

    def command(*arguments: object) -> subprocess.CompletedProcess[str]:
        var, url = house.run(where)
        return subprocess.run(
            [sys.executable, "-m", "photochanger", "template", "add", *map(str, arguments)],
            cwd=ROOT, env=environment(var, DATABASE_URL=url, GEMINI_API_KEY="x"),
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    done = command(tmp_path / "template.jpg", "--slot", "slot-004", "--role", "style")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert done.stdout.count("\n") == 1
    assert "slot-004" in done.stdout

    async def shoot(lab: Lab) -> None:
        shot = await lab.shoot(small_photo, slot="slot-004")
        assert shot.status == 200
        await lab.rest()

    house.run(shoot)
    assert given.pictures()[1:] == [as_sent(template, tmp_path)]

    (tmp_path / "no.jpg").write_bytes(small_photo[:2000])
    refused = command(tmp_path / "no.jpg", "--slot", "slot-004", "--role", "style")
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)
    assert "no.jpg" in refused.stderr
