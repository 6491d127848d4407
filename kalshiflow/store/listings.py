"""A session's markets as they were listed, from frame to frame."""

from typing import Any, NamedTuple

from kalshiflow.market.listing import Market
from kalshiflow.store.markets import market_of


class Listing(NamedTuple):
    """A market as it was listed from frame `frame_no` on; `reason` as in `rl_market_listings`."""

    frame_no: int
    reason: str
    market: Market


async def listings_of(connection: Any, session_id: str) -> list[Listing]:
    """Give a session's listings in the order in which they hold."""
    found = await connection.fetch(
        "SELECT * FROM rl_market_listings WHERE session_id = $1 ORDER BY frame_no, at, ticker",
        session_id,
    )
    return [Listing(row["frame_no"], row["reason"], market_of(row)) for row in found]
