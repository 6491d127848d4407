"""What `kalshiflow venue-calibration` measures and prints."""

from statistics import fmean

import pytest

from kalshiflow.market.orders import Role
from kalshiflow.venue.traders.calibration import main, rows
from kalshiflow.venue.traders.habits import LIVELY, REAL
from kalshiflow.venue.traders.measures import Measured, measure, quantile


@pytest.fixture(scope="module")
def real() -> Measured:
    return measure(REAL, markets=96, seconds=160.0, seed=7)


@pytest.fixture(scope="module")
def lively() -> Measured:
    return measure(LIVELY, markets=8, seconds=240.0, seed=7)


def share_two_sided(measured: Measured) -> float:
    return len(measured.two_sided()) / len(measured.looks)


def test_as_much_is_added_as_is_taken_off(real, lively):
    for measured in (real, lively):
        assert 0.45 < fmean(s.adds / s.changes for s in measured.busy()) < 0.55


def test_few_real_markets_are_quoted_on_both_sides_and_all_lively_ones_are(real, lively):
    assert 0.3 < share_two_sided(real) < 0.5
    assert share_two_sided(lively) > 0.99


def test_few_real_markets_have_most_of_the_changes(real, lively):
    assert real.strikes_for(0.8) <= 4 < lively.strikes_for(0.8)
    assert real.top_tenth() > 0.5


def test_changes_come_in_bursts(real):
    gaps = [gap for stream in real.busy() for gap in stream.gaps]

    assert quantile(gaps, 0.5) == 0
    assert quantile(gaps, 0.9) > 500


def test_real_spreads_are_mostly_a_cent_or_two_and_sometimes_many(real):
    spreads = [look.spread for look in real.two_sided()]

    assert quantile(spreads, 0.25) <= 100
    assert quantile(spreads, 0.5) <= 200
    assert quantile(spreads, 0.95) >= 400


def test_takers_of_longshots_lose_and_makers_of_favourites_gain(real):
    longshots, favourites = (
        real.returns(Role.TAKER, 0, 10),
        real.returns(Role.TAKER, 70, 100),
    )

    assert longshots is not None
    assert favourites is not None
    assert longshots < -0.3
    assert abs(favourites) < 0.05
    assert (real.returns(Role.MAKER, 50, 100) or 0) > 0
    assert real.returns(Role.MAKER, 100, 200) is None


def test_a_quantile_of_nothing_is_nothing():
    assert quantile([], 0.5) == 0
    assert quantile([3, 1, 2], 0.99) == 3


def test_the_command_prints_one_line_for_each_measure(capsys):
    main(markets=16, hours=0.02, seed=3)
    first, blank, *table = capsys.readouterr().out.splitlines()

    assert first == "16 markets, 0.02 market hours, seed 3"
    assert blank == ""
    assert table[0] == "| measure | lively | real | Kalshi | source |"
    assert [line.split("|")[1].strip() for line in table[2:]] == [row.name for row in rows()]
