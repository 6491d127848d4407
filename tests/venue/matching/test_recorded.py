"""Our orders against a recorded book: taking what is shown, and resting until it comes to us."""

from hypothesis import given, settings
from hypothesis import strategies as st

from kalshiflow.market.events import Side
from kalshiflow.market.orders import TimeInForce
from kalshiflow.market.units import Price, Quantity
from kalshiflow.venue.matching.messages import (
    Incoming,
    LevelChanged,
    Matched,
)
from kalshiflow.venue.matching.recorded import RecordedBook

BID, ASK = Side.BID, Side.ASK


def cents(value: int) -> Price:
    return Price(value * 100)


def recorded_book() -> RecordedBook:
    """Bids 10 at 48 and 20 at 47, asks 10 at 50 and 20 at 51 (hundredths of contracts)."""
    book = RecordedBook("M")
    book.recorded_snapshot(
        ((cents(48), Quantity(10)), (cents(47), Quantity(20))),
        ((cents(50), Quantity(10)), (cents(51), Quantity(20))),
        at=0,
    )
    return book


def place(book: RecordedBook, name: str, side: Side, price: int, quantity: int, **options) -> list:
    return book.place(Incoming(name, "me", side, cents(price), Quantity(quantity), **options), at=1)


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


def test_trades_that_only_touch_our_price_fill_nothing() -> None:
    book = recorded_book()
    place(book, "a", BID, 48, 5)

    events = book.recorded_delta(BID, cents(48), -10, at=2)

    assert matches(events) == []


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


def test_only_what_is_recorded_stands_before_our_order() -> None:
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
