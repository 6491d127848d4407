"""Stale reads: for a while after an order has changed, reads show it as it was before."""

import copy
from bisect import bisect_right
from collections.abc import Mapping

from kalshiflow.venue.clock import MILLISECOND
from kalshiflow.venue.faults.language import Fault
from kalshiflow.venue.faults.live import Faults, Phase
from kalshiflow.venue.floor.accounts import Account, Accounts, OrderRecord
from kalshiflow.venue.floor.facts import OrderChanged

STALE = frozenset({"stale-reads"})


class Reads:
    """Remembers what orders were like while there is a fault of stale reads, on or to come.

    A new order is shown at once; only its changes are late.
    """

    def __init__(self, faults: Faults, accounts: Accounts) -> None:
        self._faults = faults
        self._accounts = accounts
        # By order id: since when (monotonic nanoseconds) it has been like this.
        self._past: dict[str, list[tuple[int, OrderRecord]]] = {}
        self._is_kept = False
        self._latest_ms = 0
        faults.on_change.append(self._begin_or_end)

    def hear(self, fact: OrderChanged) -> None:
        """Remember what a changed order has become."""
        if self._is_kept and not self._faults.any_of(STALE):  # its time has run out
            self._begin_or_end()
        if self._is_kept:
            self._remember(fact.record)

    def of(self, account: Account) -> Mapping[str, OrderRecord]:
        """Give an account's orders as reads show them now."""
        faults = [
            live.fault
            for live in self._faults.on(STALE)
            if self._faults.concerns(live.fault, account.key_id)
        ]
        if not faults:
            return account.orders
        now = self._faults.now()
        return {
            order_id: self._shown(record, faults, now)
            for order_id, record in account.orders.items()
        }

    def _shown(self, record: OrderRecord, faults: list[Fault], now: int) -> OrderRecord:
        past = self._past.get(record.order.order_id)
        late = max(
            (f.ms for f in faults if not f.ticker or record.order.ticker in f.ticker), default=0
        )
        if not past or not late:
            return record
        known = _known(past, now - late * MILLISECOND)
        if known == len(past):
            return record
        return past[known - 1][1]

    def _remember(self, record: OrderRecord) -> None:
        states, now = self._past.setdefault(record.order.order_id, []), self._faults.now()
        # Of what was longer ago than any read looks back, the last is what it was like since.
        del states[: _known(states, now - self._latest_ms * MILLISECOND) - 1]
        states.append((now, copy.copy(record)))

    def _begin_or_end(self) -> None:
        wanted = [
            live.fault.ms
            for live in self._faults
            if live.fault.kind in STALE and self._faults.phase(live) is not Phase.OVER
        ]
        is_wanted = bool(wanted)
        self._latest_ms = max(wanted, default=0)
        if is_wanted and not self._is_kept:
            for account in self._accounts.with_keys():
                for record in account.orders.values():
                    self._remember(record)
        elif not is_wanted:
            self._past.clear()
        self._is_kept = is_wanted


def _known(states: list[tuple[int, OrderRecord]], at: int) -> int:
    """Count the states until a time: the first one counts, whenever it began."""
    return max(bisect_right(states, at, key=lambda state: state[0]), 1)
