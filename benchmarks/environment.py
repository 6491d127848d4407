"""Steps of the vectorised environment on one core, beside plain limits.

A step is one decision at 250 ms of market time: recorded events, latency, fills, ledger, reward,
52 features and mask. 256 lanes play pieces of one recorded day, each in an order of its own. The
actions are those of a policy that chooses evenly among the allowed ones; they are found in a first
run and given again in the timed ones (`env`), or chosen as it goes (`env_choosing`). `env_holding`
does nothing. Limits on the same lanes: `book_limit` keeps each lane's book and best prices and no
more, `row_limit` copies a row that is there. Each figure is the median of some takes in this run,
in processor seconds of one core, printed as `name value unit`; rates belong to the machine named,
the ratios are what counts. Other environments are given as many features and stepped one by one,
which is all they can (`other_engines`).
"""

import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
from machine import machine
from numba import njit
from other_engines import print_steppers
from recordings import market_day

from kalshiflow.agent.features import OBSERVATION_SIZE
from kalshiflow.learning.episodes.plain import build_segments
from kalshiflow.learning.episodes.segments import Segment
from kalshiflow.learning.lanes.joined import Joined, join
from kalshiflow.learning.lanes.vec_env import ROW_SIZE, LaneVecEnv
from kalshiflow.learning.training_pieces import training_pieces
from kalshiflow.learning.world import WorldConfig
from kalshiflow.market.flat import DELTA, OWN_DELTA, SNAPSHOT

LANES = 256
STEPS = 600
WARM_UP = 300
ROUNDS = 5
PIECE = 3_000  # events of a piece
CONFIG = WorldConfig()


def day_in_pieces() -> tuple[str, list[Segment]]:
    """Give the day's name and its pieces."""
    day = market_day()
    markets = {day.market.ticker: day.market}
    segments = build_segments(day.events, [], markets, "s")
    return day.name, [part for one in segments for part in training_pieces(one, PIECE, 0)]


def choose(rows: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Choose evenly among the allowed actions."""
    allowed = rows[:, OBSERVATION_SIZE:]
    return np.argmax(allowed * random.random(allowed.shape, dtype=np.float32), axis=1)


def begun(segments: Sequence[Segment]) -> tuple[LaneVecEnv, np.ndarray]:
    """Give an environment whose lanes have gone apart, and what they see."""
    env = LaneVecEnv(segments, CONFIG, lanes=LANES, seed=1)
    env.reset()
    for _ in range(WARM_UP):
        env.step_async(np.zeros(LANES, np.int64))
        rows = env.step_wait()[0]
    return env, rows


def random_actions(segments: Sequence[Segment]) -> list[np.ndarray]:
    """Give the actions of a random policy, which another environment of this seed can be given."""
    env, rows = begun(segments)
    random = np.random.default_rng(1)
    actions = []
    for _ in range(STEPS):
        actions.append(choose(rows, random))
        env.step_async(actions[-1])
        rows = env.step_wait()[0]
    return actions


def play(segments: Sequence[Segment], actions: Sequence[np.ndarray]) -> float:
    """Play given actions; give the steps by second."""
    env, _ = begun(segments)
    began = time.process_time()
    for chosen in actions:
        env.step_async(chosen)
        env.step_wait()
    return LANES * len(actions) / (time.process_time() - began)


def play_choosing(segments: Sequence[Segment]) -> float:
    """Play at random, the choice included; give the steps by second."""
    env, rows = begun(segments)
    random = np.random.default_rng(1)
    began = time.process_time()
    for _ in range(STEPS):
        env.step_async(choose(rows, random))
        rows = env.step_wait()[0]
    return LANES * STEPS / (time.process_time() - began)


@njit(nogil=True)
def step_books(cursors, dues, segments, events, bodies, levels, bests, out, throttle):
    """Take each lane's book to its next decision: the least that a step must do."""
    size = levels.shape[2]
    taken = 0
    for lane in range(len(cursors)):
        book, best = levels[lane], bests[lane]
        cursor, end = cursors[lane], segments[lane, 1]
        while True:
            if cursor >= end:
                cursor = segments[lane, 0]
                dues[lane] = 0
            kind, side, index = events[5 * cursor], events[5 * cursor + 1], events[5 * cursor + 2]
            quantity, at = events[5 * cursor + 3], events[5 * cursor + 4]
            cursor += 1
            taken += 1
            if kind == SNAPSHOT:
                book[:] = 0
                middle = quantity + 2 + 2 * bodies[quantity]
                for place in range(quantity + 2, middle, 2):
                    book[0, bodies[place]] = bodies[place + 1]
                for place in range(middle, middle + 2 * bodies[quantity + 1], 2):
                    book[1, bodies[place]] = bodies[place + 1]
                best[0] = bodies[quantity + 2] if bodies[quantity] else -1
                best[1] = bodies[middle] if bodies[quantity + 1] else size
            elif kind in (DELTA, OWN_DELTA):
                book[side, index] += quantity
                step = 1 if side else -1
                if (index - best[side]) * step <= 0:
                    best[side] = index
                    while 0 <= best[side] < size and book[side, best[side]] == 0:
                        best[side] += step
            else:
                continue
            if at >= dues[lane]:
                dues[lane] = at + throttle
                break
        cursors[lane] = cursor
        out[lane, 0] = best[0]
        out[lane, 1] = best[1]
    return taken


def books_limit(joined: Joined) -> tuple[float, float]:
    """Give the steps by second of lanes that keep books only, and the events of a step."""
    random = np.random.default_rng(1)
    segments = joined.segments[random.integers(len(joined.segments), size=LANES)]
    levels = np.zeros((LANES, 2, joined.grid_size), np.int64)
    state = (segments[:, 0].copy(), np.zeros(LANES, np.int64), segments, joined.events,
             joined.bodies, levels, np.zeros((LANES, 2), np.int64))  # fmt: skip
    out = np.empty((LANES, 2), np.float32)
    for _ in range(WARM_UP):
        step_books(*state, out, CONFIG.throttle)
    taken, began = 0, time.process_time()
    for _ in range(STEPS):
        taken += step_books(*state, out, CONFIG.throttle)
    return LANES * STEPS / (time.process_time() - began), taken / (LANES * STEPS)


@njit(nogil=True)
def copy_rows(table, cursors, rows):
    """Give each lane the next row that is there."""
    for lane in range(len(cursors)):
        rows[lane] = table[cursors[lane]]
        cursors[lane] = (cursors[lane] + 1) % len(table)


def rows_limit() -> float:
    """Give the steps by second of lanes that copy rows only."""
    random = np.random.default_rng(1)
    table = random.random((36_000, ROW_SIZE), dtype=np.float32)
    cursors = random.integers(len(table), size=LANES)
    copy_rows(table, cursors, np.empty((LANES, ROW_SIZE), np.float32))
    began = time.process_time()
    for _ in range(STEPS):
        copy_rows(table, cursors, np.empty((LANES, ROW_SIZE), np.float32))
    return LANES * STEPS / (time.process_time() - began)


def main() -> None:
    """Measure and print."""
    name, segments = day_in_pieces()
    joined = join(segments)
    actions = random_actions(segments)
    held = [np.zeros(LANES, np.int64)] * STEPS
    takes: dict[str, Callable[[], float]] = {
        "env": lambda: play(segments, actions),
        "env_choosing": lambda: play_choosing(segments),
        "env_holding": lambda: play(segments, held),
        "book_limit": lambda: books_limit(joined)[0],
        "row_limit": rows_limit,
    }
    books_limit(joined)
    found: dict[str, list[float]] = {name: [] for name in takes}
    for _ in range(ROUNDS):
        for what, take in takes.items():
            found[what].append(take())
    rates = {what: statistics.median(taken) for what, taken in found.items()}
    print(f"machine: {machine()}")
    print(f"day: {name}, {len(segments)} pieces, {LANES} lanes")
    print(f"events_per_step {books_limit(joined)[1]:.2f} events")
    for what, rate in rates.items():
        print(f"{what} {rate:.0f} steps/s")
    print(f"env_acting {sum(int((a > 0).sum()) for a in actions) / LANES / STEPS:.2f} share")
    print(f"env_of_book_limit {rates['env'] / rates['book_limit']:.3f} ratio")
    print(f"env_holding_of_book_limit {rates['env_holding'] / rates['book_limit']:.3f} ratio")
    print(f"env_of_row_limit {rates['env'] / rates['row_limit']:.3f} ratio")
    print_steppers(rates["env"])


if __name__ == "__main__":
    main()
