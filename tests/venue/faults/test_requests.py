"""Faults of REST, met by our own client over a real socket: it waits, looks again, and knows."""

import asyncio
import time
from typing import Any

import httpx
import pytest

from kalshiflow.exchange.client import KalshiClient
from kalshiflow.exchange.credentials import Credentials
from kalshiflow.exchange.errors import (
    DuplicateClientOrderId,
    ExchangeUnavailable,
    RateLimited,
    Unauthorised,
    UnknownOutcome,
)
from kalshiflow.exchange.rest import Limits, Retries
from kalshiflow.market.events import Side
from kalshiflow.market.units import Price, Quantity

pytestmark = pytest.mark.integration

TICKER = "SYN-7-01"
ORDERS = "/portfolio/events/orders"
UNLIMITED = Limits(1e9, 1e9, 1e9, 1e9)


def client_for(serving: Any, *, timeout: float = 10, attempts: int = 8) -> KalshiClient:
    """Give our own client, which waits little."""
    signer = Credentials.from_pem(serving.key_id, serving.private_key_path.read_text())
    retries = Retries(attempts=attempts, initial=0.05, cap=0.3)
    return KalshiClient(serving.rest, signer, limits=UNLIMITED, retries=retries, timeout=timeout)


async def bid(client: KalshiClient, client_order_id: str) -> Any:
    return await client.create_order(
        TICKER, Side.BID, Price(100), Quantity(100), client_order_id=client_order_id
    )


async def found(client: KalshiClient, client_order_id: str) -> list[str]:
    return [
        order.order_id
        for order in await client.get_orders()
        if order.client_order_id == client_order_id
    ]


async def test_a_storm_of_429_is_waited_out_by_reads_and_told_of_orders(faulty: Any) -> None:
    async with faulty("429 for=600ms", hold=True) as serving:
        begun = time.monotonic()
        async with client_for(serving) as client:
            with pytest.raises(RateLimited):
                await bid(client, "too-soon")
            await client.get_balance()
            waited = time.monotonic() - begun
            await bid(client, "too-soon")  # it was refused, so its id is not used up

    assert waited > 0.3


async def test_an_order_that_landed_unanswered_is_found_by_its_client_order_id(
    faulty: Any,
) -> None:
    async with (
        faulty("timeout lands=yes count=1", hold=True) as serving,
        client_for(serving, timeout=0.3) as client,
    ):
        with pytest.raises(UnknownOutcome):
            await bid(client, "mine")
        (landed,) = await found(client, "mine")
        with pytest.raises(DuplicateClientOrderId):
            await bid(client, "mine")
        assert (await client.get_order(landed)).client_order_id == "mine"


async def test_an_order_that_did_not_land_is_not_there(faulty: Any) -> None:
    async with (
        faulty("timeout lands=no count=1", hold=True) as serving,
        client_for(serving, timeout=0.3) as client,
    ):
        with pytest.raises(UnknownOutcome):
            await bid(client, "mine")
        assert await found(client, "mine") == []
        await bid(client, "mine")
        assert len(await found(client, "mine")) == 1


async def test_who_waits_long_enough_is_told_504(faulty: Any, client_of: Any) -> None:
    async with faulty("timeout lands=yes ms=50 count=1", hold=True) as serving:
        client = client_of(serving)
        answer = await client.create(ticker=TICKER, side="bid", count="1.00", price="0.0100")
        orders = (await client.rest("GET", "/portfolio/orders")).json()["orders"]

    assert answer.status_code == 504
    assert len(orders) == 1


@pytest.mark.parametrize("lands", ["yes", "no"])
async def test_a_5xx_leaves_the_outcome_of_an_order_unknown(faulty: Any, lands: str) -> None:
    fault = f"5xx status=502 method=POST lands={lands} count=1"
    async with faulty(fault, hold=True) as serving, client_for(serving) as client:
        with pytest.raises(UnknownOutcome, match="502"):
            await bid(client, "mine")
        assert len(await found(client, "mine")) == (lands == "yes")


async def test_an_outage_has_html_or_nothing_and_reads_are_tried_again(
    faulty: Any, client_of: Any
) -> None:
    async with faulty(
        "5xx status=503 body=html path=/markets count=1",
        "5xx status=500 body=empty path=/events count=2",
        hold=True,
    ) as serving:
        plain = client_of(serving)
        html = await plain.rest("GET", "/markets")
        empty = await plain.rest("GET", "/events")
        async with client_for(serving, attempts=2) as client:
            assert len(await client.get_markets()) == 2
            assert (await client.get_event("SYN-7-E01")).ticker == "SYN-7-E01"

    assert html.status_code == 503
    assert html.headers["content-type"].startswith("text/html")
    assert html.text.startswith("<html>")
    assert (empty.status_code, empty.content) == (500, b"")


async def test_a_share_of_requests_fails(faulty: Any) -> None:
    async with faulty("5xx rate=0.5", hold=True) as serving, httpx.AsyncClient() as http:
        address = f"{serving.rest}/exchange/status"
        seen = {(await http.get(address)).status_code for _ in range(10)}

    assert seen == {200, 503}


async def test_a_fault_keeps_to_its_path_its_method_and_its_account(
    faulty: Any, client_of: Any
) -> None:
    async with faulty(
        "429 path=/portfolio/events method=DELETE", "429 account=trader-2", hold=True
    ) as serving:
        client = client_of(serving)
        order = {"ticker": TICKER, "side": "bid", "count": "1.00", "price": "0.0100"}
        created = await client.create(**order)
        cancelled = await client.rest("DELETE", f"{ORDERS}/{created.json()['order_id']}")
        status = await client.admin("GET", "/venue/status")

    assert created.status_code == 201
    assert (cancelled.status_code, cancelled.json()) == (429, {"error": "too many requests"})
    assert status["state"] == "holding"


async def test_a_slow_answer_is_late_and_whole(faulty: Any, client_of: Any) -> None:
    async with faulty("slow ms=200 path=/markets count=1", hold=True) as serving:
        client = client_of(serving)
        begun = time.monotonic()
        slow, quick = await asyncio.gather(
            client.rest("GET", "/markets"), client.rest("GET", "/exchange/status")
        )
        took = time.monotonic() - begun

    assert (slow.status_code, quick.status_code) == (200, 200)
    assert took >= 0.2


async def test_a_clock_that_is_off_lets_no_signature_through(faulty: Any) -> None:
    async with (
        faulty("clock-skew ms=-60000 for=500ms", hold=True) as serving,
        client_for(serving) as client,
    ):
        with pytest.raises(Unauthorised, match="header_timestamp_expired"):
            await client.get_balance()
        assert await client.get_markets()  # needs no signature
        serving.faults.end_all()
        await client.get_balance()


async def test_the_exchange_may_be_out_for_longer_than_a_client_tries(faulty: Any) -> None:
    async with faulty("5xx", hold=True) as serving, client_for(serving, attempts=2) as client:
        with pytest.raises(ExchangeUnavailable, match="503"):
            await client.get_balance()
