"""The environment: Gymnasium's rules, the ledger's money, and the same features for everyone."""

import random
import warnings
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from kalshiflow.agent.action import ACTION_COUNT
from kalshiflow.agent.action_table import Action
from kalshiflow.agent.features import FEATURES, OBSERVATION_SIZE, Group
from kalshiflow.agent.reward import RiskTerms
from kalshiflow.learning.env import KalshiEnv
from kalshiflow.learning.episodes.plain import segment_of, split_segment
from kalshiflow.learning.lanes.vec_env import LaneVecEnv
from kalshiflow.learning.world import MILLISECOND, NoDecision, World, WorldConfig
from kalshiflow.market.book import BookCorrupt
from kalshiflow.market.events import (
    BookDelta,
    BookSnapshot,
    MarketStatusChanged,
    Side,
    Stamp,
    TimeSource,
)
from kalshiflow.market.fees import balance_precision, fill_cost, worst_case_fee
from kalshiflow.market.flat import DELTA, SNAPSHOT
from kalshiflow.market.listing import FeeTerms, Market, MarketResult, MarketStatus
from kalshiflow.market.orders import Role
from kalshiflow.market.units import CONTRACT, Cash, Price, Quantity

CONFIG = WorldConfig()


def play(world, segment, choose):
    """Play an episode and give the rewards."""
    world.start(segment)
    rewards, over = [], False
    while not over:
        allowed = world.mask()
        result = world.step(choose(allowed))
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


def test_doing_nothing_earns_nothing(segments):
    world = World(CONFIG)
    assert set(play(world, segments[0], lambda _allowed: 0)) == {0.0}
    assert world.cash == world.value == CONFIG.budget


def test_selling_yes_from_flat_costs_what_no_costs(segments):
    world = World(CONFIG)
    world.start(segments[0])
    world.step(Action.BUY_NO_LIMIT)
    position = world.position
    assert position.quantity == -sum(fill.quantity for fill in world.fills) < 0
    assert position.cost == sum(f.quantity * (10_000 - f.price) for f in world.fills)
    assert CONFIG.budget - world.cash == position.cost + position.fees
    assert world.profit < 0


def test_a_forbidden_action_is_hold_and_is_counted(segments):
    env = KalshiEnv(segments, CONFIG)
    env.reset(seed=1)
    *_, info = env.step(Action.SELL_YES_LIMIT)
    assert info["forbidden"] == 1
    assert env.world.tally.actions == {Action.HOLD: 1}
    assert env.world.fills == []


def test_decisions_keep_the_throttle_and_fall_on_changes_of_the_book(segments):
    world = World(CONFIG)
    events = segments[0].events
    changes = set(events.times[(events.kinds == SNAPSHOT) | (events.kinds == DELTA)].tolist())
    world.start(segments[0])
    times = [world.now]
    while not world.step(0).truncated:
        times.append(world.now)
    assert all(later - earlier >= CONFIG.throttle for earlier, later in pairwise(times))
    assert set(times) <= changes


def test_a_decision_comes_at_the_first_change_that_it_may():
    world = World(CONFIG)
    world.start(hand_made())  # a change each 100 ms
    times = [world.now]
    while not world.step(0).truncated:
        times.append(world.now)
    assert times == [at * 300 * MILLISECOND for at in range(34)]


def test_nothing_is_decided_while_something_of_our_own_is_under_way():
    world = World(replace(CONFIG, latency=1_050 * MILLISECOND))
    world.start(hand_made())
    world.step(Action.BUY_YES_LIMIT)
    assert world.now == 1_050 * MILLISECOND  # our own order changes the book
    world.step(Action.HOLD)
    assert world.now == 1_300 * MILLISECOND


def test_nothing_is_decided_while_the_market_is_closed():
    pause = MarketStatusChanged("T", "paused", stamp(10), MarketStatus.INACTIVE)
    resume = MarketStatusChanged("T", "resumed", stamp(20), MarketStatus.ACTIVE)
    world = World(CONFIG)
    world.start(hand_made(pause, resume))
    times = [world.now]
    while not world.step(0).truncated:
        times.append(world.now)
    gap = [t // MILLISECOND for t in times if 800 < t // MILLISECOND < 2_500]
    assert gap == [900, 2_100, 2_400]


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
    until, _ = split_segment(segment, whole.now)
    short.start(until)
    for observation, action in zip(seen, actions, strict=True):
        assert short.observation() == observation
        short.step(action)


def test_a_resting_order_is_cancelled_after_its_lifetime():
    world = World(CONFIG)
    world.start(hand_made())
    world.step(Action.BUY_YES_LIMIT)  # only one of ten contracts is offered
    rested = 0
    while world.resting:
        rested += 1
        world.step(Action.HOLD)
    assert rested == 17  # it rests from 50 ms on, and the decision at 5,100 ms lets it go
    assert world.reserved == 0


def test_latencies_are_drawn_by_the_episodes_seed():
    config = replace(CONFIG, latencies=(50 * MILLISECOND, 950 * MILLISECOND))
    world = World(config)

    def fills_at(seed):
        world.start(hand_made(), seed)
        for _ in range(6):
            world.step(Action.BUY_YES_LIMIT)
            world.step(Action.SELL_YES_LIMIT)
        return [fill.at for fill in world.fills]

    assert fills_at(1) == fills_at(1)
    assert len({tuple(fills_at(seed)) for seed in range(8)}) > 1


def stamp(at):
    return Stamp(1, 0, at * 100 * MILLISECOND, TimeSource.EXCHANGE)


def hand_made(*others, bids=((4000, 900),), asks=((6000, 100),)):
    """Ten seconds of a quiet market with a far bid that changes ten times a second."""
    events = [BookSnapshot("T", bids, asks, stamp(0))]
    for at in range(1, 100):
        change = Quantity(100 if at % 2 else -100)
        events.append(BookDelta("T", Side.BID, Price(3000), change, stamp(at)))
    events = sorted([*events, *others], key=lambda event: event.stamp.market_time)
    return segment_of(events, Market("T", "E", "a market"), "s")


@pytest.mark.parametrize(("result", "payout"), [(MarketResult.YES, 10_000), (MarketResult.NO, 0)])
def test_settlement_pays_and_terminates(result, payout):
    end = MarketStatusChanged("T", "determined", stamp(100), MarketStatus.DETERMINED, result)
    world = World(CONFIG)
    outcome = play_to_end(world, hand_made(end))
    assert outcome.terminated
    fee = world.position.fees
    assert world.profit == 100 * (payout - 6000) - fee
    assert 0 < fee <= worst_case_fee(FeeTerms(), Price(6000), Quantity(100))
    assert world.position.quantity == 0


def play_to_end(world, segment):
    """Buy what is offered, and hold it."""
    world.start(segment)
    outcome = world.step(Action.BUY_YES_LIMIT)
    while not (outcome.terminated or outcome.truncated):
        outcome = world.step(Action.HOLD)
    return outcome


def test_where_the_result_is_unknown_a_position_is_worth_what_the_book_would_pay():
    thin = ((Price(4000), Quantity(60)), (Price(3900), Quantity(1000)))
    world = World(CONFIG)
    outcome = play_to_end(world, hand_made(bids=thin))
    assert outcome.truncated
    assert not outcome.terminated
    assert world.position.quantity == 100
    paid, rounding = 0, 0
    for price, quantity in ((4000, 60), (3900, 40)):
        cost = fill_cost(
            Cash(rounding), FeeTerms(), Role.TAKER, Side.ASK, Price(price), Quantity(quantity),
            precision=Cash(balance_precision(world.now)),
        )  # fmt: skip
        paid, rounding = paid + price * quantity - cost.net, cost.accumulated
    assert world.value == world.cash + paid < world.cash + 100 * 4000


def test_a_time_limit_truncates_and_keeps_the_usual_value():
    world = World(replace(CONFIG, longest=3_000 * MILLISECOND))
    outcome = play_to_end(world, hand_made())
    assert outcome.truncated
    assert world.now == 3_000 * MILLISECOND
    assert world.value == world.cash + 100 * 4000


def test_a_segment_with_nothing_to_decide_on_is_refused():
    closed = replace(Market("T", "E", "a market"), status=MarketStatus.CLOSED)
    with pytest.raises(NoDecision, match="T from"):
        World(CONFIG).start(replace(hand_made(), market=closed))


def test_a_recorded_change_that_cannot_be_true_is_an_error():
    broken = BookDelta("T", Side.ASK, Price(6000), Quantity(-500), stamp(7))
    world = World(CONFIG)
    with pytest.raises(BookCorrupt, match="below zero"):
        play_to_end(world, hand_made(broken))


@pytest.mark.parametrize("wrong", [{"budget": 0}, {"latency": -1}, {"longest": -1}])
def test_terms_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match="zero"):
        WorldConfig(**wrong)


def test_a_negative_weight_of_risk_is_refused():
    with pytest.raises(ValueError, match="weights"):
        RiskTerms(drawdown=-1.0)


def test_each_term_of_risk_takes_what_it_says():
    segment, budget = hand_made(), CONFIG.budget

    def rewards(risk, actions):
        world = World(replace(CONFIG, risk=risk))
        world.start(segment)
        return [world.step(action).reward for action in actions], world

    actions = [Action.BUY_YES_LIMIT, Action.SELL_NO_LIMIT, Action.HOLD]
    plain, world = rewards(RiskTerms(), actions)
    cost, seconds = world.position.cost, 0.3
    held, _ = rewards(RiskTerms(inventory=2.0), actions)
    assert [p - h for p, h in zip(plain, held, strict=True)] == pytest.approx(
        [2.0 * cost / budget * seconds] * 3
    )
    fallen, _ = rewards(RiskTerms(drawdown=0.5), actions)
    drop = budget - world.value
    assert plain[0] - fallen[0] == pytest.approx(0.5 * drop / budget)
    assert plain[1:] == fallen[1:]
    refused, _ = rewards(RiskTerms(forbidden=0.25), actions)
    assert [p - r for p, r in zip(plain, refused, strict=True)] == [0.0, 0.25, 0.0]


@pytest.fixture(scope="module")
def observations(segments):
    """What a policy that seldom acts sees, with orders too large for the touch among them."""
    rows = []
    for contracts in (10, 80):
        config = replace(CONFIG, order_quantity=Quantity(contracts * CONTRACT))
        lanes = LaneVecEnv(segments, config, lanes=32, seed=contracts)
        random_choice = np.random.default_rng(contracts)
        rows.append(lanes.reset())
        for _ in range(150):
            wanted = rows[-1][:, OBSERVATION_SIZE:] * random_choice.random((32, ACTION_COUNT))
            wanted[:, 0] += random_choice.random(32) < 0.7
            lanes.step_async(wanted.argmax(axis=1))
            rows.append(lanes.step_wait()[0])
    return np.concatenate(rows)[:, :OBSERVATION_SIZE].astype(np.float64)


def test_no_feature_is_constant(observations):
    for number, feature in enumerate(FEATURES):
        assert observations[:, number].std() > 1e-5, feature.name


def test_no_feature_says_what_another_says(observations):
    correlation = np.abs(np.corrcoef(observations.T))
    np.fill_diagonal(correlation, 0.0)
    first, second = np.unravel_index(correlation.argmax(), correlation.shape)
    assert correlation.max() < 0.99, (FEATURES[first].name, FEATURES[second].name)


def test_own_affairs_are_seen_in_an_episode(observations):
    for number, feature in enumerate(FEATURES):
        if feature.group in {Group.PORTFOLIO, Group.ORDER}:
            assert len(set(observations[:, number])) > 2, feature.name
