"""cryptofeed's own way from a socket to PostgreSQL: decode, book, its PostgreSQL backend.

Everything but the exchange class is cryptofeed's: its feed handler (with uvloop, its default), its
connection, its order book in C, its callbacks and its writer. The exchange class is written as its
own ones are, for Kalshi's frames. Run by `durable.py` in an environment of its own, as
`python cryptofeed_postgres.py PORT FRAMES CORE TICKERS` with `DATABASE_URL`; prints JSON.
"""

import asyncio
import json as plain_json
import os
import sys
import time
import warnings
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
from cryptofeed import FeedHandler
from cryptofeed.backends.postgres import BookPostgres, TradePostgres
from cryptofeed.connection import AsyncConnection, WebsocketEndpoint, WSAsyncConn
from cryptofeed.defines import ASK, BID, BUY, L2_BOOK, SELL, TRADES
from cryptofeed.feed import Feed
from cryptofeed.symbols import Symbol, Symbols
from cryptofeed.types import OrderBook, Trade
from yapic import json

NAME = "KALSHI"
# The tables as cryptofeed describes them for this backend.
TABLES = """
CREATE TABLE book (id serial PRIMARY KEY, timestamp timestamp, receipt timestamp,
                   exchange varchar(32), symbol varchar(64), data jsonb);
CREATE TABLE trades (id serial PRIMARY KEY, timestamp timestamp, receipt timestamp,
                     exchange varchar(32), symbol varchar(64), side varchar(8),
                     amount numeric(64, 32), price numeric(64, 32), trade_id varchar(64),
                     order_type varchar(32));
"""


class LocalSocket(WSAsyncConn):
    """cryptofeed's connection, to an address of this machine, which needs no TLS."""

    def __init__(self, address: str, conn_id: str, **options: Any) -> None:
        super().__init__("wss://127.0.0.1", conn_id, **options)
        self.address = address


class Kalshi(Feed):
    """An exchange as cryptofeed's own are written: frames to books, deltas and trades."""

    id = NAME
    websocket_endpoints = (WebsocketEndpoint("wss://127.0.0.1", options={"compression": None}),)
    rest_endpoints = ()
    websocket_channels = {L2_BOOK: "orderbook_delta", TRADES: "trade"}  # noqa: RUF012

    def __init__(self, url: str, frames: int, **options: Any) -> None:
        super().__init__(**options)
        self._url = url
        self._frames = frames
        self.received = 0
        self.began = self.core = 0.0
        self.has_all = asyncio.Event()

    def connect(self) -> list[Any]:
        """Give the one connection."""
        options = self.websocket_endpoints[0].options | {"proxy": None}
        connection = LocalSocket(self._url, self.id, subscription=self.subscription, **options)
        return [(connection, self.subscribe, self.message_handler, self.authenticate)]

    async def subscribe(self, connection: AsyncConnection) -> None:
        """Ask for nothing: the sender sends all there is."""

    async def message_handler(self, msg: str, conn: AsyncConnection, timestamp: float) -> None:
        """Take one frame."""
        del conn
        if not self.received:
            self.began, self.core = time.perf_counter(), time.process_time()
        frame = json.loads(msg, parse_float=Decimal)
        kind = frame["type"]
        if kind == "orderbook_delta":
            await self._delta(frame["msg"], frame["seq"], timestamp)
        elif kind == "trade":
            await self._trade(frame["msg"], timestamp)
        elif kind == "orderbook_snapshot":
            await self._snapshot(frame["msg"], frame["seq"], timestamp)
        self.received += 1
        if self.received == self._frames:
            self.has_all.set()

    async def _delta(self, body: dict[str, Any], seq: int, timestamp: float) -> None:
        pair = self.exchange_symbol_to_std_symbol(body["market_ticker"])
        side = BID if body["side"] == "yes" else ASK
        price = Decimal(body["price_dollars"])
        level = self._l2_book[pair].book[side]
        amount = Decimal(body["delta_fp"])
        if price in level:
            amount += level[price]
        if amount > 0:
            level[price] = amount
        elif price in level:
            del level[price]
        delta = {BID: [], ASK: []}
        delta[side].append((price, amount))
        await self.book_callback(
            L2_BOOK,
            self._l2_book[pair],
            timestamp,
            timestamp=body["ts_ms"] / 1000,
            raw=body,
            sequence_number=seq,
            delta=delta,
        )

    async def _snapshot(self, body: dict[str, Any], seq: int, timestamp: float) -> None:
        pair = self.exchange_symbol_to_std_symbol(body["market_ticker"])
        bids, asks = (
            {Decimal(price): Decimal(count) for price, count in body.get(key) or ()}
            for key in ("yes_dollars_fp", "no_dollars_fp")
        )
        if pair not in self._l2_book:
            self._l2_book[pair] = OrderBook(
                self.id, pair, max_depth=self.max_depth, bids=bids, asks=asks
            )
        else:
            self._l2_book[pair].book.bids = bids
            self._l2_book[pair].book.asks = asks
        await self.book_callback(
            L2_BOOK, self._l2_book[pair], timestamp, raw=body, sequence_number=seq
        )

    async def _trade(self, body: dict[str, Any], timestamp: float) -> None:
        trade = Trade(
            self.id,
            self.exchange_symbol_to_std_symbol(body["market_ticker"]),
            BUY if body["taker_side"] == "yes" else SELL,
            Decimal(body["count_fp"]),
            Decimal(body["yes_price_dollars"]),
            body["ts_ms"] / 1000,
            id=body["trade_id"],
            raw=body,
        )
        await self.callback(TRADES, trade, timestamp)


async def measure(feed: Kalshi, backends: list[Any]) -> dict[str, float]:
    """Wait for the last frame, then for the last row; gives the seconds since the first frame."""
    await feed.has_all.wait()
    for backend in backends:
        drained = asyncio.ensure_future(backend.queue.join())
        await asyncio.wait([drained, backend.worker], return_when=asyncio.FIRST_COMPLETED)
        if not drained.done():
            drained.cancel()
            backend.worker.result()  # raises what ended the writer
    return {
        "seconds": time.perf_counter() - feed.began,
        "core_seconds": time.process_time() - feed.core,
    }


def main() -> None:
    """Run a feed handler until every row is committed, and print what it took."""
    port, frames, core = map(int, sys.argv[1:4])
    tickers, url = Path(sys.argv[4]).read_text().split(), urlsplit(os.environ["DATABASE_URL"])
    os.sched_setaffinity(0, {core})
    warnings.simplefilter("ignore", DeprecationWarning)
    handler = FeedHandler(config={"uvloop": True, "log": {"disabled": True}})
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)

    async def make_tables() -> None:
        connection = await asyncpg.connect(os.environ["DATABASE_URL"])
        await connection.execute(TABLES)
        await connection.close()

    loop.run_until_complete(make_tables())
    symbols = [Symbol(ticker, ticker) for ticker in tickers]
    Symbols.set(NAME, {symbol.normalized: symbol.base for symbol in symbols}, {})
    where = {
        "host": url.hostname,
        "port": url.port,
        "user": url.username,
        "pw": url.password,
        "db": url.path.lstrip("/"),
    }
    backends = [BookPostgres(**where), TradePostgres(**where)]
    feed = Kalshi(
        f"ws://127.0.0.1:{port}",
        frames,
        symbols=tickers,
        channels=[L2_BOOK, TRADES],
        callbacks=dict(zip((L2_BOOK, TRADES), backends, strict=True)),
        config=handler.config,
    )
    handler.add_feed(feed)
    handler.run(start_loop=False, install_signal_handlers=False)
    print(plain_json.dumps(loop.run_until_complete(measure(feed, backends))), flush=True)
    os._exit(0)  # its retries would go on


if __name__ == "__main__":
    main()
