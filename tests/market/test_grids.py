"""Price grids of every kind that the exchange has, and prices on and off them."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshiflow.market.listing import CENT_GRID, GridError, PriceBand, PriceGrid
from kalshiflow.market.units import DOLLAR, Price, complement, price_from_dollars, price_to_dollars

WHOLE, HALF, FIFTH, TENTH, HUNDREDTH = 100, 50, 20, 10, 1


def grid(*bands: tuple[int, int, int]) -> PriceGrid:
    return PriceGrid(tuple(PriceBand(Price(a), Price(b), Price(step)) for a, b, step in bands))


def edged(centre: int, edge: int, width: int) -> PriceGrid:
    return grid((0, width, edge), (width, 10_000 - width, centre), (10_000 - width, 10_000, edge))


GRIDS = {
    "linear_cent": grid((0, 10_000, WHOLE)),
    "half_cent": grid((0, 10_000, HALF)),
    "quint_cent": grid((0, 10_000, FIFTH)),
    "deci_cent": grid((0, 10_000, TENTH)),
    "centi_cent": grid((0, 10_000, HUNDREDTH)),
    "tapered_deci_cent": edged(WHOLE, TENTH, 1_000),
    "center_whole_edge_half_cent": edged(WHOLE, HALF, 1_000),
    "center_whole_edge_quint_cent": edged(WHOLE, FIFTH, 1_000),
    "center_whole_edge_centi_cent": edged(WHOLE, HUNDREDTH, 1_000),
    "center_half_edge_quint_cent": edged(HALF, FIFTH, 1_000),
    "center_half_edge_deci_cent": edged(HALF, TENTH, 500),
    "center_quint_edge_deci_cent": edged(FIFTH, TENTH, 500),
    "center_deci_edge_centi_cent": edged(TENTH, HUNDREDTH, 100),
    "banded_centi_cent": grid(
        (0, 100, HUNDREDTH), (100, 1_000, TENTH), (1_000, 9_000, WHOLE), (9_000, 10_000, HALF)
    ),
}
every_grid = pytest.mark.parametrize("name", GRIDS)


@every_grid
def test_every_price_of_a_grid_converts_exactly_both_ways(name: str) -> None:
    prices = GRIDS[name]
    for position, price in enumerate(prices.prices):
        assert price in prices
        assert prices.index(price) == position
        assert price_from_dollars(price_to_dollars(price)) == price


@every_grid
def test_a_grid_holds_the_prices_of_its_bands_and_no_others(name: str) -> None:
    prices = GRIDS[name]
    expected = {
        price
        for band in prices.bands
        for price in range(band.start, band.end + 1)
        if (price - band.start) % band.step == 0 and 0 < price < DOLLAR
    }

    assert set(prices.prices) == expected
    assert list(prices.prices) == sorted(expected)
    assert len(prices) == len(expected)
    assert {p for p in range(-1, DOLLAR + 2) if p in prices} == expected


@every_grid
def test_the_complement_of_a_price_on_a_mirrored_grid_is_on_it(name: str) -> None:
    prices = GRIDS[name]
    if name == "banded_centi_cent":
        assert complement(Price(1)) not in prices
    else:
        assert [complement(price) for price in reversed(prices.prices)] == list(prices.prices)


@every_grid
@given(target=st.integers(-5, DOLLAR + 5))
def test_the_next_valid_price_is_the_nearest_one(name: str, target: int) -> None:
    prices = GRIDS[name]

    assert prices.at_or_below(target) == max(
        (p for p in prices.prices if p <= target), default=None
    )
    assert prices.at_or_above(target) == min(
        (p for p in prices.prices if p >= target), default=None
    )


@pytest.mark.parametrize(
    ("name", "count"),
    [("linear_cent", 99), ("half_cent", 199), ("quint_cent", 499), ("deci_cent", 999)]
    + [("centi_cent", 9_999), ("tapered_deci_cent", 279), ("center_deci_edge_centi_cent", 1_179)],
)
def test_a_grid_has_the_documented_number_of_prices(name: str, count: int) -> None:
    assert len(GRIDS[name]) == count


def test_the_ends_of_the_dollar_are_no_prices() -> None:
    for prices in GRIDS.values():
        assert Price(0) not in prices
        assert DOLLAR not in prices


@pytest.mark.parametrize("price", [0, 1, 10_000, -100, 20_000])
def test_the_index_of_an_invalid_price_is_an_error(price: int) -> None:
    with pytest.raises(GridError, match="price grid"):
        CENT_GRID.index(Price(price))


def test_grids_of_equal_bands_are_equal() -> None:
    assert grid((0, 10_000, 100)) == CENT_GRID
    assert hash(grid((0, 10_000, 100))) == hash(CENT_GRID)
    assert grid((0, 10_000, 50)) != CENT_GRID


@pytest.mark.parametrize(
    "bands",
    [
        pytest.param([], id="none"),
        pytest.param([(0, 5_000, 100)], id="ends early"),
        pytest.param([(100, 10_000, 100)], id="starts late"),
        pytest.param([(0, 5_000, 100), (6_000, 10_000, 100)], id="hole"),
        pytest.param([(0, 6_000, 100), (5_000, 10_000, 100)], id="overlap"),
        pytest.param([(0, 10_000, 300)], id="broken step"),
        pytest.param([(0, 10_000, 0)], id="no step"),
        pytest.param([(0, 10_000, -100)], id="negative step"),
        pytest.param([(0, 10_000, 100), (10_000, 10_000, 100)], id="empty band"),
        pytest.param([(0, 20_000, 100)], id="beyond the dollar"),
    ],
)
def test_bands_that_make_no_grid_are_refused(bands: list[tuple[int, int, int]]) -> None:
    with pytest.raises(GridError):
        grid(*bands)


def test_neighbouring_prices_of_a_tapered_grid_are_a_step_apart() -> None:
    steps = {(a, b - a) for a, b in pairwise(GRIDS["tapered_deci_cent"].prices)}

    assert (990, 10) in steps
    assert (1_000, 100) in steps
    assert (8_900, 100) in steps
    assert (9_000, 10) in steps
