"""Which markets to follow: those that are named, or the exchange's open ones, busiest first."""

from collections.abc import Sequence

import structlog

from kalshiflow.exchange.client import KalshiClient
from kalshiflow.market.listing import Market

log = structlog.get_logger()


async def select_markets(
    client: KalshiClient, *, mode: str, tickers: Sequence[str], limit: int
) -> list[Market]:
    """Give at most `limit` markets with their fee terms; none is an answer, never a guess.

    `mode` is `tickers` (those named in `tickers`; a name that is unknown or beyond the limit is
    left out and logged) or `discovery` (the most traded open ones). The exchange's errors pass
    through.
    """
    if mode == "tickers":
        asked = list(dict.fromkeys(tickers))
        named = asked[:limit]
        if len(asked) > limit:
            log.warning("markets_beyond_limit", limit=limit, tickers=asked[limit:])
        markets = await client.get_markets(tickers=named) if named else []
        if unknown := sorted(set(named) - {market.ticker for market in markets}):
            log.warning("markets_unknown", tickers=unknown)
    else:
        markets = await client.get_markets(status="open", by_volume=True, limit=limit)
    return await client.add_fee_terms(markets)
