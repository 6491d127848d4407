"""Kalshi's names for the steps of a price grid (`price_level_structure`), and the grids they name.

A structure has one step in the centre and one at the edges, below 10 and above 90 cents; in
hundredths of a cent at the edges of tenths those begin at 1 and 99 cents.
"""

from functools import lru_cache

from kalshiflow.market.listing import PriceBand, PriceGrid
from kalshiflow.market.units import DOLLAR, Price, complement

# Name: the step in the centre, the step at the edges, and where the lower edge ends.
_STRUCTURES: dict[str, tuple[int, int, int]] = {
    "linear_cent": (100, 100, 0),
    "deci_cent": (10, 10, 0),
    "tapered_deci_cent": (100, 10, 1_000),
    "center_whole_edge_half_cent": (100, 50, 1_000),
    "center_whole_edge_quint_cent": (100, 20, 1_000),
    "center_half_edge_half_cent": (50, 50, 0),
    "center_half_edge_quint_cent": (50, 20, 1_000),
    "center_half_edge_deci_cent": (50, 10, 1_000),
    "center_quint_edge_quint_cent": (20, 20, 0),
    "center_quint_edge_deci_cent": (20, 10, 1_000),
    "center_centi_edge_centi_cent": (1, 1, 0),
    "center_deci_edge_centi_cent": (10, 1, 100),
}
STRUCTURES = tuple(_STRUCTURES)


@lru_cache(maxsize=len(_STRUCTURES))
def grid_named(name: str) -> PriceGrid:
    """Give the grid of a structure; raises `KeyError` for a name that is none."""
    centre, edge, border = _STRUCTURES[name]
    lower, upper = Price(border), complement(Price(border))
    if not border:
        return PriceGrid((PriceBand(Price(0), DOLLAR, Price(centre)),))
    return PriceGrid(
        (
            PriceBand(Price(0), lower, Price(edge)),
            PriceBand(lower, upper, Price(centre)),
            PriceBand(upper, DOLLAR, Price(edge)),
        )
    )


@lru_cache(maxsize=64)
def structure_name(grid: PriceGrid) -> str | None:
    """Give Kalshi's name for a grid's steps; `None` for one that has no name."""
    for name in _STRUCTURES:
        if grid_named(name).bands == grid.bands:
            return name
    return None
