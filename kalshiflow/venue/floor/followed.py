"""Recorded steps of markets' lives, taken by the floor's own markets as a recording is replayed."""

from contextlib import suppress
from typing import TYPE_CHECKING

from kalshiflow.market.events import MarketStatusChanged
from kalshiflow.market.listing import MarketStatus
from kalshiflow.venue.floor.facts import LifecycleKind
from kalshiflow.venue.floor.listed import ListedMarket
from kalshiflow.venue.floor.refusals import ImpossibleMove, InvalidOutcome
from kalshiflow.venue.floor.settlement import Outcome, checked

if TYPE_CHECKING:
    from kalshiflow.venue.floor.lifecycle import Lifecycle

_NEVER_CLOSED = frozenset({MarketStatus.INITIALIZED, MarketStatus.ACTIVE, MarketStatus.INACTIVE})
_AWAITS_RESULT = frozenset({MarketStatus.CLOSED, MarketStatus.DISPUTED})


def follow(
    lifecycle: "Lifecycle", listed: ListedMarket | None, event: MarketStatusChanged, now: int
) -> None:
    """Take a recorded step, told by the same frame; one that the market cannot take is skipped.

    The recording says when: neither a settlement timer nor an outcome of ours follows from it.
    Skipped are steps of markets that are not listed, results without a value, and what the market
    is past. An update of metadata is skipped as well: recordings do not keep what it told.
    """
    if listed is None:
        return
    with suppress(ImpossibleMove, InvalidOutcome):
        match event.event_type:
            case LifecycleKind.CREATED:
                lifecycle.tell(event.ticker, LifecycleKind.CREATED, now)
            case LifecycleKind.ACTIVATED:
                lifecycle.reactivate(event.ticker, now)
            case LifecycleKind.DEACTIVATED:
                lifecycle.deactivate(event.ticker, now)
            case LifecycleKind.CLOSE_DATE_UPDATED if event.close_time is not None:
                lifecycle.move_close(event.ticker, event.close_time, now)
            case LifecycleKind.PRICE_LEVELS_UPDATED if event.grid is not None:
                lifecycle.change_grid(event.ticker, event.grid, now)
            case LifecycleKind.DETERMINED:
                _follow_result(lifecycle, listed, event, now)
            case LifecycleKind.SETTLED:
                lifecycle.settle(event.ticker, now)


def _follow_result(
    lifecycle: "Lifecycle", listed: ListedMarket, event: MarketStatusChanged, now: int
) -> None:
    checked(Outcome(event.result, event.settlement_value))
    # A recording does not tell of a close, and a second result is an amended one.
    if listed.market.status in _NEVER_CLOSED:
        lifecycle.close(event.ticker, now)
    elif listed.market.status not in _AWAITS_RESULT:
        lifecycle.dispute(event.ticker, now)
    lifecycle.determine(
        event.ticker, event.result, now, event.settlement_value, is_paid_in_time=False
    )
