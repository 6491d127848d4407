"""Text as WebSocket frames, as a server writes them: unmasked, one frame each (RFC 6455, 5.2)."""

from collections.abc import Iterable

_TEXT = 0x81  # final frame, text
_LONG, _LONGER = 126, 127  # markers: a length of 16 bits follows, or one of 64


def header(length: int) -> bytes:
    """Write the header of a text frame of so many bytes."""
    if length < _LONG:
        return bytes((_TEXT, length))
    if length < 1 << 16:
        return bytes((_TEXT, _LONG)) + length.to_bytes(2)
    return bytes((_TEXT, _LONGER)) + length.to_bytes(8)


_HEADERS = tuple(header(length) for length in range(1024))


def framed(texts: Iterable[bytes]) -> bytes:
    """Write texts as one run of frames."""
    parts: list[bytes] = []
    for text in texts:
        length = len(text)
        parts.append(_HEADERS[length] if length < len(_HEADERS) else header(length))
        parts.append(text)
    return b"".join(parts)
