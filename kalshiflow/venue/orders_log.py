"""Clients' orders in the venue's log: each state, and after which recorded frame it came."""

from kalshiflow.exchange.times import iso_time
from kalshiflow.market.events import Side
from kalshiflow.market.units import price_to_dollars, quantity_to_contracts
from kalshiflow.venue.core import Venue
from kalshiflow.venue.floor.facts import OrderChanged
from kalshiflow.venue.log import Log


class OrderLog:
    """Writes what becomes of clients' orders; an order's first entry is its acceptance."""

    def __init__(self, log: Log, venue: Venue) -> None:
        self._log = log
        self._venue = venue

    def hear(self, fact: OrderChanged) -> None:
        """Write down an order's new state."""
        record = fact.record
        order = record.order
        entry = {
            "market_time": iso_time(record.updated_at),
            "after_frame": self._venue.position(),
            "order_id": order.order_id,
            "client_order_id": order.client_order_id,
            "key_id": record.owner.key_id,
            "ticker": order.ticker,
            "side": "bid" if order.side == Side.BID else "ask",
            "price": price_to_dollars(order.price),
            "quantity": quantity_to_contracts(order.quantity),
            "filled": quantity_to_contracts(record.filled),
            "remaining": quantity_to_contracts(record.remaining),
            "status": record.status,
            "reason": record.reason,
        }
        self._log.note("order", entry)
