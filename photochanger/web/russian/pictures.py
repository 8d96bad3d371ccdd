"""Files that are no pictures, or no whole ones: media/."""

from collections.abc import Mapping
from typing import Final

PICTURES: Final[Mapping[str, str]] = {
    "The photo is empty.": "Файл фотографии пуст.",
    "The file is empty.": "Файл пуст.",
    "This is {t}; only JPEG, PNG and WebP photos are accepted.": (
        "Это {0}; принимаются только фотографии JPEG, PNG и WebP."
    ),
    "The picture is cut off.": "Изображение обрывается.",
    "The picture is damaged: it cannot be decoded whole.": "Изображение повреждено: прочитать его целиком нельзя.",
    "The picture's headers contradict each other.": "Заголовки изображения противоречат друг другу.",
    "The picture is too large: {n} x {n} pixels; up to {n} megapixels are accepted.": (
        "Изображение слишком большое: {0} x {1} px; принимается до {2} Мп."
    ),
    "The JPEG has no frame header.": "В JPEG нет заголовка кадра.",
    "The JPEG's header is damaged.": "Заголовок JPEG повреждён.",
    "The JPEG has more than {n} scans.": "В JPEG слишком много проходов, допускается не больше {0}.",
    "The JPEG has two frame headers.": "В JPEG два заголовка кадра.",
    "The JPEG is coded in a way that is not supported.": "Такой способ кодирования JPEG не поддерживается.",
    "The JPEG's frame header is damaged.": "Заголовок кадра JPEG повреждён.",
    "The JPEG has too many segments.": "В JPEG слишком много сегментов.",
    "The JPEG is cut off: its end is missing.": "JPEG обрывается: нет конца файла.",
    "The PNG's header is damaged.": "Заголовок PNG повреждён.",
    "The PNG is coded in a way that is not supported.": "Такой способ кодирования PNG не поддерживается.",
    "The PNG is cut off: its end is missing.": "PNG обрывается: нет конца файла.",
    "The PNG is damaged.": "PNG повреждён.",
    "The PNG has too many chunks.": "В PNG слишком много блоков.",
    "The PNG has no pixels.": "В PNG нет пикселей.",
    "The WebP is cut off: its end is missing.": "WebP обрывается: нет конца файла.",
    "The WebP is cut off.": "WebP обрывается.",
    "The WebP is animated; only still pictures are accepted.": (
        "Это анимированный WebP; принимаются только неподвижные изображения."
    ),
    "The WebP's header is damaged.": "Заголовок WebP повреждён.",
    "The WebP has too many chunks.": "В WebP слишком много блоков.",
    "The WebP is damaged.": "WebP повреждён.",
    "The WebP's frame header is damaged.": "Заголовок кадра WebP повреждён.",
}
