"""Our English sentences in Russian. Whatever is not known stays as it is."""

import re
from collections.abc import Mapping
from itertools import islice
from typing import Final

from photochanger.web.russian.house import HOUSE
from photochanger.web.russian.pictures import PICTURES
from photochanger.web.russian.providers import PROVIDERS
from photochanger.web.russian.requests import REQUESTS
from photochanger.web.russian.slots import SLOTS
from photochanger.web.russian.values import VALUES, WORDS

_HOLE: Final = re.compile(r"\{(\w?)\}")
# No hole can match in many ways, however long the text is: words end at blanks, and the rest is atomic (?>…).
_TYPED: Final = {
    "n": r"(-?\d[\d.e+-]*)",
    "w": r"([^\s;,]+)",
    "q": r"""(?>('(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+"))""",
}
_END: Final = re.compile(r"(\.|(?=;))(; | )")
_MOST_JOINED: Final = 12
"""Ends of sentences looked at in one text. None of ours has more."""
_LONGEST_JOINED: Final = 4000
_LONGEST_WORDS: Final = 1000
_LONGEST_FIRST: Final = 40
"""Characters."""


class _Sentence:
    """One English template and its Russian one; `{}`, `{n}` … are its holes, see README.md."""

    def __init__(self, english: str, russian: str) -> None:
        literals: list[str] = _HOLE.split(english)[::2]
        self.kinds: list[str] = _HOLE.findall(english)
        self.russian: str = russian
        self.weight = sum(map(len, literals))
        self.first = literals[0].partition(" ")[0] if " " in literals[0] else ""
        parts = [re.escape(literals[0])]
        for kind, after in zip(self.kinds, literals[1:], strict=True):
            if kind in _TYPED:
                parts.append(_TYPED[kind] + re.escape(after))
            elif after and len(parts) < len(self.kinds):
                parts.append(f"(?>(.*?){re.escape(after)})")
            else:
                parts.append(f"(.*){re.escape(after)}")
        self.pattern = re.compile("".join(parts), re.DOTALL)


class _Book:
    """Templates, found by their first word."""

    def __init__(self, *tables: Mapping[str, str]) -> None:
        self._whole: dict[str, str] = {}
        self._by_word: dict[str, list[_Sentence]] = {}
        for table in tables:
            for english, russian in table.items():
                if _HOLE.search(english) is None:
                    self._whole[english] = russian
                    continue
                sentence = _Sentence(english, russian)
                self._by_word.setdefault(sentence.first, []).append(sentence)
        for sentences in self._by_word.values():
            sentences.sort(key=lambda each: -each.weight)  # the one that says more is the one that is meant

    def find(self, text: str) -> str | None:
        """The Russian text; None when the English one is not ours."""
        if (whole := self._whole.get(text)) is not None:
            return whole
        word = text[:_LONGEST_FIRST].partition(" ")[0]
        for sentence in (*self._by_word.get(word, ()), *self._by_word.get("", ())):
            if (found := sentence.pattern.fullmatch(text)) is not None:
                pairs = zip(sentence.kinds, found.groups(), strict=True)
                given = [_value(each) if kind == "t" else str(each) for kind, each in pairs]
                told: str = sentence.russian.format(*given)
                return told
        return None


_WORDS: Final = _Book(WORDS)
_SENTENCES: Final = _Book(REQUESTS, PICTURES, SLOTS, HOUSE, PROVIDERS, VALUES)


def russian(text: str) -> str:
    """`text` in Russian: one of our sentences, or several joined by "; " or by full stops.

    Where one of several is not known all stay English: what looks like ours may be a value that somebody gave.
    """
    if (whole := _SENTENCES.find(text)) is not None:
        return whole
    if len(text) > _LONGEST_JOINED:
        return text
    found: list[str] = []
    begin = 0
    ends = [(len(text), ""), *_ends(text)]
    while begin < len(text):
        for end, joint in ends:
            if end > begin and (piece := _SENTENCES.find(text[begin:end])) is not None:
                found.append(piece + joint)
                begin = end + len(joint)
                break
        else:
            return text
    return "".join(found)


def _ends(text: str) -> list[tuple[int, str]]:
    """Where a sentence may end, the last places first, and what joins it to the next."""
    found = islice(_END.finditer(text), _MOST_JOINED)
    return [(each.end(1), each[2]) for each in found][::-1]


def _value(text: str) -> str:
    """A word of ours inside a sentence, or several: "a number or null"."""
    if (found := _WORDS.find(text)) is not None:
        return found
    for joint, ours in ((" or ", " или "), (", ", ", ")):
        if joint in text and len(text) <= _LONGEST_WORDS:
            pieces = text.split(joint)
            known = [_WORDS.find(each) for each in pieces]
            if any(known):
                return ours.join(word or each for word, each in zip(known, pieces, strict=True))
    return text
