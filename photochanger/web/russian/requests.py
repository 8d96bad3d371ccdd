"""Requests, forms and logins: web/, accounts/, ingest/, and the keys of jobs/."""

from collections.abc import Mapping
from typing import Final

REQUESTS: Final[Mapping[str, str]] = {
    # Bodies, queries and headers
    "The body did not arrive within {n} s.": "Тело запроса не пришло за {0} с.",
    "The body must be application/json.": "Тело запроса должно быть в формате application/json.",
    "The body is no JSON: {t}.": "Тело запроса — не JSON: {0}.",
    "The {w} is no JSON: {t}.": "В поле {0} — не JSON: {1}.",
    "is nested more than {n} levels deep": "вложенность слишком глубокая, уровней допускается не больше {0}",
    "contains the character NUL, which cannot be stored": "содержит символ NUL, который нельзя сохранить",
    "contains the character NUL": "содержит символ NUL",
    "there is no such parameter": "такого параметра нет",
    "cannot be null: leave it out": "null здесь не допускается: не указывайте это поле",
    "cannot be null: leave the parameter out": "null здесь не допускается: не указывайте этот параметр",
    "must be a time as in 2026-11-28T10:00:00Z": "ожидается время, например 2026-11-28T10:00:00Z",
    "is no moment of our calendar": "такого момента нет в нашем календаре",
    "is given more than once": "указано больше одного раза",
    "If-Match must be an ETag of ours, as in {q}.": "В If-Match нужен ETag из нашего ответа, например {0}.",
    # Forms
    "The photo must be sent as multipart/form-data.": "Фотографию нужно отправлять как multipart/form-data.",
    "The template must be sent as multipart/form-data.": "Шаблон нужно отправлять как multipart/form-data.",
    "The form's boundary is missing.": "В заголовке формы нет boundary.",
    "The form's boundary is too long.": "Слишком длинный boundary формы.",
    "The form is broken.": "Форма повреждена.",
    "The form is cut off: its closing boundary did not come.": "Форма обрывается: завершающий boundary не пришёл.",
    "There is no photo in the form (field {w}).": "В форме нет фотографии (поле {0}).",
    "There is no template in the form (field {w}).": "В форме нет шаблона (поле {0}).",
    "The form has more than {n} fields.": "В форме слишком много полей, допускается не больше {0}.",
    "A part of the form has no name.": "У одной из частей формы нет имени.",
    "The photo must be in the field {w}.": "Фотография должна быть в поле {0}.",
    "The template must be in the field {w}.": "Шаблон должен быть в поле {0}.",
    "The form holds more than one photo.": "В форме больше одной фотографии.",
    "The form holds more than one template.": "В форме больше одного шаблона.",
    "This slot accepts photos of up to {t}.": "Слот принимает фотографии размером до {0}.",
    "This house accepts templates of up to {t}.": "Сервис принимает шаблоны размером до {0}.",
    "A form field is larger than {n} KiB.": "Поле формы больше {0} КиБ.",
    # Logins and tokens
    "Authorization must be Bearer and a token.": "В заголовке Authorization должны быть слово Bearer и токен.",
    "{w} is missing or wrong: reload the page.": "Заголовок {0} не указан или неверен: обновите страницу.",
    "The user name or the password is wrong.": "Неверное имя пользователя или пароль.",
    "Too many logins are under way at once.": "Сейчас одновременно идёт слишком много входов.",
    "Another site cannot log you in here.": "Войти сюда с другого сайта нельзя.",
    "The token is not, or no longer, good: log in again.": "Токен недействителен или устарел: войдите снова.",
    "is none of ours: take `next_cursor` as it is": "это не наше значение: берите `next_cursor` без изменений",
    # Signatures
    "The signature must be in the headers or in the query, not in both.": (
        "Подпись должна быть либо в заголовках, либо в адресе, но не там и там сразу."
    ),
    "{w} is missing.": "Не указано: {0}.",
    "{w} is there more than once.": "Указано больше одного раза: {0}.",
    "{w} is malformed: it must be {t}.": "Неверная запись {0}, нужно: {1}.",
    "{w} is malformed: it must hold one to {n} signatures, as v1,base64.": (
        "Неверная запись {0}: нужны подписи вида v1,base64, от одной до {1}."
    ),
    "{w} is malformed: it must be v1, a comma, and 32 bytes in base64.": (
        "Неверная запись {0}: нужны v1, запятая и 32 байта в base64."
    ),
    "This slot accepts signed requests only.": "Слот принимает только подписанные запросы.",
    "This slot accepts its password only, no signatures.": "Слот принимает только пароль, без подписей.",
    "The signature's time is {n} s behind ours; {n} s are allowed.": (
        "Время подписи отстаёт от нашего на {0} с; допускается {1} с."
    ),
    "The signature's time is {n} s ahead of ours; {n} s are allowed.": (
        "Время подписи опережает наше на {0} с; допускается {1} с."
    ),
    "The body is not the one that was announced.": "Тело запроса не то, которое было объявлено.",
    "The signature is wrong.": "Подпись неверна.",
    "Idempotency-Key must be 1 to 255 visible ASCII characters.": (
        "Idempotency-Key должен состоять из видимых символов ASCII, от 1 до 255."
    ),
    # Tries and re-runs
    "Its slot is there no more.": "Слота этого задания больше нет.",
    "Its photo is kept no more.": "Фотография этого задания больше не хранится.",
    "Its photo is not kept yet: try again.": "Фотография этого задания ещё не сохранена: попробуйте позже.",
}
