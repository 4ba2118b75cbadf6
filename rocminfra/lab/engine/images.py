"""Width and height of an image in a ``data:`` URL, from its header alone."""

from __future__ import annotations

import base64
import binascii
import struct

from rocminfra.lab.engine.errors import bad_request

_PNG = b"\x89PNG\r\n\x1a\n"
# Start-of-frame markers; 0xC4, 0xC8 and 0xCC lie between them and mean something else.
_JPEG_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})


def image_size(url: str) -> tuple[int, int]:
    """Width and height in pixels of the image in ``url``.

    Raises ApiError (400) for anything but a base64 ``data:`` URL with a PNG or a JPEG in it:
    the simulator fetches nothing.
    """
    if not url.startswith("data:"):
        raise bad_request(
            "The simulated engine fetches no URLs: send the image as a base64 data: URL"
        )
    header, comma, encoded = url.partition(",")
    if not comma or not header.endswith(";base64"):
        raise bad_request("Only base64 data URLs are supported for now.")
    try:
        data = base64.b64decode(encoded, validate=False)
    except (binascii.Error, ValueError) as error:
        raise bad_request(f"Failed to load image: {error}") from error
    size = _png_size(data) or _jpeg_size(data)
    if size is None or min(size) < 1:
        raise bad_request("Failed to load image: cannot identify image file")
    return size


def _png_size(data: bytes) -> tuple[int, int] | None:
    if not data.startswith(_PNG) or len(data) < 24:
        return None
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    if not data.startswith(b"\xff\xd8"):
        return None
    position = 2
    while position + 9 <= len(data):
        if data[position] != 0xFF:
            return None
        marker = data[position + 1]
        if marker == 0xFF:  # padding
            position += 1
            continue
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack(">HH", data[position + 5 : position + 9])
            return width, height
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:  # no length follows
            position += 2
            continue
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return None
