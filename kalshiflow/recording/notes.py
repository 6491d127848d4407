"""What a recorder writes between the frames, so that its rows can be made again from the spool.

A note is a fact that no frame tells: which session begins, which markets were asked for, when one
recording went over into the next. Frames and notes together, in order, decide every row.
"""

from collections.abc import Iterable
from fractions import Fraction

import msgspec

from kalshiflow.market.events import Levels
from kalshiflow.market.listing import (
    FeeTerms,
    FeeType,
    Market,
    MarketResult,
    MarketStatus,
    decode_grid,
    encode_grid,
)
from kalshiflow.market.units import Price
from kalshiflow.store.rows import AccountChange


class ListedMarket(msgspec.Struct, frozen=True, omit_defaults=True):
    """A market as the exchange listed it; `grid` is its bands as [start, end, step]."""

    ticker: str
    event_ticker: str
    series_ticker: str
    title: str
    grid: list[list[int]]
    status: str
    open_time: int | None = None
    close_time: int | None = None
    result: str = ""
    settlement_value: int | None = None
    fee_type: str = FeeType.QUADRATIC.value
    fee_multiplier: tuple[int, int] = (1, 1)


class Note(msgspec.Struct, frozen=True, tag_field="note", omit_defaults=True):
    """One of the notes below."""


class Connected(Note, frozen=True, tag="connected", kw_only=True):
    """A connection is open and a session begins with it; a session still open before it crashed.

    `uses_yes_price` is how its books are subscribed. `cannot_know` says, for recordings that others
    made, what no row can prove. `outage_from` and `outage_tickers` tell of an outage before it that
    this spool knows nothing of: what another one last recorded, by the database.
    """

    session_id: str
    origin: str
    environment: str
    traded: bool
    markets: list[ListedMarket]
    shard: str = "main"
    epoch: int = 0
    uses_yes_price: bool = True
    cannot_know: list[str] = []
    outage_from: int | None = None
    outage_tickers: list[str] = []


class Asked(Note, frozen=True, tag="asked", kw_only=True):
    """A command was sent; a gap before its snapshots then names its markets."""

    command_id: int
    tickers: list[str]


class Joined(Note, frozen=True, tag="joined", kw_only=True):
    """Markets are subscribed on the open connection from here on."""

    markets: list[ListedMarket]


class Released(Note, frozen=True, tag="released", kw_only=True):
    """Markets are followed no more: settled ones, as a rule."""

    tickers: list[str]
    reason: str


class Rotated(Note, frozen=True, tag="rotated", kw_only=True):
    """Between two frames a new session goes on from the books as they are."""

    session_id: str


class Disconnected(Note, frozen=True, tag="disconnected", kw_only=True):
    """The connection has ended, and its session with it."""

    reason: str


class Restarted(Note, frozen=True, tag="restarted"):
    """A recorder began anew; a session that its predecessor left open has crashed."""


class RestBook(Note, frozen=True, tag="rest_book", kw_only=True):
    """A book that was read over REST while no socket was to be had."""

    ticker: str
    bids: list[tuple[int, int]]
    asks: list[tuple[int, int]]


class Audited(Note, frozen=True, tag="audited", kw_only=True):
    """A book was held against the exchange's own answer.

    `verdict` is `agrees`, `moved` (it changed while we asked, no verdict possible) or `differs`;
    `took` is the request's nanoseconds, `age` those since the market's newest frame.
    """

    ticker: str
    verdict: str
    tries: int
    took: int
    age: int | None
    detail: str = ""


class Accounted(Note, frozen=True, tag="accounted", kw_only=True):
    """The trader's account has changed; each change tells after which frame it holds."""

    changes: list[AccountChange]


AnyNote = (
    Connected
    | Asked
    | Joined
    | Released
    | Rotated
    | Disconnected
    | Restarted
    | RestBook
    | Audited
    | Accounted
)

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[AnyNote] = msgspec.json.Decoder(AnyNote)

encode_note = _encoder.encode
decode_note = _decoder.decode


def listed(markets: Iterable[Market]) -> list[ListedMarket]:
    """Write markets as notes carry them."""
    return [
        ListedMarket(
            market.ticker,
            market.event_ticker,
            market.series_ticker,
            market.title,
            encode_grid(market.grid),
            market.status.value,
            market.open_time,
            market.close_time,
            market.result.value,
            market.settlement_value,
            market.fees.fee_type.value,
            (market.fees.multiplier.numerator, market.fees.multiplier.denominator),
        )
        for market in markets
    ]


def market_of(noted: ListedMarket) -> Market:
    """Read a market from a note."""
    value = noted.settlement_value
    return Market(
        ticker=noted.ticker,
        event_ticker=noted.event_ticker,
        title=noted.title,
        grid=decode_grid(noted.grid),
        status=MarketStatus(noted.status),
        open_time=noted.open_time,
        close_time=noted.close_time,
        result=MarketResult(noted.result),
        settlement_value=None if value is None else Price(value),
        series_ticker=noted.series_ticker,
        fees=FeeTerms(FeeType(noted.fee_type), Fraction(*noted.fee_multiplier)),
    )


def rest_book(ticker: str, bids: Levels, asks: Levels) -> RestBook:
    """Write a REST book as a note."""
    return RestBook(ticker=ticker, bids=list(bids), asks=list(asks))
