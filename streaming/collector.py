"""The collector's loop: choose markets, connect, record until the connection ends, begin again."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from kalshiflow.exchange.backoff import Backoff
from kalshiflow.exchange.connection import connect
from kalshiflow.exchange.credentials import Credentials
from kalshiflow.exchange.environments import Endpoints
from kalshiflow.exchange.errors import (
    ExchangeError,
    ExchangeUnavailable,
    RateLimited,
    Unauthorised,
)
from kalshiflow.market.listing import Market
from kalshiflow.recording.notes import Connected, Disconnected, RestBook, listed
from kalshiflow.store.batch import new_session_id
from kalshiflow.store.leases import Lease
from streaming.broadcast import encode, snapshot_message
from streaming.health import State, recording_words
from streaming.line import LOOK_SECONDS, Line, Surroundings
from streaming.polling import Poller
from streaming.troubles import NoMarkets, SubscriptionEnded, Trouble, trouble_of

RETRY_CAP_SECONDS = 30.0
POLL_AFTER = 3  # refusals of the socket with 5xx in a row

STATUS_SECONDS = 5.0
STOPPED = "the collector was stopped"
EXPECTED = (ExchangeError, SubscriptionEnded, NoMarkets)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Recording:
    """What is told of each session. The outage is one that the spool knows nothing of."""

    shard: str
    traded: bool
    outage_from: int | None = None
    outage_tickers: tuple[str, ...] = ()


class Collector:
    """Records one connection after the other; `run` ends by cancellation only."""

    def __init__(
        self,
        around: Surroundings,
        endpoints: Endpoints,
        credentials: Credentials,
        lease: Lease,
        recording: Recording,
    ) -> None:
        self._around = around
        self._endpoints = endpoints
        self._credentials = credentials
        self._lease = lease
        self._recording = recording
        self._health = around.health
        self._intake = around.intake
        self._poller = Poller(around.client, self._tell_rest_book, around.clock)
        self._refusals = 0

    async def run(self) -> None:
        """Record for ever; trouble with the exchange is told in health and waited out."""
        backoff = Backoff(cap=RETRY_CAP_SECONDS)
        while True:
            await self._room()
            books_before = self._books_seen()
            trouble = await self._attempt()
            if self._books_seen() > books_before:
                backoff.reset()  # only a book frame proves that a connection was good
            await self._wait(trouble, max(trouble.least_pause, backoff.next_delay()))

    def book(self, ticker: str) -> bytes | None:
        """Give a market's book as the message for screens, if it can be trusted."""
        recorder = self._intake.recorder
        if recorder.session is None or recorder.books.is_stale(ticker):
            return None
        return encode(snapshot_message(recorder.books[ticker], recorder.newest.get(ticker)))

    async def _room(self) -> None:
        """Begin no session that the spool has no room for."""
        while self._intake.is_stuck:
            reason = self._intake.spool.trouble or "the spool takes no more"
            self._become(State.SPOOL_FULL, f"{reason}; recording goes on when there is room")
            await asyncio.sleep(LOOK_SECONDS)
            self._intake.retry()

    async def _wait(self, trouble: Trouble, pause: float) -> None:
        """Wait so many seconds; where the socket is refused for long, read books meanwhile."""
        self._become(trouble.state, trouble.detail)
        if not self._is_polling:
            await asyncio.sleep(pause)
            return
        self._become(State.POLLING, f"books are read over REST, for {trouble.detail}")
        try:
            async with asyncio.timeout(pause):
                await self._poller.run()
        except TimeoutError:
            return
        except ExchangeError as failed:
            self._health.become(
                State.UNAVAILABLE, f"neither socket nor REST is to be had: {failed}"
            )
            await asyncio.sleep(pause)

    async def _attempt(self) -> Trouble:
        try:
            self._become(State.CONNECTING, "asking the exchange for its markets")
            markets = await self._around.chooser.choose()
            self._poller.tickers = sorted(markets)
            if not markets:
                raise NoMarkets(self._around.chooser.nothing)
            await self._connect_and_record(markets)
        except EXPECTED as error:
            if isinstance(error, (Unauthorised, RateLimited)):
                self._refusals = 0  # this is another trouble, to be told as such
            return trouble_of(
                error,
                key_id=self._credentials.key_id,
                now=self._around.clock(),
                is_active=await self._is_active(error),
            )
        raise AssertionError("a connection ends with an error")

    async def _connect_and_record(self, markets: Mapping[str, Market]) -> None:
        self._become(State.CONNECTING, f"connecting, to record {len(markets)} markets")
        try:
            async with connect(
                self._endpoints.ws, self._credentials, clock=self._around.clock
            ) as connection:
                self._refusals = 0
                self._poller.forget()
                self._begin(markets)
                await self._record(Line(self._around, connection), markets)
        except ExchangeUnavailable:
            self._refusals += 1
            raise

    async def _record(self, line: Line, markets: Mapping[str, Market]) -> None:
        # Whatever else ends a line ends the process, and is put right from the spool.
        try:
            await line.run(markets.keys())
        except EXPECTED as ended:
            self._end(str(ended))
            raise
        except asyncio.CancelledError:
            self._end(STOPPED)
            raise

    def _begin(self, markets: Mapping[str, Market]) -> None:
        now, told = self._around.clock(), self._recording
        self._intake.note(
            Connected(
                session_id=new_session_id(now),
                origin="collector",
                environment=self._endpoints.environment.value,
                traded=told.traded,
                markets=listed(markets.values()),
                shard=told.shard,
                epoch=self._lease.epoch,
                outage_from=told.outage_from,
                outage_tickers=list(told.outage_tickers),
            )
        )
        self._health.connected_since = now
        self._health.connections += 1
        self._become(State.RECORDING, recording_words(len(markets)))

    def _end(self, reason: str) -> None:
        self._around.chooser.chosen = dict(self._intake.recorder.markets)
        self._intake.note(Disconnected(reason=reason))
        self._health.connected_since = None
        self._health.stale_markets = 0

    def _tell_rest_book(self, book: RestBook) -> None:
        self._intake.note(book)
        self._health.rest_books += 1

    async def _is_active(self, error: Exception) -> bool | None:
        """Ask the exchange whether it is up at all, where that may be why."""
        if not isinstance(error, ExchangeUnavailable):
            return None
        try:
            async with asyncio.timeout(STATUS_SECONDS):
                return (await self._around.client.get_exchange_status()).exchange_active
        except (ExchangeError, TimeoutError):
            return None

    @property
    def _is_polling(self) -> bool:
        return self._refusals >= POLL_AFTER and bool(self._poller.tickers)

    def _books_seen(self) -> int:
        counts = self._intake.recorder.counts
        return counts.snapshots + counts.deltas

    def _become(self, state: State, detail: str) -> None:
        if self._is_polling and state in (State.CONNECTING, State.UNAVAILABLE):
            return  # books go on being read between the attempts
        if state is not self._health.state:
            tell = log.info if state in (State.CONNECTING, State.RECORDING) else log.warning
            tell("state", state=state.value, reason=detail)
        self._health.become(state, detail)
