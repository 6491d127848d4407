"""A random recording that could be true, and an account that does random things in it."""

import random

from simulated_play import ASK, BID, LATENCY, Play

from kalshiflow.market.flat import ACTIVE, INACTIVE

LOW, HIGH = 44, 55  # grid indices between which all happens
LONG = 2 * 10**9  # beyond this nothing is paired
GAPS = (0, 1, 10, 60, 10**6, LONG)


def random_play(rules, seed, *, steps=80, **terms):
    """Give a play after so many random steps; each has checked what must hold in it."""
    rng = random.Random(seed)
    play = Play(rules, **terms)
    play.snapshot(
        {index: rng.randrange(100, 900) for index in range(LOW, 49)},
        {index: rng.randrange(100, 900) for index in range(51, HIGH + 1)},
    )
    for _ in range(steps):
        others_do_something(play, rng)
        _we_do_something(play, rng)
    play.pass_time(play.now + 10 * LATENCY)
    return play


def others_do_something(play, rng, gaps=GAPS):
    """Let one true thing happen, after one of the gaps."""
    at = play.now + rng.choice(gaps)
    move = rng.random()
    if move < 0.45:
        _join(play, rng, at)
    elif move < 0.65:
        _leave(play, rng, at)
    elif move < 0.95:
        _trade(play, rng, at)
    elif move < 0.98:
        bids, asks = play.recorded
        play.snapshot(dict(bids), dict(asks), at)
    else:
        play.status(INACTIVE, at=at)
        play.status(ACTIVE)


def _join(play, rng, at):
    side = rng.choice((BID, ASK))
    bids, asks = play.recorded
    if side == BID:
        low, high = LOW, min(min(asks, default=HIGH + 1) - 1, HIGH)
    else:
        low, high = max(max(bids, default=LOW - 1) + 1, LOW), HIGH
    if low <= high:
        play.change(side, rng.randint(low, high), rng.randrange(1, 900), at)


def _leave(play, rng, at):
    side = rng.choice((BID, ASK))
    levels = play.recorded[side]
    if levels:
        index = rng.choice(sorted(levels))
        some = rng.choice((levels[index], rng.randint(1, levels[index])))
        play.change(side, index, -some, at)


def _trade(play, rng, at):
    """Let a taker eat the best level; its trade and the change come in either order."""
    taker = rng.choice((BID, ASK))
    levels = play.recorded[1 - taker]
    if not levels:
        return
    index = max(levels) if taker == ASK else min(levels)
    quantity = rng.choice((levels[index], rng.randint(1, levels[index])))
    is_told_first = rng.random() < 0.5
    if play.has_trades and is_told_first:
        play.trade(taker, index, quantity, at)
    play.change(1 - taker, index, -quantity, at)
    if play.has_trades and not is_told_first:
        play.trade(taker, index, quantity, at)


def _we_do_something(play, rng):
    latency = rng.choice((0, 1, LATENCY, 3 * LATENCY))
    move = rng.random()
    if move < 0.4:
        side, index = rng.choice((BID, ASK)), rng.randint(LOW, HIGH)
        play.send(side, index, rng.randrange(1, 1200), rests=rng.random() < 0.8, latency=latency)
    elif move < 0.6 and play.sent:
        play.cancel(rng.choice(sorted(play.sent)[-6:]), latency=latency)
