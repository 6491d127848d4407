"""The whole trader against a real venue, a real database and a registry with a real bundle."""

import asyncio
import hashlib
import json
from contextlib import asynccontextmanager
from types import SimpleNamespace

import httpx
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from starlette.applications import Starlette
from starlette.responses import FileResponse, JSONResponse
from starlette.routing import Route
from websockets.asyncio.client import connect

from kalshiflow.agent.action import ACTIONS, fingerprint
from kalshiflow.agent.features import OBSERVATION_SIZE
from kalshiflow.agent.policy import BUNDLE_FORMAT
from kalshiflow.market.orders import OrderState
from kalshiflow.market.units import Cash
from kalshiflow.serving import bind, serving
from kalshiflow.settings import load
from kalshiflow.store import trading
from kalshiflow.store.commands import add_command, recent_commands
from kalshiflow.store.database import Store
from kalshiflow.venue.config import VenueConfig
from trader.app import run
from trader.status import money

pytestmark = pytest.mark.integration


def write_bundle(place, bias, graph_bytes=None):
    """Write a bundle whose scores are the same for every observation: the mask decides.

    It appears whole, as in a registry; `graph_bytes` stand in for the graph that its manifest names.
    """
    folder = place.parent.with_name("in the making") / place.name
    folder.mkdir(parents=True)
    zero = np.zeros((OBSERVATION_SIZE, len(ACTIONS)), dtype=np.float32)
    scores = np.array(bias, dtype=np.float32)
    shapes = {"observation": OBSERVATION_SIZE, "scores": len(ACTIONS)}
    values = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size])
        for name, size in shapes.items()
    }
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["observation", "zero"], ["nothing"]),
            helper.make_node("Add", ["nothing", "bias"], ["scores"]),
        ],
        "constant",
        [values["observation"]],
        [values["scores"]],
        [onnx.numpy_helper.from_array(zero, "zero"), onnx.numpy_helper.from_array(scores, "bias")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    rows = 8
    np.savez(
        folder / "probe.npz",
        observations=np.zeros((rows, OBSERVATION_SIZE), dtype=np.float32),
        masks=np.ones((rows, len(ACTIONS)), dtype=bool),
        scores=np.tile(scores, (rows, 1)),
        actions=np.full(rows, int(scores.argmax())),
    )
    files = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in ("model.onnx", "probe.npz")
    }
    manifest = {
        "format": BUNDLE_FORMAT,
        "version": "test",
        "fingerprint": fingerprint(),
        "files": files,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    if graph_bytes is not None:
        (folder / "model.onnx").write_bytes(graph_bytes)
    folder.rename(place)


def registry(folder):
    """Serve what the trader asks of MLflow; the alias is the name of the newest folder in it."""

    def alias(_request):
        versions = sorted(path.name for path in folder.iterdir())
        if not versions:
            message = "Registered model alias champion not found."
            return JSONResponse({"error_code": "INVALID_PARAMETER_VALUE", "message": message}, 400)
        written = (folder / versions[-1] / "manifest.json").read_bytes()
        tags = [{"key": "sha256", "value": hashlib.sha256(written).hexdigest()}]
        return JSONResponse({"model_version": {"version": versions[-1], "tags": tags}})

    def place(request):
        version = request.query_params["version"]
        return JSONResponse({"artifact_uri": f"mlflow-artifacts:/1/models/{version}/artifacts"})

    def artifact(request):
        return FileResponse(folder / request.path_params["version"] / request.path_params["name"])

    return Starlette(
        routes=[
            Route("/api/2.0/mlflow/registered-models/alias", alias),
            Route("/api/2.0/mlflow/model-versions/get-download-uri", place),
            Route(
                "/api/2.0/mlflow-artifacts/artifacts/1/models/{version}/artifacts/{name}", artifact
            ),
        ]
    )


class Line:
    """A wire to the venue's socket that can be cut."""

    def __init__(self, target):
        self._host, _, port = target.removeprefix("ws://").partition("/")[0].partition(":")
        self._port = int(port)
        self._writers = []

    @asynccontextmanager
    async def open(self):
        server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        async with server:
            yield server.sockets[0].getsockname()[1]
            self.cut()

    def cut(self):
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _join(self, reader, writer):
        there, back = await asyncio.open_connection(self._host, self._port)
        self._writers += [writer, back]
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass_on(reader, back))
                group.create_task(self._pass_on(there, writer))
        except* OSError:
            pass  # it was cut

    async def _pass_on(self, reader, writer):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()


@pytest.fixture
def policies(tmp_path):
    folder = tmp_path / "policies"
    folder.mkdir()
    return folder


@pytest.fixture
async def running(serve_venue, tmp_path, policies, postgres_url, free_port):
    """Give an async context manager: venue, registry and trader, and what to ask them with."""

    @asynccontextmanager
    async def start(**more):
        listener = bind(0, "none")
        mlflow = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = VenueConfig(markets=6, speed=10.0, key_dir=tmp_path / "keys")
        async with (
            serve_venue(config) as venue,
            serving(registry(policies), listener),
            (line := Line(venue.ws)).open() as ws_port,
        ):
            environ = {
                "DATABASE_URL": postgres_url,
                "MLFLOW_TRACKING_URI": mlflow,
                "KALSHI_API_URL": venue.rest,
                "KALSHI_WS_URL": f"ws://127.0.0.1:{ws_port}/trade-api/ws/v2",
                "KALSHI_API_KEY_ID": venue.key_id,
                "KALSHI_PRIVATE_KEY_PATH": str(venue.private_key_path),
                "RL_TRADER_PORT": str(free_port),
                "RL_POLICY_POLL_SECONDS": "0.1",
                **more,
            }
            settings = load("trader", environ, tmp_path)
            stop = asyncio.Event()
            async with (
                await Store.open(postgres_url) as store,
                httpx.AsyncClient(base_url=f"http://127.0.0.1:{free_port}") as http,
            ):
                task = asyncio.ensure_future(run(settings, stop))
                yield SimpleNamespace(
                    venue=venue,
                    store=store,
                    http=http,
                    stop=stop,
                    task=task,
                    port=free_port,
                    line=line,
                )
                stop.set()
                await task

    return start


async def status(rig):
    return (await rig.http.get("/v3/status")).json()


async def wait_for(rig, condition, seconds=20):
    """Ask for the status until it is as wanted; gives it."""
    told = {}
    async with asyncio.timeout(seconds):
        while True:
            if rig.task.done():
                await rig.task
            try:
                told = await status(rig)
            except httpx.TransportError:
                told = {}
            if told and condition(told):
                return told
            await asyncio.sleep(0.05)


def account_of(rig):
    (account,) = rig.venue.venue.floor.accounts.with_keys()
    return account


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
