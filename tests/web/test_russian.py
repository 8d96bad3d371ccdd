"""Everything that a caller can be told is there in Russian too, and nothing that a caller said is changed by it."""

import re
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest

from photochanger.domain.wording import told
from photochanger.errors import Refusal
from photochanger.media.formats import sniff
from photochanger.providers.gemini.driver import GeminiDriver
from photochanger.providers.gemini.models import RETIRED
from photochanger.providers.http import tls_context
from photochanger.providers.turbotext.driver import TurbotextDriver
from photochanger.slots.fields import RISING
from photochanger.web.inputs import parse_json
from photochanger.web.russian.house import HOUSE
from photochanger.web.russian.pictures import PICTURES
from photochanger.web.russian.providers import PROVIDERS
from photochanger.web.russian.requests import REQUESTS
from photochanger.web.russian.slots import SLOTS
from photochanger.web.russian.translate import russian
from photochanger.web.russian.values import VALUES, WORDS
from tests.house.shared import SharedHouse, shared_house
from tests.lab.house import Lab
from tests.postgres import PostgresServer
from tests.web.messages import ADDRESS, NOT_TOLD, OURS, ROOT, Message, Unreadable, literals, messages

TABLES = (REQUESTS, PICTURES, SLOTS, HOUSE, PROVIDERS, VALUES, WORDS)

CYRILLIC = re.compile("[а-яё]", re.IGNORECASE)
LATIN = re.compile(r"[A-Za-z]{2,}")
HOLE = re.compile(r"\{\w?\}")


def faults(found: list[Message]) -> list[str]:
    """The messages without a Russian text, or with one that loses something."""
    wrong = []
    for message in found:
        text = russian(message.text)
        lost = [value for value in message.values if value not in text]
        if CYRILLIC.search(text) is None or lost:
            wrong.append(f"{message.where}: {message.text!r} -> {text!r}")
    return wrong


def test_every_message_of_the_source_is_there_in_russian() -> None:
    found = messages()
    assert len(found) > 200  # the reading still finds what there is
    assert faults(found) == []


@pytest.mark.parametrize(
    "line",
    [
        'raise Refusal(Reason.NOT_FOUND, "There is no such moon.")',
        'raise Refusal(Reason.NOT_FOUND, detail="There is no such moon.")',
        'raise invalid(Problem("moon", f"must be {phase} at least"))',
        'raise Refusal(Reason.NOT_FOUND, "There is no moon." if far else "There is no picture yet.")',
        'raise damaged("The moon is cut off.")',
    ],
)
def test_a_message_without_a_russian_text_is_found(tmp_path: Path, line: str) -> None:
    (tmp_path / "slots").mkdir()
    (tmp_path / "slots" / "moon.py").write_text(f"def f():\n    {line}\n")
    assert [fault.partition(": ")[0] for fault in faults(messages(tmp_path))] == ["slots/moon.py:2"]


def test_a_message_that_cannot_be_read_is_found(tmp_path: Path) -> None:
    (tmp_path / "slots").mkdir()
    (tmp_path / "slots" / "moon.py").write_text('raise Refusal(Reason.NOT_FOUND, " ".join(words))\n')
    with pytest.raises(Unreadable, match=r"slots/moon.py:1"):
        messages(tmp_path)


def test_what_is_left_out_is_there() -> None:
    assert [name for name in NOT_TOLD if not (ROOT / name).exists()] == []


def test_words_that_are_put_in_are_known() -> None:
    addresses = literals("slots/public_address.py", {"_of_address", "_of_name"})
    assert addresses == set(ADDRESS)
    looks = literals("media/formats/sniff.py", {"_looks_like"}) | {name for _, name in sniff._MAGIC}
    assert looks | set(sniff._BRANDS.values()) <= {*WORDS, ""}
    assert set(RISING.values()) == set(OURS["RISING[field]"])
    assert set(OURS["meaning"]) <= WORDS.keys()
    for gone in RETIRED.values():
        assert CYRILLIC.search(russian(f"x-1 was {gone.why}; use {gone.successor}"))
        assert "on" not in LATIN.findall(russian(f"x-1 was {gone.why}; use {gone.successor}"))


@pytest.mark.parametrize("table", TABLES, ids=range(len(TABLES)))
def test_every_russian_text_says_what_was_put_in(table: Mapping[str, str]) -> None:
    for english, text in table.items():
        holes = len(HOLE.findall(english))
        used = {int(number) for number in re.findall(r"\{(\d)\}", text)}
        assert used <= set(range(holes)), english
        if not english.startswith("'utf-8'"):  # what exactly is wrong with the byte helps nobody
            assert used == set(range(holes)), english
        assert english.endswith(".") == text.endswith("."), english


def test_no_sentence_is_there_twice() -> None:
    keys = [key for table in TABLES[:-1] for key in table]
    assert len(keys) == len(set(keys))


M = msgspec.Meta


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (int, "x", "ожидается целое число, а не текст"),
        (int | None, [], "ожидается целое число или null, а не список в квадратных скобках"),
        (bool, {}, "ожидается true или false, а не объект в фигурных скобках"),
        (UUID, 3, "ожидается UUID, а не целое число"),
        (UUID, "x", "это не UUID"),
        (Annotated[int, M(ge=1)], 0, "ожидается целое число не меньше 1"),
        (Annotated[int, M(le=80)], 81, "ожидается целое число не больше 80"),
        (Annotated[float, M(ge=0.1)], 0.0, "ожидается число не меньше 0.1"),
        (Annotated[float, M(lt=2)], 2.0, "ожидается число меньше 2.0"),
        (Annotated[str, M(min_length=2)], "a", "слишком короткий текст, символов нужно не меньше 2"),
        (Annotated[str, M(max_length=2)], "abc", "слишком длинный текст, символов допускается не больше 2"),
        (Annotated[list[int], M(max_length=1)], [1, 2], "слишком длинный список, элементов допускается не больше 1"),
        (tuple[int, int], [1], "неверная длина списка: элементов нужно 2, а не 1"),
        (Annotated[str, M(pattern="^a$")], "b", "ожидается простое имя: латинские буквы, цифры и . _ : / -"),
    ],
)
def test_what_msgspec_says_of_a_value(kind: Any, value: Any, text: str) -> None:
    with pytest.raises(msgspec.ValidationError) as error:
        msgspec.convert(value, kind)
    assert russian(told(str(error.value))[1]) == text


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"[1,]", "Тело запроса — не JSON: лишняя запятая в массиве (байт 3)."),
        (b"[1", "Тело запроса — не JSON: текст обрывается."),
        (b'{"a":1 "b"}', "Тело запроса — не JSON: нужна «,» или «}» (байт 7)."),
        (b'{"a" 1}', "Тело запроса — не JSON: нужно «:» (байт 5)."),
        (b"{1:2}", "Тело запроса — не JSON: ключи объекта должны быть строками (байт 1)."),
        (b"1e999", "Тело запроса — не JSON: слишком большое число."),
        (b'"\xff"', "Тело запроса — не JSON: это не UTF-8 (байт 0xff на месте 0)."),
        (b"[" * 100_000, "Тело запроса — не JSON: слишком глубокая вложенность."),
    ],
)
def test_what_is_no_json(body: bytes, text: str) -> None:
    with pytest.raises(Refusal) as refusal:
        parse_json(body, dict)
    assert russian(refusal.value.detail) == text


def test_several_sentences_are_told_one_by_one() -> None:
    assert russian("The form is broken. It has ended.") == "Форма повреждена. Задание уже закончено."
    assert russian("is missing; must be a number") == "поле не указано; ожидается число"
    assert russian("there is no slot 'a. b; c'; is too early") == "слота 'a. b; c' нет; слишком ранняя дата"


def test_a_key_that_is_missing_is_missed_in_russian() -> None:
    context = tls_context()
    for driver in (GeminiDriver(None, ssl_context=context), TurbotextDriver(None, ssl_context=context)):
        assert driver.missing is not None
        setting = f"{driver.name.upper()}_API_KEY"
        assert russian(driver.missing) == f"нет ключа {driver.name}: сохраните его в настройках или задайте {setting}"


@pytest.mark.parametrize("text", ["", "Because.", "It has ended. Or not.", "Or not. It has ended.", "must be"])
def test_what_is_not_known_stays_as_it_is(text: str) -> None:
    assert russian(text) == text


@pytest.mark.parametrize(
    "given",
    [
        "a whole number",
        "The form is broken.",
        "text', not 'text",
        "{0} {} {n}",
        "\\",
        "'",
        "\n",
        "; is missing",
        "x (y)",
    ],
)
def test_what_somebody_gave_is_never_translated(given: str) -> None:
    assert russian(f"there is no slot {given!r}") == f"слота {given!r} нет"
    assert russian(f"there is no provider {given!r} (a, b)") == f"провайдера {given!r} нет, есть: a, b"
    assert russian(f"must be one of a, b, not {given!r}") == f"ожидается одно из: a, b, а не {given!r}"
    assert russian(f"invalid enum value {given!r}") == f"недопустимое значение: {given!r}"


@contextmanager
def no_longer_than(seconds: float) -> Iterator[None]:
    """A guard for what would go on for hours: so much time of the processor is far more than the work takes."""

    def give_up(*_: Any) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGPROF, give_up)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


BEGINNINGS = sorted({key.partition("{")[0] for table in TABLES for key in table if "{" in key})


@pytest.mark.parametrize("piece", ["a", " (", "'", "\\", "; ", ". ", ", not ", " or ", "1", "; use ", " was ", " x 1"])
def test_a_long_value_is_no_burden(piece: str) -> None:
    long = piece * (100_000 // len(piece))
    with no_longer_than(60):
        for beginning in BEGINNINGS:
            russian(beginning + long)
            russian(beginning + long + ".")


@pytest.fixture(scope="module")
def asked(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedHouse]:
    with shared_house(postgres_server, tmp_path_factory.mktemp("russian")) as running:
        yield running


async def ask(lab: Lab, method: str, path: str, language: str, content: bytes | None) -> Any:
    headers = {"Accept-Language": language, "Content-Type": "application/json", "If-Match": "*"}
    async with lab.api() as client:
        answer = await client.request(method, path, content=content, headers=headers)
    assert answer.headers["content-language"] == language
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.json()


@pytest.mark.parametrize(
    ("method", "path", "content", "english", "text"),
    [
        ("GET", "/api/slots/is%20missing", None, "there is no slot 'is missing'", "слота 'is missing' нет"),
        (
            "PUT",
            "/api/settings",
            b"{",
            "The body is no JSON: Input data was truncated.",
            "Тело запроса — не JSON: текст обрывается.",
        ),
    ],
)
def test_the_house_tells_details_in_both_languages(
    asked: SharedHouse, method: str, path: str, content: bytes | None, english: str, text: str
) -> None:
    assert asked.run(ask, method, path, "en", content)["detail"] == english
    assert asked.run(ask, method, path, "ru", content)["detail"] == text


@pytest.mark.parametrize(
    ("method", "path", "document", "english", "text"),
    [
        (
            "PUT",
            "/api/settings",
            {"t_sync": 7, "moon": 1, "reset": ["must be"]},
            {
                "t_sync": "must be from 10 to 60",
                "moon": "there is no such field",
                "reset": "there is no field 'must be'",
            },
            {"t_sync": "ожидается число от 10 до 60", "moon": "такого поля нет", "reset": "поля 'must be' нет"},
        ),
        (
            "PUT",
            "/api/slots/slot-001",
            {"permits": "three", "on_timeout": "is missing", "hedge": None},
            {
                "permits": "must be a whole number, not text",
                "on_timeout": None,
                "hedge": "must be true or false, not null",
            },
            {
                "permits": "ожидается целое число, а не текст",
                "on_timeout": "а не 'is missing'",
                "hedge": "ожидается true или false, а не null",
            },
        ),
        (
            "PUT",
            "/api/slots/slot-001",
            {"provider": "a text"},
            {"provider": "must be a plain name: letters, digits and . _ : / -"},
            {"provider": "ожидается простое имя: латинские буквы, цифры и . _ : / -"},
        ),
        ("GET", "/api/jobs?limit=0", None, {"limit": None}, {"limit": "ожидается целое число не меньше 1"}),
        (
            "GET",
            "/api/slots?moon=1",
            None,
            {"moon": "there is no such parameter"},
            {"moon": "такого параметра нет"},
        ),
    ],
)
def test_the_house_tells_fields_in_both_languages(
    asked: SharedHouse, method: str, path: str, document: Any, english: dict[str, str | None], text: dict[str, str]
) -> None:
    content = None if document is None else msgspec.json.encode(document)
    told_en, told_ru = (asked.run(ask, method, path, language, content)["errors"] for language in ("en", "ru"))
    for found, wanted in ((told_en, english), (told_ru, text)):
        assert {each["field"] for each in found} == set(wanted)
        for each in found:
            assert (wanted[each["field"]] or "") in each["message"]
    assert not any(CYRILLIC.search(each["message"]) for each in told_en)


async def try_key(lab: Lab, language: str) -> str:
    async with lab.api() as client:
        headers = {"Accept-Language": language}
        answer = await client.post("/api/settings/provider-keys/gemini/check", json={}, headers=headers)
    assert answer.status_code == 200
    return str(answer.json()["detail"])


def test_what_trying_a_key_came_to_is_told_in_both_languages(asked: SharedHouse) -> None:
    english = asked.run(try_key, "en")
    assert asked.run(try_key, "ru") == russian(english) != english
