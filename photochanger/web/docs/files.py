"""The files of the pages: our own two, and Swagger UI's from the package `swagger-ui-bundle`."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from swagger_ui_bundle import swagger_ui_path

SCRIPT, STYLE, PNG, HTML = "text/javascript", "text/css", "image/png", "text/html"
OWN: Final = {"index.html": HTML, "start.js": SCRIPT}
BUNDLED: Final = {"swagger-ui-bundle.js": SCRIPT, "swagger-ui.css": STYLE, "favicon-32x32.png": PNG}

_MAP: Final = re.compile(rb"\n//# sourceMappingURL=\S*|/\*# sourceMappingURL=[^*]*\*/")
"""Where a browser's tools look for the sources, which are not served."""


@dataclass(frozen=True)
class File:
    """A file as it is served: whole, from memory."""

    mime: str
    data: bytes

    @cached_property
    def etag(self) -> str:
        """Changes with the content."""
        return hashlib.sha256(self.data).hexdigest()[:32]


def read_files() -> Mapping[str, File]:
    """All of them by name. Blocks for some milliseconds."""
    here = files(__package__)
    there: Traversable = swagger_ui_path
    read = {name: File(mime, (here / name).read_bytes()) for name, mime in OWN.items()}
    for name, mime in BUNDLED.items():
        data = (there / name).read_bytes()
        read[name] = File(mime, data if mime == PNG else _MAP.sub(b"", data))
    return read
