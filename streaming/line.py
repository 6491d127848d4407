"""One open connection: subscribe, read, mend, follow, rotate, audit, until it ends."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import structlog

from kalshiflow.exchange.client import KalshiClient
from kalshiflow.exchange.connection import Arrival, Connection
from kalshiflow.exchange.errors import ExchangeError
from kalshiflow.exchange.feed import Received
from kalshiflow.market.events import BookDelta, BookSnapshot, MarketStatusChanged
from kalshiflow.market.listing import MarketStatus
from kalshiflow.recording.limits import has_run_out
from streaming.audit import Audit
from streaming.broadcast import Hub
from streaming.choosing import Chooser
from streaming.commands import Commands, Purpose
from streaming.following import Following
from streaming.health import SECOND, Health, State, recording_words
from streaming.intake import Intake
from streaming.mending import Mending
from streaming.troubles import NoMarkets, SubscriptionEnded

LOOK_SECONDS = 0.2  # how often stale books, the session's length and full spools are looked at
BOOK_IS_DUE = 10 * SECOND  # after which a market without a first snapshot is asked for
FRAMES_AT_ONCE = 250  # taken without giving way: commits take turns with reading

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every connection of a collector works with. `session_seconds` bounds a session."""

    client: KalshiClient
    intake: Intake
    chooser: Chooser
    health: Health
    hub: Hub
    clock: Callable[[], int]
    session_seconds: float
    audits_each_minute: int


class Line:
    """One connection's work. `run` ends by an error only: an `ExchangeError` or one of ours."""

    def __init__(self, around: Surroundings, connection: Connection) -> None:
        intake = around.intake
        self._around = around
        self._connection = connection
        self._intake = intake
        self._recorder = intake.recorder
        self._health = around.health
        self._commands = Commands(connection, intake.note, self._sid_of)
        self._mending = Mending(self._commands)
        self._following = Following(
            around.chooser,
            self._commands,
            intake,
            clock=around.clock,
            renew=self._doubt_all,
        )
        self._audit = Audit(
            around.client, intake, around.health, doubt=self._mending.doubt, clock=around.clock
        )
        self._ended: str | None = None
        self._bookless: dict[str, int] = {}  # since when a market has no book at all

    async def run(self, tickers: Collection[str]) -> None:
        """Record these markets until the connection ends; the session's first note is written."""
        self._intake.look, self._intake.looks_closely = self._look, self._is_watched
        try:
            await self._commands.subscribe(tickers)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._tend(), name="tend")
                group.create_task(self._following.run(), name="follow")
                group.create_task(self._audit.run(self._around.audits_each_minute), name="audit")
                await self._read()
        except ExceptionGroup as ended:
            expected, others = ended.split((ExchangeError, SubscriptionEnded, NoMarkets))
            if expected is None or others is not None:
                raise
            raise expected.exceptions[0] from ended
        finally:
            self._intake.look, self._intake.looks_closely = _look_away, bool

    # --- reading ---------------------------------------------------------------------------

    async def _read(self) -> None:
        while True:
            burst: Sequence[Arrival] = await self._connection.burst()
            while len(burst) > FRAMES_AT_ONCE:
                await self._take(burst[:FRAMES_AT_ONCE])
                await asyncio.sleep(0)
                burst = burst[FRAMES_AT_ONCE:]
            await self._take(burst)

    async def _take(self, burst: Sequence[Arrival]) -> None:
        self._intake.frames(burst)
        if self._intake.is_stuck:
            await self._room()
        if self._ended is not None:
            raise SubscriptionEnded(self._ended)

    async def _room(self) -> None:
        """Read nothing until the spool takes more."""
        health, state, detail = self._health, self._health.state, self._health.detail
        self._connection.pause()
        log.warning("spool_full", reason=self._intake.spool.trouble)
        while self._intake.is_stuck:
            words = self._intake.spool.trouble or "the spool takes no more"
            health.become(State.SPOOL_FULL, f"{words}; nothing is read from the exchange so long")
            await asyncio.sleep(LOOK_SECONDS)
            self._intake.retry()
        self._connection.resume()
        log.info("spool_has_room")
        health.become(state, detail)

    # --- what a frame may mean besides its rows ----------------------------------------------

    def _is_watched(self) -> bool:
        return bool(self._around.hub.screens) or self._audit.watched is not None

    def _look(self, received: Received) -> None:
        event = received.event
        if isinstance(event, BookDelta):
            self._look_at_change(event)
        elif isinstance(event, BookSnapshot):
            self._mending.renewed(event.ticker)
            self._around.hub.replaced(event.ticker)
            self._audit.changed(event.ticker)
        elif isinstance(event, MarketStatusChanged):
            self._following.heard(event)
        elif received.kind == "unsubscribed":
            self._ended = "the exchange ended a subscription"  # unasked: we never do
        if received.refusal is not None:
            self._heed(received)

    def _look_at_change(self, event: BookDelta) -> None:
        books, hub, ticker = self._recorder.books, self._around.hub, event.ticker
        if ticker == self._audit.watched:
            self._audit.changed(ticker)
        if hub.is_watched(ticker) and not books.is_stale(ticker):
            hub.changed(event, books[ticker])

    def _heed(self, received: Received) -> None:
        refusal, sent = received.refusal, self._commands.take(received.command_id)
        assert refusal is not None
        words = f"the exchange answered {refusal.code}: {refusal.message}"
        if refusal.is_terminal or (sent is not None and sent.purpose is Purpose.SUBSCRIBE):
            self._ended = words  # told after the burst: what came with it is to be recorded
        elif sent is None:
            log.warning("command_refused", command=received.command_id, reason=words)
        elif sent.purpose in (Purpose.SNAPSHOT, Purpose.RENEW):
            self._mending.refused(sent, words)
        else:
            self._following.refused(sent, words)

    # --- looking after books and sessions ----------------------------------------------------

    async def _tend(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._intake.is_stuck:
                continue
            recorder, health = self._recorder, self._health
            health.last_ping_at = self._connection.last_ping_at
            if not recorder.markets:
                raise NoMarkets("no market is left to record")
            if health.state is State.RECORDING:
                health.detail = recording_words(len(recorder.markets))
            stale = self._stale()
            health.stale_markets = len(stale)
            await self._mending.look(stale, recorder.markets, self._around.clock())
            self._rotate()

    def _stale(self) -> list[str]:
        """Give the followed markets that have lost their book, or got none in due time."""
        markets, books, now = self._recorder.markets, self._recorder.books, self._around.clock()
        self._bookless = {
            ticker: self._bookless.get(ticker, now) for ticker in markets if ticker not in books
        }
        missing = [each for each, since in self._bookless.items() if now - since > BOOK_IS_DUE]
        return [
            ticker
            for ticker in (*books.stale(), *missing)
            if ticker in markets and markets[ticker].status is not MarketStatus.FINALIZED
        ]

    def _rotate(self) -> None:
        session, now = self._recorder.session, self._around.clock()
        if session is None or self._recorder.is_held:
            return  # one without a frame of its own would prove nothing
        if has_run_out(session.started_at, now, self._around.session_seconds):
            self._intake.rotate()

    def _doubt_all(self, tickers: Collection[str]) -> None:
        for ticker in tickers:
            self._mending.doubt(ticker)

    def _sid_of(self, channel: str) -> int | None:
        feed = self._recorder.feed
        return None if feed is None else feed.sid_of(channel)


def _look_away(_received: Received) -> None:
    pass
