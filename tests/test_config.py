"""The environment: defaults that work, errors that name the variable, secrets that stay out of sight."""

from pathlib import Path

import pytest

from photochanger.config import Config
from photochanger.errors import ConfigError


def test_nothing_has_to_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = Config.from_env({})
    assert config.media_root == tmp_path / "var" / "media"
    assert (config.host, config.port, config.t_sync) == ("127.0.0.1", 8080, 48.0)
    assert config.database_url is None
    assert config.reserve == 1.5
    assert Config.from_env({"RESERVE_SECONDS": "0.2"}).reserve == 0.2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "eighty"),
        ("PORT", "70000"),
        ("PORT", "80.5"),
        ("T_SYNC_RESPONSE", "9"),
        ("T_SYNC_RESPONSE", "61"),
        ("T_SYNC_RESPONSE", "nan"),
        ("QUEUE_MAX_IN_FLIGHT_JOBS", "0"),
        ("RESULT_TTL_HOURS", "1"),
        ("PUBLIC_BASE_URL", "booth.example"),
        ("PUBLIC_BASE_URL", "https://user:password@booth.example"),
        ("GEMINI_BASE_URL", "http://gemini.example"),
        ("TURBOTEXT_BASE_URL", "http://turbotext.example"),
        ("T_LATE", "-1"),
        ("RESERVE_SECONDS", "0.1"),
        ("RESERVE_SECONDS", "11"),
        ("RATE_LIMIT_PER_SECOND", "0"),
        ("BUDGET_DAY_USD", "lots"),
        ("EARLY_HEDGE_SHARE", "1.5"),
        ("PROVIDER_PERMITS_LIVE", "0"),
        ("LOG_LEVEL", "LOUD"),
        ("ORIGINAL_TTL_HOURS", "169"),
        ("CLEANUP", "maybe"),
        ("SETTINGS_KEY", "too-short"),
        ("SETTINGS_KEY", f"{'k' * 32} short"),
        ("GEMINI_API_KEY_FILE", "/does/not/exist"),
        ("JWT_SIGNING_KEY", "too-short"),
        ("JWT_SIGNING_KEY", f"{'k' * 32} short"),
        ("JWT_LIFE_HOURS", "0"),
        ("JWT_LIFE_HOURS", "169"),
        ("TRUSTED_PROXIES", "proxy.example"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
    ],
)
def test_a_value_that_cannot_work_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=name):
        Config.from_env({name: value})


def test_keys_with_spaces_between() -> None:
    config = Config.from_env({"SETTINGS_KEY": f"{'a' * 32}  {'b' * 40}\n"})
    assert config.settings_keys == ("a" * 32, "b" * 40)
    assert "aaaa" not in repr(config)
    assert [Config.from_env({"CLEANUP": said}).cleanup for said in ("", "on", "OFF")] == [True, True, False]


def test_plain_http_is_for_loopback_only() -> None:
    assert Config.from_env({"GEMINI_BASE_URL": "http://127.0.0.1:9/"}).gemini_base_url == "http://127.0.0.1:9"


def test_secrets_come_from_files_too_and_are_not_shown(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("AIza-secret\n")
    config = Config.from_env({"GEMINI_API_KEY_FILE": str(secret), "INGEST_PASSWORD": "booth-secret"})
    assert config.gemini_api_key == "AIza-secret"
    assert "AIza" not in repr(config)
    assert "booth" not in repr(config)
    with pytest.raises(ConfigError, match="not both"):
        Config.from_env({"GEMINI_API_KEY_FILE": str(secret), "GEMINI_API_KEY": "x"})


def test_keys_and_proxies_are_lists() -> None:
    first, second = "a" * 32, "b" * 32
    config = Config.from_env(
        {"JWT_SIGNING_KEY": f" {first}  {second}\n", "TRUSTED_PROXIES": "127.0.0.1, ::1,10.1.0.0/16"}
    )
    assert config.jwt_signing_keys == (first, second)
    assert first not in repr(config)
    assert [str(network) for network in config.trusted_proxies] == ["127.0.0.1/32", "::1/128", "10.1.0.0/16"]
    assert Config.from_env({}).trusted_proxies == ()
