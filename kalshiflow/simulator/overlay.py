"""One's own fills laid over a recorded book, so that what was taken stays taken.

Per level there are two figures: `recorded`, which follows the recording, and `taken`, which one's
own fills made of it. What anyone sees is `shown = recorded - taken`, and what is published are
changes of `shown`. An increase in the recording adds to `recorded` only. A decrease lowers
`recorded`; who left then, the others or the contracts already taken, is the assumption:

- pessimistic: the others left first, so `taken = min(taken, recorded)`;
- optimistic: the decrease comes out of `taken` first;
- realistic: `taken` falls by its share of the level, rounded down.

Snapshots in the middle of a recording (periodic ones, seams) are differences like any other: they
do not reset `taken`. One's own resting orders are no part of this: they lie on top.

The functions work on flat lists of integers by grid index and on small integers for the side (0
bid, 1 ask) and the assumption, so that they can be compiled as they stand.
"""

from collections.abc import MutableSequence, Sequence
from enum import IntEnum

from kalshiflow.market.events import Side
from kalshiflow.market.listing import PriceGrid


class FillModel(IntEnum):
    """Who leaves a level first when the recording shows a decrease."""

    PESSIMISTIC = 0
    REALISTIC = 1
    OPTIMISTIC = 2


Change = tuple[Side, int, int]
Numbers = MutableSequence[int]


class OverlayError(ValueError):
    """A recorded change that would leave a level below zero."""


def taken_after(recorded: int, taken: int, change: int, model: int) -> int:
    """Give what stays taken of a level after the recording changes it by `change`.

    `recorded` is the level before the change; needs 0 <= taken <= recorded and recorded + change
    >= 0, and gives a figure from 0 to recorded + change.
    """
    if change >= 0 or taken == 0:
        return taken
    left = recorded + change
    if model == 1:
        return taken - taken * -change // recorded
    if model == 2:
        taken = max(taken + change, 0)
    return min(taken, left)


def change_recorded(
    recorded: Numbers, level: int, taken: Numbers, taken_level: int, change: int, model: int
) -> int:
    """Apply a recorded change to one level in place and give the change of what is shown.

    `level` and `taken_level` are the level's places in the two lists, which may be one.
    """
    before = recorded[level] - taken[taken_level]
    taken[taken_level] = taken_after(recorded[level], taken[taken_level], change, model)
    recorded[level] += change
    return recorded[level] - taken[taken_level] - before


def take_shown(
    recorded: Numbers, level: int, taken: Numbers, taken_level: int, quantity: int
) -> int:
    """Take up to `quantity` of what one level shows, in place; give what was taken."""
    got = min(quantity, recorded[level] - taken[taken_level])
    taken[taken_level] += got
    return got


class Overlay:
    """The recorded and taken quantities of one market, on both sides of its YES book."""

    __slots__ = ("grid", "model", "recorded", "taken")

    def __init__(self, grid: PriceGrid, model: FillModel = FillModel.PESSIMISTIC) -> None:
        self.grid = grid
        self.model = model
        self.recorded: tuple[list[int], list[int]] = ([0] * len(grid), [0] * len(grid))
        self.taken: tuple[list[int], list[int]] = ([0] * len(grid), [0] * len(grid))

    def recorded_delta(self, side: Side, index: int, change: int) -> int:
        """Apply a recorded delta and give the change of what is shown.

        Raises `OverlayError`, and changes nothing, where the recorded level would go below zero.
        """
        if self.recorded[side][index] + change < 0:
            raise OverlayError(
                f"recorded {side.name.lower()} level {index} holds {self.recorded[side][index]} "
                f"and cannot change by {change}"
            )
        recorded, taken = self.recorded[side], self.taken[side]
        return change_recorded(recorded, index, taken, index, change, self.model)

    def recorded_snapshot(self, bids: Sequence[int], asks: Sequence[int]) -> list[Change]:
        """Apply a recorded snapshot, given as quantities by grid index.

        Gives (side, index, change of what is shown) for each level whose shown quantity changed:
        decreases first, so that applying them in order never crosses a book, and increases from the
        best price on, as those would meet one's own orders.
        """
        changes: list[Change] = []
        for side, quantities in ((Side.BID, bids), (Side.ASK, asks)):
            recorded, taken = self.recorded[side], self.taken[side]
            for index, quantity in enumerate(quantities):
                if quantity != recorded[index]:
                    change = quantity - recorded[index]
                    shown = change_recorded(recorded, index, taken, index, change, self.model)
                    if shown:
                        changes.append((side, index, shown))
        changes.sort(key=_turn)
        return changes

    def take(self, side: Side, index: int, quantity: int) -> int:
        """Take up to `quantity` of what is shown at one level; give what was taken."""
        return take_shown(self.recorded[side], index, self.taken[side], index, quantity)

    def shown_at(self, side: Side, index: int) -> int:
        """Give what one level shows."""
        return self.recorded[side][index] - self.taken[side][index]

    def shown(self, side: Side) -> list[int]:
        """Give what a side shows, by grid index."""
        return [
            recorded - taken
            for recorded, taken in zip(self.recorded[side], self.taken[side], strict=True)
        ]


def _turn(change: Change) -> tuple[bool, Side, int]:
    side, index, shown = change
    return shown > 0, side, index if side else -index
