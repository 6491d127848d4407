"""Whether a session may have the markets that it asks for: so many in all its channels together."""

from collections.abc import Iterable

from kalshiflow.venue.websocket.refusals import TOO_MANY_MARKETS, CommandRefused
from kalshiflow.venue.websocket.selection import Selection
from kalshiflow.venue.websocket.sessions import UNFILTERED, Session, Subscription


def check_room(session: Session, limit: int, channels: Iterable[str], named: Selection) -> None:
    """Refuse markets beyond the limit; one subscription to all markets counts for one."""
    grown = session.market_count
    for channel in channels:
        subscription = session.by_channel.get(channel)
        if subscription is not None:
            grown += _growth(subscription, named)
        elif channel in UNFILTERED or not named:
            grown += 1
        else:
            grown += len(named.tickers) + len(named.ids)
        if grown > limit:
            raise CommandRefused(TOO_MANY_MARKETS, subscription)


def _growth(subscription: Subscription, named: Selection) -> int:
    """Give how many markets would be new to a subscription."""
    if subscription.tickers is None:
        return 0
    new = [ticker for ticker in named.tickers if ticker not in subscription.tickers]
    return len(new) + len([name for name in named.ids if name not in subscription.ids])
