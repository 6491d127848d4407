"""How much a session may ask for: markets, commands a second, and frames that wait."""

import json

from hypothesis import given
from hypothesis import strategies as st
from scene import A, B, C, Scene, frames

from kalshiflow.market.events import Side
from kalshiflow.venue.websocket import commands
from kalshiflow.venue.websocket.pace import Pace
from kalshiflow.venue.websocket.sessions import QUEUE_BYTES


def test_a_session_has_so_many_markets_in_all_its_channels() -> None:
    scene = Scene(market_limit=4)
    session = scene.session()
    scene.subscribe(session, "orderbook_delta", "ticker", market_tickers=[A, B])

    (beyond,) = scene.subscribe(session, "trade", market_ticker=A)
    (more,) = scene.update(session, "add_markets", sid=1, market_ticker=C)
    (again,) = scene.subscribe(session, "orderbook_delta", market_tickers=[A])
    (merged,) = scene.subscribe(session, "orderbook_delta", "ticker", market_tickers=[A, C])
    scene.update(session, "delete_markets", sid=1, market_tickers=[A, B])
    (fits,) = scene.subscribe(session, "trade", market_ticker=A)

    assert beyond["msg"]["code"] == more["msg"]["code"] == merged["msg"]["code"] == 26
    assert "sid" not in beyond
    assert (more["sid"], more["seq"], merged["sid"]) == (1, 3, 1)
    assert again["msg"]["market_tickers"] == [A, B]
    assert fits["type"] == "subscribed"


def test_a_subscription_to_all_markets_counts_for_one() -> None:
    scene = Scene(market_limit=1)
    session = scene.session()

    first = scene.subscribe(session, "ticker")
    second = scene.subscribe(session, "trade")
    widened = scene.subscribe(session, "ticker")

    assert [frame["type"] for frame in (*first, *second, *widened)] == ["subscribed", "error", "ok"]


def test_another_session_has_markets_of_its_own() -> None:
    scene = Scene(market_limit=1)

    answers = [scene.subscribe(scene.session(), "fill", market_ticker=A)[0] for _ in range(3)]

    assert [answer["type"] for answer in answers] == ["subscribed"] * 3


def test_a_command_beyond_the_rate_is_answered_with_its_id_and_not_carried_out() -> None:
    scene = Scene()
    session = scene.session()

    commands.turn_away(
        session, json.dumps({"id": 7, "cmd": "subscribe", "params": {"channels": ["fill"]}})
    )
    commands.turn_away(session, "no json")

    told = frames(session)
    assert [(frame.get("id"), frame["msg"]["code"]) for frame in told] == [(7, 27), (None, 27)]
    assert session.by_sid == {}


def test_a_pause_gives_a_second_of_commands_at_once_and_no_more() -> None:
    now = 100.0
    pace = Pace(10, lambda: now)

    first = [pace.allows() for _ in range(11)]
    now += 0.25
    second = [pace.allows() for _ in range(3)]
    now += 3600
    third = [pace.allows() for _ in range(11)]

    assert first == [True] * 10 + [False]
    assert second == [True, True, False]
    assert third == [True] * 10 + [False]


@given(st.lists(st.floats(0, 3), max_size=200), st.integers(1, 20))
def test_no_stretch_of_time_has_more_commands_than_a_second_and_its_length_give(
    pauses: list[float], rate: int
) -> None:
    now = 0.0
    pace = Pace(rate, lambda: now)
    allowed: list[float] = []
    for pause in pauses:
        now += pause
        if pace.allows():
            allowed.append(now)

    for i, begin in enumerate(allowed):
        for j, end in enumerate(allowed[i:], start=1):
            assert j <= rate + (end - begin) * rate + 1e-6


def test_a_queue_of_few_long_frames_is_full_too() -> None:
    scene = Scene()
    session = scene.session()
    scene.subscribe(session, "orderbook_delta", market_ticker=A)
    session.outbox_bytes = QUEUE_BYTES

    scene.order(scene.other, Side.BID, 40, 1)

    (told,) = frames(session)
    assert (told["msg"]["code"], told["sid"], told["seq"]) == (25, 1, 2)
    assert session.by_sid == {}


def test_nothing_follows_the_frame_that_ends_a_subscription() -> None:
    scene = Scene()
    session = scene.session(limit=2)
    scene.subscribe(session, "orderbook_delta", market_ticker=A)

    told = scene.update(session, "get_snapshot", sid=1, market_tickers=[A, B, C, "KXB-1"])

    assert [(frame["type"], frame["seq"]) for frame in told] == [
        ("orderbook_snapshot", 2),
        ("orderbook_snapshot", 3),
        ("error", 4),
    ]
    assert told[-1]["msg"]["code"] == 25


def test_what_waits_is_counted_as_it_comes_and_goes() -> None:
    scene = Scene()
    session = scene.session()
    scene.subscribe(session, "orderbook_delta", market_ticker=A)
    for cents in range(1, 6):
        scene.order(scene.other, Side.BID, cents, 1)
    whole = sum(map(len, session.outbox))

    counted = session.outbox_bytes
    taken = session.take(2)

    assert counted == whole
    assert session.outbox_bytes == whole - sum(map(len, taken))
    assert [json.loads(frame)["seq"] for frame in (*taken, *session.take())] == [2, 3, 4, 5, 6]
    assert session.outbox_bytes == 0
