"""Looks made on this machine, without any provider."""

from photochanger.providers.local.driver import LocalDriver
from photochanger.providers.local.settings import LocalSettings

__all__ = ["LocalDriver", "LocalSettings"]
