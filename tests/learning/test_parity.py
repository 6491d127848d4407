"""Live and in bulk the same: observations and masks, bit for bit.

Live: frames are read, translated, applied and observed by interpreted functions. In bulk: the
stored rows become columns, which the same functions, compiled, read.
"""

import struct

import numpy as np
import pytest
import random_history
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kalshiflow.agent.account import MarketAccount
from kalshiflow.agent.action import mask
from kalshiflow.agent.observation import MarketObserver
from kalshiflow.exchange.capture import read_capture, uses_yes_price
from kalshiflow.exchange.feed import Feed
from kalshiflow.learning.bulk import observe_all
from kalshiflow.learning.episodes.files import read_segments
from kalshiflow.market.events import BookDelta, BookSnapshot
from kalshiflow.market.units import Cash, Quantity
from kalshiflow.recording.importer import Wishes, import_captures
from kalshiflow.store.database import Store
from kalshiflow.store.outline import read_outline
from pipelines.episodes import write_episodes

CAPTURES = [
    ("kalshi-demo-ws-2026-07/session.jsonl", "paper", 2_885),
    ("kalshi-prod-inxd-2023-08-31/INXD-23AUG31-B4512.jsonl", "production", 35_898),
]


class TERMS:
    budget = Cash(100_000_000)
    order_quantity = Quantity(1_000)


def bits(row):
    return struct.pack(f"{len(row)}d", *row)


def seen_live(observer, account, at):
    """Give one observation and its mask as they are in the trader, as bytes."""
    allowed = mask(observer, account, TERMS.order_quantity)
    return bits(observer.observe(account, at)), bytes(allowed)


def seen_in_bulk(observations):
    """Give frame -> observation and mask, as bytes."""
    assert observations.rows.dtype == np.float64
    return {
        int(frame): (row.tobytes(), allowed.tobytes())
        for frame, row, allowed in zip(
            observations.frames, observations.rows, observations.masks, strict=True
        )
    }


def seen_of_frames(path, markets):
    """Give for each market what is seen live at each change of its book, from the raw frames on."""
    feed = Feed(uses_yes_price=uses_yes_price(path))
    observers = {ticker: MarketObserver(market) for ticker, market in markets.items()}
    account, rows = MarketAccount(TERMS.budget), {ticker: [] for ticker in markets}
    for frame in read_capture(path):
        event = feed.receive(frame.raw, frame.received_at).event
        if event is None:
            continue
        observer = observers[event.ticker]
        observer.apply(event)
        if isinstance(event, BookDelta | BookSnapshot) and observer.is_ready:
            rows[event.ticker].append(seen_live(observer, account, event.stamp.market_time))
    return rows


@pytest.mark.recorded
@pytest.mark.integration
@pytest.mark.parametrize(("recording", "environment", "changes"), CAPTURES)
async def test_a_real_recording_is_seen_in_bulk_as_it_was_live(
    postgres_url, recorded_data, tmp_path, recording, environment, changes
):
    """Frames, feed, book, observe; and frames, PostgreSQL, Parquet, machine code."""
    path, file = recorded_data / recording, tmp_path / "episodes.parquet"
    async with await Store.open(postgres_url) as store:
        (imported,) = await import_captures(store, [path], Wishes(environment))
        outline = await read_outline(store, imported.certificates[0].session_id)
        await write_episodes(store, outline, file, memory_mb=64)
    live = seen_of_frames(path, outline.begun)
    assert sum(map(len, live.values())) >= changes
    segments = read_segments(file)
    # A market whose book never changes has no episode.
    with_changes = sorted(ticker for ticker, rows in live.items() if len(rows) > 1)
    assert [segment.ticker for segment in segments] == with_changes
    for segment in segments:
        found = list(seen_in_bulk(observe_all(segment, TERMS)).values())
        # In bulk a book that came before any exchange time has the time of what follows it.
        assert len(found) - len(live[segment.ticker]) in (0, 1)
        assert found[-len(live[segment.ticker]) :] == live[segment.ticker]


@given(
    grid=st.sampled_from(random_history.GRIDS),
    is_undated=st.booleans(),
    closes=st.sampled_from([None, random_history.START + 3_600 * random_history.SECOND]),
    steps=random_history.STEPS,
)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_random_books_and_accounts_are_seen_in_bulk_as_live(grid, is_undated, closes, steps):
    told = random_history.tell(grid, is_undated, closes, steps)
    observer, account = MarketObserver(told.market), MarketAccount(TERMS.budget)
    live = {}
    for event in told.events:
        if event is None:
            observer.cut()
        elif isinstance(event, MarketAccount):
            account = event
            observer.own_orders(account)
        else:
            observer.apply(event)
            if isinstance(event, BookDelta | BookSnapshot) and observer.is_ready:
                at = event.stamp.market_time
                live[event.stamp.frame_no] = seen_live(observer, account, at)
    accounts = np.array(told.accounts, np.int64)
    found = {}
    for segment in told.segments:
        found |= seen_in_bulk(observe_all(segment, TERMS, accounts=accounts))
    assert {frame: seen for frame, seen in found.items() if frame in live} == live
    assert is_undated or found.keys() == live.keys()
