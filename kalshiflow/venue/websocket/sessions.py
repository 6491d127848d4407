"""One connection's subscriptions and the frames that wait for it; no I/O."""

from collections.abc import Callable, Iterable, Sequence

from kalshiflow.exchange import messages
from kalshiflow.exchange.messages import ERROR_MESSAGES
from kalshiflow.venue.config import QUEUE_LIMIT
from kalshiflow.venue.floor.accounts import Account

BOOK, TRADE, TICKER = "orderbook_delta", "trade", "ticker"
LIFECYCLE, COMBO_LIFECYCLE = "market_lifecycle_v2", "multivariate_market_lifecycle"
FILL, USER_ORDERS, POSITIONS = "fill", "user_orders", "market_positions"
ORDER_GROUPS, COMMUNICATIONS = "order_group_updates", "communications"

SEQUENCED = frozenset({BOOK, TRADE, LIFECYCLE, COMBO_LIFECYCLE, ORDER_GROUPS, COMMUNICATIONS})
# Whoever subscribes to these hears all there is, whichever markets the command names.
UNFILTERED = frozenset({LIFECYCLE, COMBO_LIFECYCLE, ORDER_GROUPS, COMMUNICATIONS})
CHANNELS = SEQUENCED | {TICKER, FILL, USER_ORDERS, POSITIONS}

OVERFLOW = 25
# Frames are counted, but a snapshot is as long as twenty deltas: this many bytes are too many too.
QUEUE_BYTES = 64 * 2**20


class Subscription:
    """One channel of one session.

    `tickers` is `None` where it covers every market; `ids` are those that were named by market id.
    `skips_ack` leaves the list of markets out of its `ok` frames.
    """

    __slots__ = (
        "_heads",
        "channel",
        "has_ended",
        "ids",
        "is_sequenced",
        "seq",
        "session",
        "sid",
        "skips_ack",
        "tickers",
        "uses_yes_price",
    )

    def __init__(
        self,
        session: "Session",
        sid: int,
        channel: str,
        tickers: Iterable[str] | None,
        *,
        ids: Iterable[str] = (),
        uses_yes_price: bool = False,
        is_sequenced: bool | None = None,
    ) -> None:
        self.session = session
        self.sid = sid
        self.channel = channel
        self.tickers = None if tickers is None else dict.fromkeys(tickers)
        self.ids = dict.fromkeys(ids)
        self.uses_yes_price = uses_yes_price
        self.is_sequenced = channel in SEQUENCED if is_sequenced is None else is_sequenced
        self.skips_ack = False
        self.has_ended = False
        self.seq = 0
        self._heads: dict[bytes, bytes] = {}

    @property
    def size(self) -> int:
        """Give how many markets it counts for; one that covers all of them counts for one."""
        return 1 if self.tickers is None else len(self.tickers) + len(self.ids)

    def next_seq(self) -> int | None:
        """Give the next sequence number, or `None` on a channel that has none."""
        if not self.is_sequenced:
            return None
        self.seq += 1
        return self.seq

    def final_seq(self) -> int:
        """Give the number of the frame that ends it, which is there on every channel."""
        self.seq += 1
        return self.seq

    def send(self, kind: bytes, body: bytes, command_id: int = 0) -> None:
        """Queue a frame of this subscription; a full queue ends the subscription instead."""
        if self.has_ended:  # while its frames were being written
            return
        session = self.session
        outbox = session.outbox
        if len(outbox) >= session.queue_limit or session.outbox_bytes >= QUEUE_BYTES:
            session.break_off(self, OVERFLOW)
            return
        if command_id:
            head = b'{"type":"%b","id":%d,"sid":%d' % (kind, command_id, self.sid)
        else:
            head = self._heads.get(kind) or self._head(kind)
        if self.is_sequenced:
            self.seq += 1
            frame = b'%b,"seq":%d,"msg":%b}' % (head, self.seq, body)
        else:
            frame = b'%b,"msg":%b}' % (head, body)
        outbox.append(frame)
        session.outbox_bytes += len(frame)

    def _head(self, kind: bytes) -> bytes:
        head = self._heads[kind] = b'{"type":"%b","sid":%d' % (kind, self.sid)
        return head


class Session:
    """One connection: whose it is, what it subscribed to, and the frames that wait for it.

    `number` tells it from the hub's other sessions. `outbox` holds text, one frame an entry, and
    `outbox_bytes` is its length.
    """

    def __init__(self, account: Account, queue_limit: int = QUEUE_LIMIT, number: int = 0) -> None:
        self.account = account
        self.number = number
        self.queue_limit = queue_limit
        self.outbox: list[bytes] = []
        self.outbox_bytes = 0
        self.by_sid: dict[int, Subscription] = {}
        self.by_channel: dict[str, Subscription] = {}
        self.last_sid = 0
        self.on_end: Callable[[Subscription], None] = self.forget

    @property
    def is_deaf(self) -> bool:
        """Say whether twice as much waits as may: it asks on, and does not read the answers."""
        return len(self.outbox) > 2 * self.queue_limit or self.outbox_bytes > 2 * QUEUE_BYTES

    @property
    def market_count(self) -> int:
        """Give how many markets its subscriptions have, all channels together."""
        return sum(subscription.size for subscription in self.by_sid.values())

    def say(self, frame: messages.Frame) -> None:
        """Queue a control frame, however full the queue is."""
        text = messages.encode(frame)
        self.outbox.append(text)
        self.outbox_bytes += len(text)

    def refuse(
        self,
        command_id: int,
        code: int,
        subscription: Subscription | None = None,
        tickers: Sequence[str] = (),
    ) -> None:
        """Answer with an error frame, which names the subscription and the markets it is about."""
        body = messages.ErrorBody(
            code,
            ERROR_MESSAGES[code],
            market_ticker=tickers[0] if len(tickers) == 1 else None,
            market_tickers=list(tickers) if len(tickers) > 1 else None,
        )
        sid = None if subscription is None else subscription.sid
        seq = None if subscription is None else subscription.next_seq()
        self.say(messages.ErrorFrame(id=command_id or None, sid=sid, seq=seq, msg=body))

    def break_off(self, subscription: Subscription, code: int) -> None:
        """End a subscription by an error: 10, or 25 where its reader did not keep up."""
        self.refuse(0, code, subscription)
        self.on_end(subscription)

    def take(self, limit: int | None = None) -> list[bytes]:
        """Give the waiting frames, at most `limit`, and forget them."""
        if limit is None or limit >= len(self.outbox):
            taken, self.outbox = self.outbox, []
            self.outbox_bytes = 0
            return taken
        taken = self.outbox[:limit]
        del self.outbox[:limit]
        self.outbox_bytes -= sum(map(len, taken))
        return taken

    def forget(self, subscription: Subscription) -> None:
        """Let a subscription be none of its own any more; it sends nothing from now on."""
        subscription.has_ended = True
        self.by_sid.pop(subscription.sid, None)
        self.by_channel.pop(subscription.channel, None)
