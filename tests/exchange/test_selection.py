"""Which markets are followed: those named, or the busiest that are open."""

import httpx
from structlog.testing import capture_logs

from kalshiflow.exchange.client import KalshiClient
from kalshiflow.exchange.selection import select_markets

LISTED = {"A": ("open", "5.00"), "B": ("open", "70.00"), "C": ("closed", "900.00")}


def exchange(request: httpx.Request) -> httpx.Response:
    path, query = request.url.path.removeprefix("/trade-api/v2"), request.url.params
    if path.startswith("/events/"):
        return httpx.Response(200, json={"event": {"event_ticker": "E", "series_ticker": "S"}})
    if path.startswith("/series/"):
        return httpx.Response(200, json={"series": {"ticker": "S"}})
    named = query.get("tickers", ",".join(LISTED)).split(",")
    markets = [
        {"ticker": ticker, "event_ticker": "E", "volume_24h_fp": volume}
        for ticker, (status, volume) in LISTED.items()
        if ticker in named and query.get("status", status) == status
    ]
    return httpx.Response(200, json={"markets": markets, "cursor": ""})


async def selected(**wish):
    transport = httpx.MockTransport(exchange)
    async with KalshiClient("http://127.0.0.1:9/trade-api/v2", None, transport=transport) as client:
        markets = await select_markets(client, **({"tickers": (), "limit": 10} | wish))
    return [(market.ticker, market.series_ticker) for market in markets]


async def test_discovery_gives_the_busiest_open_markets_with_their_series():
    assert await selected(mode="discovery") == [("B", "S"), ("A", "S")]
    assert await selected(mode="discovery", limit=1) == [("B", "S")]


async def test_named_markets_are_followed_and_an_unknown_name_is_logged():
    with capture_logs() as logs:
        found = await selected(mode="tickers", tickers=("C", "X", "C"))

    assert found == [("C", "S")]
    assert [line["tickers"] for line in logs] == [["X"]]


async def test_names_beyond_the_limit_are_logged():
    with capture_logs() as logs:
        found = await selected(mode="tickers", tickers=("A", "B", "C"), limit=1)

    assert found == [("A", "S")]
    assert [(line["event"], line["tickers"]) for line in logs] == [
        ("markets_beyond_limit", ["B", "C"])
    ]


async def test_no_names_are_no_markets():
    assert await selected(mode="tickers") == []
