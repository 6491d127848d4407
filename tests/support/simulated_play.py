"""One account in a recorded market, step by step on the flat lists, with all that must hold checked."""

from kalshiflow.market.flat import DELTA, OWN_DELTA, SNAPSHOT
from kalshiflow.market.listing import CENT_GRID

BID, ASK = 0, 1
CASH = 100_000_000
LATENCY = 50
ROOM = 512
PRICES = CENT_GRID.prices
SIZE = len(PRICES)


def cents(price):
    """Give the grid index of a price in whole cents."""
    return price - 1


class Play:
    """Drives the rules and keeps plain books beside them: the recorded one and the published one.

    Levels are {index: quantity} per side. Each step checks what any step may and may not do.
    """

    def __init__(self, rules, *, model=0, has_trades=1, cash=CASH, terms=(4, 1, 1), begins=0):
        self.rules = rules
        state = rules.state
        self.market = [0] * state.market_size(SIZE, ROOM)
        state.begin(self.market, SIZE, cash, model, has_trades, *terms, ROOM)
        self.told = [0] * rules.told.told_size(SIZE)
        self.terms = terms
        self.cash = cash
        self.has_trades = has_trades
        self.recorded = ({}, {})
        self.public = ({}, {})
        self.sent = {}  # number of the order: (side, index, quantity, arrives at)
        self.now = begins

    # --- what the account has -------------------------------------------------------------------

    def number(self, name):
        return self.market[getattr(self.rules.state, name)]

    def fills(self, first=0):
        """Give (side, index, quantity, role, fee, at, inferred, order) from a fill on."""
        state, market = self.rules.state, self.market
        places = (
            state.fill_at(market, number) for number in range(first, self.number("FILLS_COUNT"))
        )
        return [tuple(market[place : place + state.FILL_SIZE]) for place in places]

    def resting(self):
        """Give (number, side, index, remaining) of the orders in the book."""
        state = self.rules.state
        places = (state.order_at(slot) for slot in range(self.number("RESTING")))
        return [tuple(self.market[place : place + state.ORDER_SINCE]) for place in places]

    def ahead(self, number):
        state, queue = self.rules.state, self.rules.queue
        slot = self.rules.own_orders.slot_of(self.market, number)
        place = state.order_at(slot)
        side, index = self.market[place + state.ORDER_SIDE], self.market[place + state.ORDER_INDEX]
        level = self.rules.levels.shown(self.market, side, index)
        return queue.ahead(self.market, place + state.ORDER_QUEUE, level)

    # --- commands -------------------------------------------------------------------------------

    def send(self, side, index, quantity, *, rests=True, latency=LATENCY):
        commands = self.rules.commands
        send = commands.send_order if rests else commands.send_taker
        number = send(self.market, side, index, quantity, self.now + latency)
        if number:
            last = commands.command_at(self.number("COMMANDS") - 1)
            arrives_at = self.market[last + self.rules.state.COMMAND_ARRIVES]
            assert arrives_at >= self.now + latency
            self.sent[number] = (side, index, quantity, arrives_at)
        return number

    def cancel(self, number, *, latency=LATENCY):
        self.rules.commands.send_cancel(self.market, number, self.now + latency)

    # --- events ---------------------------------------------------------------------------------

    def pass_time(self, at):
        """Let the commands arrive that are due before a time."""
        self.now = at
        self._step(self.rules.matching.obey_due, at)

    def change(self, side, index, change, at=None):
        self.pass_time(self.now + 1 if at is None else at)
        levels = self.recorded[side]
        levels[index] = levels.get(index, 0) + change
        if not levels[index]:
            del levels[index]
        most = max(change, 0) if self.has_trades else abs(change)
        self._step(self.rules.recorded.recorded_change, side, index, change, self.now, most=most)

    def trade(self, taker_side, index, quantity, at=None):
        self.pass_time(self.now + 1 if at is None else at)
        rule = self.rules.recorded.recorded_trade
        self._step(rule, taker_side, index, quantity, self.now, most=quantity)

    def snapshot(self, bids, asks, at=None):
        self.pass_time(self.now if at is None else at)
        most = sum(
            max(quantity - self.recorded[side].get(index, 0), 0)
            for side, levels in ((BID, bids), (ASK, asks))
            for index, quantity in levels.items()
        )
        self.recorded = (dict(bids), dict(asks))
        body = [len(bids), len(asks)]
        for levels, is_reversed in ((bids, True), (asks, False)):
            for index in sorted(levels, reverse=is_reversed):
                body += (index, levels[index])
        rule = self.rules.snapshots.recorded_snapshot
        self._step(rule, body, 0, self.now, most=most)

    def status(self, status, value=-1, at=None):
        self.pass_time(self.now + 1 if at is None else at)
        self._step(self.rules.recorded.recorded_status, status, value, self.now)

    # --- what holds in every step ----------------------------------------------------------------

    def _step(self, rule, *numbers, most=0):
        """Run a rule; `most` is how many contracts our resting orders may be filled by it."""
        fills = self.number("FILLS_COUNT")
        before = tuple(dict(side) for side in self.public)
        self.told[0] = 0
        rule(self.market, PRICES, *numbers, self.told)
        rows = [tuple(self.told[1 + 5 * row : 6 + 5 * row]) for row in range(self.told[0])]
        self.rows = rows
        for row in rows:
            self._publish(row)
        self._check_public_book()
        self._check_fills(fills, before, most)

    def _publish(self, row):
        kind, side, index, quantity, _ = row
        if kind in {DELTA, OWN_DELTA}:
            levels = self.public[side]
            levels[index] = levels.get(index, 0) + quantity
            assert levels[index] >= 0, "the public book never goes below zero"
            if not levels[index]:
                del levels[index]
        elif kind == SNAPSHOT:
            body = self.told[quantity : quantity + index]
            numbers = iter(body[2:])
            pairs = list(zip(numbers, numbers, strict=True))
            self.public = (dict(pairs[: body[0]]), dict(pairs[body[0] :]))
            assert body[:2] == [len(self.public[BID]), len(self.public[ASK])]

    def _check_public_book(self):
        shown = self.rules.levels.shown
        bids, asks = self.public
        assert max(bids, default=-1) < min(asks, default=SIZE), "the public book is never crossed"
        own = ({}, {})
        for _, side, index, remaining in self.resting():
            own[side][index] = own[side].get(index, 0) + remaining
        for side in (BID, ASK):
            for index in {*self.recorded[side], *self.public[side], *own[side]}:
                others = shown(self.market, side, index)
                assert 0 <= others <= self.recorded[side].get(index, 0), "what is taken was there"
                assert self.public[side].get(index, 0) == others + own[side].get(index, 0)

    def _check_fills(self, first, before, most):
        state = self.rules.state
        made, taken = 0, {}
        for side, index, quantity, role, _, at, _, number in self.fills(first):
            own_side, limit, _, arrives_at = self.sent[number]
            assert side == own_side
            assert quantity > 0
            assert 0 <= index < SIZE, "no fill is off the grid"
            assert at >= arrives_at, "nothing acts before it arrives"
            if role == state.TAKER:
                assert at == arrives_at, "what is taken is taken on arrival"
                assert index <= limit if side == BID else index >= limit
                taken[1 - side, index] = taken.get((1 - side, index), 0) + quantity
            else:
                assert index == limit, "a resting order is filled at its own price"
                made += quantity
        assert made <= most, "no more is filled than the recording traded or newly shows"
        for (side, index), quantity in taken.items():
            assert quantity <= before[side].get(index, 0), "no more is taken than was visible"
        filled = {}
        for *_, quantity, _, _, _, _, number in self.fills():
            filled[number] = filled.get(number, 0) + quantity
        for number, quantity in filled.items():
            assert quantity <= self.sent[number][2], "no order is filled beyond its quantity"
