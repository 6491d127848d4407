"""The lives of markets: listing, opening, pauses, closing, results, settlement.

initialized -> active <-> inactive -> closed -> determined (-> disputed -> amended) -> finalized

Steps that a market's own times bring (its opening, its close) are told by no frame; those that the
exchange decides are. Choices where Kalshi says nothing:

- what rests is cancelled `SWEEP_AFTER` the close, and nobody can cancel it meanwhile;
- in an inactive market orders may be cancelled or decreased, but neither placed nor amended;
- what a reactivation cancels (all orders) or a new price grid (those off it) ends by HaltCancel.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from kalshiflow.market.events import MarketStatusChanged
from kalshiflow.market.listing import MarketResult, MarketStatus, PriceGrid
from kalshiflow.market.settlement import settlement_value
from kalshiflow.market.units import Price
from kalshiflow.venue.clock import SECOND
from kalshiflow.venue.floor.facts import LifecycleKind
from kalshiflow.venue.floor.followed import follow
from kalshiflow.venue.floor.listed import Details, ListedMarket
from kalshiflow.venue.floor.listing import Listing
from kalshiflow.venue.floor.refusals import ImpossibleMove
from kalshiflow.venue.floor.settlement import Outcome, checked, pay_positions
from kalshiflow.venue.matching.messages import Removal

if TYPE_CHECKING:
    from kalshiflow.venue.floor.floor import Floor

__all__ = ["DETERMINED_AFTER", "SWEEP_AFTER", "Lifecycle", "Outcome"]

SWEEP_AFTER = SECOND
DETERMINED_AFTER = 5 * SECOND

_OPEN = frozenset({MarketStatus.ACTIVE, MarketStatus.INACTIVE})
_UNDETERMINED = _OPEN | {MarketStatus.INITIALIZED, MarketStatus.CLOSED}
_PAYABLE = frozenset({MarketStatus.DETERMINED, MarketStatus.AMENDED})
# What an update of a market's metadata can tell, by Kalshi's names.
_TOLD_DETAILS = ("strike_type", "floor_strike", "cap_strike", "yes_sub_title")


class Lifecycle(Listing):
    """Moves the floor's markets through their lives; `now` is market time.

    A step that cannot be taken raises `ImpossibleMove`, an unknown ticker `MarketNotFound`, and
    then nothing has changed. `outcome_of` is asked at each close: the outcome it gives is
    determined `DETERMINED_AFTER` it, and paid once the market's settlement timer has run; with
    `None` somebody else determines.
    """

    def __init__(self, floor: "Floor") -> None:
        super().__init__(floor)
        self.outcome_of: Callable[[str], Outcome | None] = _unknown

    # --- trading ---------------------------------------------------------------------------

    def schedule(self, listed: ListedMarket) -> None:
        """Put a market's opening and its close on the agenda."""
        market, agenda = listed.market, self._floor.agenda
        if market.status is MarketStatus.INITIALIZED and market.open_time is not None:
            agenda.add(market.open_time, lambda at: self._open_due(listed, at))
        if market.close_time is not None and market.status in _UNDETERMINED:
            agenda.add(market.close_time, lambda at: self._close_due(listed, at))

    def activate(self, ticker: str, now: int) -> None:
        """Open a market that has not been open yet; no frame tells of it."""
        listed = self._found(ticker, frozenset({MarketStatus.INITIALIZED}), "be opened")
        if listed.market.open_time is not None and listed.market.open_time > now:
            listed.market = replace(listed.market, open_time=now)
        self._open_due(listed, now)

    def deactivate(self, ticker: str, now: int) -> None:
        """Pause an active market; what rests stays, and may be cancelled."""
        listed = self._found(ticker, frozenset({MarketStatus.ACTIVE}), "be paused")
        self._become(listed, MarketStatus.INACTIVE, now)
        self.tell(ticker, LifecycleKind.DEACTIVATED, now)

    def reactivate(self, ticker: str, now: int) -> None:
        """Resume a paused market, with every resting order cancelled."""
        listed = self._found(ticker, frozenset({MarketStatus.INACTIVE}), "be resumed")
        self._floor.sweep(listed, now, Removal.HALT)
        self._become(listed, MarketStatus.ACTIVE, now)
        self.tell(ticker, LifecycleKind.ACTIVATED, now)

    def change_grid(self, ticker: str, grid: PriceGrid, now: int) -> None:
        """Give a market another price grid; resting orders off it are cancelled, all others stay.

        So a finer grid keeps every order. Cancels come first: the new grid holds all that is left.
        """
        listed = self._found(ticker, _UNDETERMINED, "get another price grid")
        for record in self._floor.resting(ticker):
            if record.order.price not in grid:
                self._floor.take_off(record, now, Removal.HALT)
        listed.matching.regrid(grid)
        listed.market = replace(listed.market, grid=grid)
        self.tell(ticker, LifecycleKind.PRICE_LEVELS_UPDATED, now)

    def change_details(self, ticker: str, details: Details, now: int) -> None:
        """Give a market other details; what Kalshi tells of them is told where it changed."""
        listed = self._floor.market(ticker)
        before, listed.details = listed.details, details
        if details != before:
            listed.updated_at = listed.described_at = now
        changed = tuple(
            name for name in _TOLD_DETAILS if getattr(details, name) != getattr(before, name)
        )
        if changed:
            self.tell(ticker, LifecycleKind.METADATA_UPDATED, now, changed)

    # --- closing ---------------------------------------------------------------------------

    def close(self, ticker: str, now: int) -> None:
        """Close a market as its close time does: no frame tells of it."""
        self._close(self._found(ticker, _OPEN | {MarketStatus.INITIALIZED}, "be closed"), now)

    def close_early(self, ticker: str, now: int) -> None:
        """Close a market ahead of its close time, which becomes now."""
        self._found(ticker, _OPEN | {MarketStatus.INITIALIZED}, "be closed")
        self.move_close(ticker, now, now)

    def move_close(self, ticker: str, close_time: int, now: int) -> None:
        """Give a market another close time; one that is past closes it at once.

        A closed market whose close moves into the future is open again, if its open time has come.
        """
        listed = self._found(ticker, _UNDETERMINED, "get another close time")
        before = listed.market.close_time
        is_earlier = before is None or close_time < before
        if is_earlier and not listed.details.can_close_early:
            raise ImpossibleMove(f"{ticker} cannot close early")
        self._move_close(listed, close_time, now)

    # --- the end ---------------------------------------------------------------------------

    def determine(
        self,
        ticker: str,
        result: MarketResult,
        now: int,
        value: Price | None = None,
        *,
        is_paid_in_time: bool = True,
    ) -> None:
        """Set a closed market's result; an open one is closed early first.

        It is paid when its settlement timer has run, unless `is_paid_in_time` says that somebody
        else settles it. A disputed market is determined anew: amended. Raises `InvalidOutcome` for
        a scalar or void result without a value.
        """
        listed = self._found(ticker, _UNDETERMINED | {MarketStatus.DISPUTED}, "be determined")
        outcome = checked(Outcome(result, value))
        if listed.market.status in _UNDETERMINED - {MarketStatus.CLOSED}:
            self.close_early(ticker, now)
        self._determine(listed, outcome, now)
        if not is_paid_in_time:
            return
        timer = listed.details.settlement_timer_seconds * SECOND
        self._floor.agenda.add(now + timer, lambda at: self._settle_due(listed, now, at))

    def dispute(self, ticker: str, now: int) -> None:
        """Challenge a determined market's result: its settlement waits for another; no frame."""
        listed = self._found(ticker, _PAYABLE, "be disputed")
        self._become(listed, MarketStatus.DISPUTED, now)

    def settle(self, ticker: str, now: int) -> None:
        """Pay the positions of a determined market, however long its timer has to run."""
        self._settle(self._found(ticker, _PAYABLE, "be settled"), now)

    # --- recordings ------------------------------------------------------------------------

    def follow(self, event: MarketStatusChanged, now: int) -> None:
        """Take a recorded step of a market's life, as far as it can be taken."""
        follow(self, self._floor.find_market(event.ticker), event, now)

    # --- the inside ------------------------------------------------------------------------

    def _found(self, ticker: str, at_stages: frozenset[MarketStatus], what: str) -> ListedMarket:
        listed = self._floor.market(ticker)
        if listed.market.status not in at_stages:
            raise ImpossibleMove(f"{ticker} is {listed.market.status} and cannot {what}")
        return listed

    def _become(self, listed: ListedMarket, status: MarketStatus, now: int) -> None:
        listed.market = replace(listed.market, status=status)
        listed.updated_at = listed.described_at = now

    def _open_due(self, listed: ListedMarket, at: int) -> None:
        if listed.market.status is MarketStatus.INITIALIZED:
            self._become(listed, MarketStatus.ACTIVE, at)

    def _close_due(self, listed: ListedMarket, at: int) -> None:
        market = listed.market
        if market.close_time == at and market.status in _OPEN | {MarketStatus.INITIALIZED}:
            self._close(listed, at)

    def _close(self, listed: ListedMarket, at: int) -> None:
        self._become(listed, MarketStatus.CLOSED, at)
        closed, agenda = listed.market, self._floor.agenda
        agenda.add(at + SWEEP_AFTER, lambda then: self._sweep_due(listed, then))
        outcome = self.outcome_of(closed.ticker)
        if outcome is None:
            return

        def determine_due(then: int) -> None:
            market = listed.market
            # Else it was opened again, or somebody else determined it.
            if market.status is MarketStatus.CLOSED and market.close_time == closed.close_time:
                self.determine(closed.ticker, outcome.result, then, outcome.value)

        agenda.add(at + DETERMINED_AFTER, determine_due)

    def _sweep_due(self, listed: ListedMarket, at: int) -> None:
        if listed.market.status not in _OPEN:
            self._floor.sweep(listed, at, Removal.CLOSE)

    def _move_close(self, listed: ListedMarket, close_time: int, now: int) -> None:
        listed.market = replace(listed.market, close_time=close_time)
        is_closed = listed.market.status is MarketStatus.CLOSED
        self.tell(listed.market.ticker, LifecycleKind.CLOSE_DATE_UPDATED, now)
        if close_time > now:
            self._floor.agenda.add(close_time, lambda at: self._close_due(listed, at))
            if is_closed:
                self._reopen(listed, now)
        elif not is_closed:
            self._close(listed, now)

    def _reopen(self, listed: ListedMarket, now: int) -> None:
        self._floor.sweep(listed, now, Removal.CLOSE)
        open_time = listed.market.open_time
        if open_time is not None and open_time > now:
            self._become(listed, MarketStatus.INITIALIZED, now)
            self._floor.agenda.add(open_time, lambda at: self._open_due(listed, at))
            return
        self._become(listed, MarketStatus.ACTIVE, now)
        self.tell(listed.market.ticker, LifecycleKind.ACTIVATED, now)

    def _determine(self, listed: ListedMarket, outcome: Outcome, now: int) -> None:
        self._floor.sweep(listed, now, Removal.CLOSE)
        is_anew = listed.market.status is MarketStatus.DISPUTED
        listed.market = replace(
            listed.market,
            status=MarketStatus.AMENDED if is_anew else MarketStatus.DETERMINED,
            result=outcome.result,
            settlement_value=outcome.value,
        )
        listed.details = replace(listed.details, determined_at=now)
        self.tell(listed.market.ticker, LifecycleKind.DETERMINED, now)

    def _settle_due(self, listed: ListedMarket, determined_at: int, at: int) -> None:
        is_anew = listed.details.determined_at != determined_at
        if listed.market.status in _PAYABLE and not is_anew:  # neither disputed nor paid meanwhile
            self._settle(listed, at)

    def _settle(self, listed: ListedMarket, now: int) -> None:
        market = listed.market
        value = settlement_value(market.result, market.settlement_value)
        self._become(listed, MarketStatus.FINALIZED, now)
        listed.details = replace(listed.details, settled_at=now)
        pay_positions(self._floor.accounts, listed.market, value, now, self._floor.publish)
        self.tell(market.ticker, LifecycleKind.SETTLED, now)


def _unknown(ticker: str) -> Outcome | None:
    del ticker
    return None
