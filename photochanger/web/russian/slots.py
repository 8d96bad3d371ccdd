"""Slots, their templates, presets and journal: slots/."""

from collections.abc import Mapping
from typing import Final

SLOTS: Final[Mapping[str, str]] = {
    # Plans
    "this plan is there already: asking the same again helps nobody": (
        "такой план уже есть: повторять тот же запрос бесполезно"
    ),
    "there is no provider {q} ({})": "провайдера {0} нет, есть: {1}",
    "{w} fetches photos from this house: set PUBLIC_BASE_URL to an address that the internet reaches": (
        "{0} забирает фотографии отсюда сам: укажите в PUBLIC_BASE_URL адрес, доступный из интернета"
    ),
    "{w} fetches photos from this house: set PUBLIC_BASE_URL to an address that the internet reaches; {w} {t}": (
        "{0} забирает фотографии отсюда сам: укажите в PUBLIC_BASE_URL адрес, доступный из интернета; {1} — {2}"
    ),
    "there may be {n} at most, not {n}": "допускается не больше {0}, а не {1}",
    "this house has no local provider": "локального провайдера здесь нет",
    # Fields
    "must be from {n} to {n}, not {n}": "ожидается число от {0} до {1}, а не {2}",
    "give both sides, or neither for the shape of the photo that was sent": (
        "укажите обе стороны, или ни одной, чтобы сохранить форму присланной фотографии"
    ),
    "{n} x {n} are {n} megapixels; at most {n} are delivered": "{0} x {1} — это {2} Мп; выдаётся не больше {3}",
    "last_resort does nothing while the field last_resort is error: give it a picture": (
        "last_resort не действует, пока в поле last_resort стоит error: выберите там изображение"
    ),
    "does nothing while output is as_is: make that fit or crop, or both sides null": (
        "не действует, пока output — as_is: выберите там fit или crop либо сделайте обе стороны null"
    ),
    "does nothing without rate_per_minute": "не действует без rate_per_minute",
    "password lets nobody in while the slot has none: give it one": (
        "password никого не пропустит, пока у слота нет пароля: задайте его"
    ),
    "clients that cannot sign are not let in while the slot has no password: give it one": (
        "клиенты без подписи не пройдут, пока у слота нет пароля: задайте его"
    ),
    "open is for closed networks only, and PUBLIC_BASE_URL says that the internet reaches this house: "
    "whoever finds the address could spend your money": (
        "open годится только для закрытых сетей, а по PUBLIC_BASE_URL сервис доступен из интернета: "
        "любой, кто найдёт адрес, сможет тратить ваши деньги"
    ),
    "cannot be changed here": "здесь это изменить нельзя",
    "is too large: {n} KiB of JSON are kept": "слишком много данных: хранится не больше {0} КиБ JSON",
    "may only rise, it is {n} now: a key that was replaced stays worthless": (
        "может только расти, сейчас {0}: заменённый ключ остаётся недействительным"
    ),
    "may only rise, it is {n} now: a link that was replaced stays worthless": (
        "может только расти, сейчас {0}: заменённая ссылка остаётся недействительной"
    ),
    "the slot was changed meanwhile, it is at version {n} now: look again": (
        "слот тем временем изменили, сейчас его версия {0}: обновите данные"
    ),
    "is not valid Unicode text": "это не корректный текст Unicode",
    "must be one of {}, not {q}": "ожидается одно из: {0}, а не {1}",
    "has {n} characters, at most {n} are kept": "слишком длинный текст: символов {0}, хранится не больше {1}",
    "must be one line of text, without control characters": "ожидается одна строка текста без управляющих символов",
    "must be text": "ожидается текст",
    "must be text of {n} to {n} characters": "ожидается текст, символов от {0} до {1}",
    "must be 1 to {n} characters": "символов должно быть от 1 до {0}",
    "must be true or false": "ожидается true или false",
    "give one, or have one made up, not both": "укажите пароль или попросите его придумать, но не то и другое сразу",
    # The slot itself
    "must be up to 40 of a-z 0-9 -, and begin with a letter or digit": (
        "символов из a-z 0-9 - допускается до 40, первым должна быть буква или цифра"
    ),
    "{w} is a word of the API's own addresses or figures": "{0} — слово из адресов или показателей самого API",
    "{w} is taken, or belonged to a slot that is archived now": (
        "имя {0} занято или принадлежало слоту, который теперь в архиве"
    ),
    "there is no slot {q}": "слота {0} нет",
    "{w} is at version {n} now.": "Сейчас у слота {0} версия {1}.",
    "{w} is not archived.": "Слот {0} не в архиве.",
    "{w} is archived: bring it back first.": "Слот {0} в архиве: сначала верните его.",
    "There are {n} slots, archived ones included: no more fit.": (
        "Больше слотов не поместится, их уже {0} вместе с архивными."
    ),
    "This slot has had all the keys that there are: make a new slot.": (
        "У этого слота уже были все возможные ключи: создайте новый слот."
    ),
    # Templates
    "role must be a lower-case word, as in style, body or reference": (
        "role должна быть словом из строчных латинских букв, например style, body или reference"
    ),
    "must be a lower-case word, as in style, body or reference": (
        "ожидается слово из строчных латинских букв, например style, body или reference"
    ),
    "there may be {n} at most, at positions 0 to {n}": "допускается не больше {0}, на местах от 0 до {1}",
    "two are at position {n}": "на месте {0} сразу два",
    "there is no template {w}": "шаблона {0} нет",
    "must be from 0 to {n}, not {n}": "ожидается число от 0 до {0}, а не {1}",
    "there is no template at {n}": "на месте {0} шаблона нет",
    "There are {n} templates: delete some first.": "Шаблонов уже {0}: сначала удалите лишние.",
    "The file is larger than {n} MB.": "Файл больше {0} МБ.",
    "There is no such template.": "Такого шаблона нет.",
    "It belongs to {t}.": "Шаблон используют: {0}.",
    # Presets
    "There is no such preset.": "Такого пресета нет.",
    "The preset is at version {n} now.": "Сейчас версия пресета — {0}.",
    "There are {n} presets: no more fit.": "Больше пресетов не поместится, их уже {0}.",
    "is empty: a preset must say something": "пусто: пресет должен что-то задавать",
    "is taken by another preset": "имя занято другим пресетом",
    "belongs to one slot alone, a preset does not carry it": "относится к одному слоту, в пресет это не входит",
    "a preset does not carry it": "в пресет это не входит",
    # The journal
    "The journal does not say what version {n} changed: it is older than the journal, or was made by "
    "hand in the database. Versions after it can be restored.": (
        "В журнале нет того, что изменила версия {0}: она старше журнала или сделана прямо в базе. "
        "Можно восстановить версии после неё."
    ),
    "names a slot that is not among those that are changed": "здесь слот, которого нет среди изменяемых",
    "there are versions 1 to {n} of this slot": "у этого слота есть версии от 1 до {0}",
}
