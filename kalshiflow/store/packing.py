"""Deltas as rows of PostgreSQL's binary COPY: packed once, when they come, and sent as they are.

Every field is its length (32 bits) and its value, big-endian; a length of -1 is NULL. All but the
numbers of a row is the same for a session's market, and made once.
"""

import struct
from collections.abc import Iterable
from io import BytesIO

from kalshiflow.market.events import BookDelta, TimeSource

# The order in which a row is packed: what stays the same comes first.
DELTA_COLUMNS = (
    "session_id",
    "ticker",
    "frame_no",
    "side",
    "price",
    "change",
    "received_at",
    "market_time",
    "time_source",
    "exchange_ts",
    "sid",
    "seq",
    "client_order_id",
)

_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)  # no flags, no extension
_TRAILER = b"\xff\xff"
_COUNT = struct.Struct(">h").pack(len(DELTA_COLUMNS))
_LENGTH = struct.Struct(">i")
_NULL = _LENGTH.pack(-1)
_BIGINT = struct.Struct(">iq")
# From the frame number to the time's source, and with three numbers and a NULL behind it.
_FIRST = struct.Struct(">iqihiiiqiqiqih")
_pack_whole = struct.Struct(">iqihiiiqiqiqihiqiqiqi").pack
_EXCHANGE, _CARRIED = TimeSource.EXCHANGE, TimeSource.CARRIED


class DeltaPacker:
    """Packs the deltas of one session."""

    def __init__(self, session_id: str) -> None:
        self._session = _COUNT + _text(session_id)
        self._prefixes: dict[str, bytes] = {}

    def pack(self, event: BookDelta) -> bytes:
        """Give the row of a delta."""
        ticker, side, price, change, stamp, client_order_id = event
        frame_no, received_at, market_time, source, exchange_ts, sid, seq = stamp
        code = 0 if source is _EXCHANGE else 1 if source is _CARRIED else 2
        prefix = self._prefixes.get(ticker)
        if prefix is None:
            prefix = self._prefixes[ticker] = self._session + _text(ticker)
        if exchange_ts is None or sid is None or seq is None or client_order_id is not None:
            return b"".join(
                (
                    prefix,
                    _FIRST.pack(
                        *(8, frame_no, 2, side, 4, price, 8, change),
                        *(8, received_at, 8, market_time, 2, code),
                    ),
                    *map(_bigint, (exchange_ts, sid, seq)),
                    _NULL if client_order_id is None else _text(client_order_id),
                )
            )
        # fmt: off
        return prefix + _pack_whole(
            8, frame_no, 2, side, 4, price, 8, change, 8, received_at, 8, market_time, 2, code,
            8, exchange_ts, 8, sid, 8, seq, -1,
        )
        # fmt: on


def received_at(row: bytes) -> int:
    """Give the time (nanoseconds) at which a packed delta was received."""
    place = len(_COUNT)
    for _text_field in ("session_id", "ticker"):
        place += _LENGTH.size + _LENGTH.unpack_from(row, place)[0]
    found: int = _FIRST.unpack_from(row, place)[9]
    return found


def copy_stream(rows: Iterable[bytes]) -> BytesIO:
    """Give packed rows as the whole that `COPY ... (FORMAT binary)` takes."""
    return BytesIO(b"".join((_HEADER, *rows, _TRAILER)))


def _text(text: str) -> bytes:
    encoded = text.encode()
    return _LENGTH.pack(len(encoded)) + encoded


def _bigint(value: int | None) -> bytes:
    return _NULL if value is None else _BIGINT.pack(8, value)
