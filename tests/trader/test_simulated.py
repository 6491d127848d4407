"""Simulated orders as the trader sees them: sent, cancelled, ended, and read afterwards."""

from uuid import uuid4

import pytest

from kalshiflow.exchange.errors import NotFound
from kalshiflow.market.events import BookDelta, BookSnapshot, Side, Stamp, TimeSource
from kalshiflow.market.listing import Market
from kalshiflow.market.orders import OrderState
from kalshiflow.market.units import Cash, Price, Quantity
from trader.orders import TrackedOrder
from trader.simulated import SimulatedExchange

MARKET = Market("T", "E", "a market")
LATENCY = 50


class Rig:
    def __init__(self):
        self.fills, self.told = [], []
        self.exchange = SimulatedExchange(
            uuid4(),
            Cash(100_000_000),
            fill=self.fills.append,
            told=self.told.append,
            latency=LATENCY,
        )
        self.exchange.follow({"T": MARKET})
        bids, asks = ((Price(4_000), Quantity(100)),), ((Price(5_000), Quantity(100)),)
        self.exchange.receive(BookSnapshot("T", bids, asks, stamp(0)))

    def delta(self, at, side, price, change):
        self.exchange.receive(BookDelta("T", side, Price(price), Quantity(change), stamp(at)))


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
