"""The overlay's three assumptions on cases worked by hand, and its invariants on random streams."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalshiflow.market.events import Side
from kalshiflow.market.listing import PriceBand, PriceGrid
from kalshiflow.market.units import DOLLAR, Price
from kalshiflow.simulator.overlay import FillModel, Overlay, OverlayError, taken_after

GRID = PriceGrid((PriceBand(Price(0), DOLLAR, Price(1000)),))  # nine prices
LEVEL = 4


def overlay_with(recorded: int, taken: int, model: FillModel) -> Overlay:
    overlay = Overlay(GRID, model)
    overlay.recorded_delta(Side.ASK, LEVEL, recorded)
    assert overlay.take(Side.ASK, LEVEL, taken) == taken
    return overlay


@pytest.mark.parametrize(
    ("model", "recorded", "taken", "change", "taken_left", "shown_change"),
    [
        (FillModel.PESSIMISTIC, 10, 4, -5, 4, -5),  # six others are there, five of them leave
        (FillModel.PESSIMISTIC, 10, 4, -8, 2, -6),  # all six leave, then two that were taken
        (FillModel.PESSIMISTIC, 10, 10, -3, 7, 0),
        (FillModel.REALISTIC, 10, 4, -5, 2, -3),
        (FillModel.REALISTIC, 10, 4, -3, 3, -2),  # 1.2 of the taken leave, rounded down to 1
        (FillModel.REALISTIC, 10, 4, -10, 0, -6),
        (FillModel.OPTIMISTIC, 10, 4, -3, 1, 0),
        (FillModel.OPTIMISTIC, 10, 4, -5, 0, -1),
        (FillModel.OPTIMISTIC, 10, 10, -10, 0, 0),
        (FillModel.PESSIMISTIC, 10, 4, 6, 4, 6),
        (FillModel.REALISTIC, 10, 4, 6, 4, 6),
        (FillModel.OPTIMISTIC, 10, 4, 6, 4, 6),
    ],
)
def test_a_recorded_change_moves_what_is_shown_by_the_model(
    model: FillModel, recorded: int, taken: int, change: int, taken_left: int, shown_change: int
) -> None:
    overlay = overlay_with(recorded, taken, model)

    assert overlay.recorded_delta(Side.ASK, LEVEL, change) == shown_change
    assert overlay.taken[Side.ASK][LEVEL] == taken_left
    assert overlay.recorded[Side.ASK][LEVEL] == recorded + change


@pytest.mark.parametrize("model", list(FillModel))
def test_a_level_taken_again_and_again_fills_once_until_the_recording_refreshes_it(
    model: FillModel,
) -> None:
    overlay = Overlay(GRID, model)
    overlay.recorded_delta(Side.BID, LEVEL, 7)

    assert [overlay.take(Side.BID, LEVEL, 5) for _ in range(4)] == [5, 2, 0, 0]

    overlay.recorded_delta(Side.BID, LEVEL, 3)
    assert [overlay.take(Side.BID, LEVEL, 5) for _ in range(2)] == [3, 0]


def test_a_snapshot_that_repeats_the_recording_resets_nothing() -> None:
    overlay = overlay_with(10, 4, FillModel.PESSIMISTIC)
    asks = list(overlay.recorded[Side.ASK])

    assert overlay.recorded_snapshot([0] * len(GRID), asks) == []
    assert overlay.shown_at(Side.ASK, LEVEL) == 6


@pytest.mark.parametrize(
    ("model", "taken_left"),
    [(FillModel.PESSIMISTIC, 4), (FillModel.REALISTIC, 2), (FillModel.OPTIMISTIC, 0)],
)
def test_a_snapshot_that_shows_less_is_a_decrease_by_the_model(
    model: FillModel, taken_left: int
) -> None:
    overlay = overlay_with(10, 4, model)
    asks = [0] * len(GRID)
    asks[LEVEL] = 5

    overlay.recorded_snapshot([0] * len(GRID), asks)

    assert overlay.taken[Side.ASK][LEVEL] == taken_left
    assert overlay.shown_at(Side.ASK, LEVEL) == 5 - taken_left


def test_a_snapshot_gives_decreases_before_increases() -> None:
    overlay = overlay_with(10, 0, FillModel.PESSIMISTIC)
    bids = [0] * len(GRID)
    bids[LEVEL] = 3

    changes = overlay.recorded_snapshot(bids, [0] * len(GRID))

    assert changes == [(Side.ASK, LEVEL, -10), (Side.BID, LEVEL, 3)]


def test_a_snapshot_gives_increases_from_the_best_price_on() -> None:
    overlay = Overlay(GRID)
    bids, asks = [0] * len(GRID), [0] * len(GRID)
    bids[3] = bids[5] = asks[6] = asks[8] = 4

    changes = overlay.recorded_snapshot(bids, asks)

    assert changes == [(Side.BID, 5, 4), (Side.BID, 3, 4), (Side.ASK, 6, 4), (Side.ASK, 8, 4)]


def test_a_recorded_level_below_zero_is_refused_and_changes_nothing() -> None:
    overlay = overlay_with(10, 4, FillModel.PESSIMISTIC)

    with pytest.raises(OverlayError, match="holds 10 and cannot change by -11"):
        overlay.recorded_delta(Side.ASK, LEVEL, -11)
    assert overlay.shown(Side.ASK)[LEVEL] == 6


steps = st.one_of(
    st.tuples(st.just("delta"), st.integers(0, 8), st.integers(-30, 30)),
    st.tuples(st.just("take"), st.integers(0, 8), st.integers(1, 30)),
    st.tuples(st.just("snapshot"), st.integers(0, 8), st.integers(0, 30)),
)


@given(model=st.sampled_from(FillModel), script=st.lists(steps, max_size=60))
def test_no_stream_of_records_and_fills_shows_a_negative_level(
    model: FillModel, script: list[tuple[str, int, int]]
) -> None:
    overlay = Overlay(GRID, model)
    published = [0] * len(GRID)
    for kind, index, amount in script:
        if kind == "take":
            published[index] -= overlay.take(Side.BID, index, amount)
        elif kind == "delta":
            change = max(amount, -overlay.recorded[Side.BID][index])
            published[index] += overlay.recorded_delta(Side.BID, index, change)
        else:
            levels = [amount if i >= index else 0 for i in range(len(GRID))]
            for _, at, change in overlay.recorded_snapshot(levels, [0] * len(GRID)):
                published[at] += change

        assert published == overlay.shown(Side.BID)
        assert min(published) >= 0
        assert all(
            0 <= taken <= recorded
            for taken, recorded in zip(
                overlay.taken[Side.BID], overlay.recorded[Side.BID], strict=True
            )
        )


@given(
    recorded=st.integers(1, 1000),
    share=st.floats(0, 1),
    gone=st.floats(0, 1),
)
def test_the_models_keep_their_order_from_most_to_least_taken(
    recorded: int, share: float, gone: float
) -> None:
    taken, change = int(recorded * share), -int(recorded * gone)

    pessimistic, realistic, optimistic = (
        taken_after(recorded, taken, change, model)
        for model in (FillModel.PESSIMISTIC, FillModel.REALISTIC, FillModel.OPTIMISTIC)
    )

    assert pessimistic >= realistic >= optimistic >= 0
