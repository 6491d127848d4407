"""Why the venue refuses a request, in Kalshi's words.

Refused
├── MarketNotFound      404
├── OrderNotFound       404   unknown, cancelled and executed orders alike
├── OrderGroupNotFound  404
├── MarketInactive      400
├── InvalidPrice        400   off the market's price grid
├── InvalidOrderSize    400
├── InsufficientBalance 400
├── TickerMismatch      400   an amendment that names another market,
├── SideMismatch        400   another side,
├── ClientIdMismatch    400   or another client order id than its order has
├── OrderAlreadyExists  409   a client order id is used up for ever
├── TradingPaused       409   orders are neither placed nor amended, but cancelled
├── ExchangePaused      409   nothing may be changed
├── ImpossibleMove      409   a step of a life that cannot be taken now (our own endpoints)
├── InvalidOutcome      400   a result without its value (our own endpoints)
└── InvalidOrder        400   with details; 409 for a fill-or-kill that was not filled
"""

from typing import ClassVar


class Refused(Exception):
    """A request that the venue turned down; nothing has changed."""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "bad_request"

    def __init__(self, message: str = "", details: str = "") -> None:
        self.message = message or self.code.replace("_", " ")
        self.details = details
        super().__init__(f"{self.code}: {self.message} {details}".rstrip())


class MarketNotFound(Refused):
    """No market has this ticker."""

    status = 404
    code = "not_found"


class OrderNotFound(Refused):
    """No order of this account rests under this id."""

    status = 404
    code = "not_found"


class OrderGroupNotFound(Refused):
    """No order group of this account has this id."""

    status = 404
    code = "not_found"


class MarketInactive(Refused):
    """The market takes no orders, and after its close no cancels either."""

    code = "MARKET_INACTIVE"


class InvalidPrice(Refused):
    """The price is not on the market's grid."""

    code = "invalid_price"


class InvalidOrderSize(Refused):
    """The quantity is nothing, or more than can be."""

    code = "invalid_order_size"


class InsufficientBalance(Refused):
    """Free cash does not cover the order at its limit price with its worst fee."""

    code = "insufficient_balance"


class TickerMismatch(Refused):
    """An amendment names another market than its order's."""

    code = "order_ticker_mismatch"


class SideMismatch(Refused):
    """An amendment names another side than its order's."""

    code = "order_side_mismatch"


class ClientIdMismatch(Refused):
    """An amendment names another client order id than its order's."""

    code = "order_id_and_client_order_id_mismatch"


class OrderAlreadyExists(Refused):
    """The account used this client order id before."""

    status = 409
    code = "order_already_exists"


class InvalidOrder(Refused):
    """An order that contradicts itself or the book; `details` says how."""

    code = "invalid_order"


class NotFilled(InvalidOrder):
    """A fill-or-kill order that the resting volume does not cover."""

    status = 409


class TradingPaused(Refused):
    """The exchange takes no new and no amended orders for now; those that rest may be cancelled."""

    status = 409
    code = "trading_is_paused"


class ExchangePaused(Refused):
    """The exchange takes no changes at all for now, cancels included."""

    status = 409
    code = "exchange_is_paused"


class ImpossibleMove(Refused):
    """A step that a market, or the exchange, cannot take at its present stage."""

    status = 409
    code = "impossible_move"


class InvalidOutcome(Refused):
    """A result that says no value, or a value that is not the result's."""

    code = "invalid_outcome"
