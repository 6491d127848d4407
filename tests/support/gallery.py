"""A series with a market at every stage of life, for what the public REST tells of it."""

from order_desk import START, Desk

from kalshiflow.market.listing import Event, Market, MarketResult, Series
from kalshiflow.market.units import Price
from kalshiflow.venue.clock import SECOND
from kalshiflow.venue.floor.listed import Details

SERIES, EVENT, LATER_EVENT = "KXG", "KXG-26", "KXG-27"
STAGES = ("initialized", "active", "inactive", "closed", "determined", "disputed", "finalized")
DAY = 86_400 * SECOND


def ticker_of(stage: str) -> str:
    """Give the ticker of the market at a stage."""
    return f"{EVENT}-{stage[:6].upper()}"


def fill(desk: Desk) -> None:
    """List the series; its markets were made one second after the other, by stage."""
    life = desk.venue.floor.lifecycle
    life.list_event(
        Event(EVENT, SERIES, "Every stage"), START, Series(SERIES, "A gallery", "Tests")
    )
    life.list_event(Event(LATER_EVENT, SERIES, "No market yet"), START)
    for place, stage in enumerate(STAGES):
        show(desk, ticker_of(stage), made_at=START + place * SECOND, opens_later=not place)
    now = desk.venue.clock.now()
    life.deactivate(ticker_of("inactive"), now)
    life.close(ticker_of("closed"), now)
    for stage in ("determined", "disputed", "finalized"):
        life.close(ticker_of(stage), now)
        life.determine(ticker_of(stage), MarketResult.YES, now, is_paid_in_time=False)
    life.dispute(ticker_of("disputed"), now)
    life.settle(ticker_of("finalized"), now)


def show(desk: Desk, ticker: str, *, made_at: int, opens_later: bool = False) -> None:
    """List one more market of the event, between two strikes."""
    market = Market(
        ticker,
        EVENT,
        f"Will {ticker} happen?",
        open_time=START + DAY if opens_later else START,
        close_time=START + 30 * DAY,
        series_ticker=SERIES,
    )
    details = Details(
        yes_sub_title="85 to 86",
        no_sub_title="85 to 86",
        rules_primary="It happens.",
        strike_type="between",
        floor_strike=85.0,
        cap_strike=86.0,
        created_at=made_at,
    )
    desk.venue.floor.lifecycle.list_market(market, START, details)


def determined_as(desk: Desk, result: MarketResult, value: Price) -> str:
    """Let one more market end with a value between nothing and a dollar; give its ticker."""
    ticker = f"{EVENT}-{result.value.upper()}"
    show(desk, ticker, made_at=START)
    desk.venue.floor.lifecycle.determine(
        ticker, result, desk.venue.clock.now(), value, is_paid_in_time=False
    )
    return ticker
