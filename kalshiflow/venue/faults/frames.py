"""Faults of frames: dropped, doubled, late, out of order, or the last of their connection."""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from kalshiflow.venue.clock import MILLISECOND, SECOND
from kalshiflow.venue.faults.language import CONTROL, Fault
from kalshiflow.venue.faults.live import Faults, LiveFault
from kalshiflow.venue.log import as_text
from kalshiflow.venue.websocket import sessions

FRAME_KINDS = frozenset({"drop", "duplicate", "delay", "reorder", "disconnect"})
# How long a frame that is to come after the next one waits for it.
LONGEST_SWAP = SECOND

_TYPE = re.compile(rb'"type":"(\w+)"')
_SID = re.compile(rb'"sid":(\d+)')
_TICKER = re.compile(rb'"(?:market_)?ticker":"([^"]+)"')
_ANSWERS = frozenset({"subscribed", "unsubscribed", "ok", "error"})
# By type, for the last frames of a subscription that has ended.
_CHANNEL_OF = {
    "orderbook_snapshot": sessions.BOOK,
    "user_order": sessions.USER_ORDERS,
    "market_position": sessions.POSITIONS,
    "event_lifecycle": sessions.LIFECYCLE,
    "event_fee_update": sessions.LIFECYCLE,
}


@dataclass(frozen=True, slots=True)
class Marks:
    """What a frame says of itself. `sid` is 0 for one of no subscription."""

    channel: str
    sid: int
    ticker: str


def marks_of(session: sessions.Session, frame: bytes) -> Marks:
    """Read what a frame is from its text, without decoding it."""
    found, number, ticker = _TYPE.search(frame), _SID.search(frame), _TICKER.search(frame)
    kind = as_text(found[1]) if found else ""
    sid = int(number[1]) if number else 0
    if kind in _ANSWERS:
        channel = CONTROL
    elif sid in session.by_sid:
        channel = session.by_sid[sid].channel
    else:
        channel = _CHANNEL_OF.get(kind, kind)
    return Marks(channel, sid, as_text(ticker[1]) if ticker else "")


@dataclass(slots=True)
class Line:
    """What is held back of one connection. `number` is its session's.

    Frames of one sid never pass each other by being late: `late` holds those of each, with when
    they are due; `swapped` holds the one that is to come after the next, and until when at most.
    """

    number: int
    key_id: str
    is_cut: bool = False
    late: dict[int, deque[tuple[int, bytes]]] = field(default_factory=dict)
    swapped: dict[int, tuple[int, list[bytes]]] = field(default_factory=dict)

    @property
    def holds_back(self) -> bool:
        """Say whether anything waits here."""
        return bool(self.late or self.swapped)


class FrameFaults:
    """Applies the faults of frames to what goes out on a line."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def pass_on(self, line: Line, session: sessions.Session, frames: list[bytes]) -> list[bytes]:
        """Give what goes out of a session's frames now, with what was held back and is due."""
        live = self._faults.on(FRAME_KINDS)
        if not live and not line.holds_back:
            return frames
        now = self._faults.now()
        out = list(_due(line, now))
        for frame in frames:
            if line.is_cut:
                break
            marks = marks_of(session, frame)
            concerned = [one for one in live if self._concerns(one.fault, line, marks)]
            self._pass(line, marks, frame, concerned, now, out)
        return out

    def _pass(
        self,
        line: Line,
        marks: Marks,
        frame: bytes,
        live: list[LiveFault],
        now: int,
        out: list[bytes],
    ) -> None:
        copies, due, is_swapped = 1, now, False
        for one in live:
            is_last = one.fault.kind == "disconnect"
            if not one.meets(line.number, ahead=int(is_last)):
                continue
            told = as_text(frame)
            self._faults.struck(one, session=line.number, key_id=line.key_id, text=told)
            match one.fault.kind:
                case "drop":
                    return
                case "duplicate":
                    copies += 1
                case "delay":
                    due = max(due, now + one.fault.ms * MILLISECOND)
                case "reorder":
                    is_swapped = True
                case "disconnect":
                    line.is_cut = True
        _deliver(line, marks.sid, [frame] * copies, due, out, now=now, is_swapped=is_swapped)

    def _concerns(self, fault: Fault, line: Line, marks: Marks) -> bool:
        if fault.kind == "disconnect" and not fault.waits_for_frames:
            return False  # time alone ends the connection
        if marks.channel == CONTROL and CONTROL not in fault.channel:
            return False  # a lost answer is asked for by name
        return (
            (not fault.channel or marks.channel in fault.channel)
            and (not fault.ticker or marks.ticker in fault.ticker)
            and self._faults.concerns(fault, line.key_id)
        )


def _deliver(
    line: Line,
    sid: int,
    frames: list[bytes],
    due: int,
    out: list[bytes],
    *,
    now: int,
    is_swapped: bool,
) -> None:
    waiting = line.late.get(sid)
    if waiting or due > now:
        if waiting is None:
            waiting = line.late[sid] = deque()
        latest = max(due, waiting[-1][0]) if waiting else due
        waiting.extend((latest, frame) for frame in frames)
        return
    if is_swapped and sid not in line.swapped:
        line.swapped[sid] = now + LONGEST_SWAP, frames
        return
    out.extend(frames)
    if sid in line.swapped:
        out.extend(line.swapped.pop(sid)[1])


def _due(line: Line, now: int) -> Iterator[bytes]:
    for sid, waiting in tuple(line.late.items()):
        while waiting and waiting[0][0] <= now:
            yield waiting.popleft()[1]
        if not waiting:
            del line.late[sid]
    for sid, (until, frames) in tuple(line.swapped.items()):
        if until <= now:
            del line.swapped[sid]
            yield from frames
