"""Which markets GET /markets asks for: its filters, and which of them may be combined."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from kalshiflow.market.listing import MarketStatus
from kalshiflow.venue.floor.listed import ListedMarket
from kalshiflow.venue.rest import answers
from kalshiflow.venue.rest.answers import InvalidParameters
from kalshiflow.venue.rest.market_bodies import made

STATUSES: dict[str, frozenset[MarketStatus]] = {
    "unopened": frozenset({MarketStatus.INITIALIZED}),
    "open": frozenset({MarketStatus.ACTIVE}),
    "paused": frozenset({MarketStatus.INACTIVE}),
    "closed": frozenset(
        {
            MarketStatus.CLOSED,
            MarketStatus.DETERMINED,
            MarketStatus.DISPUTED,
            MarketStatus.AMENDED,
        }
    ),
    "settled": frozenset({MarketStatus.FINALIZED}),
}
# Kind of time: the statuses that it may be asked for together with.
TIMES = {
    "created": {"", "unopened", "open"},
    "updated": {""},
    "close": {"", "closed"},
    "settled": {"", "settled"},
}
MVE_FILTERS = ("only", "exclude")


@dataclass(frozen=True, slots=True)
class MarketFilter:
    """What a query asks for. Times are Unix seconds, of the one `kind` that it names."""

    tickers: frozenset[str]
    event_ticker: str
    series_ticker: str
    status: str
    has_combos_only: bool
    kind: str = ""
    earliest: int | None = None
    latest: int | None = None

    def admits(self, listed: ListedMarket, begun: int) -> bool:
        """Say whether a market is asked for; `begun` is when the venue began."""
        market = listed.market
        if self.has_combos_only:  # the venue lists none
            return False
        if self.status and market.status not in STATUSES[self.status]:
            return False
        if self.tickers and market.ticker not in self.tickers:
            return False
        if self.event_ticker and market.event_ticker != self.event_ticker:
            return False
        if self.series_ticker and market.series_ticker != self.series_ticker:
            return False
        return not self.kind or self._is_in_time(_TIME_OF[self.kind](listed, begun))

    def _is_in_time(self, at: int | None) -> bool:
        return at is not None and answers.within(at, self.earliest, self.latest)


def market_filter(query: Mapping[str, str], operation: str) -> MarketFilter:
    """Read the filters of a query; raises `BadParameter` or `InvalidParameters`."""
    status = answers.choice(query, "status", operation, STATUSES)
    mve = answers.choice(query, "mve_filter", operation, MVE_FILTERS)
    bounds = {
        kind: (
            answers.whole(query, f"min_{kind}_ts", operation),
            # Kalshi has no upper bound of the time of an update.
            None if kind == "updated" else answers.whole(query, f"max_{kind}_ts", operation),
        )
        for kind in TIMES
    }
    named = [kind for kind, (least, most) in bounds.items() if (least, most) != (None, None)]
    wanted = MarketFilter(
        answers.names(query, "tickers"),
        query.get("event_ticker") or "",
        query.get("series_ticker") or "",
        status,
        mve == "only",
    )
    if not named:
        return wanted
    if len(named) > 1:
        raise InvalidParameters(details=f"{named[0]} and {named[1]} timestamps are exclusive")
    [kind] = named
    if status not in TIMES[kind]:
        raise InvalidParameters(details=f"status {status} and {kind} timestamps are exclusive")
    if kind == "updated":
        _check_updated(wanted, mve)
    least, most = bounds[kind]
    return replace(wanted, kind=kind, earliest=least, latest=most)


def _check_updated(wanted: MarketFilter, mve: str) -> None:
    if wanted.tickers or wanted.event_ticker or mve == "only":
        raise InvalidParameters(details="min_updated_ts excludes other filters")
    if wanted.series_ticker and mve != "exclude":
        raise InvalidParameters(details="min_updated_ts of a series needs mve_filter=exclude")


def _settled(listed: ListedMarket, begun: int) -> int | None:
    del begun
    return listed.details.settled_at


def _closes(listed: ListedMarket, begun: int) -> int | None:
    del begun
    return listed.market.close_time


def _updated(listed: ListedMarket, begun: int) -> int | None:
    return max(listed.described_at, made(listed, begun))


_TIME_OF: dict[str, Callable[[ListedMarket, int], int | None]] = {
    "created": made,
    "updated": _updated,
    "close": _closes,
    "settled": _settled,
}
