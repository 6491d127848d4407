"""Compiled lanes and interpreted worlds are one: the same numbers, whatever is played."""

import random
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import random_history
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from random_history import SECOND

from kalshiflow.agent.features import OBSERVATION_SIZE
from kalshiflow.agent.reward import RiskTerms
from kalshiflow.learning.baselines import hold, hold_rows, random_rows
from kalshiflow.learning.episodes.plain import segment_of
from kalshiflow.learning.episodes.segments import make_events
from kalshiflow.learning.lanes.vec_env import ROW_SIZE, LaneVecEnv
from kalshiflow.learning.play import play_lanes, play_worlds
from kalshiflow.learning.world import MILLISECOND, NoDecision, World, WorldConfig
from kalshiflow.market.events import BookDelta, BookSnapshot, Side, Stamp, TimeSource
from kalshiflow.market.flat import STATUS, STATUS_NUMBER
from kalshiflow.market.listing import FeeTerms, Market, MarketStatus
from kalshiflow.market.units import CONTRACT, Price, Quantity
from kalshiflow.simulator.overlay import FillModel

CONFIG = WorldConfig()
CONFIGS = st.builds(
    WorldConfig,
    order_quantity=st.sampled_from([Quantity(1), Quantity(10 * CONTRACT), Quantity(77 * CONTRACT)]),
    throttle=st.sampled_from([0, 1, 250 * MILLISECOND, 2 * SECOND]),
    latency=st.sampled_from([0, 50 * MILLISECOND, 3 * SECOND]),
    latencies=st.sampled_from([(), (1, 300 * MILLISECOND, 5 * SECOND)]),
    fill_model=st.sampled_from(list(FillModel)),
    longest=st.sampled_from([0, 0, 20 * SECOND]),
    risk=st.sampled_from([RiskTerms(), RiskTerms(0.1, 0.2, 0.3)]),
)
SCALE = 7.0
HISTORIES = st.builds(
    random_history.tell,
    st.sampled_from(random_history.GRIDS),
    st.just(False),
    st.sampled_from([None, random_history.START + 900 * SECOND]),
    random_history.STEPS,
)


class Both:
    """Lanes, and beside each lane a world that plays the same episode."""

    def __init__(self, segments, config, lanes, seed):
        self.segments = segments
        self.lanes = LaneVecEnv(segments, config, lanes=lanes, seed=seed, reward_scale=SCALE)
        self.worlds = [World(config) for _ in range(lanes)]
        self.rows = self.lanes.reset()
        for lane in range(lanes):
            self.begin(lane)

    def begin(self, lane):
        number, seed = self.lanes.playing[lane]
        self.worlds[lane].start(self.segments[number], seed)
        self.compare(lane, self.rows[lane])

    def compare(self, lane, row):
        """Hold what is seen, held, taken and reserved in both to each other, number by number."""
        world = self.worlds[lane]
        assert row.tobytes() == np.array([*world.observation(), *world.mask()], "f4").tobytes()

    def compare_state(self, lane):
        world, (_, seens, flows, markets) = self.worlds[lane], self.lanes._players._lanes
        assert seens[lane][: len(world._seen)].tolist() == world._seen
        assert flows[lane].tobytes() == np.array(world._flows).tobytes()
        assert markets[lane][: len(world._market)].tolist() == world._market

    def step(self, actions):
        """Step both; gives how many episodes have ended."""
        self.lanes.step_async(np.array(actions))
        self.rows, rewards, dones, infos = self.lanes.step_wait()
        for lane, (world, action) in enumerate(zip(self.worlds, actions, strict=True)):
            result = world.step(action)
            assert rewards[lane].tobytes() == np.float32(result.reward * SCALE).tobytes()
            assert dones[lane] == (result.terminated or result.truncated)
            if dones[lane]:
                assert infos[lane]["TimeLimit.truncated"] == result.truncated
                assert infos[lane]["profit"] == world.profit
                self.compare(lane, infos[lane]["terminal_observation"])
                self.begin(lane)
            else:
                assert infos[lane] == {}
                self.compare(lane, self.rows[lane])
            self.compare_state(lane)
        return int(dones.sum())


def settled(segment, value):
    """Give the segment with a settlement at its end."""
    events = segment.events
    last = make_events(
        [(STATUS, 0, STATUS_NUMBER[MarketStatus.DETERMINED], value)], [segment.ends_at], [0], []
    )
    columns = ("kinds", "sides", "indices", "quantities", "times", "frames", "bodies")
    joined = [np.concatenate((getattr(events, c), getattr(last, c))) for c in columns]
    return replace(segment, events=type(events)(*joined))


@given(
    histories=st.lists(HISTORIES, min_size=1, max_size=3),
    config=CONFIGS,
    seed=st.integers(0, 1_000),
)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_lanes_are_worlds_whatever_is_recorded_and_done(histories, config, seed):
    rng = random.Random(seed)
    segments = [segment for told in histories for segment in told.segments]
    segments += [settled(segment, rng.choice((0, 10_000, 4_321))) for segment in segments]
    assume(segments)
    try:
        both = Both(segments, config, 3, seed)
    except NoDecision:
        return
    for _ in range(25):
        both.step([rng.choice((0, 1, 1, 2, 3, 3, 4, 9)) for _ in both.worlds])


def test_lanes_are_worlds_on_the_synthetic_market(segments):
    both = Both(segments[:4], replace(CONFIG, longest=40 * SECOND), 4, 3)
    rng, ended = random.Random(1), 0
    for _ in range(150):
        masks = both.rows[:, OBSERVATION_SIZE:]
        ended += both.step([rng.choice(np.flatnonzero(mask).tolist()) for mask in masks])
    assert ended > 4
    assert sum(len(world.fills) for world in both.worlds) > 5


def rollout(segments, seed, lanes=4):
    """Play at random and give all that came of it, as bytes."""
    env = LaneVecEnv(segments, CONFIG, lanes=lanes, seed=seed)
    choice = np.random.default_rng(seed)
    rows = [env.reset()]
    told = []
    for _ in range(200):
        allowed = rows[-1][:, OBSERVATION_SIZE:]
        env.step_async(np.argmax(allowed * choice.random(allowed.shape), axis=1))
        row, rewards, dones, infos = env.step_wait()
        rows.append(row)
        told += [rewards.tobytes(), dones.tobytes(), [info.get("profit") for info in infos]]
    return b"".join(row.tobytes() for row in rows), told


def test_one_seed_gives_one_rollout_byte_for_byte_and_another_gives_another(segments):
    assert rollout(segments, 3) == rollout(segments, 3)
    assert rollout(segments, 3)[0] != rollout(segments, 4)[0]


def test_every_lane_goes_through_all_segments_before_one_comes_again(segments):
    env = LaneVecEnv(segments, replace(CONFIG, throttle=20 * SECOND), lanes=2, seed=1)
    env.reset()
    played = [[playing[0]] for playing in env.playing]
    while min(map(len, played)) < 2 * len(segments):
        env.step_async(np.zeros(2, np.int64))
        for lane in np.flatnonzero(env.step_wait()[2]):
            played[lane].append(env.playing[lane][0])
    for lane in played:
        first, second = lane[: len(segments)], lane[len(segments) : 2 * len(segments)]
        assert sorted(first) == sorted(second) == list(range(len(segments)))
    assert played[0] != played[1]


def test_only_a_lane_whose_episode_has_ended_tells_anything(segments):
    env = LaneVecEnv(segments, CONFIG, lanes=3, seed=1, reward_scale=10.0)
    assert env.reset().shape == (3, ROW_SIZE)
    for _ in range(200):
        profits = env.get_attr("profit")
        env.step_async(np.array([1, 3, 0]))
        _, rewards, dones, infos = env.step_wait()
        for lane, profit in enumerate(env.get_attr("profit")):
            gained = infos[lane].get("profit", profit) - profits[lane]
            assert rewards[lane] == pytest.approx(10.0 * gained / CONFIG.budget, abs=1e-5)
            assert dones[lane] == bool(infos[lane])


def test_a_segment_without_a_decision_is_left_out(segments):
    closed = replace(segments[0].market, status=MarketStatus.CLOSED)
    dead = replace(segments[0], market=closed)
    env = LaneVecEnv([dead, segments[1]], CONFIG, lanes=2, seed=1)
    assert {number for number, _ in env.playing} == {0}
    env.reset()
    assert [number for number, _ in env.playing] == [1, 1]
    with pytest.raises(NoDecision, match="any of 2"):
        LaneVecEnv([dead, dead], CONFIG, lanes=2, seed=1)


def test_the_environment_takes_no_orders_but_actions(segments):
    env = LaneVecEnv(segments, CONFIG, lanes=2, seed=1)
    assert env.get_attr("render_mode") == [None, None]
    assert env.env_is_wrapped(object) == [False, False]
    with pytest.raises(AttributeError, match="color"):
        env.get_attr("color")
    with pytest.raises(NotImplementedError):
        env.env_method("jump")
    with pytest.raises(ValueError, match="at least one"):
        LaneVecEnv([], CONFIG, lanes=2, seed=1)


def test_many_segments_at_a_time_are_played_as_one_after_another(segments):
    many = [segment for segment in segments for _ in range(10)]  # more than there are lanes
    config = replace(CONFIG, throttle=5 * SECOND)
    assert play_lanes(hold_rows, many, config) == play_worlds(hold, many, config)
    results, actions = play_lanes(random_rows(1), many, config)
    assert sum(actions) == sum(result.steps for result in results)
    assert {result.ticker for result in results} == {segment.ticker for segment in segments}
    assert play_lanes(random_rows(1), many, config) == (results, actions)
    assert play_lanes(hold_rows, [], config) == play_worlds(hold, [], config)


def test_nothing_can_be_played_where_nothing_can_be_decided(segments):
    dead = replace(segments[0], market=replace(segments[0].market, status=MarketStatus.CLOSED))
    with pytest.raises(NoDecision, match="segment 1 of 2"):
        play_lanes(hold_rows, [segments[0], dead], CONFIG)


def test_fees_that_would_wrap_around_are_refused_with_their_market():
    fees = FeeTerms(multiplier=Fraction(1_428_571, 10_000_000))
    listed, begins = Market("DEAR", "E", "a market"), Stamp(1, 1, 1, TimeSource.EXCHANGE)
    segment = segment_of([BookSnapshot("DEAR", (), (), begins)], listed, "s")
    dear = replace(segment, market=replace(segment.market, fees=fees))

    with pytest.raises(ValueError, match=f"{segment.ticker}: fees with the multiplier 1428571"):
        LaneVecEnv([dear], CONFIG, lanes=1, seed=1)


def one_lane_each(lanes):
    events = [
        BookSnapshot(
            "T", ((Price(4_000), Quantity(500)),), (), Stamp(1, 1, 1, TimeSource.EXCHANGE)
        ),
        BookDelta("T", Side.BID, Price(3_900), Quantity(100), Stamp(2, 2, 2, TimeSource.EXCHANGE)),
        BookDelta(
            "T", Side.BID, Price(3_800), Quantity(100), Stamp(3, 3, 10**9, TimeSource.EXCHANGE)
        ),
    ]
    segment = segment_of(events, Market("T", "E", "a market"), "s")
    return LaneVecEnv([segment], CONFIG, lanes=lanes, seed=1)


@pytest.mark.parametrize("shape", [(5,), (2,), (3, 1)])
def test_another_number_of_actions_than_lanes_is_refused(shape):
    lanes = one_lane_each(3)
    lanes.reset()

    with pytest.raises(ValueError, match="3 lanes take as many actions"):
        lanes.step_async(np.zeros(shape, np.int64))


def test_lanes_that_have_not_begun_take_no_actions():
    with pytest.raises(ValueError, match="reset"):
        one_lane_each(2).step_async(np.zeros(2, np.int64))


@pytest.mark.parametrize(
    "terms",
    [
        {"budget": 100.0},
        {"order_quantity": 10.0},
        {"fill_model": "optimistic"},
        {"fill_model": 99},
        {"longest": 1.5},
    ],
)
def test_terms_in_anything_but_whole_numbers_and_named_models_are_refused(terms):
    with pytest.raises(TypeError, match="whole numbers|FillModel.PESSIMISTIC"):
        WorldConfig(**terms)
