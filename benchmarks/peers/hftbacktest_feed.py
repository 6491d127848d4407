"""hftbacktest's next-feed loop: each event, and the best bid and ask after it.

Run by its own Python: `hftbacktest_feed.py FILE CORE`; FILE is an archive of numpy columns (at,
side, price, size). Prints one JSON line: events, seconds, and a sum that keeps the loop honest.
"""

import json
import os
import sys
import time

import numpy as np
from hftbacktest import (
    BUY_EVENT,
    DEPTH_EVENT,
    EXCH_EVENT,
    LOCAL_EVENT,
    SELL_EVENT,
    BacktestAsset,
    ROIVectorMarketDepthBacktest,
)
from hftbacktest.types import event_dtype
from numba import njit

NEVER = 10**18


@njit
def loop(engine):
    count, total = 0, 0
    while engine.wait_next_feed(False, NEVER) == 2:
        depth = engine.depth(0)
        total ^= depth.best_bid_tick + depth.best_ask_tick
        count += 1
    return count, total


def events_of(path):
    columns = np.load(path)
    rows = np.zeros(len(columns["at"]), dtype=event_dtype)
    side = np.where(columns["side"] == 0, BUY_EVENT, SELL_EVENT)
    rows["ev"] = DEPTH_EVENT | EXCH_EVENT | LOCAL_EVENT | side
    rows["exch_ts"] = rows["local_ts"] = columns["at"]
    rows["px"], rows["qty"] = columns["price"], columns["size"]
    return rows


def engine_of(rows):
    asset = (
        BacktestAsset()
        .data([rows])
        .linear_asset(1.0)
        .constant_order_latency(0, 0)
        .risk_adverse_queue_model()
        .no_partial_fill_exchange()
        .trading_value_fee_model(0.0, 0.0)
        .tick_size(0.01)
        .lot_size(0.01)
        .roi_lb(0.0)
        .roi_ub(1.0)
    )
    return ROIVectorMarketDepthBacktest([asset])


def main():
    os.sched_setaffinity(0, {int(sys.argv[2])})
    rows = events_of(sys.argv[1])
    loop(engine_of(rows[:1_000]))  # compiled before the clock runs
    engine = engine_of(rows)
    began = time.perf_counter()
    count, total = loop(engine)
    print(json.dumps({"events": count, "seconds": time.perf_counter() - began, "sum": total}))


main()
