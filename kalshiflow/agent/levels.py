"""One side of a book read into a few numbers: pure functions over flat lists by grid index.

The same arithmetic as `formulas`, of which this is the part that walks the levels.
"""

from collections.abc import Sequence

DOLLAR = 10_000
BAND = 1_000  # the book is read down to ten cents behind the best price

Shape = tuple[int, int, int, int, int, int, int, int, int, int, int, int, int]


def best_without_own(
    levels: Sequence[int], start: int, step: int, own_index: int, own_quantity: int
) -> int:
    """Give the index of the best level once one's own resting quantity is taken away.

    -1 or the length of the grid where nothing is left; `step` is -1 for bids and 1 for asks.
    """
    if start != own_index or levels[start] > own_quantity:
        return start
    size = len(levels)
    index = start + step
    while 0 <= index < size and levels[index] == 0:
        index = index + step
    return index


def side_shape(
    prices: Sequence[int],
    levels: Sequence[int],
    start: int,
    step: int,
    own_index: int,
    own_quantity: int,
) -> Shape:
    """Read one side of the book from its best level to ten cents behind it.

    Gives: the best level's index and price (an end of the grid, and 0 or 1 dollar, where the side
    is empty), the quantity in the first 1, 3 and 5 levels, within 2, 5 and 10 cents, the distance
    of the second and the third level, the number of levels, and the sums of price times quantity
    over three levels and of distance times quantity over all.
    """
    size = len(levels)
    index = start
    found = 0
    best_index = start
    best = 0 if step < 0 else DOLLAR
    first = top3 = top5 = near = middle = far = worth3 = spread_out = 0
    second = third = BAND
    while 0 <= index < size:
        price = prices[index]
        quantity = levels[index]
        if index == own_index:
            quantity = max(quantity - own_quantity, 0)
        distance = 0
        if found > 0:
            distance = (price - best) * step
            if distance > BAND:
                break
        if quantity > 0:
            found = found + 1
            far = far + quantity
            if distance <= 500:
                middle = middle + quantity
                if distance <= 200:
                    near = near + quantity
            spread_out = spread_out + distance * quantity
            if found <= 5:
                top5 = top5 + quantity
                if found <= 3:
                    top3 = top3 + quantity
                    worth3 = worth3 + price * quantity
                    if found == 1:
                        best_index = index
                        best = price
                        first = quantity
                    elif found == 2:
                        second = distance
                    else:
                        third = distance
        index = index + step
    if found == 0:
        best_index = index
    return (
        best_index, best, first, top3, top5, near, middle, far, second, third, found, worth3,
        spread_out,
    )  # fmt: skip
