"""The form's bytes against the captured request."""

import re

from photochanger.demo.dslr import build_form, text_fields

BOUNDARY = "------------090306000104030805010400"


def test_the_body_is_the_captured_shape_to_the_byte() -> None:
    form = build_form(
        [("time", "1758217512"), ("profile", "C:\\a b\\x.xml"), ("password", "123456")],
        file_name="IMG_0003.JPG",
        mime="image/jpeg",
        boundary=BOUNDARY,
    )
    line = "--------------090306000104030805010400"
    assert (
        form.before + b"PHOTO" + form.after
        == (
            f'{line}\r\nContent-Disposition: form-data; name="time"\r\n\r\n1758217512\r\n'
            f'{line}\r\nContent-Disposition: form-data; name="profile"\r\n\r\nC:\\a b\\x.xml\r\n'
            f'{line}\r\nContent-Disposition: form-data; name="password"\r\n\r\n123456\r\n'
            f'{line}\r\nContent-Disposition: form-data; name="fileToUpload"; filename="IMG_0003.JPG"\r\n'
            f"Content-Type: image/jpeg\r\n\r\nPHOTO\r\n{line}--\r\n"
        ).encode()
    )
    assert form.content_type == f"multipart/form-data; boundary={BOUNDARY}"


def test_overhead_is_that_of_the_capture() -> None:
    fields = list(text_fields(1758217512, {}).items())
    assert build_form(fields, file_name="IMG_0003.JPG", mime="image/jpeg").overhead == 53205 - 51977
    with_password = [*fields, ("password", "123456")]
    assert build_form(with_password, file_name="IMG_0003.JPG", mime="image/jpeg").overhead == 1327


def test_fields_come_in_the_captured_order() -> None:
    names = ["time", "user_id", "id", "profile", "status", "hash", "name", "model", "version"]
    assert list(text_fields(1, {})) == names
    fields = text_fields(1, {"survey1_Name": "Ann", "user_id": "other"}, with_hash=False)
    names.remove("hash")
    assert list(fields) == [*names, "survey1_Name"]
    assert fields["user_id"] == "other"


def test_hash_is_forty_hex_digits_and_differs() -> None:
    first, second = (text_fields(1, {})["hash"] for _ in range(2))
    assert re.fullmatch("[0-9a-f]{40}", first)
    assert first != second


def test_boundary_is_dashes_and_pairs() -> None:
    boundaries = {build_form([], file_name="x", mime="y").boundary for _ in range(20)}
    assert len(boundaries) == 20
    assert all(re.fullmatch("-{12}(0[0-9]){12}", boundary) for boundary in boundaries)


def test_cyrillic_travels_in_the_chosen_code_page_without_a_label() -> None:
    form = build_form([("user_id", "Студия 中")], file_name="Фото.JPG", mime="image/jpeg", encoding="cp1251")
    assert 'name="user_id"\r\n\r\nСтудия ?\r\n'.encode("cp1251") in form.before
    assert 'filename="Фото.JPG"'.encode("cp1251") in form.before
    assert b"charset" not in form.before


def test_a_name_cannot_end_its_line() -> None:
    form = build_form([], file_name='a"\r\nX: y', mime="image/jpeg")
    assert b'filename="a%22%0D%0AX: y"' in form.before
