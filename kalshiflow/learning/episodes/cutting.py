"""How a session's rows become segments: the rules, on flat numbers.

Pure functions in the arithmetic that compiled and interpreted code share, over lists or arrays:

- `changes` and `others` are rows in the order of their keys (`state.RANKS`), in columns (keys,
  owners, kinds, sides, prices, quantities, times, sources); `owners` are the markets' places;
- `bodies` are the snapshots' bodies, in prices, and `books` as in `books`;
- `out` is room for events, in columns (kinds, sides, indices, quantities, times, frames, owners,
  bodies); `marks` and `counts` are as in `state`.
"""

from typing import Any

from kalshiflow.learning.episodes.books import (
    body_as_it_stands,
    change_book,
    place_body,
    place_of,
    replace_book,
)
from kalshiflow.learning.episodes.state import (
    ACCOUNT_ROW,
    BEGUN_MADE,
    BEGUN_SIZE,
    BODIES_MADE,
    CHANGES_TAKEN,
    ENDED_MADE,
    ENDED_SIZE,
    EVENTS_MADE,
    GRID_NUMBER,
    GRID_SIZE,
    HAS_HAPPENED,
    IS_DATED,
    IS_OPEN,
    IS_PLAYABLE,
    IS_SETTLED,
    LAST_FRAME,
    LAST_SOURCE,
    LAST_TIME,
    OTHERS_TAKEN,
    RANKS,
    STATE_SIZE,
    begin_segment,
    date,
    end_segment,
    write,
    write_account,
    write_book,
)
from kalshiflow.market.flat import ACCOUNT, CLOSES, SNAPSHOT, STATUS, TRADE, UNKNOWN

# Kinds of rows beside those of `market.flat`: what cuts.
GAP = 16  # the market's book cannot be trusted until its next snapshot
BREAK = 17  # something else is missing: the next segment begins at once with the book as it stands
GRID = 18  # another price grid, by its number in `prices`

EVENTS_OF_A_ROW = 3  # at most: the book as it stands, the account, the event itself


def cut_rows(
    changes: Any, others: Any, bodies: Any, books: Any, out: Any, marks: Any, counts: Any
) -> None:
    """Take in rows, by their keys, until there are no more or no room for what they make."""
    change_keys = changes[0]
    other_keys = others[0]
    while has_room(out, marks, counts):
        change = counts[CHANGES_TAKEN]
        other = counts[OTHERS_TAKEN]
        if other < len(other_keys) and (
            change == len(change_keys) or other_keys[other] <= change_keys[change]
        ):
            if not has_room_for_book(others, other, books, out, counts):
                return
            counts[OTHERS_TAKEN] = other + 1
            take_other(others, other, bodies, books, out, marks, counts)
        elif change < len(change_keys):
            counts[CHANGES_TAKEN] = change + 1
            take_change(changes, change, books, out, marks, counts)
        else:
            return


def has_room(out: Any, marks: Any, counts: Any) -> bool:
    """Say whether what one more row makes finds room, its book apart."""
    return (
        counts[EVENTS_MADE] + EVENTS_OF_A_ROW <= len(out[0])
        and (counts[BEGUN_MADE] + 1) * BEGUN_SIZE <= len(marks[0])
        and (counts[ENDED_MADE] + 1) * ENDED_SIZE <= len(marks[1])
    )


def has_room_for_book(others: Any, row: int, books: Any, out: Any, counts: Any) -> bool:
    """Say whether the body of the book that a row may make finds room."""
    kind = others[2][row]
    needed = 0
    if kind == SNAPSHOT:
        needed = others[4][row] + 0
    elif kind == BREAK:
        needed = 2 + 4 * books[0][others[1][row] * STATE_SIZE + GRID_SIZE]
    return counts[BODIES_MADE] + needed <= len(out[7])


def take_change(changes: Any, row: int, books: Any, out: Any, marks: Any, counts: Any) -> None:
    """Take in a change of a book; one that cannot be true ends the segment."""
    states, levels, places, _ = books
    owner = changes[1][row] + 0
    base = owner * STATE_SIZE
    if states[base + IS_OPEN] == 0:
        return
    side = changes[3][row] + 0
    quantity = changes[5][row]
    index = place_of(states, places, base, changes[4][row])
    if index < 0 or not change_book(states, levels, base, side, index, quantity):
        end_segment(owner, states, marks, counts)
        return
    if states[base + IS_SETTLED] == 0:
        states[base + IS_PLAYABLE] = 1
    states[base + HAS_HAPPENED] = 1
    frame = changes[0][row] // RANKS
    date(states, base, frame, changes[6][row], changes[7][row] + 0)
    write(states, owner, changes[2][row] + 0, side, index, quantity, frame, out, counts)


def take_other(
    others: Any, row: int, bodies: Any, books: Any, out: Any, marks: Any, counts: Any
) -> None:
    """Take in whatever is no change of a book's level."""
    states = books[0]
    owner = others[1][row] + 0
    kind = others[2][row] + 0
    key = others[0][row]
    is_open = states[owner * STATE_SIZE + IS_OPEN]
    if kind == SNAPSHOT:
        take_snapshot(others, row, bodies, books, out, marks, counts)
    elif kind == GAP:
        end_segment(owner, states, marks, counts)
    elif kind == BREAK and is_open:
        end_segment(owner, states, marks, counts)
        begin_anew(owner, key, books, out, marks, counts)
    elif kind == GRID:
        take_grid(owner, others[4][row] + 0, books, marks, counts)
    elif kind == ACCOUNT:
        states[owner * STATE_SIZE + ACCOUNT_ROW] = others[4][row]
        if is_open:
            write_account(states, owner, key // RANKS, out, counts)
    elif kind != BREAK and is_open:
        take_told(others, row, books, out, counts)


def take_told(others: Any, row: int, books: Any, out: Any, counts: Any) -> None:
    """Take in a trade, a status or a time of closing."""
    states, _, places, _ = books
    owner = others[1][row] + 0
    base = owner * STATE_SIZE
    kind = others[2][row] + 0
    index = others[4][row] + 0
    quantity = others[5][row]
    if kind == TRADE:
        index = place_of(states, places, base, index)
    elif kind == STATUS and quantity != UNKNOWN:
        states[base + IS_SETTLED] = 1
    elif kind == CLOSES:
        index = 0
    states[base + HAS_HAPPENED] = 1
    frame = others[0][row] // RANKS
    date(states, base, frame, others[6][row], others[7][row] + 0)
    write(states, owner, kind, others[3][row] + 0, index, quantity, frame, out, counts)


def take_snapshot(
    others: Any, row: int, bodies: Any, books: Any, out: Any, marks: Any, counts: Any
) -> None:
    """Take in a whole book, with which a segment begins or goes on; ends it if it cannot be."""
    states = books[0]
    owner = others[1][row] + 0
    base = owner * STATE_SIZE
    start = others[5][row]
    if not replace_book(books, base, bodies, start):
        end_segment(owner, states, marks, counts)
        return
    if states[base + IS_DATED] == 0 and states[base + HAS_HAPPENED] == 0:
        end_segment(owner, states, marks, counts)  # it held books of no known time, and no more
    is_first = states[base + IS_OPEN] == 0
    key = others[0][row]
    if is_first:
        begin_segment(owner, key, states, marks, counts)
    date(states, base, key // RANKS, others[6][row], others[7][row] + 0)
    size = place_body(states, books[2], base, bodies, start, out, counts)
    write_book(states, owner, size, out, counts)
    if is_first:
        write_account(states, owner, key // RANKS, out, counts)


def take_grid(owner: int, grid: int, books: Any, marks: Any, counts: Any) -> None:
    """Take in another price grid: the market's book is unknown until its next snapshot."""
    states, _, _, sizes = books
    base = owner * STATE_SIZE
    if states[base + GRID_NUMBER] != grid:
        end_segment(owner, states, marks, counts)
        states[base + GRID_NUMBER] = grid
        states[base + GRID_SIZE] = sizes[grid]


def begin_anew(owner: int, key: int, books: Any, out: Any, marks: Any, counts: Any) -> None:
    """Begin a segment with the book as it stands, as of the last event."""
    states, levels, _, _ = books
    base = owner * STATE_SIZE
    begin_segment(owner, key, states, marks, counts)
    frame, source = states[base + LAST_FRAME], states[base + LAST_SOURCE]
    date(states, base, frame, states[base + LAST_TIME], source)
    size = body_as_it_stands(states, levels, base, out, counts)
    write_book(states, owner, size, out, counts)
    write_account(states, owner, frame, out, counts)
