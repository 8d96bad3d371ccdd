"""Every message that the source gives to a caller, read from the source itself."""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2] / "photochanger"
NOT_TOLD: Final = {
    "config.py": "ends the start, or is the command line's: the environment",
    "db/": "ends the start, or is the command line's: the database",
    "providers/http.py": "ends the start, or is the log's: addresses and keys of the environment",
    "providers/prices.py": "ends the start: the file with the prices",
    "accounts/command.py": "the command line's",
    "accounts/credentials.py": "the command line's and the log's: the file with the accounts",
    "slots/command.py": "the command line's",
    "slots/house_key.py": "ends the start: a secret that cannot be read",
    "media/links.py": "the attempt's message, in the log and in the history",
    "jobs/ways.py": "the log's: a slot that cannot work as it is set up",
    "web/contract.py": "describes the shape of a problem, tells none",
    "web/russian/": "the translations themselves",
}
"""Files whose messages reach no caller in a problem document, and why."""

CALLS: Final = {
    "Problem": 1,
    "Refusal": 1,
    "PictureError": 1,
    "KeyCheck": 1,
    "Contradiction": 1,
    "ConfigError": 0,
    "ValueError": 0,
    "damaged": 0,
    "_refuse": 0,
}
"""Which argument is the message. ValueErrors are told by slots/fields.py only."""

RETURNS: Final = {
    "settings/house.py": {"problem"},
    "slots/fields.py": {"name_problem"},
    "domain/wording.py": {"told"},
    "providers/gemini/driver.py": {"missing"},
    "providers/turbotext/driver.py": {"missing"},
}
"""Functions that answer with a message."""

PASSED_ON: Final = {
    "str(error)", "error.detail", "problem", "problem.message", "each.message", "message", "detail", "why",
    "found.message", "name_problem(name)",
    "driver.missing", "self.missing", "_sentence(str(error))", "_field_and_message(str(error))",
    "told(message)[1]", "told(str(error))",
}  # fmt: skip
"""Arguments that carry on what is said, and so is read, elsewhere."""

ADDRESS: Final = (
    "is this machine itself",
    "is good on one cable only (link-local)",
    "is an address of local networks (private)",
    "is a name of local networks",
)
OURS: Final = {
    "thing": ("photo", "template"),
    "self._thing": ("photo", "template"),
    "self._taker": ("This slot", "This house"),
    "_megabytes(self._largest)": ("20 MB",),
    "which": ("behind", "ahead of"),
    "RISING[field]": ("a key that was replaced", "a link that was replaced"),
    "gone.why": ("shut down on 2026-01-15", "announced to end on 2026-10-02"),
    "trouble": ("", *(f"; 10.0.0.1 {why}" for why in ADDRESS)),
    "meaning": ("16 to 128 of A-Z a-z 0-9 _ . -", "Unix time in whole seconds", "64 hexadecimal digits"),
    "where or 'body'": ("body", "overrides"),
    "_WORDS.get(found[2], found[2])": ("text", "an object in braces"),
    "etag_of(7)": ('"7"',),
}
"""What is put in where it is words of ours: they must not stay English."""
OURS_OF: Final = {
    ("slots/change.py", "why"): ("is not archived", "is archived: bring it back first"),
    ("domain/wording.py", "wanted"): ("a whole number", "a number or null"),
    ("providers/turbotext/check.py", "said"): ("is out of order now (status 503)", "could not be reached"),
}
LISTS: Final = {"', '.join(slots)": "a-1, b-2"}
PAIRS: Final = {("This slot", "template"), ("This house", "photo")}
"""Who takes what: these do not occur."""

LEFT_TO_MSGSPEC: Final = {"f'{text[:1].lower()}{text[1:]}'", "f'local: {error}'"}
"""What test_russian.py has from msgspec itself."""


@dataclass(frozen=True)
class Message:
    """A sentence as it may be told; `values` are those that must come through as they are."""

    where: str
    text: str
    values: tuple[str, ...]


class Unreadable(Exception):
    """The source says something in a way that this reading does not see through."""


def messages(root: Path = ROOT) -> list[Message]:
    """All of them. Raises Unreadable, naming the place."""
    found = []
    for path in _files(root):
        name = path.relative_to(root).as_posix()
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in _told(tree, name):
            found += list(_readings(node, tree, name))
    return found


def _files(root: Path) -> list[Path]:
    names = {path: path.relative_to(root).as_posix() for path in root.rglob("*.py")}
    return sorted(path for path, name in names.items() if not name.startswith(tuple(NOT_TOLD)))


def _told(tree: ast.Module, name: str) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func).rpartition(".")[2]
            place = CALLS.get(called)
            if place is None or (called == "ValueError" and name != "slots/fields.py"):
                continue
            if len(node.args) > place:
                yield node.args[place]
            yield from (each.value for each in node.keywords if each.arg in ("detail", "message"))
        elif isinstance(node, ast.FunctionDef) and node.name in RETURNS.get(name, ()):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Return) and inner.value is not None:
                    answer = inner.value
                    yield answer.elts[1] if isinstance(answer, ast.Tuple) else answer


def _readings(node: ast.expr, tree: ast.Module, name: str) -> Iterator[Message]:
    where = f"{name}:{node.lineno}"
    match node:
        case ast.Constant(value=None | ""):
            return
        case ast.Constant(value=str(text)):
            yield Message(where, _without_field(text, node, tree), ())
        case ast.IfExp():
            yield from _readings(node.body, tree, name)
            yield from _readings(node.orelse, tree, name)
        case ast.JoinedStr() if ast.unparse(node) not in LEFT_TO_MSGSPEC:
            for text, values in _filled(node, name):
                plain = _without_field(text, node, tree)
                yield Message(where, plain, tuple(value for value in values if value in plain))
        case ast.JoinedStr():
            return
        case ast.Name() if given := list(_assigned(node.id, tree)):
            for each in given:
                yield from _readings(each, tree, name)
        case _ if ast.unparse(node) in PASSED_ON:
            return
        case _:
            raise Unreadable(f"{where}: cannot see what {ast.unparse(node)} says: teach tests/web/messages.py")


def _assigned(variable: str, tree: ast.Module) -> Iterator[ast.expr]:
    """The literals that a variable is given anywhere in the file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            names = [ast.unparse(target) for target in node.targets]
        elif isinstance(node, ast.AnnAssign):
            names = [ast.unparse(node.target)]
        else:
            continue
        literal = isinstance(node.value, ast.Constant | ast.JoinedStr | ast.IfExp)
        if variable in names and node.value is not None and literal:
            yield node.value


def _filled(node: ast.JoinedStr, name: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The text with something put in at every place, in all ways that make a difference."""
    texts: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = [("", (), ())]
    for number, part in enumerate(node.values):
        if isinstance(part, ast.Constant):
            texts = [(text + str(part.value), values, words) for text, values, words in texts]
            continue
        assert isinstance(part, ast.FormattedValue)
        expression = ast.unparse(part.value)
        ours = OURS_OF.get((name, expression)) or OURS.get(expression)
        if ours is not None:
            texts = [(text + word, values, (*words, word)) for text, values, words in texts for word in ours]
        else:
            # A number fits where a number, a word or any text does.
            value = LISTS.get(expression, f"{71 + number}")
            value = f"'Photo {number}; is missing. \\'must be'" if part.conversion == ord("r") else value
            texts = [(text + value, (*values, value), words) for text, values, words in texts]
    for text, values, words in texts:
        if words[:2] not in PAIRS:
            yield text, values


def _without_field(text: str, node: ast.expr, tree: ast.Module) -> str:
    """A ConfigError's "field: why" is told as a field and why."""
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and node in call.args and ast.unparse(call.func) == "ConfigError":
            return text.partition(": ")[2] or text
    return text


def literals(path: str, functions: Iterable[str]) -> set[str]:
    """The texts that these functions of a file answer with."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name in functions:
            for answer in (inner.value for inner in ast.walk(node) if isinstance(inner, ast.Return) and inner.value):
                texts = (each.value for each in ast.walk(answer) if isinstance(each, ast.Constant))
                found |= {text for text in texts if isinstance(text, str)}
    return found
