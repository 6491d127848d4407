"""Market data frames to events and back: with its two siblings the only YES/NO and dollars code.

Inside, a book is bids and asks on the YES scale. On the wire it is YES bids and NO bids, and a NO
bid at q is an ask at 1 - q; with `uses_yes_price` the NO side already carries YES prices. What
cannot be translated raises a `ValueError`: `TranslationError`, `UnitError` or `GridError`.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache

from kalshiflow.exchange.messages import (
    CentLevel,
    DeltaBody,
    Level,
    LifecycleBody,
    MixedLevel,
    PriceRange,
    SnapshotBody,
    TickerBody,
    TradeBody,
)
from kalshiflow.exchange.records import TickerUpdate
from kalshiflow.exchange.times import NANOSECONDS, PER_MILLISECOND, iso_time, nanoseconds
from kalshiflow.market.events import (
    BookDelta,
    BookSnapshot,
    Levels,
    MarketStatusChanged,
    PublicTrade,
    Side,
    Stamp,
)
from kalshiflow.market.listing import (
    CENT_GRID,
    MarketResult,
    MarketStatus,
    PriceBand,
    PriceGrid,
)
from kalshiflow.market.units import (
    CONTRACT,
    DOLLAR,
    Cash,
    Price,
    Quantity,
    cash_from_dollars,
    complement,
    known_price,
    known_quantity,
    price_from_cents,
    price_from_dollars,
    price_to_dollars,
    quantity_from_contracts,
    quantity_to_contracts,
)

_new = tuple.__new__  # of a named tuple whose fields are all at hand, in a third of the time


class TranslationError(ValueError):
    """A frame or body whose words mean nothing we know."""


# No market holds ten trillion contracts and no account a trillion dollars; the bounds keep sums
# within 64 bits, whatever a frame claims.
_QUANTITY_LIMIT = 10**15
_CASH_LIMIT = 10**18

_OUTCOME_SIDES = {"yes": Side.BID, "no": Side.ASK}
_BOOK_SIDES = {"bid": Side.BID, "ask": Side.ASK}
OUTCOMES = {Side.BID: "yes", Side.ASK: "no"}
BOOK_SIDES = {Side.BID: "bid", Side.ASK: "ask"}

_STATUS_AFTER: dict[str, MarketStatus] = {
    "created": MarketStatus.INITIALIZED,
    "activated": MarketStatus.ACTIVE,
    "deactivated": MarketStatus.INACTIVE,
    "determined": MarketStatus.DETERMINED,
    "settled": MarketStatus.FINALIZED,
}


# --- words -----------------------------------------------------------------------------------


def side_of(
    book_side: str | None,
    outcome_side: str | None,
    side: str | None = None,
    action: str | None = None,
) -> Side:
    """Give the side of the YES book: `book_side` if told, else the outcome, else side and action.

    Buying YES and selling NO are bids; selling YES and buying NO are asks.
    """
    if book_side is not None:
        return _word(_BOOK_SIDES, book_side, "book side")
    if outcome_side is not None:
        return _word(_OUTCOME_SIDES, outcome_side, "outcome side")
    if side is not None and action in {"buy", "sell"}:
        bought = _word(_OUTCOME_SIDES, side, "side")
        return bought if action == "buy" else bought.other
    raise TranslationError(f"no direction in side {side!r} and action {action!r}")


def quantity_of(text: str) -> Quantity:
    """Read a quantity that may be negative, within what sums can hold."""
    quantity = quantity_from_contracts(text)
    if not -_QUANTITY_LIMIT < quantity < _QUANTITY_LIMIT:
        raise TranslationError(f"quantity {text!r} is beyond any market")
    return quantity


def positive_quantity_of(text: str) -> Quantity:
    """Read a quantity that must be above zero."""
    quantity = quantity_of(text)
    if quantity <= 0:
        raise TranslationError(f"quantity {text!r} is not above zero")
    return quantity


def cash_of(text: str | None) -> Cash:
    """Read a signed amount of dollars, which is zero where it is not told."""
    cash = Cash(0) if text is None else cash_from_dollars(text)
    if not -_CASH_LIMIT < cash < _CASH_LIMIT:
        raise TranslationError(f"cash {text!r} is beyond any account")
    return cash


def grid_of(ranges: Sequence[PriceRange] | None) -> PriceGrid:
    """Build a market's price grid; without `price_ranges` it is a cent grid."""
    if not ranges:
        return CENT_GRID
    return _grid(tuple((part.start, part.end, part.step) for part in ranges))


def ranges_of(grid: PriceGrid) -> list[PriceRange]:
    """Write a grid as `price_ranges`."""
    return [
        PriceRange(price_to_dollars(b.start), price_to_dollars(b.end), price_to_dollars(b.step))
        for b in grid.bands
    ]


@lru_cache(maxsize=64)
def _grid(ranges: tuple[tuple[str, str, str], ...]) -> PriceGrid:
    # Thousands of markets share a handful of grids, and a grid is not cheap to build.
    return PriceGrid(
        tuple(
            PriceBand(price_from_dollars(start), price_from_dollars(end), price_from_dollars(step))
            for start, end, step in ranges
        )
    )


def _word(words: dict[str, Side], word: str, what: str) -> Side:
    try:
        return words[word]
    except KeyError:
        raise TranslationError(f"{what} {word!r} is none of {', '.join(words)}") from None


# --- times -----------------------------------------------------------------------------------


def delta_time(body: DeltaBody) -> int | None:
    """Give a delta's exchange time: `ts` holds more digits than `ts_ms`."""
    ts = body.ts
    if type(ts) is str:
        return nanoseconds(ts)
    return stamped_time(body.ts_ms, ts if isinstance(ts, int) else None)


def ticker_time(body: TickerBody) -> int | None:
    """Give a ticker's exchange time."""
    return nanoseconds(body.time) if body.time else stamped_time(body.ts_ms, body.ts)


def lifecycle_time(body: LifecycleBody) -> int | None:
    """Give when a market was determined or settled; other steps tell no time of their own."""
    return stamped_time(None, body.settled_ts or body.determination_ts)


def stamped_time(ts_ms: int | None, ts: int | None) -> int | None:
    """Give nanoseconds from milliseconds, else from seconds."""
    if ts_ms is not None:
        return ts_ms * PER_MILLISECOND
    return None if ts is None else ts * NANOSECONDS


# --- the order book --------------------------------------------------------------------------


def book_snapshot(body: SnapshotBody, stamp: Stamp, *, uses_yes_price: bool) -> BookSnapshot:
    """Translate a snapshot of any era; each side is taken from its most exact key."""
    bids = _levels(body.yes_dollars_fp, body.yes_dollars, body.yes)
    asks = _levels(body.no_dollars_fp, body.no_dollars, body.no)
    if not uses_yes_price:
        asks = ((complement(price), quantity) for price, quantity in asks)
    return BookSnapshot(
        body.market_ticker, tuple(sorted(bids, reverse=True)), tuple(sorted(asks)), stamp
    )


def book_levels(
    yes: Sequence[Level] | None, no: Sequence[Level] | None, *, uses_yes_price: bool = False
) -> tuple[Levels, Levels]:
    """Translate both sides of a REST order book into bids and asks, best first."""
    bids, asks = _levels(yes, None, None), _levels(no, None, None)
    if not uses_yes_price:
        asks = ((complement(price), quantity) for price, quantity in asks)
    return tuple(sorted(bids, reverse=True)), tuple(sorted(asks))


def book_delta(body: DeltaBody, stamp: Stamp, *, uses_yes_price: bool) -> BookDelta:
    """Translate a delta of any era."""
    text, contracts = body.price_dollars, body.delta_fp
    if text is not None:
        price = known_price(text) or price_from_dollars(text)
    elif body.price is not None:
        price = price_from_cents(body.price)
    else:
        raise TranslationError("a delta without a price")
    if contracts is not None:
        change = known_quantity(contracts) or quantity_from_contracts(contracts)
    elif body.delta is not None:
        change = Quantity(body.delta * CONTRACT)
    else:
        raise TranslationError("a delta without a change")
    if not -_QUANTITY_LIMIT < change < _QUANTITY_LIMIT:
        raise TranslationError(f"a change of {change} hundredths is beyond any market")
    side = _OUTCOME_SIDES.get(body.side)
    if side is None:
        side = _word(_OUTCOME_SIDES, body.side, "side")
    if side and not uses_yes_price:
        price = complement(price)
    return _new(BookDelta, (body.market_ticker, side, price, change, stamp, body.client_order_id))


def snapshot_body(
    ticker: str, bids: Levels, asks: Levels, *, uses_yes_price: bool, market_id: str | None = None
) -> SnapshotBody:
    """Write a book (best first, YES scale) as a snapshot's body."""
    yes, no = wire_levels(bids, asks, uses_yes_price=uses_yes_price)
    return SnapshotBody(ticker, market_id, yes_dollars_fp=yes or None, no_dollars_fp=no or None)


def wire_levels(
    bids: Levels, asks: Levels, *, uses_yes_price: bool = False
) -> tuple[list[Level], list[Level]]:
    """Write bids and asks as YES and NO levels, ascending by the price that is shown."""
    no = asks if uses_yes_price else tuple((complement(price), q) for price, q in asks)
    return _wire(bids), _wire(no)


def delta_body(
    event: BookDelta, *, uses_yes_price: bool, market_id: str | None = None, private: bool = False
) -> DeltaBody:
    """Write a delta; `private` adds the client order id, for the order's owner only.

    Its time is the event's exchange time, if it has one.
    """
    return level_body(
        event.ticker,
        event.side,
        event.price,
        event.change,
        event.stamp.exchange_ts,
        uses_yes_price=uses_yes_price,
        market_id=market_id,
        client_order_id=event.client_order_id if private else None,
    )


def level_body(
    ticker: str,
    side: Side,
    price: Price,
    change: Quantity,
    at: int | None,
    *,
    uses_yes_price: bool,
    market_id: str | None = None,
    client_order_id: str | None = None,
) -> DeltaBody:
    """Write the change of one level at a time, if that is known."""
    hidden = side is Side.ASK and not uses_yes_price
    return DeltaBody(
        market_ticker=ticker,
        market_id=market_id,
        price_dollars=price_to_dollars(complement(price) if hidden else price),
        delta_fp=quantity_to_contracts(change),
        side=OUTCOMES[side],
        ts=None if at is None else iso_time(at),
        ts_ms=None if at is None else at // PER_MILLISECOND,
        client_order_id=client_order_id,
    )


def _levels(
    exact: Sequence[Level] | None,
    mixed: Sequence[MixedLevel] | None,
    cents: Sequence[CentLevel] | None,
) -> Iterable[tuple[Price, Quantity]]:
    if exact is not None:
        found = [(price_from_dollars(price), quantity_of(count)) for price, count in exact]
    elif mixed is not None:
        found = [(price_from_dollars(price), Quantity(n * CONTRACT)) for price, n in mixed]
    else:
        found = [(price_from_cents(price), Quantity(n * CONTRACT)) for price, n in cents or ()]
    for price, quantity in found:
        if not 0 <= quantity < _QUANTITY_LIMIT:
            raise TranslationError(f"a level of {quantity} hundredths at {price_to_dollars(price)}")
    return [level for level in found if level[1]]  # a level of nothing is no level


def _wire(levels: Levels) -> list[Level]:
    return [(price_to_dollars(price), quantity_to_contracts(q)) for price, q in sorted(levels)]


# --- trades, tickers, lifecycle --------------------------------------------------------------


def public_trade(body: TradeBody, stamp: Stamp) -> PublicTrade:
    """Translate a public trade."""
    if body.yes_price_dollars is not None:
        price = price_from_dollars(body.yes_price_dollars)
    elif body.yes_price is not None:
        price = price_from_cents(body.yes_price)
    else:
        raise TranslationError("a trade without a price")
    if body.count_fp is not None:
        quantity = positive_quantity_of(body.count_fp)
    elif body.count is not None:
        quantity = positive_quantity_of(str(body.count))
    else:
        raise TranslationError("a trade without a quantity")
    side = side_of(body.taker_book_side, body.taker_outcome_side or body.taker_side)
    return PublicTrade(body.market_ticker, body.trade_id, price, quantity, side, stamp)


def trade_body(trade: PublicTrade) -> TradeBody:
    """Write a public trade; its time is the event's exchange time, if it has one."""
    at = trade.stamp.exchange_ts
    return TradeBody(
        market_ticker=trade.ticker,
        trade_id=trade.trade_id,
        yes_price_dollars=price_to_dollars(trade.price),
        no_price_dollars=price_to_dollars(complement(trade.price)),
        count_fp=quantity_to_contracts(trade.quantity),
        taker_side=OUTCOMES[trade.taker_side],
        taker_outcome_side=OUTCOMES[trade.taker_side],
        taker_book_side=BOOK_SIDES[trade.taker_side],
        is_block_trade=False,
        ts=None if at is None else at // NANOSECONDS,
        ts_ms=None if at is None else at // PER_MILLISECOND,
    )


def ticker_update(body: TickerBody) -> TickerUpdate:
    """Translate a ticker; a side whose size is zero, or whose price is an edge, is empty."""
    bid_quantity = _maybe_quantity(body.yes_bid_size_fp)
    ask_quantity = _maybe_quantity(body.yes_ask_size_fp)
    return TickerUpdate(
        ticker=body.market_ticker,
        last=touch_of(body.price_dollars, None),
        bid=touch_of(body.yes_bid_dollars, bid_quantity),
        ask=touch_of(body.yes_ask_dollars, ask_quantity),
        bid_quantity=bid_quantity,
        ask_quantity=ask_quantity,
        volume=_maybe_quantity(body.volume_fp),
        open_interest=_maybe_quantity(body.open_interest_fp),
        last_quantity=_maybe_quantity(body.last_trade_size_fp),
    )


def ticker_body(update: TickerUpdate, at: int, market_id: str | None = None) -> TickerBody:
    """Write a ticker at a time; an empty side is written as Kalshi does, 0 and 1 dollar."""
    volume, interest = update.volume or Quantity(0), update.open_interest or Quantity(0)
    last = update.last or Price(0)
    return TickerBody(
        market_ticker=update.ticker,
        market_id=market_id,
        price_dollars=price_to_dollars(last),
        yes_bid_dollars=price_to_dollars(update.bid or Price(0)),
        yes_ask_dollars=price_to_dollars(update.ask or DOLLAR),
        volume_fp=quantity_to_contracts(volume),
        open_interest_fp=quantity_to_contracts(interest),
        dollar_volume=volume // CONTRACT,
        dollar_open_interest=interest // CONTRACT,
        yes_bid_size_fp=quantity_to_contracts(update.bid_quantity or Quantity(0)),
        yes_ask_size_fp=quantity_to_contracts(update.ask_quantity or Quantity(0)),
        last_trade_size_fp=quantity_to_contracts(update.last_quantity or Quantity(0)),
        ts=at // NANOSECONDS,
        ts_ms=at // PER_MILLISECOND,
        time=iso_time(at),
    )


def touch_of(text: str | None, quantity: Quantity | None) -> Price | None:
    """Read a best price, which is none where its side is empty: no size, 0 or 1 dollar."""
    if text is None or quantity == 0:
        return None
    price = price_from_dollars(text)
    return price if 0 < price < DOLLAR else None


def status_changed(body: LifecycleBody, stamp: Stamp) -> MarketStatusChanged:
    """Translate a step of a market's life."""
    value = body.settlement_value
    return MarketStatusChanged(
        ticker=body.market_ticker,
        event_type=body.event_type,
        stamp=stamp,
        status=_STATUS_AFTER.get(body.event_type),
        result=MarketResult(body.result or ""),
        settlement_value=None if value is None else price_from_dollars(value),
        close_time=stamped_time(None, body.close_ts),
        grid=grid_of(body.price_ranges) if body.price_ranges else None,
    )


def lifecycle_body(event: MarketStatusChanged, at: int) -> LifecycleBody:
    """Write a step of a market's life that happened at a time."""
    seconds = at // NANOSECONDS
    determined, settled = event.event_type == "determined", event.event_type == "settled"
    value = event.settlement_value
    return LifecycleBody(
        event_type=event.event_type,
        market_ticker=event.ticker,
        close_ts=None if event.close_time is None else event.close_time // NANOSECONDS,
        result=event.result.value if determined else None,
        determination_ts=seconds if determined else None,
        settlement_value=price_to_dollars(value) if determined and value is not None else None,
        settled_ts=seconds if settled else None,
        is_deactivated=True if event.event_type == "deactivated" else None,
        price_ranges=None if event.grid is None else ranges_of(event.grid),
    )


def _maybe_quantity(text: str | None) -> Quantity | None:
    return None if text is None else quantity_of(text)
