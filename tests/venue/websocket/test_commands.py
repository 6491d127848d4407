"""The WebSocket protocol without sockets: commands in, frames out."""

import pytest
from scene import A, B, C, Scene, frames

from kalshiflow.market.events import Side
from kalshiflow.venue.websocket import commands


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_each_channel_has_a_sid_and_the_books_follow_as_snapshots(scene: Scene) -> None:
    scene.order(scene.other, Side.BID, 40, 3)

    answer = scene.subscribe(
        scene.session(), "orderbook_delta", "trade", "fill", market_tickers=[A, B]
    )

    assert answer[:3] == [
        {"type": "subscribed", "id": 1, "msg": {"channel": "orderbook_delta", "sid": 1}},
        {"type": "subscribed", "id": 1, "msg": {"channel": "trade", "sid": 2}},
        {"type": "subscribed", "id": 1, "msg": {"channel": "fill", "sid": 3}},
    ]
    market_id = scene.floor.market(A).market_id
    assert answer[3] == {
        "type": "orderbook_snapshot",
        "sid": 1,
        "seq": 1,
        "msg": {
            "market_ticker": A,
            "market_id": market_id,
            "yes_dollars_fp": [["0.4000", "3.00"]],
        },
    }
    assert answer[4]["seq"] == 2
    assert set(answer[4]["msg"]) == {"market_ticker", "market_id"}  # both sides are empty


def test_no_levels_are_at_their_own_price_or_at_the_yes_price_as_asked(scene: Scene) -> None:
    plain, yes = scene.session(), scene.session()
    scene.subscribe(plain, "orderbook_delta", market_ticker=A)
    scene.subscribe(yes, "orderbook_delta", market_ticker=A, use_yes_price=True)

    scene.order(scene.other, Side.ASK, 52, 3)

    told = [frames(session)[0] for session in (plain, yes)]
    assert [frame["msg"]["price_dollars"] for frame in told] == ["0.4800", "0.5200"]
    assert told[0]["msg"] == {
        "market_ticker": A,
        "market_id": scene.floor.market(A).market_id,
        "price_dollars": "0.4800",
        "delta_fp": "3.00",
        "side": "no",
        "ts": "2026-11-20T09:00:00.123Z",
        "ts_ms": 1795165200123,
    }
    assert [frame["seq"] for frame in told] == [2, 2]


def test_subscribing_again_merges_into_the_sid_and_is_answered_by_ok(scene: Scene) -> None:
    session = scene.session()
    scene.subscribe(session, "orderbook_delta", market_tickers=[B])

    again = scene.send(session, "subscribe", 7, channels=["orderbook_delta"], market_tickers=[A, B])
    same = scene.send(session, "subscribe", 8, channels=["orderbook_delta"], market_ticker=A)

    assert again[0] == {
        "type": "ok",
        "id": 7,
        "sid": 1,
        "seq": 2,
        "msg": {"market_tickers": [A, B]},
    }
    assert [(f["type"], f["seq"], f["msg"]["market_ticker"]) for f in again[1:]] == [
        ("orderbook_snapshot", 3, A)
    ]
    assert [(f["type"], f["seq"]) for f in same] == [("ok", 4)]  # no action, no snapshot


def test_markets_are_added_and_deleted_under_the_same_sid(scene: Scene) -> None:
    session = scene.session()
    scene.subscribe(session, "orderbook_delta", market_ticker=A)

    added = scene.send(
        session,
        "update_subscription",
        2,
        sid=1,
        market_tickers=[C],
        action="add_markets",
    )
    deleted = scene.send(
        session,
        "update_subscription",
        3,
        sids=[1],
        market_tickers=[A],
        action="delete_markets",
    )
    scene.order(scene.other, Side.BID, 40, 1, A)
    scene.order(scene.other, Side.BID, 40, 1, C)

    assert [(f["type"], f["seq"]) for f in added] == [("ok", 2), ("orderbook_snapshot", 3)]
    assert added[0]["msg"]["market_tickers"] == [A, C]
    assert [(f["type"], f["seq"], f["msg"]["market_tickers"]) for f in deleted] == [("ok", 4, [C])]
    assert [(f["seq"], f["msg"]["market_ticker"]) for f in frames(session)] == [(5, C)]


def test_get_snapshot_carries_the_command_and_changes_no_subscription(scene: Scene) -> None:
    session = scene.session()
    scene.subscribe(session, "orderbook_delta", market_ticker=A)

    answer = scene.send(
        session,
        "update_subscription",
        9,
        sid=1,
        market_tickers=[A],
        action="get_snapshot",
    )

    assert [(f["type"], f["id"], f["seq"]) for f in answer] == [("orderbook_snapshot", 9, 2)]
    assert scene.send(session, "list_subscriptions", 10) == [
        {"type": "ok", "id": 10, "msg": [{"channel": "orderbook_delta", "sid": 1}]}
    ]


def test_unsubscribing_takes_a_number_and_ends_the_frames(scene: Scene) -> None:
    session = scene.session()
    scene.subscribe(session, "orderbook_delta", "ticker", market_ticker=A)

    answer = scene.send(session, "unsubscribe", 4, sids=[1, 2])
    scene.order(scene.other, Side.BID, 40, 1)
    again = scene.subscribe(session, "orderbook_delta", market_ticker=A)

    assert answer == [
        {"type": "unsubscribed", "id": 4, "sid": 1, "seq": 2},
        # The ticker's frames have no numbers; the frame that ends it has one, as everywhere.
        {"type": "unsubscribed", "id": 4, "sid": 2, "seq": 1},
    ]
    assert again[0]["msg"] == {"channel": "orderbook_delta", "sid": 3}
    assert again[1]["seq"] == 1


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("no json", 1),
        ("[1]", 1),
        ('{"id":1}', 5),
        ('{"id":1,"cmd":"shout"}', 5),
        ('{"id":1,"cmd":"subscribe"}', 2),
        ('{"id":1,"cmd":"subscribe","params":{}}', 3),
        ('{"id":1,"cmd":"subscribe","params":{"channels":[]}}', 3),
        ('{"id":1,"cmd":"subscribe","params":{"channels":["gossip"]}}', 8),
        ('{"id":1,"cmd":"subscribe","params":{"channels":"trade"}}', 11),
        ('{"id":1,"cmd":"subscribe","params":{"channels":["orderbook_delta"]}}', 14),
        (
            (
                '{"id":1,"cmd":"subscribe","params":{"channels":["trade"],'
                '"market_ticker":"A","market_tickers":["B"]}}'
            ),
            11,
        ),
        ('{"id":1,"cmd":"unsubscribe","params":{}}', 4),
        ('{"id":1,"cmd":"unsubscribe","params":{"sids":[99]}}', 7),
        ('{"id":1,"cmd":"update_subscription","params":{"action":"add_markets"}}', 12),
        ('{"id":1,"cmd":"update_subscription","params":{"sids":[1,2]}}', 12),
        ('{"id":1,"cmd":"update_subscription","params":{"sid":99,"action":"add_markets"}}', 7),
        ('{"id":1,"cmd":"update_subscription","params":{"sid":1}}', 15),
        ('{"id":1,"cmd":"update_subscription","params":{"sid":1,"action":"dance"}}', 13),
        ('{"id":1,"cmd":"update_subscription","params":{"sid":1,"action":"add_markets"}}', 14),
        (
            (
                '{"id":1,"cmd":"update_subscription","params":'
                '{"sid":2,"action":"get_snapshot","market_tickers":["A"]}}'
            ),
            13,
        ),
    ],
)
def test_a_wrong_command_is_answered_by_its_error_and_nothing_else_happens(
    scene: Scene, text: str, code: int
) -> None:
    session = scene.session()
    scene.subscribe(session, "orderbook_delta", "trade", market_ticker=A)

    commands.receive(scene.hub, session, text)

    (answer,) = frames(session)
    assert answer["type"] == "error"
    assert answer["msg"]["code"] == code
    assert answer["msg"]["msg"]
    # An error about a subscription takes its next number, and is all that happened.
    assert [s.seq for s in session.by_sid.values()] == (
        [1, 0] if answer.get("sid") is None else [1 + (answer["sid"] == 1), answer["sid"] == 2]
    )
    assert answer.get("seq") == {None: None, 1: 2, 2: 1}[answer.get("sid")]
    assert [len(s.tickers or ()) for s in session.by_sid.values()] == [1, 1]


def test_private_frames_reach_their_owner_only(scene: Scene) -> None:
    mine, other = scene.session(scene.mine), scene.session(scene.other)
    for session in (mine, other):
        scene.subscribe(session, "fill", "user_orders", "market_positions")
        scene.subscribe(session, "orderbook_delta", "trade", market_ticker=A)

    scene.order(scene.other, Side.ASK, 50, 2)
    frames(mine)
    frames(other)
    order_id = scene.order(scene.mine, Side.BID, 50, 5, name="my-1")

    told = {f["type"]: f["msg"] for f in frames(mine)}
    heard = {f["type"]: f["msg"] for f in frames(other)}
    assert told["fill"]["order_id"] == told["user_order"]["order_id"] == order_id
    assert told["fill"]["post_position_fp"] == "2.00"
    assert told["fill"]["fee_cost"] == "0.035000"
    assert told["user_order"]["status"] == "resting"
    assert told["user_order"]["fill_count_fp"] == "2.00"
    assert told["user_order"]["remaining_count_fp"] == "3.00"
    assert told["market_position"]["position_fp"] == "2.00"
    assert told["trade"]["taker_book_side"] == "bid"
    assert heard["fill"]["post_position_fp"] == "-2.00"
    assert heard["user_order"]["status"] == "executed"
    # The resting remainder is the last change of the book; only its owner learns whose it is.
    assert told["orderbook_delta"]["client_order_id"] == "my-1"
    assert "client_order_id" not in heard["orderbook_delta"]


def test_a_channel_without_markets_covers_all_of_them(scene: Scene) -> None:
    session = scene.session()
    scene.subscribe(session, "ticker")

    scene.order(scene.other, Side.BID, 40, 1, A)
    scene.order(scene.other, Side.BID, 41, 1, B)

    told = frames(session)
    assert [(f["msg"]["market_ticker"], f["msg"]["yes_bid_dollars"]) for f in told] == [
        (A, "0.4000"),
        (B, "0.4100"),
    ]
    assert all("seq" not in frame for frame in told)


def test_a_ticker_can_be_asked_for_at_once(scene: Scene) -> None:
    scene.order(scene.other, Side.BID, 40, 1, A)

    answer = scene.subscribe(scene.session(), "ticker", market_ticker=A, send_initial_snapshot=True)

    assert [frame["type"] for frame in answer] == ["subscribed", "ticker"]
    assert answer[1]["msg"]["yes_bid_size_fp"] == "1.00"


def test_a_full_queue_ends_the_subscription_with_error_25(scene: Scene) -> None:
    slow, quick = scene.session(limit=4), scene.session()
    for session in (slow, quick):
        scene.subscribe(session, "orderbook_delta", market_ticker=A)

    for cents in range(1, 10):
        scene.order(scene.other, Side.BID, cents, 1)

    told = frames(slow)
    assert [frame["type"] for frame in told] == ["orderbook_delta"] * 4 + ["error"]
    assert told[-1]["sid"] == 1
    assert told[-1]["msg"] == {"code": 25, "msg": "Subscription buffer overflow"}
    assert len(frames(quick)) == 9
    assert scene.send(slow, "list_subscriptions")[0]["msg"] == []


def test_a_session_that_leaves_is_told_nothing_more(scene: Scene) -> None:
    session = scene.session()
    scene.subscribe(session, "orderbook_delta", "trade", market_ticker=A)
    assert scene.hub.has_book_subscriber(A)

    scene.hub.leave(session)
    scene.order(scene.other, Side.BID, 40, 1)

    assert session.take() == []
    assert not scene.hub.has_book_subscriber(A)
