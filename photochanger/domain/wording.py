"""What msgspec says of a wrong value, in words that need no knowledge of Python."""

import re
from typing import Final

_WORDS: Final = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "object": "an object in braces",
    "array": "a list in brackets",
    "null": "null",
}
_AT: Final = re.compile(r"(.*) - at (?:`(?:key|value)` in )?`\$(.*)`", re.DOTALL)
_WRONG_TYPE: Final = re.compile(r"[Ee]xpected `([a-z |]+)`, got `([a-z]+)`")
_BAD_NAME: Final = re.compile(r"[Ee]xpected `str` matching regex .*", re.DOTALL)
_UNKNOWN: Final = re.compile(r"[Oo]bject contains unknown field `(.*)`", re.DOTALL)
_MISSING: Final = re.compile(r"[Oo]bject missing required field `(.*)`", re.DOTALL)


def told(text: str) -> tuple[str, str]:
    """The path below the value that was looked at ("" for itself, `[0].provider`, `.look`), and what is wrong there."""
    path = ""
    if found := _AT.fullmatch(text):
        text, path = found[1], found[2].replace("[...]", "")
    if found := _WRONG_TYPE.fullmatch(text):
        wanted = " or ".join(_WORDS.get(kind, kind) for kind in found[1].split(" | "))
        return path, f"must be {wanted}, not {_WORDS.get(found[2], found[2])}"
    if _BAD_NAME.fullmatch(text):
        return path, "must be a plain name: letters, digits and . _ : / -"
    if found := _UNKNOWN.fullmatch(text):
        return f"{path}.{found[1][:60]}", "there is no such field"
    if found := _MISSING.fullmatch(text):
        return f"{path}.{found[1]}", "is missing"
    return path, f"{text[:1].lower()}{text[1:]}"
