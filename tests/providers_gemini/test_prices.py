"""The price table in a file: what counts, and the sentence for what does not."""

import json
import logging
import re
from copy import deepcopy
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from photochanger.domain.outcome import Usage
from photochanger.errors import ConfigError
from photochanger.providers.gemini.prices import AS_OF, PRICES, ModelPrice, cost_microusd, price_of
from photochanger.providers.prices import load_prices

FLASH = "gemini-3.1-flash-image"
ROW = {"text_in": 0.4, "text_out": 2, "image_out": 50, "per_image": {"1K": 0.06, "4K": 0.14}}
TABLE: dict[str, Any] = {"as_of": "2026-11-20", "gemini": {FLASH: ROW}, "turbotext": {"per_photo": 0.03}}
TODAY = date(2026, 12, 1)


def written(tmp_path: Path, table: Any) -> Path:
    path = tmp_path / "prices.json"
    path.write_text(table if isinstance(table, str) else json.dumps(table))
    return path


def test_without_a_file_the_built_in_table_counts() -> None:
    prices = load_prices(None, today=TODAY)
    assert (prices.as_of, prices.gemini, prices.turbotext_microusd) == (AS_OF, PRICES, 20_000)


def test_a_file_replaces_the_models_it_names_whole(tmp_path: Path) -> None:
    table = TABLE | {"as_of": "2026-10-01"}
    table["gemini"] = {FLASH: ROW, "gemini-9-image": ROW | {"image_out": 200}}
    prices = load_prices(written(tmp_path, table), today=TODAY)
    assert prices.as_of == date(2026, 10, 1)
    assert prices.gemini[FLASH] == ModelPrice(0.4, 2.0, 50.0, {"1K": 0.06, "4K": 0.14})
    assert prices.gemini["gemini-3-pro-image"] == PRICES["gemini-3-pro-image"]
    assert prices.turbotext_microusd == 30_000
    price, known = price_of("gemini-9-image", None, prices.gemini)
    assert known
    assert cost_microusd(price, Usage(prompt=100, candidates=1120, candidates_image=1120), pictured=True) == 224_040
    # A model in neither is counted as the dearest, which is now another one.
    price, known = price_of("gemini-10-image", None, prices.gemini)
    assert (price.image_out, known) == (200, False)
    # A size that the row does not name costs what its dearest one costs.
    assert prices.gemini[FLASH].at("2K").per_image == 0.14


def test_a_file_may_say_only_what_differs(tmp_path: Path) -> None:
    prices = load_prices(written(tmp_path, {"as_of": "2026-11-20"}), today=TODAY)
    assert (prices.gemini, prices.turbotext_microusd) == (PRICES, 20_000)


BAD_DATES: list[Any] = ["20.11.2026", "20261120", "2026-11-31", 20261120, None]
BAD_RATES: list[Any] = [-0.01, "60", None, True, [], float("nan"), float("inf"), 1e6, 10**400]


def _put(value: Any, *where: str) -> dict[str, Any]:
    """The table with `value` at `where`; without it if `value` is Ellipsis."""
    table = deepcopy(TABLE)
    inner = table
    for name in where[:-1]:
        inner = inner[name]
    if value is ...:
        del inner[where[-1]]
    else:
        inner[where[-1]] = value
    return table


HOLES: list[tuple[Any, str]] = [
    (_put(..., "as_of"), "as_of is missing"),
    *((_put(bad, "as_of"), "as_of must be a date") for bad in BAD_DATES),
    (_put({}, "openai"), "openai is not known"),
    (_put([], "gemini"), "gemini: must be an object"),
    (_put([], "gemini", FLASH), f"gemini {FLASH}: must be an object"),
    (_put(ROW, "gemini", "Gemini Pro"), "gemini: 'Gemini Pro' is not the id of a model"),
    *((_put(..., "gemini", FLASH, name), f"gemini {FLASH}: {name} is missing") for name in ROW),
    (_put(1, "gemini", FLASH, "image_in"), f"gemini {FLASH}: image_in is not known"),
    *((_put(bad, "gemini", FLASH, "image_out"), f"gemini {FLASH}: image_out must be a number") for bad in BAD_RATES),
    (_put(..., "gemini", FLASH, "per_image", "1K"), f"gemini {FLASH}: per_image: 1K is missing"),
    (_put(0.1, "gemini", FLASH, "per_image", "2k"), f"gemini {FLASH}: per_image: 2k is not known"),
    (_put(-1, "gemini", FLASH, "per_image", "4K"), f"gemini {FLASH}: per_image 4K must be a number"),
    (_put(0.067, "gemini", FLASH, "per_image"), f"gemini {FLASH}: per_image: must be an object"),
    (_put(None, "turbotext", "per_photo"), "turbotext: per_photo must be a number"),
    (_put(1, "turbotext", "per_foto"), "turbotext: per_foto is not known"),
    ([], "the table: must be an object"),
    ("{", "is not JSON"),
    ("[" * 100_000, "is not JSON"),
    ('{"as_of": "2026-11-20", "gemini": {"m": {}, "m": {}}}', "m: is there twice"),
    (" " * 1_000_001, "is larger than"),
]


@pytest.mark.parametrize(("table", "says"), HOLES, ids=[f"{n} {says}" for n, (_, says) in enumerate(HOLES)])
def test_a_table_with_a_hole_is_refused_by_name(tmp_path: Path, table: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=rf"^PRICES_FILE: {re.escape(says)}"):
        load_prices(written(tmp_path, table), today=TODAY)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^PRICES_FILE: cannot be read: No such file"):
        load_prices(tmp_path / "none.json")
    with pytest.raises(ConfigError, match=r"^PRICES_FILE: cannot be read"):
        load_prices(tmp_path)
    (tmp_path / "latin").write_bytes(b'{"as_of": "\xe9"}')
    with pytest.raises(ConfigError, match=r"^PRICES_FILE: is not JSON"):
        load_prices(tmp_path / "latin")


@pytest.mark.parametrize(("today", "warned"), [(date(2027, 5, 19), False), (date(2027, 5, 20), True)])
def test_old_prices_are_warned_about(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, today: date, warned: bool
) -> None:
    for path in (None, written(tmp_path, TABLE)):
        caplog.clear()
        load_prices(path, today=today)
        assert ("2026-11-20" in caplog.text) is warned
        assert all(record.levelno == logging.WARNING for record in caplog.records)


def test_the_example_in_the_readme_is_a_good_one(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "photochanger/providers/gemini/README.md").read_text()
    (example,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    prices = load_prices(written(tmp_path, example), today=TODAY)
    assert prices.gemini == PRICES
    assert set(json.loads(example)["gemini"]) <= set(PRICES)
    assert prices.turbotext_microusd == 20_000
