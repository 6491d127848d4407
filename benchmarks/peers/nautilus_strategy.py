"""nautilus_trader's backtest: a strategy that reads the best bid and ask after each change.

Run by its own Python: `nautilus_strategy.py FILE EVENTS CORE`; FILE is an archive of numpy columns
(at, side, price, size). Prints one JSON line: events and seconds of the engine's run.
"""

import json
import os
import sys
import time
from decimal import Decimal

import numpy as np
from nautilus_trader.backtest.config import BacktestEngineConfig
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.common.config import LoggingConfig
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import BookOrder, OrderBookDelta
from nautilus_trader.model.enums import (
    AccountType,
    AssetClass,
    BookAction,
    BookType,
    OmsType,
    OrderSide,
)
from nautilus_trader.model.identifiers import InstrumentId, Symbol, Venue
from nautilus_trader.model.instruments import BinaryOption
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.trading.strategy import Strategy

VENUE = Venue("LOCAL")
MARKET = InstrumentId(Symbol("MARKET"), VENUE)


class Reader(Strategy):
    """Reads the touch at each change."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def on_start(self):
        self.subscribe_order_book_deltas(MARKET, BookType.L2_MBP)

    def on_order_book_deltas(self, deltas):  # noqa: ARG002 -- as the engine calls it
        book = self.cache.order_book(MARKET)
        self.best = (book.best_bid_price(), book.best_ask_price())
        self.count += 1


def market():
    return BinaryOption(
        instrument_id=MARKET,
        raw_symbol=Symbol("MARKET"),
        outcome="Yes",
        description="a market",
        asset_class=AssetClass.ALTERNATIVE,
        currency=USD,
        price_precision=2,
        price_increment=Price.from_str("0.01"),
        size_precision=2,
        size_increment=Quantity.from_str("0.01"),
        activation_ns=0,
        expiration_ns=4_000_000_000_000_000_000,
        max_quantity=None,
        min_quantity=None,
        maker_fee=Decimal(0),
        taker_fee=Decimal(0),
        ts_event=0,
        ts_init=0,
    )


def deltas(path, events):
    columns = np.load(path)
    named = (columns[name][:events].tolist() for name in ("at", "side", "price", "size"))
    rows = zip(*named, strict=True)
    found = []
    for number, (at, side, price, size) in enumerate(rows):
        action = BookAction.UPDATE if size else BookAction.DELETE
        order_side = OrderSide.SELL if side else OrderSide.BUY
        order = BookOrder(order_side, Price(price, 2), Quantity(size, 2), 0)
        found.append(OrderBookDelta(MARKET, action, order, 128, number, at, at))
    return found


def main():
    os.sched_setaffinity(0, {int(sys.argv[3])})
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    engine.add_venue(
        venue=VENUE,
        oms_type=OmsType.NETTING,
        account_type=AccountType.CASH,
        base_currency=USD,
        starting_balances=[Money(10_000, USD)],
        book_type=BookType.L2_MBP,
    )
    engine.add_instrument(market())
    engine.add_data(deltas(sys.argv[1], int(sys.argv[2])))
    reader = Reader()
    engine.add_strategy(reader)
    began = time.perf_counter()
    engine.run()
    print(json.dumps({"events": reader.count, "seconds": time.perf_counter() - began}))


main()
