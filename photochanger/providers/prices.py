"""What providers cost: the built-in table, and the file (PRICES_FILE) by which an administrator corrects it."""

import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from photochanger.errors import ConfigError
from photochanger.providers.gemini import prices as gemini
from photochanger.providers.gemini.models import SIZES
from photochanger.providers.gemini.prices import ModelPrice
from photochanger.providers.turbotext.driver import PRICE

log = logging.getLogger(__name__)

STALE: Final = timedelta(days=180)
SIZE_LIMIT: Final = 1_000_000
RATE_LIMIT: Final = 100_000.0
"""US dollars that no rate reaches; what is above is a slip of the pen."""

_MODEL = re.compile(r"[a-z0-9][a-z0-9.-]{0,99}")
_RATES: Final = ("text_in", "text_out", "image_out")


@dataclass(frozen=True, slots=True)
class Prices:
    """`gemini` has a row per model, `turbotext_microusd` is for one photo. `as_of` is the day they were looked up."""

    as_of: date
    gemini: Mapping[str, ModelPrice]
    turbotext_microusd: int


def load_prices(path: Path | None, *, today: date | None = None) -> Prices:
    """The built-in table, with what the JSON file at `path` says instead; a model that it names is replaced whole.

    Blocks. Raises ConfigError naming model and field for a file that cannot be read or has a hole. Prices older than
    180 days are used, and warned about.
    """
    prices = Prices(gemini.AS_OF, gemini.PRICES, PRICE) if path is None else _parse(_read(path))
    if (today or datetime.now(UTC).date()) - prices.as_of > STALE:
        log.warning("the price table is of %s: compare it with the bill and set PRICES_FILE", prices.as_of)
    return prices


def _read(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            text = file.read(SIZE_LIMIT + 1)
        if len(text) > SIZE_LIMIT:
            raise ConfigError(f"PRICES_FILE: is larger than {SIZE_LIMIT} bytes")
        return json.loads(text.decode(), object_pairs_hook=_unique)
    except OSError as error:
        raise ConfigError(f"PRICES_FILE: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"PRICES_FILE: is not JSON: {error}") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two rows for one model it could not be told which one counts."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ConfigError(f"PRICES_FILE: {next(name for name in names if names.count(name) > 1)[:100]}: is there twice")
    return found


def _parse(table: Any) -> Prices:
    table = _fields(table, "", required=("as_of",), optional=("gemini", "turbotext"))
    rows = _object(table.get("gemini", {}), "gemini")
    turbotext = _fields(table.get("turbotext", {}), "turbotext", optional=("per_photo",))
    per_photo = PRICE
    if "per_photo" in turbotext:
        per_photo = round(_dollars(turbotext["per_photo"], "turbotext: per_photo") * 1_000_000)
    return Prices(
        _date(table["as_of"]),
        {**gemini.PRICES, **{model: _row(model, row) for model, row in rows.items()}},
        per_photo,
    )


def _row(model: str, row: Any) -> ModelPrice:
    if not _MODEL.fullmatch(model):
        raise ConfigError(f"PRICES_FILE: gemini: {model[:100]!r} is not the id of a model")
    where = f"gemini {model}"
    row = _fields(row, where, required=(*_RATES, "per_image"))
    images = _fields(row["per_image"], f"{where}: per_image", required=SIZES[:1], optional=SIZES[1:])
    text_in, text_out, image_out = (_dollars(row[name], f"{where}: {name}") for name in _RATES)
    per_image = {size: _dollars(price, f"{where}: per_image {size}") for size, price in images.items()}
    return ModelPrice(text_in, text_out, image_out, per_image)


def _fields(
    value: Any, where: str, *, required: tuple[str, ...] = (), optional: tuple[str, ...] = ()
) -> dict[str, Any]:
    """`value` as an object that has all of `required` and nothing beyond `optional`."""
    found = _object(value, where)
    prefix = f"{where}: " if where else ""
    for name in required:
        if name not in found:
            raise ConfigError(f"PRICES_FILE: {prefix}{name} is missing")
    for name in found:
        if name not in (*required, *optional):
            raise ConfigError(
                f"PRICES_FILE: {prefix}{name[:100]} is not known here, only {', '.join((*required, *optional))}"
            )
    return found


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"PRICES_FILE: {where or 'the table'}: must be an object")
    return value


def _dollars(value: Any, where: str) -> float:
    """A finite rate of nothing or more. JSON as Python reads it knows NaN, true and numbers of any length."""
    good = isinstance(value, int | float) and not isinstance(value, bool)
    if not good or not 0 <= value <= RATE_LIMIT:
        raise ConfigError(f"PRICES_FILE: {where} must be a number of US dollars from 0 to {RATE_LIMIT:.0f}")
    return float(value)


def _date(value: Any) -> date:
    try:
        found = date.fromisoformat(value)
        if found.isoformat() == value:
            return found
    except (TypeError, ValueError):
        pass
    raise ConfigError("PRICES_FILE: as_of must be a date like 2026-11-20")
