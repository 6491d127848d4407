"""All paths that are for an account's own eyes, in the order in which they are looked up."""

from collections.abc import Callable

from starlette.routing import BaseRoute

from kalshiflow.venue.core import Venue
from kalshiflow.venue.rest import (
    account,
    batches,
    legacy_orders,
    order_groups,
    order_reads,
    orders,
    own_history,
    portfolio,
)
from kalshiflow.venue.rest.callers import Callers
from kalshiflow.venue.rest.own_bodies import OrderBodies


def routes(
    venue: Venue, callers: Callers, flush: Callable[[], None], *, strict_v1: bool = False
) -> list[BaseRoute]:
    """Give the routes of orders, portfolio and account, below /trade-api/v2.

    `flush` sends the frames that a request made; `strict_v1` answers the old order endpoints 410.
    """
    bodies = OrderBodies()
    return [
        *batches.routes(venue, callers, flush),
        *orders.routes(venue, callers, flush),
        *legacy_orders.routes(venue, callers, flush, bodies, strict=strict_v1),
        *order_reads.routes(venue, callers, bodies),
        *order_groups.routes(venue, callers, flush),
        *portfolio.routes(venue, callers),
        *own_history.routes(callers),
        *account.routes(callers),
    ]
