"""pykalshi 2.0.0, unmodified, at the venue: today's order endpoints and its WebSocket feed."""

import asyncio
import queue
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pykalshi import Action, KalshiClient, OrderStatus, Side
from pykalshi.exceptions import AuthenticationError, KalshiAPIError

from kalshiflow.exchange.environments import REST_PATH
from kalshiflow.venue.app import Serving

pytestmark = pytest.mark.integration


def client_of(serving: Serving) -> KalshiClient:
    return KalshiClient(
        api_key_id=serving.key_id,
        private_key_path=str(serving.private_key_path),
        api_base=serving.rest,
        max_retries=0,
    )


class Heard:
    """What the feed told, channel by channel, in the order in which each channel told it."""

    def __init__(self) -> None:
        self._told: queue.Queue[tuple[str, Any]] = queue.Queue()
        self._waiting: dict[str, list[Any]] = {}

    def listener(self, channel: str) -> Callable[[Any], None]:
        return lambda message: self._told.put((channel, message))

    def next(self, wanted: str) -> Any:
        while not self._waiting.get(wanted):
            channel, message = self._told.get(timeout=10)
            self._waiting.setdefault(channel, []).append(message)
        return self._waiting[wanted].pop(0)


def lower(dollars: str, by: float) -> str:
    return f"{float(dollars) - by:.4f}"


async def in_thread(serving: Serving, work: Callable[[KalshiClient], None]) -> None:
    def run() -> None:
        with client_of(serving) as client:
            work(client)

    await asyncio.to_thread(run)


async def test_it_reads_markets_books_events_and_candles(still_venue: Serving) -> None:
    def read(client: KalshiClient) -> None:
        assert client.exchange.is_trading()
        markets = client.get_markets(fetch_all=True, limit=1)
        assert len(markets) == 2
        market = client.get_market(markets[0].ticker)
        book = market.get_orderbook()
        assert float(book.best_yes_bid) == float(market.yes_bid_dollars)
        event = market.get_event()
        assert event is not None
        assert len(event.get_markets()) == 2
        assert client.get_series(market.resolve_series_ticker()).ticker == event.series_ticker
        assert client.api_keys.get_limits() is not None
        assert client.history.get_cutoff() is not None

    await in_thread(still_venue, read)


async def test_its_orders_are_placed_amended_decreased_and_cancelled(still_venue: Serving) -> None:
    def trade(client: KalshiClient) -> None:
        market = client.get_markets(limit=1)[0]
        price = lower(market.yes_bid_dollars, 0.03)
        order = client.portfolio.place_order(
            market, Action.BUY, Side.YES, "5.00", yes_price_dollars=price, client_order_id="py-1"
        )
        assert (order.status, order.remaining_count_fp) == (OrderStatus.RESTING, "5.00")
        cheaper = lower(market.yes_bid_dollars, 0.04)
        client.portfolio.amend_order(order.order_id, price_dollars=cheaper)
        read = client.portfolio.get_order(order.order_id)
        assert (read.yes_price_dollars, read.remaining_count_fp) == (cheaper, "5.00")
        client.portfolio.decrease_order(order.order_id, "2.00")
        assert client.portfolio.get_order(order.order_id).remaining_count_fp == "3.00"
        ahead = client.portfolio.get_queue_position(order.order_id)
        assert float(ahead.queue_position_fp) >= 0
        assert client.portfolio.cancel_order(order.order_id).status == OrderStatus.CANCELED
        assert [one.order_id for one in client.portfolio.get_orders()] == [order.order_id]
        with pytest.raises(KalshiAPIError):
            client.portfolio.cancel_order(order.order_id)

    await in_thread(still_venue, trade)


async def test_its_batches_and_groups_work(still_venue: Serving) -> None:
    def trade(client: KalshiClient) -> None:
        market = client.get_markets(limit=1)[0]
        orders = client.portfolio.batch_place_orders(
            [
                {
                    "ticker": market.ticker,
                    "action": Action.BUY,
                    "side": Side.NO,
                    "count_fp": "1.00",
                    "no_price_dollars": f"0.0{cents}00",
                }
                for cents in (1, 2)
            ]
        )
        assert [one.status for one in orders] == [OrderStatus.RESTING] * 2
        cancelled = client.portfolio.batch_cancel_orders([one.order_id for one in orders])
        assert [one.order_id for one in cancelled] == [one.order_id for one in orders]
        group = client.portfolio.create_order_group("10.00")
        assert [one.id for one in client.portfolio.get_order_groups()] == [group.id]
        client.portfolio.update_order_group_limit(group.id, "20.00")
        client.portfolio.trigger_order_group(group.id)
        client.portfolio.reset_order_group(group.id)

    await in_thread(still_venue, trade)


async def test_what_it_bought_is_in_fills_positions_balance_and_settlements(
    still_venue: Serving,
) -> None:
    bought: list[str] = []

    def buy(client: KalshiClient) -> None:
        market = client.get_markets(limit=1)[0]
        ask = market.yes_ask_dollars
        before = client.portfolio.get_balance().balance
        order = client.portfolio.place_order(
            market, Action.BUY, Side.YES, "2.00", yes_price_dollars=ask
        )
        assert order.status == OrderStatus.EXECUTED
        [fill] = client.portfolio.get_fills(order_id=order.order_id)
        assert (fill.count_fp, fill.yes_price_dollars, fill.is_taker) == ("2.00", ask, True)
        [position] = client.portfolio.get_positions()
        assert (position.ticker, position.position_fp) == (market.ticker, "2.00")
        assert client.portfolio.get_balance().balance < before
        assert client.get_trades(ticker=market.ticker)[0].trade_id == fill.trade_id
        bought.append(market.ticker)

    await in_thread(still_venue, buy)
    admin = still_venue.rest.removesuffix(REST_PATH) + f"/venue/markets/{bought[0]}"
    async with httpx.AsyncClient() as http:
        for path, body in (("close", {}), ("determine", {"result": "no"}), ("settle", {})):
            (await http.post(f"{admin}/{path}", json=body)).raise_for_status()

    def settled(client: KalshiClient) -> None:
        [settlement] = client.portfolio.get_settlements()
        assert (settlement.ticker, settlement.market_result, settlement.revenue) == (
            bought[0],
            "no",
            0,
        )
        [position] = client.portfolio.get_positions(ticker=bought[0])
        assert position.position_fp == "0.00"

    await in_thread(still_venue, settled)


async def test_its_feed_follows_the_book_trades_ticker_and_own_fills(still_venue: Serving) -> None:
    heard = Heard()

    def follow(client: KalshiClient) -> None:
        market = client.get_markets(limit=1)[0]
        feed = client.feed()
        feed._ws_url = still_venue.ws  # the only way it has to be pointed elsewhere
        channels = (
            "trade",
            "ticker",
            "fill",
            "market_positions",
            "market_lifecycle_v2",
            "orderbook_delta",  # the last: with its snapshot, all subscriptions stand
        )
        for channel in channels:
            feed.on(channel, heard.listener(channel))
            private = channel in {"fill", "market_positions", "market_lifecycle_v2"}
            feed.subscribe(channel, **({} if private else {"market_ticker": market.ticker}))
        with feed:
            heard.next("orderbook_delta")
            order = client.portfolio.place_order(
                market, Action.BUY, Side.YES, "1.00", yes_price_dollars=market.yes_ask_dollars
            )
            seen = {
                channel: heard.next(channel)
                for channel in ("fill", "trade", "ticker", "market_positions")
            }
        assert seen["fill"].order_id == order.order_id
        assert seen["trade"].market_ticker == market.ticker

    await in_thread(still_venue, follow)


async def test_its_signature_is_verified(still_venue: Serving, tmp_path) -> None:
    from kalshiflow.venue.keys import client_key

    stranger = client_key(tmp_path / "stranger")

    def read() -> None:
        with (
            KalshiClient(
                api_key_id=still_venue.key_id,
                private_key_path=str(stranger.private_key_path),
                api_base=still_venue.rest,
                max_retries=0,
            ) as client,
            pytest.raises(AuthenticationError),
        ):
            client.portfolio.get_balance()

    await asyncio.to_thread(read)
