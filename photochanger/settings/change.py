"""Changing the house's settings: some fields, or back to the environment's; all of it or nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from photochanger.db.facade import Db
from photochanger.errors import Problem
from photochanger.settings.house import FIELDS, HouseSettings, contradiction
from photochanger.settings.rows import HOUSE, Change, Row, change_row
from photochanger.web.inputs import invalid

RESET = "reset"


@dataclass(frozen=True, slots=True)
class Wish:
    """A request that was looked at: the fields to be set, those to be left to the environment, and what is wrong."""

    values: Mapping[str, Any]
    reset: frozenset[str]
    problems: tuple[Problem, ...]


def wish_of(document: Mapping[str, Any]) -> Wish:
    """What a JSON document asks for. `null` resets a field that cannot be null; `reset` names fields of any kind."""
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    reset = set(_reset_of(document.get(RESET, []), problems))
    for name, value in document.items():
        if name == RESET:
            continue
        field = FIELDS.get(name)
        if field is None:
            problems.append(Problem(name[:60], "there is no such field"))
        elif name in reset:
            problems.append(Problem(name, "is given and reset at once"))
        elif value is None and not field.nullable:
            reset.add(name)
        elif (problem := field.problem(value)) is not None:
            problems.append(Problem(name, problem))
        else:
            values[name] = field.plain(value)
    return Wish(values, frozenset(reset), tuple(problems))


async def change_house(
    db: Db, wish: Wish, defaults: HouseSettings, *, by: str, version: int | None
) -> tuple[Row, bool]:
    """Put a wish into the row; the row as it is then, and whether there was anything to change.

    Raises Refusal (version_conflict; validation_failed with everything that is wrong) and DatabaseUnavailable.
    """
    async with db.transaction() as transaction:
        return await change_row(transaction, HOUSE, _deciding(wish, defaults), by=by, version=version)


def _deciding(wish: Wish, defaults: HouseSettings) -> Callable[[Row], Change | None]:
    def decide(row: Row) -> Change | None:
        before = dict(row.value) if isinstance(row.value, dict) else {}
        after = {name: value for name, value in (before | dict(wish.values)).items() if name not in wish.reset}
        problems = [*wish.problems, *_contradiction(wish, defaults.overridden(after))]
        if problems:
            raise invalid(*problems)
        names = sorted(name for name in before | after if before.get(name, ...) != after.get(name, ...))
        if not names:
            return None
        return Change(after, _only(before, names), _only(after, names))

    return decide


def _contradiction(wish: Wish, settings: HouseSettings) -> list[Problem]:
    """What a wish would make contradict itself: not what does so already, nor a field that is wrong by itself."""
    found = contradiction(settings)
    touched = (wish.values.keys() | wish.reset) - {problem.field for problem in wish.problems}
    if found is None or not touched & set(found.fields):
        return []
    return [Problem(next(name for name in found.fields if name in touched), found.message)]


def _only(values: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}


def _reset_of(given: Any, problems: list[Problem]) -> list[str]:
    if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
        problems.append(Problem(RESET, "must be a list of names of fields"))
        return []
    if unknown := [name for name in given if name not in FIELDS]:
        problems.append(Problem(RESET, f"there is no field {unknown[0][:40]!r}"))
    return [name for name in given if name in FIELDS]
