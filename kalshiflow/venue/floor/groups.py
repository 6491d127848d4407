"""Order groups: a limit on the contracts that several orders together may fill in 15 seconds."""

from collections import deque
from collections.abc import Callable

from kalshiflow.market.units import Quantity
from kalshiflow.venue.clock import SECOND
from kalshiflow.venue.floor.accounts import Account, OrderRecord
from kalshiflow.venue.floor.facts import Fact, GroupStep, OrderGroupChanged
from kalshiflow.venue.floor.refusals import InvalidOrder, InvalidOrderSize, OrderGroupNotFound
from kalshiflow.venue.ids import Identifiers

WINDOW = 15 * SECOND


class OrderGroup:
    """One account's group. While it `is_triggered`, new orders in it are refused.

    `records` are its orders that have not ended, oldest first.
    """

    __slots__ = ("_filled", "_fills", "account", "group_id", "is_triggered", "limit", "records")

    def __init__(self, group_id: str, account: Account, limit: Quantity) -> None:
        self.group_id = group_id
        self.account = account
        self.limit = limit
        self.is_triggered = False
        self.records: dict[str, OrderRecord] = {}
        self._fills: deque[tuple[int, Quantity]] = deque()
        self._filled = 0

    @property
    def order_ids(self) -> list[str]:
        """Give the ids of its orders that have not ended, oldest first."""
        return list(self.records)

    def count(self, quantity: Quantity, at: int) -> None:
        """Note a fill of one of its orders."""
        self._fills.append((at, quantity))
        self._filled += quantity

    def is_beyond(self, limit: Quantity, now: int) -> bool:
        """Say whether the fills of the last 15 seconds add up to more than a limit."""
        while self._fills and self._fills[0][0] <= now - WINDOW:
            self._filled -= self._fills.popleft()[1]
        return self._filled > limit

    def forget_fills(self) -> None:
        """Count from nothing again."""
        self._fills.clear()
        self._filled = 0


class OrderGroups:
    """All groups. `cancel(record, now)` takes a resting order off, where that may be.

    `check_active` raises where the exchange takes no changes at all, of groups neither.
    """

    def __init__(
        self,
        ids: Identifiers,
        publish: Callable[[Fact], None],
        cancel: Callable[[OrderRecord, int], None],
        check_active: Callable[[], None],
    ) -> None:
        self._ids = ids
        self._publish = publish
        self._cancel = cancel
        self._check_active = check_active
        self._groups: dict[str, OrderGroup] = {}
        self._filled: dict[str, OrderGroup] = {}

    # --- what an account asks ----------------------------------------------------------------

    def create(self, account: Account, limit: Quantity, now: int) -> OrderGroup:
        """Open a group; raises `InvalidOrderSize` for a limit that is none."""
        self._check_active()
        _check(limit)
        group = OrderGroup(self._ids.next("group"), account, limit)
        self._groups[group.group_id] = group
        self._tell(group, GroupStep.CREATED, now)
        return group

    def of(self, account: Account) -> list[OrderGroup]:
        """Give an account's groups, oldest first."""
        return [group for group in self._groups.values() if group.account is account]

    def get(self, account: Account, group_id: str) -> OrderGroup:
        """Give a group of an account; raises `OrderGroupNotFound`."""
        group = self._groups.get(group_id)
        if group is None or group.account is not account:
            raise OrderGroupNotFound
        return group

    def reset(self, account: Account, group_id: str, now: int) -> None:
        """Count from nothing again, and take orders again."""
        group = self._to_change(account, group_id)
        group.is_triggered = False
        group.forget_fills()
        self._tell(group, GroupStep.RESET, now)

    def trigger(self, account: Account, group_id: str, now: int) -> None:
        """Cancel a group's resting orders, and refuse new ones until it is reset."""
        self._trigger(self._to_change(account, group_id), now)

    def set_limit(self, account: Account, group_id: str, limit: Quantity, now: int) -> None:
        """Give a group another limit; one that its fills are beyond already triggers it."""
        group = self._to_change(account, group_id)
        _check(limit)
        group.limit = limit
        self._tell(group, GroupStep.LIMIT_UPDATED, now)
        if group.is_beyond(limit, now):
            self._trigger(group, now)

    def delete(self, account: Account, group_id: str, now: int) -> None:
        """Cancel a group's resting orders, and forget it."""
        group = self._to_change(account, group_id)
        self._empty(group, now)
        del self._groups[group_id]
        self._tell(group, GroupStep.DELETED, now)

    # --- what the floor tells ----------------------------------------------------------------

    def check(self, account: Account, group_id: str) -> None:
        """Raise a `Refused` where an order may not join a group; no group at all is fine."""
        if group_id and self.get(account, group_id).is_triggered:
            raise InvalidOrder(details="order group was triggered and has not been reset")

    def join(self, record: OrderRecord) -> None:
        """Add an accepted order to its group, if it names one."""
        if record.group_id:
            self._groups[record.group_id].records[record.order.order_id] = record

    def leave(self, record: OrderRecord) -> None:
        """Drop an order that has ended."""
        if record.group_id in self._groups:
            self._groups[record.group_id].records.pop(record.order.order_id, None)

    def count(self, record: OrderRecord, quantity: Quantity, at: int) -> None:
        """Note a fill."""
        group = self._groups.get(record.group_id)
        if group is not None:
            group.count(quantity, at)
            self._filled[group.group_id] = group

    def enforce(self, now: int) -> None:
        """Trigger the groups whose last fills took them beyond their limits.

        The floor asks once a match is over: what one taker takes from a group may go beyond its
        limit, what the next one takes may not.
        """
        filled, self._filled = self._filled, {}
        for group in filled.values():
            if group.is_beyond(group.limit, now):
                self._trigger(group, now)

    # --- the inside ----------------------------------------------------------------------------

    def _to_change(self, account: Account, group_id: str) -> OrderGroup:
        self._check_active()
        return self.get(account, group_id)

    def _trigger(self, group: OrderGroup, now: int) -> None:
        if group.is_triggered:
            return
        group.is_triggered = True
        self._empty(group, now)
        self._tell(group, GroupStep.TRIGGERED, now)

    def _empty(self, group: OrderGroup, now: int) -> None:
        for record in list(group.records.values()):
            if record.remaining:  # the last taker is still here, and may be filled
                self._cancel(record, now)

    def _tell(self, group: OrderGroup, step: GroupStep, now: int) -> None:
        self._publish(OrderGroupChanged(group.account, group.group_id, step, group.limit, now))


def _check(limit: Quantity) -> None:
    if limit <= 0:
        raise InvalidOrderSize(details="the contracts limit must be above zero")
