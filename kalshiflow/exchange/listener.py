"""What picows calls: frames put aside as they come, pings answered, a full store held back."""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSProtocolError, WSTransport

MOST_BYTES = 4 * 2**20  # waiting unread; beyond either bound the socket is read no further
MOST_FRAMES = 20_000
MAX_FRAME = 64 * 2**20  # an `ok` frame lists all markets of a subscription

_CONTROL_BYTES = 125  # a control frame is never longer
_NO_STATUS = 1005  # stands for a goodbye without a code; never sent

# A frame's bytes, and our clock's time of taking it from the socket in nanoseconds. A bare pair:
# to make a named one takes longer than all else that is done here for a frame.
Arrival = tuple[bytes, int]


class RawFrame(NamedTuple):
    """An `Arrival` with names, for those who read one by one."""

    raw: bytes
    received_at: int


class Ended(NamedTuple):
    """How a connection ended, as far as anybody told."""

    code: int | None
    reason: str


class FrameListener(WSListener):
    """Frames that wait for their reader, and whatever else the socket tells.

    Data frames of any kind are put aside with the time of `clock`. While more than `MOST_BYTES` or
    `MOST_FRAMES` wait, or while `held`, the socket is not read: then no ping is answered either.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self.pinged_at: float | None = None  # the event loop's time
        self.ended: Ended | None = None
        self.size = 0  # bytes of the frames that wait
        self.was_heard = False  # something came since this was last set to False
        self.is_reading = True
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._frames: list[Arrival] = []
        self._append = self._frames.append
        self._transport: WSTransport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._is_plain = True  # no message in parts is under way, and all is kept
        self._message: bytearray | None = None  # the parts of a message so far
        self._is_held = False
        self._is_closing = False

    # --- for the connection ----------------------------------------------------------------

    def take(self) -> list[Arrival]:
        """Give the frames that wait, which may be none, and read on if they were too many."""
        frames = self._frames
        if frames:
            self._frames = []
            self._append = self._frames.append
            self.size = 0
            self.was_heard = True
            if not self.is_reading:
                self._read_or_not()
        return frames

    async def wait(self) -> None:
        """Wait until a frame is there, or the end. One may wait at a time."""
        if self._waiter is not None:
            raise RuntimeError("somebody else already waits for frames of this connection")
        self._waiter = self._loop.create_future()
        try:
            if not self._frames and self.ended is None:
                await self._waiter
        finally:
            self._waiter = None

    def hold(self, held: bool) -> None:
        """Read the socket no further while held."""
        self._is_held = held
        self._read_or_not()

    def begin_closing(self) -> None:
        """Put no more frames aside, and read whatever comes, to see the other side's goodbye."""
        self._is_closing, self._is_plain = True, False
        self._read_or_not()

    def end(self, ended: Ended) -> None:
        """Note how the connection ended, once, and wake the reader."""
        if self.ended is None:
            self.ended = ended
        self._wake()

    # --- for picows ------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        # Hot. The frame's kind costs three times what its length does, and a frame in one piece
        # that is too long to be a control frame can only be data.
        size = frame.payload_size
        if size > _CONTROL_BYTES and frame.fin and self._is_plain:
            self._append((frame.get_payload_as_bytes(), self._clock()))
            self.size += size
        else:
            self._take_rare(transport, frame)
        if frame.last_in_buffer and self._frames:
            self._wake()
            if self.size > MOST_BYTES or len(self._frames) > MOST_FRAMES:
                self._read_or_not()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        goodbye = transport.close_handshake
        told = None if goodbye is None else goodbye.recv or goodbye.sent
        self.end(Ended(None, "") if told is None else Ended(told.code.value, told.reason or ""))

    def pause_writing(self) -> None:
        """Say nothing: what waits to be sent are a few commands."""

    def resume_writing(self) -> None:
        """Say nothing."""

    # --- inside ----------------------------------------------------------------------------

    def _take_rare(self, transport: WSTransport, frame: WSFrame) -> None:
        self.was_heard = True
        match frame.msg_type:
            case WSMsgType.TEXT | WSMsgType.BINARY | WSMsgType.CONTINUATION as kind:
                if not self._is_closing:
                    self._take_part(frame, begins=kind is not WSMsgType.CONTINUATION)
            case WSMsgType.PING:
                self.pinged_at = self._loop.time()
                transport.send_pong(frame.get_payload_as_bytes())
            case WSMsgType.CLOSE:
                self._take_goodbye(transport, frame.get_payload_as_bytes())

    def _take_part(self, frame: WSFrame, *, begins: bool) -> None:
        if begins != (self._message is None):
            words = "a message begins inside another" if begins else "a part of no message"
            raise WSProtocolError(WSCloseCode.PROTOCOL_ERROR, words)
        message = bytearray() if self._message is None else self._message
        message += frame.get_payload_as_bytes()
        if len(message) > MAX_FRAME:
            words = f"a message of more than {MAX_FRAME} bytes"
            raise WSProtocolError(WSCloseCode.MESSAGE_TOO_BIG, words)
        self._is_plain = bool(frame.fin)
        if not frame.fin:
            self._message = message
            return
        self._message = None
        self._append((bytes(message), self._clock()))
        self.size += len(message)

    def _take_goodbye(self, transport: WSTransport, payload: bytes) -> None:
        code = int.from_bytes(payload[:2], "big") if payload else _NO_STATUS
        # picows would answer a goodbye without a code with the code 0, which breaks the protocol.
        transport.send_close(WSCloseCode.OK if code == _NO_STATUS else WSCloseCode(code))
        self.end(Ended(code, payload[2:].decode("utf-8", "replace")))
        transport.disconnect()

    def _read_or_not(self) -> None:
        is_full = self.size > MOST_BYTES or len(self._frames) > MOST_FRAMES
        self.is_reading = self._is_closing or not (self._is_held or is_full)
        if self._transport is not None:
            below = self._transport.underlying_transport
            (below.resume_reading if self.is_reading else below.pause_reading)()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
