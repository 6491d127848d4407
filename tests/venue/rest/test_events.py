"""Events and series."""

from typing import Any

import gallery
import pytest
from gallery import EVENT, LATER_EVENT, SERIES, ticker_of
from order_desk import START, Desk

from kalshiflow.market.listing import Event, FeeTerms, FeeType, Series
from kalshiflow.venue.clock import SECOND
from kalshiflow.venue.rest.events import status_of

UNIX = START // SECOND


@pytest.fixture
def full(desk: Desk) -> Desk:
    """Give a desk with an event whose markets are at every stage, and one without markets."""
    gallery.fill(desk)
    return desk


async def events(desk: Desk, query: str = "") -> list[str]:
    return [event["event_ticker"] for event in (await desk.get(f"/events?{query}"))["events"]]


def list_event(desk: Desk, ticker: str) -> None:
    desk.venue.floor.lifecycle.list_event(Event(ticker, SERIES, ticker), desk.venue.clock.now())


@pytest.mark.parametrize(
    ("stages", "status"),
    [
        ({"finalized"}, "settled"),
        ({"finalized", "disputed"}, "closed"),
        ({"closed", "initialized"}, "unopened"),
        ({"inactive", "initialized", "finalized"}, "open"),
        (set(), "unopened"),
    ],
)
def test_an_event_is_as_far_as_its_slowest_market(
    full: Desk, stages: set[str], status: str
) -> None:
    assert status_of([full.venue.floor.market(ticker_of(stage)) for stage in stages]) == status


async def test_an_event_is_told_with_its_markets(full: Desk) -> None:
    told = await full.get(f"/events/{EVENT}")
    nested = await full.get(f"/events/{EVENT}?with_nested_markets=true")

    tickers = [ticker_of(stage) for stage in gallery.STAGES]
    assert [market["ticker"] for market in told["markets"]] == tickers
    assert "markets" not in told["event"]
    assert nested["event"]["markets"] == nested["markets"] == told["markets"]
    assert (told["event"]["series_ticker"], told["event"]["category"]) == (SERIES, "Tests")
    assert (told["event"]["available_on_brokers"], told["event"]["product_metadata"]) == (False, {})


async def test_events_are_filtered(full: Desk) -> None:
    assert await events(full) == [EVENT, LATER_EVENT]
    assert await events(full, f"series_ticker={SERIES}") == [EVENT, LATER_EVENT]
    assert await events(full, "series_ticker=KXNO") == []
    assert await events(full, f"tickers={LATER_EVENT},KXNO") == [LATER_EVENT]
    assert await events(full, "status=open") == [EVENT]
    assert await events(full, "status=unopened") == [LATER_EVENT]
    assert await events(full, "status=closed") == await events(full, "status=settled") == []
    assert await events(full, f"min_close_ts={UNIX}") == [EVENT]
    assert await events(full, f"min_close_ts={UNIX + 40 * 86_400}") == []
    assert await events(full, f"min_updated_ts={UNIX + 1}") == []


@pytest.mark.parametrize(
    "query",
    ["limit=201", "limit=-1", "status=paused", "with_nested_markets=perhaps", "min_close_ts=x"],
)
async def test_a_wrong_query_of_events_is_refused(full: Desk, query: str) -> None:
    answer = await full.ask("GET", f"/events?{query}", headers={})

    assert (answer.status, list(answer.json)) == (400, ["msg"])


async def test_events_come_in_pages_that_nothing_moves(full: Desk) -> None:
    first = await full.get("/events?limit=1")
    list_event(full, "KXG-28")
    second = await full.get(f"/events?limit=1&cursor={first['cursor']}")
    third = await full.get(f"/events?limit=1&cursor={second['cursor']}")

    seen = [event["event_ticker"] for page in (first, second, third) for event in page["events"]]
    assert seen == [EVENT, LATER_EVENT, "KXG-28"]
    assert third["cursor"] == ""


async def test_events_nest_their_markets_and_milestones_only_where_asked(full: Desk) -> None:
    plain = await full.get("/events")
    nested = await full.get("/events?with_nested_markets=true&with_milestones=true")

    assert "markets" not in plain["events"][0]
    assert "milestones" not in plain
    assert [len(event["markets"]) for event in nested["events"]] == [7, 0]
    assert nested["milestones"] == []


async def test_an_event_has_pictures_of_its_markets(full: Desk) -> None:
    told = await full.get(f"/events/{EVENT}/metadata")

    assert [one["market_ticker"] for one in told["market_details"]] == [
        ticker_of(stage) for stage in gallery.STAGES
    ]


async def test_there_are_no_combos_and_no_fee_changes(full: Desk) -> None:
    assert await full.get("/events/multivariate") == {"events": [], "cursor": ""}
    assert await full.get("/events/fee_changes") == {"event_fee_changes": [], "cursor": ""}
    assert await full.get("/series/fee_changes") == {"series_fee_change_arr": []}


@pytest.mark.parametrize("path", ["/events/KXNO", "/events/KXNO/metadata", "/series/KXNO"])
async def test_what_is_not_listed_is_not_found(full: Desk, path: str) -> None:
    answer = await full.ask("GET", path, headers={})

    assert (answer.status, answer.code) == (404, "not_found")


async def test_series_are_told_with_exact_fees(full: Desk) -> None:
    from fractions import Fraction

    terms = FeeTerms(FeeType.QUADRATIC_WITH_MAKER_FEES, Fraction(1, 2))
    now = full.venue.clock.now()
    other = Series("KXF", "Half fees", "Fees", terms)
    full.venue.floor.lifecycle.list_event(Event("KXF-26", "KXF", "Half"), now, other)

    told = (await full.get("/series/KXF"))["series"]
    listed = (await full.get("/series?category=Fees"))["series"]

    assert (told["fee_type"], told["fee_multiplier"]) == ("quadratic_with_maker_fees", 0.5)
    assert (told["tags"], told["settlement_sources"], told["additional_prohibitions"]) == (
        [],
        [],
        [],
    )
    assert [one["ticker"] for one in listed] == ["KXF"]
    assert "volume_fp" not in told


async def test_series_are_filtered_and_tell_their_volume(full: Desk) -> None:
    active = ticker_of("active")
    await full.placed("ask", "0.5200", "4.00", ticker=active)
    full.takes("bid", "0.5200", "2.50", ticker=active)

    async def listed(query: str) -> list[dict[str, Any]]:
        return (await full.get(f"/series?{query}"))["series"]

    [told] = await listed("include_volume=true")
    assert (told["ticker"], told["volume_fp"]) == (SERIES, "2.50")
    assert (await full.get(f"/series/{SERIES}?include_volume=true"))["series"][
        "volume_fp"
    ] == "2.50"
    assert await listed("category=Weather") == await listed("tags=rain") == []
    assert await listed(f"min_updated_ts={UNIX}") == []
    [plain] = await listed("include_product_metadata=true")
    assert (plain["product_metadata"], "volume_fp" in plain) == ({}, False)
