"""The exchange by REST, in market types: what it lists, orders, the portfolio."""

from collections.abc import Callable
from types import TracebackType
from typing import Self, TypeVar

import httpx

from kalshiflow.exchange import payloads
from kalshiflow.exchange import translate_bodies as bodies
from kalshiflow.exchange.credentials import Credentials
from kalshiflow.exchange.errors import ProtocolError, UnknownOutcome
from kalshiflow.exchange.listings import Listings, quoted
from kalshiflow.exchange.offset import ClockOffset
from kalshiflow.exchange.pages import translated, whole_list
from kalshiflow.exchange.records import (
    Balance,
    CancelAck,
    OrderAck,
    OwnOrder,
    PositionRecord,
    SettlementRecord,
)
from kalshiflow.exchange.rest import (
    BASIC_TIER,
    CHEAP_COST,
    FOUR_ATTEMPTS,
    Limits,
    Params,
    RestSession,
    Retries,
    decoded,
    unix_milliseconds,
)
from kalshiflow.market.events import Side
from kalshiflow.market.orders import Fill, Order, TimeInForce
from kalshiflow.market.units import Price, Quantity

__all__ = ["KalshiClient", "Limits", "Retries"]

_ORDERS = "/portfolio/events/orders"

BodyT = TypeVar("BodyT")
ValueT = TypeVar("ValueT")


class KalshiClient(Listings):
    """The exchange's REST address, as an asynchronous context manager.

    Reads are retried, mutations never: a mutation raises `UnknownOutcome` where it may or may not
    have been done, and any other `ExchangeError` where it certainly was not. Without credentials
    only public reads work. `now_ms` is the wall clock that requests are signed with.
    """

    def __init__(
        self,
        rest_url: str,
        credentials: Credentials | None,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        now_ms: Callable[[], int] = unix_milliseconds,
        limits: Limits = BASIC_TIER,
        retries: Retries = FOUR_ATTEMPTS,
        timeout: float = 10,
    ) -> None:
        super().__init__(
            RestSession(
                rest_url,
                credentials,
                transport=transport,
                now_ms=now_ms,
                limits=limits,
                retries=retries,
                timeout=timeout,
            )
        )

    async def __aenter__(self) -> Self:
        await self._rest.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._rest.__aexit__(kind, error, trace)

    @property
    def clock_offset(self) -> ClockOffset | None:
        """Give how far the exchange's clock is from ours; `None` before its first answer."""
        return self._rest.clock_offset

    # --- orders ---

    async def create_order(
        self,
        ticker: str,
        side: Side,
        price: Price,
        quantity: Quantity,
        client_order_id: str,
        time_in_force: TimeInForce = TimeInForce.GTC,
        *,
        post_only: bool = False,
        reduce_only: bool = False,
        expiration: int | None = None,
    ) -> OrderAck:
        """Send a limit order on the YES book, once; `expiration` is in UTC nanoseconds.

        Raises `OrderRejected` (or a kind of it) where the exchange refused it, `UnknownOutcome`
        where it may stand: look it up by its client order id before doing anything else.
        """
        order = Order(
            order_id="",
            ticker=ticker,
            side=side,
            price=price,
            quantity=quantity,
            time_in_force=time_in_force,
            client_order_id=client_order_id,
            post_only=post_only,
            reduce_only=reduce_only,
        )
        raw = await self._rest.mutate("POST", _ORDERS, bodies.create_order(order, expiration))
        return _answered(bodies.order_ack, raw, payloads.CreateOrderAnswer, "POST " + _ORDERS)

    async def cancel_order(self, order_id: str) -> CancelAck:
        """Cancel what rests of an order; raises `NotFound` where nothing does any more."""
        path = f"{_ORDERS}/{quoted(order_id)}"
        raw = await self._rest.mutate("DELETE", path, cost=CHEAP_COST)
        return _answered(bodies.cancel_ack, raw, payloads.CancelOrderAnswer, "DELETE " + path)

    async def cancel_all(self) -> None:
        """Cancel every resting order of the account."""
        await self._rest.mutate("DELETE", _ORDERS)

    async def get_orders(
        self,
        *,
        ticker: str | None = None,
        status: str | None = None,
        min_ts: int | None = None,
    ) -> list[OwnOrder]:
        """List one's own orders, all pages; `status` is resting, canceled or executed.

        `min_ts` is in Unix seconds. Reads lag mutations by up to half a second.
        """
        params: Params = {"ticker": ticker, "status": status, "min_ts": min_ts}
        path = "/portfolio/orders"
        found = await whole_list(
            self._rest, path, payloads.OrdersPage, lambda page: page.orders, params
        )
        return [translated(bodies.order_of, body, path) for body in found]

    async def get_order(self, order_id: str) -> OwnOrder:
        """Give one of one's own orders; raises `NotFound` where there is none."""
        path = f"/portfolio/orders/{quoted(order_id)}"
        answer = await self._rest.get(path, payloads.OrderAnswer, cost=CHEAP_COST)
        return translated(bodies.order_of, answer.order, path)

    # --- the portfolio ---

    async def get_fills(
        self,
        *,
        ticker: str | None = None,
        order_id: str | None = None,
        min_ts: int | None = None,
        max_ts: int | None = None,
    ) -> list[Fill]:
        """List one's own fills, all pages, newest first; bounds are Unix seconds."""
        params: Params = {
            "ticker": ticker,
            "order_id": order_id,
            "min_ts": min_ts,
            "max_ts": max_ts,
        }
        path = "/portfolio/fills"
        found = await whole_list(
            self._rest, path, payloads.FillsPage, lambda page: page.fills, params
        )
        return [translated(bodies.fill_of, body, path) for body in found]

    async def get_positions(self, *, ticker: str | None = None) -> list[PositionRecord]:
        """List one's own positions by market, all pages; closed ones may be among them."""
        path = "/portfolio/positions"
        found = await whole_list(
            self._rest,
            path,
            payloads.PositionsPage,
            lambda page: page.market_positions,
            {"ticker": ticker},
        )
        return [translated(bodies.position_of, body, path) for body in found]

    async def get_balance(self) -> Balance:
        """Give the account's available cash."""
        path = "/portfolio/balance"
        body = await self._rest.get(path, payloads.BalanceBody)
        return translated(bodies.balance_of, body, path)

    async def get_settlements(self, *, ticker: str | None = None) -> list[SettlementRecord]:
        """List one's own settled markets, all pages."""
        path = "/portfolio/settlements"
        found = await whole_list(
            self._rest,
            path,
            payloads.SettlementsPage,
            lambda page: page.settlements,
            {"ticker": ticker},
        )
        return [translated(bodies.settlement_of, body, path) for body in found]


def _answered(
    read: Callable[[BodyT], ValueT], raw: bytes, body: type[BodyT], request: str
) -> ValueT:
    try:
        return translated(read, decoded(raw, body, request), request)
    except ProtocolError as unreadable:
        # It was taken, but what became of it cannot be read.
        raise UnknownOutcome(str(unreadable)) from unreadable
