"""Lifecycle frames: each step with its own fields and no others, and as our own client reads them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kalshiflow.exchange.feed import Feed, Received
from kalshiflow.exchange.messages import EventLifecycleFrame, LifecycleFrame, decode_frame
from kalshiflow.market.events import MarketStatusChanged, Side
from kalshiflow.market.listing import Event, Market, MarketResult, MarketStatus
from kalshiflow.market.units import Cash, Price, Quantity
from kalshiflow.venue.clock import SECOND
from kalshiflow.venue.floor.accounts import Account, Accounts
from kalshiflow.venue.floor.floor import Floor
from kalshiflow.venue.floor.listed import Details
from kalshiflow.venue.floor.requests import NewOrder
from kalshiflow.venue.floor.structures import grid_named
from kalshiflow.venue.ids import Identifiers
from kalshiflow.venue.matching.engine import MatchingBook
from kalshiflow.venue.websocket.commands import receive
from kalshiflow.venue.websocket.hub import Hub

TICKER = "KXA-B-C"
START = 1_795_165_200
NOW, CLOSE = START * SECOND, (START + 3_600) * SECOND
DETAILS = Details(
    yes_sub_title="Above 50",
    no_sub_title="50 or below",
    rules_primary="As counted.",
    strike_type="greater",
    floor_strike=50.0,
    expected_expiration=CLOSE + 600 * SECOND,
)
MARKET = Market(TICKER, "KXA-B", "More than 50?", open_time=NOW, close_time=CLOSE)


class Scene:
    """A floor whose facts go to a hub, and one session of one account."""

    def __init__(self) -> None:
        self.floor = Floor(Identifiers(1), Accounts(), lambda fact: self.hub.publish(fact))
        self.hub = Hub(self.floor.find_market, self.floor.find_order)
        self.account = self.floor.accounts.open(Account("x", Cash(10**9), key_id="x"))
        self.session = self.hub.join(self.account)
        self.life = self.floor.lifecycle

    def list_market(self, market: Market = MARKET) -> None:
        self.floor.list_market(market, MatchingBook(market.ticker), DETAILS)

    def send(self, **params: Any) -> None:
        receive(self.hub, self.session, json.dumps({"id": 1, "cmd": "subscribe", "params": params}))

    def subscribed(self, *channels: str, **params: Any) -> "Scene":
        self.send(channels=list(channels), **params)
        self.session.take()
        return self

    def frames(self) -> list[dict[str, Any]]:
        return [json.loads(frame) for frame in self.session.take()]

    def steps(self) -> list[dict[str, Any]]:
        """Give what the waiting frames tell, each without the market's name."""
        told = [frame["msg"] for frame in self.frames()]
        assert {body.pop("market_ticker") for body in told} <= {TICKER}
        return told


@pytest.fixture
def scene() -> Scene:
    scene = Scene()
    scene.list_market()
    return scene.subscribed("market_lifecycle_v2")


def test_a_pause_and_its_end_tell_whether_the_market_is_deactivated(scene: Scene) -> None:
    scene.life.deactivate(TICKER, NOW)
    scene.life.reactivate(TICKER, NOW)

    assert scene.steps() == [
        {"event_type": "deactivated", "is_deactivated": True},
        {"event_type": "activated", "is_deactivated": False},
    ]


def test_a_new_close_tells_its_time_and_nothing_else(scene: Scene) -> None:
    scene.life.move_close(TICKER, CLOSE + 60 * SECOND, NOW)

    assert scene.steps() == [{"event_type": "close_date_updated", "close_ts": START + 3_660}]


@pytest.mark.parametrize(
    ("result", "value", "told"),
    [
        (MarketResult.YES, None, ("yes", "1.0000")),
        (MarketResult.NO, None, ("no", "0.0000")),
        (MarketResult.VOID, Price(3_725), ("scalar", "0.3725")),
    ],
)
def test_a_result_tells_its_value_and_time_and_the_settlement_its_own_time(
    scene: Scene, result: MarketResult, value: Price | None, told: tuple[str, str]
) -> None:
    scene.floor.agenda.run(CLOSE)
    scene.life.determine(TICKER, result, CLOSE + 5 * SECOND, value)
    scene.floor.agenda.run(CLOSE + 65 * SECOND)

    assert scene.steps() == [
        {
            "event_type": "determined",
            "result": told[0],
            "settlement_value": told[1],
            "determination_ts": START + 3_605,
        },
        {"event_type": "settled", "settled_ts": START + 3_665},
    ]


def test_a_new_grid_tells_its_name_and_its_ranges(scene: Scene) -> None:
    scene.life.change_grid(TICKER, grid_named("tapered_deci_cent"), NOW)

    assert scene.steps() == [
        {
            "event_type": "price_level_structure_updated",
            "price_level_structure": "tapered_deci_cent",
            "price_ranges": [
                {"start": "0.0000", "end": "0.1000", "step": "0.0010"},
                {"start": "0.1000", "end": "0.9000", "step": "0.0100"},
                {"start": "0.9000", "end": "1.0000", "step": "0.0010"},
            ],
        }
    ]


def test_new_details_tell_what_changed_only(scene: Scene) -> None:
    scene.life.change_details(TICKER, replace(DETAILS, floor_strike=51.5), NOW)
    scene.life.change_details(
        TICKER, replace(DETAILS, strike_type="between", cap_strike=60.0, floor_strike=51.5), NOW
    )

    assert scene.steps() == [
        {"event_type": "metadata_updated", "floor_strike": 51.5},
        {"event_type": "metadata_updated", "strike_type": "between", "cap_strike": 60.0},
    ]


def test_a_new_market_tells_all_that_is_known_of_it_and_its_event_comes_first() -> None:
    scene = Scene().subscribed("market_lifecycle_v2")

    scene.life.list_event(Event("KXA-B", "KXA", "How many?"), NOW)
    scene.life.list_market(MARKET, NOW, DETAILS)

    event, market = scene.frames()
    assert event == {
        "type": "event_lifecycle",
        "sid": 1,
        "seq": 1,
        "msg": {
            "event_ticker": "KXA-B",
            "exchange_index": 0,
            "title": "How many?",
            "subtitle": "",
            "collateral_return_type": "",
            "series_ticker": "KXA",
        },
    }
    assert market == {
        "type": "market_lifecycle_v2",
        "sid": 1,
        "seq": 2,
        "msg": {
            "event_type": "created",
            "market_ticker": TICKER,
            "exchange_index": 0,
            "open_ts": START,
            "close_ts": START + 3_600,
            "price_level_structure": "linear_cent",
            "price_ranges": [{"start": "0.0000", "end": "1.0000", "step": "0.0100"}],
            "additional_metadata": {
                "name": "More than 50?",
                "title": "More than 50?",
                "yes_sub_title": "Above 50",
                "no_sub_title": "50 or below",
                "rules_primary": "As counted.",
                "rules_secondary": "",
                "can_close_early": True,
                "event_ticker": "KXA-B",
                "expected_expiration_ts": START + 4_200,
                "strike_type": "greater",
                "floor_strike": 50.0,
            },
        },
    }


def test_a_filter_by_market_changes_nothing_on_this_channel() -> None:
    scene = Scene()
    scene.list_market()
    scene.subscribed("market_lifecycle_v2", market_tickers=["KXOTHER"])

    scene.life.deactivate(TICKER, NOW)

    assert scene.steps() == [{"event_type": "deactivated", "is_deactivated": True}]


def test_combinations_have_a_channel_of_their_own() -> None:
    scene = Scene().subscribed("market_lifecycle_v2", "multivariate_market_lifecycle")

    scene.life.list_event(Event("KXMVE-1", "KXMVE", "Both?"), NOW)
    scene.life.list_market(replace(MARKET, ticker="KXMVE-1-A", event_ticker="KXMVE-1"), NOW)

    told = [(frame["type"], frame["sid"], frame["seq"]) for frame in scene.frames()]
    assert told == [("event_lifecycle", 2, 1), ("multivariate_market_lifecycle", 2, 2)]


def test_a_market_that_was_listed_later_has_a_book_a_ticker_and_orders() -> None:
    scene = Scene().subscribed("ticker", "user_orders")
    scene.life.list_market(MARKET, NOW, DETAILS)

    scene.send(channels=["orderbook_delta"], market_ticker=TICKER, use_yes_price=True)
    new = NewOrder(TICKER, Side.BID, Price(4_000), Quantity(100))
    scene.floor.place(scene.account, new, NOW)

    kinds = [frame["type"] for frame in scene.frames()]
    assert kinds[:2] == ["subscribed", "orderbook_snapshot"]
    assert sorted(kinds[2:]) == ["orderbook_delta", "ticker", "user_order"]


def test_a_settlement_tells_the_owner_that_the_position_is_flat() -> None:
    scene = Scene()
    scene.list_market()
    other = scene.floor.accounts.open(Account("y", Cash(10**9), key_id="y"))
    for account, side in ((other, Side.ASK), (scene.account, Side.BID)):
        scene.floor.place(account, NewOrder(TICKER, side, Price(4_000), Quantity(1_000)), NOW)
    scene.subscribed("market_positions")

    scene.life.determine(TICKER, MarketResult.YES, NOW)
    scene.life.settle(TICKER, NOW)

    (frame,) = scene.frames()
    body = frame["msg"]
    assert (body["position_fp"], body["market_ticker"]) == ("0.00", TICKER)
    assert float(body["position_cost_dollars"]) == 0
    assert float(body["realized_pnl_dollars"]) == 6


# --- our own client --------------------------------------------------------------------------


def whole_life(scene: Scene) -> list[bytes]:
    """Let one market live through every kind of step; give the frames."""
    scene.subscribed("market_lifecycle_v2")
    scene.life.list_event(Event("KXA-B", "KXA", "How many?"), NOW)
    scene.life.list_market(MARKET, NOW, DETAILS)
    scene.life.deactivate(TICKER, NOW)
    scene.life.reactivate(TICKER, NOW)
    scene.life.change_grid(TICKER, grid_named("deci_cent"), NOW)
    scene.life.change_details(TICKER, replace(DETAILS, yes_sub_title="y", floor_strike=51.0), NOW)
    scene.life.move_close(TICKER, CLOSE + 60 * SECOND, NOW)
    scene.floor.agenda.run(CLOSE + 60 * SECOND)
    scene.life.determine(TICKER, MarketResult.SCALAR, CLOSE + 65 * SECOND, Price(2_500))
    scene.floor.agenda.run(CLOSE + 125 * SECOND)
    return scene.session.take()


def test_our_client_reads_every_step_as_what_happened() -> None:
    feed = Feed()

    received = [feed.receive(frame, NOW) for frame in whole_life(Scene())]

    assert [(one.error, one.gap) for one in received] == [(None, None)] * 9
    event, *steps = received
    assert (event.kind, event.seq, event.event) == ("event_lifecycle", 1, None)

    def told(one: Received, **what: Any) -> MarketStatusChanged:
        assert isinstance(one.event, MarketStatusChanged)
        return MarketStatusChanged(TICKER, one.event.event_type, one.stamp, **what)

    wanted: list[tuple[str, dict[str, Any]]] = [
        (
            "created",
            {"status": "initialized", "close_time": CLOSE, "grid": grid_named("linear_cent")},
        ),
        ("deactivated", {"status": "inactive"}),
        ("activated", {"status": "active"}),
        ("price_level_structure_updated", {"grid": grid_named("deci_cent")}),
        ("metadata_updated", {}),
        ("close_date_updated", {"close_time": CLOSE + 60 * SECOND}),
        (
            "determined",
            {
                "status": "determined",
                "result": MarketResult.SCALAR,
                "settlement_value": Price(2_500),
            },
        ),
        ("settled", {"status": "finalized"}),
    ]
    assert [one.event for one in steps] == [
        told(one, **what) for one, (_, what) in zip(steps, wanted, strict=True)
    ]
    assert [one.event.event_type for one in steps if one.event] == [kind for kind, _ in wanted]
    assert steps[-1].stamp.exchange_ts == CLOSE + 125 * SECOND


def test_our_clients_types_hold_every_field_that_is_told() -> None:
    for frame in whole_life(Scene()):
        decoded = decode_frame(frame)
        told = json.loads(frame)["msg"]
        if isinstance(decoded, EventLifecycleFrame):
            assert decoded.msg == told
            continue
        assert isinstance(decoded, LifecycleFrame)
        for name, value in told.items():
            if name == "price_ranges":
                assert decoded.msg.price_ranges is not None
                assert [vars_of(part) for part in decoded.msg.price_ranges] == value
            else:
                assert getattr(decoded.msg, name) == value


def vars_of(part: Any) -> dict[str, str]:
    return {name: getattr(part, name) for name in part.__struct_fields__}


def test_what_our_client_read_moves_another_venue_the_same_way() -> None:
    feed, first, second = Feed(), Scene(), Scene()
    frames = whole_life(first)
    second.list_market()
    second.subscribed("market_lifecycle_v2")

    for frame in frames:
        event = feed.receive(frame, NOW).event
        if isinstance(event, MarketStatusChanged):
            second.life.follow(event, event.stamp.market_time)

    one, other = (scene.floor.market(TICKER).market for scene in (first, second))
    assert (other.status, other.result, other.settlement_value, other.grid, other.close_time) == (
        one.status, one.result, one.settlement_value, one.grid, one.close_time,
    )  # fmt: skip
    assert other.status is MarketStatus.FINALIZED
    kinds = [json.loads(frame)["msg"].get("event_type") for frame in frames]
    assert [step["event_type"] for step in second.steps()] == [
        kind for kind in kinds if kind not in {None, "metadata_updated"}
    ]


def test_every_frame_is_as_kalshi_describes_it(oracle: Any, tmp_path: Path) -> None:
    if oracle is None:
        pytest.skip("Kalshi's description is not at hand")
    log = tmp_path / "frames.jsonl"
    lines = [{"kind": "frame", "text": frame.decode()} for frame in whole_life(Scene())]
    log.write_text("\n".join(json.dumps(line) for line in lines))

    assert oracle.problems(log) == []
    assert oracle.frames >= len(lines)
