"""The contract as files: `python -m tests.contracts.files` (`make contract`) writes them from the code.

With `--release` the present contract is kept as released: from then on a change of it needs a new VERSION.
"""

import json
import re
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import trio
import yaml

from photochanger.app import House
from photochanger.config import Config
from photochanger.db.facade import Db
from photochanger.web.app import App
from photochanger.web.openapi import VERSION, document

FOLDER: Final = Path(__file__).parent.parent.parent / "ops" / "contracts"
CONTRACT: Final = FOLDER / "openapi.yaml"
VERSION_FILE: Final = FOLDER / "VERSION.json"
RELEASED: Final = FOLDER / "released"
HEAD: Final = "# Made from the code by `make contract`; a test tells when it has to be made again.\n"

Version = tuple[int, int, int]


class _Dumper(yaml.SafeDumper):
    """Block style without anchors: a change of one route is a change of its own lines."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _text)


def whole_app() -> App:
    """The application with every route of the house, which does not run: nothing is asked."""

    async def make(folder: str) -> App:
        var = Path(folder)
        config = Config(var=var, media_root=var / "media", secrets_dir=var / "secrets")
        return House(config, Db(None)).app

    with tempfile.TemporaryDirectory() as folder:
        return trio.run(make, folder)


def whole_contract() -> dict[str, Any]:
    """The contract as the code tells it."""
    return document(whole_app())


def as_yaml(contract: dict[str, Any]) -> str:
    """The contract as text, always the same for the same contract."""
    return HEAD + yaml.dump(contract, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def as_version(contract: dict[str, Any]) -> str:
    """What VERSION.json says of a contract."""
    return json.dumps({"version": contract["info"]["version"], "openapi": contract["openapi"]}, indent=2) + "\n"


def version_of(text: str) -> Version:
    """A semantic version as numbers. Raises ValueError."""
    found = re.fullmatch(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)", text)
    if found is None:
        raise ValueError(f"{text} is no semantic version")
    return int(found[1]), int(found[2]), int(found[3])


def released() -> dict[Version, Path]:
    """The contracts that clients may have been made for."""
    return {version_of(path.stem.removeprefix("openapi-")): path for path in sorted(RELEASED.glob("openapi-*.yaml"))}


def load(path: Path) -> dict[str, Any]:
    """A contract from its file."""
    contract: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    return contract


def main(arguments: list[str]) -> None:
    contract = whole_contract()
    CONTRACT.write_text(as_yaml(contract), encoding="utf-8")
    VERSION_FILE.write_text(as_version(contract), encoding="utf-8")
    print(f"{CONTRACT.relative_to(FOLDER.parent.parent)} is version {VERSION}")
    if "--release" in arguments:
        kept = RELEASED / f"openapi-{VERSION}.yaml"
        if kept.exists() and load(kept) != load(CONTRACT):
            raise SystemExit(
                f"{VERSION} was released already and was another: set VERSION in photochanger/web/openapi.py"
            )
        kept.write_text(CONTRACT.read_text(encoding="utf-8"), encoding="utf-8")
        print(f"kept as {kept.relative_to(FOLDER.parent.parent)}")


if __name__ == "__main__":
    main(sys.argv[1:])
