"""The WebSocket's commands: what a client asks for, answered by Kalshi's control frames."""

from collections.abc import Callable
from typing import Annotated

import msgspec

from kalshiflow.exchange import messages
from kalshiflow.exchange.messages import (
    ListSubscriptions,
    OkFrame,
    Subscribe,
    SubscribedFrame,
    SubscribeParams,
    SubscriptionBody,
    TickersBody,
    Unsubscribe,
    UnsubscribedFrame,
    UpdateParams,
    UpdateSubscription,
)
from kalshiflow.venue.websocket.hub import Hub
from kalshiflow.venue.websocket.refusals import (
    ACTION_REQUIRED,
    CHANNELS_REQUIRED,
    INVALID_PARAMETER,
    ONE_SID_REQUIRED,
    PARAMS_REQUIRED,
    SIDS_REQUIRED,
    TICKER_REQUIRED,
    TOO_MANY_COMMANDS,
    UNKNOWN_CHANNEL,
    UNKNOWN_COMMAND,
    UNKNOWN_SID,
    UNPROCESSABLE,
    UNSUPPORTED_ACTION,
    CommandRefused,
)
from kalshiflow.venue.websocket.room import check_room
from kalshiflow.venue.websocket.selection import (
    Selection,
    check_channels,
    check_shards,
    selection,
)
from kalshiflow.venue.websocket.sessions import (
    BOOK,
    CHANNELS,
    TICKER,
    UNFILTERED,
    Session,
    Subscription,
)


class _Envelope(msgspec.Struct):
    """What says which command it is, and whom to answer."""

    cmd: str | None = None
    id: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 0
    params: msgspec.Raw = msgspec.Raw(b"null")


_envelopes = msgspec.json.Decoder(_Envelope)
_NAMES = frozenset({"subscribe", "update_subscription", "unsubscribe", "list_subscriptions"})


def receive(hub: Hub, session: Session, raw: bytes | str) -> None:
    """Carry out one command; the answers, errors included, are queued on the session.

    Commands are text: a binary frame, which is `bytes` here, cannot be processed.
    """
    if isinstance(raw, bytes):
        session.refuse(0, UNPROCESSABLE)
        return
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
        session.refuse(envelope.id, refusal.code, refusal.subscription, refusal.tickers)


def turn_away(session: Session, raw: bytes | str) -> None:
    """Answer a command that came too soon after the others; nothing of it is carried out."""
    try:
        command_id = _envelopes.decode(raw).id
    except (ValueError, RecursionError):
        command_id = 0
    session.refuse(command_id, TOO_MANY_COMMANDS)


def _read(envelope: _Envelope, raw: str) -> messages.Command:
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
    channels = tuple(dict.fromkeys(params.channels))
    if any(channel not in CHANNELS for channel in channels):
        raise CommandRefused(UNKNOWN_CHANNEL)
    check_shards(params)
    named = selection(params)
    check_channels(channels, named)
    check_room(session, hub.market_limit, channels, named)
    fresh = [_open(hub, session, command, params, channel, named) for channel in channels]
    for subscription, new in fresh:
        _send_first(hub, subscription, new, wants_ticker=bool(params.send_initial_snapshot))


def _open(
    hub: Hub,
    session: Session,
    command: Subscribe,
    params: SubscribeParams,
    channel: str,
    named: Selection,
) -> tuple[Subscription, Selection | None]:
    """Open a channel, or merge into it; give it with the markets that are new to it."""
    wanted = None if channel in UNFILTERED or not named else named
    subscription = session.by_channel.get(channel)
    if subscription is None:
        subscription = hub.begin(
            session, channel, wanted, uses_yes_price=bool(params.use_yes_price)
        )
        subscription.skips_ack = bool(params.skip_ticker_ack)
        body = SubscriptionBody(channel, subscription.sid)
        session.say(SubscribedFrame(id=command.id or None, msg=body))
        return subscription, wanted
    if params.skip_ticker_ack is not None:
        subscription.skips_ack = params.skip_ticker_ack
    new = _merge(hub, subscription, wanted)
    _ok(subscription, command.id)
    return subscription, new


def _merge(hub: Hub, subscription: Subscription, wanted: Selection | None) -> Selection | None:
    if wanted is not None:
        return hub.add(subscription, wanted)
    if subscription.tickers is None:
        return Selection()
    hub.widen(subscription)
    return None


def _update(hub: Hub, session: Session, command: UpdateSubscription) -> None:
    params = command.params
    if params is None:
        raise CommandRefused(PARAMS_REQUIRED)
    subscription = _one_subscription(session, params)
    if not params.action:
        raise CommandRefused(ACTION_REQUIRED, subscription)
    act = _ACTIONS.get(params.action)
    if act is None or not _takes(subscription, params.action):
        raise CommandRefused(UNSUPPORTED_ACTION, subscription)
    named = selection(params, subscription)
    if not named.tickers and (subscription.channel != TICKER or not named.ids):
        raise CommandRefused(TICKER_REQUIRED, subscription)
    act(hub, subscription, named, command)


def _takes(subscription: Subscription, action: str) -> bool:
    if action == "get_snapshot":
        return subscription.channel == BOOK
    return subscription.channel not in UNFILTERED


def _add_markets(
    hub: Hub, subscription: Subscription, named: Selection, command: UpdateSubscription
) -> None:
    check_room(subscription.session, hub.market_limit, (subscription.channel,), named)
    new = hub.add(subscription, named)
    _ok(subscription, command.id)
    wants_ticker = command.params is not None and bool(command.params.send_initial_snapshot)
    _send_first(hub, subscription, new, wants_ticker=wants_ticker)


def _delete_markets(
    hub: Hub, subscription: Subscription, named: Selection, command: UpdateSubscription
) -> None:
    if subscription.tickers is None:  # there is no list to take them off
        raise CommandRefused(INVALID_PARAMETER, subscription)
    hub.remove(subscription, named)
    _ok(subscription, command.id)


def _get_snapshot(
    hub: Hub, subscription: Subscription, named: Selection, command: UpdateSubscription
) -> None:
    hub.send_snapshots(subscription, named.tickers, command.id)
    unlisted = hub.unlisted(named.tickers)
    # Nothing else would ever answer for them; but nothing follows the end of a subscription.
    if unlisted and not subscription.has_ended:
        raise CommandRefused(INVALID_PARAMETER, subscription, unlisted)


_ACTIONS: dict[str, Callable[[Hub, Subscription, Selection, UpdateSubscription], None]] = {
    "add_markets": _add_markets,
    "delete_markets": _delete_markets,
    "get_snapshot": _get_snapshot,
}


def _unsubscribe(hub: Hub, session: Session, command: Unsubscribe) -> None:
    sids = command.params.sids if command.params is not None else []
    if not sids:
        raise CommandRefused(SIDS_REQUIRED)
    if any(sid not in session.by_sid for sid in sids):
        raise CommandRefused(UNKNOWN_SID)
    for sid in dict.fromkeys(sids):
        subscription = session.by_sid[sid]
        seq = subscription.final_seq()
        hub.end(subscription)
        session.say(UnsubscribedFrame(id=command.id or None, sid=sid, seq=seq))


def _list(session: Session, command: ListSubscriptions) -> None:
    listed = [SubscriptionBody(s.channel, s.sid) for s in session.by_sid.values()]
    session.say(OkFrame(id=command.id, msg=listed))  # with its id even where that is 0


def _ok(subscription: Subscription, command_id: int) -> None:
    """Tell the whole list of markets, unless it was asked to be left out, or is that of all."""
    tickers: list[str] | None = None
    ids: list[str] | None = None
    if subscription.tickers is not None and not subscription.skips_ack:
        ids = sorted(subscription.ids) or None
        tickers = sorted(subscription.tickers)
        if ids and not tickers:
            tickers = None
    subscription.session.say(
        OkFrame(
            id=command_id or None,
            sid=subscription.sid,
            seq=subscription.next_seq(),
            msg=TickersBody(tickers, ids),
        )
    )


def _send_first(
    hub: Hub, subscription: Subscription, new: Selection | None, *, wants_ticker: bool
) -> None:
    if subscription.channel == BOOK:
        hub.send_snapshots(subscription, () if new is None else new.tickers)
    elif subscription.channel == TICKER and wants_ticker:
        hub.send_tickers(subscription, new)


def _one_subscription(session: Session, params: UpdateParams) -> Subscription:
    named = [params.sid] if params.sid is not None else list(params.sids or ())
    if len(named) != 1 or (params.sid is not None and params.sids):
        raise CommandRefused(ONE_SID_REQUIRED)
    subscription = session.by_sid.get(named[0])
    if subscription is None:
        raise CommandRefused(UNKNOWN_SID)
    return subscription
