"""What an order meets in the book: pure rules over flat lists by grid index.

Assumptions. A marketable order takes what is shown, best level first, up to its limit, and no more:
nothing is refilled for it. What rests is filled only when the recording shows the other side at its
price or through it, for the quantity shown there: trades at its price do not fill it, so that the
queue ahead of it is taken to be endless. One's own fills change nothing else in the recording.
"""

from kalshiflow.market.events import Side
from kalshiflow.simulator.overlay import Overlay

Take = tuple[int, int]


def crossing_levels(recorded: list[int], taken: list[int], side: int, limit: int) -> list[int]:
    """Give the indices of the other side's shown levels that an order can trade with, best first.

    `recorded` and `taken` are the other side's; `side` (0 bid, 1 ask) and `limit` (a grid index)
    are the order's.
    """
    if side == 0:
        return [i for i in range(limit + 1) if recorded[i] > taken[i]]
    return [i for i in range(len(recorded) - 1, limit - 1, -1) if recorded[i] > taken[i]]


def take_liquidity(overlay: Overlay, side: Side, limit: int, quantity: int) -> list[Take]:
    """Take up to `quantity` from the levels that an order can trade with.

    Gives (grid index, quantity taken) per level and leaves the overlay changed.
    """
    other = side.other
    takes: list[Take] = []
    left = quantity
    for index in crossing_levels(overlay.recorded[other], overlay.taken[other], side, limit):
        if left == 0:
            break
        got = overlay.take(other, index, left)
        takes.append((index, got))
        left -= got
    return takes
