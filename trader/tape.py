"""The trader's own tape: its frames, and its account as the policy saw it, in one order.

A frame is read once, for the trading and for the tape. It is written when the decisions that it
caused are made, and before anybody else has a turn: so nothing that follows from a frame leaves
this process before the frame is in the spool, and no decision waits for a disk. What goes wrong
here ends the recording and never the trading.
"""

import time
from collections.abc import Callable, Iterable, Sequence

import structlog

from kalshiflow.agent.account import MarketAccount
from kalshiflow.exchange.feed import Feed, Received
from kalshiflow.market.listing import Market
from kalshiflow.recording.limits import has_run_out
from kalshiflow.recording.notes import AnyNote, Asked, Disconnected, Rotated
from kalshiflow.recording.spool import SpoolError
from kalshiflow.store.batch import new_session_id
from kalshiflow.store.rows import AccountChange
from trader.behind import Behind

log = structlog.get_logger()


class Tape:
    """One connection after the other; without anything `behind` it frames are read, no more.

    A session begins with a connection: a tape that something was put behind amid one waits for the
    next. `decisions` gives how many were made, `accounts` the part of the account in each market.
    """

    def __init__(
        self,
        decisions: Callable[[], int],
        accounts: Callable[[], Iterable[tuple[str, MarketAccount]]],
        *,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.frames = 0  # read so far, those on no tape included
        self.missed = 0
        self.sessions: set[str] = set()  # begun by this process
        self._decisions = decisions
        self._accounts = accounts
        self._clock = clock
        self._behind: Behind | None = None
        self._feed = Feed()
        self._read: list[tuple[bytes, int, Received]] = []
        self._changes: list[AccountChange] = []
        self._last: dict[str, Sequence[int]] = {}  # each market's newest change
        self._frame_no = 0
        self._change_no = 0

    @property
    def session_id(self) -> str | None:
        """Give the session that is being recorded now, if there is one."""
        return None if self._behind is None else self._behind.session_id

    def put_behind(self, behind: Behind) -> None:
        """Record into something from the next connection on."""
        self._behind = behind

    def take_away(self) -> None:
        """Record no more; frames are read on as before."""
        self._behind = None

    # --- for whoever reads frames --------------------------------------------------------------

    def begin(self, markets: Iterable[Market]) -> None:
        """Begin with another connection, and with these markets as they are listed now."""
        self._feed = Feed()
        self._restart_numbers()
        behind = self._behind
        if behind is not None and self._note(behind, behind.begun(self._new_session(), markets)):
            self._feed = behind.recorder.feed or self._feed
            self._open_accounts()

    def asked(self, command_id: int, tickers: Sequence[str]) -> None:
        """Take it that these markets were asked for."""
        behind = self._recording()
        if behind is None:
            self._feed.asked(command_id, tickers)
        else:
            self._note(behind, Asked(command_id=command_id, tickers=list(tickers)))

    def sid_of(self, channel: str) -> int | None:
        """Give the open subscription of a channel, if there is one."""
        return self._feed.sid_of(channel)

    def read(self, raw: bytes, received_at: int) -> Received:
        """Read a frame; it is on the tape after the next `keep`."""
        received = self._feed.receive(raw, received_at)
        self._frame_no = received.frame_no
        self._read.append((raw, received_at, received))
        return received

    def keep(self) -> None:
        """Write what was read since the last call; to be called once it is decided upon."""
        read, self._read = self._read, []
        changes, self._changes = self._changes, []
        self.frames += len(read)
        behind = self._recording()
        if behind is None:
            self.missed += len(read)
        elif read or changes:
            try:
                behind.write(read, changes, self._clock())
            except Exception as failed:  # whatever it is, trading goes on
                self.missed += len(read)
                self._fail(behind, failed)

    def end(self, reason: str) -> None:
        """End with the connection."""
        self.keep()
        behind = self._recording()
        if behind is not None:
            self._note(behind, Disconnected(reason=reason))

    # --- for whoever keeps the account ---------------------------------------------------------

    def account(self, ticker: str, account: MarketAccount) -> None:
        """Take in how the account stands in a market, at the moment when the policy sees it so."""
        values = account.numbers()
        if self._last.get(ticker) == values:
            return
        self._last[ticker] = values
        if self._recording() is None:
            return
        self._change_no += 1
        frame_no, number, decisions = self._frame_no, self._change_no, self._decisions()
        self._changes.append(
            AccountChange(frame_no, number, decisions, ticker, self._clock(), tuple(values))
        )

    # --- for whoever tends it, between two frames ----------------------------------------------

    def tend(self, longest: float) -> None:
        """Go on to another segment, or after `longest` seconds to another session."""
        self.keep()
        behind = self._behind
        if behind is None:
            return
        try:
            if behind.spool.needs_segment:
                behind.turn_page(self._clock())
        except Exception as failed:
            self._fail(behind, failed)
            return
        session = behind.recorder.session
        if session is not None and has_run_out(session.started_at, self._clock(), longest):
            self.rotate()

    def rotate(self) -> None:
        """Let another session go on from the books and the account as they are."""
        self.keep()
        behind = self._recording()
        if behind is None or behind.recorder.is_held:
            return  # a session without a book of its own would prove nothing
        if self._note(behind, Rotated(session_id=self._new_session())):
            self._restart_numbers()
            self._open_accounts()

    # --- inside --------------------------------------------------------------------------------

    def _recording(self) -> Behind | None:
        """Give what is recorded into, if a session is open."""
        behind = self._behind
        return None if behind is None or behind.session_id is None else behind

    def _new_session(self) -> str:
        session_id = new_session_id(self._clock())
        self.sessions.add(session_id)
        return session_id

    def _restart_numbers(self) -> None:
        self._frame_no = self._change_no = 0
        self._last.clear()

    def _open_accounts(self) -> None:
        for ticker, account in self._accounts():
            self.account(ticker, account)
        self.keep()

    def _note(self, behind: Behind, note: AnyNote) -> bool:
        try:
            behind.note(note, self._clock())
        except Exception as failed:
            self._fail(behind, failed)
            return False
        return True

    def _fail(self, behind: Behind, failed: Exception) -> None:
        is_mistake = not isinstance(failed, SpoolError)
        log.error(
            "the tape ends here", why=str(failed), session=self.session_id, exc_info=is_mistake
        )
        self.take_away()
        behind.failed(failed)
