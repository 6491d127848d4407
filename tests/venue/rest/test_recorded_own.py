"""A recorded session of one account at Kalshi's demo exchange, asked again at the venue.

Every private request is sent as it was recorded, at its recorded time, with our ticker and the ids
that our own orders got; its answer has the recorded status and shape, and a refusal every word.
"""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from order_desk import FIRST, Answer, Desk

pytestmark = pytest.mark.recorded

PRIVATE = ("orders", "fills", "portfolio", "settlements", "account", "auth", "cleanup")
SERVICE = {"service": "dropped on 2026-08-06"}
SKEWS = {
    "auth__skew_minus5s": -5_000,
    "auth__skew_plus5s": 5_000,
    "auth__skew_minus30s": -30_000,
    "auth__skew_minus5min": -300_000,
    "auth__skew_plus5min": 300_000,
}
BROKEN = {
    "auth__bad_signature": {"KALSHI-ACCESS-SIGNATURE": "aGVsbG8="},
    "auth__unknown_key_id": {"KALSHI-ACCESS-KEY": "00000000-0000-0000-0000-000000000000"},
    "auth__missing_signature_header": {"KALSHI-ACCESS-SIGNATURE": ""},
}


@pytest.fixture
def names(recorded_data: Path) -> list[str]:
    """Give the private recordings in the order in which they were made."""
    folder = recorded_data / "kalshi-demo-rest-2026-06"
    metas = {
        path.name.removesuffix(".meta.json"): json.loads(path.read_text())
        for path in folder.glob("*.meta.json")
        if path.name.partition("__")[0] in PRIVATE
    }
    return sorted(metas, key=lambda name: metas[name]["recorded_at_epoch_ms"])


class Session:
    """The recorded requests, sent to a desk whose first market has the recorded touch."""

    def __init__(self, desk: Desk, same_shape: Any) -> None:
        self.desk = desk
        self.same_shape = same_shape
        self.told: dict[str, Answer] = {}
        self._ids: dict[str, str] = {}
        self._at: int | None = None
        desk.rests("bid", "0.4700", "10.00")
        desk.rests("ask", "0.5200", "10.00")

    async def send(self, name: str) -> Answer:
        meta, _, recorded = self.same_shape.load(name)
        at = meta["recorded_at_epoch_ms"]
        self.desk.wait((at - (self._at or at)) / 1000)
        self._at = at
        path = meta["path"].removeprefix("/trade-api/v2")
        for theirs, ours in self._ids.items():
            path = path.replace(theirs, ours)
        body = meta["request_body"]
        if body is not None:
            body = {**body, "ticker": FIRST}
        headers = self.desk.headers(meta["method"], path, SKEWS.get(name, 0))
        answer = await self.desk.ask(
            meta["method"], path, body, headers=headers | BROKEN.get(name, {})
        )
        self._learn(recorded, answer)
        self.told[name] = answer
        return answer

    def _learn(self, recorded: Any, answer: Answer) -> None:
        """Note which of our orders stands for a recorded one."""
        theirs = recorded.get("order", recorded).get("order_id")
        if theirs and answer.status == 201:
            ours = answer.json
            self._ids[theirs] = ours.get("order", ours)["order_id"]

    def differences(self, name: str) -> list[str]:
        """Give where an answer differs from the recorded one, a refusal in any word."""
        _, status, recorded = self.same_shape.load(name)
        answer = self.told[name]
        if answer.status != status:
            return [f"{name}: status {answer.status}, recorded {status}: {answer.text}"]
        if status >= 400:
            if isinstance(recorded.get("error"), dict):
                recorded["error"].pop("service", None)
            same = answer.json == recorded
            return [] if same else [f"{name}: {answer.text} instead of {recorded}"]
        return [f"{name}: {one}" for one in self.same_shape(answer.json, recorded, SERVICE)]


async def replayed(desk: Desk, same_shape: Any, names: list[str]) -> Session:
    session = Session(desk, same_shape)
    # The recorded account held contracts and had old-style orders when the session began.
    desk.rests("ask", "0.9900", "2.00")
    old = {"ticker": FIRST, "side": "yes", "action": "buy", "count": 1, "yes_price": 1}
    await desk.ask("POST", "/portfolio/orders", {**old, "client_order_id": str(uuid4())})
    for name in names:
        await session.send(name)
    return session


async def test_every_private_request_is_answered_as_it_was_recorded(
    desk_of: Any, same_shape: Any, names: list[str]
) -> None:
    desk = desk_of(tier="basic", cash="98.0186")

    session = await replayed(desk, same_shape, names)

    assert len(names) == 41
    assert [problem for name in names for problem in session.differences(name)] == []


async def test_what_was_recorded_as_figures_comes_out_the_same(
    desk_of: Any, same_shape: Any, names: list[str]
) -> None:
    session = await replayed(desk_of(tier="basic", cash="98.0186"), same_shape, names)
    told = {name: answer.json for name, answer in session.told.items()}

    def recorded(name: str) -> Any:
        return same_shape.load(name)[2]

    for name, fields in (
        ("orders__create_v2_maker", ("client_order_id", "fill_count", "remaining_count")),
        (
            "orders__create_v2_taker_ioc",
            ("average_fill_price", "average_fee_paid", "fill_count", "remaining_count"),
        ),
        ("orders__cancel_v2", ("reduced_by",)),
        ("orders__stp_self_cross", ("fill_count", "remaining_count")),
        ("orders__legacy_cancel", ("reduced_by_fp",)),
    ):
        assert {field: told[name][field] for field in fields} == {
            field: recorded(name)[field] for field in fields
        }, name
    for name in ("orders__get_after_create", "orders__stp_resting_after", "orders__legacy_cancel"):
        ours, theirs = told[name]["order"], recorded(name)["order"]
        own = {"order_id", "user_id", "ticker", "created_time", "last_update_time"}
        assert {key: ours[key] for key in theirs if key not in own} == {
            key: value for key, value in theirs.items() if key not in own
        }, name
    [ours, *_] = told["fills__after_taker"]["fills"]
    [theirs, *_] = recorded("fills__after_taker")["fills"]
    for key in ("action", "side", "book_side", "fee_cost", "yes_price_dollars", "count_fp"):
        assert ours[key] == theirs[key], key
    assert told["account__limits"] == recorded("account__limits")
    costs = {(one["method"], one["path"]): one["cost"] for one in _costs(told)}
    for one in recorded("account__endpoint_costs")["endpoint_costs"]:
        if "/portfolio/" in one["path"]:
            assert costs[one["method"], one["path"]] == one["cost"], one


def _costs(told: dict[str, Any]) -> list[dict[str, Any]]:
    return list(told["account__endpoint_costs"]["endpoint_costs"])
