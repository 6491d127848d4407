"""Public REST of series."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from kalshiflow.exchange import payloads, translate_bodies
from kalshiflow.exchange.times import iso_time
from kalshiflow.market.listing import FeeType, Series
from kalshiflow.market.units import Quantity, quantity_to_contracts
from kalshiflow.venue.clock import SECOND
from kalshiflow.venue.core import Venue
from kalshiflow.venue.rest import answers
from kalshiflow.venue.rest.listings import Listings

# What the older clients' words can say of the fee model that they do not know.
FORMER_FEE_TYPES = {
    FeeType.QUADRATIC_WITH_COMBO_MAKER_FEES.value: FeeType.QUADRATIC_WITH_MAKER_FEES.value
}


class SeriesBody(payloads.SeriesBody, frozen=True, kw_only=True):
    """One series; `volume_fp` only where it was asked for."""

    last_updated_ts: str
    exchange_index: int
    product_metadata: dict[str, str] | msgspec.UnsetType = msgspec.UNSET
    volume_fp: str | msgspec.UnsetType = msgspec.UNSET


class SeriesAnswer(msgspec.Struct):
    series: SeriesBody


class SeriesList(msgspec.Struct):
    series: list[SeriesBody]


class SeriesFeeChanges(msgspec.Struct):
    series_fee_change_arr: list[str]


def routes(venue: Venue, listings: Listings, *, compat: bool) -> list[BaseRoute]:
    """Give the routes of series; those with a word of their own come before any ticker."""
    series = _AllSeries(venue, listings, FORMER_FEE_TYPES if compat else {})
    return [
        Route("/series", series.all_series),
        Route("/series/fee_changes", series.fee_changes),
        Route("/series/{ticker}", series.series),
    ]


class _AllSeries:
    def __init__(self, venue: Venue, listings: Listings, fee_types: dict[str, str]) -> None:
        self._venue = venue
        self._listings = listings
        self._fee_types = fee_types

    async def all_series(self, request: Request) -> Response:
        query = request.query_params
        tags, category = answers.names(query, "tags"), query.get("category")
        has_volume = answers.flag(query, "include_volume", "GetSeriesList")
        has_metadata = answers.flag(query, "include_product_metadata", "GetSeriesList")
        updated_after = answers.whole(query, "min_updated_ts", "GetSeriesList")
        is_later = updated_after is None or self._venue.clock.start > updated_after * SECOND
        found = [
            self._body(series, has_volume=has_volume, has_metadata=has_metadata)
            for series in self._listings.all_series()
            if is_later and not tags and category in {None, "", series.category}
        ]
        return answers.body(SeriesList(found))

    async def series(self, request: Request) -> Response:
        has_volume = answers.flag(request.query_params, "include_volume", "GetSeries")
        series = self._listings.series(request.path_params["ticker"])
        body = self._body(series, has_volume=has_volume, has_metadata=True)
        return answers.body(SeriesAnswer(body))

    async def fee_changes(self, request: Request) -> Response:
        """Give no changes: the venue's fees stay what they are."""
        answers.flag(request.query_params, "show_historical", "GetSeriesFeeChanges")
        return answers.body(SeriesFeeChanges([]))

    def _body(
        self, series: Series, *, has_volume: bool | None, has_metadata: bool | None
    ) -> SeriesBody:
        body = translate_bodies.series_body(series)
        return SeriesBody(
            ticker=body.ticker,
            title=body.title,
            frequency=body.frequency,
            category=body.category,
            tags=[],
            settlement_sources=[],
            fee_type=self._fee_types.get(body.fee_type, body.fee_type),
            fee_multiplier=body.fee_multiplier,
            additional_prohibitions=[],
            last_updated_ts=iso_time(self._venue.clock.start),
            exchange_index=0,
            product_metadata={} if has_metadata else msgspec.UNSET,
            volume_fp=self._volume(series) if has_volume else msgspec.UNSET,
        )

    def _volume(self, series: Series) -> str:
        markets = self._venue.floor.markets()
        total = sum(m.volume for m in markets if m.market.series_ticker == series.ticker)
        return quantity_to_contracts(Quantity(total))
