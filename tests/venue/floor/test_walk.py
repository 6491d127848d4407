"""Random operations of several accounts: the floor does what a plain model does, step by step."""

import pytest
from floor_walk import FloorWalk
from overlay_walk import OverlayWalk

from kalshiflow.market.listing import CENT_GRID, decode_grid
from kalshiflow.simulator.overlay import FillModel

DECI_CENT_GRID = decode_grid([(0, 10_000, 10)])
REASONS = {
    "",
    "Trade",
    "Amend",
    "Decrease",
    "SelfTradeCancel",
    "ExpiryCancel",
    "HaltCancel",
    "PostOnlyCrossCancel",
    "ReduceOnlyCancel",
}


@pytest.mark.parametrize("seed", [1, 2])
def test_the_floor_does_what_the_plain_model_does_and_loses_nothing(seed: int) -> None:
    walk = FloorWalk(seed)

    for _ in range(2_500):
        walk.step()

    assert walk.reasons >= REASONS
    assert {"place FOK", "place IOC", "cancel all", "pause", "limit a group"} <= set(walk.counts)


@pytest.mark.parametrize("model", list(FillModel))
@pytest.mark.parametrize(
    ("grid", "has_trades"), [(CENT_GRID, True), (DECI_CENT_GRID, False)], ids=["cent", "deci"]
)
def test_a_recording_with_orders_of_ours_in_it_stays_true_to_both(
    grid, has_trades, model: FillModel
) -> None:
    walk = OverlayWalk(7, grid, model, has_trades=has_trades)

    for _ in range(2_000):
        walk.step()

    assert min(walk.fills.values()) > 20
