"""The providers' stored keys of this house: opened with SETTINGS_KEY, or with a key derived from the house's own."""

from collections.abc import Mapping

from photochanger.config import Config
from photochanger.providers.base import Driver
from photochanger.providers.stored_keys import StoredKeys
from photochanger.providers.vault import Vault
from photochanger.slots.house_key import derived

PURPOSE = "settings"


def stored_keys(config: Config, drivers: Mapping[str, Driver], secret: bytes) -> StoredKeys:
    """For `drivers`, which were made with the environment's keys. `secret` is the house's.

    It still opens what was stored before SETTINGS_KEY was set.
    """
    vault = Vault([derived(key.encode(), PURPOSE) for key in config.settings_keys] + [derived(secret, PURPOSE)])
    environment = {"gemini": config.gemini_api_key, "turbotext": config.turbotext_api_key}
    return StoredKeys(drivers, environment, vault)
