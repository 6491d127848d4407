"""One connection's subscriptions and the frames that wait for it; no I/O."""

from collections.abc import Callable, Iterable

from kalshiflow.exchange import messages
from kalshiflow.exchange.messages import ERROR_MESSAGES
from kalshiflow.venue.floor.accounts import Account

BOOK, TRADE, LIFECYCLE = "orderbook_delta", "trade", "market_lifecycle_v2"
TICKER, FILL, USER_ORDERS, POSITIONS = "ticker", "fill", "user_orders", "market_positions"
SEQUENCED = frozenset({BOOK, TRADE, LIFECYCLE})
CHANNELS = SEQUENCED | {TICKER, FILL, USER_ORDERS, POSITIONS}

OVERFLOW = 25
QUEUE_LIMIT = 100_000


class Subscription:
    """One channel of one session. `tickers` is `None` where it covers every market."""

    __slots__ = ("channel", "seq", "session", "sid", "tickers", "uses_yes_price")

    def __init__(
        self,
        session: "Session",
        sid: int,
        channel: str,
        tickers: Iterable[str] | None,
        *,
        uses_yes_price: bool,
    ) -> None:
        self.session = session
        self.sid = sid
        self.channel = channel
        self.tickers = None if tickers is None else dict.fromkeys(tickers)
        self.uses_yes_price = uses_yes_price
        self.seq = 0

    def next_seq(self) -> int | None:
        """Give the next sequence number, or `None` on a channel that has none."""
        if self.channel not in SEQUENCED:
            return None
        self.seq += 1
        return self.seq

    def send(self, kind: bytes, body: bytes, command_id: int = 0) -> None:
        """Queue a frame of this subscription; a full queue ends the subscription instead."""
        session = self.session
        if self.sid not in session.by_sid:  # ended while its frames were being written
            return
        if len(session.outbox) >= session.queue_limit:
            session.overflow(self)
            return
        number = b'"id":%d,' % command_id if command_id else b""
        if self.channel in SEQUENCED:
            self.seq += 1
            head = b'{"type":"%b",%b"sid":%d,"seq":%d,"msg":' % (kind, number, self.sid, self.seq)
        else:
            head = b'{"type":"%b",%b"sid":%d,"msg":' % (kind, number, self.sid)
        session.outbox.append(head + body + b"}")


class Session:
    """One connection: whose it is, what it subscribed to, and the frames that wait for it."""

    def __init__(self, account: Account, queue_limit: int = QUEUE_LIMIT) -> None:
        self.account = account
        self.queue_limit = queue_limit
        self.outbox: list[bytes] = []
        self.by_sid: dict[int, Subscription] = {}
        self.by_channel: dict[str, Subscription] = {}
        self.last_sid = 0
        self.on_end: Callable[[Subscription], None] = self._forget

    def say(self, frame: messages.Frame) -> None:
        """Queue a control frame, however full the queue is."""
        self.outbox.append(messages.encode(frame))

    def refuse(self, command_id: int, code: int, sid: int | None = None) -> None:
        """Answer a command with an error frame."""
        body = messages.ErrorBody(code, ERROR_MESSAGES[code])
        self.say(messages.ErrorFrame(id=command_id or None, sid=sid, msg=body))

    def overflow(self, subscription: Subscription) -> None:
        """End a subscription that its reader did not keep up with."""
        self.refuse(0, OVERFLOW, subscription.sid)
        self.on_end(subscription)

    def take(self) -> list[bytes]:
        """Give the waiting frames, and forget them."""
        waiting, self.outbox = self.outbox, []
        return waiting

    def _forget(self, subscription: Subscription) -> None:
        self.by_sid.pop(subscription.sid, None)
        self.by_channel.pop(subscription.channel, None)
