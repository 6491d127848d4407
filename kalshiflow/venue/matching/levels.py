"""The levels of a recorded book by the places of its price grid."""

from kalshiflow.market.events import Levels, Side
from kalshiflow.market.listing import PriceGrid
from kalshiflow.simulator.overlay import Overlay


def sizes_of(levels: Levels, grid: PriceGrid) -> list[int]:
    """Give the quantity at each price of a grid."""
    sizes = [0] * len(grid)
    for price, quantity in levels:
        sizes[grid.index(price)] = quantity
    return sizes


def is_best(overlay: Overlay, side: Side, index: int) -> bool:
    """Say whether nothing recorded is shown at a better price of a side."""
    recorded, taken = overlay.recorded[side], overlay.taken[side]
    better = range(index + 1, len(recorded)) if side is Side.BID else range(index)
    return all(recorded[place] == taken[place] for place in better)


def on_grid(old: Overlay, grid: PriceGrid) -> Overlay:
    """Give an overlay with the same quantities on a grid that has all of its prices."""
    new = Overlay(grid, old.model)
    for side in Side:
        for price, recorded, taken in zip(
            old.grid.prices, old.recorded[side], old.taken[side], strict=True
        ):
            new.recorded[side][grid.index(price)] = recorded
            new.taken[side][grid.index(price)] = taken
    return new
