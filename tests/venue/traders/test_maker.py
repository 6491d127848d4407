"""A market maker: where it quotes, how it gives way, and how it hurries."""

from kalshiflow.market.events import Side
from kalshiflow.market.orders import TimeInForce
from kalshiflow.market.units import CONTRACT, Cash, Price, Quantity
from kalshiflow.venue.floor.requests import NewOrder

AT = 1_767_621_600_000_000_000


def levels(stage, side):
    return [
        (price, quantity // CONTRACT) for price, quantity in stage.listed.matching.book.levels(side)
    ]


def test_it_quotes_at_each_offset_on_both_sides_of_the_value(stage):
    maker = stage.maker()
    maker.see(5_020.0)
    maker.requote(AT)

    assert levels(stage, Side.BID) == [(4_900, 10), (4_800, 10)]
    assert levels(stage, Side.ASK) == [(5_100, 10), (5_200, 10)]


def test_its_quotes_follow_a_value_that_moved_by_most_of_a_step_and_no_less(stage):
    maker = stage.maker()
    maker.see(5_000.0)
    maker.requote(AT)
    maker.see(5_070.0)
    maker.requote(AT)
    assert stage.touch()[0] == 4_900
    maker.see(5_080.0)
    maker.requote(AT)
    assert stage.touch()[0] == 5_000


def test_it_keeps_its_gap_from_the_other_side(stage):
    other = stage.maker("other")
    other.see(5_000.0)
    other.requote(AT)
    maker = stage.maker("maker")
    maker.see(5_200.0)  # it would bid at the other's ask
    maker.requote(AT)

    assert stage.touch()[0] == 4_900
    assert stage.touch()[2] == 5_100


def test_an_eager_one_stands_right_before_what_is_far_wrong_and_shows_much(stage):
    other = stage.maker("other")
    other.see(5_000.0)
    other.requote(AT)
    maker = stage.maker("maker", is_eager=True)
    maker.see(6_000.0)
    maker.requote(AT)

    bid, size, ask, _ = stage.touch()
    assert (bid, ask) == (5_000, 5_100)
    assert size >= 100 * CONTRACT


def test_what_it_places_anew_never_leaves_the_touch_alone(stage):
    other, maker = stage.maker("other"), stage.maker("maker", is_eager=True, sizes=(4, 5, 6))
    other.see(5_000.0)
    other.requote(AT)
    maker.see(6_000.0)
    maker.requote(AT)
    stage.facts.clear()
    for _ in range(20):
        maker.chase(AT)

    assert len(stage.facts) > 20
    assert stage.touch()[0] == 5_000


def test_it_leans_against_its_inventory(stage):
    maker = stage.maker(skew=300.0, skew_at=10)
    maker.see(5_000.0)
    maker.requote(AT)
    stage.floor.place(
        stage.account("taker"),
        NewOrder("M", Side.ASK, Price(4_900), Quantity(10 * CONTRACT), TimeInForce.IOC),
        AT,
    )
    maker.requote(AT)

    assert stage.touch()[0] == 4_600  # three cents lower for ten contracts more


def test_it_quotes_one_side_only_where_the_other_would_be_worth_next_to_nothing(stage):
    maker = stage.maker(least=100)
    maker.see(120.0)
    maker.requote(AT)

    assert levels(stage, Side.BID) == []
    assert [price for price, _ in levels(stage, Side.ASK)] == [200, 300]


def test_its_errors_stay_within_their_bound(stage):
    maker = stage.maker(noise=100.0)
    maker.see(5_000.0)
    for _ in range(50):
        maker.think(AT)
        bid, _, ask, _ = stage.touch()
        assert 4_800 <= bid <= 5_000
        assert 5_000 <= ask <= 5_200


def test_a_house_that_runs_out_of_cash_is_given_more(stage):
    maker = stage.maker(cash=Cash(0))
    maker.see(5_000.0)
    maker.requote(AT)

    assert stage.touch()[0] == 4_900


def test_while_the_exchange_is_paused_its_quotes_rest_and_afterwards_they_move(stage):
    maker = stage.maker()
    maker.see(5_000.0)
    maker.requote(AT)
    stage.floor.lifecycle.pause_exchange(AT)
    maker.see(6_000.0)
    maker.requote(AT)
    assert stage.touch()[0] == 4_900

    stage.floor.lifecycle.resume_exchange(AT)
    maker.requote(AT)
    assert levels(stage, Side.BID) == [(5_900, 10), (5_800, 10)]
    assert levels(stage, Side.ASK) == [(6_100, 10), (6_200, 10)]


def test_a_refreshed_quote_stands_where_it_stood(stage):
    maker = stage.maker(sizes=(10, 20))
    maker.see(5_000.0)
    maker.requote(AT)
    before = [price for price, _ in levels(stage, Side.BID)]
    for _ in range(10):
        maker.refresh(AT)

    assert [price for price, _ in levels(stage, Side.BID)] == before
