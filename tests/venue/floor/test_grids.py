"""Price grids: what a market's new one does to its orders, and Kalshi's names for them."""

from dataclasses import replace

import pytest
from life_scene import ASK, BID, CLOSE, DECI, NOW, TICKER, Scene

from kalshiflow.market.listing import CENT_GRID, Market, PriceGrid
from kalshiflow.market.units import Price, Quantity
from kalshiflow.simulator.overlay import FillModel
from kalshiflow.venue.floor.facts import LifecycleChanged, LifecycleKind, OrderChanged
from kalshiflow.venue.floor.refusals import InvalidPrice
from kalshiflow.venue.floor.requests import NewOrder
from kalshiflow.venue.floor.structures import STRUCTURES, grid_named, structure_name
from kalshiflow.venue.matching.engine import MatchingBook
from kalshiflow.venue.matching.recorded import RecordedBook


def test_a_finer_grid_keeps_every_order_and_takes_new_prices() -> None:
    scene = Scene()
    bid, ask = scene.order(BID, 4000), scene.order(ASK, 4100)

    scene.life.change_grid(TICKER, DECI, NOW)

    book = scene.floor.market(TICKER).matching.book
    assert (bid.status, ask.status) == ("resting", "resting")
    assert (book.best_bid, book.best_ask, len(book.grid)) == (4000, 4100, 999)
    assert scene.steps() == [LifecycleKind.PRICE_LEVELS_UPDATED]
    taker = scene.floor.place(
        scene.accounts[1], NewOrder(TICKER, BID, Price(4110), Quantity(300)), NOW
    )
    assert (taker.filled, taker.average_price()) == (300, 4100)
    assert scene.order(BID, 4010).status == "resting"


def test_a_coarser_grid_cancels_the_orders_off_it_before_it_is_told() -> None:
    scene = Scene(
        market=Market(TICKER, "KXA-B", "t", grid=DECI, close_time=CLOSE),
        matching=MatchingBook(TICKER, DECI),
    )
    off, on = scene.order(BID, 4010), scene.order(BID, 4000)

    scene.life.change_grid(TICKER, CENT_GRID, NOW)

    assert (off.status, off.reason, on.status) == ("canceled", "HaltCancel", "resting")
    told = [type(fact) for fact in scene.facts if isinstance(fact, OrderChanged | LifecycleChanged)]
    assert told[-2:] == [OrderChanged, LifecycleChanged]
    with pytest.raises(InvalidPrice):
        scene.order(BID, 4010)


@pytest.mark.parametrize(("grid", "size"), [(CENT_GRID, 99), (DECI, 9_999)])
def test_a_recorded_book_keeps_its_liquidity_and_what_was_taken_of_it(
    grid: PriceGrid, size: int
) -> None:
    book = RecordedBook(TICKER, CENT_GRID, FillModel.PESSIMISTIC)
    book.recorded_snapshot(((Price(4000), Quantity(500)),), ((Price(4100), Quantity(700)),), NOW)
    scene = Scene(matching=book)
    scene.order(BID, 4100)

    scene.life.change_grid(TICKER, grid, NOW)

    assert len(book.book.grid) == size
    assert book.book.levels(ASK) == ()
    assert book.book.levels(BID) == ((4100, 300), (4000, 500))
    book.recorded_delta(ASK, Price(4200), 50, NOW)
    assert book.book.levels(ASK) == ((4200, 50),)
    taken = book.overlay.taken[ASK][book.book.grid.index(Price(4100))]
    assert taken == 700


@pytest.mark.parametrize("name", STRUCTURES)
def test_each_structure_has_a_grid_that_has_its_name(name: str) -> None:
    assert structure_name(grid_named(name)) == name


def test_a_grid_that_kalshi_has_no_name_for_has_none() -> None:
    assert structure_name(grid_named("deci_cent")) == "deci_cent"
    bands = grid_named("tapered_deci_cent").bands
    moved = replace(bands[0], end=Price(2000)), replace(bands[1], start=Price(2000)), bands[2]
    assert structure_name(PriceGrid(moved)) is None
