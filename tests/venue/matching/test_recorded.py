"""Our orders against a recorded book: taking what is shown, and resting until it comes to us."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kalshiflow.market.events import Side
from kalshiflow.market.orders import TimeInForce
from kalshiflow.market.units import Price, Quantity
from kalshiflow.simulator.overlay import FillModel
from kalshiflow.venue.matching.errors import NotFillable
from kalshiflow.venue.matching.messages import (
    Incoming,
    LevelChanged,
    Matched,
    Passed,
    Removal,
    Removed,
)
from kalshiflow.venue.matching.recorded import RecordedBook

BID, ASK = Side.BID, Side.ASK


def cents(value: int) -> Price:
    return Price(value * 100)


def recorded_book(
    model: FillModel = FillModel.PESSIMISTIC, *, has_trades: bool = True
) -> RecordedBook:
    """Bids 10 at 48 and 20 at 47, asks 10 at 50 and 20 at 51 (hundredths of contracts)."""
    book = RecordedBook("M", model=model, has_trades=has_trades)
    book.recorded_snapshot(
        ((cents(48), Quantity(10)), (cents(47), Quantity(20))),
        ((cents(50), Quantity(10)), (cents(51), Quantity(20))),
        at=0,
    )
    return book


def place(
    book: RecordedBook, name: str, side: Side, price: int, quantity: int, owner="me", **options
) -> list:
    order = Incoming(name, owner, side, cents(price), Quantity(quantity), **options)
    return book.place(order, at=1)


def trade(book: RecordedBook, price: int, quantity: int, taker: Side = ASK, at: int = 2) -> list:
    return book.recorded_trade("t", cents(price), Quantity(quantity), taker, at)


def passed(events: list) -> list[tuple]:
    return [(e.price // 100, e.quantity) for e in events if isinstance(e, Passed)]


def matches(events: list) -> list[tuple]:
    return [
        (e.maker_id, e.taker_id, e.price // 100, e.quantity)
        for e in events
        if isinstance(e, Matched)
    ]


def changes(events: list) -> list[tuple]:
    return [(e.side, e.price // 100, e.change) for e in events if isinstance(e, LevelChanged)]


def test_a_taker_takes_what_is_shown_and_each_contract_once() -> None:
    book = recorded_book()

    first = place(book, "a", BID, 51, 15, time_in_force=TimeInForce.IOC)
    second = place(book, "b", BID, 50, 15, time_in_force=TimeInForce.IOC)

    assert matches(first) == [(None, "a", 50, 10), (None, "a", 51, 5)]
    assert changes(first) == [(ASK, 50, -10), (ASK, 51, -5)]
    assert matches(second) == []
    assert book.book.best_ask == cents(51)
    assert book.book.quantity_at(ASK, cents(51)) == 15


def test_what_was_taken_is_not_published_again_when_the_recording_removes_it() -> None:
    book = recorded_book()
    place(book, "a", BID, 50, 10, time_in_force=TimeInForce.IOC)

    assert book.recorded_delta(ASK, cents(50), -10, at=2) == []
    assert changes(book.recorded_delta(ASK, cents(50), 7, at=3)) == [(ASK, 50, 7)]


def test_a_resting_order_lies_on_top_of_the_recorded_level() -> None:
    book = recorded_book()

    events = place(book, "a", BID, 48, 5)

    assert changes(events) == [(BID, 48, 5)]
    assert book.book.quantity_at(BID, cents(48)) == 15
    assert changes(book.recorded_delta(BID, cents(48), -10, at=2)) == [(BID, 48, -10)]
    assert book.book.quantity_at(BID, cents(48)) == 5


def test_a_resting_order_fills_when_the_recorded_other_side_reaches_its_price() -> None:
    book = recorded_book()
    place(book, "a", BID, 49, 5)

    events = book.recorded_delta(ASK, cents(49), 8, at=2)

    assert matches(events) == [("a", None, 49, 5)]
    assert changes(events) == [(BID, 49, -5), (ASK, 49, 3)]  # what met us is not shown
    assert book.overlay.taken[ASK][book.book.grid.index(cents(49))] == 5


def test_a_fill_is_at_our_own_price_where_the_other_side_comes_through_it() -> None:
    book = recorded_book()
    book.recorded_delta(BID, cents(48), -10, at=1)
    place(book, "low", BID, 48, 2)
    place(book, "high", BID, 49, 2)

    events = book.recorded_delta(ASK, cents(48), 3, at=2)

    assert matches(events) == [("high", None, 49, 2), ("low", None, 48, 1)]
    assert book.resting("low").remaining == 1
    assert book.book.best_ask == cents(50)


def test_others_that_leave_our_level_fill_nothing() -> None:
    book = recorded_book()
    place(book, "a", BID, 48, 5)

    events = book.recorded_delta(BID, cents(48), -10, at=2)

    assert matches(events) == []


def test_a_trade_at_our_price_fills_what_gets_past_the_queue_before_us() -> None:
    book = recorded_book()
    place(book, "a", BID, 48, 5)

    before = trade(book, 48, 8)
    events = trade(book, 48, 4)

    assert matches(before) == []
    assert matches(events) == [("a", None, 48, 2)]
    assert changes(events) == [(BID, 48, -2)]
    assert passed(events) == [(48, 4)]  # told as recorded: what we had is a part of it
    assert [e.trade_id for e in events if isinstance(e, Matched)] == ["t"]


def test_a_trade_and_the_change_it_makes_eat_the_queue_once_in_either_order() -> None:
    books = [recorded_book(FillModel.OPTIMISTIC) for _ in range(2)]
    for book in books:
        place(book, "a", BID, 48, 5)

    trade(books[0], 48, 4)
    books[0].recorded_delta(BID, cents(48), -4, at=2)
    books[1].recorded_delta(BID, cents(48), -4, at=2)
    trade(books[1], 48, 4)

    assert [book.ahead("a") for book in books] == [6, 6]


def test_a_trade_passes_through_better_prices_first_then_by_arrival() -> None:
    book = recorded_book()
    for name, price in (("late", 48), ("best", 49), ("next", 49), ("last", 48)):
        place(book, name, BID, price, 2)

    events = trade(book, 48, 17)

    assert matches(events) == [
        ("best", None, 49, 2),
        ("next", None, 49, 2),
        ("late", None, 48, 2),
        ("last", None, 48, 1),
    ]
    assert passed(events) == [(48, 13)]


def test_a_trade_that_our_better_orders_take_whole_comes_to_no_other_price() -> None:
    book = recorded_book()
    place(book, "best", BID, 49, 20)

    events = trade(book, 48, 17)

    assert matches(events) == [("best", None, 49, 17)]
    assert passed(events) == []


def test_a_trade_at_a_price_off_the_grid_meets_nobody() -> None:
    book = recorded_book()
    place(book, "a", BID, 49, 5)

    events = book.recorded_trade("t", Price(4_850), Quantity(3), ASK, 2)

    assert [type(event) for event in events] == [Passed]


def test_an_order_that_a_trade_reaches_while_nothing_may_trade_is_taken_off() -> None:
    book = recorded_book()
    place(book, "a", BID, 49, 5)
    book.stopped = lambda: Removal.HALT

    events = trade(book, 48, 3)

    assert matches(events) == []
    assert [e.reason for e in events if isinstance(e, Removed)] == [Removal.HALT]
    assert passed(events) == [(48, 3)]


@pytest.mark.parametrize(
    ("model", "ahead"),
    [(FillModel.PESSIMISTIC, 6), (FillModel.REALISTIC, 4), (FillModel.OPTIMISTIC, 0)],
)
def test_the_model_says_whether_others_left_before_us_or_behind_us(
    model: FillModel, ahead: int
) -> None:
    book = recorded_book(model)
    place(book, "a", BID, 48, 5)
    book.recorded_delta(BID, cents(48), 6, at=2)  # stands behind us
    assert book.ahead("a") == 10

    book.recorded_delta(BID, cents(48), -10, at=3)

    assert book.ahead("a") == ahead


@pytest.mark.parametrize("has_trades", [True, False])
@pytest.mark.parametrize("model", FillModel)
def test_trades_are_inferred_at_the_best_level_only_where_none_are_told(
    model: FillModel, has_trades: bool
) -> None:
    book = recorded_book(model, has_trades=has_trades)
    place(book, "behind", BID, 47, 2)
    place(book, "a", BID, 49, 2)
    book.recorded_delta(BID, cents(49), 10, at=2)  # stands behind us

    cancelled = book.recorded_delta(BID, cents(47), -20, at=3)
    events = book.recorded_delta(BID, cents(49), -6, at=4)

    infers = not has_trades and model is not FillModel.PESSIMISTIC
    assert matches(cancelled) == []
    assert matches(events) == ([("a", None, 49, 2)] if infers else [])


def test_one_inferred_trade_fills_no_more_of_our_orders_than_itself() -> None:
    """Half of what leaves is taken to be traded."""
    book = recorded_book(FillModel.REALISTIC, has_trades=False)
    for name in "abc":
        place(book, name, BID, 49, 2)
    book.recorded_delta(BID, cents(49), 8, at=2)  # stands behind us

    assert matches(book.recorded_delta(BID, cents(49), -8, at=3)) == [
        ("a", None, 49, 2),
        ("b", None, 49, 2),
    ]


def test_an_order_of_another_client_takes_what_stands_before_ours_then_ours_then_the_rest() -> None:
    book = recorded_book()
    place(book, "mine", ASK, 50, 5)
    book.recorded_delta(ASK, cents(50), 4, at=2)

    first = place(book, "a", BID, 50, 3, owner="other")
    assert book.ahead("mine") == 7
    second = place(book, "b", BID, 50, 14, owner="other")

    assert matches(first) == [(None, "a", 50, 3)]
    assert matches(second) == [(None, "b", 50, 7), ("mine", "b", 50, 5), (None, "b", 50, 2)]


def test_an_order_takes_what_stands_before_its_own_accounts_and_the_rest_is_cancelled() -> None:
    book = recorded_book()
    place(book, "mine", ASK, 51, 5)
    book.recorded_delta(ASK, cents(51), 7, at=2)  # stands behind us
    with pytest.raises(NotFillable, match="30 of 31"):
        place(book, "b", BID, 51, 31, time_in_force=TimeInForce.FOK)

    events = place(book, "a", BID, 51, 40)

    assert matches(events) == [(None, "a", 50, 10), (None, "a", 51, 20)]
    assert [(e.quantity, e.reason) for e in events if isinstance(e, Removed)] == [
        (10, Removal.SELF_TRADE)
    ]
    assert book.ahead("mine") == 0


def test_a_snapshot_that_reaches_our_price_fills_us_and_keeps_what_was_taken() -> None:
    book = recorded_book()
    place(book, "taker", BID, 50, 4, time_in_force=TimeInForce.IOC)
    place(book, "rest", ASK, 49, 5)

    events = book.recorded_snapshot(
        ((cents(49), Quantity(3)), (cents(48), Quantity(10))),
        ((cents(50), Quantity(10)), (cents(51), Quantity(20))),
        at=2,
    )

    assert matches(events) == [("rest", None, 49, 3)]
    assert book.book.quantity_at(ASK, cents(50)) == 6
    assert book.book.quantity_at(ASK, cents(49)) == 2


steps = st.one_of(
    st.tuples(st.just("delta"), st.sampled_from(Side), st.integers(44, 56), st.integers(-40, 40)),
    st.tuples(st.just("order"), st.sampled_from(Side), st.integers(44, 56), st.integers(1, 40)),
    st.tuples(st.just("cancel"), st.sampled_from(Side), st.integers(0, 5), st.just(0)),
)


@settings(max_examples=80, deadline=None)
@given(script=st.lists(steps, max_size=60))
def test_no_stream_shows_a_crossed_or_negative_book_and_changes_add_up(
    script: list[tuple[str, Side, int, int]],
) -> None:
    book = recorded_book()
    told = {side: dict(book.book.levels(side)) for side in Side}
    resting: list[str] = []
    for number, (kind, side, where, amount) in enumerate(script):
        if kind == "order":
            name = f"o{number}"
            events = book.place(
                Incoming(name, name, side, cents(where), Quantity(amount)), at=number
            )
            resting.append(name)
        elif kind == "cancel":
            resting = [name for name in resting if name in book]
            if not resting:
                continue
            events = book.cancel(resting[where % len(resting)], at=number)
        else:
            events = _recorded(book, side, cents(where), amount, number)
        for event in events:
            if isinstance(event, LevelChanged):
                level = told[event.side].get(event.price, 0) + event.change
                assert level >= 0
                told[event.side][event.price] = level
        for one in Side:  # the book itself raises where it would be crossed or negative
            assert dict(book.book.levels(one)) == {p: q for p, q in told[one].items() if q}


def _recorded(book: RecordedBook, side: Side, price: Price, change: int, at: int) -> list:
    """Apply a delta as a true recording could hold it: no negative and no crossed recorded book."""
    index = book.book.grid.index(price)
    recorded = book.overlay.recorded
    change = max(change, -recorded[side][index])
    if change > 0:
        others = [i for i, quantity in enumerate(recorded[side.other]) if quantity]
        if any(i <= index if side is BID else i >= index for i in others):
            return []
    return book.recorded_delta(side, price, change, at)


def test_only_what_is_recorded_stands_before_an_order() -> None:
    book = recorded_book()
    place(book, "first", BID, 48, 7)
    place(book, "second", BID, 48, 7)
    place(book, "alone", BID, 49, 7)

    assert [book.ahead(name) for name in ("first", "second", "alone")] == [10, 10, 0]
    book.recorded_delta(BID, cents(48), -4, at=2)
    assert book.ahead("first") == 6


def test_a_recording_fills_a_reduce_only_order_no_further_than_its_owners_position() -> None:
    book = recorded_book()
    book.held = {"me": -3}.__getitem__
    place(book, "only", BID, 49, 5, reduce_only=True)

    events = book.recorded_delta(ASK, cents(49), 8, at=2)

    assert matches(events) == [("only", None, 49, 3)]
    assert "only" not in book
    assert book.book.quantity_at(ASK, cents(49)) == 5


def test_our_order_on_new_terms_takes_what_is_recorded() -> None:
    book = recorded_book()
    place(book, "mine", BID, 48, 12)

    events = book.replace(Incoming("mine", "me", BID, cents(50), Quantity(12)), at=2)

    assert matches(events) == [(None, "mine", 50, 10)]
    assert changes(events) == [(BID, 48, -12), (ASK, 50, -10), (BID, 50, 2)]
