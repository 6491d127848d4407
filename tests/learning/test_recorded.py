"""Real recordings through segments, split and environment."""

import random

import pytest

from kalshiflow.agent.features import FEATURES
from kalshiflow.exchange.capture import read_capture, uses_yes_price
from kalshiflow.exchange.feed import Feed
from kalshiflow.learning.episodes.plain import build_segments, split_segment
from kalshiflow.learning.episodes.splitting import book_at
from kalshiflow.learning.world import World, WorldConfig
from kalshiflow.market.book import Book
from kalshiflow.market.events import BookDelta, BookSnapshot
from kalshiflow.market.flat import DELTA
from kalshiflow.market.listing import Market
from kalshiflow.market.portfolio import Portfolio

pytestmark = pytest.mark.recorded

CAPTURES = {
    "kalshi-demo-ws-2026-07/session.jsonl": 2_885,
    "kalshi-prod-inxd-2023-08-31/INXD-23AUG31-B4512.jsonl": 35_898,
}


@pytest.fixture(scope="module", params=sorted(CAPTURES))
def capture(request, recorded_data):
    path = recorded_data / request.param
    feed = Feed(uses_yes_price=uses_yes_price(path))
    received = [feed.receive(frame.raw, frame.received_at) for frame in read_capture(path)]
    events = [one.event for one in received if one.event is not None]
    tickers = {event.ticker for event in events}
    listed = {ticker: Market(ticker, "", "") for ticker in tickers}
    return events, build_segments(events, [], listed, "s"), CAPTURES[request.param]


def final_books(events):
    books = {}
    for event in events:
        if isinstance(event, BookDelta | BookSnapshot):
            books.setdefault(event.ticker, Book(event.ticker)).apply(event)
    return books


def test_every_delta_of_the_file_is_in_a_segment(capture):
    _, segments, deltas = capture
    assert sum(int((segment.events.kinds == DELTA).sum()) for segment in segments) == deltas


def test_a_split_by_market_time_ends_in_the_same_books(capture):
    events, segments, _ = capture
    expected = final_books(events)
    start = min(segment.starts_at for segment in segments)
    middle = start + int(0.7 * (max(segment.ends_at for segment in segments) - start))
    parts = [part for s in segments for part in split_segment(s, middle) if part is not None]
    assert len(parts) > len(segments)
    last = {part.ticker: part for part in parts}
    for ticker, part in last.items():
        bids, asks = book_at(part.events, len(part), len(part.market.grid))
        assert (bids.tolist(), asks.tolist()) == (expected[ticker].bids, expected[ticker].asks)


def test_episodes_run_and_their_money_is_their_fills(capture):
    _, segments, _ = capture
    rng, world, config = random.Random(1), World(WorldConfig()), WorldConfig()
    fills = 0
    for segment in segments:
        world.start(segment)
        for _ in range(400):
            for value, feature in zip(world.observation(), FEATURES, strict=True):
                assert feature.low <= value <= feature.high, feature.name
            allowed = world.mask()
            result = world.step(rng.choice([a for a, may in enumerate(allowed) if may]))
            if result.truncated or result.terminated:
                break
        again = Portfolio(config.budget)
        for fill in world.fills:
            again.apply_fill(fill)
        assert again.cash == world.cash
        fills += len(world.fills)
    assert fills > 0
