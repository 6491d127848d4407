"""The trader's own tape: every decision of a run can be made again from it, bit for bit."""

import asyncio

import pytest
from typer.testing import CliRunner
from whole_trader import opener, wait_for, write_bundle

from kalshiflow.learning.parity.reading import remake
from kalshiflow.stack.sessions_cli import app
from kalshiflow.store import trading
from kalshiflow.store.read import list_sessions

pytestmark = pytest.mark.integration
LARGE = {"RL_ACTOR_ORDER_CONTRACTS": "300", "RL_ACTOR_MARKET_BUDGET": "90000"}


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


async def test_every_decision_can_be_made_again_from_the_traders_own_tape(
    running, policies, monkeypatch, postgres_url
):
    """A rotation, a gap, and a new connection are in it."""
    write_bundle(policies / "1", [0, 1, 2, 0, 0], seed=3)
    faults = ["drop channel=trade after=90 count=1"]
    async with running(faults, RL_SESSION_MAX_MINUTES="0.05", **LARGE) as rig:
        await wait_for(rig, lambda s: s["connection"]["gaps"] == 1)
        await wait_for(rig, lambda s: s["tape"]["sessions_closed"] == 1)
        told = await wait_for(rig, lambda s: s["connection"]["markets_ready"] == 6)
        await wait_for(rig, lambda s: s["decisions"] > told["decisions"] + 10)
        rig.line.cut()  # with orders at the exchange
        told = await wait_for(rig, lambda s: s["connection"]["connections"] == 2)
        told = await wait_for(rig, lambda s: s["decisions"] > told["decisions"] + 10)
        assert told["tape"]["state"] == "recording"
        assert told["tape"]["frames_missed"] == 0
        rig.stop.set()
        await rig.task

        sessions = await list_sessions(rig.store, origins=["trader"], after_close_seq=0)
        run_id = (await trading.latest_run(rig.store)).run_id
        decisions = await trading.decisions_of_run(rig.store, run_id)
        made = [await remake(rig.store, one.session_id) for one in sessions]
        assert [one.differences for one in made] == [[] for _ in sessions]
        assert sum(one.equal for one in made) == len(decisions) > 30

        assert {one.verdict for one in sessions} == {"ok", "gaps"}
        assert all(one.traded for one in sessions)
        assert any(one.follows for one in sessions)
        orders = await trading.orders_of_run(rig.store, run_id)
        assert {order.state for order in orders} >= {"filled", "cancelled"}
        assert await rested(rig.store)
        monkeypatch.setenv("DATABASE_URL", postgres_url)
        told = await command("--all")
        assert told.exit_code == 0
        assert told.stdout.count(": ok (") == len(sessions)
        await see_planted_differences(rig.store, sessions[0].session_id, made[0])
        async with rig.store.connection() as connection:
            await connection.execute("UPDATE rl_trading_decisions SET mask = 3 WHERE mask <> 3")
        told = await command(sessions[0].session_id)
        assert told.exit_code == 1
        assert ": the mask was 11, is " in told.stdout


async def command(*arguments):
    """Run `kalshiflow sessions parity` as a person would."""
    return await asyncio.to_thread(CliRunner().invoke, app, ["parity", *arguments])


async def rested(store):
    """Count the orders of ours that the policy saw resting."""
    async with store.connection() as connection:
        return await connection.fetchval(
            "SELECT count(*) FROM rl_account_changes WHERE bid_price >= 0 OR ask_price >= 0"
        )


async def see_planted_differences(store, session_id, made):
    """Change something of a session, one thing after the other, and see that it is found."""
    plants = {
        "rl_orderbook_deltas SET change = change": "change > 0",
        "rl_account_changes SET budget = budget": "true",
        "rl_account_changes SET decision_no = decision_no": "true",
        "rl_trading_decisions SET frame_no = frame_no": "true",
    }
    for plant, condition in plants.items():
        for step in (-1, 1):  # the second sets it right again
            async with store.transaction() as connection:
                await connection.execute(
                    f"UPDATE {plant} + {step} WHERE session_id = $1 AND {condition}", session_id
                )
            again = await remake(store, session_id)
            assert (again.equal < made.equal) == bool(again.differences) == (step < 0), plant
