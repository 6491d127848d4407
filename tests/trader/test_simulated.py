"""Simulated orders as the trader sees them: sent, cancelled, ended, and read afterwards."""

from uuid import uuid4

import pytest

from kalshiflow.exchange.errors import NotFound, OrderRejected
from kalshiflow.market.events import BookDelta, BookSnapshot, PublicTrade, Side, Stamp, TimeSource
from kalshiflow.market.listing import Market
from kalshiflow.market.orders import OrderState
from kalshiflow.market.units import Cash, Price, Quantity
from kalshiflow.simulator.overlay import FillModel
from trader.orders import TrackedOrder
from trader.simulated import SimulatedExchange

MARKET = Market("T", "E", "a market")
LATENCY = 50


class Rig:
    def __init__(self, model=FillModel.PESSIMISTIC):
        self.fills, self.told = [], []
        self.exchange = SimulatedExchange(
            uuid4(),
            Cash(100_000_000),
            fill=self.fills.append,
            told=self.told.append,
            latency=LATENCY,
            model=model,
        )
        self.exchange.follow({"T": MARKET})
        bids, asks = ((Price(4_000), Quantity(100)),), ((Price(5_000), Quantity(100)),)
        self.exchange.receive(BookSnapshot("T", bids, asks, stamp(0)))

    def delta(self, at, side, price, change):
        self.exchange.receive(BookDelta("T", side, Price(price), Quantity(change), stamp(at)))

    def trade(self, at, price, quantity):
        trade = PublicTrade("T", "t", Price(price), Quantity(quantity), Side.ASK, stamp(at))
        return self.exchange.receive(trade)


@pytest.fixture
def rig():
    return Rig()


def stamp(at):
    return Stamp(at, at, at, TimeSource.EXCHANGE)


def bid(price):
    return TrackedOrder(uuid4(), uuid4(), "T", Side.BID, Price(price), Quantity(300), 0, 0)


async def test_an_order_cancelled_on_its_way_never_trades(rig):
    order = bid(5_000)
    await rig.exchange.create(order)

    answer = await rig.exchange.cancel(order)
    rig.delta(1_000, Side.BID, 3_900, 100)

    assert answer.reduced_by == 300
    assert rig.fills == []
    assert (await rig.exchange.read(str(order.client_order_id))).state is OrderState.CANCELLED


async def test_a_cancel_takes_off_what_is_left_of_a_resting_order(rig):
    order = bid(5_000)
    await rig.exchange.create(order)
    rig.delta(1_000, Side.BID, 3_900, 100)

    answer = await rig.exchange.cancel(order)

    assert [fill.quantity for fill in rig.fills] == [100]
    assert answer.reduced_by == 200
    with pytest.raises(NotFound):
        await rig.exchange.cancel(order)


async def test_an_order_that_was_filled_can_still_be_read(rig):
    order = bid(4_800)
    await rig.exchange.create(order)
    rig.delta(1_000, Side.BID, 3_900, 100)
    rig.delta(2_000, Side.ASK, 4_800, 900)

    with pytest.raises(NotFound):
        await rig.exchange.cancel(order)
    record = await rig.exchange.read(str(order.client_order_id))

    assert (record.state, record.filled) == (OrderState.FILLED, 300)
    assert rig.told == [record]


async def test_a_trade_of_others_that_gets_past_the_queue_fills_a_resting_order(rig):
    order = bid(4_000)
    await rig.exchange.create(order)
    rig.delta(1_000, Side.BID, 3_900, 100)

    rig.trade(2_000, 4_000, 60)
    rig.trade(3_000, 4_000, 60)

    assert [(fill.quantity, fill.price) for fill in rig.fills] == [(20, 4_000)]
    assert rig.fills[0].client_order_id == str(order.client_order_id)


async def test_what_is_published_of_a_trade_is_the_trade_and_the_change_of_our_level(rig):
    await rig.exchange.create(bid(4_100))
    rig.delta(1_000, Side.BID, 3_900, 100)

    published = rig.trade(2_000, 4_000, 320)

    told = [(type(e), e.price, getattr(e, "change", None) or e.quantity) for e in published]
    assert sorted(told, key=str) == [
        (BookDelta, 4_100, -300),
        (PublicTrade, 4_000, 20),
        (PublicTrade, 4_100, 300),
    ]


@pytest.mark.parametrize(
    ("model", "ahead_leaves"), [(FillModel.PESSIMISTIC, False), (FillModel.OPTIMISTIC, True)]
)
async def test_the_model_says_who_leaves_our_queue(model, ahead_leaves):
    rig = Rig(model)
    await rig.exchange.create(bid(4_000))
    rig.delta(1_000, Side.BID, 4_000, 100)
    rig.delta(2_000, Side.BID, 4_000, -100)

    rig.trade(9_000_000_000, 4_000, 50)

    assert bool(rig.fills) is ahead_leaves


async def test_more_orders_than_there_is_room_for_are_refused(rig):
    for _ in range(8):
        await rig.exchange.create(bid(3_000))

    with pytest.raises(OrderRejected, match="too_many_orders"):
        await rig.exchange.create(bid(3_000))


async def test_an_order_on_its_way_has_not_ended_where_market_time_begins_anew_behind_it(rig):
    """A new connection's snapshot is dated by our clock, which may be ahead of the exchange's."""
    rig.delta(10_000, Side.BID, 3_900, 100)
    await rig.exchange.create(bid(3_000))
    rig.delta(5_000, Side.BID, 3_900, 100)
    await rig.exchange.create(bid(3_100))

    rig.delta(6_000, Side.BID, 3_900, 100)
    assert rig.told == []
    rig.delta(10_060, Side.BID, 3_900, 100)

    rig.delta(10_070, Side.ASK, 2_900, 1_000)
    assert [(fill.price, fill.quantity) for fill in rig.fills] == [(3_100, 300), (3_000, 300)]
    assert [record.state for record in rig.told] == [OrderState.FILLED] * 2
