"""The WebSocket's commands: what a client asks for, answered by Kalshi's control frames."""

from collections.abc import Callable, Sequence

import msgspec

from kalshiflow.exchange import messages
from kalshiflow.exchange.messages import (
    ListSubscriptions,
    OkFrame,
    Subscribe,
    SubscribedFrame,
    SubscriptionBody,
    TickersBody,
    Unsubscribe,
    UnsubscribedFrame,
    UpdateParams,
    UpdateSubscription,
)
from kalshiflow.venue.websocket.hub import (
    Hub,
)
from kalshiflow.venue.websocket.sessions import (
    BOOK,
    CHANNELS,
    TICKER,
    Session,
    Subscription,
)

UNPROCESSABLE, PARAMS_REQUIRED, CHANNELS_REQUIRED, SIDS_REQUIRED = 1, 2, 3, 4
UNKNOWN_COMMAND, UNKNOWN_SID, UNKNOWN_CHANNEL, INVALID_PARAMETER = 5, 7, 8, 11
ONE_SID_REQUIRED, UNSUPPORTED_ACTION, TICKER_REQUIRED, ACTION_REQUIRED = 12, 13, 14, 15


class CommandRefused(Exception):
    """A command that is answered by an error frame with this code."""

    def __init__(self, code: int, sid: int | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.sid = sid


class _Envelope(msgspec.Struct):
    """What says which command it is, and whom to answer."""

    cmd: str | None = None
    id: int = 0
    params: msgspec.Raw = msgspec.Raw(b"null")


_envelopes = msgspec.json.Decoder(_Envelope)
_NAMES = frozenset({"subscribe", "update_subscription", "unsubscribe", "list_subscriptions"})


def receive(hub: Hub, session: Session, raw: bytes | str) -> None:
    """Carry out one command; the answers, errors included, are queued on the session."""
    try:
        envelope = _envelopes.decode(raw)
    except (ValueError, RecursionError):
        session.refuse(0, UNPROCESSABLE)
        return
    try:
        command = _read(envelope, raw)
        match command:
            case Subscribe():
                _subscribe(hub, session, command)
            case UpdateSubscription():
                _update(hub, session, command)
            case Unsubscribe():
                _unsubscribe(hub, session, command)
            case ListSubscriptions():
                _list(session, command)
    except CommandRefused as refusal:
        session.refuse(envelope.id, refusal.code, refusal.sid)


def _read(envelope: _Envelope, raw: bytes | str) -> messages.Command:
    if envelope.cmd not in _NAMES:
        raise CommandRefused(UNKNOWN_COMMAND)
    if envelope.cmd != "list_subscriptions" and bytes(envelope.params) == b"null":
        raise CommandRefused(PARAMS_REQUIRED)
    try:
        return messages.decode_command(raw)
    except (ValueError, RecursionError):
        raise CommandRefused(INVALID_PARAMETER) from None


def _subscribe(hub: Hub, session: Session, command: Subscribe) -> None:
    params = command.params
    if params is None or not params.channels:
        raise CommandRefused(CHANNELS_REQUIRED)
    if any(channel not in CHANNELS for channel in params.channels):
        raise CommandRefused(UNKNOWN_CHANNEL)
    tickers = _tickers(params.market_ticker, params.market_tickers)
    if BOOK in params.channels and not tickers:
        raise CommandRefused(TICKER_REQUIRED)
    fresh: list[tuple[Subscription, Sequence[str]]] = []
    for channel in dict.fromkeys(params.channels):
        subscription = session.by_channel.get(channel)
        if subscription is None:
            subscription = hub.begin(
                session, channel, tickers, uses_yes_price=bool(params.use_yes_price)
            )
            body = SubscriptionBody(channel, subscription.sid)
            session.say(SubscribedFrame(id=command.id or None, msg=body))
            fresh.append((subscription, tickers or ()))
        else:
            fresh.append((subscription, hub.add(subscription, tickers or ())))
            _ok(session, subscription, command.id, quiet=bool(params.skip_ticker_ack))
    for subscription, new in fresh:
        _send_first(hub, subscription, new, wants_ticker=bool(params.send_initial_snapshot))


def _update(hub: Hub, session: Session, command: UpdateSubscription) -> None:
    params = command.params
    if params is None:
        raise CommandRefused(PARAMS_REQUIRED)
    subscription = _one_subscription(session, params)
    if not params.action:
        raise CommandRefused(ACTION_REQUIRED, subscription.sid)
    act = _ACTIONS.get(params.action)
    if act is None or (params.action == "get_snapshot" and subscription.channel != BOOK):
        raise CommandRefused(UNSUPPORTED_ACTION, subscription.sid)
    tickers = _tickers(params.market_ticker, params.market_tickers)
    if not tickers:
        raise CommandRefused(TICKER_REQUIRED, subscription.sid)
    act(hub, subscription, tickers, command)


def _add_markets(
    hub: Hub, subscription: Subscription, tickers: Sequence[str], command: UpdateSubscription
) -> None:
    new = hub.add(subscription, tickers)
    _ok(subscription.session, subscription, command.id)
    wants_ticker = command.params is not None and bool(command.params.send_initial_snapshot)
    _send_first(hub, subscription, new, wants_ticker=wants_ticker)


def _delete_markets(
    hub: Hub, subscription: Subscription, tickers: Sequence[str], command: UpdateSubscription
) -> None:
    hub.remove(subscription, tickers)
    _ok(subscription.session, subscription, command.id)


def _get_snapshot(
    hub: Hub, subscription: Subscription, tickers: Sequence[str], command: UpdateSubscription
) -> None:
    hub.send_snapshots(subscription, tickers, command.id)


_ACTIONS: dict[str, Callable[[Hub, Subscription, Sequence[str], UpdateSubscription], None]] = {
    "add_markets": _add_markets,
    "delete_markets": _delete_markets,
    "get_snapshot": _get_snapshot,
}


def _unsubscribe(hub: Hub, session: Session, command: Unsubscribe) -> None:
    sids = command.params.sids if command.params is not None else []
    if not sids:
        raise CommandRefused(SIDS_REQUIRED)
    for sid in sids:
        if sid not in session.by_sid:
            raise CommandRefused(UNKNOWN_SID)
    for sid in dict.fromkeys(sids):
        subscription = session.by_sid[sid]
        seq = subscription.next_seq()
        hub.end(subscription)
        session.say(UnsubscribedFrame(id=command.id or None, sid=sid, seq=seq))


def _list(session: Session, command: ListSubscriptions) -> None:
    listed = [SubscriptionBody(s.channel, s.sid) for s in session.by_sid.values()]
    session.say(OkFrame(id=command.id or None, msg=listed))


def _ok(
    session: Session, subscription: Subscription, command_id: int, *, quiet: bool = False
) -> None:
    tickers = None if quiet else sorted(subscription.tickers or ())
    session.say(
        OkFrame(
            id=command_id or None,
            sid=subscription.sid,
            seq=subscription.next_seq(),
            msg=TickersBody(tickers),
        )
    )


def _send_first(
    hub: Hub, subscription: Subscription, tickers: Sequence[str], *, wants_ticker: bool
) -> None:
    if subscription.channel == BOOK:
        hub.send_snapshots(subscription, tickers)
    elif subscription.channel == TICKER and wants_ticker:
        hub.send_tickers(subscription, tickers)


def _one_subscription(session: Session, params: UpdateParams) -> Subscription:
    named = [params.sid] if params.sid is not None else list(params.sids or ())
    if len(named) != 1 or (params.sid is not None and params.sids):
        raise CommandRefused(ONE_SID_REQUIRED)
    subscription = session.by_sid.get(named[0])
    if subscription is None:
        raise CommandRefused(UNKNOWN_SID)
    return subscription


def _tickers(one: str | None, many: Sequence[str] | None) -> list[str] | None:
    """Give the named markets, each once, or `None` where none is named."""
    if one is not None and many is not None:
        raise CommandRefused(INVALID_PARAMETER)
    if one is not None:
        return [one]
    return list(dict.fromkeys(many)) if many else None
