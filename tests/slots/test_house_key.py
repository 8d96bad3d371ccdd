"""The house's secret: one for ever, whoever asks first, and readable by its owner only."""

import stat
import threading
from pathlib import Path

import pytest

from photochanger.errors import ConfigError
from photochanger.slots.house_key import FILE, SIZE, house_secret


def test_it_is_made_once_and_stays(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    secret = house_secret(folder)
    assert len(secret) == SIZE
    assert len(set(secret)) > 8
    assert house_secret(folder) == secret
    assert [path.name for path in folder.iterdir()] == [FILE]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / FILE).stat().st_mode) == 0o600


def test_another_house_has_another(tmp_path: Path) -> None:
    assert house_secret(tmp_path / "one") != house_secret(tmp_path / "other")


def test_all_who_start_at_once_get_the_same(tmp_path: Path) -> None:
    together = threading.Barrier(8)
    found: list[bytes] = []

    def start() -> None:
        together.wait(10)
        found.append(house_secret(tmp_path / "secrets"))

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 8
    assert len(set(found)) == 1
    assert [path.name for path in (tmp_path / "secrets").iterdir()] == [FILE]


@pytest.mark.parametrize("content", [b"", b"short", bytes(SIZE + 1)])
def test_half_a_key_is_refused_and_stays_as_it_is(content: bytes, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(ConfigError, match=f"SECRETS_DIR: {FILE} has {len(content)} bytes"):
        house_secret(tmp_path)
    assert (tmp_path / FILE).read_bytes() == content


def test_what_cannot_be_read_or_made_is_told_without_the_path(tmp_path: Path) -> None:
    (tmp_path / "folder" / FILE).mkdir(parents=True)
    with pytest.raises(ConfigError, match="cannot be used: Is a directory") as refusal:
        house_secret(tmp_path / "folder")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match="cannot be used: Not a directory"):
        house_secret(tmp_path / "file" / "secrets")
    assert str(tmp_path) not in str(refusal.value)
