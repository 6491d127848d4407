"""The collector's loop: find markets, connect, record until the connection ends, begin again."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from kalshiflow.exchange.backoff import Backoff
from kalshiflow.exchange.client import KalshiClient
from kalshiflow.exchange.connection import Connection, connect
from kalshiflow.exchange.credentials import Credentials
from kalshiflow.exchange.environments import Endpoints
from kalshiflow.exchange.errors import ExchangeError
from kalshiflow.exchange.selection import select_markets
from kalshiflow.market.listing import Market
from kalshiflow.store.database import Store
from kalshiflow.store.errors import StoreUnavailable
from kalshiflow.store.markets import save_markets
from streaming.broadcast import Hub, encode, snapshot_message
from streaming.committer import Committer
from streaming.health import SECOND, Health, State
from streaming.mending import SnapshotRequests
from streaming.recorder import Outage, Recorder, SubscriptionEnded

BOOK_CHANNEL = "orderbook_delta"
LOOK_SECONDS = 0.2  # how often stale markets and the session's length are looked at
RETRY_CAP_SECONDS = 30.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Plan:
    """What to record. `market_limit` bounds discovery, `session_seconds` a session's length."""

    mode: str
    tickers: tuple[str, ...]
    market_limit: int
    session_seconds: float
    traded: bool


class Collector:
    """Records one connection after the other; `run` ends by cancellation only."""

    def __init__(
        self,
        store: Store,
        endpoints: Endpoints,
        credentials: Credentials,
        plan: Plan,
        *,
        health: Health,
        hub: Hub,
        committer: Committer,
        clock: Callable[[], int],
    ) -> None:
        self._store = store
        self._endpoints = endpoints
        self._credentials = credentials
        self._plan = plan
        self._health = health
        self._hub = hub
        self._committer = committer
        self._clock = clock
        self._recorder: Recorder | None = None
        self._outage: Outage | None = None

    async def run(self) -> None:
        """Record for ever; trouble with the exchange is told in health and waited out."""
        backoff = Backoff(cap=RETRY_CAP_SECONDS)
        while True:
            frames_before = self._health.deltas + self._health.snapshots
            try:
                await self._committer.room()
                await self._connect_and_record()
            except (ExchangeError, StoreUnavailable, SubscriptionEnded) as trouble:
                log.warning("not_recording", reason=str(trouble))
                self._health.become(State.WAITING, str(trouble))
            if self._health.deltas + self._health.snapshots > frames_before:
                backoff.reset()  # only a book frame proves that a connection was good
            await asyncio.sleep(backoff.next_delay())

    def book(self, ticker: str) -> str | None:
        """Give a market's book as the message for screens, if it can be trusted."""
        recorder = self._recorder
        if recorder is None or recorder.books.is_stale(ticker):
            return None
        return encode(snapshot_message(recorder.books[ticker], recorder.newest.get(ticker)))

    async def _connect_and_record(self) -> None:
        self._health.become(State.CONNECTING, "asking the exchange for its markets")
        async with KalshiClient(self._endpoints.rest, self._credentials) as client:
            listed = await select_markets(
                client,
                mode=self._plan.mode,
                tickers=self._plan.tickers,
                limit=self._plan.market_limit,
            )
        if not listed:
            self._health.become(State.NO_MARKETS, "the exchange lists no market to record")
            return
        await save_markets(self._store, listed, at=self._clock())
        markets = {market.ticker: market for market in listed}
        async with connect(self._endpoints.ws, self._credentials, clock=self._clock) as connection:
            await self._record(connection, markets)

    async def _record(self, connection: Connection, markets: dict[str, Market]) -> None:
        recorder = self._begin(markets)
        reason = "the collector was stopped"
        try:
            await self._subscribe(connection, recorder)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._mend(connection, recorder), name="mend")
                group.create_task(self._rotate(recorder), name="rotate")
                await self._read(connection, recorder)
        except ExceptionGroup as ended:
            expected, others = ended.split((ExchangeError, SubscriptionEnded))
            if expected is None or others is not None:
                raise
            reason = str(expected.exceptions[0])
            raise expected.exceptions[0] from ended
        except ExchangeError as ended:
            reason = str(ended)
            raise
        finally:
            self._end(recorder, reason)

    async def _read(self, connection: Connection, recorder: Recorder) -> None:
        committer = self._committer
        async for frame in connection:
            if committer.is_full:
                await committer.room()
            recorder.take(frame.raw, frame.received_at)

    async def _subscribe(self, connection: Connection, recorder: Recorder) -> None:
        tickers = sorted(recorder.markets)
        for channels, names in (
            ([BOOK_CHANNEL], tickers),
            (["trade"], tickers),
            (["market_lifecycle_v2"], []),
        ):
            command_id = await connection.subscribe(channels, names, use_yes_price=True)
            recorder.feed.asked(command_id, names)
            if BOOK_CHANNEL in channels:
                recorder.vital.add(command_id)

    async def _mend(self, connection: Connection, recorder: Recorder) -> None:
        requests = SnapshotRequests()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            stale = recorder.books.stale()
            self._health.stale_markets = len(stale)
            self._health.last_ping_at = connection.last_ping_at
            sid = recorder.feed.sid_of(BOOK_CHANNEL)
            due = requests.due(stale, self._clock())
            if due and sid is not None:
                log.info("snapshots_asked", markets=len(due))
                recorder.vital.add(await connection.get_snapshot(sid, due))

    async def _rotate(self, recorder: Recorder) -> None:
        length = int(self._plan.session_seconds * SECOND)
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            began = recorder.writer.session.started_at
            writer = recorder.writer
            if self._clock() - began < length or not (writer.has_book and writer.frames):
                continue  # one without a frame of its own would prove nothing
            ended = recorder.rotate(self._clock())
            self._committer.retire(ended, "its longest recording was reached")
            self._follow(recorder)

    def _begin(self, markets: dict[str, Market]) -> Recorder:
        now = self._clock()
        recorder = Recorder(
            self._store,
            markets,
            self._health,
            self._hub,
            environment=self._endpoints.environment.value,
            traded=self._plan.traded,
            at=now,
            outage=self._outage,
        )
        self._recorder = recorder
        self._health.markets = tuple(sorted(markets))
        self._health.connected_since = now
        self._health.connections += 1
        self._health.become(State.RECORDING, f"recording {len(markets)} markets")
        self._follow(recorder)
        return recorder

    def _follow(self, recorder: Recorder) -> None:
        self._committer.follow(recorder.writer)
        self._health.session_id = recorder.writer.session_id
        self._health.frames = 0
        log.info("session_begun", session=recorder.writer.session_id)

    def _end(self, recorder: Recorder, reason: str) -> None:
        self._committer.retire(recorder.end(), reason)
        # A connection that brought no book leaves the outage before it as it was.
        if recorder.last_frame_at is not None and recorder.writer.has_book:
            self._outage = Outage(recorder.last_frame_at, tuple(sorted(recorder.markets)))
        self._recorder = None
        self._health.session_id = None
        self._health.connected_since = None
        self._health.stale_markets = 0
