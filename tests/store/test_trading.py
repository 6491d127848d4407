"""The trader's journal: intents before orders, fills once, commands once, promotions for good."""

import asyncio
from dataclasses import replace
from uuid import UUID, uuid4

import asyncpg
import pytest

from kalshiflow.market.events import Side
from kalshiflow.market.orders import OrderState, Role, TimeInForce
from kalshiflow.store import commands, trading, training
from kalshiflow.store.errors import NotRecorded
from kalshiflow.store.trading import Decision, FillRow, OrderRow, Run

pytestmark = pytest.mark.integration

RUN = Run(UUID(int=7), "local", "exchange", {"RL_ACTOR_THROTTLE_MS": 250}, 1)
ORDER = OrderRow(
    client_order_id=UUID(int=1),
    run_id=RUN.run_id,
    decision_id=UUID(int=2),
    ticker="A",
    side=Side.ASK,
    price=4_000,
    quantity=1_000,
    time_in_force=TimeInForce.GTC,
    state=OrderState.PENDING,
    created_at=10,
    updated_at=10,
)
FILL = FillRow(
    trade_id="t1",
    run_id=RUN.run_id,
    order_id="o1",
    client_order_id=ORDER.client_order_id,
    ticker="A",
    side=Side.ASK,
    price=4_100,
    quantity=400,
    role=Role.TAKER,
    fee=17_000,
    at=20,
    position_after=-400,
)


def decision(number: int, action: int = 0) -> Decision:
    return Decision(
        run_id=RUN.run_id,
        decision_no=number,
        decision_id=uuid4(),
        ticker="A",
        session_id=None,
        frame_no=number,
        market_time=number,
        received_at=number,
        decided_at=number,
        policy_version="3",
        action=action,
        forbidden=False,
        mask=0b10011,
        observation_hash=bytes(16),
        observation=(0.5, -0.25) if action else None,
        reason="policy",
    )


@pytest.fixture
async def journal(store):
    await trading.start_run(store, RUN)
    return store


async def test_a_run_is_recorded_from_its_start_to_its_end(journal):
    await trading.end_run(journal, RUN.run_id, at=99, reason="stopped")

    assert await trading.latest_run(journal) == replace(RUN, ended_at=99, end_reason="stopped")


async def test_decisions_come_back_equal_and_in_order(journal):
    made = [decision(number, action=number % 2) for number in range(1, 6)]
    await trading.record_decisions(journal, made)

    assert await trading.decisions_of_run(journal, RUN.run_id) == made
    assert await trading.decisions_of_run(journal, RUN.run_id, after_no=3) == made[3:]
    recent = await trading.recent_decisions(journal, RUN.run_id, limit=2, with_hold=False)
    assert [row.decision_no for row in recent] == [5, 3]
    assert await trading.count_decisions(journal, RUN.run_id) == {0: 2, 1: 3}


async def test_decisions_are_found_by_the_session_that_their_frames_are_on(journal):
    taped = [replace(decision(number), session_id="tape") for number in (2, 1)]
    await trading.record_decisions(journal, [*taped, decision(3)])

    assert await trading.decisions_of_session(journal, "tape") == taped[::-1]
    assert await trading.get_run(journal, RUN.run_id) == RUN
    with pytest.raises(NotRecorded, match="no run"):
        await trading.get_run(journal, UUID(int=99))


async def test_a_batch_of_decisions_is_stored_whole_or_not_at_all(journal):
    await trading.record_decisions(journal, [decision(1)])

    with pytest.raises(asyncpg.UniqueViolationError):
        await trading.record_decisions(journal, [decision(2), decision(1)])

    assert len(await trading.decisions_of_run(journal, RUN.run_id)) == 1


async def test_an_intent_is_recorded_once(journal):
    await trading.record_intent(journal, ORDER)

    with pytest.raises(trading.DuplicateIntent, match="recorded already"):
        await trading.record_intent(journal, ORDER)

    assert await trading.orders_of_run(journal, RUN.run_id) == [ORDER]
    assert await trading.open_orders(journal) == [ORDER]
    assert await trading.find_order(journal, ORDER.client_order_id) == ORDER
    assert await trading.find_order(journal, UUID(int=99)) is None


async def test_an_order_keeps_what_an_update_does_not_name(journal):
    await trading.record_intent(journal, ORDER)
    known = ORDER.client_order_id
    await trading.update_order(journal, known, OrderState.RESTING, at=11, order_id="o1")
    await trading.update_order(journal, known, OrderState.CANCELLED, at=12)

    after = await trading.find_order(journal, known)
    assert after == replace(ORDER, state=OrderState.CANCELLED, order_id="o1", updated_at=12)
    assert await trading.open_orders(journal) == []


async def test_an_update_without_an_intent_is_an_error(journal):
    with pytest.raises(NotRecorded, match="no order with client order id"):
        await trading.update_order(journal, UUID(int=5), OrderState.RESTING, at=1)


async def test_a_fill_counts_once_and_the_last_one_fills_the_order(journal):
    await trading.record_intent(journal, ORDER)

    assert await trading.record_fill(journal, FILL)
    assert not await trading.record_fill(journal, FILL)
    half = await trading.find_order(journal, ORDER.client_order_id)
    assert (half.filled, half.fees, half.state) == (400, 17_000, OrderState.PENDING)

    assert await trading.record_fill(journal, replace(FILL, trade_id="t2", quantity=600, at=30))
    whole = await trading.find_order(journal, ORDER.client_order_id)
    assert (whole.filled, whole.fees, whole.state) == (1_000, 34_000, OrderState.FILLED)
    assert [fill.trade_id for fill in await trading.fills_of_run(journal, RUN.run_id)] == [
        "t1",
        "t2",
    ]


async def test_a_fill_of_an_order_that_is_not_ours_is_kept_without_one(journal):
    assert await trading.record_fill(journal, replace(FILL, client_order_id=None))

    (kept,) = await trading.fills_of_run(journal, RUN.run_id)
    assert kept == replace(FILL, client_order_id=None)


async def test_a_command_is_taken_once_even_by_two_takers_at_once(journal):
    for name in ("pause", "resume"):
        await commands.add_command(journal, name, who="ann", why="lunch", at=1)
    assert [c.command for c in await commands.pending_commands(journal)] == ["pause", "resume"]

    takers = (commands.take_commands(journal, RUN.run_id, at=2) for _ in range(4))
    taken = [command for one in await asyncio.gather(*takers) for command in one]

    assert sorted(command.command for command in taken) == ["pause", "resume"]
    assert await commands.pending_commands(journal) == []


async def test_what_came_of_a_command_is_kept_with_who_and_why(journal):
    number = await commands.add_command(
        journal, "pause", who="ann", why="lunch", at=1, arguments={"minutes": 5}
    )
    await commands.take_commands(journal, RUN.run_id, at=2)
    await commands.mark_command(journal, number, "paused", at=3)

    (kept,) = await commands.recent_commands(journal)
    assert (kept.who, kept.why, kept.arguments) == ("ann", "lunch", {"minutes": 5})
    assert (kept.taken_by, kept.outcome, kept.done_at) == (RUN.run_id, "paused", 3)
    assert await commands.latest_taken(journal, ["pause", "resume"]) == kept
    assert await commands.latest_taken(journal, ["resume"]) is None


PROMOTION = {
    "kind": "champion",
    "model_name": "kalshi-policy",
    "model_version": "3",
    "alias": "champion",
    "fingerprint": "f",
    "verdict": {"pnl": 1.5},
    "who": "pipelines",
    "why": "beats HOLD",
    "at": 5,
}


async def test_promotions_can_be_added_and_nothing_else(store):
    await training.add_promotion(store, **PROMOTION)
    refused = PROMOTION | {"kind": "refused", "alias": None, "model_version": "4"}
    await training.add_promotion(store, **refused)

    assert [one.model_version for one in await training.promotions(store)] == ["4", "3"]
    assert (await training.latest_promotion(store)).model_version == "3"
    for change in (
        "UPDATE rl_promotions SET why = 'no'",
        "DELETE FROM rl_promotions",
        "TRUNCATE rl_promotions",
    ):
        async with store.connection() as connection:
            with pytest.raises(asyncpg.RaiseError, match="rl_promotions is append-only"):
                await connection.execute(change)


async def test_a_training_keeps_what_is_known_of_it_so_far(store):
    await training.start_training(
        store, "t", trigger="sensor", dataset_id="d", sessions=["s1", "s2"], at=1
    )
    await training.update_training(store, "t", evaluation={"pnl": 2.0})
    await training.update_training(store, "t", status="done", model_version="3", ended_at=9)

    latest = await training.latest_training(store)
    assert (latest.sessions, latest.evaluation) == (("s1", "s2"), {"pnl": 2.0})
    assert (latest.status, latest.model_version, latest.ended_at) == ("done", "3", 9)
    with pytest.raises(NotRecorded, match="no training x"):
        await training.update_training(store, "x", status="done")
