"""What each channel takes and tells: filters by ticker and by id, first frames, private ones."""

import json
from typing import Any
from uuid import uuid4

import pytest
from scene import NOW, A, B, C, Scene, frames

from kalshiflow.market.events import Side
from kalshiflow.market.units import Price, Quantity
from kalshiflow.venue.floor.facts import (
    LifecycleChanged,
    LifecycleKind,
    Traded,
)
from kalshiflow.venue.websocket import commands


@pytest.fixture
def scene() -> Scene:
    return Scene()


def heard(frames_told: list[dict[str, Any]]) -> list[str]:
    return [frame["msg"]["market_ticker"] for frame in frames_told]


def trade_of(ticker: str) -> Traded:
    return Traded(ticker, str(uuid4()), Price(4_000), Quantity(100), Side.BID, NOW)


def test_the_ticker_channel_takes_markets_by_their_ids(scene: Scene) -> None:
    session = scene.session()
    ids = [scene.floor.market(ticker).market_id for ticker in (A, B)]

    first = scene.subscribe(session, "ticker", market_ids=ids, send_initial_snapshot=True)
    more = scene.update(session, "add_markets", sid=1, market_tickers=[A, C])
    less = scene.update(session, "delete_markets", sid=1, market_id=ids[1])
    for ticker in (A, B, C):
        scene.order(scene.other, Side.BID, 40, 1, ticker)

    assert [frame["type"] for frame in first] == ["subscribed", "ticker", "ticker"]
    assert heard(first[1:]) == [A, B]
    assert more[0]["msg"] == {"market_tickers": [A, C], "market_ids": sorted(ids)}
    assert less[0]["msg"] == {"market_tickers": [A, C], "market_ids": [ids[0]]}
    assert heard(frames(session)) == [A, C]  # A once, though it was named in both ways


def test_a_ticker_that_is_spelled_like_an_id_is_no_id(scene: Scene) -> None:
    one, both = scene.session(), scene.session()
    market_id = scene.floor.market(A).market_id

    scene.subscribe(one, "ticker", market_ticker=market_id)
    scene.subscribe(both, "ticker", market_id=market_id)
    scene.update(both, "add_markets", sid=1, market_ticker=market_id)
    scene.order(scene.other, Side.BID, 40, 1)

    assert frames(one) == []
    assert heard(frames(both)) == [A]


@pytest.mark.parametrize(
    ("channels", "code"),
    [(["orderbook_delta"], 14), (["trade"], 11), (["ticker", "fill"], 11), (["ticker"], None)],
)
def test_other_channels_take_no_market_ids(
    scene: Scene, channels: list[str], code: int | None
) -> None:
    answer = scene.subscribe(scene.session(), *channels, market_id=str(uuid4()))

    assert [frame["msg"].get("code") for frame in answer] == [code]


@pytest.mark.parametrize(
    "params",
    [
        {"market_ticker": A, "market_tickers": [B]},
        {"market_ticker": A, "market_id": str(uuid4())},
        {"market_ids": [str(uuid4())], "market_id": str(uuid4())},
        {"market_ticker": ""},
        {"market_tickers": [A, "no ticker"]},
        {"market_tickers": ["x" * 257]},
        {"market_id": "17"},
    ],
)
def test_markets_named_twice_or_by_what_is_no_name_are_an_invalid_parameter(
    scene: Scene, params: dict[str, Any]
) -> None:
    session = scene.session()

    (answer,) = scene.subscribe(session, "ticker", **params)

    assert answer["msg"]["code"] == 11
    assert session.by_sid == {}


def test_a_ticker_of_all_markets_can_be_asked_for_at_once(scene: Scene) -> None:
    answer = scene.subscribe(scene.session(), "ticker", send_initial_snapshot=True)

    assert [frame["type"] for frame in answer] == ["subscribed", "ticker", "ticker", "ticker"]
    assert heard(answer[1:]) == [A, B, C]


def test_a_subscription_that_skips_its_lists_does_so_in_every_ok(scene: Scene) -> None:
    session = scene.session()
    scene.subscribe(session, "trade", market_ticker=A, skip_ticker_ack=True)

    answers = [
        scene.subscribe(session, "trade", market_ticker=B),
        scene.update(session, "add_markets", sid=1, market_ticker=C),
        scene.subscribe(session, "trade", market_ticker=A, skip_ticker_ack=False),
    ]

    assert [answer[0]["msg"] for answer in answers] == [{}, {}, {"market_tickers": [A, B, C]}]


def test_subscribing_without_markets_widens_a_subscription_to_all(scene: Scene) -> None:
    session = scene.session()
    scene.subscribe(session, "trade", market_ticker=A)

    (answer,) = scene.subscribe(session, "trade")
    (again,) = scene.subscribe(session, "trade", market_ticker=A)
    for ticker in (A, B):
        scene.tell(trade_of(ticker))

    assert (answer["type"], answer["sid"], answer["msg"]) == ("ok", 1, {})
    assert (again["type"], again["sid"], again["msg"]) == ("ok", 1, {})
    assert heard(frames(session)) == [A, B]


def test_markets_cannot_be_taken_off_a_subscription_to_all(scene: Scene) -> None:
    session = scene.session()
    scene.subscribe(session, "trade")

    (answer,) = scene.update(session, "delete_markets", sid=1, market_ticker=A)
    scene.tell(trade_of(A))

    assert (answer["msg"]["code"], answer["sid"], answer["seq"]) == (11, 1, 1)
    assert [frame["seq"] for frame in frames(session)] == [2]


@pytest.mark.parametrize("numbered", [True, False])
def test_trades_are_numbered_as_the_venue_was_told(numbered: bool) -> None:
    scene = Scene(trade_seq=numbered)
    session = scene.session()
    scene.subscribe(session, "trade", market_ticker=A)

    scene.tell(trade_of(A))
    scene.tell(trade_of(A))

    assert [frame.get("seq") for frame in frames(session)] == ([1, 2] if numbered else [None] * 2)


def test_the_lifecycle_channels_hear_all_markets_whatever_is_named(scene: Scene) -> None:
    session = scene.session()
    scene.subscribe(session, "market_lifecycle_v2", market_ticker=B)

    (refused,) = scene.update(session, "add_markets", sid=1, market_ticker=A)
    scene.tell(LifecycleChanged(A, LifecycleKind.SETTLED, NOW))

    assert (refused["msg"]["code"], refused["seq"]) == (13, 1)
    (told,) = frames(session)
    assert (told["type"], told["seq"], told["msg"]["market_ticker"]) == (
        "market_lifecycle_v2",
        2,
        A,
    )


def test_an_unlisted_market_is_waited_for_and_begins_with_its_book(scene: Scene) -> None:
    session = scene.session()
    new = "KXA-1-NEW"

    (first,) = scene.subscribe(session, "orderbook_delta", market_tickers=[new])
    (same,) = scene.subscribe(session, "orderbook_delta", market_tickers=[new])
    scene.list_market(new)
    scene.tell(LifecycleChanged(new, LifecycleKind.CREATED, NOW))
    scene.order(scene.other, Side.BID, 40, 1, new)

    assert first["type"] == "subscribed"
    assert same["msg"] == {"market_tickers": [new]}
    told = frames(session)
    assert told[0]["type"] == "orderbook_snapshot"
    assert told[-1]["type"] == "orderbook_delta"
    assert heard(told) == [new] * len(told)


def test_a_snapshot_of_an_unlisted_market_is_an_invalid_parameter(scene: Scene) -> None:
    session = scene.session()
    scene.subscribe(session, "orderbook_delta", market_ticker=A)

    one = scene.update(session, "get_snapshot", sid=1, market_tickers=[A, "KXB-1"])
    two = scene.update(session, "get_snapshot", sid=1, market_tickers=["KXB-1", "KXB-2"])

    assert [(frame["type"], frame["seq"]) for frame in one] == [
        ("orderbook_snapshot", 2),
        ("error", 3),
    ]
    assert one[1]["msg"] == {"code": 11, "msg": "Invalid parameter", "market_ticker": "KXB-1"}
    assert two[0]["msg"]["market_tickers"] == ["KXB-1", "KXB-2"]


@pytest.mark.parametrize(
    ("shards", "code"),
    [
        ({"shard_factor": 4, "shard_key": 3}, None),
        ({"shard_factor": 1}, None),
        ({"shard_factor": 0}, 19),
        ({"shard_factor": -1, "shard_key": 0}, 19),
        ({"shard_key": 0}, 20),
        ({"shard_factor": 4, "shard_key": 4}, 21),
        ({"shard_factor": 4, "shard_key": -1}, 21),
        ({"shard_factor": 101}, 22),
    ],
)
def test_shards_must_be_possible(scene: Scene, shards: dict[str, int], code: int | None) -> None:
    (answer,) = scene.subscribe(scene.session(), "communications", **shards)

    assert answer["msg"].get("code") == code


def test_a_command_without_an_id_is_answered_without_one_but_for_the_list(scene: Scene) -> None:
    session = scene.session()

    commands.receive(
        scene.hub, session, json.dumps({"cmd": "subscribe", "params": {"channels": ["fill"]}})
    )
    commands.receive(scene.hub, session, json.dumps({"cmd": "list_subscriptions"}))

    assert [frame.get("id") for frame in frames(session)] == [None, 0]
