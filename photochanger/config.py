"""What the environment says, checked once at the start. Every secret may also come from a file (`NAME_FILE`)."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from photochanger.errors import ConfigError

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class Config:
    """The service's settings. Seconds and bytes unless the name says otherwise."""

    var: Path = Path("var")
    host: str = "127.0.0.1"
    port: int = 8080
    public_base_url: str | None = None
    database_url: str | None = field(default=None, repr=False)
    database_schema: str = "public"
    media_root: Path = Path("var/media")
    secrets_dir: Path = Path("var/secrets")
    t_sync: float = 48.0
    t_late: float = 120.0
    reserve: float = 1.5
    upload_timeout: float = 30.0
    queue_max_in_flight_jobs: int = 30
    provider_permits_live: int = 8
    provider_permits_late: int = 4
    result_ttl_hours: float = 72.0
    original_ttl_hours: float = 24.0
    max_pixels: int = 100_000_000
    rate_per_second: float = 10.0
    rate_burst: int = 30
    budget_day_usd: float | None = None
    early_hedges: float = 0.10
    prices_file: Path | None = None
    ingest_password: str | None = field(default=None, repr=False)
    gemini_api_key: str | None = field(default=None, repr=False)
    gemini_base_url: str | None = None
    turbotext_api_key: str | None = field(default=None, repr=False)
    turbotext_base_url: str | None = None
    jwt_signing_keys: tuple[str, ...] = field(default=(), repr=False)
    jwt_life_hours: float = 12.0
    log_level: str = "INFO"
    log_json: bool = False

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "Config":
        """Read the environment. Raises ConfigError that names the variable and what it must be."""
        env = os.environ if environ is None else environ
        var = Path(env.get("PHOTOCHANGER_VAR") or "var").absolute()
        config = cls(
            var=var,
            host=env.get("HOST") or "127.0.0.1",
            port=_integer(env, "PORT", 8080, 0, 65535),
            public_base_url=_base_url(env, "PUBLIC_BASE_URL"),
            database_url=_secret(env, "DATABASE_URL"),
            database_schema=env.get("DATABASE_SCHEMA") or "public",
            media_root=Path(env.get("MEDIA_ROOT") or var / "media").absolute(),
            secrets_dir=Path(env.get("SECRETS_DIR") or var / "secrets").absolute(),
            t_sync=_number(env, "T_SYNC_RESPONSE", 48.0, 10.0, 60.0),
            t_late=_number(env, "T_LATE", 120.0, 0.0, 600.0),
            reserve=_number(env, "RESERVE_SECONDS", 1.5, 0.2, 10.0),
            queue_max_in_flight_jobs=_integer(env, "QUEUE_MAX_IN_FLIGHT_JOBS", 30, 1, 10_000),
            provider_permits_live=_integer(env, "PROVIDER_PERMITS_LIVE", 8, 1, 1000),
            provider_permits_late=_integer(env, "PROVIDER_PERMITS_LATE", 4, 0, 1000),
            rate_per_second=_number(env, "RATE_LIMIT_PER_SECOND", 10.0, 0.01, 10_000.0),
            rate_burst=_integer(env, "RATE_LIMIT_BURST", 30, 1, 10_000),
            budget_day_usd=_number(env, "BUDGET_DAY_USD", 0.0, 0.0, 1e6) if env.get("BUDGET_DAY_USD") else None,
            early_hedges=_number(env, "EARLY_HEDGE_SHARE", 0.10, 0.0, 1.0),
            prices_file=Path(env["PRICES_FILE"]).absolute() if env.get("PRICES_FILE") else None,
            result_ttl_hours=_number(env, "RESULT_TTL_HOURS", 72.0, 24.0, 168.0),
            original_ttl_hours=_number(env, "ORIGINAL_TTL_HOURS", 24.0, 0.0, 168.0),
            ingest_password=_secret(env, "INGEST_PASSWORD"),
            gemini_api_key=_secret(env, "GEMINI_API_KEY"),
            gemini_base_url=_base_url(env, "GEMINI_BASE_URL"),
            turbotext_api_key=_secret(env, "TURBOTEXT_API_KEY"),
            turbotext_base_url=_base_url(env, "TURBOTEXT_BASE_URL"),
            jwt_signing_keys=_keys(env, "JWT_SIGNING_KEY", 32),
            jwt_life_hours=_number(env, "JWT_LIFE_HOURS", 12.0, 0.1, 168.0),
            log_level=(env.get("LOG_LEVEL") or "INFO").upper(),
            log_json=(env.get("LOG_FORMAT") or "text") == "json",
        )
        if config.log_level not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
            raise ConfigError("LOG_LEVEL must be DEBUG, INFO, WARNING or ERROR")
        for name, url in (
            ("GEMINI_BASE_URL", config.gemini_base_url),
            ("TURBOTEXT_BASE_URL", config.turbotext_base_url),
        ):
            parts = urlsplit(url or "")
            if parts.scheme == "http" and parts.hostname not in LOOPBACK:
                raise ConfigError(f"{name} must be https; plain http is accepted for loopback only")
        return config

    @property
    def database_folder(self) -> Path:
        """Where the embedded PostgreSQL keeps its data."""
        return self.var / "postgres"

    @property
    def journal_folder(self) -> Path:
        """Where rows wait that PostgreSQL could not take yet; on the same disk as the pictures they belong to."""
        return self.media_root / "journal"


def _keys(env: Mapping[str, str], name: str, shortest: int) -> tuple[str, ...]:
    """Keys with spaces between: the first is used, the others are still accepted."""
    keys = tuple((_secret(env, name) or "").split())
    if any(len(key) < shortest for key in keys):
        raise ConfigError(f"{name}: a key must have {shortest} characters at least")
    return keys


def _secret(env: Mapping[str, str], name: str) -> str | None:
    value, path = env.get(name) or None, env.get(f"{name}_FILE") or None
    if value and path:
        raise ConfigError(f"set either {name} or {name}_FILE, not both")
    if path is None:
        return value
    try:
        return Path(path).read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name}_FILE cannot be read: {type(error).__name__}") from None


def _number(env: Mapping[str, str], name: str, default: float, low: float, high: float) -> float:
    text = env.get(name)
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        raise ConfigError(f"{name} must be a number from {low:g} to {high:g}") from None
    if not low <= value <= high:
        raise ConfigError(f"{name} must be from {low:g} to {high:g}, not {value:g}")
    return value


def _integer(env: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    value = _number(env, name, default, low, high)
    if value != int(value):
        raise ConfigError(f"{name} must be a whole number")
    return int(value)


def _base_url(env: Mapping[str, str], name: str) -> str | None:
    text = (env.get(name) or "").rstrip("/")
    if not text:
        return None
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ConfigError(f"{name} must look like https://host[:port][/path]")
    if parts.username or parts.password:
        raise ConfigError(f"{name} must not contain a user name or password")
    return text
