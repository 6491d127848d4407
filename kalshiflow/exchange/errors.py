"""The error tree of everything that talks to the exchange.

ExchangeError
├── ConnectionRefused           the request or the socket was not taken; nothing was done
│   ├── Unauthorised            401: key, signature or clock
│   ├── RateLimited             429
│   ├── ExchangeUnavailable     5xx of a read or of the WebSocket handshake
│   └── Unreachable             no connection, or no answer in time
├── ConnectionLost              an open WebSocket ended
├── RequestRejected             4xx with a meaning: `status`, `code`, `message`, `details`
│   ├── NotFound                no such market or order, or the order has ended
│   └── OrderRejected           an order was refused, and is certain not to exist
│       ├── InsufficientBalance
│       ├── InvalidPrice
│       ├── DuplicateClientOrderId
│       ├── PostOnlyCross
│       ├── NotFillable         fill-or-kill without the volume
│       └── MarketInactive      the market takes no orders and no cancels
├── UnknownOutcome              a mutation whose effect is not known: time-out, 5xx, no answer
└── ProtocolError               an answer that breaks the exchange's own rules
"""


class ExchangeError(Exception):
    """The root: whatever goes wrong between us and the exchange."""


class ConnectionRefused(ExchangeError):
    """The exchange did not take a request or a socket; nothing was done.

    `retry_after` is how many seconds the exchange asked us to wait, where it did.
    """

    def __init__(self, message: str = "", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unauthorised(ConnectionRefused):
    """401: the key, the signature or the clock is wrong."""


class RateLimited(ConnectionRefused):
    """429: too many requests."""


class ExchangeUnavailable(ConnectionRefused):
    """5xx of a read, or of the WebSocket handshake."""


class Unreachable(ConnectionRefused):
    """No connection could be made, or no answer came in time."""


class ConnectionLost(ExchangeError):
    """An open WebSocket ended; `code` and `reason` as far as the other side told them."""

    def __init__(self, code: int | None, reason: str) -> None:
        if code is None:
            how = f"without a goodbye: {reason}" if reason else "without a goodbye"
        else:
            how = f"with code {code}: {reason or 'no reason given'}"
        super().__init__(f"the connection ended {how}")
        self.code = code
        self.reason = reason


class RequestRejected(ExchangeError):
    """A refusal with a meaning. `code`, `message` and `details` are the exchange's own words."""

    def __init__(self, status: int, code: str, message: str, details: str = "") -> None:
        words = " ".join(word for word in (code, message, details) if word)
        super().__init__(f"HTTP {status}: {words or 'no reason given'}")
        self.status = status
        self.code = code
        self.message = message
        self.details = details


class NotFound(RequestRejected):
    """No such market or order; also the answer to cancelling an order that has ended."""


class OrderRejected(RequestRejected):
    """The exchange refused an order; it is certain that the order does not exist."""


class InsufficientBalance(OrderRejected):
    """The account's available cash does not cover the order."""


class InvalidPrice(OrderRejected):
    """The price is not on the market's grid."""


class DuplicateClientOrderId(OrderRejected):
    """The client order id was used before; it stays used for ever."""


class PostOnlyCross(OrderRejected):
    """A post-only order would have taken liquidity."""


class NotFillable(OrderRejected):
    """A fill-or-kill order did not find its whole quantity."""


class MarketInactive(OrderRejected):
    """The market takes no orders now, and after its close no cancels either."""


class UnknownOutcome(ExchangeError):
    """A mutation may or may not have had its effect: it must be looked up, never guessed."""


class ProtocolError(ExchangeError):
    """An answer that breaks the exchange's own rules: no JSON, a missing field, a cursor loop."""
