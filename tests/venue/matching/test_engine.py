"""Matching of one market: priority, remainders, order kinds and self-trades, without accounts."""

import pytest

from kalshiflow.market.events import Side
from kalshiflow.market.orders import TimeInForce
from kalshiflow.market.units import Price, Quantity
from kalshiflow.venue.matching.engine import MatchingBook
from kalshiflow.venue.matching.errors import (
    MatchingError,
    NotFillable,
    PostOnlyCross,
    UnknownOrder,
)
from kalshiflow.venue.matching.messages import (
    Incoming,
    LevelChanged,
    Matched,
    Removal,
    Removed,
    SelfTrade,
)

BID, ASK = Side.BID, Side.ASK


def order(order_id: str, side: Side, cents: int, quantity: int, **options: object) -> Incoming:
    owner = str(options.pop("owner", f"owner of {order_id}"))
    return Incoming(
        order_id,
        owner,
        side,
        Price(cents * 100),
        Quantity(quantity),
        **options,  # type: ignore[arg-type]
    )


def book_of(*orders: Incoming) -> MatchingBook:
    book = MatchingBook("M")
    for one in orders:
        book.place(one, at=0)
    return book


def matches(events: list) -> list[tuple[str | None, int, int]]:
    return [(e.maker_id, e.price // 100, e.quantity) for e in events if isinstance(e, Matched)]


def test_a_resting_order_is_told_as_a_change_of_its_level() -> None:
    book = MatchingBook("M")

    events = book.place(order("a", BID, 40, 500), at=9)

    assert events == [LevelChanged("M", BID, Price(4000), 500, 9, "a")]
    assert queue(book, BID, 40) == [("a", 500)]


def test_better_prices_fill_first_and_earlier_orders_before_later_ones() -> None:
    book = book_of(
        order("late", ASK, 50, 300), order("later", ASK, 50, 300), order("best", ASK, 49, 100)
    )

    events = book.place(order("taker", BID, 60, 600), at=1)

    assert matches(events) == [("best", 49, 100), ("late", 50, 300), ("later", 50, 200)]
    assert book.resting("later").remaining == 100


def test_the_taker_gets_the_resting_price() -> None:
    book = book_of(order("maker", BID, 45, 100))

    events = book.place(order("taker", ASK, 30, 100), at=1)

    assert events == [
        LevelChanged("M", BID, Price(4500), -100, 1, "taker"),
        Matched("M", Price(4500), Quantity(100), ASK, "maker", "taker", 1),
    ]


def test_what_a_good_till_cancelled_order_does_not_get_rests_at_its_own_price() -> None:
    book = book_of(order("maker", ASK, 50, 100))

    events = book.place(order("taker", BID, 52, 300), at=1)

    assert events[-1] == LevelChanged("M", BID, Price(5200), 200, 1, "taker")
    assert book.book.best_bid == 5200
    assert book.book.best_ask is None


def test_what_an_immediate_order_does_not_get_lapses() -> None:
    book = book_of(order("maker", ASK, 50, 100))

    events = book.place(order("taker", BID, 50, 300, time_in_force=TimeInForce.IOC), at=1)

    assert events[-1] == Removed("M", "taker", Quantity(200), Removal.CANCEL, 1)
    assert book.book.best_bid is None


def test_fill_or_kill_fills_whole_or_not_at_all() -> None:
    book = book_of(order("a", ASK, 50, 100), order("b", ASK, 51, 100))
    fill_or_kill = {"time_in_force": TimeInForce.FOK}

    with pytest.raises(NotFillable, match="100 of 200"):
        book.place(order("low", BID, 50, 200, **fill_or_kill), at=1)
    assert book.book.quantity_at(ASK, Price(5000)) == 100

    assert matches(book.place(order("high", BID, 51, 200, **fill_or_kill), at=1)) == [
        ("a", 50, 100),
        ("b", 51, 100),
    ]


def test_a_post_only_order_never_takes() -> None:
    book = book_of(order("maker", ASK, 50, 100))

    with pytest.raises(PostOnlyCross):
        book.place(order("poster", BID, 50, 100, post_only=True), at=1)
    book.place(order("poster", BID, 49, 100, post_only=True), at=1)

    assert book.book.best_bid == 4900


def test_a_taker_stops_at_its_own_order_and_keeps_its_earlier_fills() -> None:
    book = book_of(order("other", ASK, 49, 100), order("mine", ASK, 50, 100, owner="me"))

    events = book.place(order("taker", BID, 55, 300, owner="me"), at=1)

    assert matches(events) == [("other", 49, 100)]
    assert events[-1] == Removed("M", "taker", Quantity(200), Removal.SELF_TRADE, 1)
    assert book.resting("mine").remaining == 100


def test_with_maker_prevention_ones_own_resting_order_gives_way() -> None:
    book = book_of(order("mine", ASK, 50, 100, owner="me"), order("other", ASK, 51, 100))

    events = book.place(order("taker", BID, 55, 100, owner="me", self_trade=SelfTrade.MAKER), at=1)

    assert Removed("M", "mine", Quantity(100), Removal.SELF_TRADE, 1) in events
    assert matches(events) == [("other", 51, 100)]


def test_ones_own_volume_does_not_count_for_fill_or_kill() -> None:
    book = book_of(order("other", ASK, 50, 100), order("mine", ASK, 50, 100, owner="me"))

    with pytest.raises(NotFillable, match="100 of 200"):
        book.place(order("taker", BID, 50, 200, owner="me", time_in_force=TimeInForce.FOK), at=1)


def test_a_reduced_order_keeps_its_place() -> None:
    book = book_of(order("first", BID, 40, 300), order("second", BID, 40, 300))

    book.reduce("first", Quantity(200), at=1)

    assert matches(book.place(order("taker", ASK, 40, 150), at=2)) == [
        ("first", 40, 100),
        ("second", 40, 50),
    ]


def test_a_cancelled_order_is_gone_and_cannot_be_cancelled_again() -> None:
    book = book_of(order("a", BID, 40, 300))

    assert book.cancel("a", at=1) == [
        LevelChanged("M", BID, Price(4000), -300, 1, "a"),
        Removed("M", "a", Quantity(300), Removal.CANCEL, 1),
    ]
    with pytest.raises(UnknownOrder, match="order a does not rest here"):
        book.cancel("a", at=2)


def test_an_order_cannot_be_reduced_to_nothing() -> None:
    book = book_of(order("a", BID, 40, 300))

    with pytest.raises(MatchingError, match="300 of 300"):
        book.reduce("a", Quantity(300), at=1)


# --- new terms -------------------------------------------------------------------------------


def queue(book: MatchingBook, side: Side, cents: int) -> list[tuple[str, int]]:
    return [(o.order_id, o.remaining) for o in book.queue(side, Price(cents * 100))]


def test_less_at_the_same_price_keeps_the_place_and_is_told_as_one_change() -> None:
    book = book_of(order("first", BID, 40, 300), order("second", BID, 40, 300))

    events = book.replace(order("first", BID, 40, 100), at=1)

    assert events == [LevelChanged("M", BID, Price(4000), -200, 1, "first")]
    assert queue(book, BID, 40) == [("first", 100), ("second", 300)]


def test_the_same_terms_again_change_nothing() -> None:
    book = book_of(order("first", BID, 40, 300), order("second", BID, 40, 300))

    assert book.replace(order("first", BID, 40, 300), at=1) == []
    assert queue(book, BID, 40) == [("first", 300), ("second", 300)]


@pytest.mark.parametrize(("cents", "quantity"), [(40, 301), (41, 300), (39, 100)])
def test_more_or_another_price_is_last_in_line(cents: int, quantity: int) -> None:
    book = book_of(
        order("first", BID, 40, 300), order("second", BID, 40, 5), order("there", BID, cents, 7)
    )

    events = book.replace(order("first", BID, cents, quantity), at=1)

    assert queue(book, BID, cents)[-1] == ("first", quantity)
    assert [e.change for e in events if isinstance(e, LevelChanged)] == [-300, quantity]


def test_a_new_price_may_match_as_a_taker() -> None:
    book = book_of(order("mine", BID, 40, 300), order("ask", ASK, 45, 100))

    events = book.replace(order("mine", BID, 46, 300), at=1)

    assert matches(events) == [("ask", 45, 100)]
    assert queue(book, BID, 46) == [("mine", 200)]


def test_a_post_only_order_is_not_given_a_price_that_takes() -> None:
    book = book_of(order("mine", BID, 40, 300), order("ask", ASK, 45, 100))

    with pytest.raises(PostOnlyCross):
        book.replace(order("mine", BID, 45, 300, post_only=True), at=1)

    assert queue(book, BID, 40) == [("mine", 300)]


@pytest.mark.parametrize(
    ("self_trade", "left"), [(SelfTrade.TAKER, {"ask"}), (SelfTrade.MAKER, {"mine"})]
)
def test_new_terms_that_meet_ones_own_order_trade_with_nobody(
    self_trade: SelfTrade, left: set[str]
) -> None:
    book = book_of(order("mine", BID, 40, 300, owner="me"), order("ask", ASK, 45, 100, owner="me"))

    events = book.replace(order("mine", BID, 46, 300, owner="me", self_trade=self_trade), at=1)

    assert matches(events) == []
    assert {name for name in ("mine", "ask") if name in book} == left
    assert [e.reason for e in events if isinstance(e, Removed)] == [Removal.SELF_TRADE]


def test_an_order_that_is_gone_gets_no_new_terms() -> None:
    with pytest.raises(UnknownOrder):
        book_of().replace(order("gone", BID, 40, 1), at=1)


def test_what_stands_before_an_order_is_counted_at_its_own_price() -> None:
    book = book_of(order("better", BID, 41, 50), order("a", BID, 40, 300), order("b", BID, 40, 200))
    book.place(order("c", BID, 40, 1), at=1)

    assert [book.ahead(name) for name in ("better", "a", "b", "c")] == [0, 0, 300, 500]
    book.reduce("a", 100, at=2)
    assert book.ahead("c") == 400


# --- reduce-only -------------------------------------------------------------------------------


def test_one_taker_never_takes_a_reduce_only_order_beyond_its_owners_position() -> None:
    """The owner holds 10: once 8 are sold at 50, two of the reduce-only ten may follow."""
    book = book_of(
        order("closer", ASK, 50, 8, owner="me"),
        order("only", ASK, 51, 10, owner="me", reduce_only=True),
        order("other", ASK, 52, 5),
    )
    book.held = {"me": 10}.__getitem__

    events = book.place(order("taker", BID, 52, 20), at=1)

    assert matches(events) == [("closer", 50, 8), ("only", 51, 2), ("other", 52, 5)]
    assert Removed("M", "only", Quantity(8), Removal.REDUCE_ONLY, 1) in events


def test_fill_or_kill_counts_of_a_reduce_only_order_what_may_be_filled() -> None:
    book = book_of(
        order("closer", ASK, 50, 8, owner="me"),
        order("only", ASK, 51, 10, owner="me", reduce_only=True),
    )
    book.held = {"me": 10}.__getitem__

    with pytest.raises(NotFillable, match="10 of 11"):
        book.place(order("taker", BID, 52, 11, time_in_force=TimeInForce.FOK), at=1)
    book.place(order("taker", BID, 52, 10, time_in_force=TimeInForce.FOK), at=1)


def test_a_fill_counts_until_the_position_is_said_to_have_it() -> None:
    book = book_of(order("only", BID, 50, 10, owner="me", reduce_only=True))
    held = {"me": -10}
    book.held = held.__getitem__
    book.place(order("first", ASK, 50, 4), at=1)

    assert book.fillable(order("next", ASK, 50, 10)) == 6
    held["me"] = -6
    book.booked()
    assert book.fillable(order("next", ASK, 50, 10)) == 6
