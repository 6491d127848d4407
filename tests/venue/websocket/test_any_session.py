"""Whatever a client asks for and whatever happens, its frames are whole, in order and Kalshi's."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import Oracle
from scene import NOW, A, B, C, Scene

from kalshiflow.exchange.feed import Feed
from kalshiflow.market.books import Books
from kalshiflow.market.events import BookDelta, BookSnapshot, Side
from kalshiflow.market.listing import CENT_GRID
from kalshiflow.venue.floor.facts import LifecycleChanged, LifecycleKind
from kalshiflow.venue.websocket import commands
from kalshiflow.venue.websocket.sessions import CHANNELS

TICKERS = [A, B, C, "KXB-1"]
channels = st.lists(st.sampled_from([*sorted(CHANNELS), "gossip"]), min_size=1, max_size=3)
tickers = st.lists(st.sampled_from(TICKERS), min_size=1, max_size=3)
sids = st.integers(0, 12)
EVERYTHING = {
    "id": 1,
    "cmd": "subscribe",
    "params": {"channels": sorted(CHANNELS), "market_tickers": [A, B]},
}

asked = st.one_of(
    st.fixed_dictionaries(
        {"cmd": st.just("subscribe")},
        optional={
            "id": st.integers(-1, 9),
            "params": st.fixed_dictionaries(
                {"channels": channels},
                optional={
                    "market_tickers": tickers,
                    "market_ticker": st.sampled_from(TICKERS),
                    "send_initial_snapshot": st.booleans(),
                    "skip_ticker_ack": st.booleans(),
                    "shard_key": st.integers(-1, 3),
                },
            ),
        },
    ),
    st.fixed_dictionaries(
        {"id": st.integers(0, 9), "cmd": st.just("update_subscription")},
        optional={
            "params": st.fixed_dictionaries(
                {"sid": sids},
                optional={
                    "action": st.sampled_from(
                        ["add_markets", "delete_markets", "get_snapshot", "dance"]
                    ),
                    "market_tickers": tickers,
                    "market_id": st.just("0f0f0f0f-0000-4000-8000-000000000000"),
                },
            )
        },
    ),
    st.fixed_dictionaries(
        {
            "id": st.integers(0, 9),
            "cmd": st.just("unsubscribe"),
            "params": st.fixed_dictionaries({"sids": st.lists(sids, max_size=2)}),
        }
    ),
    st.just({"id": 1, "cmd": "list_subscriptions"}),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.dictionaries(st.sampled_from(["id", "cmd", "params"]), inner, max_size=3),
        max_leaves=4,
    ),
)
placed = st.tuples(
    st.booleans(), st.sampled_from(Side), st.integers(1, 99), st.sampled_from([A, B, C])
)
steps = st.lists(st.one_of(asked, placed, placed), max_size=25).map(
    lambda taken: [EVERYTHING, *taken]
)


@given(steps, st.booleans())
@settings(max_examples=60, deadline=None)
def test_frames_are_numbered_without_a_gap_and_lead_to_the_venues_own_books(
    steps: list[Any], trade_seq: bool
) -> None:
    scene, told = _played(steps, trade_seq=trade_seq)

    feed, books = Feed(uses_yes_price=False), Books(dict.fromkeys(TICKERS, CENT_GRID))
    covered = set()
    for text in told:
        received = feed.receive(text, 0)
        assert received.error is None
        assert received.gap is None
        if isinstance(received.event, BookSnapshot | BookDelta):
            books.apply(received.event)
            covered.add(received.event.ticker)
    (session,) = scene.hub.sessions()
    book = session.by_channel.get("orderbook_delta")
    for ticker in covered & set((book and book.tickers) or ()):
        assert books[ticker] == scene.floor.market(ticker).matching.book


@pytest.mark.recorded
@given(st.lists(steps, max_size=3))
@settings(max_examples=25, deadline=None)
def test_every_frame_is_one_that_kalshi_describes(
    oracle: Oracle | None, sessions: list[list[Any]]
) -> None:
    if oracle is None:
        pytest.skip("Kalshi's description is not at hand")
    with TemporaryDirectory() as folder:
        log = Path(folder) / "frames.jsonl"
        lines = [
            json.dumps({"kind": "frame", "text": text.decode()})
            for steps in sessions
            for text in _played(steps)[1]
        ]
        log.write_text("\n".join(lines))

        assert oracle.problems(log) == []


def _played(steps: list[Any], *, trade_seq: bool = True) -> tuple[Scene, list[bytes]]:
    """Let a session ask and accounts trade; give what the session was told."""
    scene = Scene(trade_seq=trade_seq)
    session = scene.session()
    told: list[bytes] = []
    for step in steps:
        if isinstance(step, tuple):
            mine, side, cents, ticker = step
            account = scene.mine if mine else scene.other
            scene.order(account, side, cents, 1, ticker, expires_at=NOW + 10**12)
            scene.tell(LifecycleChanged(ticker, LifecycleKind.CREATED, NOW))
        else:
            before = len(session.outbox)
            commands.receive(scene.hub, session, json.dumps(step))
            assert len(session.outbox) > before  # no command is left without an answer
        told += session.take()
    return scene, told
