"""Messages to screens, and how screens that are slow or gone cost the others nothing."""

import json
from types import SimpleNamespace
from uuid import UUID

import pytest

from kalshiflow.agent.action import Action
from kalshiflow.market.book import Book
from kalshiflow.market.events import Side
from kalshiflow.market.portfolio import Position
from kalshiflow.market.units import Cash, Price, Quantity
from trader import messages
from trader.lifecycle import State, Transition
from trader.screens import QUEUE_SIZE, Screen, Screens
from trader.status import iso, money, position

TICKER = "KXFOO-26NOV20-T50"
BIDS = [("0.4000", "50.00")]
ASKS = [("0.4400", "60.00")]


@pytest.mark.parametrize(
    ("cash", "text"),
    [
        (0, "0.00"),
        (98_018_600, "98.0186"),
        (-5_000_000, "-5.00"),
        (1, "0.000001"),
        (10_000, "0.01"),
    ],
)
def test_money_is_exact_and_has_at_least_two_decimals(cash, text):
    assert money(Cash(cash)) == text


def test_times_are_iso_8601_utc_with_milliseconds():
    assert iso(1_795_165_200_123_456_789) == "2026-11-20T09:00:00.123Z"
    assert iso(None) is None


def test_a_no_position_is_told_signed_and_by_its_side():
    held = Position(Quantity(-300), Cash(1_500_000), Cash(0), Cash(52_500))

    assert position("T", held, Cash(1_800_000)) == {
        "market_ticker": "T",
        "side": "no",
        "quantity": "-3.00",
        "cost": "1.50",
        "value": "1.80",
        "unrealised": "0.30",
        "realised": "0.00",
        "fees": "0.0525",
    }


def book(bids=(), asks=()):
    made = Book("T")
    for side, levels in ((Side.BID, bids), (Side.ASK, asks)):
        for price, size in levels:
            made.apply_delta(side, Price(price), size)
    return made


def test_a_book_is_told_with_both_outcomes():
    told = messages.book_snapshot(book([(4_000, 5_000)], [(4_400, 6_000)]), 1_500_000_000, 7)

    assert told == {
        "type": "orderbook_snapshot",
        "data": {
            "market_ticker": "T",
            "timestamp_ms": 1_500,
            "sequence_number": 7,
            "yes_bids": {"0.4000": "50.00"},
            "yes_asks": {"0.4400": "60.00"},
            "no_bids": {"0.5600": "60.00"},
            "no_asks": {"0.6000": "50.00"},
            "yes_mid_price": "0.42000",
            "no_mid_price": "0.58000",
        },
    }


def test_changes_of_a_book_are_told_level_by_level():
    after = book([(3_900, 100), (4_000, 4_000)], [])
    before = (((Price(4_000), Quantity(5_000)),), ((Price(4_400), Quantity(6_000)),))

    told = [m["data"] for m in messages.book_deltas(after, before, 0, 1)]

    assert [(d["side"], d["price"], d["delta"], d["new_size"]) for d in told] == [
        ("bid", "0.3900", "1.00", "1.00"),
        ("bid", "0.4000", "-10.00", "40.00"),
        ("ask", "0.4400", "-60.00", "0.00"),
    ]


def test_a_transition_is_told_with_what_was_true():
    move = Transition(State.READY, State.ACTING, "policy version 7", 0, {"decisions": 3})

    assert messages.state_transition(move)["data"] == {
        "from_state": "ready",
        "to_state": "acting",
        "context": "policy version 7",
        "timestamp": "1970-01-01T00:00:00.000Z",
        "metrics": {"decisions": 3},
    }


async def test_a_screen_that_does_not_take_its_messages_loses_them_and_nobody_waits():
    screen = Screen("trader_action")
    for number in range(QUEUE_SIZE + 1):
        screen.offer(str(number))

    assert await screen.next() == [str(QUEUE_SIZE)]
    assert (screen.dropped, screen.is_behind) == (QUEUE_SIZE, True)


def kinds(texts):
    return [json.loads(text)["type"] for text in texts]


@pytest.fixture
async def told(make_trader, act, scripted, frames):
    async with make_trader() as made:
        trader = made.trader
        trader.accounts.adopt(Cash(1_000_000_000), {}, 0)
        screens = Screens(trader.parts, lambda: 0)
        seen = []

        async def handle():
            for subscription in trader.bus.subscriptions:
                for event in list(subscription._queue.values()):
                    await screens.handle(event)
                subscription._queue.clear()

        yield SimpleNamespace(
            trader=trader, screens=screens, seen=seen, handle=handle, act=act, scripted=scripted
        )


integration = pytest.mark.integration


@integration
async def test_a_screen_is_greeted_with_what_the_others_know(told, frames):
    told.act(told.trader, told.scripted())
    screen = Screen("trader_action")
    told.screens.join(screen)

    first = kinds(await screen.next())

    assert first[:3] == ["connection", "trader_state", "trader_status"]
    assert first[3:] == ["state_transition"] * 6


@integration
async def test_each_socket_has_its_own_word_for_a_decision(told, frames):
    told.act(told.trader, told.scripted(Action.BUY_YES_LIMIT))
    screens = [Screen("trader_action"), Screen("actor_action")]
    for screen in screens:
        told.screens.join(screen)
        await screen.next()
    told.trader.desk.take(frames.snapshot(BIDS, ASKS))
    told.trader.desk.decide_due()
    await told.handle()

    for screen in screens:
        texts = [json.loads(text) for text in await screen.next()]
        (action,) = [m["data"] for m in texts if m["type"] == screen.action_kind]
        assert action["market_ticker"] == TICKER
        assert action["action"] == {
            "action_id": 1,
            "action_name": "BUY_YES_LIMIT",
            "quantity": "10.00",
            "limit_price": "0.4400",
            "reason": "the policy's choice",
            "chosen": "BUY_YES_LIMIT",
        }
        assert action["execution_result"] == {"executed": True, "status": "sending"}
        assert UUID(action["decision_id"]).version == 5
        assert len(action["observation"]) == 52


@integration
async def test_holds_are_sampled_for_who_asks_and_actions_never(told, frames, clock):
    told.act(told.trader, told.scripted(*[0] * 9, Action.BUY_YES_LIMIT))
    every, some = Screen("trader_action"), Screen("trader_action")
    some.hold_every = 5
    for screen in (every, some):
        told.screens.join(screen)
        await screen.next()
    told.trader.desk.take(frames.snapshot(BIDS, ASKS))
    for _ in range(10):
        clock.seconds += 1
        told.trader.desk.take(frames.delta("bid", "0.3900", "1.00"))
        told.trader.desk.decide_due()
    await told.handle()

    assert kinds(await every.next()).count("trader_action") == 10
    assert kinds(await some.next()).count("trader_action") == 2


@integration
async def test_a_watched_book_is_sent_whole_and_then_by_its_changes(told, frames):
    told.trader.desk.take(frames.snapshot(BIDS, ASKS))
    screen = Screen("trader_action")
    told.screens.join(screen)
    await screen.next()
    told.screens.watch(screen, [TICKER, "NOBODY"])
    assert kinds(await screen.next()) == ["error", "orderbook_snapshot"]

    told.trader.desk.take(frames.delta("bid", "0.3900", "1.00"))
    told.trader.desk.take(frames.delta("bid", "0.3900", "2.00"))
    await told.handle()

    (delta,) = [json.loads(text)["data"] for text in await screen.next()]
    assert (delta["delta"], delta["new_size"]) == ("3.00", "3.00")


@integration
async def test_a_screen_that_fell_behind_gets_its_books_whole_again(told, frames):
    told.trader.desk.take(frames.snapshot(BIDS, ASKS))
    screen = Screen("trader_action")
    told.screens.join(screen)
    told.screens.watch(screen, [TICKER])
    for _ in range(QUEUE_SIZE):
        screen.offer("x")
    await screen.next()
    told.trader.desk.take(frames.delta("bid", "0.3900", "1.00"))
    await told.handle()

    assert kinds(await screen.next()) == ["orderbook_snapshot"]
