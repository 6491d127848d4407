"""What the steering endpoints are asked: their bodies, and the step of life that each one means."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from kalshiflow.exchange.messages import PriceRange
from kalshiflow.exchange.times import nanoseconds
from kalshiflow.exchange.translate import grid_of
from kalshiflow.market.listing import CENT_GRID, Market, MarketResult, PriceGrid
from kalshiflow.market.units import price_from_dollars
from kalshiflow.venue.floor.lifecycle import Lifecycle
from kalshiflow.venue.floor.refusals import Refused
from kalshiflow.venue.floor.structures import STRUCTURES, grid_named

BodyT = TypeVar("BodyT", bound=msgspec.Struct)
Move = Callable[[Lifecycle, int], None]
Ticker = Annotated[str, msgspec.Meta(pattern=r"^[A-Z0-9.-]{1,128}$")]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=366 * 24 * 3600)]


class BadSteering(Refused):
    """A body that cannot be read, or that says too little."""

    code = "bad_request"


class _Asked(msgspec.Struct, forbid_unknown_fields=True):
    """A request's body; a field that it does not know is refused."""


class Nothing(_Asked):
    """What has nothing to say."""


class Close(_Asked):
    """`close_time` moves the close there; without it the market closes now."""

    close_time: str | None = None


class Determine(_Asked):
    """`result` is yes, no, scalar or void; the last two need the `value` that YES is paid."""

    result: str
    value: str | None = None


class Grid(_Asked):
    """Either Kalshi's name of the steps, or the ranges themselves."""

    price_level_structure: str | None = None
    price_ranges: list[PriceRange] | None = None


class Changes(_Asked, omit_defaults=True):
    """What is told of a market; what is absent stays as it is."""

    strike_type: str | msgspec.UnsetType = msgspec.UNSET
    floor_strike: float | msgspec.UnsetType | None = msgspec.UNSET
    cap_strike: float | msgspec.UnsetType | None = msgspec.UNSET
    yes_sub_title: str | msgspec.UnsetType = msgspec.UNSET
    no_sub_title: str | msgspec.UnsetType = msgspec.UNSET
    rules_primary: str | msgspec.UnsetType = msgspec.UNSET
    rules_secondary: str | msgspec.UnsetType = msgspec.UNSET
    can_close_early: bool | msgspec.UnsetType = msgspec.UNSET
    settlement_timer_seconds: Seconds | msgspec.UnsetType = msgspec.UNSET

    def told(self) -> dict[str, Any]:
        """Give what is there, by name."""
        values = msgspec.structs.asdict(self)
        return {name: value for name, value in values.items() if value is not msgspec.UNSET}


class NewMarket(_Asked, kw_only=True):
    """A market to be listed. An event or a series that is not there yet is listed with it.

    It opens at `open_time`, at once without one, and closes at `close_time`.
    """

    ticker: Ticker
    event_ticker: Ticker
    close_time: str
    title: str = ""
    event_title: str = ""
    series_ticker: str = ""
    open_time: str | None = None
    price_level_structure: str | None = None
    price_ranges: list[PriceRange] | None = None
    details: Changes = msgspec.field(default_factory=Changes)

    def market(self) -> Market:
        """Give the market that is meant."""
        return Market(
            ticker=self.ticker,
            event_ticker=self.event_ticker,
            title=self.title or self.ticker,
            grid=_grid(self.price_level_structure, self.price_ranges) or CENT_GRID,
            open_time=_time(self.open_time, "open_time"),
            close_time=_time(self.close_time, "close_time"),
            series_ticker=self.series_ticker or self.event_ticker.partition("-")[0],
        )


class Pause(_Asked):
    """`resumes_at` ends the pause by itself; without it somebody must."""

    resumes_at: str | None = None


@dataclass(frozen=True, slots=True)
class MarketStep(Generic[BodyT]):
    """A step of a market's life: the body that asks for it, and the move it means."""

    asked: type[BodyT]
    move: Callable[[str, BodyT], Move]


@dataclass(frozen=True, slots=True)
class ExchangeStep(Generic[BodyT]):
    """A step of the exchange's own."""

    asked: type[BodyT]
    move: Callable[[BodyT], Move]


def read(raw: bytes, kind: type[BodyT]) -> BodyT:
    """Read a body, of which an empty one says nothing; raises `BadSteering`."""
    try:
        return msgspec.json.decode(raw or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as unreadable:
        raise BadSteering(f"the body cannot be read: {unreadable}") from None


def _close(ticker: str, asked: Close) -> Move:
    at = _time(asked.close_time, "close_time")
    if at is None:
        return lambda lifecycle, now: lifecycle.close_early(ticker, now)
    return lambda lifecycle, now: lifecycle.move_close(ticker, at, now)


def _determine(ticker: str, asked: Determine) -> Move:
    if asked.result not in {"yes", "no", "scalar", "void"}:
        raise BadSteering(f"a market ends as yes, no, scalar or void, not as {asked.result!r}")
    try:
        value = None if asked.value is None else price_from_dollars(asked.value)
    except ValueError as problem:
        raise BadSteering(f"value: {problem}") from None
    result = MarketResult(asked.result)
    return lambda lifecycle, now: lifecycle.determine(ticker, result, now, value)


def _change_grid(ticker: str, asked: Grid) -> Move:
    grid = _grid(asked.price_level_structure, asked.price_ranges)
    if grid is None:
        raise BadSteering("price_level_structure or price_ranges must say what the grid will be")
    return lambda lifecycle, now: lifecycle.change_grid(ticker, grid, now)


def _pause_trading(asked: Pause) -> Move:
    resumes_at = _time(asked.resumes_at, "resumes_at")
    return lambda lifecycle, now: lifecycle.pause_trading(now, resumes_at)


def _pause_exchange(asked: Pause) -> Move:
    resumes_at = _time(asked.resumes_at, "resumes_at")
    return lambda lifecycle, now: lifecycle.pause_exchange(now, resumes_at)


def _plain(method: Callable[[Lifecycle, str, int], None]) -> MarketStep[Any]:
    return MarketStep(Nothing, lambda ticker, _: lambda life, now: method(life, ticker, now))


MARKET_STEPS: dict[str, MarketStep[Any]] = {
    "open": _plain(Lifecycle.activate),
    "pause": _plain(Lifecycle.deactivate),
    "resume": _plain(Lifecycle.reactivate),
    "close": MarketStep(Close, _close),
    "determine": MarketStep(Determine, _determine),
    "dispute": _plain(Lifecycle.dispute),
    "settle": _plain(Lifecycle.settle),
    "grid": MarketStep(Grid, _change_grid),
}
EXCHANGE_STEPS: dict[str, ExchangeStep[Any]] = {
    "pause-trading": ExchangeStep(Pause, _pause_trading),
    "resume-trading": ExchangeStep(Nothing, lambda _: Lifecycle.resume_trading),
    "pause": ExchangeStep(Pause, _pause_exchange),
    "resume": ExchangeStep(Nothing, lambda _: Lifecycle.resume_exchange),
}


def _time(text: str | None, what: str) -> int | None:
    try:
        return None if text is None else nanoseconds(text)
    except ValueError as problem:
        raise BadSteering(f"{what}: {problem}") from None


def _grid(structure: str | None, ranges: list[PriceRange] | None) -> PriceGrid | None:
    if structure is not None:
        if structure not in STRUCTURES:
            raise BadSteering(f"{structure!r} is none of {', '.join(STRUCTURES)}")
        return grid_named(structure)
    try:
        return grid_of(ranges) if ranges else None
    except ValueError as problem:
        raise BadSteering(f"price_ranges: {problem}") from None
