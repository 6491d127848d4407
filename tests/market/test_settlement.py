"""The value at which a market's result settles its positions."""

import pytest

from kalshiflow.market.listing import MarketResult
from kalshiflow.market.settlement import SettlementError, settlement_value
from kalshiflow.market.units import DOLLAR, Price

YES, NO, SCALAR, VOID, UNKNOWN = (
    MarketResult.YES,
    MarketResult.NO,
    MarketResult.SCALAR,
    MarketResult.VOID,
    MarketResult.UNKNOWN,
)


@pytest.mark.parametrize(
    ("result", "told", "value"),
    [
        (YES, None, DOLLAR),
        (YES, DOLLAR, DOLLAR),
        (NO, None, 0),
        (NO, Price(0), 0),
        (SCALAR, Price(3_301), 3_301),
        (SCALAR, Price(0), 0),
        (VOID, Price(5_200), 5_200),
        (VOID, DOLLAR, DOLLAR),
    ],
)
def test_a_result_is_worth_what_it_says_or_what_is_told(
    result: MarketResult, told: Price | None, value: int
) -> None:
    assert settlement_value(result, told) == value


@pytest.mark.parametrize(
    ("result", "told", "message"),
    [
        (UNKNOWN, None, "result '' has no settlement value"),
        (UNKNOWN, DOLLAR, "result '' has no settlement value"),
        (SCALAR, None, "result 'scalar' has no settlement value"),
        (VOID, None, "result 'void' has no settlement value"),
        (YES, Price(9_900), "result yes with the value 0.9900"),
        (NO, DOLLAR, "result no with the value 1.0000"),
        (SCALAR, Price(10_001), "settlement value 10001 is outside"),
        (VOID, Price(-1), "settlement value -1 is outside"),
    ],
)
def test_a_result_without_a_value_or_against_it_is_refused(
    result: MarketResult, told: Price | None, message: str
) -> None:
    with pytest.raises(SettlementError, match=message):
        settlement_value(result, told)
