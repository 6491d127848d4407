"""Where each market stands while rows are cut into segments, on flat numbers.

`states` holds STATE_SIZE numbers for each market, `counts` tells how far rows are taken and room is
filled, `marks` has rows of numbers about segments: those that begun, those that ended.
"""

from typing import Any

from kalshiflow.market.flat import ACCOUNT, SNAPSHOT

Numbers = Any  # whole numbers, in a list or an array

RANKS = 8  # a key is RANKS times the frame number, plus the rank within the frame
LISTED, MISSED, REGRIDDED, HAPPENED, ACCOUNTED = 0, 1, 2, 3, 4
RECEIVED = 2  # the code of a time source: our own clock

# --- a market's state ----------------------------------------------------------------------------
IS_OPEN = 0  # a segment has begun, and its book can be trusted
GRID_NUMBER = 1
GRID_SIZE = 2
BIDS = 3  # where its bids stand in `levels`
ASKS = 4
BEST_BID = 5
BEST_ASK = 6
NOW = 7  # market time, which never runs backwards within a segment
IS_DATED = 8  # an exchange time is known
DATE = 9  # the first one known
UNDATED = 10  # events before it
COUNT = 11  # events of the segment
BODIES = 12  # numbers in their bodies
IS_PLAYABLE = 13  # the book changed before the market was settled
IS_SETTLED = 14
LAST_TIME = 15  # of the last event as it was told, its source and frame
LAST_SOURCE = 16
LAST_FRAME = 17
NUMBER = 18  # segments begun in this market
ACCOUNT_ROW = 19  # of the account table, -1 where none is known
BEGAN_AT = 20  # time of the segment's first event, as it was written
HAS_HAPPENED = 21  # something came in the segment beside snapshots
STATE_SIZE = 22

BEGUN_ANEW = (
    NOW,
    IS_DATED,
    DATE,
    UNDATED,
    COUNT,
    BODIES,
    IS_PLAYABLE,
    IS_SETTLED,
    HAS_HAPPENED,
)

BEGUN_SIZE = 5  # place in `out`, owner, number, key from which its terms hold, number of its grid
# owner, number, events, numbers in bodies, playable, undated, dated, date, began at, ended at
ENDED_SIZE = 10

# --- positions in `counts` -----------------------------------------------------------------------
CHANGES_TAKEN, OTHERS_TAKEN, EVENTS_MADE, BODIES_MADE, BEGUN_MADE, ENDED_MADE = 0, 1, 2, 3, 4, 5
COUNTS_SIZE = 6


def begin_segment(owner: int, key: int, states: Numbers, marks: Any, counts: Numbers) -> None:
    """Begin a segment of a market, the terms of which are those that hold at `key`."""
    base = owner * STATE_SIZE
    for position in BEGUN_ANEW:
        states[base + position] = 0
    states[base + IS_OPEN] = 1
    begun = marks[0]
    row = counts[BEGUN_MADE] * BEGUN_SIZE
    begun[row] = counts[EVENTS_MADE]
    begun[row + 1] = owner
    begun[row + 2] = states[base + NUMBER]
    begun[row + 3] = key
    begun[row + 4] = states[base + GRID_NUMBER]
    counts[BEGUN_MADE] = counts[BEGUN_MADE] + 1
    states[base + NUMBER] = states[base + NUMBER] + 1


def end_segment(owner: int, states: Numbers, marks: Any, counts: Numbers) -> None:
    """End the market's segment, if there is one."""
    base = owner * STATE_SIZE
    if states[base + IS_OPEN] == 0:
        return
    states[base + IS_OPEN] = 0
    ended = marks[1]
    row = counts[ENDED_MADE] * ENDED_SIZE
    ended[row] = owner
    ended[row + 1] = states[base + NUMBER] - 1
    ended[row + 2] = states[base + COUNT]
    ended[row + 3] = states[base + BODIES]
    ended[row + 4] = states[base + IS_PLAYABLE]
    ended[row + 5] = states[base + UNDATED]
    ended[row + 6] = states[base + IS_DATED]
    ended[row + 7] = states[base + DATE]
    ended[row + 8] = states[base + BEGAN_AT]
    ended[row + 9] = states[base + NOW]
    counts[ENDED_MADE] = counts[ENDED_MADE] + 1


def date(states: Numbers, base: int, frame: int, at: int, source: int) -> None:
    """Move a market's time on to an event's; our own clock counts only while no other is known."""
    states[base + LAST_FRAME] = frame
    states[base + LAST_TIME] = at
    states[base + LAST_SOURCE] = source
    if source != RECEIVED and states[base + IS_DATED] == 0:
        states[base + IS_DATED] = 1
        states[base + DATE] = at
        states[base + NOW] = at
    elif (source != RECEIVED or states[base + IS_DATED] == 0) and at > states[base + NOW]:
        states[base + NOW] = at


def write(
    states: Numbers,
    owner: int,
    kind: int,
    side: int,
    index: int,
    quantity: int,
    frame: int,
    out: Any,
    counts: Numbers,
) -> None:
    """Write an event of the market's segment, at the market's time."""
    base = owner * STATE_SIZE
    made = counts[EVENTS_MADE]
    out[0][made] = kind
    out[1][made] = side
    out[2][made] = index
    out[3][made] = quantity
    out[4][made] = states[base + NOW]
    out[5][made] = frame
    out[6][made] = owner
    counts[EVENTS_MADE] = made + 1
    if states[base + COUNT] == 0:
        states[base + BEGAN_AT] = states[base + NOW]
    states[base + COUNT] = states[base + COUNT] + 1
    if states[base + IS_DATED] == 0:
        states[base + UNDATED] = states[base + UNDATED] + 1


def write_book(states: Numbers, owner: int, size: int, out: Any, counts: Numbers) -> None:
    """Write the snapshot whose body of `size` numbers stands in the bodies already."""
    base = owner * STATE_SIZE
    start = counts[BODIES_MADE]
    write(states, owner, SNAPSHOT, 0, size, start, states[base + LAST_FRAME], out, counts)
    counts[BODIES_MADE] = start + size
    states[base + BODIES] = states[base + BODIES] + size


def write_account(states: Numbers, owner: int, frame: int, out: Any, counts: Numbers) -> None:
    """Write the row of the account table that holds now, if one does."""
    row = states[owner * STATE_SIZE + ACCOUNT_ROW]
    if row >= 0:
        write(states, owner, ACCOUNT, 0, row, 0, frame, out, counts)
