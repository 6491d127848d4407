"""What the simulator publishes of one event: rows of whole numbers in a list that is used again.

`told[0]` counts the rows; each is (kind, side, index, quantity, at) as in `market.flat`. Functions
add rows and never remove any: whoever reads them sets `told[0]` to zero. A snapshot's body stands
in `told` itself, behind the room for rows.
"""

from collections.abc import MutableSequence

from kalshiflow.simulator.state import COMMAND_ROOM, ORDER_ROOM

COUNT = 0
ROWS = 1
ROW_KIND, ROW_SIDE, ROW_INDEX, ROW_QUANTITY, ROW_AT = 0, 1, 2, 3, 4
ROW_SIZE = 5


def told_size(grid_size: int) -> int:
    """Give the length of `told` for a market with so many steps of price."""
    return body_at(grid_size) + 2 + 4 * grid_size


def body_at(grid_size: int) -> int:
    """Give where the body of a snapshot begins.

    Between two readings all commands under way may arrive and one event come. A fill empties a
    level or ends an order, and makes two rows.
    """
    return ROWS + ROW_SIZE * (6 * grid_size + 4 * (ORDER_ROOM + COMMAND_ROOM))


def tell(
    told: MutableSequence[int], kind: int, side: int, index: int, quantity: int, at: int
) -> None:
    """Add a row."""
    row = ROWS + ROW_SIZE * told[COUNT]
    told[row + ROW_KIND] = kind
    told[row + ROW_SIDE] = side
    told[row + ROW_INDEX] = index
    told[row + ROW_QUANTITY] = quantity
    told[row + ROW_AT] = at
    told[COUNT] += 1
