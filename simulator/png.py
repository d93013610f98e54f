"""Tiny valid pictures made in code, so that no binary file is needed to try file sharing."""

import struct
import zlib


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def sample_png(*, width: int = 64, height: int = 64, color: tuple[int, int, int] = (44, 110, 203)) -> bytes:
    """Return a PNG of one colour with a lighter diagonal, so that a person sees that it is a picture."""
    lighter = bytes((part + 255) // 2 for part in color)
    rows = []
    for y in range(height):
        line = bytearray(bytes(color) * width)
        x = y * width // height
        line[x * 3 : x * 3 + 3] = lighter
        rows.append(b"\0" + bytes(line))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"".join(rows))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")
