"""What the venue tells everybody, beside what Kalshi's own exchange told."""

from typing import Any

import gallery
import pytest
from order_desk import FIRST, Desk

pytestmark = pytest.mark.recorded

# What was recorded of markets and is not told, each with the reason.
NOT_TOLD = {
    "custom_strike": "of markets on participants; ours are on numbers",
    "primary_participant_key": "of markets on participants; ours are on numbers",
    "occurrence_datetime": "of events in the world; ours happen nowhere",
    "fractional_trading_enabled": "dropped since: every market trades fractions",
    "is_provisional": "of markets that may be removed; ours stay",
    "mve_collection_ticker": "of combos; the venue lists none",
    "mve_selected_legs": "of combos; the venue lists none",
}
DETERMINED = gallery.ticker_of("determined")
# Recording: our path for the same request. A market of the recording is one of ours at the same
# stage: those recorded as closed had been determined.
REQUESTS = {
    "markets__page1": "/markets?limit=5",
    "markets__garbage_cursor": "/markets?limit=5&cursor=garbage-cursor-fixture",
    "markets__limit_over_max": "/markets?limit=1001",
    "markets__unauth_list": "/markets?limit=2",
    "markets__status_open": "/markets?status=open&limit=200",
    "markets__status_closed": f"/markets?status=closed&limit=5&tickers={DETERMINED}",
    "markets__status_settled": "/markets?status=settled&limit=5",
    "markets__single_filter_lastpage": f"/markets?tickers={FIRST}",
    "markets__single": f"/markets/{FIRST}",
    "markets__unauth_single": f"/markets/{FIRST}",
    "markets__high_temp": f"/markets?event_ticker={gallery.EVENT}",
    "orderbook__base": f"/markets/{FIRST}/orderbook",
    "series__fee_changes": "/series/fee_changes",
    "exchange__status": "/exchange/status",
    "trades__public_recorded": f"/markets/trades?ticker={FIRST}&limit=12",
}


@pytest.fixture
async def busy(desk: Desk) -> Desk:
    """Give a desk whose first market has a book and trades, beside one market of each stage."""
    gallery.fill(desk)
    desk.rests("bid", "0.4700", "3.00")
    await desk.placed("ask", "0.5200", "30.00")
    for _ in range(14):
        desk.wait(0.5)
        desk.takes("bid", "0.5200", "0.77")
    return desk


@pytest.mark.parametrize("name", REQUESTS)
async def test_a_recorded_request_gets_the_same_status_and_shape(
    busy: Desk, same_shape: Any, name: str
) -> None:
    _, status, recorded = same_shape.load(name)

    answer = await busy.ask("GET", REQUESTS[name], headers={})

    assert answer.status == status
    assert same_shape(answer.json, recorded, NOT_TOLD) == []


async def test_what_was_told_word_for_word_is_told_so(busy: Desk, same_shape: Any) -> None:
    for name in ("markets__limit_over_max", "series__fee_changes", "exchange__status"):
        _, status, recorded = same_shape.load(name)
        answer = await busy.ask("GET", REQUESTS[name], headers={})
        assert (answer.status, answer.json) == (status, recorded), name


async def test_pages_are_walked_as_they_were_recorded(busy: Desk, same_shape: Any) -> None:
    """Latest made first and then by falling ticker; each cursor leads on."""
    path, cursor, seen = f"/markets?limit=4&event_ticker={gallery.EVENT}", "", []
    for name in ("markets__page1", "markets__page2"):
        _, status, recorded = same_shape.load(name)
        answer = await busy.ask("GET", f"{path}&cursor={cursor}", headers={})
        assert answer.status == status
        assert same_shape(answer.json, recorded, NOT_TOLD) == []
        cursor = answer.json["cursor"]
        for pages in (answer.json, recorded):
            order = [(m["created_time"], m["ticker"]) for m in pages["markets"]]
            assert order == sorted(order, reverse=True)
        seen += [m["ticker"] for m in answer.json["markets"]]
    assert len(seen) == len(set(seen)) == 7
    assert cursor == ""


def test_the_comparer_finds_what_differs(same_shape: Any) -> None:
    recorded = {"a": "0.4700", "b": [["0.10", "x"]], "c": 1, "d": "2026-01-01T00:00:00.5Z", "e": {}}

    assert same_shape({**recorded, "more": 1}, recorded) == []
    assert same_shape({**recorded, "a": "0.47"}, recorded) == [
        "$.a is 2-decimal count, recorded as 4-decimal dollars"
    ]
    assert same_shape({**recorded, "c": None}, recorded) == [
        "$.c is null, recorded as whole number"
    ]
    assert same_shape({**recorded, "d": "2026-01-01T00:00:00+00:00"}, recorded) == [
        "$.d is text, recorded as time with Z"
    ]
    assert same_shape({**recorded, "b": []}, recorded) == ["$.b is empty, recorded with items"]
    assert same_shape({"a": "0.0000"}, {"a": "0.0000", "b": 1}) == ["$.b is missing"]
    assert same_shape({"a": "0.0000"}, {"a": "0.0000", "b": 1}, {"b": "a reason"}) == []
