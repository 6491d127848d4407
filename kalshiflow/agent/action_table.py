"""Tables of actions: what each asks for, by rules that every table shares."""

from dataclasses import dataclass
from enum import IntEnum

from kalshiflow.market.events import Side

# As plain numbers, for the rules that are compiled.
FAR, NEAR, BETTER = 0, 1, 2


class PriceRule(IntEnum):
    """Where an order's limit stands; one's own orders are no part of the touch."""

    FAR_TOUCH = FAR  # the best price of the other side: takes what is there
    NEAR_TOUCH = NEAR  # the best price of its own side: joins the queue
    INSIDE = BETTER  # a step better than that, where it does not reach the other side


class Action(IntEnum):
    """The actions of `kalshi-5` by number, as in a policy's scores."""

    HOLD = 0
    BUY_YES_LIMIT = 1
    SELL_YES_LIMIT = 2
    BUY_NO_LIMIT = 3
    SELL_NO_LIMIT = 4


@dataclass(frozen=True, slots=True)
class ActionRow:
    """One action: the side of the YES book its order is on (`None`: no order), whether it only
    closes what is held, its price, and its size in usual order quantities.
    """

    action: IntEnum
    side: Side | None
    is_closing: bool
    meaning: str
    price: PriceRule = PriceRule.FAR_TOUCH
    size: int = 1


# Positions in a row of the flat form.
ROW_SIDE = 0  # -1: no order
ROW_CLOSING = 1
ROW_PRICE = 2
ROW_SIZE = 3
ROW_WIDTH = 4


@dataclass(frozen=True, slots=True)
class ActionTable:
    """A named, versioned table. The first row asks for nothing: it is what a forbidden action
    becomes. An order rests for at most `order_lifetime` of market time.
    """

    name: str
    version: int
    order_lifetime: int
    rows: tuple[ActionRow, ...]

    def __post_init__(self) -> None:
        numbers = [int(row.action) for row in self.rows]
        if numbers != list(range(len(numbers))) or self.rows[0].side is not None:
            raise ValueError(
                f"{self.name} must count from 0, the action without an order: {numbers}"
            )

    def numbers(self) -> tuple[int, ...]:
        """Give the rows as the flat sequence that `allow` and `decide` read."""
        flat: tuple[int, ...] = ()
        for row in self.rows:
            side = -1 if row.side is None else int(row.side)
            flat += (side, int(row.is_closing), int(row.price), row.size)
        return flat

    def text(self) -> str:
        """Write the table in one exact form, for the fingerprint."""
        lines = [f"{self.name} {self.version} lifetime {self.order_lifetime}"]
        lines += [
            f"{int(row.action)}|{row.action.name}|{'' if row.side is None else row.side.name}|"
            f"{row.is_closing}|{row.price.name}|{row.size}|{row.meaning}"
            for row in self.rows
        ]
        return "\n".join(lines)


KALSHI_5 = ActionTable(
    "kalshi-5",
    1,
    5_000_000_000,
    (
        ActionRow(Action.HOLD, None, False, "no order"),
        ActionRow(Action.BUY_YES_LIMIT, Side.BID, False, "bid at the best ask; no NO may be held"),
        ActionRow(Action.SELL_YES_LIMIT, Side.ASK, True, "ask at the best bid, of the YES held"),
        ActionRow(Action.BUY_NO_LIMIT, Side.ASK, False, "ask at the best bid; no YES may be held"),
        ActionRow(Action.SELL_NO_LIMIT, Side.BID, True, "bid at the best ask, of the NO held"),
    ),
)
