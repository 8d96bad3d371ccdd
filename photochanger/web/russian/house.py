"""Settings, galleries, history and statistics: settings/, gallery/, history/, stats/."""

from collections.abc import Mapping
from typing import Final

HOUSE: Final[Mapping[str, str]] = {
    # Settings
    "must not be null": "null здесь не допускается",
    "must be a whole number": "ожидается целое число",
    "must be a number": "ожидается число",
    "must be from {n} to {n}": "ожидается число от {0} до {1}",
    "a guest's own photo must not be kept for longer than the result: original_ttl_hours > result_ttl_hours": (
        "фотография гостя не может храниться дольше результата: original_ttl_hours > result_ttl_hours"
    ),
    "is given and reset at once": "одновременно задаётся и сбрасывается",
    "must be a list of names of fields": "ожидается список имён полей",
    "there is no field {q}": "поля {0} нет",
    "The settings are at version {n} now.": "Сейчас версия настроек — {0}.",
    "There is no such provider, or it needs no key.": "Такого провайдера нет, или ключ ему не нужен.",
    "must be printable ASCII characters without spaces, 8 at least": (
        "ожидаются печатные символы ASCII без пробелов, не меньше 8"
    ),
    "Too many checks at once; try again.": "Слишком много проверок сразу, повторите.",
    # Galleries
    "There is no result of that time.": "Результатов за это время нет.",
    "that are more than {n} pictures: ask for a shorter time": (
        "слишком много изображений, больше {0}: выберите время короче"
    ),
    "is too early": "слишком ранняя дата",
    "must be before `to`": "ожидается время раньше `to`",
    "must be the id of the slot whose files are all to be removed": (
        "здесь нужен id слота, все файлы которого удаляются"
    ),
    "There is no picture yet.": "Изображения ещё нет.",
    "This link was good for 15 minutes.": "Ссылка действовала 15 минут.",
    "This slot has no gallery: set its `gallery` to token or public.": (
        "У этого слота нет галереи: поставьте в его поле `gallery` token или public."
    ),
    "The Host header names no host.": "В заголовке Host не указан хост.",
    # History
    "It has ended.": "Задание уже закончено.",
    "It is not at work in this process.": "Этот процесс такого задания не выполняет.",
    "It was taken up after a restart, and cannot be stopped: its provider goes on until it ends.": (
        "Задание продолжено после перезапуска, и остановить его нельзя: провайдер доводит его до конца."
    ),
    "Its end is known, and is being written or told.": "Исход задания уже известен и сейчас записывается.",
    "It has ended by itself meanwhile: {w}.": "Задание тем временем закончилось само: {0}.",
    "must be a time of this century": "ожидается время этого столетия",
    # Statistics
    "must be between {w} and {w}": "ожидается дата от {0} до {1}",
    "lies before the beginning": "конец раньше начала",
    "is too far away: at most {n} days can be shown": "слишком далеко: дней можно показать не больше {0}",
}
