"""The journal: nothing is lost while the database is away, and nothing is written twice."""

from uuid import uuid4

import pytest

from kalshiflow.market.events import Side
from kalshiflow.market.orders import OrderState, Role, TimeInForce
from kalshiflow.market.units import Cash, Price, Quantity
from kalshiflow.store import trading
from kalshiflow.store.database import Store
from kalshiflow.store.errors import StoreUnavailable
from trader.journal import Journal, OrderNews

pytestmark = pytest.mark.integration


@pytest.fixture
async def store(postgres_url):
    async with await Store.open(postgres_url) as opened:
        yield opened


@pytest.fixture
async def run_id(store):
    made = uuid4()
    await trading.start_run(store, trading.Run(made, "local", "exchange", {}, 0))
    return made


@pytest.fixture
def told():
    return []


@pytest.fixture
def journal(store, run_id, told):
    return Journal(
        store, run_id, lost=lambda why: told.append("lost"), back=lambda: told.append("back")
    )


def decision(run_id, number):
    return trading.Decision(
        run_id, number, uuid4(), "T", None, number, 0, 0, 0, "7", 0, False, 1, b"\0" * 16, None, ""
    )


def order_row(run_id, key):
    return trading.OrderRow(
        key, run_id, uuid4(), "T", Side.BID, Price(5_000), Quantity(1_000), TimeInForce.GTC,
        OrderState.PENDING, 0, 0,
    )  # fmt: skip


def fill_row(run_id, key, quantity=1_000):
    return trading.FillRow(
        str(uuid4()), run_id, "X1", key, "T", Side.BID, Price(5_000), Quantity(quantity),
        Role.TAKER, Cash(17_500), 0, Quantity(quantity),
    )  # fmt: skip


async def numbers(store, run_id):
    return [row.decision_no for row in await trading.decisions_of_run(store, run_id)]


async def test_what_waits_is_written_in_order(journal, store, run_id):
    for number in range(1, 4):
        journal.add_decision(decision(run_id, number))
    assert journal.waiting == 3

    await journal.flush()

    assert journal.waiting == 0
    assert await numbers(store, run_id) == [1, 2, 3]


async def test_an_outage_is_told_once_loses_nothing_and_its_end_is_told(
    journal, store, run_id, told, outage
):
    key = uuid4()
    await journal.intend(order_row(run_id, key))
    journal.add_decision(decision(run_id, 1))
    await journal.flush()
    outage.begin()
    journal.add_decision(decision(run_id, 2))
    journal.add_fill(fill_row(run_id, key))
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await journal.flush()
    assert (told, journal.is_lost) == (["lost"], True)

    outage.end()
    await journal.flush()

    assert (told, journal.is_lost, journal.waiting) == (["lost", "back"], False, 0)
    assert await numbers(store, run_id) == [1, 2]
    assert (await trading.find_order(store, key)).state is OrderState.FILLED


async def test_a_batch_that_was_stored_before_the_line_broke_is_not_stored_twice(
    journal, store, run_id
):
    batch = [decision(run_id, number) for number in (1, 2)]
    for row in batch:
        journal.add_decision(row)
    await trading.record_decisions(store, batch)  # it was committed
    journal._in_doubt = True  # and the answer did not come
    journal.add_decision(decision(run_id, 3))

    await journal.flush()

    assert await numbers(store, run_id) == [1, 2, 3]


async def test_an_intent_that_cannot_be_committed_is_told_and_raises(journal, run_id, told, outage):
    outage.begin()

    with pytest.raises(StoreUnavailable):
        await journal.intend(order_row(run_id, uuid4()))

    assert told == ["lost"]


async def test_a_fill_and_the_news_of_its_order_agree(journal, store, run_id):
    key = uuid4()
    await journal.intend(order_row(run_id, key))
    journal.add_order(OrderNews(key, OrderState.RESTING, 1, "X1", None))
    journal.add_fill(fill_row(run_id, key, 400))
    journal.add_fill(fill_row(run_id, key, 600))
    journal.add_order(OrderNews(key, OrderState.FILLED, 2, "X1", None))

    await journal.flush()

    row = await trading.find_order(store, key)
    assert (row.state, row.filled, row.fees, row.order_id) == (
        OrderState.FILLED,
        1_000,
        35_000,
        "X1",
    )
