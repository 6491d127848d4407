"""Steering a venue over HTTP: markets' lives and pauses, told to subscribers, refused in words."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from kalshiflow.exchange.environments import REST_PATH
from kalshiflow.exchange.times import iso_time
from kalshiflow.venue.app import build_venue
from kalshiflow.venue.auth import Gate
from kalshiflow.venue.clock import SECOND
from kalshiflow.venue.config import VenueConfig
from kalshiflow.venue.keys import client_key
from kalshiflow.venue.rest.app import rest_app
from kalshiflow.venue.rest.steering import BadSteering, Determine, read

pytestmark = pytest.mark.integration

START = 1_795_165_200 * SECOND
TICKER = "SYN-7-01"
BID_AT_ONE_CENT = {"ticker": TICKER, "side": "bid", "count": "1.00", "price": "0.0100"}


class Steered:
    """A client of a venue whose time stands still, and its admin endpoints."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.base = client.serving.rest.removesuffix(REST_PATH)

    async def steer(self, path: str, body: Any = None) -> httpx.Response:
        async with httpx.AsyncClient() as http:
            return await http.post(f"{self.base}/venue{path}", json=body)

    async def done(self, path: str, body: Any = None) -> dict[str, Any]:
        answer = await self.steer(path, body)
        assert answer.status_code in {200, 201}, answer.text
        told: dict[str, Any] = answer.json()
        return told

    async def refused(self, path: str, body: Any = None) -> tuple[int, str]:
        answer = await self.steer(path, body)
        return answer.status_code, answer.json()["error"]["message"]

    async def rest(self, order: dict[str, Any] = BID_AT_ONE_CENT) -> str:
        created = await self.client.create(**order)
        assert created.status_code == 201, created.text
        order_id: str = created.json()["order_id"]
        return order_id

    async def cancel(self, order_id: str) -> httpx.Response:
        answer: httpx.Response = await self.client.rest(
            "DELETE", f"/portfolio/events/orders/{order_id}"
        )
        return answer


@pytest.fixture
async def venue(key_dir: Path, client_of: Any, serve_venue: Any) -> AsyncIterator[Steered]:
    config = VenueConfig(markets=2, hold=True, start=START, key_dir=key_dir)
    async with serve_venue(config) as serving:
        yield Steered(client_of(serving))


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def test_a_market_is_paused_and_resumed_and_subscribers_hear_of_it(venue: Steered) -> None:
    order_id = await venue.rest()
    async with venue.client.wire() as wire:
        await wire.ask("subscribe", channels=["market_lifecycle_v2"])

        paused = await venue.done(f"/markets/{TICKER}/pause")
        refused = await venue.client.create(**BID_AT_ONE_CENT)
        resumed = await venue.done(f"/markets/{TICKER}/resume", {})

        told = [frame["msg"] for frame in await wire.read_many(2)]
    assert (paused["status"], paused["resting_orders"] > 1) == ("inactive", True)
    assert code_of(refused) == (400, "MARKET_INACTIVE")
    assert (resumed["status"], resumed["resting_orders"]) == ("active", 0)
    assert told == [
        {"event_type": "deactivated", "market_ticker": TICKER, "is_deactivated": True},
        {"event_type": "activated", "market_ticker": TICKER, "is_deactivated": False},
    ]
    order = (await venue.client.rest("GET", f"/portfolio/orders/{order_id}")).json()["order"]
    assert order["status"] == "canceled"


async def test_a_market_is_closed_determined_and_paid(venue: Steered) -> None:
    floor = venue.client.serving.venue.floor
    ask = floor.market(TICKER).matching.book.best_ask
    await venue.rest(BID_AT_ONE_CENT | {"price": f"{ask / 10_000:.4f}"})

    closed = await venue.done(f"/markets/{TICKER}/close")
    determined = await venue.done(
        f"/markets/{TICKER}/determine", {"result": "scalar", "value": "0.2500"}
    )
    settled = await venue.done(f"/markets/{TICKER}/settle")

    assert [told["status"] for told in (closed, determined, settled)] == [
        "closed",
        "determined",
        "finalized",
    ]
    assert closed["close_time"] == iso_time(START)
    assert (settled["result"], settled["settlement_value"]) == ("scalar", "0.2500")
    rows = (await venue.client.rest("GET", "/portfolio/settlements")).json()["settlements"]
    assert [(row["ticker"], row["market_result"], row["revenue"]) for row in rows] == [
        (TICKER, "scalar", 25)
    ]
    market = (await venue.client.rest("GET", f"/markets/{TICKER}")).json()["market"]
    assert (market["status"], market["result"]) == ("finalized", "scalar")


async def test_a_close_is_moved_and_a_closed_market_opens_again(venue: Steered) -> None:
    later = iso_time(START + 60 * SECOND)

    moved = await venue.done(f"/markets/{TICKER}/close", {"close_time": later})
    closed = await venue.done(f"/markets/{TICKER}/close")
    opened = await venue.done(f"/markets/{TICKER}/close", {"close_time": later})

    assert (moved["status"], moved["close_time"]) == ("active", later)
    assert closed["status"] == "closed"
    assert (opened["status"], opened["close_time"]) == ("active", later)


async def test_a_grid_is_changed_by_name_or_by_its_ranges(venue: Steered) -> None:
    ranges = [{"start": "0.0000", "end": "1.0000", "step": "0.0050"}]

    await venue.done(f"/markets/{TICKER}/grid", {"price_level_structure": "deci_cent"})
    await venue.rest(BID_AT_ONE_CENT | {"price": "0.0110"})
    await venue.done(f"/markets/{TICKER}/grid", {"price_ranges": ranges})

    refused = await venue.client.create(**(BID_AT_ONE_CENT | {"price": "0.0110"}))
    assert code_of(refused) == (400, "invalid_price")
    market = (await venue.client.rest("GET", f"/markets/{TICKER}")).json()["market"]
    assert market["price_ranges"] == ranges


async def test_a_market_is_listed_with_its_event_and_can_be_traded(venue: Steered) -> None:
    new = {
        "ticker": "KXNEW-1-A",
        "event_ticker": "KXNEW-1",
        "title": "Will it be new?",
        "close_time": iso_time(START + 3_600 * SECOND),
        "details": {"strike_type": "greater", "floor_strike": 5, "settlement_timer_seconds": 30},
    }
    async with venue.client.wire() as wire:
        await wire.ask("subscribe", channels=["market_lifecycle_v2"])

        listed = await venue.done("/markets", new)

        told = [(f["type"], f["seq"], f["msg"]) for f in await wire.read_many(2)]
    assert (listed["status"], listed["settlement_timer_seconds"]) == ("active", 30)
    assert [(kind, seq) for kind, seq, _ in told] == [
        ("event_lifecycle", 1),
        ("market_lifecycle_v2", 2),
    ]
    assert told[1][2]["additional_metadata"]["floor_strike"] == 5
    await venue.rest(BID_AT_ONE_CENT | {"ticker": "KXNEW-1-A"})
    market = (await venue.client.rest("GET", "/markets/KXNEW-1-A")).json()["market"]
    assert (market["status"], market["yes_bid_dollars"]) == ("active", "0.0100")
    events = (await venue.client.rest("GET", "/events/KXNEW-1")).json()
    assert events["event"]["series_ticker"] == "KXNEW"
    series = (await venue.client.rest("GET", "/series/KXNEW")).json()
    assert series["series"]["ticker"] == "KXNEW"
    again = await venue.refused("/markets", new)
    assert again == (409, "KXNEW-1-A is listed already")


async def test_details_that_changed_are_told(venue: Steered) -> None:
    async with venue.client.wire() as wire:
        await wire.ask("subscribe", channels=["market_lifecycle_v2"])

        await venue.done(f"/markets/{TICKER}/details", {"floor_strike": 7.5, "rules_primary": "r"})

        frame = await wire.read()
    assert frame["msg"] == {
        "event_type": "metadata_updated",
        "market_ticker": TICKER,
        "floor_strike": 7.5,
    }


async def test_a_trading_pause_refuses_orders_and_lets_cancels_through(venue: Steered) -> None:
    order_id = await venue.rest()

    paused = await venue.done("/exchange/pause-trading", {"resumes_at": iso_time(START + SECOND)})

    assert paused == {
        "exchange_active": True,
        "trading_active": False,
        "resumes_at": iso_time(START + SECOND),
    }
    assert code_of(await venue.client.create(**BID_AT_ONE_CENT)) == (409, "trading_is_paused")
    assert (await venue.cancel(order_id)).status_code == 200
    resumed = await venue.done("/exchange/resume-trading")
    assert resumed == {"exchange_active": True, "trading_active": True, "resumes_at": None}
    await venue.rest()


async def test_an_exchange_pause_refuses_new_orders(venue: Steered) -> None:
    paused = await venue.done("/exchange/pause")

    assert (paused["exchange_active"], paused["trading_active"]) == (False, False)
    assert code_of(await venue.client.create(**BID_AT_ONE_CENT)) == (409, "exchange_is_paused")
    resumed = await venue.done("/exchange/resume")
    assert (resumed["exchange_active"], resumed["trading_active"]) == (True, True)


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        ("/markets/KXNO/pause", None, 404, "not found"),
        (f"/markets/{TICKER}/explode", None, 404, "'explode' is none of open, pause, resume"),
        ("/exchange/explode", None, 404, "'explode' is none of pause-trading"),
        (f"/markets/{TICKER}/resume", None, 409, f"{TICKER} is active and cannot be resumed"),
        (f"/markets/{TICKER}/settle", None, 409, f"{TICKER} is active and cannot be settled"),
        (f"/markets/{TICKER}/determine", None, 400, "missing required field `result`"),
        (f"/markets/{TICKER}/determine", {"result": "maybe"}, 400, "yes, no, scalar or void"),
        (f"/markets/{TICKER}/determine", {"result": "void"}, 400, "has no settlement value"),
        (
            f"/markets/{TICKER}/determine",
            {"result": "scalar", "value": "2"},
            400,
            "value: price '2' is outside 0 to 1 dollar",
        ),
        (f"/markets/{TICKER}/pause", {"why": 1}, 400, "unknown field `why`"),
        (f"/markets/{TICKER}/close", {"close_time": "soon"}, 400, "close_time: "),
        (f"/markets/{TICKER}/grid", {}, 400, "must say what the grid will be"),
        (f"/markets/{TICKER}/grid", {"price_level_structure": "x"}, 400, "'x' is none of linear"),
        (
            f"/markets/{TICKER}/grid",
            {"price_ranges": [{"start": "0.0000", "end": "0.5000", "step": "0.0100"}]},
            400,
            "price_ranges: the bands end at 0.5000, not at 1 dollar",
        ),
        ("/markets", {"ticker": "lower"}, 400, "the body cannot be read"),
        ("/exchange/pause", {"resumes_at": "2000-01-01T00:00:00Z"}, 409, "end before it begins"),
        ("/exchange/resume", None, 409, "the exchange is not paused"),
        ("/exchange/resume-trading", None, 409, "trading is not paused"),
    ],
)
async def test_what_cannot_be_done_is_refused_in_a_sentence(
    venue: Steered, path: str, body: Any, status: int, words: str
) -> None:
    answered, message = await venue.refused(path, body)

    assert answered == status
    assert words in message


def test_a_body_that_is_no_text_is_refused() -> None:
    with pytest.raises(BadSteering, match="cannot be read"):
        read(b'{"result": "\xff"}', Determine)


async def test_nobody_steers_from_another_machine(key_dir: Path) -> None:
    venue = build_venue(VenueConfig(markets=1, hold=True), client_key(key_dir))
    app = rest_app(
        venue,
        Gate(venue.floor.accounts, lambda: 0),
        hosts=["venue"],
        frames_sent=lambda: 0,
        flush=lambda: None,
    )
    transport = httpx.ASGITransport(app, client=("192.0.2.7", 50_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://venue") as http:
        for path in (f"/markets/{TICKER}/pause", "/exchange/pause", "/markets"):
            answer = await http.post(f"/venue{path}", content=json.dumps({}))
            assert answer.status_code == 404

    assert venue.floor.market(TICKER).is_open
    assert venue.floor.exchange.is_active
