"""The nine faults of a simulator that paid for nothing: each, planted in a copy, is caught."""

import pytest
from simulator_accounting import accounting
from simulator_rules import copy_of_rules

POSITION, UNITS, FEES = "market.position", "market.units", "market.fees"
FAULTS = {
    "a: selling from flat is paid": (
        POSITION,
        "spent = unit * (quantity - closed)",
        "spent = (unit if side == Side.BID else -price) * (quantity - closed)",
    ),
    "b: a pair of YES and NO is burnt": (
        POSITION,
        "received = complement(unit) * closed",
        "received = 0 if side == Side.BID else complement(unit) * closed",
    ),
    "c: a flip keeps no cost of what is left": (
        POSITION,
        "return after, cost - released + spent, received - spent,",
        "return after, cost - released, received - spent,",
    ),
    "d: NO costs 99 cents less YES": (
        UNITS,
        "return Price(DOLLAR - price)",
        "return Price(9_900 - price)",
    ),
    "d: the depth of NO is looked up a cent off": (
        "simulator.matching",
        "if best == _beyond(market, other) or not is_within(side, best, limit):",
        "if best == _beyond(market, other) or not is_within(side, best - side, limit):",
    ),
    "e: resting orders are never filled": (
        "simulator.fills",
        "quantity = min(reached, market[order + ORDER_REMAINING])",
        "return 0",
    ),
    "f: the wall clock has a say": (
        "simulator.queue",
        "    if at - queue[base + PAIRED_AT] > PAIRING:",
        "    import time\n    if time.time_ns() % 3 == 0:",
    ),
    "g: a position is worth nothing at the end": (
        "simulator.valuation",
        "            most = max(most, brought)\n",
        "",
    ),
    "g: no settlement is paid": (
        "simulator.ledger",
        "payout = settlement_payout(market[POSITION], value)",
        "payout = 0",
    ),
    "h: nobody asks for the cash": (
        "simulator.ledger",
        "return needed == 0 or needed <= market[CASH] - market[RESERVED]",
        "return True",
    ),
    "h: no latency": (
        "simulator.matching",
        "market[COMMANDS] > 0 and next_arrival(market) < before",
        "market[COMMANDS] > 0",
    ),
    "h: no queue": (
        "simulator.queue",
        "queue[base + AHEAD] = level\n",
        "queue[base + AHEAD] = 0\n",
    ),
    "h: what is taken is there again": (
        "simulator.overlay",
        "    taken[taken_level] += got\n",
        "",
    ),
    "h: chance without a seed": (
        "simulator.latency",
        "    x = (seed % _PRIME",
        "    import random\n    x = random.randrange(99) + (seed % _PRIME",
    ),
    "i: floats cut a part of a cent off": (
        FEES,
        "return -(-numerator // step) * quantum",
        "return int(numerator / step) * quantum",
    ),
}


def test_the_true_rules_keep_the_accounts():
    accounting(copy_of_rules(), seeds=range(24))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught(fault):
    rules = copy_of_rules([FAULTS[fault]])
    with pytest.raises(AssertionError):
        accounting(rules)
