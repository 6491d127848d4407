"""Many lanes at once: a pure function over the lists of `layout`, one of each for each lane.

- `lanes` is (lane, seen, flows, market) of every lane; `room` is (told, asked);
- `rules` is (terms, delays, weights); `recording` is (grids, segments, events, bodies);
- `following` is (segment, seed) of each lane's next episode;
- `out` is (rows, rewards, dones, last_rows, results): what each lane sees, was given, and whether
  its episode ended; of one that did, what was seen last, and its `lane`.
"""

from typing import Any

from kalshiflow.learning.lanes.begin import begin
from kalshiflow.learning.lanes.lane import show, turn
from kalshiflow.learning.lanes.layout import ENDING, GOES_ON, GRID, LANE_SIZE


def step_lanes(
    lanes: Any,
    room: Any,
    rules: Any,
    recording: Any,
    following: Any,
    are_new: bool,
    actions: Any,
    scale: float,
    out: Any,
) -> None:
    """Step every lane, one whose episode has ended into its next; or begin anew in all of them."""
    # What is called in one place only is compiled once: that halves the time of compilation.
    all_lane, all_seen, all_flows, all_market = lanes
    told, asked = room
    terms, delays, weights = rules
    grids, segments, events, bodies = recording
    next_segments, seeds = following
    rows, rewards, dones, last_rows, results = out
    for number in range(len(actions)):
        lane = all_lane[number]
        seen = all_seen[number]
        flows = all_flows[number]
        market = all_market[number]
        is_new = are_new
        dones[number] = False
        is_through = False
        while not is_through:
            if is_new:
                segment = segments[next_segments[number]]
                begin(lane, seen, flows, market, told, terms, segment, seeds[number])
            prices = grids[lane[GRID]]
            gained = turn(
                lane, seen, flows, market, prices, told, asked, terms, delays, weights, events,
                bodies, is_new, actions[number],
            )  # fmt: skip
            is_through = is_new or lane[ENDING] == GOES_ON
            row = rows[number] if is_through else last_rows[number]
            show(lane, seen, flows, prices, asked, row)
            if are_new or not is_new:
                rewards[number] = gained * scale
            if not is_through:
                dones[number] = True
                for position in range(LANE_SIZE):
                    results[number][position] = lane[position]
                is_new = True
