"""One order book: it equals a plain dictionary, and refuses what cannot be."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from kalshiflow.market.book import Book, BookCorrupt, BookCrossed
from kalshiflow.market.events import BookDelta, BookSnapshot, Levels, Side, Stamp, TimeSource
from kalshiflow.market.listing import CENT_GRID, PriceBand, PriceGrid
from kalshiflow.market.units import DOLLAR, Price, Quantity

STAMP = Stamp(1, 1, 1, TimeSource.RECEIVE)
TAPERED = PriceGrid(
    (
        PriceBand(Price(0), Price(1_000), Price(10)),
        PriceBand(Price(1_000), Price(9_000), Price(100)),
        PriceBand(Price(9_000), DOLLAR, Price(10)),
    )
)
SIDES = st.sampled_from(Side)
Sizes = dict[int, int]


def levels(*pairs: tuple[int, int]) -> Levels:
    return tuple((Price(price), Quantity(quantity)) for price, quantity in pairs)


def book(bids: Levels = (), asks: Levels = (), grid: PriceGrid = CENT_GRID) -> Book:
    made = Book("KX", grid)
    made.apply_snapshot(bids, asks)
    return made


class BookAgainstDictionary(RuleBasedStateMachine):
    """Any sequence of snapshots and deltas, on the book and on two plain dictionaries."""

    @initialize(grid=st.sampled_from([CENT_GRID, TAPERED]))
    def start(self, grid: PriceGrid) -> None:
        self.book = Book("KX", grid)
        self.sizes: dict[Side, Sizes] = {Side.BID: {}, Side.ASK: {}}

    @rule(data=st.data(), side=SIDES, change=st.integers(-600, 600))
    def delta_near_the_touch(self, data: st.DataObject, side: Side, change: int) -> None:
        prices = [p for p in self.book.grid.prices if 4_400 <= p <= 5_600]
        self._delta(side, data.draw(st.sampled_from(prices)), change)

    @rule(side=SIDES, price=st.integers(-200, DOLLAR + 200), change=st.integers(-600, 600))
    def delta_anywhere(self, side: Side, price: int, change: int) -> None:
        self._delta(side, price, change)

    @rule(data=st.data())
    def remove_a_level(self, data: st.DataObject) -> None:
        present = [(s, p) for s in Side for p in sorted(self.sizes[s])]
        if present:
            side, price = data.draw(st.sampled_from(present))
            self._delta(side, price, -self.sizes[side][price])

    @rule(data=st.data())
    def snapshot(self, data: st.DataObject) -> None:
        prices = st.sampled_from([*self.book.grid.prices[40:50], self.book.grid.prices[60], 55])
        side = st.dictionaries(prices, st.integers(0, 500), max_size=5)
        sizes = {Side.BID: data.draw(side), Side.ASK: data.draw(side)}
        bids, asks = (levels(*sizes[each].items()) for each in Side)
        self._apply(BookSnapshot("KX", bids, asks, STAMP), sizes)

    def _delta(self, side: Side, price: int, change: int) -> None:
        after = {each: dict(self.sizes[each]) for each in Side}
        after[side][price] = after[side].get(price, 0) + change
        event = BookDelta("KX", side, Price(price), Quantity(change), STAMP)
        if after[side][price] == 0:
            del after[side][price]
        self._apply(event, after, touched=price)

    def _apply(
        self, event: BookSnapshot | BookDelta, after: dict[Side, Sizes], touched: int | None = None
    ) -> None:
        """Expect the book to be as `after`, or an error and no change where that cannot be."""
        used = {*after[Side.BID], *after[Side.ASK], *(() if touched is None else (touched,))}
        possible = all(price in self.book.grid for price in used)
        possible &= all(size > 0 for side in Side for size in after[side].values())
        crossed = max(after[Side.BID], default=0) >= min(after[Side.ASK], default=DOLLAR)
        if possible and not crossed:
            self.book.apply(event)
            self.sizes = after
            return
        with pytest.raises(BookCorrupt) as refused:
            self.book.apply(event)
        assert isinstance(refused.value, BookCrossed) == possible

    @invariant()
    def the_book_equals_the_dictionaries(self) -> None:
        bids, asks = self.sizes[Side.BID], self.sizes[Side.ASK]
        assert self.book.levels(Side.BID) == tuple(sorted(bids.items(), reverse=True))
        assert self.book.levels(Side.ASK) == tuple(sorted(asks.items()))
        assert self.book.best_bid == max(bids, default=None)
        assert self.book.best_ask == min(asks, default=None)

    @invariant()
    def every_level_is_where_its_price_is(self) -> None:
        for side, sizes in ((Side.BID, self.book.bids), (Side.ASK, self.book.asks)):
            assert dict(zip(self.book.grid.prices, sizes, strict=True)) == {
                price: self.sizes[side].get(price, 0) for price in self.book.grid.prices
            }

    @invariant()
    def the_book_is_never_negative_and_never_crossed(self) -> None:
        assert min(self.book.bids) >= 0
        assert min(self.book.asks) >= 0
        assert self.book.best_bid_index < self.book.best_ask_index


BookAgainstDictionary.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None
)
TestBookAgainstDictionary = BookAgainstDictionary.TestCase


def test_a_new_book_is_empty() -> None:
    empty = Book("KX")

    assert empty.best_bid is None
    assert empty.best_ask is None
    assert empty.levels(Side.BID) == empty.levels(Side.ASK) == ()
    assert empty.depth(Side.BID, within=1_000) == 0


def test_a_delta_gives_the_new_size_of_its_level() -> None:
    made = book(bids=levels((4_000, 500)))

    assert made.apply_delta(Side.BID, Price(4_000), -200) == 300
    assert made.apply_delta(Side.BID, Price(4_000), -300) == 0
    assert made.best_bid is None


def refused(change: Callable[[Book], object]) -> str:
    made = book(bids=levels((4_000, 500)), asks=levels((4_200, 100)))
    before = made.copy()

    with pytest.raises(BookCorrupt) as error:
        change(made)

    assert made == before
    assert (made.best_bid, made.best_ask) == (before.best_bid, before.best_ask)
    return str(error.value)


def test_a_level_below_zero_is_refused_with_what_it_would_be() -> None:
    message = refused(lambda made: made.apply_delta(Side.BID, Price(4_000), -501))

    assert message == "KX bid 0.4000: size would be -0.01"


def test_a_bid_at_the_best_ask_is_refused_as_a_cross() -> None:
    message = refused(lambda made: made.apply_delta(Side.BID, Price(4_200), 1))

    assert message == "KX: bid 0.4200 crosses the book 0.4000 / 0.4200"


def test_an_ask_below_the_best_bid_is_refused_as_a_cross() -> None:
    message = refused(lambda made: made.apply_delta(Side.ASK, Price(3_900), 1))

    assert message == "KX: ask 0.3900 crosses the book 0.4000 / 0.4200"


def test_a_crossed_snapshot_is_refused_whole() -> None:
    message = refused(lambda made: made.apply_snapshot(levels((5_000, 1)), levels((5_000, 1))))

    assert message == "KX: snapshot with bid 0.5000 at or above ask 0.5000"


@pytest.mark.parametrize("price", [4_050, 0, 10_000, -100, 10_100])
def test_a_price_off_the_grid_is_refused(price: int) -> None:
    assert "grid" in refused(lambda made: made.apply_delta(Side.BID, Price(price), 1))
    assert "grid" in refused(lambda made: made.apply_snapshot(levels((price, 1)), ()))


@pytest.mark.parametrize("bad", [levels((3_000, 0)), levels((3_000, -1)), levels((3_000, 1)) * 2])
def test_a_snapshot_level_of_nothing_or_named_twice_is_refused(bad: Levels) -> None:
    assert "bid 0.3000" in refused(lambda made: made.apply_snapshot(bad, ()))
    assert "ask 0.3000" in refused(lambda made: made.apply_snapshot((), bad))


def test_levels_can_be_limited_to_the_best() -> None:
    made = book(bids=levels((3_900, 1), (4_000, 2), (3_000, 3)))

    assert made.levels(Side.BID, limit=2) == levels((4_000, 2), (3_900, 1))
    assert made.levels(Side.BID, limit=0) == ()


def test_the_quantity_at_a_price_is_that_of_its_side() -> None:
    made = book(bids=levels((4_000, 500)), asks=levels((4_200, 100)))

    assert made.quantity_at(Side.BID, Price(4_000)) == 500
    assert made.quantity_at(Side.ASK, Price(4_000)) == 0
    assert made.quantity_at(Side.ASK, Price(4_200)) == 100


@given(
    st.dictionaries(st.sampled_from(TAPERED.prices), st.integers(1, 99), max_size=12),
    SIDES,
    st.integers(0, 3_000),
)
def test_depth_is_what_lies_within_a_distance_of_the_best(
    sizes: dict[Price, int], side: Side, within: int
) -> None:
    given_levels = levels(*sizes.items())
    made = book(*((given_levels, ()) if side is Side.BID else ((), given_levels)), grid=TAPERED)
    best = max(sizes, default=0) if side is Side.BID else min(sizes, default=0)

    expected = sum(size for price, size in sizes.items() if abs(price - best) <= within)

    assert made.depth(side, within) == expected


def test_a_copy_goes_its_own_way() -> None:
    made = book(bids=levels((4_000, 500)), asks=levels((4_200, 100)))
    twin = made.copy()

    twin.apply_delta(Side.BID, Price(4_100), 1)

    assert made != twin
    assert made.best_bid == 4_000
    assert twin.best_bid == 4_100


def test_books_of_equal_levels_are_equal_whatever_their_grid() -> None:
    assert book(levels((500, 1))) == book(levels((500, 1)), grid=TAPERED)
    assert book(levels((500, 1))) != book(levels((500, 2)))
    assert book() != "no book"
