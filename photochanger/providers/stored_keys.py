"""The keys that administrators have given: which of them is in use, and the drivers that show it.

They lie in the table `settings` under `provider_key.<provider>` as {"locked": …}; {} means that there is none any more,
and the environment's is used again. A row that cannot be opened stops nothing: it is told, and counts as none.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from photochanger.db.facade import Db
from photochanger.errors import ConfigError
from photochanger.providers.base import Driver, Keyed
from photochanger.providers.vault import Unreadable, Vault

log = logging.getLogger(__name__)

PREFIX: Final = "provider_key."
LOCKED: Final = "locked"
_READ: Final = "SELECT key, value FROM settings WHERE starts_with(key, $1)"

Source = Literal["environment", "stored"]
_KEY: Final = {"environment": "the environment's key", "stored": "the stored key", None: "no key"}


@dataclass(frozen=True, slots=True)
class KeyInUse:
    """Where a provider's key comes from, None = there is none; `problem` is why a stored one is not used."""

    source: Source | None
    problem: str | None = None


class StoredKeys:
    """`environment` has the keys that the house was started with; of `drivers` only those that show a key count."""

    def __init__(self, drivers: Mapping[str, Driver], environment: Mapping[str, str | None], vault: Vault) -> None:
        self.drivers: dict[str, Keyed] = {name: driver for name, driver in drivers.items() if isinstance(driver, Keyed)}
        self._environment = {name: environment.get(name) for name in self.drivers}
        self._vault = vault
        self._seen: dict[str, Any] = {}
        self._in_use = {name: self._of_environment(name) for name in self.drivers}

    def in_use(self, provider: str) -> KeyInUse:
        """Where the key comes from that this provider is shown now."""
        return self._in_use[provider]

    def locked(self, provider: str, key: str) -> dict[str, str]:
        """The value of the row that stores `key`."""
        return {LOCKED: self._vault.lock(provider, key)}

    async def load(self, db: Db) -> None:
        """Read the rows and apply them, once: for commands. Raises DatabaseUnavailable."""
        self._apply({row["key"]: row["value"] for row in await db.fetch(_READ, PREFIX)})

    def apply(self, values: Mapping[str, Any]) -> None:
        """Have the drivers use what these rows of `settings` say. Synchronous; looks only at what has changed."""
        for name in self._apply(values):
            log.info("%s is shown %s from now on", name, _KEY[self._in_use[name].source])

    def _apply(self, values: Mapping[str, Any]) -> list[str]:
        """The providers whose rows have changed."""
        changed = []
        for name, driver in self.drivers.items():
            value = values.get(f"{PREFIX}{name}") or {}
            if self._seen.get(name, {}) == value:
                continue
            self._seen[name] = value
            self._in_use[name] = found = self._use(name, driver, value)
            changed.append(name)
            if found.problem is not None:
                log.error("the stored key of %s cannot be used: %s", name, found.problem)
        return changed

    def _use(self, name: str, driver: Keyed, value: Any) -> KeyInUse:
        problem = None
        if value:
            try:
                driver.use_key(self._vault.open(name, value.get(LOCKED) if isinstance(value, dict) else None))
                return KeyInUse("stored")
            except (Unreadable, ConfigError) as error:
                problem = str(error)
        driver.use_key(self._environment[name])
        return KeyInUse(self._of_environment(name).source, problem)

    def _of_environment(self, name: str) -> KeyInUse:
        return KeyInUse("environment" if (self._environment[name] or "").strip() else None)
