"""The table of the observation: what each of the 52 numbers means, in the order they stand in."""

from dataclasses import dataclass
from enum import StrEnum

OBSERVATION_TABLE = "kalshi-observation"
OBSERVATION_VERSION = 1


class Group(StrEnum):
    """What a feature speaks of."""

    MARKET = "market"
    TEMPORAL = "temporal"
    PORTFOLIO = "portfolio"
    ORDER = "order"


@dataclass(frozen=True, slots=True)
class Feature:
    """One number of the observation: `low` and `high` bound it, `unit` is that of the formula's
    variables before it is squashed.
    """

    name: str
    group: Group
    formula: str
    low: float
    high: float
    unit: str


_M, _T, _P, _O = Group.MARKET, Group.TEMPORAL, Group.PORTFOLIO, Group.ORDER

FEATURES: tuple[Feature, ...] = (
    Feature("mid", _M, "2 mid - 1", -1, 1, "dollars"),
    Feature("uncertainty", _M, "4 mid (1 - mid)", 0, 1, "dollars"),
    Feature("spread_steps", _M, "s((grid steps between bid and ask - 1) / 3)", 0, 1, "grid steps"),
    Feature("spread_share", _M, "spread / (spread + 2 min(mid, 1 - mid))", 0, 1, "dollars"),
    Feature("imbalance_1", _M, "(B - A) / (B + A), first level", -1, 1, "contracts"),
    Feature("imbalance_3", _M, "(B - A) / (B + A), first 3 levels", -1, 1, "contracts"),
    Feature("imbalance_5", _M, "(B - A) / (B + A), first 5 levels", -1, 1, "contracts"),
    Feature("fair_shift", _M, "s(price balancing 3 levels of both sides - mid)", -1, 1, "cents"),
    Feature("bid_touch", _M, "q / (q + 50), best bid", 0, 1, "contracts"),
    Feature("ask_touch", _M, "q / (q + 50), best ask", 0, 1, "contracts"),
    Feature("bid_depth_2", _M, "q / (q + 100), bids within 2 cents of the best", 0, 1, "contracts"),
    Feature("ask_depth_2", _M, "q / (q + 100), asks within 2 cents of the best", 0, 1, "contracts"),
    Feature("bid_depth_5", _M, "q / (q + 200), bids within 5 cents of the best", 0, 1, "contracts"),
    Feature("ask_depth_5", _M, "q / (q + 200), asks within 5 cents of the best", 0, 1, "contracts"),
    Feature("bid_depth_10", _M, "q / (q + 400), bids within 10 cents", 0, 1, "contracts"),
    Feature("ask_depth_10", _M, "q / (q + 400), asks within 10 cents", 0, 1, "contracts"),
    Feature("bid_gap_2", _M, "s(best to second bid / 2), 10 cents where none", 0, 1, "cents"),
    Feature("ask_gap_2", _M, "s(best to second ask / 2), 10 cents where none", 0, 1, "cents"),
    Feature("bid_gap_3", _M, "s(best to third bid / 3), 10 cents where none", 0, 1, "cents"),
    Feature("ask_gap_3", _M, "s(best to third ask / 3), 10 cents where none", 0, 1, "cents"),
    Feature("bid_levels", _M, "n / (n + 5), bid levels within 10 cents", 0, 1, "levels"),
    Feature("ask_levels", _M, "n / (n + 5), ask levels within 10 cents", 0, 1, "levels"),
    Feature("bid_slope", _M, "s(mean distance of bids from the best / 3)", 0, 1, "cents"),
    Feature("ask_slope", _M, "s(mean distance of asks from the best / 3)", 0, 1, "cents"),
    Feature("near_against_far", _M, "(imbalance to 2 cents - beyond) / 2", -1, 1, "contracts"),
    Feature("touch_share", _M, "both touches / all within 10 cents", 0, 1, "contracts"),
    Feature("trade_flow", _T, "s(takers' buys - sells, tau 5 s / 20)", -1, 1, "contracts"),
    Feature("book_pressure", _T, "s(bids - asks added, tau 3 s / 50)", -1, 1, "contracts"),
    Feature("activity", _T, "s(changes of the book, tau 5 s / 10)", 0, 1, "changes"),
    Feature("mid_change_1s", _T, "s(mid - mid 1 s ago / 2)", -1, 1, "cents"),
    Feature("mid_change_5s", _T, "s(mid - mid 5 s ago / 2)", -1, 1, "cents"),
    Feature("mid_change_30s", _T, "s(mid - mid 30 s ago / 4)", -1, 1, "cents"),
    Feature("volatility", _T, "s(root of squared mid changes, tau 20 s / 4)", 0, 1, "cents"),
    Feature("since_trade", _T, "t / (t + 10) since a trade, 1 before any", 0, 1, "seconds"),
    Feature("since_mid_change", _T, "t / (t + 5) since the mid moved", 0, 1, "seconds"),
    Feature("time_to_close", _T, "t / (t + 1) until close, 1 where unknown", 0, 1, "days"),
    Feature("position", _P, "s(signed contracts at 1 dollar / budget)", -1, 1, "dollars"),
    Feature("held_side", _P, "1 YES, -1 NO, 0 flat", -1, 1, "sign"),
    Feature("cost", _P, "s(cost of what is held / budget)", 0, 1, "dollars"),
    Feature("unrealised", _P, "s(10 (worth at the touch - cost) / budget)", -1, 1, "dollars"),
    Feature("realised", _P, "s(5 realised / budget)", -1, 1, "dollars"),
    Feature("fees", _P, "s(10 fees paid / budget)", 0, 1, "dollars"),
    Feature("cash_left", _P, "s(free cash / budget)", -1, 1, "dollars"),
    Feature("reserved", _P, "s(10 cash kept for resting orders / budget)", 0, 1, "dollars"),
    Feature("from_entry", _P, "s(gain per contract held, at the mid / 5)", -1, 1, "cents"),
    Feature("exit_share", _P, "share of the position that the touch would take", 0, 1, "contracts"),
    Feature("holding_time", _P, "t / (t + 30) since held, 0 when flat", 0, 1, "seconds"),
    Feature("own_bid", _O, "q / (q + 10), own resting bid", 0, 1, "contracts"),
    Feature("own_ask", _O, "q / (q + 10), own resting ask", 0, 1, "contracts"),
    Feature("own_distance", _O, "s(own price better than its side / 2)", -1, 1, "cents"),
    Feature("since_order", _O, "t / (t + 10) since an order, 1 before any", 0, 1, "seconds"),
    Feature("last_fill_share", _O, "filled share of the last order", 0, 1, "contracts"),
)

OBSERVATION_SIZE = len(FEATURES)

_PAGE_HEAD = """\
# The observation

`{table}`, version {version}: {size} numbers, in this order. A policy carries the fingerprint of
this table and of the table of actions, and is refused where it differs.

- `s(x)` is x / (1 + |x|). B and A are quantities of bids and asks. Everything is on the YES scale.
- The book is the public book less one's own resting quantity.
- A side without orders counts as a best bid of 0 or a best ask of 1 dollar with nothing there.
- Time is market time: the same recording gives the same numbers at any speed.
- A sum "with tau" decays by tau / (tau + dt) from each of its own events to the next.
- Before 30 seconds have passed since a recording or a gap began, the mid is taken to have stood
  where it first stood.
- Portfolio features are relative to the market's own budget, and free cash is
  budget - cost + realised - fees - reserved.

| # | name | group | formula | range | unit |
|---|---|---|---|---|---|
"""


def observation_page() -> str:
    """Write the table as the page `docs/observation.md`, which a test holds to this text."""
    head = _PAGE_HEAD.format(
        table=OBSERVATION_TABLE, version=OBSERVATION_VERSION, size=OBSERVATION_SIZE
    )
    rows = [
        f"| {number} | `{f.name}` | {f.group} | {f.formula.replace('|', '&#124;')} "
        f"| {f.low:g} to {f.high:g} | {f.unit} |"
        for number, f in enumerate(FEATURES)
    ]
    return head + "\n".join(rows) + "\n"
