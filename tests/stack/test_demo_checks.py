"""The demo's verdict: values in, checks out; it fails for each thing that must hold and does not."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from kalshiflow.market.units import Cash, Quantity
from kalshiflow.stack.demo_checks import CaptureCheck, Found, Wanted, checks
from kalshiflow.stack.demo_world import AccountView, account_of
from kalshiflow.store.training import Promotion, TrainingRun

STATUS = {
    "policy": {"version": "3", "fingerprint": "f" * 64},
    "decisions": 10,
    "actions": {"HOLD": 9, "BUY_YES_LIMIT": 1},
    "orders": {"placed": 1, "open": 0},
    "fills": 1,
    "fees": "0.02",
    "drifts": 0,
    "cash": "9999.98",
    "positions": [
        {"market_ticker": "B", "quantity": "-2.50"},
        {"market_ticker": "A", "quantity": "1.00"},
        {"market_ticker": "C", "quantity": "0.00"},
    ],
}
ACCOUNT = AccountView(Cash(9_999_980_000), {"A": Quantity(100), "B": Quantity(-250)}, 0)


def session(*, traded: bool = False, markets: int = 24):
    return SimpleNamespace(traded=traded, markets=("M",) * markets)


def certificate(frames: int = 100, *, whole: bool = True, verdict: str = "ok"):
    return SimpleNamespace(frames=frames, whole=whole, verdict=verdict, gaps=0, bad_frames=0)


def good() -> Found:
    return Found(
        wanted=Wanted(sessions=3, markets=20, fills=1),
        sessions=[session(), session(), session(), session(traded=True)],
        certificates=[certificate()] * 4,
        frames_received=400,
        session_runs=3,
        rows_to_learn=70,
        rows_to_judge=30,
        training=TrainingRun("t", "sensor", "d", (), "done", 1, model_version="3", evaluation={}),
        promotion=Promotion(
            1, "bootstrap", "kalshi-policy", "3", "champion", "f" * 64, {}, "rule", "best", 2
        ),
        trader=STATUS,
        journal_decisions=10,
        decisions_remade=10,
        journal_orders=4,
        orders_traced=4,
        ours=ACCOUNT,
        theirs=ACCOUNT,
        capture=CaptureCheck(5, 5, 2, []),
    )


def broken(found: Found) -> list[str]:
    return [row.name for row in checks(found) if row.holds is False]


def test_a_good_run_has_no_broken_check():
    assert broken(good()) == []


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"sessions": [session()] * 2}, "sessions recorded"),
        ({"sessions": [session(markets=19)] * 3}, "markets in each"),
        ({"certificates": [certificate(whole=False)] * 4}, "sessions proven whole from their rows"),
        ({"certificates": [certificate(verdict="failed")] * 4}, "sessions proven whole from their rows"),
        ({"frames_received": 401}, "frames received = stored"),
        ({"session_runs": 2}, "Dagster's runs of sessions"),
        ({"rows_to_judge": 0}, "training rows"),
        ({"promotion": None}, "policy"),
        ({"trader": {**STATUS, "policy": {"version": "2", "fingerprint": "f" * 64}}}, "policy that trades"),
        ({"trader": {**STATUS, "policy": {"version": "3", "fingerprint": "e" * 64}}}, "policy that trades"),
        ({"journal_decisions": 9}, "decisions made = in the journal"),
        ({"decisions_remade": 9}, "decisions made again from the tape"),
        ({"orders_traced": 3}, "orders traced to decision, policy, dataset and sessions"),
        ({"trader": {**STATUS, "fills": 0}}, "fills"),
        ({"trader": {**STATUS, "drifts": 1}}, "differences found when squaring with the exchange"),
        ({"theirs": replace(ACCOUNT, cash=Cash(ACCOUNT.cash + 1))}, "cash, trader = exchange"),
        ({"theirs": replace(ACCOUNT, positions={"A": Quantity(100)})}, "positions, trader = exchange"),
        ({"ours": None}, "accounts"),
        ({"capture": CaptureCheck(5, 4, 2, [])}, "deltas in the file = stored"),
        ({"capture": CaptureCheck(5, 5, 2, ["A"])}, "last books, file = database"),
    ],
)  # fmt: skip
def test_what_does_not_hold_is_named(change, name):
    found = good()
    for field, value in change.items():
        setattr(found, field, value)

    assert name in broken(found)


def test_losses_are_shown_with_their_intervals():
    found = good()
    row = {
        "name": "candidate 3",
        "pnl_dollars": -1.25,
        "low_dollars": -2.5,
        "high_dollars": None,
        "fills": 4,
        "fees_dollars": 0.07,
    }
    found.training = replace(
        found.training, evaluation={"rows": [row, {**row, "high_dollars": 0.5}]}
    )

    shown = [check.found for check in checks(found) if check.name == "evaluation of candidate 3"]

    assert shown == [
        "-1.250 dollars per market, 4 fills, 0.07 dollars of fees",
        "-1.250 dollars per market [-2.500, +0.500 with 95% confidence], 4 fills, 0.07 dollars of fees",
    ]


def test_the_traders_account_is_read_exactly_and_without_flat_markets():
    assert account_of(STATUS) == ACCOUNT
