"""The one fact of an EXIF block that changes a picture: which way up it is."""

import struct

_ORIENTATION = 0x0112
_SHORT = 3
_MAX_ENTRIES = 512


def orientation(block: bytes) -> int:
    """1 to 8 as EXIF (a TIFF directory) says it; 1 when the block says nothing sensible. Never raises."""
    block = block.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None or len(block) < 8:
        return 1
    (directory,) = struct.unpack_from(order + "I", block, 4)
    if directory + 2 > len(block):
        return 1
    (entries,) = struct.unpack_from(order + "H", block, directory)
    for number in range(min(entries, _MAX_ENTRIES)):
        at = directory + 2 + 12 * number
        if at + 12 > len(block):
            return 1
        tag, kind, count, value = struct.unpack_from(order + "HHIH", block, at)
        if tag == _ORIENTATION:
            return value if kind == _SHORT and count == 1 and 1 <= value <= 8 else 1
    return 1
