"""The loops of the bulk path: recorded events in, observations and masks out.

Pure functions in the arithmetic that compiled and interpreted code share, over lists or arrays:

- `events` is (kinds, sides, indices, quantities, times, owners, bodies, accounts): the columns of
  `market.flat`, the place of each event's market in `markets`, and the account table end to end;
- `markets` is (grids, grid_of, seens, flows, dues): the prices of each grid, and for each market
  the number of its grid, its `seen` and `flows` (see `agent.seen`), and when a row is due;
- `out` is (scratch, allowed, rows, masks, numbers): room for one observation and one mask, then for
  rows, of which `numbers` tells how many events were taken in before it was written.
"""

from collections.abc import Sequence
from typing import Any

from kalshiflow.agent.action import ACTION_COUNT, allow
from kalshiflow.agent.features import OBSERVATION_SIZE
from kalshiflow.agent.formulas import observe
from kalshiflow.agent.layout import (
    BUDGET,
    FEE_DENOMINATOR,
    ORDER_QUANTITY,
    READY,
    READY_TO_ACT,
    STATUS,
    TAKER_QUARTERS,
    Flows,
    Numbers,
    forget,
)
from kalshiflow.agent.own import see_account
from kalshiflow.agent.seen import (
    see_change,
    see_close_time,
    see_snapshot,
    see_status,
    see_trade,
)
from kalshiflow.market import flat
from kalshiflow.market.flat import ACCOUNT_WIDTH, CLOSES, DELTA, OWN_DELTA, SNAPSHOT, TRADE

STATUS_TOLD = flat.STATUS


def begin(
    seen: Numbers, flows: Flows, grid_size: int, status: int, close_time: int, terms: Sequence[int]
) -> None:
    """Begin a market; `terms` are budget, order quantity, and the taker's fee (see `seen`)."""
    forget(seen, flows, grid_size, close_time)
    seen[STATUS] = status
    seen[BUDGET] = terms[0]
    seen[ORDER_QUANTITY] = terms[1]
    seen[TAKER_QUARTERS] = terms[2]
    seen[FEE_DENOMINATOR] = terms[3]


def observe_changes(
    events: Any, markets: Any, throttle: int, start: int, out: Any
) -> tuple[int, int]:
    """Take in events from number `start` on, and write a row at each decision.

    A decision is taken at the first change of a market's book at or after the time when it is due,
    and the next is due `throttle` later. Gives the number of the first event that was not taken in
    (where there was no room for another row) and how many rows were written.
    """
    kinds, sides, indices, quantities, times, owners, bodies, accounts = events
    grids, grid_of, seens, all_flows, dues = markets
    scratch, allowed, rows, masks, numbers = out
    number = start
    written = 0
    while number < len(kinds) and written < len(numbers):
        owner = owners[number]
        prices = grids[grid_of[owner]]
        seen = seens[owner]
        flows = all_flows[owner]
        now = times[number]
        is_change = see_event(
            kinds[number] + 0, sides[number] + 0, indices[number] + 0, quantities[number], now,
            bodies, accounts, seen, flows, prices,
        )  # fmt: skip
        number = number + 1
        if is_change and now >= dues[owner] and seen[READY] == READY_TO_ACT:
            write_row(seen, flows, prices, now, scratch, allowed, rows[written], masks[written])
            numbers[written] = number
            written = written + 1
            dues[owner] = now + throttle
    return number, written


def observe_wanted(events: Any, markets: Any, wanted: Any, out: Any) -> None:
    """Write the rows that are asked for.

    `wanted` is (numbers, times, owners): how many events come before each row, in rising order, the
    market time that it is for, and the place of its market.
    """
    kinds, sides, indices, quantities, times, owners, bodies, accounts = events
    grids, grid_of, seens, all_flows, _ = markets
    wanted_numbers, wanted_times, wanted_owners = wanted
    scratch, allowed, rows, masks, numbers = out
    number = 0
    for row in range(len(wanted_numbers)):
        while number < wanted_numbers[row]:
            owner = owners[number]
            see_event(
                kinds[number] + 0, sides[number] + 0, indices[number] + 0, quantities[number],
                times[number], bodies, accounts, seens[owner], all_flows[owner],
                grids[grid_of[owner]],
            )  # fmt: skip
            number = number + 1
        owner = wanted_owners[row]
        write_row(
            seens[owner], all_flows[owner], grids[grid_of[owner]], wanted_times[row], scratch,
            allowed, rows[row], masks[row],
        )  # fmt: skip
        numbers[row] = number


def write_row(
    seen: Numbers,
    flows: Flows,
    prices: Sequence[int],
    now: int,
    scratch: Flows,
    allowed: Numbers,
    row: Any,
    mask: Any,
) -> None:
    """Write one observation and its mask, whatever the width of their numbers."""
    observe(seen, flows, prices, now, scratch)
    allow(seen, prices, allowed)
    for feature in range(OBSERVATION_SIZE):
        row[feature] = scratch[feature]
    for action in range(ACTION_COUNT):
        mask[action] = allowed[action]


def see_event(
    kind: int,
    side: int,
    index: int,
    quantity: int,
    at: int,
    bodies: Sequence[int],
    accounts: Sequence[int],
    seen: Numbers,
    flows: Flows,
    prices: Sequence[int],
) -> bool:
    """Take in an event as `market.flat` has it; say whether it changed the book."""
    if kind in (DELTA, OWN_DELTA):
        see_change(seen, flows, prices, side, index, quantity, kind == OWN_DELTA, at)
        return True
    if kind == SNAPSHOT:
        see_snapshot(seen, flows, prices, bodies, quantity, at)
        return True
    if kind == TRADE:
        see_trade(seen, flows, prices, side, index, quantity, at)
    elif kind == STATUS_TOLD:
        if index >= 0:
            see_status(seen, index)
    elif kind == CLOSES:
        see_close_time(seen, quantity)
    else:
        see_account(seen, prices, accounts, index * ACCOUNT_WIDTH)
    return False
