"""The table of the observation: what each of the 52 numbers means, in the order they stand in."""

from dataclasses import dataclass
from enum import StrEnum

OBSERVATION_TABLE = "kalshi-observation"
OBSERVATION_VERSION = 2


class Group(StrEnum):
    """What a feature speaks of."""

    MARKET = "market"
    TEMPORAL = "temporal"
    PORTFOLIO = "portfolio"
    ORDER = "order"


@dataclass(frozen=True, slots=True)
class Feature:
    """One number of the observation: `low` and `high` bound it, `unit` is that of the formula's
    variables before it is squashed, `source` whose idea it is.
    """

    name: str
    group: Group
    formula: str
    low: float
    high: float
    unit: str
    source: str


_M, _T, _P, _O = Group.MARKET, Group.TEMPORAL, Group.PORTFOLIO, Group.ORDER

_OURS = "ours"
_GRID = "ours; the steps are those of Kalshi's price_ranges"
_CLOSE = "ours; Kalshi's close_time"
_PUBLIC = "ours; Kalshi's trade channel"
_WEIGHTED = "the weighted mid that Stoikov (2018) starts from"
_QUEUES = "Gould and Bonart (2016)"
_LEVELS = "Cao, Hansch and Wang (2009)"
_DEPTH = "after Biais, Hillion and Spatt (1995)"
_SLOPE = "after Naes and Skjeltorp (2006)"
_SIGNED = "after Hasbrouck (1991); Kalshi tells the taker's side"
_ORDER_FLOW = "after Cont, Kukanov and Stoikov (2014)"
_VOLATILITY = "after Andersen and Bollerslev (1998)"
_DURATION = "after Engle and Russell (1998)"
_INVENTORY = "after Avellaneda and Stoikov (2008)"
_WALK = "ours; what closing would bring"
_BUDGET = "ours; the market's own budget"
_PLACE = "after Moallemi and Yuan (2016)"

# fmt: off
FEATURES: tuple[Feature, ...] = (
    Feature("mid", _M, "2 mid - 1", -1, 1, "dollars", _OURS),
    Feature("spread_steps", _M, "n / (n + 3), n = steps from bid to ask - 1",
            0, 1, "grid steps", _GRID),
    Feature("microprice", _M, "s(touch weighted by the other side's quantity - mid)",
            -1, 1, "cents", _WEIGHTED),
    Feature("imbalance_1", _M, "(B - A) / (B + A), first level", -1, 1, "contracts", _QUEUES),
    Feature("imbalance_3", _M, "(B - A) / (B + A), first 3 levels", -1, 1, "contracts", _LEVELS),
    Feature("imbalance_5", _M, "(B - A) / (B + A), first 5 levels", -1, 1, "contracts", _LEVELS),
    Feature("imbalance_all", _M, "(B - A) / (B + A), all levels", -1, 1, "contracts", _LEVELS),
    Feature("touch_depth", _M, "q / (q + 500), both touches", 0, 1, "contracts", _DEPTH),
    Feature("bid_depth_3", _M, "q / (q + 2000), bids within 3 cents of the best",
            0, 1, "contracts", _DEPTH),
    Feature("ask_depth_3", _M, "q / (q + 2000), asks within 3 cents of the best",
            0, 1, "contracts", _DEPTH),
    Feature("bid_depth_10", _M, "q / (q + 4000), bids within 10 cents of the best",
            0, 1, "contracts", _DEPTH),
    Feature("ask_depth_10", _M, "q / (q + 4000), asks within 10 cents of the best",
            0, 1, "contracts", _DEPTH),
    Feature("book_depth", _M, "q / (q + 12000), all of both sides", 0, 1, "contracts", _DEPTH),
    Feature("bid_gap", _M, "d / (d + 2), best to second bid; d = 10 where none is that near",
            0, 1, "cents", _DEPTH),
    Feature("ask_gap", _M, "d / (d + 2), best to second ask; d = 10 where none is that near",
            0, 1, "cents", _DEPTH),
    Feature("bid_levels", _M, "n / (n + 5), bid levels within 10 cents", 0, 1, "levels", _OURS),
    Feature("ask_levels", _M, "n / (n + 5), ask levels within 10 cents", 0, 1, "levels", _OURS),
    Feature("bid_slope", _M, "d / (d + 3), d = mean distance from the best of bids to 10 cents",
            0, 1, "cents", _SLOPE),
    Feature("ask_slope", _M, "d / (d + 3), d = mean distance from the best of asks to 10 cents",
            0, 1, "cents", _SLOPE),
    Feature("bid_wall", _M, "largest bid level / all bids, within 10 cents",
            0, 1, "contracts", _OURS),
    Feature("ask_wall", _M, "largest ask level / all asks, within 10 cents",
            0, 1, "contracts", _OURS),
    Feature("last_trade", _M, "s((price of the last trade - mid) / 2), 0 where unknown",
            -1, 1, "cents", _PUBLIC),
    Feature("last_trade_size", _M, "s(q / 50) of the last trade, above 0 where the taker bid",
            -1, 1, "contracts", _PUBLIC),
    Feature("trade_flow", _M, "s((takers' buys - sells, tau 30 s) / 50)",
            -1, 1, "contracts", _SIGNED),
    Feature("bid_pressure", _M, "s((added - taken within 5 cents of the best bid, tau 5 s) / 500)",
            -1, 1, "contracts", _ORDER_FLOW),
    Feature("ask_pressure", _M, "s((added - taken within 5 cents of the best ask, tau 5 s) / 500)",
            -1, 1, "contracts", _ORDER_FLOW),
    Feature("trade_volume", _T, "v / (v + 200), v = contracts traded, tau 30 s",
            0, 1, "contracts", _PUBLIC),
    Feature("activity", _T, "n / (n + 10), n = changes of the book, tau 5 s",
            0, 1, "changes", _DURATION),
    Feature("mid_change_1s", _T, "s((mid - mid 1 s ago) / 2)", -1, 1, "cents", _OURS),
    Feature("mid_change_5s", _T, "s((mid - mid 5 s ago) / 2)", -1, 1, "cents", _OURS),
    Feature("mid_change_30s", _T, "s((mid - mid 30 s ago) / 4)", -1, 1, "cents", _OURS),
    Feature("mid_trend", _T, "s((mid - mean mid, tau 300 s) / 4)", -1, 1, "cents", _OURS),
    Feature("volatility", _T, "v / (v + 4), v = root of the sum of squared mid changes, tau 20 s",
            0, 1, "cents", _VOLATILITY),
    Feature("since_trade", _T, "t / (t + 30) since a trade, 1 before any",
            0, 1, "seconds", _DURATION),
    Feature("since_mid_change", _T, "t / (t + 5) since the mid moved", 0, 1, "seconds", _DURATION),
    Feature("time_to_close", _T, "t / (t + 1) until close, 1 where unknown", 0, 1, "hours", _CLOSE),
    Feature("position", _P, "s(signed contracts at 1 dollar / budget)",
            -1, 1, "dollars", _INVENTORY),
    Feature("unrealised", _P, "s(10 (what the book would pay - cost) / budget)",
            -1, 1, "dollars", _WALK),
    Feature("from_entry", _P, "s((mid of what is held - its mean cost) / 5), 0 when flat",
            -1, 1, "cents", _OURS),
    Feature("exit_share", _P, "share of what is held that the best level would take, 0 when flat",
            0, 1, "contracts", _WALK),
    Feature("exit_depth", _P, "d / (d + 3), d = best to last level needed to close, 1 if too few",
            0, 1, "cents", _WALK),
    Feature("realised", _P, "s(5 realised / budget)", -1, 1, "dollars", _BUDGET),
    Feature("fees", _P, "s(10 fees paid / budget)", 0, 1, "dollars", _BUDGET),
    Feature("cash_left", _P, "s(free cash / budget)", -1, 1, "dollars", _BUDGET),
    Feature("holding_time", _P, "t / (t + 30) since held, 0 when flat", 0, 1, "seconds", _OURS),
    Feature("since_order", _P, "t / (t + 10) since an order was sent, 1 before any",
            0, 1, "seconds", _OURS),
    Feature("filled_share", _P, "filled share of the last order", 0, 1, "contracts", _OURS),
    Feature("own_bid", _O, "q / (q + 10), own resting bid", 0, 1, "contracts", _OURS),
    Feature("own_ask", _O, "q / (q + 10), own resting ask", 0, 1, "contracts", _OURS),
    Feature("bid_queue", _O, "100 / (100 + a), a = volume ahead of the own bid, 0 without one",
            0, 1, "contracts", _PLACE),
    Feature("ask_queue", _O, "100 / (100 + a), a = volume ahead of the own ask, 0 without one",
            0, 1, "contracts", _PLACE),
    Feature("own_distance", _O, "s(d / 2), d = own price better than the others' best of its side",
            -1, 1, "cents", _OURS),
)
# fmt: on

OBSERVATION_SIZE = len(FEATURES)


def observation_text() -> str:
    """Write what the numbers mean in one exact form, for the fingerprint."""
    lines = [f"{OBSERVATION_TABLE} {OBSERVATION_VERSION}"]
    lines += [f"{f.name}|{f.group}|{f.formula}|{f.low}|{f.high}|{f.unit}" for f in FEATURES]
    return "\n".join(lines)
