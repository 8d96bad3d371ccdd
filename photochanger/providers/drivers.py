"""All drivers of a house, made from its configuration: the same for photos and for checking a slot."""

from photochanger.config import Config
from photochanger.media.threads import PictureThreads
from photochanger.providers.base import Driver
from photochanger.providers.gemini.driver import BASE_URL, GeminiDriver
from photochanger.providers.http import tls_context
from photochanger.providers.local.driver import LocalDriver
from photochanger.providers.prices import Prices, load_prices
from photochanger.providers.turbotext.driver import BASE_URL as TURBOTEXT_URL
from photochanger.providers.turbotext.driver import TurbotextDriver

PROVIDERS = (GeminiDriver.name, TurbotextDriver.name, LocalDriver.name)
"""The names that `make_drivers` knows."""


def make_drivers(config: Config, pictures: PictureThreads, prices: Prices | None = None) -> dict[str, Driver]:
    """The drivers by name; the local one draws in `pictures`. Raises ConfigError for an address,
    a key or a price table of no use."""
    tls = tls_context()
    prices = prices or load_prices(config.prices_file)
    drivers: list[Driver] = [
        GeminiDriver(
            config.gemini_api_key,
            base_url=config.gemini_base_url or BASE_URL,
            ssl_context=tls,
            prices=prices.gemini,
        ),
        TurbotextDriver(
            config.turbotext_api_key,
            base_url=config.turbotext_base_url or TURBOTEXT_URL,
            ssl_context=tls,
            price_microusd=prices.turbotext_microusd,
        ),
        LocalDriver(pictures),
    ]
    return {driver.name: driver for driver in drivers}
