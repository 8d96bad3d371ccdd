"""Providers' settings and keys: providers/."""

from collections.abc import Mapping
from typing import Final

PROVIDERS: Final[Mapping[str, str]] = {
    # Settings
    "{w} has no operation {q} ({})": "у {0} нет операции {1}, есть: {2}",
    "{w} takes {n} beside the guest's photo, not {n}": "{0} принимает кроме фотографии гостя не больше {1}, а не {2}",
    "must not be empty": "не может быть пустым",
    "has {n} characters, at most {n} are sent": "слишком длинный текст: символов {0}, отправляется не больше {1}",
    "{w} was {t}; use {w}": "модель {0} {1}; укажите {2}",
    'must be ["IMAGE"] or ["TEXT", "IMAGE"]': 'ожидается ["IMAGE"] или ["TEXT", "IMAGE"]',
    "{q} is not one that {w} takes ({})": "значение {0} для {1} не подходит, есть: {2}",
    "must be a number from 0.1 to 20": "ожидается число от 0.1 до 20",
    "has {n} words, at most {n} are taken": "слишком длинный текст: слов {0}, принимается не больше {1}",
    "{w} needs a prompt": "операции {0} нужен промпт",
    "{w} has no such parameter": "у операции {0} такого параметра нет",
    "{w} needs exactly one picture with the role {q}, not {n}": (
        "операции {0} нужно ровно одно изображение с ролью {1}, а не {2}"
    ),
    "{w} has no key: store one in the settings, or set {w}": (
        "нет ключа {0}: сохраните его в настройках или задайте {1}"
    ),
    # What trying a key came to
    "Google does not know this key.": "Google не знает такого ключа.",
    "The key may not be used for the Gemini API.": "Этот ключ нельзя использовать для Gemini API.",
    "The key may not be used from this machine's address.": "Этот ключ нельзя использовать с адреса этого сервера.",
    "The Gemini API is switched off in the key's project.": "В проекте этого ключа Gemini API выключен.",
    "Google has suspended the key's project.": "Google приостановил проект этого ключа.",
    "The key has no right to use the Gemini API.": "У ключа нет права использовать Gemini API.",
    "Google does not serve this machine's country, or wants billing.": (
        "Google не обслуживает страну этого сервера или требует подключить оплату."
    ),
    "The key is good, but its quota is used up.": "Ключ годится, но его квота исчерпана.",
    "Google could not be reached.": "Не удалось связаться с Google.",
    "Google did not answer within {n} s.": "Google не ответил за {0} с.",
    "Google accepts the key.": "Google принимает ключ.",
    "Google is out of order now (status {n}).": "Google сейчас не работает (статус {0}).",
    "The answer tells nothing of the key (status {n}); look at GEMINI_BASE_URL.": (
        "Ответ ничего не говорит о ключе (статус {0}); проверьте GEMINI_BASE_URL."
    ),
    "Turbotext answered, but not whether it accepts the key.": "Turbotext ответил, но не сказал, годится ли ключ.",
    "Turbotext did not answer within {n} s.": "Turbotext не ответил за {0} с.",
    "Turbotext accepts the key.": "Turbotext принимает ключ.",
    "Turbotext does not accept the key, or its plan has no access to the API.": (
        "Turbotext не принимает ключ, или в его тарифе нет доступа к API."
    ),
    "Turbotext does not accept the key.": "Turbotext не принимает ключ.",
    "Turbotext has had too many requests with this key; try again later.": (
        "Слишком много запросов к Turbotext с этим ключом, повторите позже."
    ),
    "Turbotext is out of order now (status {n}).": "Turbotext сейчас не работает (статус {0}).",
    "Turbotext could not be reached.": "Не удалось связаться с Turbotext.",
}
