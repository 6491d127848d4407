"""What the exchange tells of one's own account and of its tickers, in exact units.

Prices are on the YES scale, times in UTC nanoseconds; `None` where the exchange did not say.
"""

from dataclasses import dataclass

from kalshiflow.market.events import Side
from kalshiflow.market.listing import Market, MarketResult
from kalshiflow.market.orders import Fill, OrderState
from kalshiflow.market.units import Cash, Price, Quantity


@dataclass(frozen=True, slots=True)
class OwnFill:
    """A fill of ours, with the position (signed: + YES, - NO) that it left."""

    fill: Fill
    post_position: Quantity | None = None


@dataclass(frozen=True, slots=True)
class OwnOrder:
    """An order of ours as it stands at the exchange, whether a frame or a REST body told it.

    `price` is its limit; costs and fees are sums over its fills. `reason` is the exchange's word
    for the last change (`Trade`, `Decrease`, `ExpiryCancel`, ...).
    """

    order_id: str
    client_order_id: str
    ticker: str
    side: Side
    price: Price
    state: OrderState
    quantity: Quantity
    filled: Quantity
    remaining: Quantity
    reason: str | None = None
    taker_cost: Cash = Cash(0)
    maker_cost: Cash = Cash(0)
    taker_fees: Cash = Cash(0)
    maker_fees: Cash = Cash(0)
    created_at: int | None = None
    updated_at: int | None = None
    expires_at: int | None = None

    @property
    def fees(self) -> Cash:
        """Give all fees paid on the order so far."""
        return Cash(self.taker_fees + self.maker_fees)


@dataclass(frozen=True, slots=True)
class OwnPosition:
    """A position of ours after a change of it (signed: + YES, - NO)."""

    ticker: str
    quantity: Quantity
    cost: Cash
    realised: Cash
    fees: Cash
    fee_cost: Cash = Cash(0)
    volume: Quantity = Quantity(0)


@dataclass(frozen=True, slots=True)
class TickerUpdate:
    """A market's touch and totals; a side without quantity has no price."""

    ticker: str
    last: Price | None = None
    bid: Price | None = None
    ask: Price | None = None
    bid_quantity: Quantity | None = None
    ask_quantity: Quantity | None = None
    volume: Quantity | None = None
    open_interest: Quantity | None = None
    last_quantity: Quantity | None = None


@dataclass(frozen=True, slots=True)
class ExchangeStatus:
    """Whether the exchange is up, and whether it takes orders; and when it hopes to be back."""

    exchange_active: bool
    trading_active: bool
    resumes_at: int | None = None


@dataclass(frozen=True, slots=True)
class ActiveMarket:
    """A market with how much is traded in it: in the last day, ever, and what is open now."""

    market: Market
    volume_24h: Quantity = Quantity(0)
    volume: Quantity = Quantity(0)
    open_interest: Quantity = Quantity(0)


@dataclass(frozen=True, slots=True)
class OrderAck:
    """The answer to a new order; averages only where it was filled at once."""

    order_id: str
    client_order_id: str
    filled: Quantity
    remaining: Quantity
    average_price: Price | None
    average_fee: Cash | None
    ts_ms: int


@dataclass(frozen=True, slots=True)
class CancelAck:
    """The answer to a cancel: how much was taken off the book."""

    order_id: str
    reduced_by: Quantity
    ts_ms: int


@dataclass(frozen=True, slots=True)
class PositionRecord:
    """A position as the portfolio lists it; `exposure` is the cost of what is held."""

    ticker: str
    quantity: Quantity
    exposure: Cash
    realised: Cash
    fees: Cash
    total_traded: Cash


@dataclass(frozen=True, slots=True)
class Balance:
    """Available cash, and the value of the positions by the exchange's own estimate."""

    available: Cash
    portfolio_value: Cash


@dataclass(frozen=True, slots=True)
class SettlementRecord:
    """A settled market: what was held of each side, what it cost and what it paid."""

    ticker: str
    result: MarketResult
    value: Price | None
    yes_quantity: Quantity
    no_quantity: Quantity
    yes_cost: Cash
    no_cost: Cash
    revenue: Cash
    fees: Cash
    at: int


@dataclass(frozen=True, slots=True)
class TradeRecord:
    """Anyone's trade; `taker_side` is the side of the book that the taker's order was on."""

    ticker: str
    trade_id: str
    price: Price
    quantity: Quantity
    taker_side: Side
    at: int
