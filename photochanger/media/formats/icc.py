"""Is an embedded ICC profile sRGB? Decided by its numbers, because names vary ("sRGB IEC61966-2.1", "c2", ...).

Layout and number formats after the ICC's specification (ICC.1): a 128-byte header, a table of tags, and in a
matrix profile three colourants (rXYZ, gXYZ, bXYZ) and three tone curves (rTRC, gTRC, bTRC).
"""

import struct

LARGEST_SRGB = 65_519
"""A profile longer than one JPEG segment holds lookup tables; sRGB never needs that."""

_COLOURANTS = {
    b"rXYZ": (0.4361, 0.2225, 0.0139),
    b"gXYZ": (0.3851, 0.7169, 0.0971),
    b"bXYZ": (0.1431, 0.0606, 0.7141),
}
"""The primaries of sRGB adapted to D50, as every sRGB profile has them within rounding."""

_COLOURANT_TOLERANCE = 0.003
_CURVE_TOLERANCE = 0.01
_CURVE_POINTS = {0.25: 0.0509, 0.5: 0.2140, 0.75: 0.5225}
_LOOKUPS = frozenset({b"A2B0", b"A2B1", b"A2B2", b"D2B0"})
_MAX_TAGS = 100


def is_srgb(profile: bytes) -> bool:
    """Whether colours mean the same with this profile as without one. Never raises; nonsense is not sRGB."""
    if not 132 <= len(profile) <= LARGEST_SRGB or profile[16:20] != b"RGB " or profile[36:40] != b"acsp":
        return False
    tags = _tags(profile)
    if _LOOKUPS & tags.keys():
        return False
    for name, expected in _COLOURANTS.items():
        found = _xyz(tags.get(name, b""))
        if found is None or any(abs(a - b) > _COLOURANT_TOLERANCE for a, b in zip(found, expected, strict=True)):
            return False
    return all(_is_srgb_curve(tags.get(name, b"")) for name in (b"rTRC", b"gTRC", b"bTRC"))


def _tags(profile: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", profile, 128)
    found = {}
    for number in range(min(count, _MAX_TAGS)):
        entry = profile[132 + 12 * number : 144 + 12 * number]
        if len(entry) < 12:
            break
        name, offset, length = struct.unpack(">4sII", entry)
        found[name] = profile[offset : offset + length]
    return found


def _fixed(data: bytes) -> list[float]:
    """Numbers as signed 16.16 fixed point."""
    count = len(data) // 4
    return [value / 65_536 for value in struct.unpack(f">{count}i", data[: count * 4])]


def _xyz(tag: bytes) -> list[float] | None:
    return _fixed(tag[8:20]) if tag[:4] == b"XYZ " and len(tag) >= 20 else None


def _is_srgb_curve(tag: bytes) -> bool:
    return all(
        (value := _curve(tag, at)) is not None and abs(value - expected) <= _CURVE_TOLERANCE
        for at, expected in _CURVE_POINTS.items()
    )


def _curve(tag: bytes, at: float) -> float | None:
    """The tone curve's value at `at` (0 to 1); None for a curve that is no table, gamma or sRGB-like formula."""
    if tag[:4] == b"curv" and len(tag) >= 12:
        (count,) = struct.unpack_from(">I", tag, 8)
        values = struct.unpack(f">{len(tag[12:]) // 2}H", tag[12 : 12 + len(tag[12:]) // 2 * 2])[:count]
        if len(values) < count or count == 0:
            return None
        return float(at ** (values[0] / 256) if count == 1 else values[round(at * (count - 1))] / 65_535)
    if tag[:4] == b"para" and tag[8:10] == b"\0\3" and len(tag) >= 32:
        gamma, a, b, c, d = _fixed(tag[12:32])
        base = a * at + b
        if not (0 <= base <= 2 and 0 < gamma < 10):
            return None
        return float(base**gamma) if at >= d else c * at
    return None
