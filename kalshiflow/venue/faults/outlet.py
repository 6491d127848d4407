"""The outlet of a venue with faults or a log: every frame passes here on its way to a socket."""

from http import HTTPStatus
from weakref import WeakKeyDictionary

from kalshiflow.venue.faults.frames import FRAME_KINDS, FrameFaults, Line
from kalshiflow.venue.faults.live import Faults
from kalshiflow.venue.log import Log, as_text
from kalshiflow.venue.websocket.sessions import Session

CUTS = frozenset({"disconnect", "maintenance"})
_HANDSHAKES = frozenset({"refuse-handshakes"})
_SEEN = FRAME_KINDS | CUTS


class WatchedOutlet:
    """Lets frames out as the faults allow, and writes what goes out to the log."""

    def __init__(self, faults: Faults, log: Log) -> None:
        self._faults = faults
        self._frame_faults = FrameFaults(faults)
        self._log = log
        self._lines: WeakKeyDictionary[Session, Line] = WeakKeyDictionary()

    @property
    def is_clear(self) -> bool:
        """Say whether frames may go out as they are and unseen."""
        return not (
            self._log.is_kept
            or self._faults.any_of(_SEEN)
            or any(line.is_cut or line.holds_back for line in self._lines.values())
        )

    def admit(self) -> HTTPStatus | None:
        """Give the status that refuses a handshake; `None` lets it through."""
        for live in self._faults.on(_HANDSHAKES):
            if live.meets():
                self._faults.struck(live, status=live.fault.status)
                return HTTPStatus(live.fault.status)
        return None

    def let_out(self, session: Session, frames: list[bytes]) -> list[bytes]:
        """Give what is sent now of a session's frames."""
        line = self._line(session)
        sent = self._frame_faults.pass_on(line, session, frames)
        if self._log.is_kept:
            for frame in sent:
                self._note("frame", line, frame)
        return sent

    def is_cut(self, session: Session) -> bool:
        """Say whether to drop the session's connection now."""
        line = self._lines.get(session)
        return line is not None and line.is_cut

    def cut(self, session: Session) -> None:
        """Have a session's connection dropped."""
        self._line(session).is_cut = True

    def shook(self, key_id: str, status: HTTPStatus) -> None:
        """Note how a handshake ended."""
        if self._log.is_kept:
            self._log.note("handshake", {"key_id": key_id, "status": status.value})

    def heard(self, session: Session, raw: bytes | str) -> None:
        """Note a command, as it came."""
        if self._log.is_kept:
            self._note("command", self._line(session), raw)

    def _note(self, kind: str, line: Line, text: bytes | str) -> None:
        entry = {"session": line.number, "key_id": line.key_id, "text": as_text(text)}
        self._log.note(kind, entry)

    def _line(self, session: Session) -> Line:
        line = self._lines.get(session)
        if line is None:
            line = self._lines[session] = Line(session.number, session.account.key_id)
        return line
