"""Where our resting orders stand in the queues of their levels, by the rules of `simulator.queue`.

`level` is always what a level shows without our orders.
"""

from collections.abc import Iterable, Iterator

from kalshiflow.simulator import queue
from kalshiflow.simulator.overlay import FillModel
from kalshiflow.venue.matching.messages import Resting


class Standing:
    """The place of each order of ours in its queue. Orders at one level are given in line."""

    def __init__(self, model: FillModel) -> None:
        self._model = model
        self._places: dict[str, list[int]] = {}

    def join(self, order_id: str, level: int, at: int) -> None:
        """Let an order stand behind all that its level shows."""
        place = self._places[order_id] = [0] * queue.QUEUE_SIZE
        queue.join(place, 0, level, at)

    def leave(self, order: Resting) -> None:
        """Forget an order's place."""
        del self._places[order.order_id]

    def ahead(self, order: Resting, level: int) -> int:
        """Give what of the level stands before an order."""
        return queue.ahead(self._places[order.order_id], 0, level)

    def line(self, orders: Iterable[Resting], level: int) -> Iterator[tuple[int, Resting | None]]:
        """Give a level's orders with what stands between each and the one before it.

        What stands behind them all comes last, with `None`.
        """
        passed = 0
        for order in orders:
            before = max(self.ahead(order, level) - passed, 0)
            passed += before
            yield before, order
        yield level - passed, None

    def serve(self, orders: Iterable[Resting], level: int, quantity: int) -> None:
        """Note that so much of what stood first at a level was taken by an order of ours."""
        for order in orders:
            place = self._places[order.order_id]
            place[queue.AHEAD] = max(queue.ahead(place, 0, level) - quantity, 0)

    def rise(self, orders: Iterable[Resting], level: int) -> None:
        """Note that a level grows from `level` on."""
        for order in orders:
            queue.on_increase(self._places[order.order_id], 0, level)

    def fall(self, order: Resting, level: int, lost: int, at: int, *, is_trade: bool) -> int:
        """Note that the level of an order falls from `level` by what it `lost`.

        Gives what of it gets past the order's queue, if it is inferred to be a trade.
        """
        place = self._places[order.order_id]
        return queue.on_decrease(place, 0, level, lost, self._model, is_trade, at)

    def lost_with(self, filled: int) -> int:
        """Give of how large a fall so much would be inferred to be a trade."""
        return queue.lost_with(filled, self._model)

    def trade(self, order: Resting, level: int, quantity: int, reached: int, at: int) -> int:
        """Note a trade at an order's price; gives what gets past the order's queue.

        `reached` is what of its `quantity` orders of ours before this one have left.
        """
        place = self._places[order.order_id]
        return queue.on_trade(place, 0, level, quantity, reached, at)
