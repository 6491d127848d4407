"""Whatever is done in an episode: its money is its fills, and its fills are in the recording.

The judge replays an episode's fills through the ledger of the live account and through an account
of fractions, and holds each fill to a plain book that it keeps of the recording itself.
"""

import random
from collections import defaultdict
from dataclasses import replace
from fractions import Fraction

import pytest
import random_history
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plain_account import PlainAccount

from kalshiflow.exchange.capture import read_capture, uses_yes_price
from kalshiflow.exchange.feed import Feed
from kalshiflow.learning.episodes.plain import build_segments, pieces
from kalshiflow.learning.world import MILLISECOND, NoDecision, World, WorldConfig
from kalshiflow.market.fees import fee_numbers
from kalshiflow.market.flat import DELTA, OWN_DELTA, SNAPSHOT, STATUS, TRADE
from kalshiflow.market.listing import Market
from kalshiflow.market.orders import Role
from kalshiflow.market.portfolio import Portfolio
from kalshiflow.market.units import CONTRACT, Quantity
from kalshiflow.simulator.overlay import FillModel

CONFIG = WorldConfig()
BID, ASK = 0, 1


def play(world, segment, rng, trade_share=0.6):
    """Play an episode at random; gives its rewards and how it ended."""
    world.start(segment, rng.randrange(100))
    rewards, result = [], None
    while result is None or not (result.terminated or result.truncated):
        action = 0
        if rng.random() < trade_share:
            action = rng.choice([action for action, may in enumerate(world.mask()) if may])
        result = world.step(action)
        rewards.append(result.reward)
    return rewards, result


def judge(world, rewards, result):
    """Hold an episode that has ended to everything that must be true of it."""
    money_is_its_fills(world, result)
    fills_are_in_the_recording(world)
    assert sum(rewards) == pytest.approx(world.profit / world.config.budget, abs=1e-9)


def money_is_its_fills(world, result):
    ticker, budget = world.segment.ticker, world.config.budget
    ledger = Portfolio(budget)
    taker, maker, denominator = fee_numbers(world.segment.market.fees)
    plain = PlainAccount(
        budget, taker=Fraction(taker, 4 * denominator), maker=Fraction(maker, 4 * denominator)
    )
    for fill in world.fills:
        ledger.apply_fill(fill)
        role = 0 if fill.role is Role.TAKER else 1
        fee = plain.fill(fill.side, fill.price, fill.quantity, role, fill.at, fill.order_id)
        assert Fraction(fill.fee, 1_000_000) == fee
    if result.terminated:
        events = world.segment.events
        paid = events.quantities[(events.kinds == STATUS) & (events.quantities >= 0)][0]
        ledger.settle(ticker, int(paid))
        plain.settle(int(paid))
    position = ledger.positions.get(ticker, world.position)
    assert (world.cash, world.position) == (ledger.cash, position)
    assert Fraction(world.cash, 1_000_000) == plain.cash
    assert Fraction(world.position.fees, 1_000_000) == plain.fees
    assert 0 <= world.reserved <= max(world.cash, 0)
    if result.terminated:
        assert world.value == world.cash
    else:
        most = abs(world.position.quantity) * 10_000
        assert world.cash <= world.value <= world.cash + most


class Recording:
    """What the recording shows at any of its times, kept in plain dictionaries."""

    def __init__(self, segment):
        self._events = segment.events
        self._number = 0
        self.book = ({}, {})

    def follow(self, until):
        """Take in the events up to a time, and give those at exactly that time."""
        events, last = self._events, []
        while self._number < len(events) and events.times[self._number] <= until:
            number = self._number
            self._number += 1
            kind, side = int(events.kinds[number]), int(events.sides[number])
            index, quantity = int(events.indices[number]), int(events.quantities[number])
            if kind == SNAPSHOT:
                changes = self._snapshot(quantity)
            elif kind in (DELTA, OWN_DELTA):
                changes = [(side, index, quantity)]
            else:
                changes = []
            for of, place, change in changes:
                self.book[of][place] = self.book[of].get(place, 0) + change
            if events.times[number] == until:
                last += [(DELTA, *change) for change in changes]
                last += [(TRADE, side, index, quantity)] if kind == TRADE else []
        return last

    def _snapshot(self, start):
        bodies, changes = self._events.bodies.tolist(), []
        place = start + 2
        for side in (BID, ASK):
            levels = bodies[place : place + 2 * bodies[start + side]]
            place += len(levels)
            held = dict(zip(levels[::2], levels[1::2], strict=True))
            for index in {*held, *self.book[side]}:
                change = held.get(index, 0) - self.book[side].get(index, 0)
                if change:
                    changes.append((side, index, change))
        return changes


def fills_are_in_the_recording(world):
    """Check that each fill lies on the grid and within what was shown or traded when it came."""
    grid, recording = world.segment.market.grid, Recording(world.segment)
    by_time = defaultdict(list)
    for fill in world.fills:
        assert fill.price in grid
        assert fill.quantity > 0
        by_time[fill.at].append(fill)
    for at, fills in by_time.items():
        came = recording.follow(at)
        taken = defaultdict(int)
        for fill in fills:
            if fill.role is Role.TAKER:
                taken[fill.side.other, grid.index(fill.price)] += fill.quantity
        for (side, index), quantity in taken.items():
            assert quantity <= recording.book[side].get(index, 0)
        for side in (BID, ASK):
            ours = [f for f in fills if f.role is Role.MAKER and f.side == side]
            limits = [grid.index(fill.price) for fill in ours]
            quantity = sum(fill.quantity for fill in ours)
            assert quantity <= sum(_reaching(came, side, limits, ours))


def _reaching(came, side, limits, ours):
    """Give the quantities that may have filled orders of `side` at these places."""
    if not limits:
        return
    best = max(limits) if side == BID else min(limits)
    for kind, of, index, quantity in came:
        met = index <= best if side == BID else index >= best
        is_trade = kind == TRADE and index >= 0
        if of != side and met and (is_trade or (kind == DELTA and quantity > 0)):
            yield quantity
        elif kind == DELTA and of == side and quantity < 0 and any(f.is_inferred for f in ours):
            yield -quantity


@pytest.mark.parametrize("model", FillModel)
@pytest.mark.parametrize("has_trades", [True, False])
def test_money_is_fills_and_fills_are_recorded_on_the_synthetic_market(segments, model, has_trades):
    world = World(replace(CONFIG, fill_model=model, order_quantity=Quantity(60 * CONTRACT)))
    makers = 0
    for number, segment in enumerate(segments[:4]):
        rng = random.Random(number)
        outcome = play(world, replace(segment, has_trades=has_trades), rng)
        judge(world, *outcome)
        makers += sum(fill.role is Role.MAKER for fill in world.fills)
    assert makers > 0


HISTORIES = st.builds(
    random_history.tell,
    st.sampled_from(random_history.GRIDS),
    st.just(False),
    st.none(),
    random_history.STEPS,
)


@given(
    told=HISTORIES,
    model=st.sampled_from(list(FillModel)),
    has_trades=st.booleans(),
    latency=st.sampled_from([0, 50 * MILLISECOND, 2_000 * MILLISECOND]),
    seed=st.integers(0, 1_000),
)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_money_is_fills_and_fills_are_recorded_whatever_was_recorded(
    told, model, has_trades, latency, seed
):
    world = World(replace(CONFIG, fill_model=model, latency=latency))
    for segment in told.segments:
        try:
            outcome = play(world, replace(segment, has_trades=has_trades), random.Random(seed))
        except NoDecision:
            continue
        judge(world, *outcome)


@pytest.mark.recorded
def test_money_is_fills_and_fills_are_recorded_on_the_day_of_2023(recorded_data):
    path = recorded_data / "kalshi-prod-inxd-2023-08-31/INXD-23AUG31-B4512.jsonl"
    feed = Feed(uses_yes_price=uses_yes_price(path))
    received = (feed.receive(frame.raw, frame.received_at) for frame in read_capture(path))
    events = [one.event for one in received if one.event is not None]
    ticker = events[0].ticker
    (day,) = build_segments(events, [], {ticker: Market(ticker, "", "")}, "s")
    world, fills = World(replace(CONFIG, throttle=2_000 * MILLISECOND)), 0
    for number, segment in enumerate(pieces(day, 2_000)[::4]):
        judge(world, *play(world, segment, random.Random(number)))
        fills += len(world.fills)
    assert fills > 100


def test_an_account_never_owes_anything(segments):
    world = World(replace(CONFIG, budget=CONFIG.budget // 10))
    for number, segment in enumerate(segments):
        play(world, segment, random.Random(number), trade_share=1.0)
        assert world.cash >= 0


def test_holding_for_ever_ends_with_the_budget_to_the_microdollar(segments):
    world = World(CONFIG)
    for segment in segments:
        rewards, _ = play(world, segment, random.Random(1), trade_share=0.0)
        assert set(rewards) == {0.0}
        assert (world.value, world.cash, world.fills) == (CONFIG.budget, CONFIG.budget, [])
