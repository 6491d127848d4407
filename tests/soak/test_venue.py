"""The long form of the venue's promises: its floor over many random operations."""

import pytest
from floor_walk import FloorWalk
from overlay_walk import OverlayWalk

from kalshiflow.market.listing import CENT_GRID, decode_grid
from kalshiflow.simulator.overlay import FillModel

pytestmark = pytest.mark.soak


@pytest.mark.parametrize("seed", range(100, 110))
def test_the_floor_does_what_the_plain_model_does_over_100_000_operations(seed: int) -> None:
    walk = FloorWalk(seed)

    for _ in range(10_000):
        walk.step()


@pytest.mark.parametrize("model", list(FillModel))
@pytest.mark.parametrize("seed", [100, 101])
def test_a_recording_and_our_orders_agree_over_100_000_steps(seed: int, model: FillModel) -> None:
    grid = CENT_GRID if seed % 2 else decode_grid([(0, 10_000, 10)])
    walk = OverlayWalk(seed, grid, model)

    for _ in range(17_000):
        walk.step()
