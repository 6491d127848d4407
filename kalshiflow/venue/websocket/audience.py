"""Who listens to what: the subscriptions of each channel, found by market."""

from collections.abc import Iterable, Iterator

from kalshiflow.venue.websocket.selection import Selection
from kalshiflow.venue.websocket.sessions import CHANNELS, Subscription

_Index = dict[str | None, list[Subscription]]


class Audience:
    """All subscriptions, by channel and by the market's ticker or id; under `None` those of all."""

    def __init__(self) -> None:
        self._by_ticker: dict[str, _Index] = {channel: {} for channel in CHANNELS}
        # Apart, for a client may name a ticker that is spelled like an id.
        self._by_id: dict[str, _Index] = {channel: {} for channel in CHANNELS}

    def enter(self, subscription: Subscription) -> None:
        """Let a new subscription hear its markets."""
        for index, name in self._places(subscription):
            index.setdefault(name, []).append(subscription)

    def leave(self, subscription: Subscription) -> None:
        """Let a subscription hear nothing more."""
        for index, name in self._places(subscription):
            _drop(index, name, subscription)

    def add(self, subscription: Subscription, named: Selection) -> Selection:
        """Add markets to a subscription; give those that are new to it."""
        if subscription.tickers is None:
            return Selection()
        new = Selection(
            tuple(name for name in named.tickers if name not in subscription.tickers),
            tuple(name for name in named.ids if name not in subscription.ids),
        )
        subscription.tickers.update(dict.fromkeys(new.tickers))
        subscription.ids.update(dict.fromkeys(new.ids))
        for index, name in self._named(subscription.channel, new.tickers, new.ids):
            index.setdefault(name, []).append(subscription)
        return new

    def remove(self, subscription: Subscription, named: Selection) -> None:
        """Take markets off a subscription; one that covers all markets keeps covering them."""
        if subscription.tickers is None:
            return
        tickers = [name for name in named.tickers if name in subscription.tickers]
        ids = [name for name in named.ids if name in subscription.ids]
        for ticker in tickers:
            del subscription.tickers[ticker]
        for market_id in ids:
            del subscription.ids[market_id]
        for index, name in self._named(subscription.channel, tickers, ids):
            _drop(index, name, subscription)

    def widen(self, subscription: Subscription) -> None:
        """Let a subscription hear all markets."""
        self.leave(subscription)
        subscription.tickers = None
        subscription.ids = {}
        self.enter(subscription)

    def of_market(self, channel: str, ticker: str) -> list[Subscription]:
        """Give those that named a market by its ticker."""
        return self._by_ticker[channel].get(ticker, [])

    def of(self, channel: str, ticker: str, market_id: str = "") -> list[Subscription]:
        """Give those that hear of a market, each once, whether they named it or hear all."""
        index, by_id = self._by_ticker[channel], self._by_id[channel]
        if not index and not by_id:
            return []
        found = [*index.get(ticker, ()), *index.get(None, ())]
        if market_id in by_id:
            found += [one for one in by_id[market_id] if ticker not in (one.tickers or ())]
        return found

    def _places(self, subscription: Subscription) -> Iterator[tuple[_Index, str | None]]:
        if subscription.tickers is None:
            return self._named(subscription.channel, (None,), ())
        return self._named(subscription.channel, subscription.tickers, subscription.ids)

    def _named(
        self, channel: str, tickers: Iterable[str | None], ids: Iterable[str]
    ) -> Iterator[tuple[_Index, str | None]]:
        yield from ((self._by_ticker[channel], name) for name in tickers)
        yield from ((self._by_id[channel], name) for name in ids)


def _drop(index: _Index, name: str | None, subscription: Subscription) -> None:
    listeners = index.get(name)
    if listeners is not None and subscription in listeners:
        listeners.remove(subscription)
        if not listeners:
            del index[name]
