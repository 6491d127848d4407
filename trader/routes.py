"""Where orders go: the exchange by REST."""

from kalshiflow.exchange.client import KalshiClient
from kalshiflow.exchange.records import CancelAck, OrderAck, OwnOrder
from trader.orders import TrackedOrder

SECOND = 1_000_000_000
MARGIN = 5  # seconds before the intent from which orders are read


class ExchangeRoute:
    """Orders as the exchange's own REST takes them."""

    def __init__(self, client: KalshiClient) -> None:
        self._client = client

    async def create(self, order: TrackedOrder) -> OrderAck:
        """Send an order under its client order id, to rest until cancelled."""
        return await self._client.create_order(
            order.ticker, order.side, order.price, order.quantity, str(order.client_order_id)
        )

    async def cancel(self, order: TrackedOrder) -> CancelAck:
        """Take an order off."""
        assert order.order_id is not None
        return await self._client.cancel_order(order.order_id)

    async def search(self, order: TrackedOrder) -> OwnOrder | None:
        """Read all of the market's orders since the intent, and give the one with our id.

        There is no filter by client order id. The intent is dated by the exchange's own clock.
        """
        since = max(0, order.market_time // SECOND - MARGIN)
        for record in await self._client.get_orders(ticker=order.ticker, min_ts=since):
            if record.client_order_id == str(order.client_order_id):
                return record
        return None

    async def read(self, order_id: str) -> OwnOrder:
        """Read one order."""
        return await self._client.get_order(order_id)
