"""What a change of a book brings with it: it is told, booked, and every promise to others kept."""

from collections.abc import Callable, Mapping

from kalshiflow.market.units import Quantity
from kalshiflow.venue.floor.accounts import OrderRecord
from kalshiflow.venue.floor.candles import Touch
from kalshiflow.venue.floor.clearing import Clearing, traded_of
from kalshiflow.venue.floor.entry import closable
from kalshiflow.venue.floor.facts import BookReplaced, Fact, TickerMoved
from kalshiflow.venue.floor.groups import OrderGroups
from kalshiflow.venue.floor.listed import ListedMarket
from kalshiflow.venue.matching.messages import EngineEvent, LevelChanged, Matched, Removal, Removed


class Bookkeeping:
    """Carries changes of the markets' books out. `markets` are the floor's, by ticker."""

    def __init__(
        self,
        clearing: Clearing,
        groups: OrderGroups,
        markets: Mapping[str, ListedMarket],
        publish: Callable[[Fact], None],
    ) -> None:
        self._clearing = clearing
        self._groups = groups
        self._markets = markets
        self._publish = publish

    def carry_out(
        self,
        listed: ListedMarket,
        now: int,
        change: Callable[[], list[EngineEvent]],
        *,
        arrived: OrderRecord | None = None,
        is_whole: bool = False,
    ) -> None:
        """Let a market's book change, and do everything that follows from it.

        `arrived` is the order that came to the book; `is_whole` says that the book is told anew
        rather than by its changes.
        """
        before = listed.touch()
        self._follow(listed, change(), now)
        if is_whole:
            self._publish(BookReplaced(listed.market.ticker, now))
        if arrived is not None and not arrived.removed:  # else it has been told of already
            self._clearing.tell(arrived)
        self._tell_touch(listed, before, now)
        if arrived is not None:
            self._clearing.forget_if_ended(arrived)

    def take_off(
        self, record: OrderRecord, now: int, reason: Removal, quantity: Quantity | None = None
    ) -> Quantity:
        """Take a resting order, or so much of it, off; give what was left of it before."""
        left, order_id = record.remaining, record.order.order_id
        listed = self._markets[record.order.ticker]
        book = listed.matching
        if quantity is None or quantity >= left:
            self.carry_out(listed, now, lambda: book.cancel(order_id, now, reason))
        else:
            self.carry_out(listed, now, lambda: book.reduce(order_id, quantity, now, reason))
        return left

    def _follow(self, listed: ListedMarket, events: list[EngineEvent], now: int) -> None:
        is_filled = False
        for event in events:
            if isinstance(event, LevelChanged):
                self._publish(event)
            elif isinstance(event, Matched):
                is_filled = True
                self._clearing.settle(listed, event)
            elif isinstance(event, Removed):
                self._clearing.remove(event)
            else:
                self._clearing.tell_trade(listed, traded_of(event, event.trade_id))
        if is_filled:
            listed.matching.booked()
            self._cut_reduce_only(listed, now)
            self._groups.enforce(now)

    def _cut_reduce_only(self, listed: ListedMarket, now: int) -> None:
        """Cut what rests reduce-only to the positions as they have become."""
        for order_id, record in tuple(listed.reduce_only.items()):
            most = closable(record.owner, record.order.ticker, record.order.side)
            if record.remaining > most:
                excess = Quantity(record.remaining - most)
                self.take_off(record, now, Removal.REDUCE_ONLY, excess)
            if not record.remaining:
                del listed.reduce_only[order_id]

    def _tell_touch(self, listed: ListedMarket, before: Touch, now: int) -> None:
        listed.updated_at = now
        touch = listed.touch()
        if touch != before:
            listed.candles.move(before, touch, now)
            self._publish(TickerMoved(listed.market.ticker, now))
