"""The conductor: which state the conditions lead to, and what each does on the way."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from kalshiflow.exchange.errors import ExchangeUnavailable
from kalshiflow.market.units import Cash
from kalshiflow.settings import OrdersTo
from trader.bus import Bus
from trader.conductor import Conductor, ShutdownRequested
from trader.counts import Counts
from trader.lifecycle import RULES, Lifecycle, State, StateOverdue
from trader.policies import LoadedPolicy, PolicySlot
from trader.reconcile import Squared


class FakeSteps:
    """A world in which everything works until it is told otherwise."""

    def __init__(self):
        self.connected = True
        self.trades = True
        self.squared = 0
        self.stopped = 0
        self.failures = []
        self.drift = ()

    async def find_markets(self):
        if self.failures:
            raise self.failures.pop()
        return "2 markets"

    async def check_client(self):
        return "100 dollars"

    async def square(self):
        await asyncio.sleep(0)
        self.squared += 1
        return Squared(Cash(100_000_000), self.drift, 0, 0)

    async def stop_orders(self):
        self.stopped += 1

    def books_ready(self):
        return (2, 2) if self.connected else (0, 2)

    def is_connected(self):
        return self.connected

    def connection_problem(self):
        return None if self.connected else "the line is cut"

    def exchange_trades(self):
        return self.trades


class World:
    def __init__(self, orders_to=OrdersTo.EXCHANGE):
        self.steps, self.slot = FakeSteps(), PolicySlot()
        self.seconds = 0.0
        self.conductor = Conductor(
            self.steps, Lifecycle(0), Bus(), self.slot, Counts(), orders_to,
            now=lambda: int(self.seconds * 1e9), monotonic=lambda: self.seconds,
        )  # fmt: skip

    def promote(self, version="7"):
        self.slot.current = LoadedPolicy(object(), version, "f", "here", 0)
        self.conductor.look()

    @property
    def state(self):
        return self.conductor.lifecycle.state

    def path(self):
        return [move.to_state.value for move in self.conductor.lifecycle.history]

    async def reach(self, state):
        async with asyncio.timeout(5):
            while self.state is not state:
                await asyncio.sleep(0)

    @asynccontextmanager
    async def running(self):
        task = asyncio.ensure_future(self.conductor.run())
        try:
            yield task
        finally:
            task.cancel()


@pytest.fixture
def world():
    return World()


async def test_it_starts_squares_and_waits_for_a_policy(world):
    async with world.running():
        await world.reach(State.READY)

        assert world.path() == [
            "initializing",
            "orderbook_connect",
            "trading_client_connect",
            "calibrating",
            "ready",
        ]
        assert world.conductor.holding_reason() == "no promoted policy: holding"
        assert world.conductor.may_send() == "the trader is ready"
        assert [step.status for step in world.conductor.initialization] == ["done"] * 3


async def test_a_policy_lets_it_act_and_its_loss_makes_it_hold(world):
    async with world.running():
        await world.reach(State.READY)
        world.promote()
        await world.reach(State.ACTING)
        assert world.conductor.may_send() is None
        assert world.conductor.holding_reason() is None

        world.slot.current = None
        assert not world.conductor.is_acting()  # at once, before the state follows
        world.conductor.look()
        await world.reach(State.READY)


async def test_a_hold_pauses_cancels_and_its_release_squares_before_acting(world):
    async with world.running():
        world.promote()
        await world.reach(State.ACTING)
        world.conductor.hold("person", "lunch")
        assert world.conductor.may_send() == "paused (person): lunch"
        await world.reach(State.PAUSED)
        await asyncio.sleep(0)
        squared = world.steps.squared
        assert world.steps.stopped == 1

        world.conductor.release("person")
        await world.reach(State.ACTING)

        assert world.steps.squared == squared + 1
        assert world.path()[-4:] == ["paused", "calibrating", "ready", "acting"]


async def test_two_holds_need_two_releases(world):
    async with world.running():
        world.promote()
        await world.reach(State.ACTING)
        world.conductor.hold("person", "lunch")
        world.conductor.hold("database", "away")
        await world.reach(State.PAUSED)
        world.conductor.release("person")
        for _ in range(20):
            await asyncio.sleep(0)

        assert world.state is State.PAUSED


async def test_a_lost_connection_is_recovered_from_by_squaring(world):
    async with world.running():
        world.promote()
        await world.reach(State.ACTING)
        world.steps.connected = False
        world.conductor.look()
        await world.reach(State.RECOVERING)
        assert world.conductor.may_send() == "the trader is recovering"

        world.steps.connected = True
        world.conductor.look()
        await world.reach(State.ACTING)

        assert world.path()[-5:] == ["acting", "recovering", "calibrating", "ready", "acting"]


async def test_the_timer_squares_again(world):
    async with world.running():
        world.promote()
        await world.reach(State.ACTING)
        world.seconds += 61
        world.conductor.look()
        await world.reach(State.CALIBRATING)
        await world.reach(State.ACTING)

        assert world.steps.squared == 2


async def test_doubt_forbids_orders_until_the_account_is_squared(world):
    async with world.running():
        world.promote()
        await world.reach(State.ACTING)
        world.conductor.want_squaring("a frame could not be read")
        assert world.conductor.may_send() == "squaring wanted: a frame could not be read"
        await world.reach(State.CALIBRATING)
        await world.reach(State.ACTING)

        assert world.conductor.may_send() is None


async def test_doubt_that_comes_up_while_squaring_has_it_squared_once_more(world):
    async with world.running():
        world.promote()
        await world.reach(State.ACTING)
        inner, doubts = world.steps.square, ["an order was given up on"]

        async def doubtful():
            if doubts:
                world.conductor.want_squaring(doubts.pop())
            return await inner()

        world.steps.square = doubtful
        world.conductor.want_squaring("a frame could not be read")
        await world.reach(State.CALIBRATING)
        await world.reach(State.ACTING)

        assert world.steps.squared == 3
        assert world.path()[-4:] == ["acting", "calibrating", "ready", "acting"]


async def test_an_exchange_that_is_away_at_the_start_is_waited_for(world):
    world.steps.failures.append(ExchangeUnavailable("HTTP 503"))
    async with world.running():
        while not world.conductor.problem:
            await asyncio.sleep(0)
        assert world.state is State.INITIALIZING
        assert world.conductor.holding_reason() == "HTTP 503"
        world.conductor.look()

        await world.reach(State.READY)


async def test_a_pause_of_the_exchange_is_holding(world):
    async with world.running():
        world.steps.trades = False
        world.promote()
        await world.reach(State.READY)

        assert world.conductor.holding_reason() == "the exchange takes no orders now: holding"


async def test_orders_to_nobody_never_act():
    world = World(OrdersTo.NONE)
    async with world.running():
        world.promote()
        await world.reach(State.READY)

        assert "RL_ACTOR_ORDERS=none" in world.conductor.holding_reason()


@pytest.mark.parametrize("state", [State.READY, State.ACTING, State.PAUSED, State.RECOVERING])
async def test_a_stop_squares_and_ends_from_any_state(world, state):
    async with world.running() as task:
        await world.reach(State.READY)
        if state is not State.READY:
            world.promote()
            await world.reach(State.ACTING)
        if state is State.PAUSED:
            world.conductor.hold("person", "lunch")
        if state is State.RECOVERING:
            world.steps.connected = False
            world.conductor.look()
        await world.reach(state)
        squared = world.steps.squared
        world.conductor.stop("asked to")
        with pytest.raises(ShutdownRequested):
            await task

        assert world.state is State.SHUTDOWN
        assert world.steps.squared == squared + 1


async def test_a_stop_while_starting_ends_without_squaring(world):
    world.steps.failures = [ExchangeUnavailable("HTTP 503")] * 100
    async with world.running() as task:
        await world.reach(State.INITIALIZING)
        world.conductor.stop("asked to")
        with pytest.raises(ShutdownRequested):
            await task

        assert world.steps.squared == 0


async def test_a_state_that_lasts_too_long_is_told_with_its_reason(world, monkeypatch):
    monkeypatch.setattr("trader.conductor.TICK_SECONDS", 0)
    world.conductor.problem = "HTTP 503"
    world.seconds = RULES[State.STARTUP].limit + 1

    with pytest.raises(StateOverdue, match="startup for 31 s, over 30 s: HTTP 503"):
        await world.conductor.watch_time()
