"""The exchange itself, what is historical, and whatever else anybody may ask."""

import random

import gallery
import pytest
from gallery import EVENT, SERIES, ticker_of
from order_desk import FIRST, START, Desk

from kalshiflow.venue.clock import SECOND

UNIX = START // SECOND


@pytest.fixture
def full(desk: Desk) -> Desk:
    """Give a desk with one market of each stage of life beside its own three."""
    gallery.fill(desk)
    return desk


async def test_the_exchange_tells_whether_it_trades_and_when_it_will(desk: Desk) -> None:
    state = desk.venue.floor.exchange
    assert await desk.get("/exchange/status") == {"exchange_active": True, "trading_active": True}

    state.is_trading, state.resumes_at = False, START + 7_200 * SECOND
    assert await desk.get("/exchange/status") == {
        "exchange_active": True,
        "trading_active": False,
        "exchange_estimated_resume_time": "2026-11-20T11:00:00Z",
    }

    state.is_trading, state.is_active = True, False
    told = await desk.get("/exchange/status")
    assert (told["exchange_active"], told["trading_active"]) == (False, False)


async def test_the_schedule_is_always_open(desk: Desk) -> None:
    schedule = (await desk.get("/exchange/schedule"))["schedule"]

    [week] = schedule["standard_hours"]
    days = {day: hours for day, hours in week.items() if day.endswith("day")}
    assert len(days) == 7
    assert all(hours == [{"open_time": "00:00", "close_time": "00:00"}] for hours in days.values())
    assert schedule["maintenance_windows"] == []


async def test_there_is_nothing_to_announce_and_reads_are_never_late(desk: Desk) -> None:
    desk.wait(1.5)

    assert await desk.get("/exchange/announcements") == {"announcements": []}
    assert await desk.get("/exchange/user_data_timestamp") == {
        "as_of_time": "2026-11-20T09:00:01.5Z"
    }


async def test_nothing_is_older_than_the_venue(full: Desk) -> None:
    cutoff = await full.get("/historical/cutoff")

    assert set(cutoff.values()) == {"2026-11-20T09:00:00Z"}
    assert await full.get("/historical/markets") == {"markets": [], "cursor": ""}
    assert await full.get("/historical/trades?limit=5") == {"trades": [], "cursor": ""}
    finalized = f"/historical/markets/{ticker_of('finalized')}"
    query = "?start_ts=1&end_ts=2&period_interval=60"
    for path, status in (
        (finalized, 404),
        (f"{finalized}/candlesticks{query}", 404),
        (f"{finalized}/candlesticks", 400),
        ("/historical/markets?limit=1001", 400),
        ("/historical/trades?min_ts=x", 400),
    ):
        assert (await full.ask("GET", path, headers={})).status == status, path


@pytest.mark.parametrize("path", ["/nothing/here", "/markets/a/b/c", "/markets/", "/", "/exchange"])
async def test_a_path_that_is_none_is_a_404_in_json(desk: Desk, path: str) -> None:
    answer = await desk.ask("GET", path, headers={})

    assert (answer.status, answer.code) == (404, "not_found")


@pytest.mark.parametrize("path", ["/markets", f"/markets/{FIRST}", "/exchange/status", "/series"])
async def test_a_method_that_a_path_does_not_take_is_a_405_in_json(desk: Desk, path: str) -> None:
    answer = await desk.ask("DELETE", path, headers={})

    assert (answer.status, answer.code) == (405, "method_not_allowed")


# --- whatever anybody asks -----------------------------------------------------------------------

PATHS = (
    "/exchange/status",
    "/exchange/schedule",
    "/markets",
    "/markets/orderbooks",
    "/markets/trades",
    "/markets/candlesticks",
    "/markets/{}",
    "/markets/{}/orderbook",
    "/series",
    "/series/fee_changes",
    "/series/{}",
    "/series/{}/markets/{}/candlesticks",
    "/series/{}/events/{}/candlesticks",
    "/events",
    "/events/fee_changes",
    "/events/multivariate",
    "/events/{}",
    "/events/{}/metadata",
    "/historical/cutoff",
    "/historical/markets",
    "/historical/trades",
    "/historical/markets/{}",
    "/historical/markets/{}/candlesticks",
    "/{}",
)
PARAMETERS = (
    *("limit", "cursor", "status", "tickers", "ticker", "event_ticker", "series_ticker", "depth"),
    *(f"{end}_{kind}_ts" for end in ("min", "max") for kind in ("created", "close", "settled")),
    *("min_updated_ts", "min_ts", "max_ts", "start_ts", "end_ts", "period_interval", "mve_filter"),
    *("is_block_trade", "with_nested_markets", "with_milestones", "include_volume", "category"),
    *("tags", "market_tickers", "include_latest_before_start", "show_historical", "nonsense"),
)
WORDS = (
    *("", "0", "1", "5", "60", "-1", "1440", "1000", "1001", "9" * 15, "9" * 400, "1e5", "0x1"),
    *("true", "false", "open", "settled", "unopened", "exclude", "only", "KXNO", SERIES, EVENT),
    *(FIRST, f"{FIRST},{ticker_of('active')}", ticker_of("finalized"), str(UNIX), str(UNIX + 600)),
    *("%00", "%FF%FE", "%C3%A4", "%F0%9F%A4%B7", "a%2Fb", "%2e%2e", "1;DROP", "NaN", "+1", "%20"),
    *("KXG-26/active", "MTIzL0tYQQ", "LTEvWA", "٣", "a" * 2_000, "%", "%zz", "null", "[]"),
)


async def test_nobody_can_ask_what_breaks_the_venue(full: Desk) -> None:
    """A walk over paths and parameters: refused or answered, never a 500, and always in JSON."""
    rng = random.Random(20_261_120)
    await full.placed("ask", "0.5200", "9.00")
    full.takes("bid", "0.5200", "2.50")
    statuses: dict[int, int] = {}
    for _ in range(800):
        path = rng.choice(PATHS)
        while "{}" in path:
            path = path.replace("{}", rng.choice(WORDS) or "x", 1)
        names = rng.choices(PARAMETERS, k=rng.randint(0, 4))
        query = "&".join(f"{name}={rng.choice(WORDS)}" for name in names)
        method = rng.choices(("GET", "POST", "DELETE"), (18, 1, 1))[0]
        answer = await full.ask(method, f"{path}?{query}", headers={})
        statuses[answer.status] = statuses.get(answer.status, 0) + 1
        assert answer.status in {200, 400, 404, 405}, (path, query)
        assert isinstance(answer.json, dict)
    assert set(statuses) == {200, 400, 404, 405}
    assert min(statuses.values()) > 20
