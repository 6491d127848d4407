"""A listed market: its description, its book and its public figures."""

from collections import deque
from dataclasses import dataclass, field

from kalshiflow.market.listing import Market, MarketStatus
from kalshiflow.market.units import Cash, Price, Quantity
from kalshiflow.venue.floor.accounts import OrderRecord
from kalshiflow.venue.floor.candles import Candles, Touch
from kalshiflow.venue.floor.facts import Traded
from kalshiflow.venue.matching.engine import MatchingBook

TRADES_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Details:
    """What is told of a market beside its terms. Times are market time; `None`: not yet."""

    yes_sub_title: str = ""
    no_sub_title: str = ""
    rules_primary: str = ""
    rules_secondary: str = ""
    strike_type: str = "custom"
    floor_strike: float | None = None
    cap_strike: float | None = None
    can_close_early: bool = True
    settlement_timer_seconds: int = 60
    created_at: int = 0
    expected_expiration: int | None = None
    latest_expiration: int | None = None
    determined_at: int | None = None
    settled_at: int | None = None


NO_DETAILS = Details()


@dataclass(slots=True)
class ListedMarket:
    """A market with its book and its public figures.

    `updated_at` is when anything last changed, `described_at` when something other than trading
    did (0: nothing since it was created).
    """

    market: Market
    matching: MatchingBook
    market_id: str
    details: Details = NO_DETAILS
    last_price: Price = Price(0)
    last_quantity: Quantity = Quantity(0)
    volume: Quantity = Quantity(0)
    traded: Cash = Cash(0)
    open_interest: Quantity = Quantity(0)
    updated_at: int = 0
    described_at: int = 0
    # Reduce-only orders that rest, by order id.
    reduce_only: dict[str, OrderRecord] = field(default_factory=dict)
    trades: deque[Traded] = field(default_factory=lambda: deque(maxlen=TRADES_KEPT))
    candles: Candles = field(init=False)

    def __post_init__(self) -> None:
        self.candles = Candles(self)

    @property
    def is_open(self) -> bool:
        """Say whether the market takes orders."""
        return self.market.status is MarketStatus.ACTIVE

    @property
    def lets_cancel(self) -> bool:
        """Say whether resting orders may be cancelled: also in a pause, but not after the close."""
        return self.market.status in {MarketStatus.ACTIVE, MarketStatus.INACTIVE}

    def count(self, trade: Traded) -> None:
        """Add a trade to the market's figures."""
        self.candles.trade(trade.price, trade.quantity, trade.at)
        self.last_price, self.last_quantity = trade.price, trade.quantity
        self.volume = Quantity(self.volume + trade.quantity)
        self.traded = Cash(self.traded + trade.price * trade.quantity)
        self.trades.append(trade)

    def touch(self) -> Touch:
        """Give best bid, its size, best ask, its size."""
        book = self.matching.book
        bid, ask = book.best_bid_index, book.best_ask_index
        has_ask = ask < len(book.asks)
        return (
            book.best_bid,
            book.bids[bid] if bid >= 0 else 0,
            book.best_ask,
            book.asks[ask] if has_ask else 0,
        )
