"""The venue's REST over a real socket, beside what Kalshi's own exchange answered."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from kalshiflow.exchange.client import KalshiClient
from kalshiflow.exchange.credentials import Credentials
from kalshiflow.exchange.environments import REST_PATH
from kalshiflow.exchange.errors import InsufficientBalance, NotFound
from kalshiflow.market.events import Side
from kalshiflow.market.units import Cash, Price, Quantity
from kalshiflow.venue.app import build_venue, serve
from kalshiflow.venue.auth import Gate
from kalshiflow.venue.clock import SECOND
from kalshiflow.venue.config import VenueConfig
from kalshiflow.venue.floor.requests import NewOrder
from kalshiflow.venue.keys import client_key
from kalshiflow.venue.rest.app import rest_app
from kalshiflow.venue.rest.bounded import LARGEST_BODY

pytestmark = pytest.mark.integration

TICKER = "SYN-7-01"
UNKNOWN = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
async def client(serve_venue: Any, key_dir: Path, client_of: Any) -> AsyncIterator[Any]:
    """Give a client of a venue of nine markets whose time stands still."""
    config = VenueConfig(markets=9, hold=True, key_dir=key_dir, cash=Cash(98_018_600))
    async with serve_venue(config) as serving:
        yield client_of(serving)


def recorded(folder: Path, name: str) -> tuple[int, Any]:
    """Give the recorded status and body, less `service`, which was dropped in August 2026."""
    base = folder / "kalshi-demo-rest-2026-06" / name
    body = json.loads(base.with_name(f"{name}.json").read_text())
    status = json.loads(base.with_name(f"{name}.meta.json").read_text())["status"]
    if isinstance(body.get("error"), dict):
        body["error"].pop("service", None)
    return status, body


def lacks(told: Any, wanted: Any, where: str = "$") -> list[str]:
    """List where a body lacks a key, or has another type, than a recorded one."""
    if isinstance(wanted, dict):
        if not isinstance(told, dict):
            return [where]
        missing = [f"{where}.{key}" for key in wanted if key not in told]
        inner = [lacks(told[k], v, f"{where}.{k}") for k, v in wanted.items() if k in told]
        return missing + [problem for problems in inner for problem in problems]
    if isinstance(wanted, list) and wanted:
        return lacks(told[0], wanted[0], f"{where}[0]") if told else [where]
    return [] if type(told) is type(wanted) else [where]


async def touch(client: Any) -> tuple[float, float]:
    market = (await client.rest("GET", f"/markets/{TICKER}")).json()["market"]
    return float(market["yes_bid_dollars"]), float(market["yes_ask_dollars"])


def bid(price: str, count: str = "1.00", **options: Any) -> dict[str, Any]:
    return {"ticker": TICKER, "side": "bid", "count": count, "price": price, **options}


@pytest.mark.recorded
async def test_reads_have_the_recorded_shapes(client: Any, recorded_data: Path) -> None:
    await client.create(**bid("0.9900", "3.00", time_in_force="immediate_or_cancel"))
    await client.create(**bid("0.0100"))
    for path, name in (
        ("/exchange/status", "exchange__status"),
        ("/portfolio/balance", "auth__balance_ok"),
        ("/portfolio/fills", "fills__after_taker"),
        ("/portfolio/positions", "portfolio__positions"),
        ("/portfolio/settlements?limit=10", "settlements__page"),
        ("/portfolio/orders", "portfolio__orders_list"),
        ("/markets?limit=1001", "markets__limit_over_max"),
        (f"/markets/{TICKER}/orderbook", "orderbook__base"),
        ("/markets/trades", "trades__public_recorded"),
    ):
        status, body = recorded(recorded_data, name)
        answer = await client.rest("GET", path, headers=_headers(client, path))
        assert answer.status_code == status, name
        assert lacks(answer.json(), body) == [], name


def _headers(client: Any, path: str, skew_ms: int = 0) -> dict[str, str]:
    now = time.time_ns() // 1_000_000 + skew_ms
    return client.credentials.headers("GET", REST_PATH + path, now)


async def test_a_signature_of_another_path_is_refused(client: Any) -> None:
    answer = await client.rest(
        "GET", "/portfolio/fills", headers=_headers(client, "/portfolio/balance")
    )

    assert answer.json()["error"]["details"] == "INCORRECT_API_KEY_SIGNATURE"


async def test_our_own_client_reads_trades_and_is_refused(client: Any) -> None:
    async with KalshiClient(client.serving.rest, client.credentials) as kalshi:
        markets = await kalshi.get_markets(status="open")
        with_terms = await kalshi.add_fee_terms(markets)
        before = await kalshi.get_balance()
        bids, asks = await kalshi.get_orderbook(TICKER)
        ack = await kalshi.create_order(TICKER, Side.BID, asks[0][0], Quantity(200), "own-1")
        resting = await kalshi.create_order(TICKER, Side.BID, bids[-1][0], Quantity(100), "own-2")
        after = await kalshi.get_balance()
        (position,) = await kalshi.get_positions()
        fills = await kalshi.get_fills()
        orders = await kalshi.get_orders(ticker=TICKER)
        with pytest.raises(InsufficientBalance):
            await kalshi.create_order(TICKER, Side.BID, bids[0][0], Quantity(10**7), "own-3")
        assert (await kalshi.cancel_order(resting.order_id)).reduced_by == 100
        with pytest.raises(NotFound):
            await kalshi.cancel_order(resting.order_id)

    assert len(markets) == 9
    assert {len(market.grid) for market in markets} == {99, 279, 999}
    assert all(market.series_ticker == "SYN-7" for market in with_terms)
    assert (ack.filled, ack.remaining, ack.average_price) == (200, 0, asks[0][0])
    assert position.quantity == 200
    fees = sum(fill.fee for fill in fills)
    reserved = bids[-1][0] * 100
    assert before.available - after.available >= position.exposure + fees + reserved
    assert [order.client_order_id for order in orders] == ["own-2", "own-1"]


async def test_lists_come_in_pages_and_a_foreign_cursor_begins_anew(client: Any) -> None:
    async def page(query: str) -> dict[str, Any]:
        answer = await client.rest("GET", f"/markets?{query}", headers={})
        assert answer.status_code == 200
        return answer.json()

    first = await page("limit=4")
    second = await page(f"limit=4&cursor={first['cursor']}")
    third = await page(f"limit=4&cursor={second['cursor']}")
    garbage = await page("limit=4&cursor=%C3%A4rbage")

    tickers = [m["ticker"] for p in (first, second, third) for m in p["markets"]]
    assert tickers == [f"SYN-7-{number:02d}" for number in range(9, 0, -1)]
    assert third["cursor"] == ""
    assert garbage == first


async def test_markets_are_filtered(client: Any) -> None:
    async def count(query: str) -> int:
        return len((await client.rest("GET", f"/markets?{query}", headers={})).json()["markets"])

    assert await count("event_ticker=SYN-7-E02") == 1
    assert await count("series_ticker=SYN-7") == 9
    assert await count("tickers=SYN-7-02,SYN-7-05,KXNO") == 2
    assert await count("status=open") == 9
    assert await count("status=settled") == 0
    wrong = await client.rest("GET", "/markets?status=odd", headers={})
    assert (wrong.status_code, list(wrong.json())) == (400, ["msg"])


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/markets/KXNO", 404),
        ("/markets/KXNO/orderbook", 404),
        ("/series/KXNO", 404),
        ("/events/KXNO", 404),
        ("/nothing/here", 404),
        ("/markets?limit=-1", 400),
        ("/markets?limit=x", 400),
        ("/markets/trades?min_ts=soon", 400),
        (f"/markets/{TICKER}/orderbook?depth=101", 400),
        (f"/markets/{TICKER}/orderbook?depth=-1", 400),
    ],
)
async def test_what_is_not_there_is_told_in_json(client: Any, path: str, status: int) -> None:
    answer = await client.rest("GET", path, headers={})

    assert answer.status_code == status
    assert answer.json()


async def test_cancelling_all_goes_on_past_an_order_that_expires_meanwhile(key_dir: Path) -> None:
    monotonic, key = [0], client_key(key_dir)
    venue = build_venue(VenueConfig(markets=1), key, lambda: monotonic[0])
    account = venue.floor.accounts.by_key(key.key_id)
    assert account is not None
    cheap = NewOrder(TICKER, Side.BID, Price(100), Quantity(100))
    expiring = replace(cheap, expires_at=venue.clock.now() + SECOND)
    for order in (cheap, expiring, cheap):
        venue.place(account, order)
    monotonic[0] = 2 * SECOND
    gate = Gate(venue.floor.accounts, lambda: time.time_ns() // 1_000_000)
    app = rest_app(venue, gate, hosts=["venue"], frames_sent=lambda: 0, flush=lambda: None)
    signer = Credentials.from_pem(key.key_id, key.private_key_path.read_text())
    path = f"{REST_PATH}/portfolio/events/orders"

    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://venue") as http:
        headers = signer.headers("DELETE", path, time.time_ns() // 1_000_000)
        answer = await http.delete(path, headers=headers)

    assert answer.status_code == 204
    assert account.portfolio.orders == {}


async def test_a_foreign_host_header_is_refused(client_of: Any, key_dir: Path) -> None:
    # Not judged by Kalshi's description: the refusal is the venue's own.
    async with serve(VenueConfig(markets=1, hold=True, key_dir=key_dir)) as serving:
        client = client_of(serving)
        answer = await client.rest("GET", "/exchange/status", headers={"Host": "evil.example"})

    assert answer.status_code == 400


async def test_a_request_longer_than_any_real_one_is_refused_unread(client: Any) -> None:
    answer = await client.rest("POST", "/portfolio/events/orders", "x" * LARGEST_BODY)
    after = await client.rest("GET", "/exchange/status")

    assert (answer.status_code, after.status_code) == (413, 200)


async def test_the_admin_tells_the_ledger_in_its_own_units_and_starts_the_clock(
    client: Any,
) -> None:
    await client.create(**bid("0.0100", "2.00", client_order_id="a"))

    account = await client.admin("GET", f"/venue/account/{client.serving.key_id}")
    held = await client.admin("GET", "/venue/status")
    running = await client.admin("POST", "/venue/start")

    assert account["cash"] == account["deposited"] == 98_018_600
    assert account["available"] == account["cash"] - account["reserved"]
    assert account["orders"][0]["price"] == 100
    assert account["orders"][0]["quantity"] == 200
    assert (held["state"], running["state"]) == ("holding", "running")
    assert held["accounts"] == 1
    assert held["markets"] == 9


async def test_who_is_not_answered_by_the_end_is_hung_up_on(key_dir: Path) -> None:
    faults = ("timeout lands=no path=/portfolio",)
    async with serve(VenueConfig(markets=1, key_dir=key_dir, fault_lines=faults)) as serving:
        address = httpx.URL(serving.rest)
        reader, writer = await asyncio.open_connection(address.host, address.port)
        head = f"POST {REST_PATH}/portfolio/events/orders HTTP/1.1\r\nHost: localhost\r\n"
        writer.write(f"{head}Content-Length: 2\r\n\r\n{{}}".encode())
        await writer.drain()
        async with asyncio.timeout(5):
            while not any(live.strikes for live in serving.faults):
                await asyncio.sleep(0.01)

    with contextlib.suppress(ConnectionError):  # there need be no goodbye
        assert await reader.read() == b""
    writer.close()
