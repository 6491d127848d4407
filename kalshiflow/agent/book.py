"""The public book as it stands in `seen`: what changes it, and what it cannot be.

Pure functions in the arithmetic that compiled and interpreted code share.
"""

from collections.abc import Sequence

from kalshiflow.agent.layout import BEST_ASK, BEST_BID, BOOK, SIZE, TOTAL, Numbers

FINE = 0
NEGATIVE = 1  # a level below zero; in a snapshot also one without quantity or out of order
CROSSED = 2


def set_book(seen: Numbers, bodies: Sequence[int], start: int) -> None:
    """Put the book of a snapshot's body, best level first, in place of the one there is."""
    size = seen[SIZE]
    for place in range(BOOK, BOOK + 2 * size):
        seen[place] = 0
    bids, asks = bodies[start], bodies[start + 1]
    first_ask = start + 2 + 2 * bids
    seen[TOTAL] = 0
    seen[TOTAL + 1] = 0
    for place in range(start + 2, first_ask, 2):
        seen[BOOK + bodies[place]] = bodies[place + 1]
        seen[TOTAL] += bodies[place + 1]
    for place in range(first_ask, first_ask + 2 * asks, 2):
        seen[BOOK + size + bodies[place]] = bodies[place + 1]
        seen[TOTAL + 1] += bodies[place + 1]
    seen[BEST_BID] = bodies[start + 2] if bids > 0 else -1
    seen[BEST_ASK] = bodies[first_ask] if asks > 0 else size


def change_level(seen: Numbers, side: int, index: int, change: int) -> None:
    """Change one level of the public book."""
    size = seen[SIZE]
    base = BOOK + size if side else BOOK
    step = 1 if side else -1
    after = seen[base + index] + change
    seen[base + index] = after
    seen[TOTAL + side] += change
    which = BEST_ASK if side else BEST_BID
    best = seen[which]
    if after > 0:
        if (index - best) * step < 0:
            seen[which] = index
    elif index == best:
        best = best + step
        while 0 <= best < size and seen[base + best] == 0:
            best = best + step
        seen[which] = best


def fault_of_change(seen: Sequence[int], side: int, index: int, change: int) -> int:
    """Say what of the book a change would make impossible: 0 nothing."""
    after = seen[BOOK + index + (seen[SIZE] if side else 0)] + change
    if after < 0:
        return NEGATIVE
    if after > 0 and (index <= seen[BEST_BID] if side else index >= seen[BEST_ASK]):
        return CROSSED
    return FINE


def fault_of_snapshot(bodies: Sequence[int], start: int) -> int:
    """Say what makes the body of a snapshot, best level first, impossible: 0 nothing."""
    bids, asks = bodies[start], bodies[start + 1]
    first_ask = start + 2 + 2 * bids
    for place in range(start + 2, first_ask, 2):
        if bodies[place + 1] <= 0 or (place > start + 2 and bodies[place] >= bodies[place - 2]):
            return NEGATIVE
    for place in range(first_ask, first_ask + 2 * asks, 2):
        if bodies[place + 1] <= 0 or (place > first_ask and bodies[place] <= bodies[place - 2]):
            return NEGATIVE
    if bids > 0 and asks > 0 and bodies[start + 2] >= bodies[first_ask]:
        return CROSSED
    return FINE
