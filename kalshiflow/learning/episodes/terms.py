"""What was known of each market of a session, from frame to frame: never its later result."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Protocol

from kalshiflow.learning.episodes.state import HAPPENED, LISTED, RANKS
from kalshiflow.market.events import MarketStatusChanged
from kalshiflow.market.listing import Market, MarketResult, PriceGrid


class Listing(Protocol):
    """A market as it was listed from a frame on.

    Its price grid holds where it `joined` there; where it was `released`, it is followed no more.
    """

    @property
    def frame_no(self) -> int: ...
    @property
    def reason(self) -> str: ...
    @property
    def market(self) -> Market: ...


JOINED, RELEASED = "joined", "released"


class Terms:
    """The markets of a session as they were known at any place in it.

    A place is a key as in `state`; `begun` are the markets as they were known at first.
    """

    def __init__(
        self,
        begun: Mapping[str, Market],
        listings: Iterable[Listing],
        life: Iterable[MarketStatusChanged],
    ) -> None:
        self._known: dict[str, list[tuple[int, Market]]] = {
            ticker: [(-1, market)] for ticker, market in begun.items()
        }
        told: list[tuple[int, str, Callable[[Market], Market]]] = []
        for one in listings:
            key = one.frame_no * RANKS + LISTED
            told.append((key, one.market.ticker, partial(_listed, one)))
        for event in life:
            key = event.stamp.frame_no * RANKS + HAPPENED
            told.append((key, event.ticker, partial(_told, event)))
        for key, ticker, learn in sorted(told, key=lambda entry: entry[0]):
            if ticker in self._known:
                known = self._known[ticker]
                known.append((key, learn(known[-1][1])))

    def at(self, ticker: str, key: int, grid: PriceGrid) -> Market:
        """Give a market as it was known at a place, on the grid that held there."""
        known = self._known[ticker]
        place = bisect_right(known, key, key=lambda entry: entry[0]) - 1
        return replace(known[place][1], grid=grid)


def _listed(listing: Listing, before: Market) -> Market:
    grid = listing.market.grid if listing.reason == JOINED else before.grid
    return replace(listing.market, grid=grid, result=MarketResult.UNKNOWN, settlement_value=None)


def _told(event: MarketStatusChanged, before: Market) -> Market:
    status = before.status if event.status is None else event.status
    close_time = before.close_time if event.close_time is None else event.close_time
    return replace(before, status=status, close_time=close_time)
