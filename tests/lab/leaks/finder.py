"""Many secrets in much text: one look at every eighth character, however many secrets there are."""

import base64
import json
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

GRAM: Final = 8
SHORTEST: Final = 12
"""Characters; what is shorter stands in innocent text as well."""


@dataclass(slots=True)
class Finder:
    """Knows secrets by what they are, in each way in which they may be written, and finds them in text.

    Of a secret its first 15 characters' 8 pieces of 8 are remembered: wherever it stands, one of them begins at a
    multiple of 8.
    """

    _pieces: dict[str, set[str]] = field(default_factory=dict)
    _short: set[str] = field(default_factory=set)
    _names: dict[str, str] = field(default_factory=dict)

    def add(self, secret: str | bytes, name: str) -> None:
        """From now on look for `secret`; `name` is told when it is found. Too short ones are left out."""
        for form in forms(secret):
            if len(form) < SHORTEST or form in self._names:
                continue
            self._names[form] = name
            if len(form) < 2 * GRAM - 1:
                self._short.add(form)
                continue
            for start in range(GRAM):
                self._pieces.setdefault(form[start : start + GRAM], set()).add(form)

    def find(self, text: str) -> set[str]:
        """The names of the secrets in `text`."""
        found = {form for form in self._short if form in text}
        pieces = self._pieces
        for start in range(0, len(text) - GRAM + 1, GRAM):
            if (candidates := pieces.get(text[start : start + GRAM])) is not None:
                around = text[max(0, start - GRAM) : start + max(map(len, candidates)) + GRAM]
                found |= {form for form in candidates if form in around}
        return {self._names[form] for form in found}

    def __len__(self) -> int:
        return len(self._names)


def forms(secret: str | bytes) -> set[str]:
    """The ways in which a secret may be written."""
    if isinstance(secret, str):
        raw = secret.encode("utf-8", "surrogateescape")
        found = {secret, json.dumps(secret)[1:-1], quote(secret, safe="", errors="replace"), repr(secret)[1:-1]}
    else:
        raw = secret
        found = {raw.hex(), raw.hex().upper(), base64.b32encode(raw).decode()}
        if raw.isascii():
            found.add(raw.decode())
    found.add(repr(raw)[2:-1])
    # In base64 the last characters depend on what stands behind.
    for encoded in (base64.b64encode(raw), base64.urlsafe_b64encode(raw)):
        found.add(encoded.decode().rstrip("=")[: len(raw) * 8 // 6])
    return found
