"""The books of many markets: which are stale, change of grid, and their hash."""

from itertools import permutations

import pytest

from kalshiflow.market.book import Book, BookCorrupt, BookCrossed
from kalshiflow.market.books import Books, books_sha256
from kalshiflow.market.events import BookDelta, BookSnapshot, Levels, Side, Stamp, TimeSource
from kalshiflow.market.listing import CENT_GRID, PriceBand, PriceGrid
from kalshiflow.market.units import DOLLAR, Price, Quantity

STAMP = Stamp(1, 1, 1, TimeSource.RECEIVE)
TENTH_GRID = PriceGrid((PriceBand(Price(0), DOLLAR, Price(10)),))


def levels(*pairs: tuple[int, int]) -> Levels:
    return tuple((Price(price), Quantity(quantity)) for price, quantity in pairs)


def snapshot(ticker: str = "KX", bid: int = 4_000, ask: int = 6_000) -> BookSnapshot:
    return BookSnapshot(ticker, levels((bid, 100)), levels((ask, 100)), STAMP)


def delta(price: int, change: int, ticker: str = "KX") -> BookDelta:
    return BookDelta(ticker, Side.BID, Price(price), Quantity(change), STAMP)


def test_a_market_is_stale_until_its_first_snapshot() -> None:
    books = Books()
    assert books.is_stale("KX")

    books.apply(snapshot())

    assert not books.is_stale("KX")
    assert books["KX"].best_bid == 4_000


def test_a_delta_before_the_first_snapshot_cannot_be() -> None:
    books = Books()

    with pytest.raises(BookCorrupt, match="KX: a delta arrived before the first snapshot"):
        books.apply(delta(4_000, 1))

    assert books.is_stale("KX")


def test_an_impossible_delta_makes_only_its_market_stale() -> None:
    books = Books()
    books.apply(snapshot("A"))
    books.apply(snapshot("B"))

    with pytest.raises(BookCrossed):
        books.apply(delta(6_000, 1, "A"))

    assert books.stale() == {"A"}
    assert not books.is_stale("B")


def test_deltas_of_a_stale_market_are_skipped_until_a_snapshot() -> None:
    books = Books()
    books.apply(snapshot())
    books.mark_stale("KX")

    books.apply(delta(4_000, 50))
    assert books["KX"].quantity_at(Side.BID, Price(4_000)) == 100

    books.apply(snapshot(bid=4_100))
    books.apply(delta(4_100, 50))
    assert books["KX"].levels(Side.BID) == levels((4_100, 150))
    assert books.stale() == frozenset()


def test_an_impossible_snapshot_leaves_the_market_stale() -> None:
    books = Books()
    books.apply(snapshot())

    with pytest.raises(BookCrossed):
        books.apply(snapshot(bid=7_000))

    assert books.is_stale("KX")
    assert books["KX"].best_bid == 4_000


def test_books_are_looked_up_by_ticker_in_order_of_arrival() -> None:
    books = Books()
    books.apply(snapshot("B"))
    books.apply(snapshot("A"))

    assert list(books) == ["B", "A"]
    assert [book.ticker for book in books.values()] == ["B", "A"]
    assert len(books) == 2
    assert "A" in books
    assert "C" not in books


def test_a_market_has_the_grid_that_it_was_given() -> None:
    books = Books({"KX": TENTH_GRID})
    books.apply(snapshot(bid=4_010))

    assert books["KX"].grid == TENTH_GRID
    with pytest.raises(BookCorrupt, match="grid"):
        Books().apply(snapshot(bid=4_010))


def test_a_finer_grid_keeps_the_levels() -> None:
    books = Books()
    books.apply(snapshot())

    books.set_grid("KX", TENTH_GRID)
    books.apply(delta(4_010, 1))

    assert books["KX"].levels(Side.BID) == levels((4_010, 1), (4_000, 100))
    assert not books.is_stale("KX")


def test_a_grid_that_cannot_hold_a_level_makes_the_market_stale() -> None:
    books = Books({"KX": TENTH_GRID})
    books.apply(snapshot(bid=4_010))

    books.set_grid("KX", CENT_GRID)

    assert books.is_stale("KX")
    books.apply(snapshot(bid=4_000))
    assert not books.is_stale("KX")


def test_a_grid_that_is_told_again_changes_nothing() -> None:
    books = Books()
    books.apply(snapshot())
    before = books["KX"]

    books.set_grid("KX", CENT_GRID)
    books.set_grid("NEW", TENTH_GRID)

    assert books["KX"] is before
    assert books.apply(snapshot("NEW", bid=4_010)).grid == TENTH_GRID


def some_books() -> list[Book]:
    books = Books()
    for ticker in ("A", "B", "C"):
        books.apply(snapshot(ticker))
    books["C"].apply_snapshot((), ())
    return list(books.values())


def test_the_hash_of_books_does_not_depend_on_their_order() -> None:
    assert len({books_sha256(order) for order in permutations(some_books())}) == 1


def test_the_hash_of_books_tells_every_difference() -> None:
    made = some_books()
    hashes = {books_sha256(made), books_sha256(made[:2]), books_sha256(made[:1]), books_sha256([])}
    for side, price, change in (
        (Side.BID, 4_000, 1),
        (Side.BID, 3_900, 1),
        (Side.ASK, 6_000, -1),
        (Side.ASK, 6_100, 1),
    ):
        made[0].apply_delta(side, Price(price), change)
        hashes.add(books_sha256(made))
    renamed = Book("D")
    renamed.apply_snapshot(made[0].levels(Side.BID), made[0].levels(Side.ASK))
    hashes.add(books_sha256([renamed, *made[1:]]))

    assert len(hashes) == 9


def test_the_hash_of_books_does_not_depend_on_their_grid() -> None:
    coarse, fine = Book("A"), Book("A", TENTH_GRID)
    for book in (coarse, fine):
        book.apply_snapshot(levels((4_000, 1)), levels((5_000, 2)))

    assert books_sha256([coarse]) == books_sha256([fine])


def test_restored_books_go_on_where_the_first_ones_were() -> None:
    books = Books({"KX": TENTH_GRID, "UNSEEN": TENTH_GRID})
    for ticker in ("KX", "KY", "KZ"):
        books.apply(snapshot(ticker))
    books.mark_stale("KZ")
    restored = Books.restore(books.state())

    assert list(restored) == list(books)
    assert restored.stale() == {"KZ"}
    assert restored.state() == books.state()
    for book in restored.values():
        assert (book.best_bid, book.best_ask) == (4_000, 6_000)
    assert restored["KX"].grid == restored.apply(snapshot("UNSEEN")).grid == TENTH_GRID
    with pytest.raises(BookCrossed):
        restored.apply(delta(6_000, 1))


def test_a_forgotten_market_is_not_known_any_more() -> None:
    books = Books({"KX": TENTH_GRID})
    books.apply(snapshot())
    books.mark_stale("KX")
    assert books.knows("KX")
    books.forget("KX")
    assert not books.knows("KX")
    assert not books.stale()
    with pytest.raises(BookCorrupt):
        books.apply(delta(4_000, 1))
