"""Stale reads: an order is shown as it was, for a while, and never as it was not."""

import asyncio
import gc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshiflow.market.events import Side
from kalshiflow.market.orders import Order, OrderState, TimeInForce
from kalshiflow.market.units import Cash, Price, Quantity
from kalshiflow.venue.faults.language import read_fault
from kalshiflow.venue.faults.live import Faults
from kalshiflow.venue.faults.reads import Reads
from kalshiflow.venue.floor.accounts import Account, Accounts, OrderRecord
from kalshiflow.venue.floor.facts import OrderChanged

MILLISECOND = 1_000_000
TICKER = "SYN-7-01"


class Desk:
    """One account with one order, read through stale reads by a clock that only this moves."""

    def __init__(self) -> None:
        self.now = 0
        self.faults = Faults(7, lambda: self.now, lambda _: "trader")
        accounts = Accounts()
        self.account = accounts.open(Account("somebody", Cash(0), key_id="key"))
        self.reads = Reads(self.faults, accounts)
        order = Order(
            "id", "A", Side.BID, Price(100), Quantity(1_000), TimeInForce.GTC, "mine",
            False, False, OrderState.RESTING,
        )  # fmt: skip
        self.record = OrderRecord(order, self.account, 0, 0)
        self.account.orders["id"] = self.record

    def remove(self, quantity: int) -> None:
        self.record.removed = Quantity(self.record.removed + quantity)
        self.reads.hear(OrderChanged(self.record))

    def remaining(self, after_ms: int = 0) -> int:
        self.now += after_ms * MILLISECOND
        return self.reads.of(self.account)["id"].remaining


def test_a_change_is_shown_when_its_time_has_come() -> None:
    desk = Desk()
    desk.faults.add(read_fault("stale-reads ms=360"))
    desk.remove(400)

    assert [desk.remaining(), desk.remaining(359), desk.remaining(1)] == [1_000, 1_000, 600]


def test_changes_are_shown_one_by_one() -> None:
    desk = Desk()
    desk.faults.add(read_fault("stale-reads ms=300"))
    desk.now = 1_000 * MILLISECOND
    for _ in range(3):
        desk.remove(100)
        desk.now += 100 * MILLISECOND

    assert [desk.remaining(), desk.remaining(100), desk.remaining(100)] == [900, 800, 700]


def test_other_accounts_and_markets_are_read_as_they_are() -> None:
    for fault in ("stale-reads account=trader-2", "stale-reads ticker=B", "stale-reads at=1s"):
        desk = Desk()
        desk.faults.add(read_fault(fault))
        desk.remove(400)
        assert desk.remaining() == 600, fault


def test_reads_are_true_again_once_the_fault_has_ended() -> None:
    desk = Desk()
    fault = desk.faults.add(read_fault("stale-reads ms=5000"))
    desk.remove(400)
    assert desk.remaining() == 1_000

    desk.faults.end(fault.number)
    assert desk.remaining() == 600


@pytest.fixture
def _own_objects() -> Iterator[None]:
    """Let the collector look at no object that was there before the test: they may be millions."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("_own_objects")
def test_what_no_read_shows_any_more_is_forgotten() -> None:
    def kept() -> int:
        gc.collect()
        return sum(type(one) is OrderRecord for one in gc.get_objects())

    desk = Desk()
    before = kept()
    desk.faults.add(read_fault("stale-reads ms=200 for=100s"))
    for _ in range(900):
        desk.now += 100 * MILLISECOND
        desk.remove(1)
    assert kept() - before <= 4

    desk.now += 20_000 * MILLISECOND
    desk.remove(1)  # the fault is over
    assert kept() == before


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(1, 10)), max_size=30))
def test_a_read_shows_the_state_of_so_long_ago(changes: list[tuple[int, int]]) -> None:
    desk = Desk()
    desk.faults.add(read_fault("stale-reads ms=200"))
    states = [(0, 1_000)]
    for pause, quantity in changes:
        desk.now += pause * MILLISECOND
        desk.remove(quantity)
        states.append((desk.now, states[-1][1] - quantity))
        seen_at = desk.now - 200 * MILLISECOND
        known = [left for at, left in states if at <= seen_at]
        assert desk.remaining() == (known or [1_000])[-1]


@pytest.mark.integration
async def test_a_cancelled_order_still_rests_for_a_reader_and_not_for_the_exchange(
    faulty: Any, client_of: Any
) -> None:
    async with faulty("stale-reads ms=300", hold=True) as serving:
        client = client_of(serving)
        order = {"ticker": TICKER, "side": "bid", "count": "1.00", "price": "0.0100"}
        order_id = (await client.create(**order)).json()["order_id"]

        async def status() -> str:
            answer = await client.rest("GET", f"/portfolio/orders/{order_id}")
            return answer.json()["order"]["status"]

        at_once = await status()
        await asyncio.sleep(0.35)
        cancelled = await client.rest("DELETE", f"/portfolio/events/orders/{order_id}")
        stale = await status()
        again = await client.rest("DELETE", f"/portfolio/events/orders/{order_id}")
        async with asyncio.timeout(5):
            while await status() != "canceled":
                await asyncio.sleep(0.02)

    assert (at_once, cancelled.status_code, stale) == ("resting", 200, "resting")
    assert again.status_code == 404
