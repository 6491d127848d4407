"""How far back in its level's queue a resting order stands: pure rules over five whole numbers.

What stands ahead of an order is recorded volume of its own level. Three things move it:

- a public trade at its price eats it from the front, and what gets past it reaches the order;
- a decrease of the level that no trade explains is taken for a cancel: the model says where in the
  queue it was (`pessimistic`: behind the order; `realistic`: anywhere, in proportion; `optimistic`:
  ahead of it);
- an increase stands behind the order.

A trade and the decrease it causes come as two events in either order, and are paired for
`PAIRING` of market time. Where a recording holds no trades, a decrease of the best level may be
one: `optimistic` infers that all of it is, `realistic` half of it, `pessimistic` nothing.

The numbers stand in any flat list from `base` on; `level` is always the volume of the others shown
there. The same rules serve the simulator, the venue's replay and the observation of one's queue.
"""

from collections.abc import MutableSequence, Sequence

# Positions from `base` on.
AHEAD = 0  # volume ahead of the order, before it is bounded by what the level holds
TRADED = 1  # traded at its price, the decrease of which has not come yet
DECREASED = 2  # decreased without a trade so far
REDUCED = 3  # what of AHEAD that decrease took away
PAIRED_AT = 4  # when one of them changed last
QUEUE_SIZE = 5

PAIRING = 1_000_000_000

INFERRED_PART = 2  # of how many such contracts one was traded; no recording tells it yet

Numbers = MutableSequence[int]


def join(queue: Numbers, base: int, level: int, at: int) -> None:
    """Stand at the end of a level that holds `level`."""
    queue[base + AHEAD] = level
    queue[base + TRADED] = 0
    queue[base + DECREASED] = 0
    queue[base + REDUCED] = 0
    queue[base + PAIRED_AT] = at


def ahead(queue: Sequence[int], base: int, level: int) -> int:
    """Give the volume ahead of the order while its level holds `level`."""
    return min(queue[base + AHEAD], level)


def on_increase(queue: Numbers, base: int, level_before: int) -> None:
    """Take in that somebody joined the level, behind the order."""
    gone = queue[base + AHEAD] - level_before
    if gone > 0:
        # It left with a decrease, the trade of which may still come.
        queue[base + AHEAD] = level_before
        queue[base + REDUCED] = min(queue[base + REDUCED] + gone, queue[base + DECREASED])


def on_trade(queue: Numbers, base: int, level: int, quantity: int, reached: int, at: int) -> int:
    """Take in a public trade of `quantity` at the order's price; give what gets past its queue.

    `reached` is what of the trade is left when it comes to this order, orders of our own that stand
    before it served.
    """
    _forget(queue, base, at)
    # What decreased without a trade may all be trades that are told one by one: it still counts.
    level += queue[base + DECREASED] - queue[base + REDUCED]
    explained = min(quantity, queue[base + DECREASED])
    gave_way = min(explained, queue[base + REDUCED])  # a trade takes from the front
    queue[base + DECREASED] -= explained
    queue[base + REDUCED] -= gave_way
    queue[base + TRADED] += quantity - explained
    queue[base + PAIRED_AT] = at
    before = min(queue[base + AHEAD], level)
    eaten = min(max(reached - gave_way, 0), before)
    queue[base + AHEAD] = before - eaten
    return max(reached - gave_way - eaten, 0)


def on_decrease(
    queue: Numbers,
    base: int,
    level_before: int,
    decrease: int,
    model: int,
    is_trade: bool,
    at: int,
) -> int:
    """Take in that the level lost `decrease`; give what of an inferred trade gets past the queue.

    `is_trade` says that the recording tells no trades and this is the best level of its side.
    """
    _forget(queue, base, at)
    if is_trade and model > 0:
        return _infer_trade(queue, base, level_before, decrease, model)
    explained = min(decrease, queue[base + TRADED])
    queue[base + TRADED] -= explained
    left = decrease - explained
    if left > 0:
        before = min(queue[base + AHEAD], level_before)
        reduced = 0
        if model == 1 and level_before > 0:
            reduced = before * left // level_before
        elif model == 2:
            reduced = min(before, left)
        if reduced > 0:
            queue[base + AHEAD] = before - reduced
        queue[base + DECREASED] += left
        queue[base + REDUCED] += reduced
        queue[base + PAIRED_AT] = at
    return 0


def lost_with(filled: int, model: int) -> int:
    """Give of how large a decrease so much would be inferred to be a trade."""
    return filled * INFERRED_PART if model == 1 else filled


def _infer_trade(queue: Numbers, base: int, level_before: int, decrease: int, model: int) -> int:
    traded = decrease if model == 2 else decrease // INFERRED_PART
    before = min(queue[base + AHEAD], level_before)
    eaten = min(traded, before)
    left, level = before - eaten, level_before - traded
    if level > 0:
        left -= left * (decrease - traded) // level
    queue[base + AHEAD] = left
    return traded - eaten


def _forget(queue: Numbers, base: int, at: int) -> None:
    if at - queue[base + PAIRED_AT] > PAIRING:
        queue[base + TRADED] = 0
        queue[base + DECREASED] = 0
        queue[base + REDUCED] = 0
