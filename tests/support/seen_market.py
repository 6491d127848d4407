"""A market seen through events that are told by places of the cent grid."""

from kalshiflow.agent.features import FEATURES
from kalshiflow.agent.formulas import observe
from kalshiflow.agent.layout import FLOWS_SIZE, forget, seen_size
from kalshiflow.agent.seen import see_change, see_snapshot, see_trade
from kalshiflow.market.listing import CENT_GRID

SIZE, PRICES = len(CENT_GRID), CENT_GRID.prices
SECOND = 1_000_000_000
NAMES = [feature.name for feature in FEATURES]
OF_THE_MARKET = 36  # the first features, which know nothing of oneself
BID, ASK = 0, 1


def body_of(bids, asks):
    body = [len(bids), len(asks)]
    for side, is_turned in ((bids, True), (asks, False)):
        for index in sorted(side, reverse=is_turned):
            body += (index, side[index])
    return body


def market(bids=None, asks=None, now=0):
    """Give a market that shows a book, told by places of the grid."""
    seen, flows = [0] * seen_size(SIZE), [0.0] * FLOWS_SIZE
    forget(seen, flows, SIZE, -1)
    bids = {46: 500, 40: 900} if bids is None else bids
    see_snapshot(seen, flows, PRICES, body_of(bids, asks or {50: 700, 55: 300}), 0, now)
    return seen, flows


def change(one, side, index, by, at=SECOND, *, is_own=False):
    see_change(*one, PRICES, side, index, by, is_own, at)


def trade(one, side, index, quantity, at=SECOND):
    see_trade(*one, PRICES, side, index, quantity, at)


def observed(one, now=9 * SECOND):
    out = [0.0] * len(FEATURES)
    observe(*one, PRICES, now, out)
    return out
