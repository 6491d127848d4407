"""Risk has the last word on every order."""

from dataclasses import replace

import pytest

from kalshiflow.agent.action import Action, Intent
from kalshiflow.market.events import Side
from kalshiflow.market.listing import Market, MarketStatus
from kalshiflow.market.units import Cash, Price, Quantity
from trader.risk import Limits, Standing, refusal

MARKET = Market("T", "E", "a market", close_time=1_000)
INTENT = Intent(Action.BUY_YES_LIMIT, Side.BID, Price(5_000), Quantity(1_000))
LIMITS = Limits(Cash(100_000_000), Quantity(1_000), open_orders=2)
STANDING = Standing(Cash(5_000_000), Cash(50_000_000), Cash(50_000_000), 0)


def test_an_order_within_all_limits_passes():
    assert refusal(INTENT, MARKET, MarketStatus.ACTIVE, STANDING, LIMITS, 500) is None


@pytest.mark.parametrize(
    ("why", "change"),
    [
        ("the market is inactive", {"status": MarketStatus.INACTIVE}),
        ("the market has closed", {"now": 1_000}),
        (
            "price 0.5050 is not on the market's grid",
            {"intent": replace(INTENT, price=Price(5_050))},
        ),
        ("quantity 10.01 is over 10.00", {"intent": replace(INTENT, quantity=Quantity(1_001))}),
        ("2 orders are open", {"standing": replace(STANDING, open_orders=2)}),
        (
            "it needs 5.000000 dollars, the market's budget has 4.999999",
            {"standing": replace(STANDING, market_left=Cash(4_999_999))},
        ),
        (
            "it needs 5.000000 dollars, 4.999999 are available",
            {"standing": replace(STANDING, available=Cash(4_999_999))},
        ),
    ],
)
def test_an_order_beyond_a_limit_is_refused_with_the_reason(why, change):
    given = {"intent": INTENT, "status": MarketStatus.ACTIVE, "standing": STANDING, "now": 500}
    given |= change

    said = refusal(
        given["intent"], MARKET, given["status"], given["standing"], LIMITS, given["now"]
    )

    assert said == why


def test_an_order_that_only_closes_passes_without_free_cash():
    standing = Standing(Cash(0), Cash(-5), Cash(-5), 0)

    assert refusal(INTENT, MARKET, MarketStatus.ACTIVE, standing, LIMITS, 500) is None
