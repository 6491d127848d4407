"""Takers: those who buy longshots whatever the value is, and those who come after the news."""

import random

import pytest

from kalshiflow.market.events import Side
from kalshiflow.venue.floor.facts import Traded
from kalshiflow.venue.traders.habits import TakerTerms
from kalshiflow.venue.traders.takers import Takers, yes_share

AT = 1_767_621_600_000_000_000


@pytest.fixture
def takers(stage):
    return Takers(
        stage.floor,
        "M",
        stage.account("noise"),
        stage.account("informed"),
        TakerTerms(),
        random.Random("takers"),
    )


def quoted(stage, value):
    maker = stage.maker(sizes=(100_000,))
    maker.see(value)
    maker.requote(AT)


def trades(stage):
    return [fact for fact in stage.facts if isinstance(fact, Traded)]


def test_the_share_that_buys_yes_falls_with_its_price():
    terms = TakerTerms(longshot_lean=0.3)
    shares = [yes_share(mid, terms) for mid in (0, 2_500, 5_000, 10_000)]

    assert shares == pytest.approx([0.8, 0.65, 0.5, 0.2])
    assert yes_share(5_000, TakerTerms(yes_lean=0.1)) == pytest.approx(0.6)


@pytest.mark.parametrize(("value", "favours"), [(1_000.0, Side.BID), (9_000.0, Side.ASK)])
def test_noise_takers_rather_buy_the_longshot(stage, takers, value, favours):
    quoted(stage, value)
    for _ in range(300):
        takers.take_at_random(AT)

    share = sum(trade.taker_side is favours for trade in trades(stage)) / len(trades(stage))
    assert 0.64 < share < 0.84


def test_some_trade_fractions_of_contracts(stage, takers):
    quoted(stage, 5_000.0)
    for _ in range(100):
        takers.take_at_random(AT)

    assert any(trade.quantity % 100 for trade in trades(stage))


def test_nobody_takes_from_an_empty_book(stage, takers):
    takers.take_at_random(AT)
    takers.take_what_is_wrong(5_000.0, AT)

    assert trades(stage) == []


def test_the_informed_take_only_what_is_wrong(stage, takers):
    quoted(stage, 5_000.0)  # 0.49 and 0.51
    takers.take_what_is_wrong(5_290.0, AT)
    assert trades(stage) == []

    takers.take_what_is_wrong(5_310.0, AT)
    takers.take_what_is_wrong(4_690.0, AT)
    assert [trade.taker_side for trade in trades(stage)] == [Side.BID, Side.ASK]
