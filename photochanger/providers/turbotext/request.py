"""The forms that are sent. The same two field names mean opposite things in two methods, so this is the only place
that knows them.
"""

from collections.abc import Mapping
from urllib.parse import urlencode

from photochanger.providers.http import SmallBody
from photochanger.providers.turbotext.settings import FIELDS, TurbotextSettings


def create_form(
    operation: str, settings: TurbotextSettings, photo: str, templates: Mapping[str, str]
) -> dict[str, str]:
    """The fields of create_queue. `photo` is the address of the guest's photo, `templates` has those of each role.

    mix_images works on `url_image_target` in the style of `url`; deepfake_photo works on `url` and puts in the face
    of `url_image_target`. The guest's photo is `url_image_target` in both, yet once the canvas and once the face.
    """
    form = {"do": "create_queue"}
    if operation == "mix_images":
        form |= {"url_image_target": photo, "url": templates["style"]}
    elif operation == "deepfake_photo":
        form |= {"url": templates["body"], "url_image_target": photo}
    else:
        form |= {"url": photo}
    for field in sorted(FIELDS[operation]):
        value = getattr(settings, field)
        if value is not None:
            form[field] = str(value)  # a bool becomes True or False, which is how it is documented
    return form


def result_form(queueid: str) -> dict[str, str]:
    """The fields of get_result."""
    return {"do": "get_result", "queueid": queueid}


def encoded(form: Mapping[str, str]) -> SmallBody:
    """application/x-www-form-urlencoded, the only encoding that is documented."""
    return SmallBody(urlencode(form).encode())
