"""Descriptions of markets that lie beside a recording, as REST bodies of whoever made it."""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from kalshiflow.exchange.payloads import MarketBody
from kalshiflow.exchange.translate_bodies import market_of
from kalshiflow.market.listing import Market

BESIDE = ("markets.json", "markets.jsonl", "rest.jsonl")
LONGEST_BYTES = 256 * 2**20


class _Answer(msgspec.Struct):
    """A body that lists markets, or a call with such a body in it."""

    markets: list[msgspec.Raw] = []
    market: msgspec.Raw = msgspec.Raw(b"")
    response_body: str | None = None


_answers: msgspec.json.Decoder[_Answer] = msgspec.json.Decoder(_Answer)
_bodies: msgspec.json.Decoder[MarketBody] = msgspec.json.Decoder(MarketBody)


def described_markets(path: Path) -> dict[str, Market]:
    """Give the markets that files beside a recording describe, by ticker; later ones win.

    Looked into are `NAME.markets.json` for a recording `NAME.jsonl`, and files called as `BESIDE`.
    What they hold beside listings is passed over.
    """
    found: dict[str, Market] = {}
    for name in (*BESIDE, f"{path.stem}.markets.json"):
        beside = path.parent / name
        if beside != path and beside.is_file() and beside.stat().st_size <= LONGEST_BYTES:
            for market in _markets(beside):
                found[market.ticker] = market
    return found


def _markets(path: Path) -> Iterator[Market]:
    content = path.read_bytes()
    texts = content.splitlines() if path.suffix == ".jsonl" else [content]
    for text in texts:
        for body in _listed(text):
            try:
                yield market_of(_bodies.decode(body))
            except (ValueError, RecursionError):  # none that we understand describes nothing
                continue


def _listed(text: bytes) -> Iterator[bytes]:
    try:
        answer = _answers.decode(text)
        if answer.response_body is not None:
            answer = _answers.decode(answer.response_body)
    except (ValueError, RecursionError):
        return
    yield from map(bytes, answer.markets)
    if bytes(answer.market):
        yield bytes(answer.market)
