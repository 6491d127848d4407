"""Where everything of an episode stands: one market played by one account, in flat lists.

- `lane`: whole numbers of the episode itself, at the positions below;
- `seen` and `flows`: what the policy sees, see `agent.layout`;
- `market`: what the simulator holds, see `simulator.state`;
- `prices`: those of the market's grid;
- `told` and `asked`: room for what the simulator tells and for what an action comes to;
- `terms`: how episodes are played, at the positions below;
- `delays`: for how much market time commands are on their way, one of them drawn for each decision;
- `weights`: the reward's, see `agent.reward`;
- `segment`: what is to be known of a segment, at the positions below;
- `events` and `bodies`: recorded events as in `market.flat`, EVENT_SIZE numbers for each.
"""

from collections.abc import MutableSequence

from kalshiflow.agent.action import ACTION_COUNT
from kalshiflow.simulator import state

Numbers = MutableSequence[int]
Floats = MutableSequence[float]

# --- positions in `lane` -------------------------------------------------------------------------
CURSOR = 0  # number of the next event
END = 1  # number of the first event that is not of the segment
NOW = 2  # market time of this decision
DUE = 3  # market time from which on the next may be
BEGAN = 4  # market time of the first
VALUE = 5  # of the account, at this decision
PEAK = 6  # the highest value so far
FALL = 7  # the largest drawdown so far
ENDING = 8  # how the episode ended: below
STEPS = 9
REFUSALS = 10  # forbidden choices, which became HOLD
TOLD_FILLS = 11  # of the fills, those that the policy has been told of
FILLS = 12  # of the episode
PAID = 13  # fees of the episode
GRID = 14  # which of the grids is the market's
SEED = 15  # of the order in which delays are drawn
DONE_AT = 16  # how often each action was done
LANE_SIZE = DONE_AT + ACTION_COUNT

# How an episode ended.
GOES_ON = 0
SETTLED = 1
RAN_OUT = 2  # the segment has no more events
TIME_LIMIT = 3
IMPOSSIBLE = 4  # a recorded change that cannot be true

# --- positions in `terms` ------------------------------------------------------------------------
TERM_BUDGET = 0
TERM_QUANTITY = 1
TERM_THROTTLE = 2
TERM_LONGEST = 3  # 0: no limit
TERM_MODEL = 4
TERM_DELAYS = 5  # how many delays there are to draw from
TERMS_SIZE = 6

# --- positions in `segment` ----------------------------------------------------------------------
SEGMENT_FIRST = 0  # number of its first event
SEGMENT_LAST = 1  # number of the first event behind it
SEGMENT_GRID = 2  # which of the grids is its market's
SEGMENT_GRID_SIZE = 3
SEGMENT_CLOSE_TIME = 4  # -1 where unknown
SEGMENT_STATUS = 5
SEGMENT_HAS_TRADES = 6
SEGMENT_TAKER_QUARTERS = 7
SEGMENT_MAKER_QUARTERS = 8
SEGMENT_FEE_DENOMINATOR = 9
SEGMENT_SIZE = 10

# --- positions in `events`, from the event's first number on -------------------------------------
EVENT_KIND, EVENT_SIDE, EVENT_INDEX, EVENT_QUANTITY, EVENT_AT = 0, 1, 2, 3, 4
EVENT_SIZE = 5

FILL_ROOM = 64  # fills between two decisions that can still be told one by one


def market_size(grid_size: int) -> int:
    """Give the length of `market`."""
    return state.market_size(grid_size, FILL_ROOM)
