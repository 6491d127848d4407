"""The whole trader against a real venue, a real database and a registry with a real bundle."""

import asyncio
import json

import pytest
from websockets.asyncio.client import connect
from whole_trader import account_of, opener, status, wait_for, write_bundle

from kalshiflow.agent.action import fingerprint
from kalshiflow.agent.features import OBSERVATION_SIZE
from kalshiflow.market.orders import OrderState
from kalshiflow.market.units import Cash
from kalshiflow.store import trading
from kalshiflow.store.commands import add_command, recent_commands
from trader.status import money

pytestmark = pytest.mark.integration


@pytest.fixture
def policies(tmp_path):
    """Give the registry's folder."""
    folder = tmp_path / "policies"
    folder.mkdir()
    return folder


@pytest.fixture
def running(serve_venue, tmp_path, policies, postgres_url, free_port):
    """Give what opens a whole trader."""
    return opener(serve_venue, tmp_path, policies, postgres_url, free_port)


async def test_a_promoted_policy_trades_and_every_cent_is_accounted_for(running, policies):
    write_bundle(policies / "1", [0, 1, 2, 0, 0])  # sells YES where it holds some, else buys it
    async with running() as rig:
        told = await wait_for(rig, lambda s: s["fills"] >= 8 and s["actions"]["SELL_YES_LIMIT"])
        assert told["state"] in {"acting", "calibrating", "ready"}
        assert told["policy"]["version"] == "1"
        assert told["policy"]["fingerprint"] == fingerprint()
        assert told["orders"]["filled"] > 0

        await add_command(rig.store, "pause", who="test", why="to compare", at=0)
        await wait_for(rig, lambda s: s["state"] == "paused")
        await add_command(rig.store, "reconcile", who="test", why="to compare", at=0)
        reconciled = told["reconciliations"]
        told = await wait_for(
            rig, lambda s: s["reconciliations"] > reconciled and s["state"] == "paused"
        )
        ledger = account_of(rig).portfolio
        assert told["cash"] == money(ledger.cash)
        assert told["reserved"] == money(Cash(0))
        assert (told["drift"], told["drifts"]) == ([], 0)
        assert {p["market_ticker"]: p["quantity"] for p in told["positions"] if p["side"]} == {
            ticker: f"{held.quantity / 100:.2f}"
            for ticker, held in ledger.positions.items()
            if held.quantity
        }
        assert told["fees"] == money(ledger.fees_paid)
        decisions = told["decisions"]
        await asyncio.sleep(0.3)
        assert (await status(rig))["decisions"] == decisions  # paused means paused
        outcomes = [c.outcome for c in await recent_commands(rig.store)]
        assert "paused: no order is sent until `resume`" in outcomes

        await add_command(rig.store, "resume", who="test", why="go on", at=0)
        await wait_for(rig, lambda s: s["decisions"] > decisions)
        rig.stop.set()
        await rig.task

        last = await trading.latest_run(rig.store)
        assert last.end_reason == "stopped"
        rows = await trading.orders_of_run(rig.store, last.run_id)
        fills = await trading.fills_of_run(rig.store, last.run_id)
        account = account_of(rig)
        assert account.portfolio.orders == {}
        assert {fill.trade_id for fill in fills} == {fill.trade_id for fill in account.fills}
        assert all(
            row.state in {OrderState.FILLED, OrderState.CANCELLED, OrderState.REJECTED}
            for row in rows
        )
        stored = await trading.count_decisions(rig.store, last.run_id)
        numbers = [
            row.decision_no for row in await trading.decisions_of_run(rig.store, last.run_id)
        ]
        assert numbers == list(range(1, sum(stored.values()) + 1))


async def test_without_a_promoted_policy_it_holds_and_takes_one_up_when_there_is_one(
    running, policies
):
    async with running() as rig:
        told = await wait_for(rig, lambda s: s["state"] == "ready")
        assert told["holding_reason"] == "no promoted policy: holding"
        health = (await rig.http.get("/rl/actor/health")).json()
        assert (health["status"], health["holding_reason"]) == (
            "ok",
            "no promoted policy: holding",
        )
        assert (told["policy"], told["decisions"]) == (None, 0)

        write_bundle(policies / "1", [9, 0, 0, 0, 0])
        told = await wait_for(rig, lambda s: s["decisions"] >= 3)
        assert told["actions"]["HOLD"] == told["decisions"]
        assert told["holding_reason"] is None

        write_bundle(policies / "2", [9, 0, 0, 0, 0], graph_bytes=b"no graph")
        told = await wait_for(rig, lambda s: s["policy_problem"])
        assert told["policy"]["version"] == "1"  # the old one goes on
        assert told["policy_problem"].startswith("version 2 was refused: model.onnx has sha256")

        write_bundle(policies / "3", [9, 0, 0, 0, 0])
        told = await wait_for(rig, lambda s: s["policy"]["version"] == "3")
        assert told["policy_problem"] is None


async def test_screens_are_told_what_happens(running, policies):
    write_bundle(policies / "1", [0, 1, 2, 0, 0])
    async with running() as rig:
        told = await wait_for(rig, lambda s: s["state"] == "acting")
        seen = {}
        async with connect(f"ws://127.0.0.1:{rig.port}/v3/ws") as screen:
            first = json.loads(await screen.recv())
            tickers = first["data"]["markets"]
            await screen.send(json.dumps({"cmd": "watch", "markets": tickers[:1]}))
            wanted = {
                "trader_state", "trader_status", "state_transition", "initialization_step",
                "trader_action", "actor_order", "actor_fill", "actor_position", "actor_pnl",
                "orderbook_snapshot", "orderbook_delta",
            }  # fmt: skip
            async with asyncio.timeout(20):
                while not wanted <= seen.keys():
                    message = json.loads(await screen.recv())
                    seen[message["type"]] = message["data"]
        assert first["type"] == "connection"
        assert len(tickers) == 6
        action = seen["trader_action"]
        assert action["policy_version"] == "1"
        assert set(action["action"]) >= {"action_id", "action_name", "quantity", "limit_price"}
        assert len(action["observation"]) == OBSERVATION_SIZE
        assert set(seen["trader_state"]) >= {
            "cash_balance", "promised_cash", "portfolio_value", "positions", "open_orders",
        }  # fmt: skip
        async with connect(f"ws://127.0.0.1:{rig.port}/rl/actor/ws") as screen:
            async with asyncio.timeout(10):
                while json.loads(await screen.recv())["type"] != "actor_action":
                    pass
        assert told["connection"]["markets_ready"] == 6


async def test_other_hosts_and_other_pages_are_turned_away(running):
    async with running() as rig:
        await wait_for(rig, lambda s: True)
        evil = await rig.http.get("/v3/status", headers={"Host": "evil.example"})
        metrics = await rig.http.get("/metrics")

        assert evil.status_code == 400
        assert b"kalshiflow_trader_decisions_total 0.0" in metrics.content
        from websockets.exceptions import InvalidStatus

        with pytest.raises(InvalidStatus):
            async with connect(f"ws://127.0.0.1:{rig.port}/v3/ws", origin="http://evil.example"):
                pass


async def test_simulated_orders_are_filled_here_and_nothing_reaches_the_exchange(running, policies):
    write_bundle(policies / "1", [0, 1, 2, 0, 0])
    async with running(RL_ACTOR_ORDERS="simulated", RL_ACTOR_INITIAL_CASH="50000") as rig:
        told = await wait_for(rig, lambda s: s["fills"] >= 4 and s["actions"]["SELL_YES_LIMIT"])

        assert told["orders_to"] == "simulated"
        assert account_of(rig).orders == {}
        assert told["fees"] != "0.00"
        assert 490 < float(told["cash"]) < 510 or told["positions"]


async def test_orders_to_nobody_means_holding(running, policies):
    write_bundle(policies / "1", [0, 1, 2, 0, 0])
    async with running(RL_ACTOR_ORDERS="none") as rig:
        told = await wait_for(rig, lambda s: s["state"] == "ready" and s["policy"])

        assert told["holding_reason"] == "orders go nowhere (RL_ACTOR_ORDERS=none): holding"
        assert told["decisions"] == 0


async def test_without_the_database_it_pauses_and_goes_on_when_it_is_back(
    running, policies, outage
):
    write_bundle(policies / "1", [0, 1, 2, 0, 0])
    async with running() as rig:
        await wait_for(rig, lambda s: s["fills"] >= 2)
        outage.begin()
        told = await wait_for(rig, lambda s: s["state"] == "paused")
        assert told["holding_reason"].startswith("paused (database): the database ")
        await wait_for(rig, lambda s: s["orders"]["open"] == 0)
        placed = len(account_of(rig).orders)
        await asyncio.sleep(0.3)
        assert account_of(rig).portfolio.orders == {}
        assert len(account_of(rig).orders) == placed

        outage.end()
        fills = told["fills"]
        told = await wait_for(rig, lambda s: s["fills"] > fills + 2)
        assert told["drifts"] == 0
        rig.stop.set()
        await rig.task
        last = await trading.latest_run(rig.store)
        stored = await trading.fills_of_run(rig.store, last.run_id)
        assert {fill.trade_id for fill in stored} == {f.trade_id for f in account_of(rig).fills}


async def test_a_lost_connection_is_recovered_from_and_the_account_still_agrees(running, policies):
    write_bundle(policies / "1", [0, 1, 2, 0, 0])
    async with running() as rig:
        await wait_for(rig, lambda s: s["fills"] >= 2)
        rig.line.cut()
        told = await wait_for(rig, lambda s: s["connection"]["connections"] == 2)
        fills = told["fills"]
        told = await wait_for(rig, lambda s: s["fills"] > fills + 2 and s["state"] == "acting")

        assert told["drifts"] == 0
        assert told["connection"]["markets_ready"] == 6


async def test_a_key_that_the_exchange_does_not_take_ends_the_start_at_once(running, tmp_path):
    from kalshiflow.exchange.credentials import generate_key
    from kalshiflow.exchange.errors import Unauthorised

    other = tmp_path / "other.pem"
    other.write_text(generate_key()[0])
    with pytest.RaisesGroup(Unauthorised, flatten_subgroups=True, allow_unwrapped=True):
        async with running(KALSHI_PRIVATE_KEY_PATH=str(other)) as rig:
            await rig.task
