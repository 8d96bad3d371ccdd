"""A file that lies at the simulated Files API."""

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

LIFE: Final = timedelta(hours=48)


@dataclass(slots=True)
class StoredFile:
    """One file. It is PROCESSING for `looks` more looks, then ACTIVE, or FAILED if `fails`."""

    name: str
    mime: str
    data: bytes
    uri: str
    made: datetime
    looks: int = 0
    fails: bool = False
    display_name: str | None = None

    @property
    def state(self) -> str:
        return "PROCESSING" if self.looks else "FAILED" if self.fails else "ACTIVE"

    def told(self) -> dict[str, Any]:
        """The file as the API tells it; sizes are strings there."""
        shown = {
            "name": self.name,
            "mimeType": self.mime,
            "sizeBytes": str(len(self.data)),
            "createTime": self.made.isoformat(),
            "updateTime": self.made.isoformat(),
            "expirationTime": (self.made + LIFE).isoformat(),
            "sha256Hash": base64.b64encode(hashlib.sha256(self.data).digest()).decode(),
            "uri": self.uri,
            "state": self.state,
            "source": "UPLOADED",
        }
        return shown | ({"displayName": self.display_name} if self.display_name else {})
