"""What stands at the head of a file of episodes: where it comes from, and its segments' terms."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

from kalshiflow.learning.episodes.segments import Segment
from kalshiflow.market.listing import (
    FeeTerms,
    FeeType,
    Market,
    MarketResult,
    MarketStatus,
    decode_grid,
    encode_grid,
)

FORMAT = "kalshiflow-episodes-3"


class EpisodeFileError(ValueError):
    """A file that does not hold segments in the form that is read here."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The session that a file was cut from; `inputs_sha256` is the hash of all that was read."""

    session_id: str
    inputs_sha256: str = ""
    verdict: str = ""


class Head(NamedTuple):
    """A segment without its events; `events` counts them, and `numbers` those in snapshots' bodies.

    Times are market time.
    """

    ticker: str
    session_id: str
    market: Market
    has_trades: bool
    events: int
    numbers: int
    starts_at: int
    ends_at: int


def head_of(segment: Segment) -> Head:
    """Give the head of a segment."""
    return Head(
        segment.ticker,
        segment.session_id,
        segment.market,
        segment.has_trades,
        len(segment),
        len(segment.events.bodies),
        segment.starts_at,
        segment.ends_at,
    )


def to_metadata(origin: Origin, heads: Iterable[Head]) -> dict[str, str]:
    """Write what stands at the head of a file; equal terms stand there once."""
    terms: dict[str, int] = {}
    segments = []
    for head in heads:
        text = json.dumps(market_to_json(head.market), sort_keys=True)
        number = terms.setdefault(text, len(terms))
        segments.append([head.session_id, number, head.has_trades, *head[4:]])
    return {
        "format": FORMAT,
        "session_id": origin.session_id,
        "inputs_sha256": origin.inputs_sha256,
        "verdict": origin.verdict,
        "markets": f"[{', '.join(terms)}]",
        "segments": json.dumps(segments),
    }


def from_metadata(name: str, metadata: Mapping[bytes, bytes] | None) -> tuple[Origin, list[Head]]:
    """Read what `to_metadata` wrote; raises `EpisodeFileError` for any other file called `name`."""
    told = {key.decode(): value.decode() for key, value in (metadata or {}).items()}
    found = told.get("format")
    if found != FORMAT:
        was = f"is in the form {found}" if found else "holds no episodes"
        raise EpisodeFileError(
            f"{name} {was}, what is read here is {FORMAT}: materialise session_episodes again"
        )
    markets = [market_from_json(values) for values in json.loads(told["markets"])]
    heads = [
        Head(markets[number].ticker, session_id, markets[number], *rest)
        for session_id, number, *rest in json.loads(told["segments"])
    ]
    return Origin(told["session_id"], told["inputs_sha256"], told["verdict"]), heads


def market_to_json(market: Market) -> dict[str, Any]:
    """Write a market's listing as plain values."""
    return {
        "ticker": market.ticker,
        "event_ticker": market.event_ticker,
        "series_ticker": market.series_ticker,
        "title": market.title,
        "bands": encode_grid(market.grid),
        "status": market.status,
        "open_time": market.open_time,
        "close_time": market.close_time,
        "result": market.result,
        "settlement_value": market.settlement_value,
        "fee_type": market.fees.fee_type,
        "fee_multiplier": str(market.fees.multiplier),
    }


def market_from_json(values: Mapping[str, Any]) -> Market:
    """Read what `market_to_json` wrote."""
    return Market(
        ticker=values["ticker"],
        event_ticker=values["event_ticker"],
        title=values["title"],
        grid=decode_grid(values["bands"]),
        status=MarketStatus(values["status"]),
        open_time=values["open_time"],
        close_time=values["close_time"],
        result=MarketResult(values["result"]),
        settlement_value=values["settlement_value"],
        series_ticker=values["series_ticker"],
        fees=FeeTerms(FeeType(values["fee_type"]), Fraction(values["fee_multiplier"])),
    )
