"""The beginning of an episode: everything laid out as if nothing had ever happened."""

from collections.abc import Sequence

from kalshiflow.agent.layout import (
    BUDGET,
    FEE_DENOMINATOR,
    ORDER_QUANTITY,
    STATUS,
    TAKER_QUARTERS,
    forget,
)
from kalshiflow.learning.lanes.layout import (
    CURSOR,
    END,
    FILL_ROOM,
    GRID,
    LANE_SIZE,
    PEAK,
    SEED,
    SEGMENT_CLOSE_TIME,
    SEGMENT_FEE_DENOMINATOR,
    SEGMENT_FIRST,
    SEGMENT_GRID,
    SEGMENT_GRID_SIZE,
    SEGMENT_HAS_TRADES,
    SEGMENT_LAST,
    SEGMENT_MAKER_QUARTERS,
    SEGMENT_STATUS,
    SEGMENT_TAKER_QUARTERS,
    TERM_BUDGET,
    TERM_MODEL,
    TERM_QUANTITY,
    VALUE,
    Floats,
    Numbers,
)
from kalshiflow.simulator.state import STATUS as MARKET_STATUS
from kalshiflow.simulator.state import begin as begin_market
from kalshiflow.simulator.told import COUNT


def begin(
    lane: Numbers,
    seen: Numbers,
    flows: Floats,
    market: Numbers,
    told: Numbers,
    terms: Sequence[int],
    segment: Sequence[int],
    seed: int,
) -> None:
    """Lay out a new episode: nothing seen, nothing held, and the whole budget as cash."""
    for position in range(LANE_SIZE):
        lane[position] = 0
    lane[CURSOR] = segment[SEGMENT_FIRST]
    lane[END] = segment[SEGMENT_LAST]
    lane[GRID] = segment[SEGMENT_GRID]
    lane[SEED] = seed
    lane[VALUE] = terms[TERM_BUDGET]
    lane[PEAK] = terms[TERM_BUDGET]
    begin_market(
        market,
        segment[SEGMENT_GRID_SIZE],
        terms[TERM_BUDGET],
        terms[TERM_MODEL],
        segment[SEGMENT_HAS_TRADES],
        segment[SEGMENT_TAKER_QUARTERS],
        segment[SEGMENT_MAKER_QUARTERS],
        segment[SEGMENT_FEE_DENOMINATOR],
        FILL_ROOM,
    )
    market[MARKET_STATUS] = segment[SEGMENT_STATUS]
    forget(seen, flows, segment[SEGMENT_GRID_SIZE], segment[SEGMENT_CLOSE_TIME])
    seen[STATUS] = segment[SEGMENT_STATUS]
    seen[BUDGET] = terms[TERM_BUDGET]
    seen[ORDER_QUANTITY] = terms[TERM_QUANTITY]
    seen[TAKER_QUARTERS] = segment[SEGMENT_TAKER_QUARTERS]
    seen[FEE_DENOMINATOR] = segment[SEGMENT_FEE_DENOMINATOR]
    told[COUNT] = 0
