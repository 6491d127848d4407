"""One side of a book read into a few numbers, one's own order left out.

Pure functions over flat lists, in the same arithmetic as `formulas`. The book is walked once per
side, from its best level to ten cents behind it.
"""

from collections.abc import Sequence

from kalshiflow.agent.layout import (
    BOOK,
    DOLLAR,
    OWN_ASK,
    OWN_BID,
    OWN_INDEX,
    OWN_QUANTITY,
    POSITION,
    SIZE,
    TOTAL,
)

BAND = 1_000  # ten cents
NEAR_BAND = 300  # three cents
CENT_STEPS = 10  # steps of a cent grid within the band

# Positions in a side as it was read; `read_side` tells the others.
BEST = 0  # index of the best level; an end of the grid where there is none
BEST_PRICE = 1  # its price; 0 or 1 dollar where there is none
FIRST = 2  # quantity of the best level

Reading = tuple[int, int, int, int, int, int, int, int, int, int, int, int]


def band_end(prices: Sequence[int], start: int, step: int, size: int) -> int:
    """Give the first index beyond ten cents behind the price at `start`, going by `step`."""
    price = prices[start]
    edge = 0 if step < 0 else size - 1
    if abs(prices[edge] - price) <= BAND:
        return edge + step
    reach = start + step * CENT_STEPS
    if 0 <= reach < size and abs(prices[reach] - price) == BAND:
        return reach + step  # on a grid of cents there is nothing to search
    inside = start
    outside = edge
    while abs(outside - inside) > 1:
        middle = (inside + outside) // 2
        if abs(prices[middle] - price) <= BAND:
            inside = middle
        else:
            outside = middle
    return outside


def read_side(seen: Sequence[int], prices: Sequence[int], side: int, start: int) -> Reading:
    """Read one side from its touch `start` on.

    Gives the best level's index and price; the quantity of the first level, the first three, the
    first five, within three cents of the best, within ten, and of the whole side; the distance to
    the second level (ten cents where none is that near); and within ten cents how many levels there
    are, the sum of price times quantity, and the quantity of the largest level.
    """
    size = seen[SIZE]
    own = OWN_ASK if side else OWN_BID
    base = BOOK + size if side else BOOK
    step = 1 if side else -1
    own_place = -1
    own_quantity = seen[own + OWN_QUANTITY]
    total = seen[TOTAL + side]
    if seen[own + OWN_INDEX] >= 0:
        own_place = base + seen[own + OWN_INDEX]
        total = total - min(own_quantity, seen[own_place])
    if start < 0 or start >= size:
        return (start, DOLLAR if side else 0, 0, 0, 0, 0, 0, total, BAND, 0, 0, 0)
    best = prices[start]
    end = band_end(prices, start, step, size)
    first = top_3 = top_5 = near = far = worth = wall = found = 0
    gap = BAND
    for place in range(base + start, base + end, step):
        quantity = seen[place]
        if not quantity:
            continue
        if place == own_place:
            quantity = quantity - own_quantity
            if quantity <= 0:
                continue
        price = prices[place - base]
        far = far + quantity
        worth = worth + price * quantity
        found = found + 1
        if quantity > wall:  # noqa: PLR1730 -- without a call
            wall = quantity
        if (price - best) * step <= NEAR_BAND:
            near = far
        if found <= 5:
            top_5 = far
            if found <= 3:
                top_3 = far
                if found == 1:
                    first = quantity
                elif found == 2:
                    gap = abs(price - best)
    return (start, best, first, top_3, top_5, near, far, total, gap, found, worth, wall)


def exit_walk(
    seen: Sequence[int], prices: Sequence[int], side: int, bid: int, ask: int
) -> tuple[int, int]:
    """Give what a side's levels would pay for all that is held, and how far behind the best price
    the last of them lies; -1 where the side does not take all, and the rest is paid nothing.
    """
    size = seen[SIZE]
    own = OWN_ASK if side else OWN_BID
    base = BOOK + size if side else BOOK
    step = 1 if side else -1
    index = ask if side else bid
    left = abs(seen[POSITION])
    worth = 0
    best = index
    while 0 <= index < size:
        quantity = seen[base + index]
        if index == seen[own + OWN_INDEX]:
            quantity = max(quantity - seen[own + OWN_QUANTITY], 0)
        taken = min(quantity, left)
        worth = worth + taken * (DOLLAR - prices[index] if side else prices[index])
        left = left - taken
        if left == 0:
            return worth, abs(prices[index] - prices[best])
        index = index + step
    return worth, -1
