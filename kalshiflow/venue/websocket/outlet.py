"""What stands between a session's frames and its socket: faults, and the venue's log."""

from http import HTTPStatus
from typing import Protocol

from kalshiflow.venue.websocket.sessions import Session


class Outlet(Protocol):
    """Asked about every frame that is about to go out, and about every handshake."""

    @property
    def is_clear(self) -> bool:
        """Say whether frames may go out as they are and unseen: no fault is on, and no log kept."""

    def admit(self) -> HTTPStatus | None:
        """Give the status that refuses a handshake; `None` lets it through."""

    def let_out(self, session: Session, frames: list[bytes]) -> list[bytes]:
        """Give what is sent now of a session's frames, text without the WebSocket's own framing.

        Called with no frames too: what was held back may be due.
        """

    def is_cut(self, session: Session) -> bool:
        """Say whether to drop the session's connection now, without a closing handshake."""

    def shook(self, key_id: str, status: HTTPStatus) -> None:
        """Note how a handshake ended: by 101 where it was let through."""

    def heard(self, session: Session, raw: bytes | str) -> None:
        """Note a command, as it came."""


class ClearOutlet:
    """Lets everything through, and notes nothing."""

    is_clear = True

    def admit(self) -> HTTPStatus | None:
        """Let every handshake through."""
        return None

    def let_out(self, session: Session, frames: list[bytes]) -> list[bytes]:
        """Give the frames as they are."""
        del session
        return frames

    def is_cut(self, session: Session) -> bool:
        """Keep every connection."""
        del session
        return False

    def shook(self, key_id: str, status: HTTPStatus) -> None:
        """Let it pass."""

    def heard(self, session: Session, raw: bytes | str) -> None:
        """Let it pass."""
