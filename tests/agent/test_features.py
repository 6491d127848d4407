"""The table of the observation: complete, versioned, and without a number that says nothing new."""

import hashlib
import random
import struct
from pathlib import Path

import numpy as np
import pytest
from market_life import MARKET, SECOND, START, life

from kalshiflow.agent import layout
from kalshiflow.agent.account import MarketAccount, OwnOrder
from kalshiflow.agent.features import (
    FEATURES,
    OBSERVATION_SIZE,
    OBSERVATION_VERSION,
    Group,
    observation_text,
)
from kalshiflow.agent.formulas import observe
from kalshiflow.agent.observation import MarketObserver
from kalshiflow.agent.observation_page import observation_page
from kalshiflow.market.events import BookDelta, Side
from kalshiflow.market.listing import CENT_GRID
from kalshiflow.market.position import Position
from kalshiflow.market.units import Cash, Price, Quantity

NAMES = [feature.name for feature in FEATURES]

# Those that are told to combine others.
COMBINED = ("microprice", "exit_share")


def test_the_table_has_26_10_11_and_5_features_of_distinct_names():
    count = {group: sum(f.group is group for f in FEATURES) for group in Group}
    assert list(count.values()) == [26, 10, 11, 5]
    assert len(set(NAMES)) == len({f.formula for f in FEATURES}) == OBSERVATION_SIZE


def test_each_feature_tells_its_formula_range_unit_and_source():
    for feature in FEATURES:
        assert all((feature.formula, feature.unit, feature.source)), feature.name
        assert (feature.low, feature.high) in ((-1, 1), (0, 1)), feature.name


def test_the_page_is_generated_from_the_table():
    page = Path(__file__).parents[2] / "docs" / "observation.md"
    assert page.read_text() == observation_page()


def owner(rng, observer):
    """Make an account by chance: something held, something resting, something in the past."""
    account = MarketAccount(Cash(100_000_000))
    held = rng.choice((0, 300, 900, 4_000, 12_000, -500, -2_000, -9_000))
    yes = rng.randrange(4_000, 5_800)
    cost = abs(held) * (yes if held > 0 else 10_000 - yes)
    gained, paid = rng.randrange(-(10**7), 10**7), rng.randrange(10**7)
    money = Position(Quantity(held), Cash(cost), Cash(gained), Cash(paid))
    account.hold(money, START + rng.randrange(100) * SECOND)
    account.reserved = Cash(rng.randrange(10**7))
    account.order_sent(Quantity(1_000), START + rng.randrange(100) * SECOND)
    account.order_filled(Quantity(rng.randrange(1_000)), money, START)
    bid, ask = observer.touch()
    if bid is not None and rng.random() < 0.7:
        price = Price(max(bid - 100 * rng.randrange(4), 100))
        account.order_rests(OwnOrder(Side.BID, price, Quantity(rng.randrange(1, 1_000)), START))
    if ask is not None and rng.random() < 0.7:
        price = Price(min(ask + 100 * rng.randrange(4), 9_900))
        account.order_rests(OwnOrder(Side.ASK, price, Quantity(rng.randrange(1, 1_000)), START))
    return account


def rows_of_a_life():
    rng, observer, rows = random.Random(9), MarketObserver(MARKET), []
    for event in life():
        observer.apply(event)
        now = event.stamp.market_time + rng.randrange(SECOND)
        rows.append(observer.observe(owner(rng, observer), now))
    return rows


def test_the_formulas_give_the_numbers_of_their_version():
    # Where a formula changes on purpose, OBSERVATION_VERSION goes up and these are renewed.
    packed = b"".join(struct.pack("52d", *row) for row in rows_of_a_life())
    assert OBSERVATION_VERSION == 2
    assert hashlib.sha256(packed).hexdigest()[:16] == "ce031c3723f382a5"
    assert hashlib.sha256(observation_text().encode()).hexdigest()[:16] == "85e94bff34185bcf"


def test_no_number_is_constant_or_the_twin_of_another():
    rows = np.array(rows_of_a_life())
    assert [NAMES[i] for i in range(OBSERVATION_SIZE) if np.ptp(rows[:, i]) < 0.01] == []
    ranks = rows.argsort(axis=0).argsort(axis=0).astype(float)
    for table in (rows, ranks):
        alike = np.abs(np.corrcoef(table.T)) - np.eye(OBSERVATION_SIZE)
        where = np.unravel_index(alike.argmax(), alike.shape)
        assert alike.max() < 0.98, [NAMES[i] for i in where]


def scene():
    """Give a market in which every number speaks, and the moment at which it is looked at."""
    rng = random.Random(4)
    size, prices = len(CENT_GRID), CENT_GRID.prices
    seen, flows = [0] * layout.seen_size(size), [0.0] * layout.FLOWS_SIZE
    layout.forget(seen, flows, size, START + 700 * SECOND)
    for side, cents in ((0, (47, 45, 43, 42, 41, 40, 39, 38, 30)),
                        (1, (50, 52, 54, 55, 56, 58, 59, 60, 71))):  # fmt: skip
        for place, one in enumerate(cents):
            quantity = rng.randrange(20_000_000, 90_000_000) * (3 if place == 5 else 1)
            seen[layout.BOOK + side * size + one - 1] = quantity
            seen[layout.TOTAL + side] += quantity
        own = layout.OWN_ASK if side else layout.OWN_BID
        seen[own + layout.OWN_INDEX] = cents[2] - 1
        seen[own + layout.OWN_QUANTITY] = 3_000_000 + side * 10**6
        seen[own + layout.OWN_QUEUE] = 9_000_000 + side * 10**6
        seen[(layout.BEST_ASK if side else layout.BEST_BID)] = cents[0] - 1
    seen[layout.READY] = 2
    seen[layout.MID2] = prices[46] + prices[49]
    seen[layout.BUCKET] = START // 250_000_000
    for name, seconds in (("TRADED", 7), ("MOVED", 3), ("CHANGED", 2), ("HELD_SINCE", 40),
                          ("ORDERED_AT", 6)):  # fmt: skip
        seen[getattr(layout, name)] = START - seconds * SECOND
    for position in range(layout.RING, layout.RING + layout.RING_SIZE):
        seen[position] = seen[layout.MID2] + rng.randrange(-500, 500)
    seen[layout.LAST_PRICE], seen[layout.LAST_SIGNED] = 5_000, -7_000
    flows[:] = [40.0, 90.0, -300.0, 200.0, 8.0, 6.0, seen[layout.MID2] + 300.0]
    # What is held would take just the first four levels, its own order's part left out.
    held = sum(seen[layout.BOOK + cents - 1] for cents in (47, 45, 43, 42)) - 3_000_000
    account = (10**12, held, held * 4_900, -(10**11), 10**10, 2 * 10**10)
    seen[layout.BUDGET : layout.BUDGET + 6] = account
    seen[layout.ORDERED], seen[layout.FILLED] = 1_000_000, 400_000
    return seen, flows, prices


def small_changes():
    """Give ways to change a scene: each number a little, and the whole book by a cent."""
    seen, flows, _ = scene()
    fixed = {
        layout.SIZE,
        layout.BEST_BID,
        layout.BEST_ASK,
        layout.STATUS,
        layout.READY,
        layout.BUCKET,
        layout.BUDGET,
        layout.LAST_PRICE,
        layout.OWN_BID,
        layout.OWN_ASK,
        layout.TOTAL,
        layout.TOTAL + 1,
    }
    for position in range(len(seen)):
        if seen[position] and position not in fixed:
            step = max(abs(seen[position]) // 10**6, 1)
            step = SECOND // 10**5 if seen[position] > 10**15 else step
            yield lambda s, _f, p=position, by=step: add(s, p, by)
    for position in range(layout.FLOWS_SIZE):
        yield lambda _s, f, p=position: f.__setitem__(p, f[p] * (1 + 1e-6))
    for cents in (37, 46, 57, 51):  # a level more, or a nearer second one
        place = layout.BOOK + cents - 1 + (seen[layout.SIZE] if cents > 48 else 0)
        yield lambda s, _f, p=place: add(s, p, 1)
    yield lambda s, _f: s.__setitem__(layout.POSITION, s[layout.POSITION] - 100)
    yield lambda s, _f: s.__setitem__(layout.LAST_PRICE, s[layout.LAST_PRICE] + 1)
    yield lambda s, _f: s.__setitem__(layout.OWN_BID, s[layout.OWN_BID] - 2)
    yield lambda s, _f: move_asks(s)
    yield lambda s, _f: (move_asks(s), move_bids(s))


def add(seen, position, step):
    seen[position] += step
    if position >= layout.BOOK:
        seen[layout.TOTAL + (position >= layout.BOOK + seen[layout.SIZE])] += step


def move_asks(seen):
    first = layout.BOOK + seen[layout.SIZE]
    seen[first:] = [0, *seen[first:-1]]
    seen[layout.BEST_ASK] += 1
    seen[layout.OWN_ASK] += 1


def move_bids(seen):
    end = layout.BOOK + seen[layout.SIZE]
    seen[layout.BOOK : end] = [0, *seen[layout.BOOK : end - 1]]
    seen[layout.BEST_BID] += 1
    seen[layout.OWN_BID] += 1


def effects():
    """Give, for each small change, by how much each feature moves, all of them to one scale."""
    seen, flows, prices = scene()
    before = [0.0] * OBSERVATION_SIZE
    observe(seen, flows, prices, START, before)
    rows = []
    for change in small_changes():
        one, other, after = list(seen), list(flows), [0.0] * OBSERVATION_SIZE
        change(one, other)
        observe(one, other, prices, START, after)
        rows.append(np.subtract(after, before))
    moved = np.array(rows)
    moved = moved / np.maximum(np.abs(moved).max(axis=1, keepdims=True), 1e-300)
    return moved / np.maximum(np.linalg.norm(moved, axis=0), 1e-300)


def least_of(moved):
    return np.linalg.svd(moved, compute_uv=False)[-1]


def test_none_of_the_numbers_is_a_function_of_the_others_but_those_that_say_so():
    moved = effects()
    own = [i for i, name in enumerate(NAMES) if name not in COMBINED]
    assert least_of(moved[:, own]) > 1e-3


@pytest.mark.parametrize("name", COMBINED)
def test_those_that_combine_others_do(name):
    moved = effects()
    own = [i for i, one in enumerate(NAMES) if one not in COMBINED or one == name]
    assert least_of(moved[:, own]) < 1e-3


def test_the_life_that_is_looked_at_is_a_market_as_any():
    events = life()
    assert sum(isinstance(event, BookDelta) for event in events) > 300
