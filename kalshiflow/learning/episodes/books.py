"""The books that rows are checked against while they are cut, on flat numbers.

`books` is (states, levels, places, sizes): each market's state (`state`), the quantities of its
bids and asks by place in its grid, the place of every price in each grid (-1 off it), and the
number of each grid's prices.
"""

from collections.abc import Sequence
from typing import Any

from kalshiflow.learning.episodes.state import (
    ASKS,
    BEST_ASK,
    BEST_BID,
    BIDS,
    BODIES_MADE,
    GRID_NUMBER,
    GRID_SIZE,
    Numbers,
)

PLACES = 10_001  # prices from nothing to a dollar


def place_of(states: Numbers, places: Sequence[int], base: int, price: int) -> int:
    """Give a price's place in the market's grid: -1 off it, and for what is no price at all."""
    if price < 0 or price >= PLACES:
        return -1
    return places[states[base + GRID_NUMBER] * PLACES + price] + 0


def change_book(
    states: Numbers, levels: Numbers, base: int, side: int, index: int, change: int
) -> bool:
    """Change one level; say whether it could be, for no level holds less than nothing and the
    book is never crossed.
    """
    bids = states[base + BIDS]
    asks = states[base + ASKS]
    place = (asks if side else bids) + index
    size = levels[place] + change
    if size < 0:
        return False
    if size > 0 and side == 0:
        if index >= states[base + BEST_ASK]:
            return False
        states[base + BEST_BID] = max(index, states[base + BEST_BID])
    elif size > 0:
        if index <= states[base + BEST_BID]:
            return False
        states[base + BEST_ASK] = min(index, states[base + BEST_ASK])
    levels[place] = size
    if size == 0 and side == 0 and index == states[base + BEST_BID]:
        while index >= 0 and levels[bids + index] == 0:
            index = index - 1
        states[base + BEST_BID] = index
    elif size == 0 and side == 1 and index == states[base + BEST_ASK]:
        while index < states[base + GRID_SIZE] and levels[asks + index] == 0:
            index = index + 1
        states[base + BEST_ASK] = index
    return True


def replace_book(books: Any, base: int, bodies: Sequence[int], start: int) -> bool:
    """Have the book of a body, in prices, instead; say whether there can be such a book."""
    states, levels, places, _ = books
    size = states[base + GRID_SIZE]
    for index in range(size):
        levels[states[base + BIDS] + index] = 0
        levels[states[base + ASKS] + index] = 0
    states[base + BEST_BID] = -1
    states[base + BEST_ASK] = size
    bids = bodies[start]
    for level in range(bids + bodies[start + 1]):
        at = start + 2 + 2 * level
        index = place_of(states, places, base, bodies[at])
        side = 0 if level < bids else 1
        if index < 0 or bodies[at + 1] <= 0:
            return False
        if levels[states[base + (ASKS if side else BIDS)] + index]:
            return False
        if not change_book(states, levels, base, side, index, bodies[at + 1]):
            return False
    return True


def place_body(
    states: Numbers,
    places: Sequence[int],
    base: int,
    bodies: Sequence[int],
    start: int,
    out: Any,
    counts: Numbers,
) -> int:
    """Copy a body in prices as one in places; give its length."""
    made = counts[BODIES_MADE]
    body = out[7]
    first_place = states[base + GRID_NUMBER] * PLACES
    size = 2 + 2 * (bodies[start] + bodies[start + 1])
    body[made] = bodies[start]
    body[made + 1] = bodies[start + 1]
    for number in range(2, size, 2):
        body[made + number] = places[first_place + bodies[start + number]]
        body[made + number + 1] = bodies[start + number + 1]
    return size


def body_as_it_stands(
    states: Numbers, levels: Sequence[int], base: int, out: Any, counts: Numbers
) -> int:
    """Write the body of the market's book; give its length."""
    made = counts[BODIES_MADE]
    body = out[7]
    end = made + 2
    bids = states[base + BIDS]
    for index in range(states[base + BEST_BID], -1, -1):
        if levels[bids + index]:
            body[end] = index
            body[end + 1] = levels[bids + index]
            end = end + 2
    body[made] = (end - made - 2) // 2
    asks = states[base + ASKS]
    for index in range(states[base + BEST_ASK], states[base + GRID_SIZE]):
        if levels[asks + index]:
            body[end] = index
            body[end + 1] = levels[asks + index]
            end = end + 2
    body[made + 1] = (end - made - 2) // 2 - body[made]
    return end - made
