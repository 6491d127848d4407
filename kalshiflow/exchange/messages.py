"""WebSocket frames and commands as they stand on the wire, for the client and the venue alike.

A field is optional here where any era of the protocol leaves it out; an absent field is `None` and
is not written. Prices and quantities stay text: `translate` is the only code that reads them.
"""

from typing import Annotated, Any

import msgspec

Level = tuple[str, str]  # dollars, contracts
CentLevel = tuple[int, int]  # cents, whole contracts (until March 2026)
MixedLevel = tuple[str, int]  # dollars, whole contracts (September 2025 to March 2026)

# Bounds keep what is stored within 64 bits and an index's reach, whatever a frame claims.
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Sid = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Seq = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=9_000_000_000)]
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=9_000_000_000_000)]


class _Body(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The `msg` of a frame."""


class _Frame(msgspec.Struct, frozen=True, omit_defaults=True, gc=False, tag_field="type"):
    """A frame, told apart by its `type`; `id` is that of the command that it answers."""

    id: int | None = None
    sid: Sid | None = None
    seq: Seq | None = None


# --- control ---------------------------------------------------------------------------------


class SubscriptionBody(_Body, frozen=True):
    channel: str
    sid: Sid


class SubscribedFrame(_Frame, frozen=True, kw_only=True, tag="subscribed"):
    msg: SubscriptionBody


class TickersBody(_Body, frozen=True):
    """The full list of a subscription's markets after a change of it."""

    market_tickers: list[str] | None = None
    market_ids: list[str] | None = None


class OkFrame(_Frame, frozen=True, kw_only=True, tag="ok"):
    msg: TickersBody | list[SubscriptionBody] | None = None


class UnsubscribedFrame(_Frame, frozen=True, kw_only=True, tag="unsubscribed"):
    """The answer to `unsubscribe`: the last frame of its sid."""


class ErrorBody(_Body, frozen=True):
    code: int
    msg: str = ""
    market_ticker: str | None = None
    market_tickers: list[str] | None = None


class ErrorFrame(_Frame, frozen=True, kw_only=True, tag="error"):
    msg: ErrorBody


# --- the order book --------------------------------------------------------------------------


class SnapshotBody(_Body, frozen=True):
    """A side's key is absent where the side is empty; the three eras' keys may stand together."""

    market_ticker: Name
    market_id: str | None = None
    yes_dollars_fp: list[Level] | None = None
    no_dollars_fp: list[Level] | None = None
    yes_dollars: list[MixedLevel] | None = None
    no_dollars: list[MixedLevel] | None = None
    yes: list[CentLevel] | None = None
    no: list[CentLevel] | None = None


class SnapshotFrame(_Frame, frozen=True, kw_only=True, tag="orderbook_snapshot"):
    msg: SnapshotBody


class DeltaBody(_Body, frozen=True, kw_only=True):
    """A signed change; `ts` is ISO 8601 text, `client_order_id` is told to its owner only."""

    market_ticker: Name
    market_id: str | None = None
    price: int | None = None
    price_dollars: str | None = None
    delta: int | None = None
    delta_fp: str | None = None
    side: str
    ts: str | Seconds | None = None
    ts_ms: Milliseconds | None = None
    client_order_id: str | None = None
    subaccount: int | None = None


class DeltaFrame(_Frame, frozen=True, kw_only=True, tag="orderbook_delta"):
    msg: DeltaBody


# --- trades and tickers ----------------------------------------------------------------------


class TradeBody(_Body, frozen=True):
    """A public trade; whole `count` and cent prices stand in for the text before March 2026."""

    market_ticker: Name
    trade_id: Annotated[str, msgspec.Meta(max_length=256)] = ""
    yes_price_dollars: str | None = None
    no_price_dollars: str | None = None
    count_fp: str | None = None
    taker_side: str | None = None
    taker_outcome_side: str | None = None
    taker_book_side: str | None = None
    is_block_trade: bool | None = None
    yes_price: int | None = None
    count: int | None = None
    ts: Seconds | None = None
    ts_ms: Milliseconds | None = None


class TradeFrame(_Frame, frozen=True, kw_only=True, tag="trade"):
    msg: TradeBody


class TickerBody(_Body, frozen=True):
    market_ticker: Name
    market_id: str | None = None
    price_dollars: str | None = None
    yes_bid_dollars: str | None = None
    yes_ask_dollars: str | None = None
    volume_fp: str | None = None
    open_interest_fp: str | None = None
    dollar_volume: int | None = None
    dollar_open_interest: int | None = None
    yes_bid_size_fp: str | None = None
    yes_ask_size_fp: str | None = None
    last_trade_size_fp: str | None = None
    ts: Seconds | None = None
    ts_ms: Milliseconds | None = None
    time: str | None = None


class TickerFrame(_Frame, frozen=True, kw_only=True, tag="ticker"):
    msg: TickerBody


# --- one's own -------------------------------------------------------------------------------


class FillBody(_Body, frozen=True):
    """Our fill; `book_side` is canonical, `side`, `action` and `purchased_side` are deprecated."""

    trade_id: Name
    order_id: Name
    market_ticker: Name
    yes_price_dollars: str
    count_fp: str
    is_taker: bool
    fee_cost: str
    client_order_id: str | None = None
    exchange_index: int | None = None
    side: str | None = None
    action: str | None = None
    purchased_side: str | None = None
    outcome_side: str | None = None
    book_side: str | None = None
    post_position_fp: str | None = None
    subaccount: int | None = None
    ts: Seconds | None = None
    ts_ms: Milliseconds | None = None


class FillFrame(_Frame, frozen=True, kw_only=True, tag="fill"):
    msg: FillBody


class UserOrderBody(_Body, frozen=True):
    order_id: Name
    ticker: Name
    status: str
    yes_price_dollars: str
    fill_count_fp: str
    remaining_count_fp: str
    initial_count_fp: str
    client_order_id: str | None = None
    user_id: str | None = None
    exchange_index: int | None = None
    side: str | None = None
    is_yes: bool | None = None
    outcome_side: str | None = None
    book_side: str | None = None
    taker_fill_cost_dollars: str | None = None
    maker_fill_cost_dollars: str | None = None
    taker_fees_dollars: str | None = None
    maker_fees_dollars: str | None = None
    self_trade_prevention_type: str | None = None
    order_group_id: str | None = None
    created_time: str | None = None
    created_ts_ms: Milliseconds | None = None
    expiration_time: str | None = None
    expiration_ts_ms: Milliseconds | None = None
    last_update_time: str | None = None
    last_updated_ts_ms: Milliseconds | None = None
    last_update_reason: str | None = None
    subaccount_number: int | None = None


class UserOrderFrame(_Frame, frozen=True, kw_only=True, tag="user_order"):
    msg: UserOrderBody


class MarketPositionBody(_Body, frozen=True):
    market_ticker: Name
    position_fp: str
    position_cost_dollars: str
    realized_pnl_dollars: str
    fees_paid_dollars: str
    user_id: str | None = None
    position_fee_cost_dollars: str | None = None
    volume_fp: str | None = None
    subaccount: int | None = None


class MarketPositionFrame(_Frame, frozen=True, kw_only=True, tag="market_position"):
    msg: MarketPositionBody


# --- lifecycle -------------------------------------------------------------------------------


class PriceRange(_Body, frozen=True):
    start: str
    end: str
    step: str


class LifecycleBody(_Body, frozen=True):
    """A step of a market's life; which optional fields are there depends on `event_type`."""

    event_type: Name
    market_ticker: Name
    exchange_index: int | None = None
    open_ts: Seconds | None = None
    close_ts: Seconds | None = None
    result: str | None = None
    determination_ts: Seconds | None = None
    settlement_value: str | None = None
    settled_ts: Seconds | None = None
    is_deactivated: bool | None = None
    price_level_structure: str | None = None
    price_ranges: list[PriceRange] | None = None
    strike_type: str | None = None
    floor_strike: float | None = None
    cap_strike: float | None = None
    custom_strike: dict[str, Any] | None = None
    yes_sub_title: str | None = None
    additional_metadata: dict[str, Any] | None = None


class LifecycleFrame(_Frame, frozen=True, kw_only=True, tag="market_lifecycle_v2"):
    msg: LifecycleBody


class MultivariateLifecycleFrame(
    _Frame, frozen=True, kw_only=True, tag="multivariate_market_lifecycle"
):
    msg: LifecycleBody


class EventLifecycleFrame(_Frame, frozen=True, kw_only=True, tag="event_lifecycle"):
    msg: dict[str, Any]


class EventFeeUpdateFrame(_Frame, frozen=True, kw_only=True, tag="event_fee_update"):
    msg: dict[str, Any]


class OrderGroupFrame(_Frame, frozen=True, kw_only=True, tag="order_group_updates"):
    msg: dict[str, Any]


Frame = (
    SubscribedFrame
    | OkFrame
    | UnsubscribedFrame
    | ErrorFrame
    | SnapshotFrame
    | DeltaFrame
    | TradeFrame
    | TickerFrame
    | FillFrame
    | UserOrderFrame
    | MarketPositionFrame
    | LifecycleFrame
    | MultivariateLifecycleFrame
    | EventLifecycleFrame
    | EventFeeUpdateFrame
    | OrderGroupFrame
)


class Envelope(msgspec.Struct, frozen=True):
    """What every frame has, for those whose body cannot be read or whose type is new."""

    type: Name
    id: int | None = None
    sid: Sid | None = None
    seq: Seq | None = None
    msg: msgspec.Raw = msgspec.Raw(b"null")


class AnyBody(msgspec.Struct, frozen=True):
    """The one field of a body that says which market it is about."""

    market_ticker: Name | None = None


# --- commands --------------------------------------------------------------------------------


class _Command(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="cmd"):
    """A command, told apart by its `cmd`. An `id` of 0 means that there is none."""


class SubscribeParams(_Body, frozen=True):
    """`channels` and the markets; `use_yes_price` is for the order book and always explicit."""

    channels: list[str] = []
    market_ticker: str | None = None
    market_tickers: list[str] | None = None
    market_id: str | None = None
    market_ids: list[str] | None = None
    use_yes_price: bool | None = None
    send_initial_snapshot: bool | None = None
    skip_ticker_ack: bool | None = None
    shard_factor: int | None = None
    shard_key: int | None = None


class Subscribe(_Command, frozen=True, tag="subscribe"):
    id: int = 0
    params: SubscribeParams | None = None


class UpdateParams(_Body, frozen=True):
    """`action` is add_markets, delete_markets or get_snapshot; exactly one sid is named."""

    action: str | None = None
    sid: Sid | None = None
    sids: list[Sid] | None = None
    market_ticker: str | None = None
    market_tickers: list[str] | None = None
    market_id: str | None = None
    market_ids: list[str] | None = None
    send_initial_snapshot: bool | None = None


class UpdateSubscription(_Command, frozen=True, tag="update_subscription"):
    id: int = 0
    params: UpdateParams | None = None


class UnsubscribeParams(_Body, frozen=True):
    sids: list[Sid] = []


class Unsubscribe(_Command, frozen=True, tag="unsubscribe"):
    id: int = 0
    params: UnsubscribeParams | None = None


class ListSubscriptions(_Command, frozen=True, tag="list_subscriptions"):
    id: int = 0


Command = Subscribe | UpdateSubscription | Unsubscribe | ListSubscriptions

# The exchange's own words for its error frames; 10 and 25 end the subscription they name.
ERROR_MESSAGES: dict[int, str] = {
    1: "Unable to process message",
    2: "Params required",
    3: "Channels required",
    4: "Subscription IDs required",
    5: "Unknown command",
    7: "Unknown subscription ID",
    8: "Unknown channel name",
    9: "Authentication required",
    10: "Channel error",
    11: "Invalid parameter",
    12: "Exactly one subscription ID is required",
    13: "Unsupported action",
    14: "Market Ticker required",
    15: "Action required",
    18: "Command timeout",
    19: "shard_factor must be > 0",
    20: "shard_factor is required when shard_key is set",
    21: "shard_key must be >= 0 and < shard_factor",
    22: "shard_factor must be <= 100",
    25: "Subscription buffer overflow",
    26: "Subscription market limit exceeded",
    27: "Too many requests",
}
TERMINAL_ERRORS = frozenset({10, 25})

_frames: msgspec.json.Decoder[Frame] = msgspec.json.Decoder(Frame)
_envelopes: msgspec.json.Decoder[Envelope] = msgspec.json.Decoder(Envelope)
_bodies: msgspec.json.Decoder[AnyBody] = msgspec.json.Decoder(AnyBody)
_commands: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)
_encoder = msgspec.json.Encoder()

decode_frame = _frames.decode
decode_envelope = _envelopes.decode
decode_body_ticker = _bodies.decode


def decode_command(raw: bytes | str) -> Command:
    """Read a client's command; raises `msgspec.DecodeError` for what is none."""
    return _commands.decode(raw)


def encode(message: Frame | Command) -> bytes:
    """Write a frame or a command as one line of JSON."""
    return _encoder.encode(message)
