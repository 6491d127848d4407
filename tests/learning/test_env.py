"""The environment: Gymnasium's rules, the ledger's money, and the same features for everyone."""

import random
import warnings
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from kalshiflow.agent.action import Action
from kalshiflow.agent.features import FEATURES, Group
from kalshiflow.learning.env import KalshiEnv
from kalshiflow.learning.lanes import ROW_SIZE, LaneVecEnv
from kalshiflow.learning.world import MILLISECOND, NoDecision, World, WorldConfig
from kalshiflow.market.events import (
    BookDelta,
    BookSnapshot,
    MarketStatusChanged,
    PublicTrade,
    Side,
    Stamp,
    TimeSource,
)
from kalshiflow.market.fees import worst_case_fee
from kalshiflow.market.listing import FeeTerms, MarketResult, MarketStatus
from kalshiflow.market.portfolio import Portfolio
from kalshiflow.market.units import Price, Quantity

CONFIG = WorldConfig()


def play(world, segment, choose):
    """Play an episode and give the rewards."""
    world.start(segment)
    rewards, over = [], False
    while not over:
        allowed = world.mask()
        result = world.step(choose(allowed), allowed)
        rewards.append(result.reward)
        over = result.terminated or result.truncated
    return rewards


def at_random(seed, trade_share=0.5):
    rng = random.Random(seed)

    def choose(allowed):
        if rng.random() > trade_share:
            return 0
        return rng.choice([action for action, may in enumerate(allowed) if may])

    return choose


def test_gymnasiums_own_checks_pass(segments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        check_env(KalshiEnv(segments, CONFIG), skip_render_check=True)


def test_stable_baselines_own_checks_pass(segments):
    from stable_baselines3.common.env_checker import check_env as check

    check(KalshiEnv(segments, CONFIG))


def test_one_seed_gives_one_episode(segments):
    def run(seed):
        env = KalshiEnv(segments, CONFIG)
        env.action_space.seed(seed)
        seen = [env.reset(seed=seed)[0]]
        seen += [env.step(env.action_space.sample())[0] for _ in range(50)]
        return np.array(seen)

    assert (run(3) == run(3)).all()
    assert (run(3) != run(4)).any()


def test_rewards_add_up_to_the_change_of_the_ledgers_value(segments):
    world = World(CONFIG)
    for number, segment in enumerate(segments):
        rewards = play(world, segment, at_random(number))
        assert sum(rewards) == pytest.approx(world.profit / CONFIG.budget, abs=1e-9)
        bid, ask = world.observer.touch()
        portfolio = world.simulation.portfolio
        assert world.value == portfolio.value({segment.ticker: (bid, ask)})


def test_the_ledger_is_what_its_own_fills_make_of_it(segments):
    world = World(CONFIG)
    for number, segment in enumerate(segments):
        play(world, segment, at_random(number))
        again = Portfolio(CONFIG.budget)
        for fill in world.fills:
            again.apply_fill(fill)
        portfolio = world.simulation.portfolio
        assert len(world.fills) > 0
        assert (again.cash, again.positions) == (portfolio.cash, portfolio.positions)
        assert world.account.spendable == portfolio.cash
        assert world.account.cash_left == portfolio.available


def test_no_fill_lies_off_the_grid_or_costs_more_than_the_budget(segments):
    world = World(replace(CONFIG, budget=CONFIG.budget // 10))
    for number, segment in enumerate(segments):
        play(world, segment, at_random(number, trade_share=1.0))
        assert all(fill.price in segment.market.grid for fill in world.fills)
        assert world.simulation.portfolio.cash >= 0
        assert world.simulation.rejected == 0


def test_doing_nothing_earns_nothing(segments):
    world = World(CONFIG)
    assert set(play(world, segments[0], lambda _allowed: 0)) == {0.0}


def test_selling_yes_from_flat_costs_what_no_costs(segments):
    world = World(CONFIG)
    segment = segments[0]
    world.start(segment)
    bid, _ = world.observer.touch()
    quantity = world.observer.book.quantity_at(Side.BID, bid)
    quantity = min(quantity, CONFIG.order_quantity)
    world.step(Action.BUY_NO_LIMIT)
    position = world.simulation.portfolio.positions[segment.ticker]
    assert position.quantity <= -quantity < 0
    assert position.cost == sum(f.quantity * (10_000 - f.price) for f in world.fills)
    spent = CONFIG.budget - world.simulation.portfolio.cash
    assert spent == position.cost + position.fees
    assert world.profit < 0


def test_a_forbidden_action_is_hold_and_is_counted(segments):
    env = KalshiEnv(segments, CONFIG)
    env.reset(seed=1)
    *_, info = env.step(Action.SELL_YES_LIMIT)
    assert info["forbidden"] == 1
    assert env.world.tally.actions == {Action.HOLD: 1}
    assert env.world.simulation.is_quiet


def test_decisions_keep_the_throttle_and_fall_on_changes_of_the_book(segments):
    world = World(CONFIG)
    segment = segments[0]
    changes = {e.stamp.market_time for e in segment.events if not isinstance(e, PublicTrade)}
    world.start(segment)
    times = [world.now]
    while not world.step(0).truncated:
        times.append(world.now)
    assert all(later - earlier >= CONFIG.throttle for earlier, later in pairwise(times))
    assert set(times) <= changes


def test_nothing_of_the_future_is_in_an_observation(segments):
    """Cut the recording after some decision: everything up to it stays as it was."""
    segment = segments[0]
    whole, short = World(CONFIG), World(CONFIG)
    whole.start(segment)
    choose = at_random(5)
    seen, actions = [], []
    for _ in range(60):
        seen.append(whole.observation())
        actions.append(choose(whole.mask()))
        whole.step(actions[-1])
    until = tuple(e for e in segment.events if e.stamp.market_time <= whole.now)
    short.start(replace(segment, events=until))
    for observation, action in zip(seen, actions, strict=True):
        assert short.observation() == observation
        short.step(action)


def test_a_resting_order_is_cancelled_after_its_lifetime():
    segment = hand_made()
    world = World(CONFIG)
    world.start(segment)
    world.step(Action.BUY_YES_LIMIT)  # only one of ten contracts is offered
    own = world.account.own_bid
    assert own.remaining == CONFIG.order_quantity - 100
    while world.now - own.since < 5_000 * MILLISECOND:
        assert world.account.own_bid == own
        world.step(Action.HOLD)
    world.step(Action.HOLD)
    assert world.account.own_bid is None
    assert world.account.reserved == 0


def hand_made(*ending):
    from kalshiflow.learning.episodes import Segment
    from kalshiflow.market.listing import Market

    def stamp(at):
        return Stamp(1, 0, at * 100 * MILLISECOND, TimeSource.EXCHANGE)

    bids, asks = ((Price(4000), Quantity(900)),), ((Price(6000), Quantity(100)),)
    events = [BookSnapshot("T", bids, asks, stamp(0))]
    for at in range(1, 100):
        change = Quantity(100 if at % 2 else -100)
        events.append(BookDelta("T", Side.BID, Price(3000), change, stamp(at)))
    events += [event._replace(stamp=stamp(100)) for event in ending]
    return Segment("T", "s", Market("T", "E", "a market"), tuple(events))


@pytest.mark.parametrize(("result", "payout"), [(MarketResult.YES, 10_000), (MarketResult.NO, 0)])
def test_settlement_pays_and_terminates(result, payout):
    stamp = Stamp(1, 0, 0, TimeSource.EXCHANGE)
    end = MarketStatusChanged("T", "determined", stamp, MarketStatus.DETERMINED, result)
    world = World(CONFIG)
    world.start(hand_made(end))
    outcome = world.step(Action.BUY_YES_LIMIT)
    while not (outcome.terminated or outcome.truncated):
        outcome = world.step(Action.HOLD)
    assert outcome.terminated
    fee = world.simulation.portfolio.fees_paid
    assert world.profit == 100 * (payout - 6000) - fee
    assert 0 < fee <= worst_case_fee(FeeTerms(), Price(6000), Quantity(100))
    assert world.account.position.quantity == 0


def test_a_segment_with_nothing_to_decide_on_is_refused():
    segment = hand_made()
    with pytest.raises(NoDecision, match="T from"):
        World(CONFIG).start(replace(segment, events=(trade_of(segment),)))


def trade_of(segment):
    stamp = segment.events[0].stamp
    return PublicTrade("T", "t", Price(5000), Quantity(1), Side.BID, stamp)


def test_the_end_of_a_segment_truncates():
    world = World(CONFIG)
    world.start(hand_made())
    outcome = world.step(0)
    while not outcome.truncated:
        assert not outcome.terminated
        outcome = world.step(0)


def test_an_order_must_arrive_before_the_next_decision():
    with pytest.raises(ValueError, match="latency"):
        WorldConfig(throttle=50, latency=50)


def test_lanes_show_what_the_worlds_show(segments):
    lanes = LaneVecEnv(segments, CONFIG, lanes=3, seed=1, reward_scale=10.0)
    rows = lanes.reset()
    assert rows.shape == (3, ROW_SIZE)
    for _ in range(700):
        before = lanes.env_method("mask")
        assert (rows[:, 52:] == np.array(before)).all()
        profits = lanes.get_attr("profit")
        lanes.step_async(np.array([at_random(n)(m) for n, m in enumerate(before)]))
        rows, rewards, dones, infos = lanes.step_wait()
        for lane, profit in enumerate(lanes.get_attr("profit")):
            after = infos[lane].get("profit", profit)
            expected = 10.0 * (after - profits[lane]) / CONFIG.budget
            assert rewards[lane] == pytest.approx(expected, abs=1e-5)
            assert dones[lane] == ("terminal_observation" in infos[lane])
    assert (rows[:, :52] == np.array(lanes.env_method("observation"), dtype=np.float32)).all()


@pytest.fixture(scope="module")
def observations(segments):
    world, rows = World(CONFIG), []
    for number, segment in enumerate(segments):
        choose = at_random(number, trade_share=0.3)
        world.start(segment)
        over = False
        while not over:
            rows.append(world.observation())
            result = world.step(choose(world.mask()))
            over = result.terminated or result.truncated
    return np.array(rows)


def test_no_feature_is_constant(observations):
    for number, feature in enumerate(FEATURES):
        assert observations[:, number].std() > 1e-4, feature.name


def test_no_feature_says_what_another_says(observations):
    correlation = np.abs(np.corrcoef(observations.T))
    np.fill_diagonal(correlation, 0.0)
    first, second = np.unravel_index(correlation.argmax(), correlation.shape)
    assert correlation.max() < 0.99, (FEATURES[first].name, FEATURES[second].name)


def test_own_affairs_are_seen_in_an_episode(observations):
    for number, feature in enumerate(FEATURES):
        if feature.group in {Group.PORTFOLIO, Group.ORDER}:
            assert len(set(observations[:, number])) > 2, feature.name
