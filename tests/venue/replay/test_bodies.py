"""Bodies of recorded events against the hub's own writer."""

from hypothesis import given
from hypothesis import strategies as st

from kalshiflow.market.events import BookDelta, BookSnapshot, PublicTrade, Side, Stamp, TimeSource
from kalshiflow.market.listing import Market
from kalshiflow.market.units import Price, Quantity
from kalshiflow.venue.floor.facts import Traded
from kalshiflow.venue.floor.listed import ListedMarket
from kalshiflow.venue.matching.engine import MatchingBook
from kalshiflow.venue.matching.messages import LevelChanged
from kalshiflow.venue.replay.bodies import RecordedBodies
from kalshiflow.venue.replay.capture import TimedEvent
from kalshiflow.venue.websocket import bodies

TICKERS = ('KX"delta_fp":"0.01"', "KXÄ-26JAN06-€")
LISTED = {
    ticker: ListedMarket(Market(ticker, "E", "t"), MatchingBook(ticker), f"id of {ticker}")
    for ticker in TICKERS
}
BOTH = {yes: RecordedBodies(LISTED, uses_yes_price=yes) for yes in (False, True)}
STAMP = Stamp(1, 1, 1, TimeSource.EXCHANGE, 1)

prices = st.integers(1, 9_999).map(Price) | st.just(Price(4_800))
times = st.integers(0, 2**62) | st.integers(1_767_700_000_000, 1_767_700_009_999).map(
    lambda milliseconds: milliseconds * 1_000_000
)


def said(writer: RecordedBodies, timed: TimedEvent) -> bytes:
    (body,) = writer.of([timed])
    assert body is not None
    return body.encode("latin-1")


@given(
    st.sampled_from(TICKERS),
    st.sampled_from(list(Side)),
    prices,
    st.integers(-(10**14), 10**14).filter(bool),
    times,
    st.booleans(),
)
def test_a_delta_is_written_as_the_hub_writes_it(
    ticker: str, side: Side, price: Price, change: int, at: int, yes: bool
) -> None:
    event = BookDelta(ticker, side, price, Quantity(change), STAMP, "the recorder's own")

    written = said(BOTH[yes], TimedEvent(at, event))

    fact = LevelChanged(ticker, side, price, change, at)
    assert written == bodies.delta(fact, LISTED[ticker], uses_yes_price=yes)


@given(st.sets(st.integers(1, 49)), st.sets(st.integers(50, 99)), st.booleans())
def test_a_snapshot_is_written_as_the_hub_writes_it(
    bids: set[int], asks: set[int], yes: bool
) -> None:
    levels = [
        tuple((Price(cents * 100), Quantity(cents * 7)) for cents in side)
        for side in (sorted(bids, reverse=True), sorted(asks))
    ]
    listed = LISTED[TICKERS[0]]
    listed.matching.book.apply_snapshot(levels[0], levels[1])

    written = said(BOTH[yes], TimedEvent(5, BookSnapshot(TICKERS[0], levels[0], levels[1], STAMP)))

    assert written == bodies.snapshot(listed, uses_yes_price=yes)


@given(st.sampled_from(list(Side)), prices, st.integers(1, 10**14), times)
def test_a_trade_is_written_as_the_hub_writes_it(
    side: Side, price: Price, quantity: int, at: int
) -> None:
    event = PublicTrade(TICKERS[1], "t-1", price, Quantity(quantity), side, STAMP)

    written = said(BOTH[True], TimedEvent(at, event))

    fact = Traded(TICKERS[1], "t-1", price, Quantity(quantity), side, at)
    assert written == bodies.trade(fact)


def test_a_change_of_nothing_makes_no_frame() -> None:
    event = BookDelta(TICKERS[1], Side.BID, Price(4_800), Quantity(0), STAMP)

    assert BOTH[True].of([TimedEvent(5, event)]) == [None]
